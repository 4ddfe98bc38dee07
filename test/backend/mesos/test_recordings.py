"""Recorded conversations with a real master and real agents, fed to the backend event by event.

The schedulers that were recorded had no second thoughts; what is looked at here is what ours makes
of the same events: what it tells, what it acknowledges, and that nobody dies who is alive.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from aliecs.backend.mesos.task import KnownTask
from aliecs.interfaces import MesosState
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from test.backend.mesos.house import FakeMaster, House
from test.mesos_recording import Line, recording, scenarios

RUNNING, KILLED = MesosState.TASK_RUNNING, MesosState.TASK_KILLED
STARTING, FAILED = MesosState.TASK_STARTING, MesosState.TASK_FAILED
FINISHED = MesosState.TASK_FINISHED


def event_of(line: Line) -> Event | None:
    """The event of the scheduler's stream that a line is, in either encoding."""
    if line.kind != "record" or not line.is_with_scheduler or line.get("body_elided"):
        return None
    document = line.document()
    if not isinstance(document, dict) or "get_state" in document.get("subscribed", {}):
        return None
    binary = line.binary()
    if binary is not None:
        return Event.FromString(binary)
    return ParseDict(document, Event(), ignore_unknown_fields=True)


class Replay:
    """One recording, and a backend that hears it. Launches and subscriptions are those recorded."""

    def __init__(self, scenario: str, stream: str = "scheduler") -> None:
        self.house = House()
        self.house.master.framework_id = ""
        self.house.run(self.house.backend.start(self.house.observer), 16.0)
        self.uuids: Counter[bytes] = Counter()
        for line in recording(scenario):
            if stream in (line["from"], line.get("to")):
                self._line(line)

    @property
    def master(self) -> FakeMaster:
        return self.house.master

    def _line(self, line: Line) -> None:
        document = line.document()
        if line.kind == "request" and isinstance(document, dict):
            self._request(document)
        event = event_of(line)
        if event is None:
            return
        if event.type == Event.SUBSCRIBED:
            self._begin_stream()
        self.uuids[event.update.status.uuid] += bool(event.update.status.uuid)
        self.master.stream.push(event)

    def _begin_stream(self) -> None:
        if self.house.backend.link.is_subscribed:
            self.master.stream.cut()
        while not self.master.streams or not self.master.stream.is_open:
            self.house.pass_time(1)

    def _request(self, document: dict[str, Any]) -> None:
        """Take note of what the recorded scheduler launched and killed."""
        for operation in document.get("accept", {}).get("operations", ()):
            for info in operation.get("launch", {}).get("task_infos", ()):
                self._launched(info["task_id"]["value"], info["agent_id"]["value"])

    def _launched(self, task_id: str, agent_id: str) -> None:
        if self.house.backend.tasks.get(task_id) is None:
            self.house.backend.tasks.add(KnownTask(task_id, agent_id))

    def states(self, task_id: str) -> list[MesosState]:
        return self.house.observer.states(task_id)

    def events(self) -> list[str]:
        return [event[0] for event in self.house.observer.events]

    def acknowledged(self) -> Counter[bytes]:
        return Counter(call.acknowledge.uuid for call in self.master.of_type(Call.ACKNOWLEDGE))


@pytest.mark.parametrize("scenario", scenarios())
def test_every_conversation_is_followed(scenario: str) -> None:
    replay = Replay(scenario)
    # Whatever has a uuid is acknowledged each time it comes, and nothing else is.
    assert replay.acknowledged() == replay.uuids
    for task_id in {update.task_id for update in replay.house.observer.updates}:
        states = replay.states(task_id)
        ends = [state for state in states if state.is_terminal]
        # Some of the test schedulers launch a task of the same id again.
        if not any(word in scenario for word in ("errors", "killed", "stream-closed")):
            assert len(ends) <= 1, (task_id, states)
            assert not ends or states[-1] is ends[0]


BOTH = pytest.mark.parametrize("encoding", ["json", "protobuf"])


@BOTH
def test_launch_and_kill(encoding: str) -> None:
    replay = Replay(f"02-launch-message-kill-{encoding}")
    assert replay.states("task-1")[:2] == [STARTING, RUNNING]
    assert replay.house.observer.messages[0][2] == b"echo:hello \x00\xff binary"
    assert "executor_lost" in replay.events()
    hosts = replay.house.backend.hosts()
    assert [host.name for host in hosts] == ["host1.example"]
    assert hosts[0].attributes == {"detector": "TST", "machine_type": "flp", "rack": "1"}


@BOTH
def test_an_agent_that_was_unreachable(encoding: str) -> None:
    replay = Replay(f"07-agent-lost-partition-aware-{encoding}")
    assert replay.events() == ["agent_unreachable", "agent_returned"]
    assert replay.states("task-1") == replay.states("task-2") == [STARTING, RUNNING]


@BOTH
def test_tasks_that_an_older_master_calls_lost(encoding: str) -> None:
    replay = Replay(f"07b-agent-lost-not-aware-{encoding}")
    assert replay.events() == ["agent_unreachable", "agent_returned"]
    assert replay.states("task-1") == [STARTING, RUNNING]


@BOTH
def test_a_master_without_memory(encoding: str) -> None:
    replay = Replay(f"06-master-restart-in-memory-{encoding}")
    assert replay.states("task-1") == [STARTING, RUNNING, KILLED]
    assert replay.states("task-2") == [STARTING, RUNNING, FINISHED]
    assert replay.events() == ["agent_unreachable", "agent_returned"]


@BOTH
def test_an_executor_that_died_while_its_agent_was_away(encoding: str) -> None:
    replay = Replay(f"08b-agent-restart-executor-lost-{encoding}")
    assert replay.states("task-2") == [RUNNING, FAILED]
    assert replay.states("task-1") == [STARTING, RUNNING]


@BOTH
def test_what_does_not_come_to_be(encoding: str) -> None:
    replay = Replay(f"10c-errors-partition-aware-{encoding}")
    assert replay.states("task-1") == [MesosState.TASK_DROPPED]
    assert replay.states("task-2") == [MesosState.TASK_ERROR]
    assert replay.states("task-3") == [STARTING, RUNNING, KILLED]


@BOTH
def test_a_framework_that_was_removed(encoding: str) -> None:
    replay = Replay(f"04b-failover-timeout-{encoding}")
    ids = [call.framework_id.value for _, call in replay.master.subscriptions]
    assert ids[0] == ids[-1] == ""
    assert replay.house.memory.texts["mesos_fid"].endswith("-0001")
    assert replay.states("task-1")[-1] is MesosState.TASK_GONE
