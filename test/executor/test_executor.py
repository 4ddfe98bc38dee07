"""The executor with real processes, its agent in memory: tasks of all kinds, well and ill."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import pwd
import signal
import sys
from typing import Any

import grpc
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from aliecs.executor.executor import Executor, ExecutorSettings
from aliecs.executor.task import Times
from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_executor_pb2 import Call, Event
from aliecs.protocol.message import (
    AnnounceTaskPid,
    AnyExecutorMessage,
    BasicTaskTerminated,
    CleanSharedMemoryCommand,
    Command,
    CommandPayload,
    CommandResponse,
    ControlMode,
    DeviceEvent,
    TaskLogCommand,
    TransitionCommand,
    TriggerHookCommand,
    decode_executor_message,
    target,
)
from test.executor.test_agent import FakeTransport
from test.executor.watching import MARK, ProcessTestCase, alive, read_pid, wait_until
from test.ports import free_port
from test.standin.fault import VARIABLE
from test.standin.install import install

SAMPLE = """
import os, signal, sys, time
from aliecs.occ import Task, run

behaviour = sys.argv[1] if len(sys.argv) > 1 else ""
if behaviour == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(100)
if behaviour == "silent":
    time.sleep(100)

class Sample(Task):
    def configure(self, properties):
        if "hang" in properties:
            time.sleep(100)
        if "fail" in properties:
            raise ValueError("the card is not there")
    def iterate_running(self):
        if behaviour == "short":
            return False
        time.sleep(0.01)
        return True
    def exit(self):
        if behaviour == "stays":
            os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "100")

run(Sample("sample"))
"""

TIMES = Times(
    connect_s=8,
    poll_s=0.05,
    standby_s=2,
    get_state_s=1,
    running_s=0.05,
    kill_transition_s=1,
    kill_done_s=1,
    kill_terminate_s=0.3,
    kill_interrupt_s=0.3,
    hook_grace_s=0.5,
    event_retry_s=0.1,
)
ENVIRONMENT = "2oDvieFrVTi"
CHANNEL = {
    "chans.data.numSockets": "1",
    "chans.data.0.address": "ipc://@aliecs-test-executor",
    "chans.data.0.method": "bind",
    "chans.data.0.type": "pull",
    "chans.data.0.transport": "default",
}


@functools.cache
def warm_up() -> None:
    """gRPC keeps descriptors while there is any channel: here, from now on, so that they do not
    come and go with those of a test. It looks for a loop, which `asyncio.run` in a test before this
    has taken away."""
    loop: Any = reactor
    asyncio.set_event_loop(loop._asyncioEventloop)
    grpc.aio.init_grpc_aio()


class ExecutorTest(ProcessTestCase):
    """An executor of its own for each test."""

    timeout = 60
    times = TIMES
    cleaner = ""

    async def setUp(self) -> None:
        warm_up()
        await super().setUp()
        self.program = self.directory / "sample.py"
        self.program.write_text(SAMPLE)
        self.transport = FakeTransport()
        settings = ExecutorSettings(
            host="flp001",
            executor_id="executor",
            framework_id="framework",
            directory=self.directory / "sandbox",
            shared_memory_cleaner=self.cleaner,
            environment={**os.environ, MARK: self.mark},
            times=self.times,
        )
        self.executor = Executor(reactor, settings, self.transport)
        self.running = Deferred.fromCoroutine(self.executor.run())
        self.transport.connections[-1].subscribed()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.end()))
        self.commands = 0

    async def end(self) -> None:
        self.executor.end("the test is over", grace_s=0.1)
        await self.running

    # --- what the agent does ---------------------------------------------------------------------

    def send(self, event: Event) -> None:
        self.transport.connections[-1].receive(event)

    def launch(self, task_id: str, data: bytes) -> None:
        labels = {"environmentId": ENVIRONMENT, "detector": "TST"}
        info = mesos_pb2.TaskInfo(
            name=f"tasks/sample@1#{task_id}",
            task_id=mesos_pb2.TaskID(value=task_id),
            agent_id=mesos_pb2.AgentID(value="agent"),
            data=data,
            labels=mesos_pb2.Labels(
                labels=[mesos_pb2.Label(key=k, value=v) for k, v in labels.items()]
            ),
        )
        self.send(Event(type=Event.LAUNCH, launch=Event.Launch(task=info)))

    def launch_command(self, task_id: str, value: str, mode: ControlMode, **payload: Any) -> None:
        command = CommandPayload(value=value, shell=True, control_mode=mode, **payload)
        self.launch(task_id, command.encode())

    def launch_sample(self, task_id: str, behaviour: str = "", **payload: Any) -> int:
        port = free_port()
        self.launch_command(
            task_id,
            f"exec {sys.executable} {self.program} {behaviour} --control-port {port}",
            ControlMode.DIRECT,
            control_port=port,
            **payload,
        )
        return port

    def kill(self, task_id: str) -> None:
        self.send(Event(type=Event.KILL, kill=Event.Kill(task_id=mesos_pb2.TaskID(value=task_id))))

    def message(self, data: bytes) -> None:
        self.send(Event(type=Event.MESSAGE, message=Event.Message(data=data)))

    async def command(self, kind: type[Command], task_id: str, **content: Any) -> CommandResponse:
        self.commands += 1
        command = kind(
            id=f"command{self.commands}",
            environment_id=ENVIRONMENT,
            targets=(target("agent", "executor", task_id),),
            **content,
        )
        self.message(command.encode())
        return await self.heard(CommandResponse, id=command.id)

    async def move(
        self, task_id: str, source: str, event: str, destination: str, **arguments: str
    ) -> CommandResponse:
        return await self.command(
            TransitionCommand, task_id, source=source, event=event, destination=destination,
            arguments=arguments, timeout_ns=3_000_000_000,
        )  # fmt: skip

    # --- what the agent hears --------------------------------------------------------------------

    def calls(self, kind: Call.Type) -> list[Call]:
        return [
            call
            for connection in self.transport.connections
            for call in connection.calls
            if call.type == kind
        ]

    def updates(self, task_id: str) -> list[mesos_pb2.TaskStatus]:
        statuses = [call.update.status for call in self.calls(Call.UPDATE)]
        return [status for status in statuses if status.task_id.value == task_id]

    def states(self, task_id: str) -> list[str]:
        return [mesos_pb2.TaskState.Name(status.state) for status in self.updates(task_id)]

    async def reached(self, task_id: str, state: str, deadline_s: float = 10) -> str:
        """The message of the update with that state, which has to be the last one."""
        await wait_until(
            lambda: state in self.states(task_id),
            deadline_s,
            explain=lambda: f"{task_id} has {self.updates(task_id)}",
        )
        assert self.states(task_id)[-1] == state, self.updates(task_id)
        return self.updates(task_id)[-1].message

    def messages(self) -> list[AnyExecutorMessage]:
        return [decode_executor_message(call.message.data) for call in self.calls(Call.MESSAGE)]

    async def heard(self, kind: type, **attributes: object) -> Any:
        def find() -> Any:
            for message in self.messages():
                if isinstance(message, kind) and all(
                    getattr(message, key) == value for key, value in attributes.items()
                ):
                    return message
            return None

        await wait_until(find, explain=lambda: f"messages: {self.messages()}")
        return find()


class LaunchTest(ExecutorTest):
    """What cannot be launched is told, and nothing else happens."""

    async def test_a_bad_payload_fails_the_task_and_nothing_else(self) -> None:
        self.launch("none", b"")
        self.launch("rubbish", b"\xff{")
        self.launch("typed", b'{"value": 5}')
        self.launch("kubernetes", b'{"value": "x", "controlMode": "kubernetes_direct"}')
        self.launch("portless", b'{"value": "x", "controlMode": "direct"}')
        self.launch("../escape", b'{"value": "x", "controlMode": "hook"}')
        for task_id, text in (
            ("none", "the task has no command payload"),
            ("rubbish", "not a command payload"),
            ("typed", "not a command payload"),
            ("kubernetes", "no control mode kubernetes_direct"),
            ("portless", "mode direct needs a control port"),
            ("../escape", "not a task id"),
        ):
            assert text in await self.reached(task_id, "TASK_FAILED")
        self.launch_command("good", "true", ControlMode.HOOK)
        await self.reached("good", "TASK_RUNNING")
        assert {path.name for path in (self.directory / "sandbox").iterdir()} <= {"tasks"}

    async def test_a_program_that_does_not_exist_fails_the_task(self) -> None:
        port = free_port()
        payload = CommandPayload(value="/no/such/program", control_port=port)
        self.launch("missing", payload.encode())
        message = await self.reached("missing", "TASK_FAILED")
        assert message == "cannot execute /no/such/program: No such file or directory"

    async def test_a_user_that_cannot_be_had_fails_the_task(self) -> None:
        self.launch_sample("task", user="no-such-person")
        assert "no such user" in await self.reached("task", "TASK_FAILED")
        self.patch(os, "geteuid", lambda: pwd.getpwnam("daemon").pw_uid)
        self.launch_sample("other", user="nobody")
        assert "only root may switch" in await self.reached("other", "TASK_FAILED")

    async def test_an_update_says_who_and_for_whom(self) -> None:
        self.launch_command("hook", "true", ControlMode.HOOK)
        await self.reached("hook", "TASK_RUNNING")
        (status,) = self.updates("hook")
        assert status.source == mesos_pb2.TaskStatus.SOURCE_EXECUTOR
        assert status.executor_id.value == "executor"
        assert len(status.uuid) == 16
        assert [(x.key, x.value) for x in status.labels.labels] == [("environmentId", ENVIRONMENT)]

    async def test_a_second_launch_of_one_task_is_ignored(self) -> None:
        for _ in range(2):
            self.launch_command("hook", "true", ControlMode.HOOK)
        await self.reached("hook", "TASK_RUNNING")
        self.kill("hook")
        await self.reached("hook", "TASK_FINISHED")
        assert self.states("hook") == ["TASK_RUNNING", "TASK_FINISHED"]


class StatefulTest(ExecutorTest):
    """Tasks driven over OCC."""

    async def test_from_launch_to_kill(self) -> None:
        self.launch_sample("task")
        await self.reached("task", "TASK_RUNNING")
        announced = await self.heard(AnnounceTaskPid, task_id="task")
        moves = (
            ("STANDBY", "CONFIGURE", "CONFIGURED"),
            ("CONFIGURED", "START", "RUNNING"),
            ("RUNNING", "STOP", "CONFIGURED"),
            ("CONFIGURED", "START", "RUNNING"),
        )
        for source, event, destination in moves:
            response = await self.move("task", source, event, destination, runNumber="7")
            assert (response.error, response.state) == ("", destination)
        self.kill("task")
        self.kill("task")
        assert await self.reached("task", "TASK_FINISHED") == "exit code 0"
        assert self.states("task") == ["TASK_RUNNING", "TASK_FINISHED"]
        assert not alive(announced.pid)

    async def test_a_transition_that_fails_says_why_and_where_the_task_is(self) -> None:
        self.launch_sample("task")
        await self.reached("task", "TASK_RUNNING")
        response = await self.move("task", "STANDBY", "CONFIGURE", "CONFIGURED", fail="1")
        assert response.state == "ERROR"
        assert "CONFIGURE led task task to ERROR instead of CONFIGURED" in response.error
        assert response.error.endswith(": ValueError: the card is not there")
        response = await self.move("task", "CONFIGURED", "START", "RUNNING")
        assert response.state == "ERROR" and "INVALID_ARGUMENT" in response.error
        response = await self.move("task", "ERROR", "DANCE", "STANDBY")
        assert response.state == "ERROR" and response.error

    async def test_a_transition_that_hangs_ends_with_its_time_limit(self) -> None:
        self.launch_sample("task")
        await self.reached("task", "TASK_RUNNING")
        command = TransitionCommand(
            id="slow", source="STANDBY", event="CONFIGURE", destination="CONFIGURED",
            arguments={"hang": "1"}, timeout_ns=300_000_000,
            targets=(target("agent", "executor", "task"),),
        )  # fmt: skip
        self.message(command.encode())
        response = await self.heard(CommandResponse, id="slow")
        assert "CONFIGURE: DEADLINE_EXCEEDED" in response.error
        assert response.state == "STANDBY"
        self.kill("task")
        await self.reached("task", "TASK_KILLED")

    async def test_an_end_of_stream_is_passed_on(self) -> None:
        self.launch_sample("task", "short")
        await self.reached("task", "TASK_RUNNING")
        await self.move("task", "STANDBY", "CONFIGURE", "CONFIGURED")
        await self.move("task", "CONFIGURED", "START", "RUNNING")
        event = await self.heard(DeviceEvent, type=1)
        assert event.task_id == "task"
        assert event.labels == {"detector": "TST", "environmentId": ENVIRONMENT}

    async def test_a_task_that_ends_at_once_is_told_at_once(self) -> None:
        port = free_port()
        self.launch_command(
            "task", "echo no licence >&2; exit 3", ControlMode.DIRECT, control_port=port
        )
        message = await self.reached("task", "TASK_FAILED", deadline_s=3)
        assert message == (
            "it ended before it was in STANDBY (exit code 3); last output: no licence"
        )

    async def test_a_task_that_is_killed_by_somebody_is_told(self) -> None:
        self.launch_sample("task")
        await self.reached("task", "TASK_RUNNING")
        announced = await self.heard(AnnounceTaskPid, task_id="task")
        os.kill(announced.pid, signal.SIGKILL)
        assert await self.reached("task", "TASK_FAILED") == "killed by SIGKILL"
        response = await self.move("task", "STANDBY", "CONFIGURE", "CONFIGURED")
        assert response.error == "task task is not active on flp001"

    async def test_a_kill_while_it_starts(self) -> None:
        self.launch_sample("task", "silent")
        path = self.directory / "sandbox/tasks"
        await wait_until(lambda: self.executor._tasks["task"].process is not None)
        assert not path.exists() or path.is_dir()
        self.kill("task")
        assert await self.reached("task", "TASK_KILLED") == "killed by SIGTERM"

    async def test_a_kill_right_behind_the_launch(self) -> None:
        self.launch_sample("task")
        self.kill("task")
        await self.reached("task", "TASK_KILLED")

    async def test_a_task_deaf_to_signals_is_killed_in_the_end(self) -> None:
        self.launch_sample("task", "deaf")
        log = self.directory / "sandbox/tasks/task/stdout"
        await wait_until(lambda: log.exists() and log.read_text() == "deaf\n")
        self.kill("task")
        assert await self.reached("task", "TASK_KILLED") == "killed by SIGKILL"

    async def test_a_command_while_it_starts_is_answered(self) -> None:
        self.launch_sample("task", "silent")
        response = await self.move("task", "STANDBY", "CONFIGURE", "CONFIGURED")
        assert response.error == "task task has no control connection"

    async def test_what_a_task_leaves_behind_a_shell_goes_with_it(self) -> None:
        port = free_port()
        path = self.directory / "pid"
        command = (
            f"sleep 100 & echo $! > {path};"
            f" {sys.executable} {self.program} stays --control-port {port}; true"
        )
        self.launch_command("task", command, ControlMode.DIRECT, control_port=port)
        await self.reached("task", "TASK_RUNNING")
        announced = await self.heard(AnnounceTaskPid, task_id="task")
        assert announced.pid != self.executor._tasks["task"].process.pid
        self.kill("task")
        assert await self.reached("task", "TASK_FINISHED") == "exit code 0"
        await wait_until(lambda: not alive(read_pid(path)))


class SilentTest(ExecutorTest):
    """Tasks that never come up; with less patience than otherwise."""

    times = Times(connect_s=1, poll_s=0.05, standby_s=0.3, kill_terminate_s=0.3)

    async def test_nobody_listens_on_the_port(self) -> None:
        port = self.launch_sample("task", "silent")
        message = await self.reached("task", "TASK_FAILED")
        assert f"nobody answers on control port {port} after 1 s" in message
        assert "(killed by SIGTERM)" in message


class FairMQTest(ExecutorTest):
    """A FairMQ device behind the JSON dialect, through its own state machine."""

    def launch_device(self, fault: str = "", shell: bool = True) -> None:
        install(self.directory)
        port = free_port()
        arguments = ("--id", "device", "-S", "/x", "-P", "OCClite", "--control-port", str(port))
        self.launch(
            "device",
            CommandPayload(
                value=f"{self.directory}/bin/StfSender",
                shell=shell,
                arguments=arguments,
                control_mode=ControlMode.FAIRMQ,
                control_port=port,
                environment=(f"{VARIABLE}={fault}", f"OCC_CONTROL_PORT={port}"),
            ).encode(),
        )

    async def test_all_the_way(self) -> None:
        self.launch_device(shell=False)
        await self.reached("device", "TASK_RUNNING")
        for source, event, destination in (
            ("STANDBY", "CONFIGURE", "CONFIGURED"),
            ("CONFIGURED", "START", "RUNNING"),
            ("RUNNING", "STOP", "CONFIGURED"),
            ("CONFIGURED", "RESET", "STANDBY"),
            ("STANDBY", "CONFIGURE", "CONFIGURED"),
        ):
            response = await self.move("device", source, event, destination, **CHANNEL)
            assert (response.error, response.state) == ("", destination)
        self.kill("device")
        await self.reached("device", "TASK_FINISHED")

    async def test_a_device_stuck_in_bind_comes_back_to_standby(self) -> None:
        self.launch_device("StfSender:stick:BIND")
        await self.reached("device", "TASK_RUNNING")
        response = await self.move("device", "STANDBY", "CONFIGURE", "CONFIGURED")
        assert response.state == "STANDBY"
        assert "BIND led task device to INITIALIZED instead of BOUND" in response.error

    async def test_a_device_that_answers_rubbish(self) -> None:
        self.launch_device("StfSender:rubbish:CONNECT")
        await self.reached("device", "TASK_RUNNING")
        response = await self.move("device", "STANDBY", "CONFIGURE", "CONFIGURED")
        assert "CONNECT" in response.error

    async def test_a_device_that_dies_in_configure(self) -> None:
        self.launch_device("StfSender:die:INIT TASK")
        await self.reached("device", "TASK_RUNNING")
        response = await self.move("device", "STANDBY", "CONFIGURE", "CONFIGURED")
        assert "INIT TASK: the process ended (exit code 3)" in response.error
        assert "exit code 3" in await self.reached("device", "TASK_FAILED")


class CommandTest(ExecutorTest):
    """Basic tasks and hooks."""

    async def test_a_basic_task_that_ends_by_itself(self) -> None:
        self.launch_command("basic", "echo out; echo err >&2; exit 4", ControlMode.BASIC)
        await self.reached("basic", "TASK_RUNNING")
        assert (await self.move("basic", "CONFIGURED", "START", "RUNNING")).state == "RUNNING"
        event = await self.heard(BasicTaskTerminated, task_id="basic")
        assert (event.exit_code, event.stdout, event.stderr) == (4, "out\n", "err\n")
        assert (event.final_mesos_state, event.voluntary_termination) == ("TASK_FAILED", True)
        assert event.labels == {"environmentId": ENVIRONMENT}
        assert (await self.move("basic", "RUNNING", "STOP", "CONFIGURED")).error == ""
        assert self.states("basic") == ["TASK_RUNNING"]

    async def test_a_basic_task_that_cannot_start_stays_configured(self) -> None:
        payload = CommandPayload(value="/no/such", control_mode=ControlMode.BASIC)
        self.launch("basic", payload.encode())
        await self.reached("basic", "TASK_RUNNING")
        response = await self.move("basic", "CONFIGURED", "START", "RUNNING")
        assert response.state == "CONFIGURED" and "cannot execute /no/such" in response.error

    async def test_a_running_basic_task_is_killed_with_its_group(self) -> None:
        path = self.directory / "pid"
        self.launch_command("basic", f"sleep 100 & echo $! > {path}; wait", ControlMode.BASIC)
        await self.move("basic", "CONFIGURED", "START", "RUNNING")
        await wait_until(lambda: read_pid(path))
        self.kill("basic")
        await self.reached("basic", "TASK_FINISHED")
        event = await self.heard(BasicTaskTerminated, task_id="basic")
        assert event.final_mesos_state == "TASK_KILLED"
        await wait_until(lambda: not alive(read_pid(path)))

    async def test_a_time_limit_kills_the_group(self) -> None:
        path = self.directory / "pid"
        self.launch_command(
            "hook", f"sleep 100 & echo $! > {path}; wait", ControlMode.HOOK,
            timeout_ns=300_000_000,
        )  # fmt: skip
        assert (await self.command(TriggerHookCommand, "hook")).error == ""
        event = await self.heard(BasicTaskTerminated, task_id="hook")
        assert (event.exit_code, event.final_mesos_state) == (-1, "TASK_FAILED")
        assert "killed at its time limit of 0.3 s" in event.stderr
        await wait_until(lambda: not alive(read_pid(path)))

    async def test_output_is_capped_and_rubbish_bytes_are_text(self) -> None:
        self.launch_command("hook", r"printf '\377\n' >&2; yes | head -c 3000000", ControlMode.HOOK)
        await self.command(TriggerHookCommand, "hook")
        event = await self.heard(BasicTaskTerminated, task_id="hook")
        assert len(event.stdout) < 70_000
        assert event.stdout.startswith("[29")
        assert event.stderr == "\ufffd\n"
        log = await self.command(TaskLogCommand, "hook", stream="stdout", tail_bytes=6)
        assert log.output == "y\ny\ny\n"

    async def test_a_hook_is_triggered_again_and_again_but_not_twice_at_once(self) -> None:
        self.launch_command("hook", "sleep 0.3", ControlMode.HOOK)
        assert (await self.move("hook", "STANDBY", "CONFIGURE", "CONFIGURED")).state == "CONFIGURED"
        assert (await self.command(TriggerHookCommand, "hook")).error == ""
        assert "still running" in (await self.command(TriggerHookCommand, "hook")).error
        await self.heard(BasicTaskTerminated, task_id="hook")
        assert (await self.command(TriggerHookCommand, "hook")).error == ""

    async def test_a_hook_that_runs_may_finish_after_its_kill(self) -> None:
        self.launch_command("hook", "sleep 0.2; echo done", ControlMode.HOOK)
        await self.command(TriggerHookCommand, "hook")
        self.kill("hook")
        await self.reached("hook", "TASK_FINISHED")
        event = await self.heard(BasicTaskTerminated, task_id="hook")
        assert (event.stdout, event.voluntary_termination) == ("done\n", True)

    async def test_a_hook_that_takes_too_long_after_its_kill_is_killed(self) -> None:
        self.launch_command("hook", "sleep 100", ControlMode.HOOK)
        await self.command(TriggerHookCommand, "hook")
        self.kill("hook")
        await self.reached("hook", "TASK_FINISHED")
        event = await self.heard(BasicTaskTerminated, task_id="hook")
        assert event.final_mesos_state == "TASK_KILLED"

    async def test_a_hook_can_be_triggered_for_a_moment_after_its_kill(self) -> None:
        self.launch_command("hook", "sleep 100", ControlMode.HOOK)
        await self.reached("hook", "TASK_RUNNING")
        self.kill("hook")
        await self.reached("hook", "TASK_FINISHED")
        assert (await self.command(TriggerHookCommand, "hook")).error == ""
        event = await self.heard(BasicTaskTerminated, task_id="hook")
        assert event.exit_code == -1
        assert "not active" in (await self.command(TriggerHookCommand, "hook")).error


class AnswerTest(ExecutorTest):
    """Every command that carries an id is answered, and that may be."""

    async def test_what_cannot_be_done_is_answered(self) -> None:
        self.launch_command("basic", "true", ControlMode.BASIC)
        response = await self.command(TriggerHookCommand, "basic")
        assert response.error == "task basic is no hook and cannot be triggered"
        assert response.environment_id == ENVIRONMENT
        response = await self.command(TriggerHookCommand, "nobody")
        assert response.error == "task nobody is not active on flp001"
        # A core that does not know us finds out so whether anybody answers.
        assert (await self.command(TaskLogCommand, "")).error
        # The reference's core would not survive an answer under a name that it does not know.
        self.message(b'{"name":"MesosCommand_Dance","id":"x0","targetList":[]}')
        self.message(b'{"name":"AliecsCommand_Dance","id":"x1","targetList":[]}')
        response = await self.heard(CommandResponse, id="x1")
        assert response.name == "AliecsCommand_Dance"
        assert "AliecsCommand_Dance" in response.error
        two = {"TaskId": {"value": "basic"}}
        self.message(
            json.dumps(
                {"name": "MesosCommand_TriggerHook", "id": "x2", "targetList": [two, two]}
            ).encode()
        )
        assert "exactly one target" in (await self.heard(CommandResponse, id="x2")).error
        for data in (b"", b"null", b"\xff", b"{}"):
            self.message(data)
        self.kill("nobody")
        response = await self.move("basic", "STANDBY", "CONFIGURE", "CONFIGURED")
        assert response.state == "CONFIGURED"

    async def test_shared_memory_is_not_cleaned_unless_it_is_set(self) -> None:
        self.message(
            b'{"name":"AliecsCommand_ShmClean","id":"x","targetList":[{"TaskId":{"value":""}}]}'
        )
        assert "no shared memory cleaner" in (await self.heard(CommandResponse, id="x")).error

    async def test_the_order_to_end_ends_everything(self) -> None:
        self.launch_sample("task")
        await self.reached("task", "TASK_RUNNING")
        announced = await self.heard(AnnounceTaskPid, task_id="task")
        self.send(Event(type=Event.SHUTDOWN))
        assert await self.running == "the agent ordered it"
        assert self.states("task") == ["TASK_RUNNING", "TASK_FINISHED"]
        assert not alive(announced.pid)


class CleanerTest(ExecutorTest):
    """The program that clears the shared memory of a host, where one is set."""

    cleaner = "/bin/sh -c 'echo \"$O2_ROLE $O2_PARTITION\"; echo in use >&2; exit 3'"

    async def test_it_is_run_and_its_exit_code_is_told(self) -> None:
        response = await self.command(CleanSharedMemoryCommand, "")
        assert (response.error, response.exit_code) == ("", 3)
        assert response.output == f"flp001 {ENVIRONMENT}\nin use\n"


class MurderedCleanerTest(ExecutorTest):
    """One that does not end by itself."""

    cleaner = "/bin/sh -c 'kill -9 $$'"

    async def test_it_is_told_what_ended_it(self) -> None:
        response = await self.command(CleanSharedMemoryCommand, "")
        assert response.error == "the shared memory cleaner: killed by SIGKILL"
