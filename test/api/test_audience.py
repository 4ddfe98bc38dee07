"""Who listens to the event stream: what each client is sent, in what order, and who is cut off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from aliecs.api.audience import BOUND, MOST_WAITING, PIECE, Audience, Listener, Wanted, pieces_of
from aliecs.api.frame import MOST_IN_FRAME, Frame, joint_frames
from aliecs.event.bus import Bus
from aliecs.event.record import EnvironmentEvent, Payload, RoleEvent, RunEvent, TaskEvent
from aliecs.interfaces import IEventSink


def line(frame: Frame) -> bytes:
    return frame.text + b"\n"


def upper(frame: Frame) -> bytes:
    return frame.text.upper() + b"\n"


def task(number: int, state: str, environment: str = "one") -> TaskEvent:
    return TaskEvent(
        name=f"task#{number}",
        taskid=f"t{number}",
        state=state,
        status="ACTIVE",
        hostname=f"host{number % 2}",
        environmentId=environment,
        path=f"root.task{number}",
    )


def role(path: str, environment: str = "one", **values: str) -> RoleEvent:
    return RoleEvent(name=path, rolePath=path, environmentId=environment, **values)


def step(environment: str = "one", state: str = "RUNNING") -> EnvironmentEvent:
    return EnvironmentEvent(environmentId=environment, state=state)


class Client:
    """A listener, with what it was sent."""

    def __init__(self, *names: str, encoding: Callable[[Frame], bytes] = line) -> None:
        self.data = b""
        self.writes = 0
        self.cut_off = False
        self.listener = Listener(Wanted.parse(names), encoding, self.write, self.cut)

    def write(self, data: bytes) -> None:
        self.data += data
        self.writes += 1

    def cut(self) -> None:
        self.cut_off = True

    def frames(self) -> list[Any]:
        found = [json.loads(text) for text in self.data.splitlines()]
        self.data = b""
        return found

    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames()]


class AudienceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.bus = Bus(now_ns=lambda: 1_700_000_000_123_456_789)
        self.audience = Audience(self.bus, self.clock, self.clock.seconds)
        self.bus.add_sink(self.audience)

    def come(self, *names: str, since: int | None = None, **more: Any) -> Client:
        client = Client(*names, **more)
        self.audience.join(client.listener, (), since)
        return client

    def tell(self, *payloads: Payload) -> None:
        for payload in payloads:
            self.bus.tell(payload)

    def pass_time(self) -> None:
        self.clock.pump([0.01] * 100)

    def test_it_is_a_sink(self) -> None:
        verifyObject(IEventSink, self.audience)

    def test_the_first_event_is_not_kept_back(self) -> None:
        client = self.come()
        self.tell(step())
        self.clock.pump([0, 0, 0])
        self.assertEqual(client.types(), ["environment.event"])

    def test_changes_of_many_tasks_are_told_together(self) -> None:
        client = self.come()
        self.tell(*(task(n, state) for state in ("CONFIGURED", "RUNNING") for n in range(4)))
        self.pass_time()
        (frame,) = client.frames()
        self.assertEqual((frame["type"], frame["id"], frame["seq"]), ("task.updated", "one", 8))
        self.assertEqual(
            frame["data"]["tasks"],
            [
                {"host": "host0", "state": "RUNNING", "status": "ACTIVE", "ids": ["t0", "t2"]},
                {"host": "host1", "state": "RUNNING", "status": "ACTIVE", "ids": ["t1", "t3"]},
            ],
        )

    def test_what_comes_between_keeps_its_place(self) -> None:
        client = self.come()
        self.tell(task(1, "CONFIGURED"), step(), task(1, "RUNNING"))
        self.pass_time()
        self.assertEqual(client.types(), ["task.updated", "environment.event", "task.updated"])

    def test_the_role_of_a_task_is_not_told_twice(self) -> None:
        client = self.come()
        self.tell(
            task(1, "RUNNING"),
            role("root.task1", state="RUNNING"),
            role("root", state="MIXED"),
            role("root", status="ACTIVE"),
            role("root", state="RUNNING"),
        )
        self.pass_time()
        tasks, roles = client.frames()
        self.assertEqual(tasks["type"], "task.updated")
        self.assertEqual(
            roles["data"]["roles"], [{"path": "root", "state": "RUNNING", "status": "ACTIVE"}]
        )

    def test_only_the_last_of_several_frames_says_that_all_is_known(self) -> None:
        client = self.come()
        self.tell(step())
        count = MOST_IN_FRAME + 1
        self.tell(*(task(n, "RUNNING") for n in range(count)), role("root", state="RUNNING"))
        self.pass_time()
        frames = client.frames()[1:]
        self.assertEqual([frame["seq"] for frame in frames], [1, 1, count + 2])

    def test_a_client_gets_what_it_asked_for(self) -> None:
        two, run, each = self.come("env:two"), self.come("run"), self.come("task")
        self.tell(step("one"), step("two"), RunEvent("one", 5, "RUNNING"), task(1, "A"), role("r"))
        self.pass_time()
        self.assertEqual([frame["id"] for frame in two.frames()], ["two"])
        self.assertEqual(run.types(), ["run.event"])
        self.assertEqual(each.types(), ["task.event"])

    def test_several_wishes_are_put_together(self) -> None:
        client = self.come("run", "env:two")
        self.tell(RunEvent("one", 5, "RUNNING"), step("two"), RunEvent("two", 6, "RUNNING"))
        self.pass_time()
        self.assertEqual([frame["seq"] for frame in client.frames()], [1, 2, 3])

    def test_each_change_of_an_environment_where_tasks_are_named(self) -> None:
        client = self.come("task", "env:one")
        self.tell(task(1, "A"), task(1, "B"), role("root", state="B"))
        self.pass_time()
        self.assertEqual(client.types(), ["task.event", "task.event", "role.event"])

    def test_nothing_is_encoded_for_nobody_and_once_for_many(self) -> None:
        made: list[int] = []

        def counting(frame: Frame) -> bytes:
            made.append(frame.sequence)
            return line(frame)

        self.tell(step())
        clients = [self.come(encoding=counting) for _ in range(5)]
        clients += [self.come("env:one", encoding=counting) for _ in range(5)]
        self.tell(step(), step(), step("two"))
        self.pass_time()
        self.assertEqual(made, [2, 3, 4])
        self.assertEqual({client.writes for client in clients}, {1})

    def test_each_kind_of_client_has_its_own_bytes(self) -> None:
        one, other = self.come(), self.come(encoding=upper)
        self.tell(step())
        self.pass_time()
        self.assertEqual(one.data.upper(), other.data)
        self.assertNotEqual(one.data, other.data)

    def test_a_newcomer_gets_nothing_twice_and_misses_nothing(self) -> None:
        first = self.come()
        self.tell(step(), step())
        second = self.come(since=1)
        third = self.come()
        self.tell(step())
        self.pass_time()
        self.assertEqual([f["seq"] for f in first.frames()], [1, 2, 3])
        self.assertEqual([f["seq"] for f in second.frames()], [2, 3])
        self.assertEqual([f["seq"] for f in third.frames()], [3])

    def test_who_has_gone_gets_nothing(self) -> None:
        client = self.come()
        self.tell(step())
        self.audience.leave(client.listener)
        self.pass_time()
        self.assertEqual(client.data, b"")
        self.assertEqual(self.audience.listeners, 0)
        self.audience.leave(client.listener)

    def test_a_paused_client_goes_on_where_it_stopped(self) -> None:
        slow, quick = self.come(), self.come()
        slow.listener.paused = True
        self.tell(step())
        self.pass_time()
        self.tell(step())
        self.pass_time()
        self.assertEqual((len(slow.frames()), len(quick.frames())), (0, 2))
        slow.listener.paused = False
        self.audience.serve(slow.listener)
        self.pass_time()
        self.assertEqual([frame["seq"] for frame in slow.frames()], [1, 2])

    def test_a_client_that_does_not_read_is_cut_off(self) -> None:
        slow, quick = self.come(), self.come()
        slow.listener.paused = True
        long = EnvironmentEvent(environmentId="one", state="RUNNING", message="x" * (BOUND // 3))
        for _ in range(4):
            self.tell(long)
            self.pass_time()
        self.assertEqual((slow.cut_off, quick.cut_off), (True, False))
        self.assertEqual(len(quick.frames()), 4)
        self.assertEqual(self.audience.listeners, 1)

    def test_a_client_that_breaks_harms_nobody(self) -> None:
        broken, whole = self.come(), self.come()
        broken.listener.write = lambda data: 1 / 0  # type: ignore[assignment, return-value]
        self.tell(step())
        self.pass_time()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(broken.cut_off)
        self.assertEqual(whole.types(), ["environment.event"])

    def test_what_is_collected_has_a_bound(self) -> None:
        client = self.come("task")
        for number in range(MOST_WAITING):
            self.tell(task(number, "RUNNING"))
        self.assertTrue(client.listener.waiting_bytes)

    def test_waiting_is_counted(self) -> None:
        client = self.come()
        self.assertEqual(self.audience.waiting(), (0, 0))
        self.tell(step())
        client.listener.paused = True
        self.pass_time()
        self.assertEqual(self.audience.waiting()[0], client.listener.waiting_bytes)
        self.assertGreater(client.listener.waiting_bytes, 0)


@given(st.lists(st.binary(max_size=PIECE * 2), max_size=10))
def test_pieces_are_whole_frames_in_order(texts: list[bytes]) -> None:
    frames = [Frame(number, "", "", text) for number, text in enumerate(texts)]
    pieces = list(pieces_of(frames, lambda frame: frame.text))
    assert b"".join(pieces) == b"".join(texts)
    assert all(len(piece) <= PIECE or piece in texts for piece in pieces)


_STATES = st.sampled_from(("STANDBY", "CONFIGURED", "RUNNING"))
_PAYLOADS = st.one_of(
    st.builds(task, st.integers(0, 5), _STATES, st.sampled_from(("one", "two"))),
    st.builds(step, st.sampled_from(("one", "two"))),
)


@given(st.lists(_PAYLOADS, max_size=30), st.integers(0, 30))
def test_a_client_that_comes_back_knows_the_last_state_of_every_task(
    payloads: Iterable[Payload], received: int
) -> None:
    """However many frames it has received: with those after the sequence that it has come to."""
    bus = Bus()
    events = [bus.tell(payload) for payload in payloads]
    before = list(joint_frames(events))[:received]
    come_to = before[-1].sequence if before else 0
    after = list(joint_frames(event for event in events if event.sequence > come_to))
    known: dict[str, str] = {}
    for frame in (*before, *after):
        for group in json.loads(frame.text)["data"].get("tasks", ()):
            known.update({f"{frame.environment_id} {one}": group["state"] for one in group["ids"]})
    wanted = {
        f"{event.payload.environmentId} {event.payload.taskid}": event.payload.state
        for event in events
        if isinstance(event.payload, TaskEvent)
    }
    assert known == wanted
