"""What a master knows: frameworks, their tasks, and the agents that have registered with it."""

from __future__ import annotations

import time
from typing import Any

from attrs import define, field

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_pb2 import (
    AgentInfo,
    ContainerStatus,
    ExecutorInfo,
    FrameworkInfo,
    TaskInfo,
    TaskStatus,
)
from aliecs.protocol.mesos_scheduler_pb2 import Event
from test.standin.mesos.pace import Pace, cancel
from test.standin.mesos.resources import Resources
from test.standin.mesos.server import EventStream
from test.standin.mesos.validation import capable, roles_of

TERMINAL = frozenset({
    mesos_pb2.TASK_FINISHED, mesos_pb2.TASK_FAILED, mesos_pb2.TASK_KILLED, mesos_pb2.TASK_ERROR,
    mesos_pb2.TASK_LOST, mesos_pb2.TASK_DROPPED, mesos_pb2.TASK_GONE,
    mesos_pb2.TASK_GONE_BY_OPERATOR,
})  # fmt: skip


@define(eq=False)
class Task:
    """A task, as master and agent have it."""

    info: TaskInfo
    framework_id: str
    state: mesos_pb2.TaskState = mesos_pb2.TASK_STAGING
    """The last that the agent heard of."""
    container: ContainerStatus | None = None
    last_uuid: bytes = b""
    """Of its terminal update: with that acknowledged the master forgets the task."""

    @property
    def identifier(self) -> str:
        """The task's id."""
        return self.info.task_id.value

    @property
    def agent_id(self) -> str:
        """Where it is."""
        return self.info.agent_id.value

    @property
    def executor_id(self) -> str:
        """By whom it is run; that of a plain command has the task's id."""
        return self.info.executor.executor_id.value or self.identifier

    @property
    def is_terminal(self) -> bool:
        """True once it has ended."""
        return self.state in TERMINAL

    @property
    def resources(self) -> Resources:
        """What it still holds."""
        return Resources() if self.is_terminal else Resources.of(self.info.resources)


@define
class Filter:
    """What a framework does not want to be offered."""

    agent_id: str
    resources: Resources
    timer: Any


@define(eq=False)
class Framework:
    """A framework, subscribed or not."""

    identifier: str
    info: FrameworkInfo
    pace: Pace
    stream: EventStream | None = field(default=None, init=False)
    tasks: dict[str, Task] = field(factory=dict, init=False)
    suppressed: set[str] = field(factory=set, init=False)
    filters: list[Filter] = field(factory=list, init=False)
    removal: Any = field(default=None, init=False)
    """Runs while nobody is subscribed."""
    _heartbeat: Any = field(default=None, init=False)

    @property
    def is_subscribed(self) -> bool:
        """True while there is a stream."""
        return self.stream is not None

    @property
    def is_partition_aware(self) -> bool:
        """True where it knows more than TASK_LOST."""
        return capable(self.info, FrameworkInfo.Capability.PARTITION_AWARE)

    @property
    def has_multiple_roles(self) -> bool:
        """True where offers name a role."""
        return capable(self.info, FrameworkInfo.Capability.MULTI_ROLE)

    def wanted_role(self) -> str | None:
        """For which role it takes offers, None while for none."""
        return next((role for role in roles_of(self.info) if role not in self.suppressed), None)

    def send(self, event: Event) -> None:
        """Tell it something, if somebody listens."""
        if self.stream is not None:
            self.stream.send(event)

    def subscribe(self, stream: EventStream) -> None:
        """Take a stream in use."""
        cancel(self.removal)
        self.stream = stream

    def beat(self) -> None:
        """Send a heartbeat, and go on with it."""
        cancel(self._heartbeat)
        self.send(Event(type=Event.HEARTBEAT))
        self._heartbeat = self.pace.later(self.pace.times.heartbeat_s, self.beat)

    def quiet(self) -> None:
        """End all timers of it."""
        cancel(self._heartbeat)
        cancel(self.removal)
        self.clear_filters()

    def stop_beating(self) -> None:
        """No stream, no heartbeats."""
        cancel(self._heartbeat)

    def clear_filters(self) -> None:
        """Forget what is not wanted."""
        for one in self.filters:
            cancel(one.timer)
        self.filters.clear()

    def lost_state(self, otherwise: mesos_pb2.TaskState) -> mesos_pb2.TaskState:
        """The state of a task that nobody knows: TASK_LOST for frameworks of the old kind."""
        return otherwise if self.is_partition_aware else mesos_pb2.TASK_LOST

    def tell(
        self,
        task_id: str,
        state: mesos_pb2.TaskState,
        message: str,
        reason: TaskStatus.Reason,
        agent_id: str = "",
        *,
        task: Task | None = None,
        unreachable_ns: int = 0,
    ) -> None:
        """An update of the master's own: without a uuid, not to be acknowledged."""
        status = TaskStatus(
            state=state, message=message, source=TaskStatus.SOURCE_MASTER, reason=reason,
            timestamp=time.time(),
        )  # fmt: skip
        status.task_id.value = task_id
        if agent_id:
            status.agent_id.value = agent_id
        if task is not None:
            status.executor_id.value = task.executor_id
            if task.container is not None:
                status.container_status.CopyFrom(task.container)
        if unreachable_ns:
            status.unreachable_time.nanoseconds = unreachable_ns
        self.send(Event(type=Event.UPDATE, update=Event.Update(status=status)))


@define(eq=False)
class AgentRecord:
    """An agent that has registered."""

    info: AgentInfo
    total: Resources
    pid: str
    link: Any
    """See `link.Link`."""
    is_connected: bool = True
    unanswered: int = 0
    """Pings."""
    executors: dict[tuple[str, str], ExecutorInfo] = field(factory=dict)
    """By framework and executor id."""
    kills: set[tuple[str, str]] = field(factory=set)
    """Ordered while it was away: by framework and task id."""

    @property
    def identifier(self) -> str:
        """The agent's id."""
        return self.info.id.value

    def executors_of(self, framework_id: str) -> dict[str, ExecutorInfo]:
        """By their id."""
        return {
            executor: info
            for (framework, executor), info in self.executors.items()
            if framework == framework_id
        }
