"""The executor as the process of a Mesos agent: a stand-in for the agent, everything else real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred

import aliecs
from aliecs.errors import InvalidInput
from aliecs.executor.start import UNKEPT_PATIENCE_S, MesosStart, parse_duration
from aliecs.protocol import mesos_pb2
from aliecs.protocol.message import (
    AnyExecutorMessage,
    BasicTaskTerminated,
    Command,
    CommandPayload,
    CommandResponse,
    ControlMode,
    ExecutorAnnouncement,
    TaskLogCommand,
    TransitionCommand,
    decode_executor_message,
    target,
)
from test.executor.test_executor import ENVIRONMENT, SAMPLE
from test.executor.watching import MARK, ProcessTestCase, alive, wait_until
from test.ports import free_port
from test.standin.mesos.agent import Agent
from test.standin.mesos.executor import Executor
from test.standin.mesos.pace import Pace, Times

FRAMEWORK = "framework-1"
EXECUTOR = "executor-1"
SOURCES = str(Path(aliecs.__file__).parents[1])

# --- what the agent says --------------------------------------------------------------------------

COMPLETE = {
    "MESOS_FRAMEWORK_ID": "f",
    "MESOS_EXECUTOR_ID": "e",
    "MESOS_SANDBOX": "/sandbox",
    "MESOS_DIRECTORY": "/agent/sandbox",
    "MESOS_AGENT_ENDPOINT": "10.1.2.3:5051",
    "MESOS_CHECKPOINT": "1",
    "MESOS_RECOVERY_TIMEOUT": "15mins",
}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5secs", 5), ("15mins", 900), ("1.5hrs", 5400), ("100ms", 0.1), ("1weeks", 604800),
     ("2days", 172800), ("3us", 3e-6), ("4ns", 4e-9)],
)  # fmt: skip
def test_durations_of_mesos(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "5s", "secs", "-5secs", "5secs ", "5 secs", "1e3secs"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        parse_duration(text)


def test_the_environment_of_an_agent() -> None:
    start = MesosStart.read({**COMPLETE, "MESOS_EXECUTOR_AUTHENTICATION_TOKEN": "secret"})
    assert (start.framework_id, start.executor_id) == ("f", "e")
    assert start.directory == Path("/sandbox")
    assert start.url == "http://10.1.2.3:5051/api/v1/executor"
    assert start.patience_s == 900
    assert start.token == "secret"
    assert "secret" not in repr(start)


def test_an_agent_that_speaks_tls() -> None:
    start = MesosStart.read({**COMPLETE, "LIBPROCESS_SSL_ENABLED": "1"})
    assert start.url == "https://10.1.2.3:5051/api/v1/executor"


def test_an_agent_that_keeps_nothing_is_not_waited_for() -> None:
    start = MesosStart.read({**COMPLETE, "MESOS_CHECKPOINT": "0", "MESOS_RECOVERY_TIMEOUT": ""})
    assert start.patience_s == UNKEPT_PATIENCE_S


def test_everything_that_is_wrong_is_named() -> None:
    with pytest.raises(InvalidInput) as raised:
        MesosStart.read({"MESOS_CHECKPOINT": "true", "MESOS_RECOVERY_TIMEOUT": "soon"})
    for text in ("MESOS_FRAMEWORK_ID is not set", "MESOS_EXECUTOR_ID is not set",
                 "MESOS_SANDBOX is not set", "MESOS_AGENT_ENDPOINT is not set",
                 "MESOS_RECOVERY_TIMEOUT: 'soon' is not a duration"):  # fmt: skip
        assert text in raised.value.message


def test_started_by_nobody_it_says_so() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "aliecs.executor.main"], capture_output=True, text=True, timeout=20,
        check=False, env={"PYTHONPATH": SOURCES},
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith("aliecs-executor: this is started by a Mesos agent, or with")
    assert "Traceback" not in ended.stderr


# --- the agent's side -----------------------------------------------------------------------------


@define(eq=False)
class Above:
    """The master and the core above an agent, in the place of its link: hears everything, and
    acknowledges every update once."""

    agent: Agent
    statuses: list[mesos_pb2.TaskStatus] = field(factory=list)
    messages: list[AnyExecutorMessage] = field(factory=list)
    exits: list[int] = field(factory=list)
    is_open: bool = True

    def to_master(self, method: str, *arguments: Any) -> None:
        """See `link.Link`."""
        if method == "updated":
            framework_id, status, _ = arguments
            self.statuses.append(status)
            reactor.callLater(
                0, self.agent.acknowledge, framework_id, status.task_id.value, status.uuid
            )
        elif method == "messaged":
            self.messages.append(decode_executor_message(arguments[2]))
        elif method == "exited":
            self.exits.append(arguments[2])

    def close(self) -> None:
        """See `link.Link`."""

    def states(self, task_id: str) -> list[str]:
        """What was told of a task."""
        return [
            mesos_pb2.TaskState.Name(status.state)
            for status in self.statuses
            if status.task_id.value == task_id
        ]

    def responses(self, command_id: str) -> list[CommandResponse]:
        """The answers to a command."""
        return [
            message
            for message in self.messages
            if isinstance(message, CommandResponse) and message.id == command_id
        ]


class AgentTest(ProcessTestCase):
    """One agent and its executor."""

    timeout = 60
    times = Times(recovery_timeout_s=30.0, executor_reregistration_s=20.0)

    async def setUp(self) -> None:
        await super().setUp()
        self.program = self.directory / "sample.py"
        self.program.write_text(SAMPLE)
        self.agent = Agent(
            Pace(reactor, 1.0, self.times), "flp001.example", self.directory / "agent", lambda: None
        )
        self.agent.identifier = "agent-1"
        self.above = Above(self.agent)
        await self.start_agent()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.end()))
        self.commands = 0

    async def start_agent(self) -> None:
        await self.agent.start()
        self.agent.link = self.above

    async def end(self) -> None:
        executors = list(self.agent.executors.values())
        await self.agent.kill()
        for executor in executors:
            # In order, so that no task is left.
            executor.container.signal(signal.SIGTERM)
        await wait_until(lambda: not any(one.container.is_running for one in executors))

    def executor_command(self) -> mesos_pb2.CommandInfo:
        command = mesos_pb2.CommandInfo(
            shell=True, value=f"exec {sys.executable} -m aliecs.executor.main"
        )
        command.environment.variables.add(name="PYTHONPATH", value=SOURCES)
        return command

    @property
    def executor(self) -> Executor:
        return self.agent.executors[FRAMEWORK, EXECUTOR]

    @property
    def log(self) -> str:
        return (self.executor.container.sandbox / "stderr").read_text()

    def run_task(self, task_id: str, data: bytes) -> None:
        info = mesos_pb2.TaskInfo(name=f"tasks/sample@1#{task_id}", data=data)
        info.task_id.value = task_id
        info.agent_id.value = self.agent.identifier
        info.executor.executor_id.value = EXECUTOR
        info.executor.framework_id.value = FRAMEWORK
        info.executor.command.CopyFrom(self.executor_command())
        info.executor.command.environment.variables.add(name=MARK, value=self.mark)
        framework = mesos_pb2.FrameworkInfo(user="", name="aliecs", checkpoint=True)
        framework.id.value = FRAMEWORK
        self.agent.run_task(FRAMEWORK, framework, info)

    def run_command(self, task_id: str, value: str, mode: ControlMode, **payload: Any) -> None:
        command = CommandPayload(value=value, shell=True, control_mode=mode, **payload)
        self.run_task(task_id, command.encode())

    async def run_sample(self, task_id: str) -> None:
        port = free_port()
        self.run_command(
            task_id, f"exec {sys.executable} {self.program} --control-port {port}",
            ControlMode.DIRECT, control_port=port,
        )  # fmt: skip
        await self.told(task_id, "TASK_RUNNING")

    async def told(self, task_id: str, *states: str) -> None:
        await wait_until(
            lambda: self.above.states(task_id) == list(states),
            20, lambda: f"{self.above.states(task_id)}\n{self.log}",
        )  # fmt: skip

    async def until(self, condition: Callable[[], object]) -> None:
        await wait_until(condition, 20, lambda: self.log)

    def order(self, kind: type[Command], task_id: str, **content: Any) -> str:
        self.commands += 1
        command = kind(
            id=f"command{self.commands}", environment_id=ENVIRONMENT,
            targets=(target("agent-1", EXECUTOR, task_id),), **content,
        )  # fmt: skip
        self.agent.message(FRAMEWORK, EXECUTOR, command.encode())
        return command.id

    def configure(self, task_id: str) -> str:
        return self.order(
            TransitionCommand, task_id, event="CONFIGURE", source="STANDBY",
            destination="CONFIGURED", arguments={},
        )  # fmt: skip

    async def answered(self, command_id: str) -> CommandResponse:
        await self.until(lambda: self.above.responses(command_id))
        return self.above.responses(command_id)[0]

    def task_pids(self) -> set[int]:
        found = set()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    if str(self.program).encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                        found.add(int(folder.name))
                except OSError:
                    continue
        return found


class OrdinaryDays(AgentTest):
    """Nothing goes wrong, but for tasks."""

    async def test_a_task_is_run_configured_and_killed(self) -> None:
        await self.run_sample("task1")
        announced = [m for m in self.above.messages if isinstance(m, ExecutorAnnouncement)]
        assert len(announced) == 1
        answer = await self.answered(self.configure("task1"))
        assert (answer.error, answer.state) == ("", "CONFIGURED")
        self.agent.kill_task(FRAMEWORK, "task1")
        await self.told("task1", "TASK_RUNNING", "TASK_FINISHED")
        assert not self.task_pids()
        assert self.executor.container.sandbox.stat().st_mode & 0o777 == 0o755
        assert "subscribed as executor-1 on flp001.example" in self.log
        assert "factory" not in self.log
        for status in self.above.statuses:
            assert len(status.uuid) == 16
            assert status.source == mesos_pb2.TaskStatus.SOURCE_EXECUTOR
            assert status.executor_id.value == EXECUTOR

    async def test_many_tasks_and_every_state_in_its_order(self) -> None:
        names = [f"task{number}" for number in range(30)]
        for name in names:
            self.run_command(name, "true", ControlMode.BASIC)
        for name in names:
            await self.until(lambda name=name: self.above.states(name) == ["TASK_RUNNING"])
            self.order(
                TransitionCommand, name, event="START", source="CONFIGURED",
                destination="RUNNING", arguments={},
            )  # fmt: skip
        ended = lambda: {  # noqa: E731
            m.task_id for m in self.above.messages if isinstance(m, BasicTaskTerminated)
        }
        await self.until(lambda: len(ended()) == len(names))

    async def test_what_cannot_be_launched_fails_alone(self) -> None:
        await self.run_sample("task1")
        self.run_task("task2", b"\xff not a payload")
        await self.told("task2", "TASK_FAILED")
        self.run_task("task3", b"")
        await self.told("task3", "TASK_FAILED")
        self.agent.kill_task(FRAMEWORK, "task9")
        answer = await self.answered(self.order(TaskLogCommand, "task1", stream="stdout"))
        assert answer.error == ""
        assert self.above.states("task1") == ["TASK_RUNNING"]

    async def test_told_to_shut_down_it_says_its_last_words(self) -> None:
        await self.run_sample("task1")
        await self.run_sample("task2")
        self.agent.shutdown_executor(FRAMEWORK, EXECUTOR)
        await self.until(lambda: self.above.exits)
        assert self.above.exits == [0]
        for name in ("task1", "task2"):
            assert self.above.states(name)[-1] in ("TASK_FINISHED", "TASK_KILLED")
        assert not self.task_pids()


class BadDays(AgentTest):
    """The agent goes, or does not listen."""

    async def test_an_agent_that_is_started_again_finds_its_tasks(self) -> None:
        await self.run_sample("task1")
        await self.run_sample("task2")
        before = self.task_pids()
        await self.agent.kill()
        first = min(before)
        os.kill(first, signal.SIGKILL)
        await wait_until(lambda: not alive(first))
        await self.start_agent()
        await self.until(lambda: len(self.above.statuses) == 3)
        failed = self.above.statuses[-1]
        assert failed.state == mesos_pb2.TASK_FAILED
        assert self.task_pids() == before - {first}
        other = ({"task1", "task2"} - {failed.task_id.value}).pop()
        assert (await self.answered(self.configure(other))).state == "CONFIGURED"

    async def test_a_stream_cut_in_the_middle_of_a_record(self) -> None:
        await self.run_sample("task1")
        before = self.task_pids()
        self.agent.faults.add("cut", "MESSAGE")
        lost = self.configure("task1")
        await self.until(lambda: self.log.count("subscribed as") == 2)
        assert not self.above.responses(lost)
        assert (await self.answered(self.configure("task1"))).state == "CONFIGURED"
        assert self.task_pids() == before

    async def test_updates_that_are_refused_lost_or_unanswered_arrive(self) -> None:
        await self.run_sample("task1")
        self.agent.faults.add("refuse", "UPDATE", status=503, text="not now")
        self.agent.faults.add("ignore", "UPDATE")
        self.agent.faults.add("refuse", "SUBSCRIBE", status=503)
        self.agent.kill_task(FRAMEWORK, "task1")
        await self.until(lambda: "not now" in self.log or len(self.above.states("task1")) > 1)
        await self.told("task1", "TASK_RUNNING", "TASK_FINISHED")

    async def test_an_update_whose_answer_is_lost_counts_once(self) -> None:
        await self.run_sample("task1")
        self.agent.faults.add("drop", "UPDATE")
        self.agent.kill_task(FRAMEWORK, "task1")
        await self.until(lambda: self.log.count("subscribed as") == 2)
        # Told twice, under the same id: so it is known for the same.
        await self.told("task1", "TASK_RUNNING", "TASK_FINISHED", "TASK_FINISHED")
        assert len({status.uuid for status in self.above.statuses}) == 2

    async def test_an_answer_that_cannot_be_delivered_is_kept(self) -> None:
        await self.run_sample("task1")
        self.agent.faults.add("refuse", "MESSAGE", status=500, count=2)
        assert (await self.answered(self.configure("task1"))).state == "CONFIGURED"

    async def test_a_call_that_the_agent_does_not_want_is_given_up(self) -> None:
        await self.run_sample("task1")
        self.agent.faults.add("refuse", "MESSAGE", status=400, text="a strange message")
        first = self.configure("task1")
        await self.until(lambda: "a strange message: MESSAGE is given up" in self.log)
        second = self.order(TaskLogCommand, "task1", stream="stdout")
        assert (await self.answered(second)).error == ""
        assert not self.above.responses(first)
        assert self.log.count("subscribed as") == 1


class GoneForGood(AgentTest):
    """The agent does not come back."""

    times = Times(recovery_timeout_s=1.0)

    async def test_nothing_outlives_the_patience_of_the_executor(self) -> None:
        await self.run_sample("task1")
        await self.agent.kill()
        await wait_until(lambda: not self.executor.container.is_running, 20)
        assert self.executor.status == 0
        assert "ending: nobody was there for 1 s" in self.log
        assert not self.task_pids()
