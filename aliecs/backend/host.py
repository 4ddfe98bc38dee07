"""What one embedded host has, and who uses it: resources are never given twice.

Pure bookkeeping: no process, no socket. What is free is offered as a whole, at most once at a time;
what a task took comes back with its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, field, frozen

from aliecs.backend.ports import from_ranges, to_ranges
from aliecs.interfaces import MesosState, Offer, TaskLaunch
from aliecs.protocol import mesos_pb2

# Sums of floating point numbers: a thousandth of a core, or of a megabyte, is nothing.
_TOLERANCE = 1e-3


@frozen
class HostDefinition:
    """An embedded host, as it is configured."""

    name: str
    """What templates and constraints speak of."""
    attributes: Mapping[str, str] = field(factory=dict)
    cpus: float = 16.0
    memory_mb: float = 16384.0
    address: str = "127.0.0.1"
    """What peers are told to connect to."""
    path: tuple[str, ...] = ()
    """Folders that go before the PATH of its tasks."""
    environment: Mapping[str, str] = field(factory=dict)
    """Variables that its tasks have beside those of the core."""


@define
class LaunchedTask:
    """A task on a host, until its end."""

    launch: TaskLaunch
    ports: frozenset[int]
    state: MesosState = MesosState.TASK_STAGING


@define
class Ledger:
    """The books of one host."""

    definition: HostDefinition
    agent_id: str
    tasks: dict[str, LaunchedTask] = field(factory=dict, init=False)
    offer: Offer | None = field(default=None, init=False)
    """What somebody holds now."""
    _offers: int = field(default=0, init=False)

    @property
    def cpus_used(self) -> float:
        """Cores that tasks have."""
        return sum(task.launch.cpus for task in self.tasks.values())

    @property
    def memory_used_mb(self) -> float:
        """Memory that tasks have."""
        return sum(task.launch.memory_mb for task in self.tasks.values())

    @property
    def ports_used(self) -> set[int]:
        """Ports that tasks have."""
        return {port for task in self.tasks.values() for port in task.ports}

    def make_offer(self, free_ports: Iterable[int], executor_id: str) -> Offer:
        """Offer all that is free. What was offered before must be back."""
        assert self.offer is None
        self._offers += 1
        definition = self.definition
        self.offer = Offer(
            offer_id=f"{self.agent_id}-O{self._offers}",
            agent_id=self.agent_id,
            host=definition.name,
            address=definition.address,
            attributes=definition.attributes,
            cpus=max(0.0, definition.cpus - self.cpus_used),
            memory_mb=max(0.0, definition.memory_mb - self.memory_used_mb),
            ports=to_ranges(free_ports),
            executor_id=executor_id,
        )
        return self.offer

    def take_back(self, offer: Offer) -> bool:
        """The offer is over; False where it was over already."""
        if self.offer is None or self.offer.offer_id != offer.offer_id:
            return False
        self.offer = None
        return True

    def book(self, offer: Offer, launch: TaskLaunch) -> str:
        """Give a task what it asks for, out of an offer just taken back; why it cannot be, empty
        where it is done."""
        if launch.task_id in self.tasks:
            return f"Task has duplicate ID: {launch.task_id}"
        ports = frozenset(from_ranges(launch.ports))
        if missing := sorted((ports - from_ranges(offer.ports)) | (ports & self.ports_used)):
            return f"the ports {missing} are not free on {offer.host}"
        cpus = self.definition.cpus - self.cpus_used
        memory_mb = self.definition.memory_mb - self.memory_used_mb
        if launch.cpus > cpus + _TOLERANCE or launch.memory_mb > memory_mb + _TOLERANCE:
            return (
                f"{offer.host} has {cpus:g} cpus and {memory_mb:g} MB free, and the task needs"
                f" {launch.cpus:g} and {launch.memory_mb:g}"
            )
        self.tasks[launch.task_id] = LaunchedTask(launch, ports)
        return ""

    def note(self, task_id: str, state: MesosState) -> None:
        """A task changed its state; at its end everything it had is free."""
        task = self.tasks.get(task_id)
        if task is None:
            return
        task.state = state
        if state.is_terminal:
            del self.tasks[task_id]


def task_info(
    launch: TaskLaunch, agent_id: str, executor: mesos_pb2.ExecutorInfo
) -> mesos_pb2.TaskInfo:
    """A task as the executor is told of it."""
    info = mesos_pb2.TaskInfo(
        name=launch.name,
        task_id=mesos_pb2.TaskID(value=launch.task_id),
        agent_id=mesos_pb2.AgentID(value=agent_id),
        executor=executor,
        data=launch.command,
        labels=mesos_pb2.Labels(
            labels=[mesos_pb2.Label(key=k, value=v) for k, v in launch.labels.items()]
        ),
    )
    for name, amount in (("cpus", launch.cpus), ("mem", launch.memory_mb)):
        if amount:
            info.resources.add(
                name=name,
                type=mesos_pb2.Value.SCALAR,
                scalar=mesos_pb2.Value.Scalar(value=amount),
            )
    if launch.ports:
        ranges = [mesos_pb2.Value.Range(begin=begin, end=end) for begin, end in launch.ports]
        info.resources.add(
            name="ports",
            type=mesos_pb2.Value.RANGES,
            ranges=mesos_pb2.Value.Ranges(range=ranges),
        )
    for name, limit in (("cpus", launch.limit_cpus), ("mem", launch.limit_memory_mb)):
        info.limits[name].value = float("inf") if limit is None else limit
    return info
