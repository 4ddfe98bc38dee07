"""One task: a process on a host, as the core sees it.

A task is placed, launched, becomes active, is killed or ends by itself: that is its *phase*, the
machine below. Beside it stand the *state* of the control protocol (STANDBY, CONFIGURED, ...), which
the task's process decides, and the *status* of the control API (ACTIVE, INACTIVE), which follows
from the phase. A task that serves an environment has an owner, which is told of every change; one
without is idle.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import define, field, frozen

from aliecs.event.record import Traits
from aliecs.interfaces import MesosState, PortRanges
from aliecs.language.declaration import Channel
from aliecs.language.state import State, Status
from aliecs.protocol.message import (
    LAST_OUTPUT,
    BasicTaskTerminated,
    ControlMode,
    DeviceEventType,
)
from aliecs.task.taskclass import ResolvedCommand, TaskClass
from aliecs.task.usage import Usage


class Phase(enum.Enum):
    """Where the process of a task is in its life."""

    PLACED = "placed"
    LAUNCHED = "launched"
    ACTIVE = "active"
    KILLING = "killing"
    ENDED = "ended"


_NEXT: dict[Phase, frozenset[Phase]] = {
    Phase.PLACED: frozenset({Phase.LAUNCHED, Phase.ENDED}),
    Phase.LAUNCHED: frozenset({Phase.ACTIVE, Phase.KILLING, Phase.ENDED}),
    Phase.ACTIVE: frozenset({Phase.KILLING, Phase.ENDED}),
    Phase.KILLING: frozenset({Phase.ENDED}),
    Phase.ENDED: frozenset(),
}


@frozen
class TaskEnd:
    """How a task ended. `message` is what executor or backend say: exit code or signal, and the
    last lines of output where there are any."""

    mesos_state: MesosState
    message: str
    expected: bool
    """True where we asked for it."""

    def __str__(self) -> str:
        return self.message or self.mesos_state.name

    @property
    def exit(self) -> str:
        """How the process ended, in its first line and without what it said last."""
        return str(self).partition("\n")[0].partition(LAST_OUTPUT)[0]


@frozen
class Endpoint:
    """Where a bound channel listens: `tcp://*:<port>` or `ipc://<abstract path>`."""

    address: str
    transport: str
    global_alias: str = ""


class TaskOwner(Protocol):
    """The environment that a task serves. Calls must not raise and must not wait."""

    def task_attached(self, task: Task) -> None:
        """The task serves the environment from now on; `task.role` is the leaf."""

    def task_state_changed(self, task: Task) -> None:
        """`task.state` is another."""

    def task_status_changed(self, task: Task) -> None:
        """`task.status` is another."""

    def task_ended(self, task: Task) -> None:
        """`task.end` says how; state and status were told before."""

    def host_away(self, host: str, tasks: Sequence[Task], reason: str, grace_s: float) -> None:
        """A host with these tasks of the owner is out of reach; they may well go on, and count as
        lost after `grace_s` more seconds."""

    def host_returned(self, host: str, away_s: float) -> None:
        """A host with tasks of the owner is back, after so long."""

    def task_unreachable(self, task: Task, reason: str) -> None:
        """The host of the task has been out of reach for longer than it may."""

    def task_event(self, task: Task, event: DeviceEventType) -> None:
        """The task reported END_OF_STREAM or TASK_INTERNAL_ERROR."""

    def basic_task_terminated(self, task: Task, result: BasicTaskTerminated) -> None:
        """The process of a basic task or of a hook ended; the task itself goes on."""


@define(eq=False)
class Task:
    """See the module. Who may change what: the roster everything, everyone else nothing."""

    id: str
    task_class: TaskClass
    control_mode: ControlMode
    host: str
    address: str
    agent_id: str
    executor_id: str
    offer_id: str
    cpus: float
    memory_mb: float
    ports: PortRanges
    control_port: int
    inbound: tuple[Channel, ...]
    endpoints: Mapping[str, Endpoint]
    """By channel name."""
    outbound: tuple[Channel, ...] = ()
    owner: TaskOwner | None = None
    environment_id: str = ""
    role: object = None
    """The leaf of the tree that the task serves; the roster never looks into it."""
    role_path: str = ""
    traits: Traits = field(factory=Traits)
    labels: Mapping[str, str] = field(factory=dict)
    command: ResolvedCommand | None = None
    phase: Phase = Phase.PLACED
    state: State = State.STANDBY
    status: Status = Status.INACTIVE
    pid: int = 0
    end: TaskEnd | None = None
    order_id: str = ""
    """The last transition that it was told to make: what answers to older ones say of its state is
    no longer so."""
    terminated: str = ""
    """The timestamp by which the end of its last process was told, where that is no end of it."""
    unreachable_since_s: float | None = None
    killed_because: str = ""
    """Why somebody has it ended, other than its environment, to which its end is as any other."""
    given_up: bool = False
    """Its host has been out of reach for longer than it may, and is not back yet."""
    idle_since_s: float | None = None
    usage: Usage | None = None

    @property
    def name(self) -> str:
        """`<class identifier>#<task id>`, as clients know it."""
        return f"{self.task_class.identifier}#{self.id}"

    @property
    def short_name(self) -> str:
        """The name to tell people: role path where there is one, class name otherwise."""
        return self.role_path or self.task_class.name

    @property
    def locked(self) -> bool:
        """True while the task serves an environment."""
        return self.owner is not None

    @property
    def claimable(self) -> bool:
        """True where an environment could take the task as it is."""
        return not self.locked and self.status is Status.ACTIVE and self.state is State.STANDBY

    @property
    def living(self) -> bool:
        """True while there is, or may be, a process."""
        return self.phase not in (Phase.PLACED, Phase.ENDED)

    @property
    def critical(self) -> bool:
        """True where the environment cannot do without the task."""
        return self.traits.critical

    @property
    def is_hook(self) -> bool:
        """True for tasks that run at a moment only."""
        return self.control_mode is ControlMode.HOOK

    def enter(self, phase: Phase) -> bool:
        """Go to another phase; False where the task is there or beyond already."""
        if phase not in _NEXT[self.phase]:
            return False
        self.phase = phase
        return True

    def describe(self) -> str:
        """`<role> (host <host>, task <id>)`, for messages."""
        return self._describe(self.short_name)

    def _describe(self, name: str) -> str:
        return f"{name} (host {self.host}, task {self.id})"

    def describe_survivor(self, name: str = "") -> str:
        """The same of a task that was to end, with the reason why it has not; under the name that
        it had before it was released."""
        text = self._describe(name or self.short_name)
        if self.unreachable_since_s is None:
            return text
        return f"{text}: its host is out of reach, it is ended when that is back"
