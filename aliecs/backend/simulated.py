"""The simulated backend: hosts and tasks without processes, for rehearsals and benchmarks.

It takes and gives every message as the bytes of the wire, one task at a time, so that what is
measured or tried above it is what happens on a cluster. What a task does with an order is decided
by a `Behaviour`; the plain one does everything it is told, after `delay_s`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from aliecs.errors import Unavailable
from aliecs.interfaces import (
    HostInfo,
    ITaskBackend,
    ITaskObserver,
    MesosState,
    Offer,
    PortRanges,
    TaskLaunch,
    TaskUpdate,
    Traffic,
)
from aliecs.protocol.identifier import IdentifierGenerator
from aliecs.protocol.message import (
    AnnounceTaskPid,
    AnyCommand,
    BasicTaskTerminated,
    CommandResponse,
    ControlMode,
    DeviceEvent,
    DeviceEventType,
    TransitionCommand,
    TriggerHookCommand,
    decode_command,
    decode_payload,
    origin,
    timestamp,
)

PORTS: PortRanges = ((9000, 20000), (30000, 60000))

AT_ONCE = 250
"""Messages that arrive in one turn of the reactor; those of a cluster come one host at a time."""


@frozen
class SimulatedHost:
    """A host that is not there."""

    name: str
    attributes: Mapping[str, str] = field(factory=dict)
    cpus: float = 1000.0
    memory_mb: float = 1_000_000.0
    ports: PortRanges = PORTS


@define(eq=False)
class SimulatedTask:
    """A task that is not there: as much as Mesos and an executor know of it."""

    task_id: str
    name: str
    control_mode: ControlMode
    cpus: float
    memory_mb: float
    ports: PortRanges
    agent_id: str
    executor_id: str
    state: str = "STANDBY"


class Behaviour:
    """What simulated tasks do. Override what should go wrong."""

    def launched(self, task: SimulatedTask) -> TaskUpdate | None:
        """The first update of a task; None for a task of which nothing is heard."""
        return TaskUpdate(task.task_id, MesosState.TASK_RUNNING, task.agent_id, task.executor_id)

    def transition(self, task: SimulatedTask, command: TransitionCommand) -> tuple[str, str] | None:
        """The state that a transition reaches and its error; None for no answer."""
        return command.destination, ""

    def hook(self, task: SimulatedTask) -> tuple[int, str] | None:
        """Exit code and error output of a hook; None for one that does not end."""
        return 0, ""


@implementer(ITaskBackend)
@define(eq=False)
class SimulatedBackend:
    """See the module."""

    clock: IReactorTime
    simulated_hosts: Sequence[SimulatedHost]
    behaviour: Behaviour = field(factory=Behaviour)
    delay_s: float = 0.0
    framework_id: str = "simulated"
    state: str = "INITIAL"
    traffic: Traffic = field(init=False, factory=Traffic)
    tasks: dict[str, SimulatedTask] = field(init=False, factory=dict)
    _observer: ITaskObserver = field(init=False)
    _identifiers: IdentifierGenerator = field(init=False, factory=IdentifierGenerator)
    _used: dict[str, tuple[float, float]] = field(init=False, factory=dict)
    _ports: dict[str, set[int]] = field(init=False, factory=dict)
    _offered: set[str] = field(init=False, factory=set)
    _on_its_way: deque[tuple[float, Callable[..., None], tuple[Any, ...]]] = field(
        init=False, factory=deque
    )
    _log: Logger = field(init=False, factory=Logger)

    async def start(self, observer: ITaskObserver) -> None:
        """See `ITaskBackend`."""
        self._observer = observer
        self.state = "CONNECTED"

    async def stop(self) -> None:
        """See `ITaskBackend`."""
        self.state = "FINAL"

    async def teardown(self) -> None:
        """See `ITaskBackend`."""
        for task_id, task in tuple(self.tasks.items()):
            self.kill(task_id, task.agent_id)

    def hosts(self) -> Sequence[HostInfo]:
        """See `ITaskBackend`."""
        return [
            HostInfo(
                name=host.name,
                address=host.name,
                agent_id=host.name,
                executor_id=f"executor-{host.name}",
                attributes=host.attributes,
                connected=True,
                cpus=host.cpus,
                memory_mb=host.memory_mb,
                cpus_used=self._used.get(host.name, (0.0, 0.0))[0],
                memory_mb_used=self._used.get(host.name, (0.0, 0.0))[1],
                tasks=sum(1 for task in self.tasks.values() if task.agent_id == host.name),
                last_seen_s=time.time(),
            )
            for host in self.simulated_hosts
        ]

    async def gather_offers(self) -> Sequence[Offer]:
        """See `ITaskBackend`."""
        offers = []
        for host in self.simulated_hosts:
            if host.name in self._offered:
                continue
            self._offered.add(host.name)
            cpus, memory_mb = self._used.get(host.name, (0.0, 0.0))
            offers.append(
                Offer(
                    offer_id=self._identifiers.new(),
                    agent_id=host.name,
                    host=host.name,
                    address=host.name,
                    attributes=host.attributes,
                    cpus=host.cpus - cpus,
                    memory_mb=host.memory_mb - memory_mb,
                    ports=_without(host.ports, self._ports.get(host.name, set())),
                    executor_id=f"executor-{host.name}",
                )
            )
        return offers

    def accept(self, offer: Offer, tasks: Sequence[TaskLaunch]) -> None:
        """See `ITaskBackend`."""
        self._offered.discard(offer.agent_id)
        for launch in tasks:
            task = SimulatedTask(
                launch.task_id,
                launch.name,
                decode_payload(launch.command).control_mode,
                launch.cpus,
                launch.memory_mb,
                launch.ports,
                offer.agent_id,
                offer.executor_id,
            )
            self.tasks[launch.task_id] = task
            self._account(task, 1)
            self._later(self._launched, task)

    def decline(self, offers: Sequence[Offer]) -> None:
        """See `ITaskBackend`."""
        for offer in offers:
            self._offered.discard(offer.agent_id)

    def kill(self, task_id: str, agent_id: str) -> None:
        """See `ITaskBackend`."""
        self._later(self.end, task_id, MesosState.TASK_KILLED, "killed")

    def send(self, agent_id: str, executor_id: str, message: bytes) -> None:
        """See `ITaskBackend`."""
        command = decode_command(message)
        task = self.tasks.get(command.task_id)
        if task is None:
            raise Unavailable(f"task {command.task_id} has ended")
        self._later(self._obey, task, command)

    async def reconcile(self, tasks: Mapping[str, str]) -> None:
        """See `ITaskBackend`."""
        for task_id, agent_id in tasks.items():
            known = task_id in self.tasks
            state = MesosState.TASK_RUNNING if known else MesosState.TASK_GONE
            self._observer.task_status(TaskUpdate(task_id, state, agent_id))

    # --- what can be made to happen --------------------------------------------------------

    def end(self, task_id: str, state: MesosState, message: str) -> None:
        """A task ends; nothing where it has ended."""
        task = self.tasks.pop(task_id, None)
        if task is not None:
            self._account(task, -1)
            self._observer.task_status(
                TaskUpdate(task_id, state, task.agent_id, task.executor_id, message)
            )

    def event(self, task_id: str, kind: DeviceEventType) -> None:
        """A task reports something."""
        task = self.tasks[task_id]
        self._say(
            task,
            DeviceEvent(
                timestamp=timestamp(),
                type=int(kind),
                origin=origin(task.agent_id, task.executor_id, task_id),
            ).encode(),
        )

    # --- inside ----------------------------------------------------------------------------

    def _later(self, arrive: Callable[..., None], *what: Any) -> None:
        """Something arrives after `delay_s`, behind all that is on its way."""
        self._on_its_way.append((self.clock.seconds() + self.delay_s, arrive, what))
        if len(self._on_its_way) == 1:
            self.clock.callLater(self.delay_s, self._arrive)

    def _arrive(self) -> None:
        for _ in range(AT_ONCE):
            _, arrive, what = self._on_its_way[0]
            try:
                arrive(*what)
            except Exception:
                self._log.failure("a simulated task")
            self._on_its_way.popleft()
            if not self._on_its_way:
                return
            wait_s = self._on_its_way[0][0] - self.clock.seconds()
            if wait_s > 0:
                break
        self.clock.callLater(max(0.0, wait_s), self._arrive)

    def _launched(self, task: SimulatedTask) -> None:
        update = self.behaviour.launched(task)
        if update is None or task.task_id not in self.tasks:
            return
        if update.state.is_terminal:
            self.end(task.task_id, update.state, update.message)
            return
        self._observer.task_status(update)
        self._say(task, AnnounceTaskPid(task_id=task.task_id, pid=1).encode())

    def _obey(self, task: SimulatedTask, command: AnyCommand) -> None:
        if task.task_id not in self.tasks:
            return
        if isinstance(command, TransitionCommand):
            answer = self.behaviour.transition(task, command)
            if answer is not None:
                task.state, error = answer
                self._say(task, _response(task, command, error, task.state))
        elif isinstance(command, TriggerHookCommand):
            self._say(task, _response(task, command, "", ""))
            result = self.behaviour.hook(task)
            if result is not None:
                self._say(task, _terminated(task, *result))
        else:
            # Nothing was ever written, nothing has to be cleaned.
            self._say(task, _response(task, command, "", ""))

    def _say(self, task: SimulatedTask, message: bytes) -> None:
        self._observer.executor_message(task.agent_id, task.executor_id, message)

    def _account(self, task: SimulatedTask, sign: int) -> None:
        cpus, memory_mb = self._used.get(task.agent_id, (0.0, 0.0))
        self._used[task.agent_id] = (
            cpus + sign * task.cpus,
            memory_mb + sign * task.memory_mb,
        )
        ports = {port for begin, end in task.ports for port in range(begin, end + 1)}
        held = self._ports.setdefault(task.agent_id, set())
        if sign > 0:
            held |= ports
        else:
            held -= ports


def _response(task: SimulatedTask, command: AnyCommand, error: str, state: str) -> bytes:
    return CommandResponse(
        name=command.name,
        id=command.id,
        environment_id=command.environment_id,
        error=error,
        task_id=task.task_id,
        state=state,
    ).encode()


def _terminated(task: SimulatedTask, exit_code: int, stderr: str) -> bytes:
    return BasicTaskTerminated(
        timestamp=timestamp(),
        type=int(DeviceEventType.BASIC_TASK_TERMINATED),
        origin=origin(task.agent_id, task.executor_id, task.task_id),
        exit_code=exit_code,
        stderr=stderr,
        voluntary_termination=True,
        final_mesos_state="TASK_FAILED" if exit_code else "TASK_FINISHED",
    ).encode()


def _without(ranges: PortRanges, taken: set[int]) -> PortRanges:
    """The ranges without single ports."""
    left: list[tuple[int, int]] = []
    for begin, end in ranges:
        start = begin
        for port in sorted(port for port in taken if begin <= port <= end):
            if start < port:
                left.append((start, port - 1))
            start = port + 1
        if start <= end:
            left.append((start, end))
    return tuple(left)
