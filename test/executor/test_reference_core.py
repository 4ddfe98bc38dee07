"""Our executor as the reference's core has it: a stand-in for that core, and for the cluster."""

from __future__ import annotations

import json
import os
import pwd
import signal
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

import aliecs
from test.executor.test_executor import CHANNEL, SAMPLE
from test.executor.watching import MARK, ProcessTestCase, wait_until
from test.ports import free_port
from test.standin import fairmq
from test.standin.mesos.cluster import Cluster
from test.standin.mesos.pace import Times
from test.standin.reference import executor as reference_executor
from test.standin.reference.core import ReferenceCore

SOURCES = str(Path(aliecs.__file__).parents[1])
TRANSITION = "MesosCommand_Transition"
HOOK = "MesosCommand_TriggerHook"
START = {
    "runNumber": "42", "cleanup": "0", "run_number": "42", "lhc_period": "LHC26x",
    "lhcPeriod": "LHC26x", "run_start_time_ms": "1790000000000",
}  # fmt: skip


def payload(
    value: str, mode: str, arguments: tuple[str, ...] = (), port: int = 0, **more: Any
) -> bytes:
    """As the reference writes it: what is empty and may be left out is left out."""
    env = [f"OCC_CONTROL_PORT={port}"] if port else []
    content = {
        "env": [*env, "O2_ROLE=flp001", "O2_SYSTEM=FLP"], "shell": True, "value": value,
        "user": "", "arguments": list(arguments), "stdout": "none", "stderr": "none",
        "controlPort": port, "controlMode": mode, **more,
    }  # fmt: skip
    if not content["arguments"]:
        del content["arguments"]
    return json.dumps(content, separators=(",", ":")).encode()


OFFERS_S = 3.0
"""After so long, in the cluster's own time, all offers are new."""


class ReferenceCoreCase(ProcessTestCase):
    """A cluster of one agent, and one core of the reference."""

    timeout = 60

    async def setUp(self) -> None:
        await super().setUp()
        self.program = self.directory / "sample.py"
        self.program.write_text(SAMPLE)
        self.cluster = Cluster(
            reactor, self.directory / "mesos", 10.0,
            Times(registration_s=0.5, executor_registration_s=200.0, shutdown_grace_s=100.0),
        )  # fmt: skip
        await self.cluster.start()
        executor = self.package("o2-aliecs-executor", "-m aliecs.executor.main")
        self.core = ReferenceCore(reactor, self.cluster.urls[0], executor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.end()))
        await self.core.start()

    def package(self, name: str, words: str) -> str:
        """A program that agents can fetch."""
        program = self.directory / "packages" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f"#!/bin/sh\nexport PYTHONPATH={SOURCES} {MARK}={self.mark}\n"
            f"exec {sys.executable} {words}\n"
        )
        return str(program)

    async def end(self) -> None:
        await self.core.stop()
        await self.end_executors()
        await self.cluster.stop()

    async def end_executors(self) -> None:
        executors = [one for agent in self.cluster.agents for one in agent.executors.values()]
        for executor in executors:
            executor.container.signal(signal.SIGTERM)
        await wait_until(lambda: not any(one.container.is_running for one in executors), 20)
        await wait_until(lambda: not any(agent.executors for agent in self.cluster.agents), 20)
        # Offers that were made before still name them.
        await self.cluster.sleep(OFFERS_S)

    @property
    def log(self) -> str:
        files = (self.directory / "mesos").glob("**/runs/*/stderr")
        return "\n".join(file.read_text() for file in files)

    def direct(self, mode: str = "direct", behaviour: str = "", **more: Any) -> bytes:
        line = f"exec {sys.executable} {self.program} {behaviour}"
        return payload(line, mode, port=free_port(), **more)

    def device(self, task_id: str) -> bytes:
        port = free_port()
        arguments = (
            "--id", task_id, "-S", "/opt/lib/", "-P", "OCClite", "--color", "false",
            "--control-port", str(port),
        )  # fmt: skip
        line = f"exec {sys.executable} {fairmq.__file__} StfSender"
        return payload(line, "fairmq", arguments, port)

    async def move(
        self, task_id: str, event: str, source: str, destination: str, **arguments: str
    ) -> None:
        answer = await self.core.transition(task_id, event, source, destination, arguments)
        assert (answer["error"], answer["state"]) == ("", destination), self.log

    async def launch(self, **tasks: bytes) -> None:
        await self.core.launch(tasks)
        for task_id in tasks:
            await self.core.told(task_id, "TASK_RUNNING")


class ReferenceCoreTest(ReferenceCoreCase):
    """Our executor in its hands."""

    # --- days without trouble --------------------------------------------------------------------

    async def test_the_life_of_four_tasks(self) -> None:
        names = ("direct", "device", "basic", "hook")
        await self.launch(
            direct=self.direct(), device=self.device("device"),
            basic=payload("echo out; echo err >&2; exec sleep 1000", "basic"),
            hook=payload("echo hooked $O2_ROLE; exit 4", "hook", timeout=20_000_000_000),
        )  # fmt: skip
        pids = {m["taskId"]: m["pid"] for m in self.core.messages if "pid" in m}
        assert set(pids) == {"direct", "device"}
        for task_id, pid in pids.items():
            assert f"{MARK}={self.mark}" in Path(f"/proc/{pid}/environ").read_text()
            assert f"ALIECS_TASK_ID={task_id}" in Path(f"/proc/{pid}/environ").read_text()
        everything = {"environment_id": "2oDvieFrVTi", **CHANNEL}
        for name in names:
            # Hooks and basic tasks get nothing.
            arguments = everything if name in pids else {}
            await self.move(name, "CONFIGURE", "STANDBY", "CONFIGURED", **arguments)
        for name in names:
            await self.move(name, "START", "CONFIGURED", "RUNNING", **START)

        triggered = await self.core.trigger("hook")
        assert triggered["error"] == ""
        assert "state" not in triggered
        ended = (await self.core.until(lambda: self.core.events(2, "hook"), lambda: self.log))[0]
        assert (ended["exitCode"], ended["stdout"]) == (4, "hooked flp001\n")
        assert ended["voluntaryTermination"] is True
        assert ended["finalMesosState"] == "TASK_FAILED"
        assert self.core.states("hook") == ["TASK_RUNNING"]

        for name in names:
            await self.move(name, "STOP", "RUNNING", "CONFIGURED", run_end_time_ms="1790000000001")
        stopped = (await self.core.until(lambda: self.core.events(2, "basic"), lambda: self.log))[0]
        assert (stopped["exitCode"], stopped["finalMesosState"]) == (-1, "TASK_KILLED")
        assert (stopped["stdout"], stopped["stderr"]) == ("out\n", "err\n")
        assert stopped["voluntaryTermination"] is False
        for name in names:
            await self.move(name, "RESET", "CONFIGURED", "STANDBY")
        for name in names:
            await self.core.kill(name)
        for name in names:
            await self.core.told(name, "TASK_RUNNING", "TASK_FINISHED")
        # One of its own kind, which the reference does not know and ignores.
        assert [m for m in self.core.messages if m["_messageType"] == "AliecsExecutor"]

    async def test_what_a_process_finds(self) -> None:
        script = (
            "id -un; readlink /proc/self/cwd; echo $TWICE; echo $MESOS_EXECUTOR_ID;"
            " readlink /proc/self/fd/0; ps -o pgid= -p $$; echo $$; echo"
        )
        content = json.loads(payload(script, "hook", ("one  two", "'three  four'")))
        content["env"] += ["TWICE=first", "TWICE=second"]
        user = "nobody" if os.geteuid() == 0 else ""
        await self.launch(
            switched=json.dumps({**content, "user": user}).encode(),
            direct=json.dumps(
                {**content, "shell": False, "value": "echo", "arguments": ["a  b", "$HOME"]}
            ).encode(),
        )  # fmt: skip
        outputs = {}
        for name in ("switched", "direct"):
            assert (await self.core.trigger(name))["error"] == ""
            (ended,) = await self.core.until(
                lambda one=name: self.core.events(2, one), lambda: self.log
            )
            outputs[name] = ended["stdout"].splitlines()
        name, folder, twice, executor, nothing, group, process, line = outputs["switched"]
        assert name == (user or pwd.getpwuid(os.geteuid()).pw_name)
        (sandbox,) = (self.directory / "mesos").glob("**/runs/*")
        assert Path(folder) == sandbox
        assert (twice, executor) == ("second", self.core.executor_id)
        assert nothing == "/dev/null"
        assert group.strip() == process
        # One line for the shell, without quoting of ours.
        assert line == "one two three  four"
        assert outputs["direct"] == ["a  b $HOME"]

    async def test_what_tasks_say_and_how_they_end(self) -> None:
        await self.launch(short=self.direct(behaviour="short"), dying=self.direct())
        for name in ("short", "dying"):
            await self.move(name, "CONFIGURE", "STANDBY", "CONFIGURED")
            await self.move(name, "START", "CONFIGURED", "RUNNING", **START)
        await self.core.until(lambda: self.core.events(1, "short"), lambda: self.log)
        (pid,) = [m["pid"] for m in self.core.messages if m.get("taskId") == "dying" and "pid" in m]
        os.kill(pid, signal.SIGKILL)
        failed = await self.core.told("dying", "TASK_RUNNING", "TASK_FAILED")
        assert "killed by SIGKILL" in failed.message
        # A task that is not there is answered for, and nobody else is the worse for it.
        answer = await self.core.transition("dying", "STOP", "RUNNING", "CONFIGURED")
        assert "task dying is not active" in answer["error"]
        await self.move("short", "STOP", "RUNNING", "CONFIGURED")

        failing = await self.core.transition(
            "short", "CONFIGURE", "STANDBY", "CONFIGURED", {"fail": "yes"}
        )
        # The task is elsewhere: it says so, and stays where it is.
        assert "INVALID_ARGUMENT" in failing["error"]
        assert failing["state"] == "CONFIGURED"
        await self.move("short", "RESET", "CONFIGURED", "STANDBY")
        failing = await self.core.transition(
            "short", "CONFIGURE", "STANDBY", "CONFIGURED", {"fail": "yes"}
        )
        assert failing["state"] == "ERROR"
        assert "the card is not there" in failing["error"]

    async def test_a_core_that_subscribes_again_kills_what_it_hears_of(self) -> None:
        await self.launch(one=self.direct(), two=payload("exec sleep 1000", "basic"))
        self.core.scheduler.close()
        await self.core.start()
        for name in ("one", "two"):
            await self.core.told(name, "TASK_RUNNING", "TASK_FINISHED")
        assert sorted(self.core.killed) == ["one", "two"]

    # --- odd things ------------------------------------------------------------------------------

    async def test_odd_payloads(self) -> None:
        await self.launch(
            unknown=self.direct(mode="something-new"), shouting=self.direct(mode="DIRECT"),
        )  # fmt: skip
        refused = {
            "kubernetes_direct": self.direct(mode="kubernetes_direct"),
            "kubernetes_fairmq": self.direct(mode="kubernetes_fairmq"),
            "kubectl_direct": self.direct(mode="kubectl_direct"),
            "kubectl_fairmq": self.direct(mode="kubectl_fairmq"),
            "nothing": b"",
            "null": b"null",
            "text": b"\xff\xfe",
            "list": b"[]",
            "port": payload("true", "direct"),
            "nobody": self.direct(user="nobody-of-that-name"),
            "empty": payload("", "basic"),
        }
        await self.core.launch(refused)
        for name in refused:
            if name == "empty":
                continue
            status = await self.core.told(name, "TASK_FAILED")
            assert status.message, name
            if name.startswith("kube"):
                assert f"no control mode {name}" in status.message
        await self.core.told("empty", "TASK_RUNNING")
        started = await self.core.transition("empty", "START", "CONFIGURED", "RUNNING")
        assert "the command is empty" in started["error"]
        assert started["state"] == "CONFIGURED"
        for name in ("unknown", "shouting"):
            await self.move(name, "CONFIGURE", "STANDBY", "CONFIGURED")

    async def test_the_time_limit_is_in_nanoseconds(self) -> None:
        await self.launch(hook=payload("exec sleep 1000", "hook", timeout=300_000_000))
        assert (await self.core.trigger("hook"))["error"] == ""
        ended = (await self.core.until(lambda: self.core.events(2, "hook"), lambda: self.log))[0]
        assert (ended["exitCode"], ended["finalMesosState"]) == (-1, "TASK_FAILED")
        assert "killed at its time limit of 0.3 s" in ended["stderr"]

    async def test_odd_commands(self) -> None:
        await self.launch(one=self.direct(), two=self.direct())
        # With anything but one target nobody may move; the answer finds no call that waits.
        configure = {"source": "STANDBY", "event": "CONFIGURE", "destination": "CONFIGURED"}
        for targets in ([], ["one", "two"]):
            command_id = await self.core.order(TRANSITION, targets, **configure)
            (answer,) = await self.core.until(
                lambda one=command_id: self.core.responses(one), lambda: self.log
            )
            assert "exactly one target" in answer["error"]
            # The reference takes over whatever state it is told.
            assert answer["state"] == "STANDBY"
        not_here = await self.core.transition("three", "CONFIGURE", "STANDBY", "CONFIGURED")
        assert "task three is not active" in not_here["error"]
        no_hook = await self.core.trigger("one")
        assert "is no hook" in no_hook["error"]
        strange = await self.core.transition("one", "DANCE", "STANDBY", "DANCING")
        assert "no event 'DANCE'" in strange["error"]
        assert strange["state"] == "STANDBY"
        # A response under a name that the reference does not know would end its subscription.
        command_id = await self.core.order("MesosCommand_Dance", ["one"])
        await self.move("one", "CONFIGURE", "STANDBY", "CONFIGURED")
        assert self.core.responses(command_id) == []
        await self.move("two", "CONFIGURE", "STANDBY", "CONFIGURED")


class EitherExecutorTest(ReferenceCoreCase):
    """What is heard of our executor is what is heard of the reference's."""

    async def conversation(self, suffix: str) -> dict[str, Any]:
        """Everything once; what was answered and told, without what is different each time."""
        # The reference's executor takes the groups of the user as well, which only root may.
        user = "root" if os.geteuid() == 0 else ""
        direct, device, basic, hook = names = [f"{n}{suffix}" for n in ("dir", "dev", "bas", "hoo")]
        await self.launch(
            **{
                direct: self.direct(behaviour="short", user=user),
                device: self.device(device),
                basic: payload("echo out; echo err >&2", "basic"),
                hook: payload("exec sleep 1000", "hook", timeout=200_000_000),
            }
        )
        answers = []

        async def move(name: str, event: str, source: str, goal: str, **more: str) -> None:
            answer = await self.core.transition(name, event, source, goal, more)
            answers.append((name[:3], event, bool(answer["error"]), answer.get("state", "")))

        async def event(kind: int, name: str) -> None:
            await self.core.until(lambda: self.core.events(kind, name), lambda: self.log)

        await move(direct, "START", "CONFIGURED", "RUNNING")
        await move(device, "START", "CONFIGURED", "RUNNING")
        await move(direct, "DANCE", "STANDBY", "DANCING")
        await move(direct, "CONFIGURE", "STANDBY", "CONFIGURED", fail="yes")
        await move(direct, "RECOVER", "ERROR", "STANDBY")
        for name in names:
            more = CHANNEL if name == device else {}
            await move(name, "CONFIGURE", "STANDBY", "CONFIGURED", **more)
        for name in names:
            await move(name, "START", "CONFIGURED", "RUNNING", **START)
        await event(1, direct)
        await event(2, basic)
        triggered = await self.core.trigger(hook)
        answers.append(("hoo", "", bool(triggered["error"]), ""))
        await event(2, hook)
        for name in names:
            await move(name, "STOP", "RUNNING", "CONFIGURED")
        for name in (direct, basic, hook):
            await move(name, "RESET", "CONFIGURED", "STANDBY")
        pid = next(m["pid"] for m in self.core.messages if m.get("taskId") == device and "pid" in m)
        os.kill(pid, signal.SIGKILL)
        await self.core.told(device, "TASK_RUNNING", "TASK_FAILED")
        for name in (direct, basic, hook):
            await self.core.kill(name)
            await self.core.told(name, "TASK_RUNNING", "TASK_FINISHED")
        varying = {"timestamp", "origin", "pid", "labels", "taskId"}
        told: dict[str, list[Any]] = {}
        for message in self.core.messages:
            about = message.get("taskId") or message.get("origin", {}).get("taskId", {}).get(
                "value"
            )
            if about in names and message["_messageType"] != "MesosCommandResponse":
                plain = {key: value for key, value in message.items() if key not in varying}
                plain["labels"] = sorted(message["labels"])
                if message.get("exitCode") == -1:
                    # We say there what ended it.
                    del plain["stderr"]
                told.setdefault(about[:3], []).append(plain)
        return {"answers": answers, "told": told}

    async def test_both_say_the_same(self) -> None:
        ours = await self.conversation("1")
        await self.end_executors()
        self.core.executor = self.package(
            "reference-executor", f"{reference_executor.__file__} --speed 3"
        )
        self.core.executor_id = "2sP1reference"
        theirs = await self.conversation("2")
        assert {name: len(told) for name, told in ours["told"].items()} == {
            "dir": 2, "dev": 1, "bas": 1, "hoo": 1,
        }  # fmt: skip
        assert ours["told"] == theirs["told"]
        # The state of a device that never left IDLE, which the reference does not know any more,
        # and that of a task asked for an event that does not exist.
        unknown = {("dev", "START", True), ("dir", "START", True), ("dir", "DANCE", True)}
        for mine, other in zip(ours["answers"], theirs["answers"], strict=True):
            assert mine[:3] == other[:3]
            if mine[:3] in unknown:
                assert (mine[3] in ("STANDBY", "CONFIGURED"), other[3]) == (True, "")
            else:
                assert mine == other
