"""HTTP as libprocess speaks it, on Twisted: calls, their answers, and streams of events.

Each record of a stream is one chunk. An orderly end has a last chunk, the end of a process has not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field, frozen
from google.protobuf.message import Message
from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.web import http

from aliecs.protocol.recordio import encode_record
from test.standin.mesos.document import ENCODINGS, encode
from test.standin.mesos.fault import Fault, Faults
from test.standin.mesos.pace import Pace, cancel

TEXT = "text/plain; charset=utf-8"


@frozen
class Answer:
    """The answer to a call."""

    status: int
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):
    """A call is not taken."""

    def __init__(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.answer = Answer(status, text, headers)


class Request(http.Request):
    """One request; what is done with it is up to the listener's handler."""

    channel: Any

    def process(self) -> None:
        """See `http.Request`."""
        listener: Listener = self.channel.factory.listener
        listener.requested(self)

    def header(self, name: str) -> str | None:
        """A header of the request, None where it is not there."""
        value = self.getHeader(name)
        return value if value is None else str(value)

    def body(self) -> bytes:
        """All of the request's body."""
        assert self.content is not None
        data: bytes = self.content.read()
        return data

    def give(self, answer: Answer) -> None:
        """Answer it, where somebody still waits for that."""
        if self._disconnected or self.finished:
            return
        body = answer.text.encode()
        self.setResponseCode(answer.status)
        for name, value in answer.headers:
            self.setHeader(name, value)
        if body:
            self.setHeader("content-type", TEXT)
        self.setHeader("content-length", str(len(body)))
        self.write(body)
        self.finish()

    def drop(self) -> None:
        """End the connection without a further word."""
        if not self._disconnected and self.channel is not None:
            self.channel.transport.loseConnection()


def stream_encoding(accept: str | None) -> str:
    """In which encoding a stream is wanted: JSON unless only protobuf is. Raises `Refusal`."""
    wanted = [part.split(";")[0].strip() for part in (accept or "*/*").split(",")]
    for encoding in ENCODINGS:
        if {encoding, "*/*", "application/*"} & set(wanted):
            return encoding
    raise Refusal(406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'")


@define(eq=False)
class EventStream:
    """The answer to a SUBSCRIBE: events, until either side ends it.

    `closed` is called when the other side ended it.
    """

    request: Request
    encoding: str
    faults: Faults
    pace: Pace
    closed: Callable[[], None]
    identifier: str = ""
    """For the header `Mesos-Stream-Id`, if there is one."""
    is_open: bool = field(default=True, init=False)
    is_silent: bool = field(default=False, init=False)
    """Nothing is sent, and nothing said of that."""
    _waiting: list[Message] = field(factory=list, init=False)
    """Events behind a delayed one, and those to be sent in another order."""
    _turned: int = field(default=0, init=False)
    """How many of the waiting are to be turned round."""
    _timer: Any = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.request.setResponseCode(200)
        self.request.setHeader("content-type", self.encoding)
        if self.identifier:
            self.request.setHeader("mesos-stream-id", self.identifier)
        self.request.notifyFinish().addErrback(self._lost)

    def _lost(self, reason: Any) -> None:
        if self.is_open:
            self.is_open = False
            cancel(self._timer)
            self.closed()

    def send(self, event: Any) -> None:
        """Send an event, as well as the orders to misbehave allow."""
        if not self.is_open or self.is_silent:
            return
        if self._timer is not None and self._timer.active():
            self._waiting.append(event)
            return
        if self._turned:
            self._turn(event)
            return
        kind = type(event).Type.Name(event.type)
        fault = self.faults.for_event(kind)
        if fault is None:
            self._write(event)
        else:
            self._misbehave(fault, event)

    def _misbehave(self, fault: Fault, event: Message) -> None:
        if fault.action == "double":
            self._write(event)
            self._write(event)
        elif fault.action == "delay":
            self._waiting.append(event)
            self._timer = self.pace.later(fault.seconds, self._go_on)
        elif fault.action == "reorder":
            # The order counts for all that it names, together.
            self._turned = max(1, fault.count)
            for _ in range(fault.count - 1):
                self.faults.for_event(fault.kind)
            self._turn(event)
        elif fault.action == "cut":
            self.cut(event)

    def _turn(self, event: Message) -> None:
        self._waiting.append(event)
        if len(self._waiting) >= self._turned:
            self._turned = 0
            waiting, self._waiting = self._waiting[::-1], []
            for one in waiting:
                self._write(one)

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._write(event)

    def _write(self, event: Message) -> None:
        if self.is_open:
            self.request.write(encode_record(encode(self.encoding, event)))

    def cut(self, event: Message) -> None:
        """Send half of an event, then end the connection."""
        record = encode_record(encode(self.encoding, event))
        # The head of the answer goes out with the first bytes of the body.
        self.request.write(record[: len(record) // 2])
        self.drop()

    def finish(self) -> None:
        """End it in order."""
        if self.is_open:
            self.is_open = False
            cancel(self._timer)
            self.request.finish()

    def drop(self) -> None:
        """End it as the end of a process does."""
        if self.is_open:
            self.is_open = False
            cancel(self._timer)
            self.request.drop()


class Handler(Protocol):
    """What answers the requests of a listener."""

    def handle(self, request: Request) -> Answer | None:
        """Answer a request; None for one that was taken over. Raises `Refusal`."""


class _Channel(http.HTTPChannel):
    """A connection; the listener keeps account of them."""

    transport: Any
    factory: Any

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.listener.connected(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.listener.disconnected(self)
        super().connectionLost(reason)


class _Factory(http.HTTPFactory):
    def __init__(self, listener: Listener) -> None:
        super().__init__(reactor=listener.pace.reactor)
        self.timeOut = None
        self.listener = listener

    def buildProtocol(self, address: Any) -> Any:
        channel = _Channel()
        channel.factory = self
        channel.requestFactory = Request
        channel.timeOut = None
        return channel

    def log(self, request: Any) -> None:
        """Requests are not logged."""


@define(eq=False)
class Listener:
    """The listening socket of a master or an agent, and its connections."""

    pace: Pace
    host: str
    port: int
    """0 before the first start: whichever is free. It is kept from then on."""
    handler: Handler
    _listening: Any = field(default=None, init=False)
    _channels: set[_Channel] = field(factory=set, init=False)
    _is_suspended: bool = field(default=False, init=False)

    @property
    def address(self) -> str:
        """Host and port, as people and headers have it."""
        return f"{self.host}:{self.port}"

    @property
    def is_listening(self) -> bool:
        """True between start and stop."""
        return self._listening is not None

    async def start(self) -> None:
        """Listen."""
        endpoint = TCP4ServerEndpoint(self.pace.reactor, self.port, interface=self.host)
        self._listening = await endpoint.listen(_Factory(self))
        address = self._listening.getHost()
        assert isinstance(address, IPv4Address)
        self.port = address.port

    async def stop(self) -> None:
        """Stop listening, and end all connections as the end of a process does."""
        self.resume()
        listening, self._listening = self._listening, None
        for channel in list(self._channels):
            transport: Any = channel.transport
            if transport.dataBuffer or transport._tempDataBuffer:
                transport.abortConnection()
            else:
                transport.loseConnection()
        if listening is not None:
            await maybeDeferred(listening.stopListening)

    def suspend(self) -> None:
        """Read nothing and accept nobody, as a stopped process does."""
        self._is_suspended = True
        if self._listening is not None:
            self._listening.stopReading()
        for channel in self._channels:
            channel.transport.stopReading()

    def resume(self) -> None:
        """Go on where `suspend` ended."""
        if self._is_suspended:
            self._is_suspended = False
            if self._listening is not None:
                self._listening.startReading()
            for channel in self._channels:
                channel.transport.startReading()

    def connected(self, channel: _Channel) -> None:
        """A connection was made."""
        self._channels.add(channel)

    def disconnected(self, channel: _Channel) -> None:
        """A connection has gone."""
        self._channels.discard(channel)

    def requested(self, request: Request) -> None:
        """A request has come in completely."""
        try:
            answer = self.handler.handle(request)
        except Refusal as refusal:
            answer = refusal.answer
        if answer is not None:
            request.give(answer)


def carry_out_faultily(
    fault: Fault,
    request: Request,
    carry_out: Callable[[], Answer | None],
    later: Callable[[float, Callable[[], None]], None],
) -> Answer | None:
    """Do with a call what a fault wants; None where it is not answered, or not yet."""

    def late() -> None:
        try:
            answer = carry_out()
        except Refusal as refusal:
            answer = refusal.answer
        if answer is not None:
            request.give(answer)

    if fault.action == "refuse":
        return Answer(fault.status, fault.text)
    if fault.action == "ignore":
        return Answer(202)
    if fault.action == "drop":
        carry_out()
        request.drop()
    elif fault.action == "late":
        later(fault.seconds, late)
    return None
