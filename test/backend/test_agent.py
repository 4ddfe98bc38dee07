"""The core in the part of an agent, towards an executor that is only played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.task import Clock

from aliecs.backend.agent import ABSENCE_S, Agent, ExecutorCommand
from aliecs.backend.host import HostDefinition
from aliecs.backend.ports import PortClaims
from aliecs.errors import Unavailable
from aliecs.interfaces import TaskLaunch
from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_executor_pb2 import Call, Event
from test.backend.test_local import Observer


@define(eq=False)
class Connection:
    """What the agent sends, for as long as anybody reads."""

    events: list[Event] = field(factory=list)
    stuck: bool = False
    closed: bool = False

    def send(self, event: Event) -> None:
        if self.stuck:
            raise Unavailable("it does not read")
        self.events.append(event)

    def close(self) -> None:
        self.closed = True

    def kinds(self) -> list[str]:
        return [Event.Type.Name(event.type) for event in self.events]


class Scene:
    """One host with time in hand."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.observer = Observer()
        executors = ExecutorCommand(
            command=("aliecs-executor",), environment={"PATH": "/bin"}, directory=folder,
            socket=folder / "s", token_file=folder / "t", framework_id="framework",
            shell="/bin/sh", shared_memory_cleaner="", recovery_timeout_s=10,
            stream_bytes=100, log_bytes=1000,
        )  # fmt: skip
        self.ports = PortClaims(folder=folder / "ports").claim()
        definition = HostDefinition(
            "flp001", path=("/opt/bin",), environment={"SITE": "P2"}, cpus=1, memory_mb=100
        )
        self.agent = Agent(
            self.clock, definition, "agent", self.ports, executors, self.observer,
            lambda: "executor", lambda: None,
        )  # fmt: skip
        self.agent.executor_id = "executor"

    def connect(self, **subscribe: Any) -> Connection:
        connection: Any = Connection()
        call = Call(type=Call.SUBSCRIBE, subscribe=Call.Subscribe(**subscribe))
        self.agent.called(connection, call)
        return connection

    def launch(self, task_id: str, cpus: float = 0.1) -> None:
        offer = self.agent.offer()
        assert offer is not None
        self.agent.accept(offer, [TaskLaunch(task_id, f"c#{task_id}", cpus, 1, (), b"{}")])
        self.clock.advance(0)

    def update(self, connection: Any, task_id: str, state: int) -> mesos_pb2.TaskStatus:
        status = mesos_pb2.TaskStatus(
            task_id=mesos_pb2.TaskID(value=task_id),
            state=mesos_pb2.TaskState.Name(state),
            uuid=b"u" * 16,
        )
        self.agent.called(connection, Call(type=Call.UPDATE, update=Call.Update(status=status)))
        return status


@pytest.fixture
def scene(tmp_path: Path) -> Any:
    made = Scene(tmp_path)
    yield made
    made.ports.release()


def task_info(task_id: str) -> mesos_pb2.TaskInfo:
    return mesos_pb2.TaskInfo(task_id=mesos_pb2.TaskID(value=task_id))


def test_a_task_from_launch_to_end(scene: Scene) -> None:
    connection = scene.connect()
    scene.launch("one")
    scene.update(connection, "one", mesos_pb2.TASK_RUNNING)
    scene.update(connection, "one", mesos_pb2.TASK_FINISHED)
    assert scene.observer.states("one") == ["TASK_RUNNING", "TASK_FINISHED"]
    assert connection.kinds() == ["SUBSCRIBED", "LAUNCH", "ACKNOWLEDGED", "ACKNOWLEDGED"]
    assert connection.events[2].acknowledged.uuid == b"u" * 16
    assert scene.agent.info().tasks == 0


def test_a_launch_that_never_arrived_is_lost_and_one_that_did_is_not(scene: Scene) -> None:
    connection = scene.connect()
    scene.launch("lost")
    scene.launch("arrived")
    scene.launch("running")
    scene.update(connection, "running", mesos_pb2.TASK_RUNNING)
    scene.connect(unacknowledged_tasks=[task_info("arrived")])
    assert connection.closed
    assert scene.observer.states("lost") == ["TASK_LOST"]
    assert "the launch was lost" in scene.observer.last("lost").message
    assert scene.observer.states("arrived") == []
    assert scene.observer.states("running") == ["TASK_RUNNING"]
    assert scene.agent.ledger.tasks.keys() == {"arrived", "running"}


def test_updates_that_were_not_acknowledged_count_again(scene: Scene) -> None:
    scene.connect()
    scene.launch("one")
    status = mesos_pb2.TaskStatus(
        task_id=mesos_pb2.TaskID(value="one"), state=mesos_pb2.TASK_FAILED, message="exit code 3",
        uuid=b"x" * 16,
    )  # fmt: skip
    again = scene.connect(
        unacknowledged_tasks=[task_info("one")],
        unacknowledged_updates=[Call.Update(status=status)],
    )
    assert scene.observer.last("one").message == "exit code 3"
    assert again.kinds() == ["SUBSCRIBED", "ACKNOWLEDGED"]


def test_a_kill_is_told_again_until_the_task_ends(scene: Scene) -> None:
    first = scene.connect()
    scene.launch("one")
    scene.agent.kill("one")
    second = scene.connect(unacknowledged_tasks=[task_info("one")])
    scene.update(second, "one", mesos_pb2.TASK_KILLED)
    third = scene.connect()
    assert [connection.kinds()[-1] for connection in (first, second, third)] == [
        "KILL", "ACKNOWLEDGED", "SUBSCRIBED",
    ]  # fmt: skip
    assert "KILL" in second.kinds()


def test_a_short_absence_is_not_told(scene: Scene) -> None:
    connection: Any = scene.connect()
    scene.agent.disconnected(connection, "broken")
    scene.clock.advance(ABSENCE_S / 2)
    connection = scene.connect()
    scene.clock.advance(10)
    assert scene.observer.events == []
    scene.agent.disconnected(connection, "broken")
    scene.clock.advance(ABSENCE_S)
    scene.connect()
    assert scene.observer.events == ["unreachable flp001", "returned flp001"]


def test_a_host_out_of_reach_offers_nothing_and_loses_what_is_launched(scene: Scene) -> None:
    connection: Any = scene.connect()
    offer = scene.agent.offer()
    assert offer is not None
    scene.agent.disconnected(connection, "broken")
    scene.agent.accept(offer, [TaskLaunch("one", "c#one", 1, 1, (), b"{}")])
    scene.clock.advance(0)
    assert scene.observer.states("one") == ["TASK_LOST"]
    assert scene.agent.offer() is None
    scene.connect()
    offer = scene.agent.offer()
    assert offer is not None and offer.cpus == 1


def test_an_executor_that_does_not_read_costs_nobody_a_task(scene: Scene) -> None:
    connection = scene.connect()
    scene.launch("one")
    connection.stuck = True
    scene.agent.kill("one")
    scene.update(connection, "one", mesos_pb2.TASK_RUNNING)
    with pytest.raises(Unavailable):
        scene.agent.message(b"{}")
    connection = scene.connect()
    assert "KILL" in connection.kinds()


def test_an_offer_counts_once(scene: Scene) -> None:
    scene.connect()
    offer = scene.agent.offer()
    assert offer is not None and scene.agent.offer() is None
    scene.agent.accept(offer, [])
    scene.agent.accept(offer, [TaskLaunch("late", "c#late", 0.1, 1, (), b"{}")])
    scene.clock.advance(0)
    assert scene.observer.states("late") == ["TASK_DROPPED"]


def test_a_duplicate_leaves_the_first_as_it_is(scene: Scene) -> None:
    scene.connect()
    scene.launch("one", cpus=0.5)
    scene.launch("one", cpus=0.5)
    assert scene.observer.states("one") == ["TASK_ERROR"]
    assert scene.agent.ledger.cpus_used == 0.5


def test_a_fault_of_the_observer_costs_no_acknowledgement(scene: Scene) -> None:
    connection = scene.connect()
    scene.launch("one")

    def fail(update: object) -> None:
        raise RuntimeError("a fault of the observer")

    scene.observer.task_status = fail  # type: ignore[method-assign,assignment]
    scene.update(connection, "one", mesos_pb2.TASK_FINISHED)
    assert connection.kinds()[-1] == "ACKNOWLEDGED"
    assert scene.agent.ledger.tasks == {}


def test_calls_before_a_subscription_mean_nothing(scene: Scene) -> None:
    connection: Any = Connection()
    scene.update(connection, "one", mesos_pb2.TASK_FINISHED)
    assert scene.observer.updates == []


def test_what_an_executor_is_started_with(scene: Scene, tmp_path: Path) -> None:
    command = scene.agent.executors
    assert command.environment_of(scene.agent.definition) == {
        "PATH": "/opt/bin:/bin",
        "SITE": "P2",
    }
    arguments = command.arguments("flp001", "executor")
    assert arguments[0] == "aliecs-executor"
    assert f"--directory={tmp_path}/hosts/flp001" in arguments
    assert "--detach" in arguments
    assert not any("token" in a and str(tmp_path) not in a for a in arguments)
