"""Where tasks run: hosts, what they offer, and the processes on them.

Times are seconds (`_s`) unless the name says milliseconds (`_ms`), memory is megabytes (`_mb`),
processors are cores.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Mapping, Sequence

from attrs import Factory, frozen
from zope.interface import Attribute, Interface

from aliecs.interfaces.traffic import Traffic


class MesosState(enum.Enum):
    """What a backend says of a task's process. Names and numbers are those of Mesos v1."""

    TASK_STAGING = 6
    TASK_STARTING = 0
    TASK_RUNNING = 1
    TASK_KILLING = 8
    TASK_FINISHED = 2
    TASK_FAILED = 3
    TASK_KILLED = 4
    TASK_ERROR = 7
    TASK_LOST = 5
    TASK_DROPPED = 9
    TASK_UNREACHABLE = 10
    TASK_GONE = 11
    TASK_GONE_BY_OPERATOR = 12
    TASK_UNKNOWN = 13

    @property
    def is_terminal(self) -> bool:
        """True when the process has ended and nothing more will come."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        MesosState.TASK_FINISHED,
        MesosState.TASK_FAILED,
        MesosState.TASK_KILLED,
        MesosState.TASK_ERROR,
        MesosState.TASK_LOST,
        MesosState.TASK_DROPPED,
        MesosState.TASK_GONE,
        MesosState.TASK_GONE_BY_OPERATOR,
    }
)

PortRanges = tuple[tuple[int, int], ...]
"""Inclusive ranges of TCP ports, ascending and disjoint: `((9000, 9999), (30000, 30999))`."""


@frozen
class Offer:
    """What one host has to give now. An offer is the caller's until it is accepted or declined."""

    offer_id: str
    agent_id: str
    host: str
    """The name that templates and constraints speak of."""
    address: str
    """What peers are told to connect to."""
    attributes: Mapping[str, str]
    cpus: float
    memory_mb: float
    ports: PortRanges
    executor_id: str


@frozen
class TaskLaunch:
    """One task to start, on the host of one offer."""

    task_id: str
    name: str
    """`<class identifier>#<task id>`"""
    cpus: float
    memory_mb: float
    ports: PortRanges
    command: bytes
    """The JSON command payload of `spec`: see `aliecs.protocol.message.CommandPayload`."""
    labels: Mapping[str, str] = Factory(dict)
    limit_cpus: float | None = None
    limit_memory_mb: float | None = None


@frozen
class TaskUpdate:
    """A status update of one task, as the backend received it. Idempotent by `uuid`."""

    task_id: str
    state: MesosState
    agent_id: str = ""
    executor_id: str = ""
    message: str = ""
    reason: str = ""
    uuid: bytes = b""
    timestamp_s: float = 0.0


@frozen
class HostInfo:
    """A host as people see it."""

    name: str
    address: str
    agent_id: str
    executor_id: str
    attributes: Mapping[str, str]
    connected: bool
    cpus: float
    memory_mb: float
    cpus_used: float
    memory_mb_used: float
    tasks: int
    last_seen_s: float
    """Unix time, 0 for never."""
    closed: str = ""
    """Why it gets no new tasks, empty where it does."""


class ITaskObserver(Interface):
    """Whoever hears what a backend reports: the roster. All calls come on the reactor thread, in
    the order in which things happened on each host."""

    def task_status(update: TaskUpdate) -> None:
        """A task's process changed state."""

    def executor_message(agent_id: str, executor_id: str, data: bytes) -> None:
        """An executor sent a control message (JSON, see `aliecs.protocol.message`)."""

    def message_not_sent(executor_id: str, message: bytes, reason: str) -> None:
        """A control message that was accepted by `ITaskBackend.send` did not leave after all."""

    def executor_lost(agent_id: str, executor_id: str, host: str, reason: str) -> None:
        """An executor ended; its tasks are dead."""

    def agent_unreachable(agent_id: str, host: str, reason: str) -> None:
        """Contact to a host was lost; its tasks may well be running."""

    def agent_returned(agent_id: str, host: str) -> None:
        """Contact to a host is back."""


class ITaskBackend(Interface):
    """Hosts, what they offer, and the processes on them."""

    framework_id: str = Attribute("the id under which this core is known to its hosts")
    state: str = Attribute("INITIAL, CONNECTED, ERROR or FINAL, as the control API reports it")
    traffic: Traffic = Attribute("what has gone to and fro; nothing where nobody is in between")

    def start(observer: ITaskObserver) -> Awaitable[None]:
        """Coroutine. Begin to work; report to `observer` from now on."""

    def stop() -> Awaitable[None]:
        """Coroutine. Hand over: let go of hosts and tasks, which stay as they are."""

    def teardown() -> Awaitable[None]:
        """Coroutine. The explicit order: end all tasks and all executors, and wait for it."""

    def hosts() -> Sequence[HostInfo]:
        """All hosts known, present or not."""

    def gather_offers() -> Awaitable[Sequence[Offer]]:
        """Coroutine. What all hosts can give now. Nothing in it is offered to anyone else until
        the caller accepts or declines each offer, which it does without waiting for anything."""

    def accept(offer: Offer, tasks: Sequence[TaskLaunch]) -> None:
        """Start `tasks` on the host of `offer`, and give the rest of it back."""

    def decline(offers: Sequence[Offer]) -> None:
        """Give offers back."""

    def kill(task_id: str, agent_id: str) -> None:
        """Begin the kill sequence of one task. A terminal update follows."""

    def send(agent_id: str, executor_id: str, message: bytes) -> None:
        """Send a control message to an executor. Raises `OutOfReach` where it cannot be sent now,
        and `Unavailable` where it will never arrive; otherwise delivery is not guaranteed."""

    def reconcile(tasks: Mapping[str, str]) -> Awaitable[None]:
        """Coroutine. Ask for the present state of tasks (task id to agent id); updates follow."""
