"""From wanted tasks to launched ones: rounds of offers, placement, commands and launches.

Nothing here is locked: an offer belongs to whoever was given it, placement is a function, and what
an environment does not use it gives back at once. A round ends with every request placed,
impossible or not yet placed; the latter are tried again for a while, and idle tasks that stand in
their way are ended. Tasks are in the roster, and in the journal, before they are launched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from attrs import define, evolve, field, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from aliecs.errors import AliecsError, Conflict, Exhausted
from aliecs.event.record import Traits
from aliecs.interfaces import HostInfo, ITaskBackend, Offer, TaskLaunch
from aliecs.journal import Journal
from aliecs.language.declaration import Channel, Constraint
from aliecs.language.state import State
from aliecs.protocol.identifier import IdentifierGenerator, new_xid
from aliecs.protocol.message import ControlMode
from aliecs.task.pace import Pace
from aliecs.task.placement import Placed, Placement, Refused, WantedTask, place
from aliecs.task.task import Endpoint, Task, TaskOwner
from aliecs.task.taskclass import ResolvedCommand, TaskClass

PATIENCE_S = 5.0
"""How long a task may wait for a host that could carry it: upstream's five attempts."""

ROUND_S = 0.5
"""Time between two rounds."""

PLACED_AT_ONCE = 1000
"""More tasks are placed in a thread, since it takes some microseconds for each. Until that is done
nobody else has the offers; so small deployments are not made to wait for each other."""

LAUNCHED_TOGETHER = 1000
"""Tasks that are prepared before the first of them is launched: some hosts already start theirs
while those of others are made."""


@frozen
class Berth:
    """Where a task was before and has to be again, for its peers have its address: the host, the
    ports of its channels in their order, and all its endpoints. Without `endpoints` only the host
    is the same."""

    host: str
    channel_ports: tuple[int, ...] = ()
    endpoints: Mapping[str, Endpoint] | None = None

    @classmethod
    def of(cls, task: Task) -> Berth:
        """That of a task."""
        ports = [
            int(task.endpoints[channel.name].address.rpartition(":")[2])
            for channel in task.inbound
            if channel.addressing == "tcp" and channel.name in task.endpoints
        ]
        return cls(task.host, tuple(ports), task.endpoints)


@frozen
class DeploymentRequest:
    """One task to deploy. `role` is the leaf it is for, which nobody here looks into;
    `constraints`, `inbound` and `outbound` are those of role and class, merged."""

    role: object
    role_path: str
    task_class: TaskClass
    control_mode: ControlMode
    constraints: tuple[Constraint, ...]
    inbound: tuple[Channel, ...]
    outbound: tuple[Channel, ...]
    traits: Traits
    labels: Mapping[str, str]
    berth: Berth | None = None
    """None for anywhere."""


@frozen
class DeploymentFailure:
    """A request that came to nothing, and why: `Conflict` where no host can run it, `Exhausted`
    where none has room, or what is wrong with its template."""

    request: DeploymentRequest
    problem: AliecsError

    def __str__(self) -> str:
        return f"{self.request.role_path} ({self.request.task_class.name}): {self.problem.message}"


BuildCommands = Callable[[Sequence[Task]], Awaitable[Sequence[ResolvedCommand | AliecsError]]]
"""Makes the commands of placed tasks, in a loader thread; in the order of the tasks."""


@frozen
class Plan:
    """What one environment wants to have deployed, and who it is."""

    environment_id: str
    owner: TaskOwner
    requests: Sequence[DeploymentRequest]
    build_commands: BuildCommands


@define(eq=False)
class Deployer:
    """Deploys for all environments of a core.

    `hosts` gives all hosts; `register` puts a task into the roster before it is launched; `idle`
    gives idle tasks that may do for a request; `make_room` begins to end idle tasks, and is true
    where there were any.
    """

    backend: ITaskBackend
    hosts: Callable[[], Sequence[HostInfo]]
    journal: Journal
    clock: IReactorTime
    pace: Pace
    identifiers: IdentifierGenerator
    register: Callable[[Task], None]
    idle: Callable[[DeploymentRequest], Iterable[Task]]
    make_room: Callable[[], bool]
    patience_s: float = field(default=PATIENCE_S)

    async def deploy(self, plan: Plan) -> Sequence[DeploymentFailure]:
        """Launch what is wanted. Gives the requests that failed; tasks of the others are attached
        to the owner, and their updates go there."""
        failures: list[DeploymentFailure] = []
        pending = await self._claim_idle(plan)
        give_up_at_s = self.clock.seconds() + self.patience_s
        while pending:
            refused = await self._round(plan, pending, failures)
            if not pending:
                break
            if self.clock.seconds() >= give_up_at_s:
                for index, request in pending.items():
                    full = Exhausted(f"no room within {self.patience_s:g} s: {refused[index]}")
                    failures.append(DeploymentFailure(request, full))
                break
            self.make_room()
            await deferLater(self.clock, ROUND_S)
        return failures

    async def _claim_idle(self, plan: Plan) -> dict[int, DeploymentRequest]:
        """Take idle tasks for what they will do for. Gives the requests that are left, by their
        place in the plan.

        A process was started with the command of the role that it played before: only where the
        new role would have started the very same one, it can be taken.
        """
        left = dict(enumerate(plan.requests))
        chosen: dict[int, Task] = {}
        for index, request in left.items():
            if request.berth is not None:
                continue
            task = next((t for t in self.idle(request) if t not in chosen.values()), None)
            if task is not None:
                chosen[index] = task
        if not chosen:
            return left
        in_role = [
            evolve(task, role=left[index].role, role_path=left[index].role_path)
            for index, task in chosen.items()
        ]
        commands = await plan.build_commands(in_role)
        for (index, task), command in zip(chosen.items(), commands, strict=True):
            # Somebody else may have been faster.
            if task.claimable and command == task.command:
                _attach(task, left.pop(index), plan)
        return left

    async def _round(
        self,
        plan: Plan,
        pending: dict[int, DeploymentRequest],
        failures: list[DeploymentFailure],
    ) -> Mapping[int, Refused]:
        """One round of offers. Takes out of `pending` what is launched or has failed."""
        offers = await self.backend.gather_offers()
        used: list[Offer] = []
        try:
            wanted = tuple(pending.items())
            if len(wanted) <= PLACED_AT_ONCE:
                placement = _place(wanted, offers, self.hosts())
            else:
                placement = await deferToThread(_place, wanted, offers, self.hosts())
            used = _distinct([placed.offer for placed in placement.placed])
        finally:
            kept = {offer.offer_id for offer in used}
            self.backend.decline([offer for offer in offers if offer.offer_id not in kept])
        for refused in placement.impossible:
            request = pending.pop(_index(refused.wanted))
            impossible = Conflict(f"no host can run it: {refused}")
            failures.append(DeploymentFailure(request, impossible))
        if placement.placed:
            placed = [(one, pending.pop(_index(one.wanted))) for one in placement.placed]
            await self._launch(plan, placed, used, failures)
        return {_index(refused.wanted): refused for refused in placement.not_yet}

    async def _launch(
        self,
        plan: Plan,
        placed: Sequence[tuple[Placed, DeploymentRequest]],
        offers: Sequence[Offer],
        failures: list[DeploymentFailure],
    ) -> None:
        """Launch what is placed, some hosts after the other, each of them in one go."""
        left = {offer.offer_id: offer for offer in offers}
        try:
            for group in _by_hosts(placed):
                launches = await self._prepare(plan, group, failures)
                for offer_id in {one.offer.offer_id: None for one, _ in group}:
                    self.backend.accept(left.pop(offer_id), launches.get(offer_id, ()))
                    await self.pace.breathe()
        finally:
            self.backend.decline(list(left.values()))

    async def _prepare(
        self,
        plan: Plan,
        placed: Sequence[tuple[Placed, DeploymentRequest]],
        failures: list[DeploymentFailure],
    ) -> Mapping[str, Sequence[TaskLaunch]]:
        """Make tasks, and enter them into journal and roster. Gives the launches of each offer."""
        tasks: list[Task] = []
        for one, request in placed:
            tasks.append(self._make_task(one, request, plan))
            await self.pace.breathe()
        commands = await plan.build_commands(tasks)
        launches: dict[str, list[TaskLaunch]] = {}
        launched: list[tuple[Task, DeploymentRequest]] = []
        for task, (_, request), command in zip(tasks, placed, commands, strict=True):
            if isinstance(command, AliecsError):
                failures.append(DeploymentFailure(request, command))
                continue
            task.command = command
            launches.setdefault(task.offer_id, []).append(_launch(task, command))
            launched.append((task, request))
            await self.pace.breathe()
        await self._write_down(plan, launched)
        for task, request in launched:
            _attach(task, request, plan)
            self.register(task)
            await self.pace.breathe()
        return launches

    def _make_task(self, placed: Placed, request: DeploymentRequest, plan: Plan) -> Task:
        offer = placed.offer
        return Task(
            id=self.identifiers.new(),
            task_class=request.task_class,
            control_mode=request.control_mode,
            host=offer.host,
            address=offer.address,
            agent_id=offer.agent_id,
            executor_id=offer.executor_id,
            offer_id=offer.offer_id,
            cpus=placed.wanted.cpus,
            memory_mb=placed.wanted.memory_mb,
            ports=placed.ports,
            control_port=placed.control_port,
            inbound=request.inbound,
            endpoints=(
                request.berth.endpoints
                if request.berth is not None and request.berth.endpoints is not None
                else _endpoints(request.inbound, placed.channel_ports)
            ),
            outbound=request.outbound,
            environment_id=plan.environment_id,
            role=request.role,
            role_path=request.role_path,
            traits=request.traits,
            labels=request.labels,
        )

    async def _write_down(
        self, plan: Plan, launched: Sequence[tuple[Task, DeploymentRequest]]
    ) -> None:
        if not launched:
            return
        placed = []
        for task, _ in launched:
            placed.append(_placing(task))
            await self.pace.breathe()
        await self.journal.intend("tasks_placed", plan.environment_id, {"tasks": placed})


def _placing(task: Task) -> dict[str, object]:
    """What the journal has of a task that is about to be launched."""
    return {
        "id": task.id,
        "class": task.task_class.identifier,
        "role": task.role_path,
        "host": task.host,
        "agent": task.agent_id,
        "executor": task.executor_id,
        "control_port": task.control_port,
        "endpoints": {
            name: [endpoint.address, endpoint.transport, endpoint.global_alias]
            for name, endpoint in task.endpoints.items()
        },
    }


def _place(
    requests: Sequence[tuple[int, DeploymentRequest]],
    offers: Sequence[Offer],
    hosts: Sequence[HostInfo],
) -> Placement:
    return place([_wanted(index, request) for index, request in requests], offers, hosts)


def _wanted(index: int, request: DeploymentRequest) -> WantedTask:
    wants = request.task_class.wants
    berth = request.berth
    new_ports = sum(1 for channel in request.inbound if channel.addressing == "tcp")
    return WantedTask(
        key=index,
        constraints=request.constraints,
        cpus=wants.cpus,
        memory_mb=wants.memory_mb,
        static_ports=wants.ports,
        channel_ports=new_ports if berth is None or berth.endpoints is None else 0,
        control_port=request.control_mode.is_controllable,
        host="" if berth is None else berth.host,
        own_ports=() if berth is None else berth.channel_ports,
    )


def _index(wanted: WantedTask) -> int:
    index = wanted.key
    assert isinstance(index, int)
    return index


def _by_hosts(
    placed: Sequence[tuple[Placed, DeploymentRequest]],
) -> Iterator[Sequence[tuple[Placed, DeploymentRequest]]]:
    """What is placed, all of each host together and as many hosts as make LAUNCHED_TOGETHER."""
    hosts: dict[str, list[tuple[Placed, DeploymentRequest]]] = {}
    for one in placed:
        hosts.setdefault(one[0].offer.offer_id, []).append(one)
    group: list[tuple[Placed, DeploymentRequest]] = []
    for here in hosts.values():
        group += here
        if len(group) >= LAUNCHED_TOGETHER:
            yield group
            group = []
    if group:
        yield group


def _distinct(offers: Sequence[Offer]) -> list[Offer]:
    return list({offer.offer_id: offer for offer in offers}.values())


def _attach(task: Task, request: DeploymentRequest, plan: Plan) -> None:
    """The task serves the environment from now on."""
    task.environment_id = plan.environment_id
    task.role = request.role
    task.role_path = request.role_path
    task.traits = request.traits
    task.labels = request.labels
    task.outbound = request.outbound
    task.idle_since_s = None
    if not task.living:
        task.state = State.STANDBY
    task.owner = plan.owner
    plan.owner.task_attached(task)


def _endpoints(inbound: Sequence[Channel], ports: Sequence[int]) -> Mapping[str, Endpoint]:
    """An endpoint for each bound channel: a port of the host, or an abstract socket."""
    left = iter(ports)
    endpoints = {}
    for channel in inbound:
        if channel.addressing == "ipc":
            address = f"ipc://@o2ipc-{new_xid()}"
        else:
            address = f"tcp://*:{next(left)}"
        endpoints[channel.name] = Endpoint(address, channel.transport, channel.global_alias)
    return endpoints


def _launch(task: Task, command: ResolvedCommand) -> TaskLaunch:
    limits = task.task_class.limits
    return TaskLaunch(
        task_id=task.id,
        name=task.name,
        cpus=task.cpus,
        memory_mb=task.memory_mb,
        ports=task.ports,
        command=command.payload(task.control_port).encode(),
        labels=task.labels,
        limit_cpus=limits.cpus,
        limit_memory_mb=limits.memory_mb,
    )
