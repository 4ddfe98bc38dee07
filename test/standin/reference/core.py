"""The reference's core towards Mesos, without anything above it: it launches tasks, orders them
about and keeps what it hears.

What it does wrong it does here too: after each subscription every task that it hears of is killed,
and whatever it cannot read ends the subscription (here: the test).
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_pb2 import ExecutorInfo, FrameworkInfo, Offer, TaskInfo, TaskStatus
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from test.standin.reference.message import check
from test.standin.scheduler import Scheduler

EXECUTOR_CPUS = 0.01
EXECUTOR_MEMORY_MB = 64.0
TASK_CPUS = 0.1
TASK_MEMORY_MB = 16.0
FAILOVER_S = 3600000.0
LIVING = (mesos_pb2.TASK_STAGING, mesos_pb2.TASK_STARTING, mesos_pb2.TASK_RUNNING,
          mesos_pb2.TASK_KILLING, mesos_pb2.TASK_UNKNOWN)  # fmt: skip


@define(eq=False)
class ReferenceCore:
    """One core. `executor` is the path that agents fetch their executor from."""

    reactor: Any
    url: str
    executor: str
    framework_id: str = ""
    """Of the core before it; empty for a new framework."""
    environment_id: str = "2oDvieFrVTi"
    executor_id: str = "2sP1executor"
    scheduler: Scheduler = field(init=False)
    agent_id: str = field(default="", init=False)
    """Where tasks were launched last."""
    statuses: list[TaskStatus] = field(factory=list, init=False)
    messages: list[dict[str, Any]] = field(factory=list, init=False)
    killed: list[str] = field(factory=list, init=False)
    """Tasks that were killed because they were heard of."""
    fault: BaseException | None = field(default=None, init=False)
    """What ends the reference's subscription."""
    _commands: int = field(default=0, init=False)
    _is_over: bool = field(default=False, init=False)
    _looking: Deferred[None] | None = field(default=None, init=False)
    _offer: Offer | None = field(default=None, init=False)
    _wanted: dict[str, float] = field(factory=dict, init=False)
    _is_wanting: bool = field(default=False, init=False)
    """Something is to be launched."""

    def __attrs_post_init__(self) -> None:
        self.scheduler = Scheduler(self.reactor, self.url, FrameworkInfo(
            user="root", name="aliecs", checkpoint=True, failover_timeout=FAILOVER_S,
        ))  # fmt: skip
        if self.framework_id:
            self.scheduler.info.id.value = self.framework_id

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Subscribe, again where there was a subscription before."""
        response = await self.scheduler.subscribe()
        assert response.status == 200
        if self._looking is None:
            self._looking = Deferred.fromCoroutine(self._look())
            self._looking.addErrback(self._failed)
        # The empty list of tasks: all that the master knows.
        call = Call(type=Call.RECONCILE)
        call.reconcile.SetInParent()
        await self.scheduler.call(call)

    async def stop(self) -> None:
        """Go away without a word."""
        self._is_over = True
        if self._looking is not None:
            await self._looking
        self.scheduler.close()

    def _failed(self, failure: Any) -> None:
        self.fault = failure.value

    async def _look(self) -> None:
        while not self._is_over:
            self.scheduler.take()
            events, self.scheduler.events = self.scheduler.events, []
            for event in events:
                await self._take(event)
            await deferLater(self.reactor, 0.01, lambda: None)

    async def _take(self, event: Event) -> None:
        if event.type == Event.OFFERS:
            await self._consider(event.offers.offers)
        elif event.type == Event.UPDATE:
            status = event.update.status
            if status.uuid:
                await self.scheduler.acknowledge(status)
            is_heard = status.reason == TaskStatus.REASON_RECONCILIATION
            if is_heard and status.state in LIVING:
                self.killed.append(status.task_id.value)
                await self.kill(status.task_id.value)
                return
            self.statuses.append(status)
        elif event.type == Event.MESSAGE:
            assert event.message.agent_id.value and event.message.executor_id.value
            self.messages.append(check(event.message.data))

    async def _consider(self, offers: Sequence[Offer]) -> None:
        """Keep one that has room, where one is wanted; all others are declined for a second."""
        declined = Call(type=Call.DECLINE)
        declined.decline.filters.refuse_seconds = 1.0
        for offer in offers:
            has = {one.name: one.scalar.value for one in offer.resources}
            is_enough = all(has.get(name, 0.0) >= much for name, much in self._wanted.items())
            if self._is_wanting and is_enough and self._offer is None:
                self._offer = offer
            else:
                declined.decline.offer_ids.append(offer.id)
        if declined.decline.offer_ids:
            await self.scheduler.call(declined)

    async def until(self, condition: Callable[[], Any], explain: Callable[[], str]) -> Any:
        """Wait until something is true, and give it."""
        deadline_s = self.reactor.seconds() + 20.0
        while not (value := condition()):
            if self.fault is not None:
                raise self.fault
            assert self.reactor.seconds() < deadline_s, f"{explain()}\n{self.messages}"
            await deferLater(self.reactor, 0.01, lambda: None)
        return value

    # --- what it wants ---------------------------------------------------------------------------

    async def launch(
        self, tasks: Mapping[str, bytes], limits: Mapping[str, float] | None = None,
        explain: Callable[[], str] = lambda: "no offer",
    ) -> None:  # fmt: skip
        """Launch tasks, with these data, on the agent that offers next."""
        self._wanted = {
            "cpus": len(tasks) * (TASK_CPUS + EXECUTOR_CPUS) + EXECUTOR_CPUS,
            "mem": len(tasks) * (TASK_MEMORY_MB + EXECUTOR_MEMORY_MB) + EXECUTOR_MEMORY_MB,
        }
        self._is_wanting, self._offer = True, None
        await self.scheduler.call(Call(type=Call.REVIVE))
        offer = await self.until(lambda: self._offer, explain)
        self._is_wanting = False
        call = Call(type=Call.ACCEPT)
        call.accept.offer_ids.append(offer.id)
        operation = call.accept.operations.add(type=Offer.Operation.LAUNCH)
        operation.launch.task_infos.extend(
            self._task(offer, name, data, limits or {}) for name, data in tasks.items()
        )
        call.accept.filters.refuse_seconds = 1.0
        await self.scheduler.call(call)
        self.agent_id = offer.agent_id.value

    def _task(
        self, offer: Offer, task_id: str, data: bytes, limits: Mapping[str, float]
    ) -> TaskInfo:
        info = TaskInfo(
            name=f"github.com/AliceO2Group/ControlWorkflows/tasks/sample@0123456789#{task_id}",
            task_id=mesos_pb2.TaskID(value=task_id), agent_id=offer.agent_id, data=data,
            executor=self._executor(offer),
        )  # fmt: skip
        # The executor's share is charged to each task, too.
        _add(info.resources, TASK_CPUS + EXECUTOR_CPUS, TASK_MEMORY_MB + EXECUTOR_MEMORY_MB)
        for key, value in (("environmentId", self.environment_id), ("detector", "TST")):
            info.labels.labels.add(key=key, value=value)
        for name in ("cpus", "mem"):
            info.limits[name].value = limits.get(name, float("inf"))
        return info

    def _executor(self, offer: Offer) -> ExecutorInfo:
        running = offer.executor_ids[0].value if offer.executor_ids else self.executor_id
        info = ExecutorInfo(type=ExecutorInfo.CUSTOM, name="AliECS executor")
        info.executor_id.value = running
        info.command.value = f"./{posixpath.basename(self.executor)}"
        info.command.uris.add(value=self.executor, executable=True)
        info.command.environment.SetInParent()
        for attribute in offer.attributes:
            if attribute.name == "executor_env_LD_LIBRARY_PATH":
                info.command.environment.variables.add(
                    name="LD_LIBRARY_PATH", value=attribute.text.value
                )
        _add(info.resources, EXECUTOR_CPUS, EXECUTOR_MEMORY_MB)
        return info

    async def kill(self, task_id: str) -> None:
        """Kill a task."""
        await self.scheduler.kill(task_id)

    async def order(
        self, name: str, task_ids: Sequence[str], arguments: Mapping[str, str] | None = None,
        **more: str,
    ) -> str:  # fmt: skip
        """Send a command, and give its id."""
        self._commands += 1
        command_id = f"cq1k2s3d0cvg00abc{self._commands:03d}"
        targets = [
            {"AgentId": {"value": self.agent_id}, "ExecutorId": {"value": self.executor_id},
             "TaskId": {"value": task_id}}
            for task_id in task_ids
        ]  # fmt: skip
        command = {
            "name": name, "id": command_id, "environmentId": self.environment_id,
            "timeout": 120_000_000_000, "arguments": dict(arguments or {}),
            "targetList": targets, "labels": None, **more,
        }  # fmt: skip
        call = Call(type=Call.MESSAGE)
        call.message.agent_id.value = self.agent_id
        call.message.executor_id.value = self.executor_id
        call.message.data = json.dumps(command, separators=(",", ":")).encode()
        await self.scheduler.call(call)
        return command_id

    async def transition(
        self, task_id: str, event: str, source: str, destination: str,
        arguments: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Move a task, and give the response."""
        command_id = await self.order(
            "MesosCommand_Transition", [task_id], arguments,
            source=source, event=event, destination=destination,
        )  # fmt: skip
        return await self.response(command_id, task_id)

    async def trigger(self, task_id: str) -> dict[str, Any]:
        """Trigger a hook, and give the response."""
        command_id = await self.order("MesosCommand_TriggerHook", [task_id])
        return await self.response(command_id, task_id)

    # --- what it hears ---------------------------------------------------------------------------

    def responses(self, command_id: str) -> list[dict[str, Any]]:
        """The answers to a command."""
        return [m for m in self.messages if m.get("id") == command_id]

    async def response(self, command_id: str, task_id: str) -> dict[str, Any]:
        """The one answer that a pending call takes: of this id, from this task."""
        found: list[dict[str, Any]] = await self.until(
            lambda: self.responses(command_id), lambda: f"no answer to {command_id}"
        )
        assert len(found) == 1
        (answer,) = found
        assert (answer["taskId"], answer["environmentId"]) == (task_id, self.environment_id)
        return answer

    def states(self, task_id: str) -> list[str]:
        """What was told of a task."""
        return [
            mesos_pb2.TaskState.Name(status.state)
            for status in self.statuses
            if status.task_id.value == task_id
        ]

    async def told(self, task_id: str, *states: str) -> TaskStatus:
        """Wait for the states of a task, and give the last update."""
        await self.until(
            lambda: self.states(task_id) == list(states),
            lambda: f"{task_id}: {self.states(task_id)} instead of {states}",
        )
        last = [status for status in self.statuses if status.task_id.value == task_id][-1]
        assert last.HasField("message")
        if last.source == TaskStatus.SOURCE_EXECUTOR:
            assert len(last.uuid) == 16
            assert last.executor_id.value == self.executor_id
            labels = {one.key: one.value for one in last.labels.labels}
            assert labels == {"environmentId": self.environment_id}
        return last

    def events(self, kind: int, task_id: str) -> list[dict[str, Any]]:
        """The device events of a task."""
        return [
            m for m in self.messages
            if m.get("type") == kind and m["origin"]["taskId"]["value"] == task_id
        ]  # fmt: skip


def _add(resources: Any, cpus: float, memory_mb: float) -> None:
    for name, value in (("cpus", cpus), ("mem", memory_mb)):
        resources.add(
            name=name, type=mesos_pb2.Value.SCALAR, scalar=mesos_pb2.Value.Scalar(value=value)
        )
