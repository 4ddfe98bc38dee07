"""The event stream without a network: what was missed for too long, slow readers, clients that are
gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import TextMessage

from aliecs.api.audience import BOUND, Audience, Wanted
from aliecs.api.stream import PING_S, EventStream, _Socket
from aliecs.event.bus import RING, Bus
from aliecs.event.record import RunEvent, TaskEvent
from aliecs.interfaces import Caller
from aliecs.protocol import aliecs_v1_pb2


class SocketTransport:
    """What Twisted gives the protocol of a WebSocket."""

    def __init__(self) -> None:
        self.transport = self
        self.wire = Connection(ConnectionType.CLIENT)
        self.frames: list[Any] = []
        self.closed: tuple[int, str] | None = None
        self.aborted = False
        self.pings = 0
        self.producer: Any = None

    def write(self, data: bytes) -> None:
        self.wire.receive_data(data)
        for event in self.wire.events():
            if isinstance(event, TextMessage):
                self.frames.append(json.loads(event.data))

    def abortConnection(self) -> None:
        self.aborted = True

    def loseConnection(self, code: int = 1000, reason: str = "") -> None:
        self.closed = self.closed or (code, reason)

    def detachProducer(self) -> None:
        pass

    def attachProducer(self, producer: Any) -> None:
        self.producer = producer

    def ping(self) -> None:
        self.pings += 1


class StreamRequest(DummyRequest):
    """One whose client reads all the time; the dummy asks its producer for more without end."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None


class TestStream(SynchronousTestCase):
    def setUp(self) -> None:
        self.bus = Bus()
        self.clock = Clock()
        self.audience = Audience(self.bus, self.clock, self.clock.seconds)
        self.bus.add_sink(self.audience)
        state: Any = aliecs_v1_pb2.ListEnvironmentsReply()
        for name in ("one", "two"):
            state.environments.add(id=name, state="RUNNING")
        self.stream = EventStream(self.audience, self.clock, "1.2.3", lambda: succeed(state))

    def tell(self, count: int, environment: str = "one") -> None:
        for number in range(count):
            self.bus.tell(RunEvent(environment, number, "RUNNING"))

    def settle(self) -> None:
        """Let everything go out that waits."""
        for _ in range(20):
            self.clock.advance(0.1)

    def socket(self, since: int | None = None, *topics: str) -> tuple[_Socket, SocketTransport]:
        socket = _Socket(self.stream, Caller("me"), since, topics, True)
        transport = SocketTransport()
        made: Callable[[Any], None] = socket.negotiationStarted
        made(transport)
        socket.negotiationFinished()
        self.settle()
        return socket, transport

    def test_the_first_frame_says_who_serves(self) -> None:
        self.tell(3)
        _, transport = self.socket()
        data = {"server": "aliecs", "version": "1.2.3", "seq": 3, "user": "me", "protocol": 1}
        self.assertEqual(transport.frames, [{"type": "hello", "id": "", "data": data}])

    def test_what_is_kept_is_told_again(self) -> None:
        self.tell(RING)
        _, transport = self.socket(RING - 2)
        self.assertEqual([frame.get("seq") for frame in transport.frames], [None, RING - 1, RING])

    def test_after_a_gap_the_state_is_told_and_then_what_follows(self) -> None:
        self.tell(RING + 10)
        _, transport = self.socket(5)
        self.tell(1)
        self.settle()
        kinds = [frame["type"] for frame in transport.frames]
        self.assertEqual(kinds, ["hello", "gap", "snapshot", "snapshot", "run.event"])
        self.assertEqual(transport.frames[1]["data"], {"after": 5, "next": RING + 11})
        self.assertEqual(transport.frames[2]["id"], "one")
        self.assertEqual(transport.frames[2]["data"]["state"], "RUNNING")
        self.assertEqual(transport.frames[4]["seq"], RING + 11)

    def test_only_the_state_that_is_asked_for(self) -> None:
        self.tell(RING + 10)
        _, transport = self.socket(5, "env:two")
        self.assertEqual([frame["id"] for frame in transport.frames[2:]], ["two"])
        _, transport = self.socket(5, "tasks")
        self.assertEqual([frame["type"] for frame in transport.frames], ["hello", "gap"])

    def test_topics_in_the_plural(self) -> None:
        wanted = Wanted.parse(["environments", "tasks", "env:one"])
        self.assertEqual(wanted.topics, {"environment", "run", "task"})
        self.assertEqual((wanted.environments, wanted.each), ({"one"}, False))
        self.assertTrue(Wanted.parse(["task"]).each)
        names = ["weather", "tasks", "task", "locks", "env:x", "integrated_service.dcs", "s"]
        self.assertEqual(Wanted.unknown(names), ["weather", "s"])

    def test_a_topic_that_there_is_not_is_told(self) -> None:
        socket, transport = self.socket(None, "weather")
        self.assertEqual([frame["type"] for frame in transport.frames], ["hello", "error"])
        self.assertIn("no topic weather; there are", transport.frames[1]["data"]["detail"])
        socket.textMessageReceived('{"op": "subscribe", "topics": ["tasks"]}')
        self.tell(1)
        self.bus.tell(TaskEvent("a", "1", "RUNNING", "ACTIVE", environmentId="one"))
        self.settle()
        kinds = [frame["type"] for frame in transport.frames[2:]]
        self.assertEqual(kinds, ["subscribed", "task.updated"])

    def test_a_reader_who_falls_behind_is_cut_off(self) -> None:
        _, transport = self.socket()
        transport.producer.pauseProducing()
        while transport.closed is None:
            self.bus.tell(RunEvent("one", 1, "x" * (BOUND // 10)))
            self.settle()
        self.assertEqual(transport.closed, (1013, "the client does not read"))
        self.assertTrue(transport.aborted or (self.clock.advance(10) is None and transport.aborted))
        self.assertEqual(self.audience.listeners, 0)

    def test_a_client_that_answers_no_ping_is_gone(self) -> None:
        socket, transport = self.socket()
        for _ in range(3):
            self.clock.advance(PING_S)
        socket.pongReceived(b"")
        for _ in range(3):
            self.clock.advance(PING_S)
        self.assertIsNone(transport.closed)
        self.assertEqual(transport.pings, 6)
        self.clock.advance(PING_S)
        self.assertEqual(transport.closed, (1001, "no answer to pings"))
        self.assertEqual(self.audience.listeners, 0)

    def test_server_sent_events_have_signs_of_life(self) -> None:
        request: Any = StreamRequest([b"events"])
        request.args = {b"since": [b"1"], b"topic": [b"run"]}
        self.tell(2)
        over = self.stream.serve_events(request)
        self.clock.advance(PING_S)
        self.assertIn(b": alive\n\n", request.written)
        text = b"".join(request.written)
        self.assertTrue(text.startswith(b"id: 1\ndata: {"))
        self.assertIn(b'\n\nid: 2\ndata: {"seq":2,', text)
        over.cancel()
        self.failureResultOf(over)
        self.settle()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.audience.listeners, 0)
