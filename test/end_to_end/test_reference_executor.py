"""A whole core with the reference's executors: a stand-in for them, faults included.

The core asks nothing of an executor that the reference does not have, waits for nothing that it
never answers, and says so where something is missing.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from aliecs.txgrpc.status import RpcError
from test.end_to_end.mesos_case import MesosCoreCase
from test.end_to_end.workflows import BASE, PUPPET_PROGRAM, task_class, workflow
from test.executor.watching import wait_until
from test.ports import free_port
from test.standin import fairmq
from test.standin.reference import executor as reference
from test.standin.reference.core import ReferenceCore

reactor: Any = installed_reactor

pytestmark = pytest.mark.end_to_end

DEVICE = f"""\
name: device
control: {{mode: fairmq}}
wants: {{cpu: 0.1, memory: 32}}
bind:
  - {{name: data, type: pull, transport: shmem, addressing: ipc}}
command:
  shell: true
  value: "exec {{{{ python_executable }}}} {fairmq.__file__} StfSender"
  stdout: stdout
  stderr: stdout
"""

FLEET = """\
name: fleet
defaults:
  deploy_timeout: 20s
  before_start: "echo the hook has run"
  meanwhile: "echo the command has run"
roles:
  - name: puppet
    constraints: [{attribute: machine_id, value: flp001}]
    task: {load: easy-puppet}
  - name: device
    constraints: [{attribute: machine_id, value: flp002}]
    task: {load: device}
  - name: command
    constraints: [{attribute: machine_id, value: flp002}]
    vars: {script: "{{ meanwhile }}"}
    task: {load: shell, critical: false}
  - name: hook
    constraints: [{attribute: machine_id, value: flp001}]
    vars: {script: "{{ before_start }}"}
    task: {load: shell, trigger: before_START_ACTIVITY, timeout: 20s}
  - name: last-hook
    constraints: [{attribute: machine_id, value: flp001}]
    vars: {script: "echo the last hook has run"}
    task: {load: shell, trigger: DESTROY, timeout: 20s}
"""


class ReferenceExecutorTest(MesosCoreCase):
    """One cluster, one core, and executors of the reference."""

    agents: ClassVar[Mapping[str, str]] = {"flp001": "127.0.0.1", "flp002": "127.0.0.2"}
    workflows: ClassVar[Mapping[str, str]] = {
        **BASE, "tasks/device.yaml": DEVICE, "workflows/fleet.yaml": FLEET,
        **task_class("stranger", command={"value": "true", "user": "nobody-of-that-name"},
                     control={"mode": "direct"}),
        **workflow("strange", """\
  - name: stranger
    constraints: [{attribute: machine_id, value: flp001}]
    task: {load: stranger}
"""),
        **workflow("deaf", """\
  - name: puppet
    constraints: [{attribute: machine_id, value: flp001}]
    vars: {options: --deaf, deploy_timeout: 2s}
    task: {load: puppet}
"""),
    }  # fmt: skip

    def executor_settings(self) -> dict[str, Any]:
        """As on a machine with the reference's packages: a program that agents fetch."""
        program = self.folder / "o2-aliecs-executor"
        line = shlex.join([sys.executable, str(reference.__file__), "--speed", "10"])
        program.write_text(f"#!/bin/sh\nexec {line}\n")
        return {"executor": str(program), "executorMemory": "64", "executorCPU": "0.01"}

    async def tearDown(self) -> None:
        logs = self.executor_logs()
        await super().tearDown()
        assert "STRANGE" not in logs, logs
        assert "Traceback" not in logs, logs

    async def create(self, **variables: str) -> Any:
        created = await deferToThread(
            lambda: self.core.create(self.core.template("fleet"), **variables)
        )
        assert created.state == "CONFIGURED", f"{self.core.log()}\n{self.executor_logs()}"
        return created

    async def control(self, environment_id: str, event: str, state: str) -> None:
        reply = await deferToThread(self.core.control, environment_id, event)
        assert reply.state == state, f"{self.core.log()}\n{self.executor_logs()}"

    def executor_logs(self) -> str:
        """What all executors wrote, also those that have ended."""
        files = sorted((self.folder / "mesos").glob("**/runs/*/std*"))
        return "\n".join(file.read_text(errors="replace") for file in files)

    def processes(self) -> list[str]:
        """The processes of tasks: those that were started in a sandbox of this cluster."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    inside = (entry / "cwd").readlink().is_relative_to(self.folder / "mesos")
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
                if inside and "executor" not in line:
                    found.append(f"{entry.name}: {line}")
        return found

    async def nothing_is_left(self) -> None:
        """Wait until no task has a process."""
        await wait_until(lambda: not self.processes(), 20, lambda: f"{self.processes()}")

    async def test_the_life_of_an_environment(self) -> None:
        created = await self.create()
        assert self.living_executors() == 2
        infos = [one.info for agent in self.cluster.agents for one in agent.executors.values()]
        for info in infos:
            assert info.command.value == "./o2-aliecs-executor"
            assert {one.name: one.scalar.value for one in info.resources} == {
                "cpus": 0.01, "mem": 64.0,
            }  # fmt: skip
        for _ in range(2):
            await self.control(created.id, "START_ACTIVITY", "RUNNING")
            # The only command has ended, and the run with it.
            await deferToThread(self.core.reaches, created.id, "CONFIGURED", 20)
            await self.control(created.id, "RESET", "DEPLOYED")
            await self.control(created.id, "CONFIGURE", "CONFIGURED")
        logs = self.executor_logs()
        assert logs.count("task-stdout the hook has run") == 2
        assert logs.count("task-stdout the command has run") == 2
        puppet = await deferToThread(self.core.task, created.id, "fleet.puppet")
        assert int(puppet.pid) in {int(one.partition(":")[0]) for one in self.processes()}

        # What only our own executor can do is refused in words.
        with pytest.raises(RpcError) as refused:
            await deferToThread(self.core.task_log, puppet.taskId)
        assert "cannot tell what its tasks write" in refused.value.message
        # The second time it is known.
        with pytest.raises(RpcError) as refused:
            await deferToThread(self.core.task_log, puppet.taskId, "stderr")
        assert "cannot tell what its tasks write" in refused.value.message

        # Its tasks are kept, and cleaned up later.
        await deferToThread(lambda: self.core.destroy(created.id, keepTasks=True))
        assert len(await deferToThread(self.core.tasks)) >= 3
        await deferToThread(self.core.coconut, "task", "clean")
        await self.nothing_is_left()
        assert "task-stdout the last hook has run" in self.executor_logs()
        assert not await deferToThread(self.core.tasks)

        await deferToThread(self.core.teardown)
        await self.until(lambda: not self.living_executors())
        assert "Traceback" not in self.core.log()
        assert "panic" not in self.executor_logs()

    async def cause(self, environment_id: str) -> Any:
        """What failed first, once the environment is in ERROR."""
        await deferToThread(self.core.reaches, environment_id, "ERROR", 20)
        return (await deferToThread(self.core.record, environment_id)).cause

    async def destroy(self, environment_id: str) -> None:
        """Destroy an environment in whatever state, and see that its processes go."""
        await deferToThread(lambda: self.core.destroy(environment_id, force=True))
        await self.nothing_is_left()

    async def test_what_fails_is_named(self) -> None:
        # A hook.
        failing = await self.create(before_start="echo no beam >&2; exit 3")
        await deferToThread(self.core.control, failing.id, "START_ACTIVITY")
        cause = await self.cause(failing.id)
        assert (cause.role, cause.host, cause.exit) == ("fleet.hook", "127.0.0.1", "exit code 3")
        assert "no beam" in cause.line
        await self.destroy(failing.id)

        # A task, of which this executor tells nothing but that it has failed.
        dying = await self.create(meanwhile="true; exec sleep 1")
        await self.control(dying.id, "START_ACTIVITY", "RUNNING")
        os.kill(await deferToThread(self.core.pid, dying.id, "fleet.device"), signal.SIGKILL)
        cause = await self.cause(dying.id)
        assert (cause.role, cause.host) == ("fleet.device", "127.0.0.2")
        assert "TASK_FAILED" in cause.line
        await self.destroy(dying.id)

        # The whole executor: the reference falls over a command that it is to stop.
        broken = await self.create(meanwhile="exec sleep 1000")
        await self.control(broken.id, "START_ACTIVITY", "RUNNING")
        await deferToThread(self.core.control, broken.id, "STOP_ACTIVITY")
        cause = await self.cause(broken.id)
        assert "panic: STOP of a basic task that runs" in self.executor_logs()
        assert cause.host == "127.0.0.2"
        assert "executor" in cause.line.lower()
        await self.destroy(broken.id)

        # The next one has another executor there.
        created = await self.create()
        assert "Traceback" not in self.core.log()
        await self.destroy(created.id)

    async def test_what_does_not_start_costs_no_other_its_run(self) -> None:
        created = await self.create()
        await self.control(created.id, "START_ACTIVITY", "RUNNING")
        await deferToThread(self.core.reaches, created.id, "CONFIGURED", 20)

        # Such an executor falls over a kill that comes while a task starts.
        with pytest.raises(RpcError) as raised:
            await deferToThread(
                lambda: self.core.create(self.core.template("deaf"), deploy_timeout="1s")
            )
        assert "fleet" not in raised.value.message
        # It has to subscribe again after a task that it cannot build.
        with pytest.raises(RpcError) as raised:
            await deferToThread(self.core.create, self.core.template("strange"))
        assert "nobody-of-that-name" in raised.value.message

        # An agent that goes and comes back costs nothing either.
        await self.cluster.restart_agent(self.cluster.agents[0], away_s=5.0)
        await self.until(lambda: "host 127.0.0.1 is back" in self.core.log())

        await self.control(created.id, "RESET", "DEPLOYED")
        await self.control(created.id, "CONFIGURE", "CONFIGURED")
        await self.destroy(created.id)
        assert "panic" not in self.executor_logs()

    async def test_the_reference_takes_over_and_is_taken_over(self) -> None:
        await self.create()
        (framework_id,) = re.findall(r"subscribed with .* as (\S+)", self.core.log())
        await deferToThread(self.core.stop, signal.SIGTERM)
        assert self.processes()

        core = ReferenceCore(
            reactor, self.cluster.urls[0], str(self.folder / "o2-aliecs-executor"),
            framework_id=framework_id,
        )  # fmt: skip
        self.addCleanup(lambda: Deferred.fromCoroutine(core.stop()))
        await core.start()
        # It kills whatever it hears of, and launches its own on the same executors.
        await self.nothing_is_left()
        assert len(core.killed) == 5
        port = free_port()
        program = f"exec {sys.executable} {PUPPET_PROGRAM}"
        data = {
            "env": [f"OCC_CONTROL_PORT={port}"], "shell": True, "value": program, "user": "",
            "stdout": "none", "stderr": "none", "controlPort": port, "controlMode": "direct",
        }  # fmt: skip
        await core.launch({"2oDvieFrVTj": json.dumps(data).encode()})
        await core.until(
            lambda: core.states("2oDvieFrVTj") == ["TASK_RUNNING"], lambda: f"{core.statuses[-3:]}"
        )
        assert self.living_executors() == 2
        await core.stop()

        await deferToThread(self.core.start)
        await self.nothing_is_left()
        assert self.core.log().count(f" as {framework_id}") == 2
        assert not [
            one for one in await deferToThread(self.core.environments) if one.state != "DONE"
        ]
        again = await self.create()
        await self.destroy(again.id)
        assert self.living_executors() == 2
        assert "Traceback" not in self.core.log()

    async def test_an_environment_recovers(self) -> None:
        created = await self.create()
        before = {task.taskId for task in await deferToThread(self.core.tasks)}
        pid = await deferToThread(self.core.pid, created.id, "fleet.device")
        # The device breaks down, of which this executor tells nothing.
        os.kill(pid, signal.SIGUSR1)
        await deferToThread(self.core.control, created.id, "START_ACTIVITY")
        cause = await self.cause(created.id)
        assert (cause.role, cause.host) == ("fleet.device", "127.0.0.2")
        assert "CANCELLED" in cause.line
        await deferToThread(self.core.recover, created.id)
        await deferToThread(self.core.reaches, created.id, "DEPLOYED", 30)
        after = {task.taskId for task in await deferToThread(self.core.tasks)}
        # Only the device is another one.
        assert len(before - after) == 1
        await self.control(created.id, "CONFIGURE", "CONFIGURED")
        await self.control(created.id, "START_ACTIVITY", "RUNNING")
        await deferToThread(self.core.reaches, created.id, "CONFIGURED", 20)
        await self.destroy(created.id)
        assert "panic" not in self.executor_logs()
