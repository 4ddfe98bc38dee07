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

from aliecs.api.stream import BOUND, PING_S, EventStream, Topics, _Socket
from aliecs.event.bus import RING, Bus
from aliecs.event.record import RoleEvent, RunEvent
from aliecs.protocol import aliecs_v1_pb2


class SocketTransport:
    """What Twisted gives the protocol of a WebSocket."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.closed: tuple[int, str] | None = None
        self.pings = 0
        self.producer: Any = None

    def sendTextMessage(self, text: str) -> None:
        self.frames.append(json.loads(text))

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
        state: Any = aliecs_v1_pb2.ListEnvironmentsReply()
        for name in ("one", "two"):
            state.environments.add(id=name, state="RUNNING")
        self.stream = EventStream(self.bus, self.clock, "1.2.3", lambda: succeed(state))

    def tell(self, count: int, environment: str = "one") -> None:
        for number in range(count):
            self.bus.tell(RunEvent(environment, number, "RUNNING"))

    def socket(self, since: int | None = None, *topics: str) -> tuple[_Socket, SocketTransport]:
        socket = _Socket(self.stream, since, Topics(topics), True)
        transport = SocketTransport()
        made: Callable[[Any], None] = socket.negotiationStarted
        made(transport)
        socket.negotiationFinished()
        return socket, transport

    def test_the_first_frame_says_who_serves(self) -> None:
        self.tell(3)
        _, transport = self.socket()
        data = {"server": "aliecs", "version": "1.2.3", "seq": 3, "user": "", "protocol": 1}
        self.assertEqual(transport.frames, [{"type": "hello", "id": "", "data": data}])

    def test_what_is_kept_is_told_again(self) -> None:
        self.tell(RING)
        _, transport = self.socket(RING - 2)
        self.assertEqual([frame.get("seq") for frame in transport.frames], [None, RING - 1, RING])

    def test_after_a_gap_the_state_is_told_and_then_what_follows(self) -> None:
        self.tell(RING + 10)
        _, transport = self.socket(5)
        self.tell(1)
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

    def test_topics(self) -> None:
        run = self.bus.tell(RunEvent("one", 1, "RUNNING"))
        role = self.bus.tell(RoleEvent("a", "root.a", "one", state="ERROR"))
        for words, wanted in (
            ((), (True, True)),
            (("environments",), (True, False)),
            (("run",), (True, False)),
            (("roles",), (False, True)),
            (("role",), (False, True)),
            (("env:one",), (True, True)),
            (("env:two", "services"), (False, False)),
        ):
            topics = Topics(words)
            self.assertEqual((topics.want(run), topics.want(role)), wanted, words)
            self.assertEqual(topics.unknown, [])
        self.assertEqual(Topics(["weather", "tasks"]).unknown, ["weather"])

    def test_a_reader_who_falls_behind_is_told_where_it_stopped(self) -> None:
        _, transport = self.socket()
        self.tell(2)
        transport.producer.pauseProducing()
        # One is on its way when the reader stops reading; the others wait.
        self.tell(BOUND + 2)
        self.assertIsNone(transport.closed)
        transport.producer.resumeProducing()
        self.assertEqual(transport.closed, (1013, "seq 3"))
        self.assertEqual(transport.frames[-1]["seq"], 3)
        self.assertEqual(self.bus.subscriptions, ())

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
        self.assertEqual(self.bus.subscriptions, ())

    def test_server_sent_events_have_signs_of_life(self) -> None:
        request: Any = StreamRequest([b"events"])
        request.args = {b"since": [b"1"], b"topic": [b"tasks"]}
        self.tell(2)
        over = self.stream.serve_events(request)
        self.clock.advance(PING_S)
        self.assertEqual(request.written[-1], b": alive\n\n")
        self.assertTrue(request.written[0].startswith(b"id: 2\ndata: {"))
        over.cancel()
        self.failureResultOf(over)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.bus.subscriptions, ())

    def test_events_are_encoded_once_for_all(self) -> None:
        first, second = self.socket()[1], self.socket()[1]
        event = self.bus.tell(RunEvent("one", 1, "RUNNING"))
        self.assertIs(event.json(), event.json())
        self.assertEqual(first.frames[-1], second.frames[-1])
