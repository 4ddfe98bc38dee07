"""The event stream: everything on the bus, as WebSocket frames or server-sent events.

A frame is `{"seq", "time", "type", "id", "data"}`; the first is `hello`. A client that was cut off
says after which `seq` it wants to go on (`?since=`, the header `Last-Event-ID`, or a subscribe
message) and gets what the bus still keeps. Where some of it is gone, it gets `gap`, a `snapshot` of
each environment, and what comes after that. Who is sent what, and when, is in `audience`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

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

from aliecs.api.audience import TOPICS, Audience, Listener, Wanted
from aliecs.api.frame import Encoding, Frame
from aliecs.api.mapping import to_value
from aliecs.api.request import CALLER, arguments, is_foreign
from aliecs.event.bus import Bus
from aliecs.interfaces import Caller
from aliecs.protocol import aliecs_v1_pb2

SUBPROTOCOL = b"aliecs.v1.json"
PING_S = 20.0
MOST_UNANSWERED = 3
"""Pings in a row after which a client is taken for gone."""
CLOSE_S = 5.0
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013
POLICY_VIOLATION = 1008
LONGEST_MESSAGE = 4096
LONGEST_STREAM_S = 30 * 86_400.0


@define(eq=False)
class EventStream:
    """Makes streams for clients. `snapshot` gives all environments as they are."""

    audience: Audience
    clock: IReactorTime
    version: str
    snapshot: Callable[[], Awaitable[aliecs_v1_pb2.ListEnvironmentsReply]]
    _open: set[_Reader] = field(init=False, factory=set)

    def web_socket(self) -> WebSocketResource:
        """The resource that upgrades a request."""
        return _SocketResource(_SocketFactory(self))

    def serve_events(self, request: Request) -> Deferred[bytes]:
        """Answer a request with server-sent events. Fires at the end of the stream; cancelled, as
        klein does when the client goes away, it ends it."""
        request.setHeader(b"Content-Type", b"text/event-stream")
        request.setHeader(b"Cache-Control", b"no-store")
        reader = _Reader(self, _caller_of(request), _server_sent_event, request.write)
        # A line that says nothing keeps a proxy from ending what it takes for idle.
        alive = LoopingCall(request.write, b": alive\n\n")
        alive.clock = self.clock

        def stop(over: Deferred[bytes]) -> None:
            alive.stop()
            reader.stop()

        over: Deferred[bytes] = Deferred(stop)

        def end(code: int, reason: str) -> None:
            alive.stop()
            request.unregisterProducer()
            if code == TRY_AGAIN_LATER:
                # It would not read the end either.
                cast(Any, request).channel.transport.abortConnection()
            elif not over.called:
                over.callback(b"")

        reader.on_end = end
        request.registerProducer(reader, True)
        reader.start(_since(request), arguments(request, "topic"))
        alive.start(PING_S, now=False)
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
            reader.on_end(GOING_AWAY, "")


@implementer(IPushProducer)
@define(eq=False, repr=False)
class _Reader:
    """One client of the stream, and what it has asked for last."""

    stream: EventStream
    caller: Caller | None
    encoding: Encoding
    write: Callable[[bytes], None]
    on_end: Callable[[int, str], None] = lambda code, reason: None
    _listener: Listener | None = None
    _paused: bool = False
    _expiry: IDelayedCall | None = None
    _log: Logger = field(factory=Logger)

    def start(self, since: int | None, topics: Sequence[str]) -> None:
        """Begin, or begin anew with other topics."""
        stream, bus = self.stream, self.stream.audience.bus
        wanted = Wanted.parse(topics)
        listener = Listener(wanted, self.encoding, self.write, self._cut_off, self._paused)
        if self._listener is None:
            kind = "hello"
            data: dict[str, Any] = {
                "server": "aliecs",
                "version": stream.version,
                "seq": bus.sequence,
                "user": self.caller.name if self.caller is not None else "",
                "protocol": 1,
            }
            self._end_in_time()
        else:
            stream.audience.leave(self._listener)
            listener.take_over(self._listener)
            kind, data = "subscribed", {"topics": list(topics), "seq": bus.sequence}
        self._listener = listener
        stream._open.add(self)
        come_to = bus.sequence if since is None else min(since, bus.sequence)
        first = [_frame(come_to, kind, data)]
        if unknown := Wanted.unknown(topics):
            first.append(_frame(come_to, "error", {"detail": _no_topic(unknown)}))
        if since is not None and _is_gone(bus, since):
            # Half of what was missed is no use beside the state that it led to.
            gap = {"after": since, "next": bus.sequence + 1}
            first.append(_frame(bus.sequence, "gap", gap))
            stream.audience.join(listener, first, None)
            Deferred.fromCoroutine(self._show_state(listener))
        else:
            stream.audience.join(listener, first, since)

    def _end_in_time(self) -> None:
        """Nobody listens on with credentials that are worth nothing any more."""
        if self.caller is None or self.caller.ends_s == float("inf"):
            return
        left_s = min(max(0.0, self.caller.ends_s - time.time()), LONGEST_STREAM_S)

        def end() -> None:
            self._expiry = None
            self.stop()
            self.on_end(POLICY_VIOLATION, "the credentials have come to their end: log in again")

        self._expiry = self.stream.clock.callLater(left_s, end)

    async def _show_state(self, listener: Listener) -> None:
        """Tell a client how everything is that it wants to know of."""
        audience = self.stream.audience
        try:
            reply = await self.stream.snapshot()
        except Exception:
            self._log.failure("a client of the event stream is told of no state")
            return
        for environment in reply.environments:
            if listener is self._listener and listener.wanted.includes_state(environment.id):
                data = to_value(environment)
                frame = _frame(audience.bus.sequence, "snapshot", data, environment.id)
                audience.say(listener, frame)

    def say(self, kind: str, data: dict[str, Any]) -> None:
        """Answer the client, after what waits for it."""
        if self._listener is not None:
            self.stream.audience.say(
                self._listener, _frame(self.stream.audience.bus.sequence, kind, data)
            )

    def stop(self) -> None:
        """The client is gone, or the core ends."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        self.stream._open.discard(self)
        if self._listener is not None:
            self.stream.audience.leave(self._listener)
            self._listener = None

    def _cut_off(self) -> None:
        self._log.info("a client of the event stream does not read and is cut off")
        self.stop()
        self.on_end(TRY_AGAIN_LATER, "the client does not read")

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
        topics = arguments(request, "topic")
        # Only our own pages may listen.
        allowed = not is_foreign(request)
        return _Socket(self.stream, _caller_of(request), _since(request), topics, allowed)


class _Socket:
    """One WebSocket."""

    def __init__(
        self,
        stream: EventStream,
        caller: Caller | None,
        since: int | None,
        topics: Sequence[str],
        allowed: bool,
    ) -> None:
        self.stream = stream
        self.caller = caller
        self.since = since
        self.topics = topics
        self.allowed = allowed
        self.unanswered = 0
        # Its interface does not say that a reason can be given with the code of an end.
        self.transport: Any
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
        self.wire = self.transport.transport
        self.reader = _Reader(
            self.stream, self.caller, _web_socket_message, self.wire.write, self._end
        )
        # The HTTP channel, whose connection it was, is still registered.
        self.transport.detachProducer()
        self.transport.attachProducer(self.reader)
        self.reader.start(self.since, self.topics)
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
            self.reader.start(asked.since, asked.topics)
        else:
            self.reader.say("error", {"detail": f"there is no op {asked.op!r}: subscribe, ping"})

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        self.reader.say("error", {"detail": "messages of this protocol are text"})

    def pongReceived(self, payload: bytes) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        self.unanswered = 0

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        if self.ping.running:
            self.ping.stop()
        if self.closing is not None and self.closing.active():
            self.closing.cancel()
        if self.allowed:
            self.reader.stop()

    def _end(self, code: int, reason: str) -> None:
        """Say why, and be gone soon also where the client does not read it."""
        if self.closing is None:
            self.transport.detachProducer()
            self.transport.loseConnection(code, reason)
            self.closing = self.stream.clock.callLater(CLOSE_S, self.wire.abortConnection)

    def _ping(self) -> None:
        self.unanswered += 1
        if self.unanswered > MOST_UNANSWERED:
            self.reader.stop()
            self._end(GOING_AWAY, "no answer to pings")
        elif self.closing is None:
            self.transport.ping()


class _SocketResource(WebSocketResource):
    """Names our subprotocol where a client asks for it, as browsers insist on; Twisted's own knows
    of none."""

    def render_GET(self, request: Request) -> bytes | int:  # noqa: N802
        """See `WebSocketResource`."""
        offered = b",".join(request.requestHeaders.getRawHeaders(b"sec-websocket-protocol", []))
        if SUBPROTOCOL not in [one.strip() for one in offered.split(b",")]:
            return super().render_GET(request)
        accepting: Any = _Accepting(request)
        return super().render_GET(accepting)


class _Accepting:
    """A request, or what belongs to it, as it is; but what is written first to the transport of its
    channel is the acceptance of a WebSocket, and gets one more header."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return _Accepting(found) if name in ("channel", "transport") else found

    def write(self, data: bytes) -> None:
        """Write the acceptance."""
        header = b"\r\nSec-WebSocket-Protocol: " + SUBPROTOCOL + b"\r\n\r\n"
        self._inner.write(data.replace(b"\r\n\r\n", header, 1))


class _Asked(msgspec.Struct):
    op: str
    topics: list[str] = []
    since: int | None = None


def _is_gone(bus: Bus, since: int) -> bool:
    """Whether the bus does not keep all events after that one any more."""
    if since >= bus.sequence:
        return False
    oldest = next((event.sequence for event in bus.kept(since)), bus.sequence + 1)
    return oldest > since + 1


def _no_topic(names: Sequence[str]) -> str:
    known = ", ".join(sorted(topic.rstrip(".") for topic in TOPICS))
    return f"there is no topic {', '.join(names)[:200]}; there are {known}, and env:<id>"


def _frame(sequence: int, kind: str, data: dict[str, Any], about: str = "") -> Frame:
    """A message of the stream itself: no event of the core, and without a place in the order."""
    text = msgspec.json.encode({"type": kind, "id": about, "data": data})
    return Frame(sequence, "", "", text)


def _server_sent_event(frame: Frame) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (frame.sequence, frame.text)


def _web_socket_message(frame: Frame) -> bytes:
    """The same for all clients: servers do not mask, and no extension is agreed on."""
    message = Connection(ConnectionType.SERVER).send(TextMessage(frame.text.decode()))
    return bytes(message)


def _caller_of(request: Request) -> Caller | None:
    """Who listens, where that is known."""
    caller: Caller | None = getattr(request, CALLER, None)
    return caller


def _since(request: Request) -> int | None:
    given = request.getHeader(b"last-event-id")
    arguments = request.args or {}
    values = [given] if given else list(arguments.get(b"since", []))
    text = values[-1].decode("ascii", "replace") if values else ""
    return int(text) if text.isdecimal() else None
