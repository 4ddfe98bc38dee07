"""The executor API over connections that break, with time in hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from aliecs.errors import Unavailable
from aliecs.executor import agent
from aliecs.executor.agent import AgentSession, Connection
from aliecs.executor.waiting import Happening
from aliecs.protocol import mesos_pb2
from aliecs.protocol.combined import combine_commands, combine_messages, separate
from aliecs.protocol.mesos_executor_pb2 import Call, Event


@define
class FakeConnection:
    """One connection; what was sent over it."""

    receive: Callable[[Event], None]
    resume: Callable[[], None]
    calls: list[Call]
    lost: Happening[str] = field(factory=Happening)
    is_writable: bool = True
    closed: bool = False
    unanswered: Call | None = None

    def send(self, call: Call) -> None:
        self.calls.append(call)

    def close(self) -> None:
        self.closed = True
        self.lost.happen("closed")

    def subscribed(self) -> None:
        self.receive(Event(type=Event.SUBSCRIBED, subscribed=Event.Subscribed()))

    def acknowledge(self, status: mesos_pb2.TaskStatus) -> None:
        acknowledged = Event.Acknowledged(task_id=status.task_id, uuid=status.uuid)
        self.receive(Event(type=Event.ACKNOWLEDGED, acknowledged=acknowledged))


@define
class FakeTransport:
    """An agent that is there, or not."""

    present: bool = True
    answer: Deferred[None] | None = None
    """What it waits for before it answers."""
    connections: list[FakeConnection] = field(factory=list)
    attempts: int = 0

    async def subscribe(
        self, call: Call, receive: Callable[[Event], None], resume: Callable[[], None]
    ) -> Connection:
        self.attempts += 1
        if not self.present:
            raise Unavailable("nobody is there")
        if self.answer is not None:
            await self.answer
        self.connections.append(FakeConnection(receive, resume, [call]))
        return self.connections[-1]


@define
class Heard:
    """What the session passes on."""

    what: list[str] = field(factory=list)

    def subscribed(self, event: Event.Subscribed) -> None:
        self.what.append("subscribed")

    def launch(self, task: mesos_pb2.TaskInfo) -> None:
        self.what.append(f"launch {task.task_id.value}")

    def kill(self, task_id: str) -> None:
        self.what.append(f"kill {task_id}")

    def message(self, data: bytes) -> None:
        self.what.append(f"message {data.decode()}")

    def asked_who(self) -> None:
        self.what.append("asked who")

    def shutdown(self) -> None:
        self.what.append("shutdown")

    def abandoned(self, seconds: float) -> None:
        self.what.append(f"abandoned after {seconds:g}")


@define
class Scene:
    """A session with everything around it."""

    clock: Clock = field(factory=Clock)
    transport: FakeTransport = field(factory=FakeTransport)
    heard: Heard = field(factory=Heard)
    session: AgentSession = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.session = AgentSession(
            self.clock, self.transport, "executor", "framework", 10, self.heard
        )
        self.session.start()

    @property
    def connection(self) -> FakeConnection:
        return self.transport.connections[-1]

    def stop(self) -> None:
        Deferred.fromCoroutine(self.session.stop()).addErrback(pytest.fail)

    def reconnect(self) -> None:
        count = len(self.transport.connections)
        self.connection.lost.happen("broken")
        self.clock.pump([0.1] * 30)
        assert len(self.transport.connections) == count + 1


def task(task_id: str) -> mesos_pb2.TaskInfo:
    return mesos_pb2.TaskInfo(task_id=mesos_pb2.TaskID(value=task_id))


def launch(task_id: str) -> Event:
    return Event(type=Event.LAUNCH, launch=Event.Launch(task=task(task_id)))


def status(task_id: str, number: int) -> mesos_pb2.TaskStatus:
    return mesos_pb2.TaskStatus(
        task_id=mesos_pb2.TaskID(value=task_id),
        state=mesos_pb2.TASK_RUNNING,
        uuid=number.to_bytes(16, "big"),
    )


def kinds(connection: FakeConnection) -> list[str]:
    return [Call.Type.Name(call.type) for call in connection.calls]


def test_every_event_is_passed_on() -> None:
    scene = Scene()
    (subscribe,) = scene.connection.calls
    assert subscribe.type == Call.SUBSCRIBE
    assert (subscribe.executor_id.value, subscribe.framework_id.value) == ("executor", "framework")
    scene.connection.subscribed()
    for event in (
        launch("a"),
        Event(
            type=Event.LAUNCH_GROUP,
            launch_group=Event.LaunchGroup(
                task_group=mesos_pb2.TaskGroupInfo(tasks=[task("b"), task("c")])
            ),
        ),
        Event(type=Event.KILL, kill=Event.Kill(task_id=mesos_pb2.TaskID(value="a"))),
        Event(type=Event.MESSAGE, message=Event.Message(data=b"hi")),
        Event(type=Event.HEARTBEAT),
        Event(),
        Event(type=Event.SHUTDOWN),
    ):
        scene.connection.receive(event)
    assert scene.heard.what == [
        "subscribed", "launch a", "launch b", "launch c", "kill a", "message hi", "shutdown",
    ]  # fmt: skip
    scene.stop()


def test_what_happens_while_the_agent_thinks_about_a_subscription_is_told() -> None:
    scene = Scene()
    scene.connection.subscribed()
    scene.session.update(status("a", 1))
    scene.transport.answer = Deferred()
    scene.connection.lost.happen("broken")
    scene.clock.pump([0.1] * 5)
    scene.session.update(status("a", 2))
    scene.transport.answer.callback(None)
    subscribe, *_ = scene.connection.calls
    assert [u.status.uuid[-1] for u in subscribe.subscribe.unacknowledged_updates] == [1]
    scene.connection.subscribed()
    assert [call.update.status.uuid[-1] for call in scene.connection.calls[1:]] == [2]
    scene.stop()


def test_a_message_that_nobody_answered_is_told_again() -> None:
    scene = Scene()
    scene.connection.subscribed()
    scene.session.message(b"hi")
    scene.connection.unanswered = scene.connection.calls[-1]
    scene.reconnect()
    scene.connection.subscribed()
    assert [call.message.data for call in scene.connection.calls[1:]] == [b"hi"]
    scene.stop()


def test_the_last_words_are_waited_for_but_not_for_ever() -> None:
    scene = Scene()
    scene.connection.subscribed()
    scene.connection.is_writable = False
    scene.session.message(b"bye")
    scene.stop()
    assert not scene.connection.closed
    scene.connection.is_writable = True
    scene.connection.resume()
    assert scene.connection.closed
    assert scene.connection.calls[-1].message.data == b"bye"

    scene = Scene()
    scene.connection.subscribed()
    scene.connection.is_writable = False
    scene.session.message(b"bye")
    scene.stop()
    scene.clock.advance(agent.FAREWELL_S)
    assert scene.connection.closed


def test_what_is_not_acknowledged_is_told_again() -> None:
    scene = Scene()
    scene.connection.subscribed()
    scene.connection.receive(launch("a"))
    scene.connection.receive(launch("b"))
    first, second = status("a", 1), status("a", 2)
    scene.session.update(first)
    scene.session.update(second)
    assert kinds(scene.connection) == ["SUBSCRIBE", "UPDATE", "UPDATE"]
    scene.connection.acknowledge(first)
    scene.reconnect()
    (again,) = scene.connection.calls
    tasks = [info.task_id.value for info in again.subscribe.unacknowledged_tasks]
    assert tasks == ["b"]
    assert [u.status for u in again.subscribe.unacknowledged_updates] == [second]
    scene.connection.subscribed()
    assert len(scene.connection.calls) == 1
    scene.stop()


def test_what_happens_between_subscribing_and_being_subscribed_is_sent_once() -> None:
    scene = Scene()
    scene.session.update(status("a", 1))
    scene.session.message(b"early")
    assert kinds(scene.connection) == ["SUBSCRIBE"]
    scene.connection.subscribed()
    assert kinds(scene.connection) == ["SUBSCRIBE", "UPDATE", "MESSAGE"]
    scene.stop()


def test_what_happens_without_an_agent_waits() -> None:
    scene = Scene(transport=FakeTransport(present=False))
    scene.session.update(status("a", 1))
    scene.session.message(b"kept")
    scene.transport.present = True
    scene.clock.pump([0.1] * 30)
    (subscribe,) = scene.connection.calls
    assert len(subscribe.subscribe.unacknowledged_updates) == 1
    scene.connection.subscribed()
    assert [call.message.data for call in scene.connection.calls[1:]] == [b"kept"]
    scene.stop()


def test_messages_are_bounded_and_updates_are_not_dropped_for_them() -> None:
    scene = Scene(transport=FakeTransport(present=False))
    scene.session.update(status("a", 1))
    for number in range(agent.MAXIMUM_MESSAGES + 5):
        scene.session.message(b"%d" % number)
    scene.transport.present = True
    scene.clock.pump([0.1] * 30)
    scene.connection.subscribed()
    sent = [call.message.data for call in scene.connection.calls[1:]]
    assert len(sent) == agent.MAXIMUM_MESSAGES
    assert sent[0] == b"5"
    assert len(scene.connection.calls[0].subscribe.unacknowledged_updates) == 1
    scene.stop()


def test_updates_that_nobody_acknowledges_are_bounded() -> None:
    scene = Scene(transport=FakeTransport(present=False))
    for number in range(agent.MAXIMUM_UPDATES + 3):
        scene.session.update(status("a", number))
    scene.transport.present = True
    scene.clock.pump([0.1] * 30)
    updates = scene.connection.calls[0].subscribe.unacknowledged_updates
    assert len(updates) == agent.MAXIMUM_UPDATES
    assert updates[0].status.uuid == (3).to_bytes(16, "big")
    scene.stop()


def test_an_agent_that_does_not_read_is_not_written_to() -> None:
    scene = Scene()
    scene.connection.subscribed()
    scene.connection.is_writable = False
    scene.session.message(b"one")
    scene.session.update(status("a", 1))
    assert kinds(scene.connection) == ["SUBSCRIBE"]
    scene.connection.is_writable = True
    scene.connection.resume()
    assert kinds(scene.connection) == ["SUBSCRIBE", "MESSAGE", "UPDATE"]
    scene.stop()


def test_retries_become_rarer_and_begin_anew_after_success() -> None:
    scene = Scene(transport=FakeTransport(present=False))
    scene.clock.pump([0.01] * 950)
    assert 8 <= scene.transport.attempts <= 14
    scene.stop()


def test_patience_ends_once_and_only_without_a_subscription() -> None:
    scene = Scene()
    scene.clock.advance(9)
    scene.connection.subscribed()
    scene.clock.advance(100)
    assert scene.heard.what == ["subscribed"]
    scene.transport.present = False
    scene.connection.lost.happen("broken")
    scene.clock.pump([1] * 12)
    assert scene.heard.what == ["subscribed", "abandoned after 10"]
    scene.stop()


def test_a_connection_without_a_subscription_does_not_count() -> None:
    scene = Scene()
    scene.clock.advance(11)
    assert scene.heard.what == ["abandoned after 10"]
    scene.stop()


def test_an_error_event_leads_to_a_new_subscription() -> None:
    scene = Scene()
    scene.connection.subscribed()
    first = scene.connection
    first.receive(Event(type=Event.ERROR, error=Event.Error(message="failed over")))
    assert first.closed
    scene.clock.pump([0.1] * 10)
    assert scene.connection is not first
    scene.stop()


def test_stopping_says_what_is_left_and_leaves_no_timer() -> None:
    scene = Scene()
    scene.connection.subscribed()
    scene.session.update(status("a", 1))
    scene.stop()
    assert kinds(scene.connection) == ["SUBSCRIBE", "UPDATE"]
    assert scene.connection.closed
    scene.clock.pump([1] * 30)
    assert len(scene.transport.connections) == 1
    assert scene.clock.getDelayedCalls() == []


def messages_of(scene: Scene) -> list[bytes]:
    return [call.message.data for call in scene.connection.calls if call.type == Call.MESSAGE]


def say(scene: Scene, data: bytes) -> None:
    scene.connection.receive(Event(type=Event.MESSAGE, message=Event.Message(data=data)))


def test_to_a_core_that_combines_what_waits_is_told_together() -> None:
    scene = Scene()
    scene.connection.subscribed()
    say(scene, combine_commands([b'{"a":1}', b'{"b":2}']))
    assert scene.heard.what[-2:] == ['message {"a":1}', 'message {"b":2}']
    scene.session.message(b"1")
    assert messages_of(scene) == [b"1"]
    scene.connection.is_writable = False
    for data in (b"2", b"3"):
        scene.session.message(data)
    scene.session.update(status("task", 1))
    scene.session.message(b"4")
    scene.connection.is_writable = True
    scene.connection.resume()
    # An update keeps its place among messages.
    assert [call.type for call in scene.connection.calls[2:]] == [
        Call.MESSAGE,
        Call.UPDATE,
        Call.MESSAGE,
    ]
    together, alone = messages_of(scene)[1:]
    assert separate(together) == [b"2", b"3"]
    assert alone == b"4"


def test_what_is_combined_already_is_not_combined_again() -> None:
    scene = Scene()
    scene.connection.subscribed()
    say(scene, combine_commands([]))
    scene.connection.unanswered = Call(
        type=Call.MESSAGE, message=Call.Message(data=combine_messages([b"1", b"2"]))
    )
    scene.connection.lost.happen("broken")
    scene.session.message(b"3")
    scene.clock.pump([0.1] * 30)
    scene.connection.subscribed()
    first, second = messages_of(scene)
    assert separate(first) == [b"1", b"2"]
    assert second == b"3"


def test_to_a_core_that_does_not_combine_nothing_is_combined() -> None:
    scene = Scene()
    scene.connection.subscribed()
    say(scene, combine_commands([b"{}"]))
    say(scene, b"{}")
    scene.connection.is_writable = False
    for data in (b"1", b"2"):
        scene.session.message(data)
    scene.connection.is_writable = True
    scene.connection.resume()
    assert messages_of(scene) == [b"1", b"2"]
