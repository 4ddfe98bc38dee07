"""The event stream: everything on the bus, as WebSocket frames or server-sent events.

A frame is `{"seq", "time", "type", "id", "data"}`; the first is `hello`. A client that was cut off
says after which `seq` it wants to go on (`?since=`, the header `Last-Event-ID`, or a subscribe
message) and gets what the bus still keeps, or is told with `gap` that some of it is gone. A client
that does not read is cut off: its queue is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from twisted.web.websocket import WebSocketResource, WebSocketTransport
from zope.interface import implementer

from aliecs.errors import Exhausted
from aliecs.event.bus import Bus, Subscription
from aliecs.event.record import Event

PING_S = 20.0
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013
POLICY_VIOLATION = 1008
LONGEST_MESSAGE = 4096
BOUND = 10_000


@define(eq=False)
class EventStream:
    """Makes streams for clients."""

    bus: Bus
    clock: IReactorTime
    version: str
    _open: set[_Reader] = field(init=False, factory=set)

    def web_socket(self) -> WebSocketResource:
        """The resource that upgrades a request."""
        return WebSocketResource(_SocketFactory(self))

    def serve_events(self, request: Request) -> Deferred[bytes]:
        """Answer a request with server-sent events. Fires at the end of the stream; cancelled, as
        klein does when the client goes away, it ends it."""
        request.setHeader(b"Content-Type", b"text/event-stream")
        request.setHeader(b"Cache-Control", b"no-store")
        reader = _Reader(self, lambda frame, seq: _write_event(request, frame, seq))
        over: Deferred[bytes] = Deferred(lambda _: reader.stop())

        def end(code: int) -> None:
            request.unregisterProducer()
            if not over.called:
                over.callback(b"")

        reader.on_end = end
        request.registerProducer(reader, True)
        reader.start(_since(request), frozenset())
        return over

    def kept(self, environment_id: str, since: int) -> bytes:
        """The events of an environment after that one which the bus still has, as JSON."""
        kept = list(self.bus.kept(since))
        oldest = kept[0].sequence if kept else self.bus.sequence + 1
        mine = [event.json() for event in kept if event.environment_id == environment_id]
        gap = b"true" if oldest > since + 1 else b"false"
        return b'{"events":[%s],"seq":%d,"gap":%s}' % (b",".join(mine), self.bus.sequence, gap)

    def stop(self) -> None:
        """End every stream."""
        for reader in tuple(self._open):
            reader.stop()
            reader.on_end(GOING_AWAY)


@implementer(IPushProducer)
@define(eq=False, repr=False)
class _Reader:
    """One client: reads its subscription and sends frames while the client takes them."""

    stream: EventStream
    send: Callable[[bytes, int], None]
    on_end: Callable[[int], None] = lambda code: None
    _subscription: Subscription | None = None
    _reading: Deferred[None] | None = None
    _paused: Deferred[None] | None = None
    _log: Logger = field(factory=Logger)

    def start(self, since: int | None, topics: frozenset[str]) -> None:
        """Begin, or begin anew with other topics."""
        self._close()
        bus = self.stream.bus
        self.stream._open.add(self)
        self.send(_hello(self.stream), bus.sequence)
        if since is not None and since < bus.sequence:
            oldest = next((event.sequence for event in bus.kept(since)), bus.sequence + 1)
            if oldest > since + 1:
                self.send(_frame("gap", {"after": since, "next": oldest}), oldest - 1)
        self._subscription = bus.subscribe(lambda event: _wanted(event, topics), since, BOUND)
        self._reading = Deferred.fromCoroutine(self._read(self._subscription))

    def stop(self) -> None:
        """The client is gone, or the core ends."""
        self.stream._open.discard(self)
        self._close()

    def _close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
        if self._reading is not None:
            self._reading.cancel()
        self._subscription = self._reading = None

    async def _read(self, subscription: Subscription) -> None:
        try:
            while (event := await subscription.next()) is not None:
                if self._paused is not None:
                    await self._paused
                self.send(event.json(), event.sequence)
        except CancelledError:
            return
        except Exhausted as slow:
            self._log.info("an event stream is cut off: {reason}", reason=slow.message)
            self.on_end(TRY_AGAIN_LATER)
        except Exception:
            self._log.failure("an event stream broke")
            self.on_end(1011)

    # IPushProducer: the transport says when the client does not read.

    def pauseProducing(self) -> None:  # noqa: N802
        """See `IPushProducer`."""
        if self._paused is None:
            self._paused = Deferred()

    def resumeProducing(self) -> None:  # noqa: N802
        """See `IPushProducer`."""
        if self._paused is not None:
            paused, self._paused = self._paused, None
            paused.callback(None)

    def stopProducing(self) -> None:  # noqa: N802
        """See `IPushProducer`."""
        self.stop()


@define(eq=False)
class _SocketFactory:
    stream: EventStream

    def buildProtocol(self, request: Request) -> _Socket:  # noqa: N802
        """See `WebSocketServerFactory`."""
        return _Socket(self.stream, _since(request), _same_origin(request))


class _Socket:
    """One WebSocket."""

    def __init__(self, stream: EventStream, since: int | None, allowed: bool) -> None:
        self.stream = stream
        self.since = since
        self.allowed = allowed
        self.transport: WebSocketTransport
        self.reader: _Reader
        self.ping = LoopingCall(self._ping)
        self.ping.clock = stream.clock

    def negotiationStarted(self, transport: WebSocketTransport) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        self.transport = transport

    def negotiationFinished(self) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        if not self.allowed:
            self.transport.loseConnection(POLICY_VIOLATION)
            return
        self.reader = _Reader(
            self.stream,
            lambda frame, seq: self.transport.sendTextMessage(frame.decode()),
            self.transport.loseConnection,
        )
        # The HTTP channel, whose connection it was, is still registered.
        self.transport.detachProducer()
        self.transport.attachProducer(self.reader)
        self.reader.start(self.since, frozenset())
        self.ping.start(PING_S, now=False)

    def textMessageReceived(self, message: str) -> None:  # noqa: N802
        """`{"op": "subscribe", "topics": [...], "since": seq}` or `{"op": "ping"}`."""
        try:
            asked = msgspec.json.decode(message[:LONGEST_MESSAGE], type=_Asked)
        except msgspec.DecodeError as error:
            self._send("error", {"detail": f"not a message of this protocol: {error}"})
            return
        if asked.op == "ping":
            self._send("pong", {})
        elif asked.op == "subscribe":
            self.reader.start(asked.since, frozenset(asked.topics))
        else:
            self._send("error", {"detail": f"there is no op {asked.op!r}: subscribe, ping"})

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        self._send("error", {"detail": "messages of this protocol are text"})

    def pongReceived(self, payload: bytes) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        if self.ping.running:
            self.ping.stop()
        if self.allowed:
            self.reader.stop()

    def _ping(self) -> None:
        self.transport.ping()

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        self.transport.sendTextMessage(_frame(kind, data).decode())


class _Asked(msgspec.Struct):
    op: str
    topics: list[str] = []
    since: int | None = None


def _wanted(event: Event, topics: frozenset[str]) -> bool:
    """Topics are `environment`, `task`, ... and `env:<id>`; none means all."""
    if not topics:
        return True
    return event.payload.topic in topics or f"env:{event.environment_id}" in topics


def _hello(stream: EventStream) -> bytes:
    return _frame(
        "hello",
        {
            "server": "aliecs",
            "version": stream.version,
            "seq": stream.bus.sequence,
            "protocol": 1,
        },
    )


def _frame(kind: str, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": kind, "data": data})


def _write_event(request: Request, frame: bytes, sequence: int) -> None:
    request.write(b"id: %d\ndata: %s\n\n" % (sequence, frame))


def _since(request: Request) -> int | None:
    given = request.getHeader(b"last-event-id")
    arguments = request.args or {}
    values = [given] if given else list(arguments.get(b"since", []))
    text = values[-1].decode("ascii", "replace") if values else ""
    return int(text) if text.isdecimal() else None


def _same_origin(request: Request) -> bool:
    """A browser says where its page came from; only our own pages may listen."""
    origin = request.getHeader(b"origin")
    if not origin:
        return True
    host = request.getHeader(b"host") or b""
    allowed: str = host.decode("ascii", "replace")
    return urlsplit(origin.decode("ascii", "replace")).netloc == allowed
