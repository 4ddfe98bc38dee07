"""The event stream: everything on the bus, as WebSocket frames or server-sent events.

A frame is `{"seq", "time", "type", "id", "data"}`; the first is `hello`. A client that was cut off
says after which `seq` it wants to go on (`?since=`, the header `Last-Event-ID`, or a subscribe
message) and gets what the bus still keeps, or is told with `gap` that some of it is gone. Who is
sent what, and when, is in `audience`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from twisted.web.websocket import WebSocketResource, WebSocketTransport
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import TextMessage
from zope.interface import implementer

from aliecs.api.audience import Audience, Listener, Wanted
from aliecs.api.frame import Encoding, Frame
from aliecs.api.request import arguments

PING_S = 20.0
CLOSE_S = 5.0
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013
POLICY_VIOLATION = 1008
LONGEST_MESSAGE = 4096


@define(eq=False)
class EventStream:
    """Makes streams for clients."""

    audience: Audience
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
        reader = _Reader(self, _server_sent_event, request.write)
        over: Deferred[bytes] = Deferred(lambda _: reader.stop())

        def end(code: int) -> None:
            request.unregisterProducer()
            if code == TRY_AGAIN_LATER:
                # It would not read the end either.
                cast(Any, request).channel.transport.abortConnection()
            elif not over.called:
                over.callback(b"")

        reader.on_end = end
        request.registerProducer(reader, True)
        reader.start(_since(request), _wanted(request))
        return over

    def kept(self, environment_id: str, since: int) -> bytes:
        """The events of an environment after that one which the bus still has, as JSON."""
        bus = self.audience.bus
        kept = list(bus.kept(since))
        oldest = kept[0].sequence if kept else bus.sequence + 1
        mine = [event.json() for event in kept if event.environment_id == environment_id]
        gap = b"true" if oldest > since + 1 else b"false"
        return b'{"events":[%s],"seq":%d,"gap":%s}' % (b",".join(mine), bus.sequence, gap)

    def stop(self) -> None:
        """End every stream."""
        for reader in tuple(self._open):
            reader.stop()
            reader.on_end(GOING_AWAY)


@implementer(IPushProducer)
@define(eq=False, repr=False)
class _Reader:
    """One client of the stream, and what it has asked for last."""

    stream: EventStream
    encoding: Encoding
    write: Callable[[bytes], None]
    on_end: Callable[[int], None] = lambda code: None
    _listener: Listener | None = None
    _paused: bool = False
    _log: Logger = field(factory=Logger)

    def start(self, since: int | None, wanted: Wanted) -> None:
        """Begin, or begin anew with other topics."""
        stream = self.stream
        listener = Listener(wanted, self.encoding, self.write, self._cut_off, self._paused)
        if self._listener is not None:
            stream.audience.leave(self._listener)
            listener.take_over(self._listener)
        self._listener = listener
        stream._open.add(self)
        stream.audience.join(listener, _greeting(stream, since), since)

    def say(self, kind: str, data: dict[str, Any]) -> None:
        """Answer the client, after what waits for it."""
        if self._listener is not None:
            self.stream.audience.say(
                self._listener, _frame(self.stream.audience.bus.sequence, kind, data)
            )

    def stop(self) -> None:
        """The client is gone, or the core ends."""
        self.stream._open.discard(self)
        if self._listener is not None:
            self.stream.audience.leave(self._listener)
            self._listener = None

    def _cut_off(self) -> None:
        self._log.info("a client of the event stream does not read and is cut off")
        self.stop()
        self.on_end(TRY_AGAIN_LATER)

    # IPushProducer: the transport says when the client does not read.

    def pauseProducing(self) -> None:  # noqa: N802
        """See `IPushProducer`."""
        self._paused = True
        if self._listener is not None:
            self._listener.paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        """See `IPushProducer`."""
        self._paused = False
        if self._listener is not None:
            self._listener.paused = False
            self.stream.audience.serve(self._listener)

    def stopProducing(self) -> None:  # noqa: N802
        """See `IPushProducer`."""
        self.stop()


@define(eq=False)
class _SocketFactory:
    stream: EventStream

    def buildProtocol(self, request: Request) -> _Socket:  # noqa: N802
        """See `WebSocketServerFactory`."""
        return _Socket(self.stream, _since(request), _wanted(request), _same_origin(request))


class _Socket:
    """One WebSocket."""

    def __init__(
        self, stream: EventStream, since: int | None, wanted: Wanted, allowed: bool
    ) -> None:
        self.stream = stream
        self.since = since
        self.wanted = wanted
        self.allowed = allowed
        self.transport: WebSocketTransport
        self.reader: _Reader
        self.wire: Any
        self.closing: IDelayedCall | None = None
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
        # Frames are made once for all clients, and go to the connection below this WebSocket.
        self.wire = cast(Any, self.transport).transport
        self.reader = _Reader(self.stream, _web_socket_message, self.wire.write, self._end)
        # The HTTP channel, whose connection it was, is still registered.
        self.transport.detachProducer()
        self.transport.attachProducer(self.reader)
        self.reader.start(self.since, self.wanted)
        self.ping.start(PING_S, now=False)

    def textMessageReceived(self, message: str) -> None:  # noqa: N802
        """`{"op": "subscribe", "topics": [...], "since": seq}` or `{"op": "ping"}`."""
        try:
            asked = msgspec.json.decode(message[:LONGEST_MESSAGE], type=_Asked)
        except msgspec.DecodeError as error:
            self.reader.say("error", {"detail": f"not a message of this protocol: {error}"})
            return
        if asked.op == "ping":
            self.reader.say("pong", {})
        elif asked.op == "subscribe":
            self.reader.start(asked.since, Wanted.parse(asked.topics))
        else:
            self.reader.say("error", {"detail": f"there is no op {asked.op!r}: subscribe, ping"})

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        self.reader.say("error", {"detail": "messages of this protocol are text"})

    def pongReceived(self, payload: bytes) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        if self.ping.running:
            self.ping.stop()
        if self.closing is not None and self.closing.active():
            self.closing.cancel()
        if self.allowed:
            self.reader.stop()

    def _end(self, code: int) -> None:
        """Say why, and be gone soon also where the client does not read it."""
        if self.closing is None:
            self.transport.detachProducer()
            self.transport.loseConnection(code)
            self.closing = self.stream.clock.callLater(CLOSE_S, self.wire.abortConnection)

    def _ping(self) -> None:
        self.transport.ping()


class _Asked(msgspec.Struct):
    op: str
    topics: list[str] = []
    since: int | None = None


def _greeting(stream: EventStream, since: int | None) -> Iterator[Frame]:
    bus = stream.audience.bus
    data = {"server": "aliecs", "version": stream.version, "seq": bus.sequence, "protocol": 1}
    come_to = bus.sequence if since is None else min(since, bus.sequence)
    yield _frame(come_to, "hello", data)
    if since is not None and since < bus.sequence:
        oldest = next((event.sequence for event in bus.kept(since)), bus.sequence + 1)
        if oldest > since + 1:
            yield _frame(oldest - 1, "gap", {"after": since, "next": oldest})


def _frame(sequence: int, kind: str, data: dict[str, Any]) -> Frame:
    """A message of the stream itself: no event of the core, and without a place in the order."""
    return Frame(sequence, "", "", msgspec.json.encode({"type": kind, "data": data}))


def _server_sent_event(frame: Frame) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (frame.sequence, frame.text)


def _web_socket_message(frame: Frame) -> bytes:
    """The same for all clients: servers do not mask, and no extension is agreed on."""
    message = Connection(ConnectionType.SERVER).send(TextMessage(frame.text.decode()))
    return bytes(message)


def _wanted(request: Request) -> Wanted:
    """From `?topic=run&topic=env:36To8stsJty`."""
    return Wanted.parse(arguments(request, "topic"))


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
