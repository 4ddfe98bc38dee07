"""The event stream: everything on the bus, as WebSocket frames or server-sent events.

A frame is `{"seq", "time", "type", "id", "data"}`; the first is `hello`, which has no place in the
order and so no `seq`. A client that was cut off says after which `seq` it wants to go on
(`?since=`, the header `Last-Event-ID`, or a subscribe message) and gets what the bus still keeps.
Where some of it is gone, it gets `gap`, a `snapshot` of each environment, and what comes after
that. A client that does not read is cut off: its queue is bounded. One that does not answer pings
is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, get_args
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

from aliecs.api.mapping import to_value
from aliecs.api.request import arguments
from aliecs.errors import Exhausted
from aliecs.event.bus import Bus, Subscription
from aliecs.event.record import Event, Payload
from aliecs.protocol import aliecs_v1_pb2

SUBPROTOCOL = b"aliecs.v1.json"
PING_S = 20.0
MOST_UNANSWERED = 3
"""Pings in a row after which a client is taken for gone."""
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
LONGEST_MESSAGE = 4096
BOUND = 10_000

TOPICS = {
    "environments": ("environment", "run"),
    "roles": ("role",),
    "tasks": ("task",),
    "calls": ("call",),
    "services": ("integrated_service",),
}
"""Words for several kinds of events. The kinds themselves are topics as well, and `env:<id>`."""
KINDS = frozenset(
    kind.topic if isinstance(kind.topic, str) else "integrated_service"
    for kind in get_args(Payload)
)


@define(eq=False)
class EventStream:
    """Makes streams for clients. `snapshot` gives all environments as they are."""

    bus: Bus
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
        topics = Topics(_asked_topics(request))
        reader = _Reader(self, lambda frame, seq: _write_event(request, frame, seq))
        over: Deferred[bytes] = Deferred(lambda _: end_quietly())
        # A line that says nothing keeps a proxy from ending what it takes for idle.
        alive = LoopingCall(request.write, b": alive\n\n")
        alive.clock = self.clock

        def end_quietly() -> None:
            if alive.running:
                alive.stop()
            reader.stop()

        def end(code: int, reason: str) -> None:
            end_quietly()
            request.unregisterProducer()
            if not over.called:
                over.callback(b"")

        reader.on_end = end
        request.registerProducer(reader, True)
        reader.greet()
        reader.start(_since(request), topics)
        alive.start(PING_S, now=False)
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
            reader.on_end(GOING_AWAY, "")


@implementer(IPushProducer)
@define(eq=False, repr=False)
class _Reader:
    """One client: reads its subscription and sends frames while the client takes them."""

    stream: EventStream
    send: Callable[[bytes, int], None]
    on_end: Callable[[int, str], None] = lambda code, reason: None
    _subscription: Subscription | None = None
    _reading: Deferred[None] | None = None
    _paused: Deferred[None] | None = None
    _log: Logger = field(factory=Logger)

    def greet(self) -> None:
        """Say who serves, and where the stream is."""
        self.send(_hello(self.stream), self.stream.bus.sequence)

    def start(self, since: int | None, topics: Topics) -> None:
        """Begin, or begin anew with other topics."""
        self._close()
        bus = self.stream.bus
        self.stream._open.add(self)
        missed = None
        if since is not None and since < bus.sequence:
            oldest = next((event.sequence for event in bus.kept(since)), bus.sequence + 1)
            missed = since if oldest > since + 1 else None
        if missed is not None:
            # Half of what was missed is no use beside the state that it led to.
            since = None
            gap = {"after": missed, "next": bus.sequence + 1}
            self.send(_frame("gap", gap), bus.sequence)
        self._subscription = bus.subscribe(topics.want, since, BOUND)
        reading = self._read(self._subscription, topics if missed is not None else None)
        self._reading = Deferred.fromCoroutine(reading)

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

    async def _read(self, subscription: Subscription, snapshot_of: Topics | None) -> None:
        try:
            if snapshot_of is not None:
                await self._send_snapshot(snapshot_of)
            while (event := await subscription.next()) is not None:
                if self._paused is not None:
                    await self._paused
                self.send(event.json(), event.sequence)
        except CancelledError:
            return
        except Exhausted as slow:
            self._log.info("an event stream is cut off: {reason}", reason=slow.message)
            self.on_end(TRY_AGAIN_LATER, f"seq {subscription.last_sequence}")
        except Exception:
            self._log.failure("an event stream broke")
            self.on_end(INTERNAL_ERROR, "")

    async def _send_snapshot(self, topics: Topics) -> None:
        sequence = self.stream.bus.sequence
        reply = await self.stream.snapshot()
        for environment in reply.environments:
            if topics.include(environment.id):
                if self._paused is not None:
                    await self._paused
                frame = _frame("snapshot", to_value(environment), environment.id)
                self.send(frame, sequence)

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
        topics = Topics(_asked_topics(request))
        return _Socket(self.stream, _since(request), topics, _same_origin(request))


class _Socket:
    """One WebSocket."""

    def __init__(
        self, stream: EventStream, since: int | None, topics: Topics, allowed: bool
    ) -> None:
        self.stream = stream
        self.since = since
        self.topics = topics
        self.allowed = allowed
        # Its interface does not say that a reason can be given with the code of an end.
        self.transport: Any
        self.unanswered = 0
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
        self.reader.greet()
        self._tell_unknown(self.topics)
        self.reader.start(self.since, self.topics)
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
            topics = Topics(asked.topics)
            self._send("subscribed", {"topics": asked.topics, "seq": self.stream.bus.sequence})
            self._tell_unknown(topics)
            self.reader.start(asked.since, topics)
        else:
            self._send("error", {"detail": f"there is no op {asked.op!r}: subscribe, ping"})

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        self._send("error", {"detail": "messages of this protocol are text"})

    def pongReceived(self, payload: bytes) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        self.unanswered = 0

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """See `WebSocketProtocol`."""
        if self.ping.running:
            self.ping.stop()
        if self.allowed:
            self.reader.stop()

    def _tell_unknown(self, topics: Topics) -> None:
        if topics.unknown:
            known = ", ".join([*sorted({*KINDS, *TOPICS}), "env:<id>"])
            unknown = ", ".join(topics.unknown)[:200]
            self._send("error", {"detail": f"there is no topic {unknown}; there are {known}"})

    def _ping(self) -> None:
        self.unanswered += 1
        if self.unanswered > MOST_UNANSWERED:
            self.reader.stop()
            self.transport.loseConnection(GOING_AWAY, "no answer to pings")
        else:
            self.transport.ping()

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        self.transport.sendTextMessage(_frame(kind, data).decode())


class _Asked(msgspec.Struct):
    op: str
    topics: list[str] = []
    since: int | None = None


class Topics:
    """What a client wants to hear of; without any word, all."""

    def __init__(self, words: Iterable[str]) -> None:
        words = frozenset(words)
        self.everything = not words
        self.environments = {
            word.removeprefix("env:") for word in words if word.startswith("env:")
        }
        kinds = {word: _kinds_of(word) for word in words if not word.startswith("env:")}
        self.kinds = frozenset(kind for found in kinds.values() for kind in found)
        self.unknown = sorted(word for word, found in kinds.items() if not found)

    def want(self, event: Event) -> bool:
        """True for an event that is to be told."""
        return (
            self.everything
            or event.payload.topic.partition(".")[0] in self.kinds
            or event.environment_id in self.environments
        )

    def include(self, environment_id: str) -> bool:
        """True where the state of an environment is wanted."""
        wanted = self.everything or "environment" in self.kinds
        return wanted or environment_id in self.environments


def _kinds_of(topic: str) -> Sequence[str]:
    if topic in TOPICS:
        return TOPICS[topic]
    return [kind for kind in KINDS if topic in (kind, f"{kind}s")]


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


def _hello(stream: EventStream) -> bytes:
    return _frame(
        "hello",
        {
            "server": "aliecs",
            "version": stream.version,
            "seq": stream.bus.sequence,
            "user": "",
            "protocol": 1,
        },
    )


def _frame(kind: str, data: dict[str, Any], about: str = "") -> bytes:
    return msgspec.json.encode({"type": kind, "id": about, "data": data})


def _write_event(request: Request, frame: bytes, sequence: int) -> None:
    request.write(b"id: %d\ndata: %s\n\n" % (sequence, frame))


def _asked_topics(request: Request) -> list[str]:
    return arguments(request, "topic")


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
