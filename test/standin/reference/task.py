"""The tasks of the reference's executor: controllable ones, basic ones, hooks.

What it does wrong it does here too: `crash` is called where the reference falls over, and all
processes of the host with it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from aliecs.occ.client import Codec, OccClient, OccError
from aliecs.protocol.mesos_pb2 import TaskInfo
from test.standin.reference.process import (
    LaunchError,
    Process,
    account_of,
    arguments_of,
    exists,
)
from test.standin.reference.transition import mover_of, state_of

CONNECT_S = 45.0
POLL_S = 0.5
STANDBY_S = 30.0
ASK_S = 5.0
RUNNING_S = 0.2


class Executor(Protocol):
    """What tasks have of their executor. Times pass `speed` times as fast."""

    reactor: Any
    speed: float

    def update(self, info: TaskInfo, state: str, message: str = "") -> None:
        """Tell the state of a task."""

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to the core."""

    def crash(self, why: str) -> None:
        """Fall over."""


def now() -> str:
    """The time in events."""
    return f"{time.time():.6f}"


@define(eq=False)
class Task:
    """What all kinds share."""

    executor: Executor
    info: TaskInfo
    payload: Mapping[str, Any]
    process: Process | None = field(default=None, init=False)

    @property
    def task_id(self) -> str:
        """The id that the core gave it."""
        return str(self.info.task_id.value)

    def label(self, name: str) -> str:
        """A label that the core gave it."""
        found = [one.value for one in self.info.labels.labels if one.key == name]
        return str(found[0]) if found else ""

    def origin(self) -> dict[str, Any]:
        """As device events have it."""
        return {
            "agentId": {"value": self.info.agent_id.value},
            "executorId": {"value": self.info.executor.executor_id.value},
            "taskId": {"value": self.task_id},
        }

    def pause(self, seconds: float) -> Deferred[None]:
        """Wait so long."""
        return deferLater(self.executor.reactor, seconds / self.executor.speed, lambda: None)

    def launch(self) -> None:
        """Begin. Raises `LaunchError`, which costs the executor its subscription."""
        raise NotImplementedError

    async def transition(self, command: Mapping[str, Any]) -> tuple[str, str] | None:
        """State and error; None where nothing is ever answered."""
        raise NotImplementedError

    def trigger(self) -> str | None:
        """The error, empty for none; None where nothing is ever answered."""
        return None

    def kill(self) -> None:
        """End it."""
        raise NotImplementedError


@define(eq=False)
class Controllable(Task):
    """Modes direct and fairmq."""

    client: OccClient | None = field(default=None, init=False)
    known_pid: int = field(default=0, init=False)
    prescribed: str = field(default="", init=False)
    """The final state that a kill wants."""

    @property
    def mode(self) -> str:
        """Its control mode; every unknown one is direct."""
        mode = str(self.payload["controlMode"]).lower()
        return mode if mode == "fairmq" else "direct"

    def launch(self) -> None:
        """See `Task`."""
        try:
            account = account_of(self.payload)
        except LaunchError as error:
            self.executor.update(self.info, "TASK_FAILED", str(error))
            raise
        self.process = Process(self.executor.reactor, self.payload, self._ended, account)
        Deferred.fromCoroutine(self._start()).addErrback(lambda failure: failure.printTraceback())

    async def _start(self) -> None:
        assert self.process is not None
        try:
            self.process.start()
        except LaunchError as error:
            self.executor.update(self.info, "TASK_FAILED", str(error))
            return
        # A fault: with two elements it is not found.
        is_json = any("-P OCClite" in one for one in arguments_of(self.payload))
        client = OccClient(self.payload["controlPort"], Codec.JSON if is_json else Codec.PROTOBUF)
        trouble = await self._reach_standby(client)
        if trouble:
            await client.close()
            self.prescribed = "-"
            self.executor.update(self.info, "TASK_FAILED", trouble)
            await self._signal(-self.process.pid)
            return
        self.client = client
        self.executor.update(self.info, "TASK_RUNNING")
        self.executor.send({
            "_messageType": "AnnounceTaskPIDEvent", "timestamp": now(),
            "labels": self._labels(), "taskId": self.task_id, "pid": self.known_pid,
        })  # fmt: skip
        await self._forward(client)

    async def _reach_standby(self, client: OccClient) -> str:
        """The trouble, empty where there is none. A process that has ended is not noticed."""
        assert self.process is not None
        try:
            await client.connect(CONNECT_S / self.executor.speed)
        except OccError:
            is_gone = self.process.exit_code is not None
            return "process already gone" if is_gone else "dialling the task took too long"
        for _ in range(int(STANDBY_S / POLL_S)):
            await self.pause(POLL_S)
            try:
                reply = await client.get_state(ASK_S)
            except OccError:
                continue
            self.known_pid = reply.pid
            state = state_of(self.mode, reply.state)
            if state == "STANDBY":
                return ""
            if state in ("DONE", "ERROR"):
                return f"task reached {state}"
        return "task did not reach STANDBY"

    def _labels(self) -> dict[str, str]:
        return {"detector": self.label("detector"), "environmentId": self.label("environmentId")}

    async def _forward(self, client: OccClient) -> None:
        try:
            async for kind in client.events():
                if kind not in (1, 2, 3):
                    return
                self.executor.send({
                    "_messageType": "DeviceEvent", "timestamp": now(), "type": int(kind),
                    "origin": self.origin(), "labels": self._labels(),
                })  # fmt: skip
        except OccError as error:
            print(f"event stream of {self.task_id}: {error.message}", flush=True)

    async def transition(self, command: Mapping[str, Any]) -> tuple[str, str] | None:
        """See `Task`."""
        if self.client is None:
            return None
        return await mover_of(self.mode)(
            self.client, command["source"], command["event"], command["destination"],
            command.get("arguments") or {},
        )  # fmt: skip

    def kill(self) -> None:
        """See `Task`."""
        if self.client is None:
            self.executor.crash("KILL before there is a connection")
            return
        ending = Deferred.fromCoroutine(self._end(self.client))
        ending.addErrback(lambda failure: failure.printTraceback())

    async def _end(self, client: OccClient) -> None:
        assert self.process is not None
        reached, pid = "", self.known_pid or -self.process.pid
        try:
            reply = await client.get_state(ASK_S)
            reached, pid = state_of(self.mode, reply.state), reply.pid
        except OccError:
            pass
        way = {"RUNNING": ("STOP", "CONFIGURED"), "CONFIGURED": ("RESET", "STANDBY"),
               "STANDBY": ("EXIT", "DONE"), "ERROR": ("EXIT", "DONE")}  # fmt: skip
        while reached in way:
            event, destination = way[reached]
            moving = Deferred.fromCoroutine(
                mover_of(self.mode)(client, reached, event, destination, {})
            )
            moving.addTimeout(ASK_S, self.executor.reactor, lambda *_: ("", "timed out"))
            reached, error = await moving
            if error:
                break
        self.client = None
        await client.close()
        self.prescribed = "TASK_FINISHED" if reached == "DONE" else "TASK_KILLED"
        if reached == "DONE":
            await self.pause(1.0)
        await self._signal(pid)

    async def _signal(self, pid: int) -> None:
        for number, patience_s in (
            (signal.SIGTERM, 2.0),
            (signal.SIGINT, 3.0),
            (signal.SIGKILL, 0),
        ):
            if self.process is None or self.process.exit_code is not None or not exists(pid):
                return
            os.kill(pid, number)
            await self.pause(patience_s)

    def _ended(self, process: Process) -> None:
        """It was waited for."""
        client, self.client = self.client, None
        if self.prescribed == "-" or (client is None and not self.prescribed):
            return  # told, or to be told, by who was starting it
        if client is not None:
            Deferred.fromCoroutine(client.close())
        state = "TASK_FINISHED" if process.exit_code == 0 else "TASK_FAILED"
        self.executor.update(self.info, self.prescribed or state)


@define(eq=False)
class Command(Task):
    """What basic tasks and hooks share."""

    stopped: bool = field(default=False, init=False)

    def launch(self) -> None:
        """See `Task`."""
        self.executor.reactor.callLater(RUNNING_S, self.executor.update, self.info, "TASK_RUNNING")

    def start(self) -> str:
        """Start the process; the error, empty for none."""
        try:
            self.process = Process(
                self.executor.reactor, self.payload, self._ended, account_of(self.payload)
            )
            self.process.start()
        except LaunchError as error:
            self.process = None
            return str(error)
        return ""

    def _ended(self, process: Process) -> None:
        final = "TASK_FINISHED" if process.exit_code == 0 else "TASK_FAILED"
        self.executor.send({
            "_messageType": "DeviceEvent", "timestamp": now(), "type": 2,
            "origin": self.origin(), "labels": {"environmentId": self.label("environmentId")},
            "exitCode": process.exit_code,
            "stdout": process.output["stdout"].decode(errors="replace"),
            "stderr": process.output["stderr"].decode(errors="replace"),
            "voluntaryTermination": not self.stopped,
            "finalMesosState": "TASK_KILLED" if self.stopped else final,
        })  # fmt: skip

    def kill(self) -> None:
        """See `Task`. A fault: a running process is forgotten, and lives on."""
        self.executor.update(self.info, "TASK_FINISHED")


@define(eq=False)
class Basic(Command):
    """From START to STOP."""

    async def transition(self, command: Mapping[str, Any]) -> tuple[str, str] | None:
        """See `Task`."""
        if command["event"] == "START":
            error = self.start()
            return ("CONFIGURED" if error else "RUNNING"), error
        is_running = self.process is not None and self.process.exit_code is None
        if command["event"] == "STOP" and is_running:
            self.executor.crash("STOP of a basic task that runs")
        return command["destination"], ""


@define(eq=False)
class Hook(Command):
    """Runs when it is triggered."""

    async def transition(self, command: Mapping[str, Any]) -> tuple[str, str] | None:
        """See `Task`."""
        return command["destination"], ""

    def trigger(self) -> str | None:
        """See `Task`."""
        return self.start()


def make(executor: Executor, info: TaskInfo, payload: Mapping[str, Any]) -> Task:
    """The task of a payload. Raises `LaunchError`."""
    mode = str(payload["controlMode"]).lower()
    kinds: Mapping[str, Callable[..., Task]] = {"basic": Basic, "hook": Hook}
    if mode.startswith("kubernetes_"):
        executor.crash(f"no task of mode {mode}")
    if mode.startswith("kubectl_"):
        raise LaunchError("there is no kubectl here")
    return kinds.get(mode, Controllable)(executor, info, payload)
