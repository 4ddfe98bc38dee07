"""A plain HTTP client for tests of servers: one connection, everything on it as it comes.

Unlike a library it can ask for what is not allowed, and sees how a connection ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol

from aliecs.protocol.recordio import RecordReader

GUARD_S = 15.0


class WaitedTooLong(AssertionError):
    """What was waited for did not come."""


@define
class Response:
    """The head of an answer, and as much of its body as has come."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    is_complete: bool = False
    records: list[bytes] = field(factory=list)
    """Of a stream."""


@define(eq=False)
class Wire(Protocol):
    """One connection."""

    reactor: Any
    responses: list[Response] = field(factory=list)
    is_closed: bool = False
    has_ended_in_order: bool = False
    """The last stream on it had a last chunk."""
    _buffer: bytes = b""
    _reader: RecordReader = field(factory=RecordReader)
    _waiting: list[Deferred[None]] = field(factory=list)

    @classmethod
    async def connect(cls, reactor: Any, host: str, port: int) -> Wire:
        """Open a connection."""
        wire = cls(reactor)
        await connectProtocol(TCP4ClientEndpoint(reactor, host, port), wire)
        return wire

    def request(
        self, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None,
        method: str = "POST",
    ) -> None:  # fmt: skip
        """Send a request; answers come in the order of the requests."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        self.transport.write("\r\n".join(lines).encode() + body)

    @property
    def is_between_records(self) -> bool:
        """False where a record of a stream has come in part."""
        return self._reader.is_between_records and not self._buffer

    def close(self) -> None:
        """End the connection from this side."""
        if self.transport is not None:
            self.transport.abortConnection()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something to come. Raises `WaitedTooLong`."""
        timer = self.reactor.callLater(GUARD_S, self._wake)
        deadline = self.reactor.seconds() + GUARD_S
        try:
            while not condition():
                if self.reactor.seconds() >= deadline:
                    raise WaitedTooLong(f"waited too long for {what}")
                waiter: Deferred[None] = Deferred()
                self._waiting.append(waiter)
                await waiter
        finally:
            if timer.active():
                timer.cancel()

    async def response(self, number: int) -> Response:
        """The answer to the request of that number; of a stream only the head is waited for."""

        def is_there() -> bool:
            if len(self.responses) <= number:
                return False
            one = self.responses[number]
            return one.is_complete or "transfer-encoding" in one.headers

        await self.until(lambda: is_there() or self.is_closed, f"response {number}")
        if not is_there():
            raise WaitedTooLong(f"the connection ended without response {number}")
        return self.responses[number]

    # --- from the network ------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol`."""
        self._buffer += data
        while self._take_head() or self._take_body():
            pass
        self._wake()

    def connectionLost(self, reason: Any = None) -> None:
        """See `Protocol`."""
        self.is_closed = True
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)

    def _take_head(self) -> bool:
        if (self.responses and not self.responses[-1].is_complete) or not self._buffer:
            return False
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        self._buffer = rest
        first, *lines = head.decode().split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        self.responses.append(Response(int(first.split()[1]), headers))
        return True

    def _take_body(self) -> bool:
        if not self.responses or self.responses[-1].is_complete:
            return False
        response = self.responses[-1]
        if "transfer-encoding" in response.headers:
            return self._take_chunk(response)
        length = int(response.headers.get("content-length", "0"))
        if len(self._buffer) < length:
            return False
        response.body, self._buffer = self._buffer[:length], self._buffer[length:]
        response.is_complete = True
        return True

    def _take_chunk(self, response: Response) -> bool:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return False
        length = int(line, 16)
        if len(rest) < length + 2:
            return False
        self._buffer = rest[length + 2 :]
        if length:
            response.records += self._reader.feed(rest[:length])
        else:
            response.is_complete = self.has_ended_in_order = True
        return True
