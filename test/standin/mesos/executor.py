"""An executor, as its agent has it: a process, a stream, tasks, and what they have told."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from attrs import define, field

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_executor_pb2 import Call, Event
from aliecs.protocol.mesos_pb2 import (
    AgentInfo,
    ContainerID,
    ContainerStatus,
    ExecutorInfo,
    FrameworkInfo,
    KillPolicy,
    TaskID,
    TaskInfo,
    TaskStatus,
)
from test.standin.mesos.container import Container
from test.standin.mesos.framework import TERMINAL, Task
from test.standin.mesos.pace import Pace, cancel
from test.standin.mesos.server import EventStream
from test.standin.mesos.updates import UpdateStream


@define(eq=False)
class Executor:
    """One run of an executor."""

    info: ExecutorInfo
    framework: FrameworkInfo
    pace: Pace
    agent: Any
    """See `agent.Agent`."""
    container_id: str = field(factory=lambda: str(uuid.uuid4()), init=False)
    container: Container = field(init=False)
    stream: EventStream | None = field(default=None, init=False)
    has_subscribed: bool = field(default=False, init=False)
    """It may have lost its stream since: the agent does not notice."""
    has_returned: bool = field(default=True, init=False)
    """False from the restart of the agent until it subscribes again."""
    is_ending: bool = field(default=False, init=False)
    """Nothing that it says counts any more."""
    tasks: dict[str, Task] = field(factory=dict, init=False)
    queued: dict[str, TaskInfo] = field(factory=dict, init=False)
    """Not yet delivered."""
    updates: dict[str, UpdateStream] = field(factory=dict, init=False)
    status: int | None = field(default=None, init=False)
    """How it ended, once it has."""
    end_reason: tuple[TaskStatus.Reason, str] = field(
        default=(TaskStatus.REASON_EXECUTOR_TERMINATED, "Executor terminated"), init=False
    )
    timer: Any = field(default=None, init=False)
    """Until it has to have subscribed, or to have ended."""

    @property
    def key(self) -> tuple[str, str]:
        """Framework and executor id."""
        return self.info.framework_id.value, self.info.executor_id.value

    @property
    def is_checkpointed(self) -> bool:
        """True where it and its tasks survive the agent."""
        return self.framework.checkpoint

    def sandbox(self, work_dir: Path, agent_id: str) -> Path:
        """Its folder."""
        framework_id, executor_id = self.key
        return (
            work_dir / "slaves" / agent_id / "frameworks" / framework_id
            / "executors" / executor_id / "runs" / self.container_id
        )  # fmt: skip

    # --- to the executor -------------------------------------------------------------------------

    def send(self, event: Event) -> None:
        """Tell it something; lost where it has no stream."""
        if self.stream is not None:
            self.stream.send(event)

    def run(self, task: TaskInfo) -> None:
        """Give it a task, now or when it subscribes."""
        identifier = task.task_id.value
        self.tasks[identifier] = Task(task, self.key[0])
        if self.has_subscribed:
            self.send(Event(type=Event.LAUNCH, launch=Event.Launch(task=task)))
        else:
            self.queued[identifier] = task

    def kill(self, task_id: str) -> None:
        """Have a task killed."""
        task = self.tasks.get(task_id)
        if task is not None and self.queued.pop(task_id, None) is not None:
            self.report(
                task, mesos_pb2.TASK_KILLED, TaskStatus.REASON_TASK_KILLED_DURING_LAUNCH,
                "Killed before delivery to the executor",
            )  # fmt: skip
        elif task is not None:
            kill = Event.Kill(task_id=TaskID(value=task_id))
            if task.info.HasField("kill_policy"):
                kill.kill_policy.CopyFrom(KillPolicy.FromString(
                    task.info.kill_policy.SerializeToString()
                ))  # fmt: skip
            self.send(Event(type=Event.KILL, kill=kill))

    def shut_down(self) -> None:
        """Tell it to end, and see to it."""
        self.send(Event(type=Event.SHUTDOWN))
        cancel(self.timer)
        grace_s = self.pace.times.shutdown_grace_s
        if self.info.HasField("shutdown_grace_period"):
            grace_s = self.info.shutdown_grace_period.nanoseconds / 1e9
        self.timer = self.pace.later(grace_s, self.container.kill)

    # --- from the executor -----------------------------------------------------------------------

    def subscribed(self, stream: EventStream, call: Call.Subscribe, agent_info: AgentInfo) -> None:
        """It has a stream, the first or another one."""
        if not self.has_subscribed or not self.has_returned:
            cancel(self.timer)
        previous, self.stream = self.stream, stream
        if previous is not None:
            previous.finish()
        is_return = self.has_subscribed
        self.has_subscribed = self.has_returned = True
        stream.send(Event(type=Event.SUBSCRIBED, subscribed=Event.Subscribed(
            executor_info=self.info,
            framework_info=self.framework,
            agent_info=agent_info,
            container_id=ContainerID(value=self.container_id),
        )))  # fmt: skip
        for update in call.unacknowledged_updates:
            self.updated(update.status)
        if is_return:
            self._lose_what_never_arrived(call)
        for task in self.queued.values():
            self.send(Event(type=Event.LAUNCH, launch=Event.Launch(task=task)))
        self.queued.clear()

    def _lose_what_never_arrived(self, call: Call.Subscribe) -> None:
        arrived = {task.task_id.value for task in call.unacknowledged_tasks}
        for identifier, task in list(self.tasks.items()):
            if task.state == mesos_pb2.TASK_STAGING and identifier not in arrived:
                self.report(
                    task, mesos_pb2.TASK_LOST, TaskStatus.REASON_AGENT_RESTARTED,
                    "Task launched during agent restart",
                )  # fmt: skip

    def updated(self, status: TaskStatus) -> None:
        """It tells the state of a task."""
        if self.is_ending:
            return
        own = TaskStatus.FromString(status.SerializeToString())
        own.agent_id.value = self.agent.identifier
        if not own.HasField("timestamp"):
            own.timestamp = time.time()
        task = self.tasks.get(own.task_id.value)
        if task is None:
            # Passed on, but neither kept nor confirmed.
            self.agent.tell("updated", self.key[0], own, own.state)
            return
        own.container_status.CopyFrom(self.container_status())
        self._keep(task, own)
        self.send(Event(type=Event.ACKNOWLEDGED, acknowledged=Event.Acknowledged(
            task_id=own.task_id, uuid=own.uuid
        )))  # fmt: skip

    def container_status(self) -> ContainerStatus:
        """As it stands in updates."""
        status = ContainerStatus(
            container_id=ContainerID(value=self.container_id), executor_pid=self.container.pid
        )
        status.network_infos.add().ip_addresses.add().ip_address = self.agent.host
        return status

    def _keep(self, task: Task, status: TaskStatus) -> None:
        stream = self.updates.get(task.identifier)
        if stream is None:
            stream = UpdateStream(self.pace, self._tell)
            self.updates[task.identifier] = stream
        if not task.is_terminal:
            task.state = status.state
        if status.HasField("container_status"):
            task.container = status.container_status
        stream.add(status)

    def _tell(self, status: TaskStatus) -> None:
        task = self.tasks.get(status.task_id.value)
        latest = task.state if task is not None else status.state
        self.agent.tell("updated", self.key[0], status, latest)

    def acknowledged(self, task_id: str, uuid: bytes) -> None:
        """The framework has an update."""
        stream = self.updates.get(task_id)
        if stream is not None:
            stream.acknowledge(uuid)
            if stream.is_done:
                stream.pause()
                del self.updates[task_id]
                self.tasks.pop(task_id, None)

    def flush(self) -> None:
        """Send again what is not acknowledged."""
        for stream in list(self.updates.values()):
            stream.flush()

    def pause(self) -> None:
        """The agent has gone: nothing is repeated until it is back."""
        for stream in self.updates.values():
            stream.pause()
        cancel(self.timer)

    # --- the end ---------------------------------------------------------------------------------

    def report(
        self, task: Task, state: mesos_pb2.TaskState, reason: TaskStatus.Reason, message: str
    ) -> None:
        """An update of the agent's own."""
        status = TaskStatus(
            state=state, message=message, source=TaskStatus.SOURCE_AGENT, reason=reason,
            timestamp=time.time(), uuid=uuid.uuid4().bytes,
        )  # fmt: skip
        status.task_id.value = task.identifier
        status.agent_id.value = self.agent.identifier
        status.executor_id.value = self.key[1]
        self._keep(task, status)

    def fail_tasks(self) -> None:
        """It has ended, and its tasks with it."""
        self.queued.clear()
        for task in list(self.tasks.values()):
            if task.state not in TERMINAL:
                task.container = None
                self.report(task, mesos_pb2.TASK_FAILED, *self.end_reason)
