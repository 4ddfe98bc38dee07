"""All tasks of the core: deploy, reuse, command, kill; and everything that is heard of them.

The roster is what backends report to. It finds the task by its id, changes it, tells the bus once,
and tells the task's owner, the environment that it serves. The cost of a message does not depend on
how many tasks there are. Tasks that serve nobody are the idle pool: they may be claimed again, and
end when they are told to, when their time is up, or when their room is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import Factory, define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from aliecs.errors import Unavailable
from aliecs.event.bus import Bus
from aliecs.event.record import TaskEvent
from aliecs.interfaces import (
    ITaskBackend,
    ITaskObserver,
    MesosState,
    TaskUpdate,
)
from aliecs.journal import Journal
from aliecs.language.state import State, Status
from aliecs.protocol.identifier import IdentifierGenerator, new_xid
from aliecs.protocol.message import (
    AnnounceTaskPid,
    BasicTaskTerminated,
    CleanSharedMemoryCommand,
    CommandResponse,
    DeviceEvent,
    DeviceEventType,
    MessageError,
    TaskLogCommand,
    TaskUsageMessage,
    decode_command_header,
    decode_executor_message,
    target,
)
from aliecs.task.ability import Abilities
from aliecs.task.command import ASK_AGAIN, Commander, Outcome, TaskTransition
from aliecs.task.deployment import Deployer, DeploymentFailure, DeploymentRequest, Plan
from aliecs.task.host import Hosts
from aliecs.task.killing import Killer
from aliecs.task.pace import Pace
from aliecs.task.placement import MACHINE
from aliecs.task.question import Questions
from aliecs.task.task import Phase, Task, TaskEnd, TaskOwner
from aliecs.task.usage import UsageWatch

KILL_DEADLINE_S = 40.0
"""Longer than the slowest kill sequence of an executor (26 s)."""

IDLE_SWEEP_S = 5.0

AWAY_KILL_DEADLINE_S = 3.0
"""For tasks on a host that is out of reach, which end when it is back."""

CLEANER_DEADLINE_S = 30.0
"""How long the shared memory cleaner of one host may take."""


@implementer(ITaskObserver)
@define(eq=False)
class Roster:
    """See the module. `agent_grace_s` is how long a host may be out of reach before its tasks count
    as lost, `idle_ttl_s` how long an idle task is kept, `reuse` whether it may be claimed again,
    `usage_interval_s` how often executors tell what tasks use, 0 for never."""

    backend: ITaskBackend
    bus: Bus
    journal: Journal
    clock: IReactorTime
    identifiers: IdentifierGenerator
    agent_grace_s: float = 120.0
    idle_ttl_s: float = 600.0
    reuse: bool = False
    usage_interval_s: float = 0.0
    hosts: Hosts = field(default=Factory(lambda self: Hosts(self.backend), takes_self=True))
    pace: Pace = field(init=False)
    _tasks: dict[str, Task] = field(init=False, factory=dict)
    _commander: Commander = field(init=False)
    _deployer: Deployer = field(init=False)
    _ends: dict[str, list[Deferred[None]]] = field(init=False, factory=dict)
    _questions: Questions = field(init=False)
    _abilities: Abilities = field(init=False)
    _killer: Killer = field(init=False)
    _usage: UsageWatch = field(init=False)
    _graces: dict[str, IDelayedCall] = field(init=False, factory=dict)
    _sweep: LoopingCall = field(init=False)
    _log: Logger = field(init=False, factory=Logger)

    def __attrs_post_init__(self) -> None:
        self.pace = Pace(self.clock)
        self._usage = UsageWatch(self.backend, self._tasks, self.usage_interval_s)
        self._abilities = Abilities(self.clock)
        self._questions = Questions(self.backend, self.clock, self._abilities)
        self._killer = Killer(self.backend, self.clock, self._abilities)
        self._commander = Commander(self.backend, self.clock, self.pace, self._abilities)
        self._deployer = Deployer(
            backend=self.backend,
            hosts=self.hosts.all,
            journal=self.journal,
            clock=self.clock,
            pace=self.pace,
            identifiers=self.identifiers,
            register=self._register,
            idle=self._idle,
            make_room=self._make_room,
        )
        self._sweep = LoopingCall(self._end_old_idle_tasks)
        self._sweep.clock = self.clock

    def start(self) -> None:
        """Begin to look after idle tasks. The backend is started by whoever made it."""
        self._sweep.start(max(0.1, min(IDLE_SWEEP_S, self.idle_ttl_s / 2)), now=False)

    def stop(self) -> None:
        """Stop looking after tasks; they go on."""
        if self._sweep.running:
            self._sweep.stop()
        for grace in self._graces.values():
            grace.cancel()
        self._graces.clear()
        self._killer.stop()

    # --- what is asked ---------------------------------------------------------------------

    def tasks(self) -> Sequence[Task]:
        """All tasks, oldest first."""
        return list(self._tasks.values())

    @property
    def size(self) -> int:
        """How many tasks there are."""
        return len(self._tasks)

    def task(self, task_id: str) -> Task | None:
        """The task of that id."""
        return self._tasks.get(task_id)

    async def deploy(self, plan: Plan) -> Sequence[DeploymentFailure]:
        """See `Deployer.deploy`."""
        return await self._deployer.deploy(plan)

    async def command(
        self,
        tasks: Sequence[Task],
        step: TaskTransition,
        arguments: Callable[[Task], Mapping[str, str]],
        timeout_s: float,
        environment_id: str,
        waits_for_all: bool = False,
        succeeded: Callable[[Task], None] = lambda task: None,
    ) -> Outcome:
        """See `Commander.transition`."""
        return await self._commander.transition(
            tasks, step, arguments, timeout_s, environment_id, waits_for_all, succeeded
        )

    def waited_for(self, environment_id: str) -> Iterator[tuple[Task, str, float]]:
        """See `Commander.waited_for`."""
        return self._commander.waited_for(environment_id)

    async def trigger(
        self,
        tasks: Sequence[Task],
        timeout_s: Callable[[Task], float],
        environment_id: str,
        succeeded: Callable[[Task], None] = lambda task: None,
    ) -> Outcome:
        """See `Commander.trigger`."""
        return await self._commander.trigger(tasks, timeout_s, environment_id, succeeded)

    def reassign(self, task: Task, request: DeploymentRequest) -> None:
        """A task goes on for its role, which has other channels to connect to or other traits."""
        task.traits = request.traits
        task.labels = request.labels
        task.outbound = request.outbound

    def release(self, tasks: Iterable[Task]) -> None:
        """Tasks serve nobody any more. Those that have ended are forgotten, the others are idle."""
        now_s = self.clock.seconds()
        for task in tasks:
            task.owner = None
            task.role = None
            task.environment_id = ""
            task.role_path = ""
            task.idle_since_s = now_s
            if task.phase is Phase.ENDED:
                self._tasks.pop(task.id, None)

    async def kill(
        self, tasks: Sequence[Task], because: str = ""
    ) -> tuple[Sequence[Task], Sequence[Task]]:
        """End tasks and wait until they have ended. Gives those that did, and those that did not
        within the deadline: they are gone as soon as their host says so.

        `because` is given where it is not their environments that have them ended: to those the end
        is as any other."""
        waiting: dict[float, list[Deferred[None]]] = {KILL_DEADLINE_S: [], AWAY_KILL_DEADLINE_S: []}
        for task in tasks:
            if because and task.phase is not Phase.KILLING:
                task.killed_because = because
            self._killer.begin(task)
            if task.living:
                ended: Deferred[None] = Deferred()
                self._ends.setdefault(task.id, []).append(ended)
                is_away = task.unreachable_since_s is not None
                waiting[AWAY_KILL_DEADLINE_S if is_away else KILL_DEADLINE_S].append(ended)
            await self.pace.breathe()
        for deadline_s, several in waiting.items():
            overdue = self.clock.callLater(deadline_s, self._give_up_waiting, tuple(several))
            for ended in several:
                await ended
            if overdue.active():
                overdue.cancel()
        killed = [task for task in tasks if not task.living]
        left = [task for task in tasks if task.living]
        for task in killed:
            if not task.locked:
                self._tasks.pop(task.id, None)
        return killed, left

    async def clean_up(self, task_ids: Sequence[str] = ()) -> tuple[Sequence[Task], Sequence[Task]]:
        """End idle tasks: all, or those named; those that serve an environment are left alone.
        Gives the tasks ended and all that are left in the roster."""
        wanted = set(task_ids)
        chosen = [
            task
            for task in self._tasks.values()
            if not task.locked and (not wanted or task.id in wanted)
        ]
        killed, left = await self.kill(chosen)
        if left:
            names = ", ".join(task.describe_survivor() for task in left)
            raise Unavailable(f"could not kill some tasks: {names}")
        return killed, self.tasks()

    async def task_log(self, task: Task, stream: str, tail_bytes: int) -> str:
        """The last part of what a task wrote to `stdout` or `stderr`."""
        response = await self._questions.ask(
            task.agent_id,
            task.executor_id,
            TaskLogCommand(
                id=new_xid(),
                targets=(target(task.agent_id, task.executor_id, task.id),),
                stream=stream,
                tail_bytes=tail_bytes,
            ),
            self._abilities.deadline_s(task.executor_id),
            "tell what its tasks write",
        )
        return response.output

    async def clean_shared_memory(self, host: str, environment_id: str) -> CommandResponse:
        """Run the shared memory cleaner on a host. Raises `AliecsError` where it cannot be run; an
        exit code other than 0 is in the response."""
        for info in self.backend.hosts():
            if host in (info.attributes.get(MACHINE), info.name):
                if not info.executor_id:
                    raise Unavailable(f"no executor runs on {host} yet")
                command = CleanSharedMemoryCommand(
                    id=new_xid(),
                    environment_id=environment_id,
                    targets=(target(info.agent_id, info.executor_id, ""),),
                )
                where = (info.agent_id, info.executor_id)
                return await self._questions.ask(
                    *where, command, CLEANER_DEADLINE_S, "clean shared memory"
                )
        raise Unavailable(f"there is no host {host}")

    # --- what is heard (ITaskObserver) -----------------------------------------------------

    def task_status(self, update: TaskUpdate) -> None:
        """See `ITaskObserver`."""
        task = self._tasks.get(update.task_id)
        if task is None:
            if not update.state.is_terminal:
                self._log.warn(
                    "task {task} on agent {agent} is not ours to keep: {state}; it is ended",
                    task=update.task_id,
                    agent=update.agent_id,
                    state=update.state.name,
                )
                self.backend.kill(update.task_id, update.agent_id)
            return
        if update.state is MesosState.TASK_RUNNING:
            self._abilities.has_run(task.executor_id)
            if task.enter(Phase.ACTIVE):
                self._set_status(task, Status.ACTIVE)
            else:
                self._killer.is_up(task)
        elif update.state.is_terminal:
            self._ended(task, update.state, update.message)

    def executor_message(self, agent_id: str, executor_id: str, data: bytes) -> None:
        """See `ITaskObserver`."""
        try:
            message = decode_executor_message(data)
        except MessageError as error:
            self._log.warn(
                "executor {executor} sent what is not understood: {reason}",
                executor=executor_id,
                reason=str(error),
            )
            return
        if isinstance(message, CommandResponse):
            self._answered(message)
        elif isinstance(message, AnnounceTaskPid):
            task = self._tasks.get(message.task_id)
            if task is not None:
                task.pid = message.pid
        elif isinstance(message, DeviceEvent):
            self._device_event(message)
        elif isinstance(message, TaskUsageMessage):
            self._usage.told(message)
        else:
            self._abilities.announced(executor_id, message)
            self._usage.announced(agent_id, executor_id, message)

    def message_not_sent(self, executor_id: str, message: bytes, reason: str) -> None:
        """See `ITaskObserver`. A question is asked again by itself."""
        header = decode_command_header(message)
        if header is not None and header.name != ASK_AGAIN:
            self._commander.not_sent(header.id, header.task_id, reason)

    def executor_lost(self, agent_id: str, executor_id: str, host: str, reason: str) -> None:
        """See `ITaskObserver`."""
        self._abilities.forget(executor_id)
        for task in tuple(self._tasks.values()):
            if task.executor_id == executor_id and task.living:
                self._ended(task, MesosState.TASK_LOST, f"executor on {host} ended: {reason}")

    def agent_unreachable(self, agent_id: str, host: str, reason: str) -> None:
        """See `ITaskObserver`."""
        now_s = self.clock.seconds()
        owners: dict[TaskOwner, list[Task]] = {}
        for task in self._tasks.values():
            if task.agent_id == agent_id and task.living and task.unreachable_since_s is None:
                task.unreachable_since_s = now_s
                if task.owner is not None:
                    owners.setdefault(task.owner, []).append(task)
        for owner, tasks in owners.items():
            owner.host_away(host, tasks, reason, self.agent_grace_s)
        if agent_id not in self._graces:
            self._graces[agent_id] = self.clock.callLater(
                self.agent_grace_s, self._grace_is_over, agent_id, host, reason
            )
            self._log.warn("host {host} is out of reach: {reason}", host=host, reason=reason)

    def agent_returned(self, agent_id: str, host: str) -> None:
        """See `ITaskObserver`."""
        grace = self._graces.pop(agent_id, None)
        if grace is not None:
            if grace.active():
                grace.cancel()
            self._log.info("host {host} is back", host=host)
        now_s = self.clock.seconds()
        owners: dict[TaskOwner, float] = {}
        for task in self._tasks.values():
            if task.agent_id == agent_id and task.unreachable_since_s is not None:
                if task.owner is not None:
                    owners[task.owner] = now_s - task.unreachable_since_s
                task.unreachable_since_s = None
                task.given_up = False
        for owner, away_s in owners.items():
            owner.host_returned(host, away_s)

    # --- inside ----------------------------------------------------------------------------

    def _register(self, task: Task) -> None:
        self._tasks[task.id] = task
        task.enter(Phase.LAUNCHED)
        self._tell(task, state="LAUNCHED")

    def _idle(self, request: DeploymentRequest) -> Iterator[Task]:
        """Idle tasks of the same class with the same channels on hosts that will do. Commands and
        hooks have no process to take over."""
        if not self.reuse or not request.control_mode.is_controllable:
            return
        is_open = self.hosts.open_to(request.constraints)
        names = {channel.name for channel in request.inbound}
        for task in self._tasks.values():
            if (
                task.claimable
                and task.phase is Phase.ACTIVE
                and task.task_class.identifier == request.task_class.identifier
                and task.control_mode is request.control_mode
                and set(task.endpoints) == names
                and is_open(task.agent_id, task.host)
            ):
                yield task

    def _make_room(self) -> bool:
        idle = [task for task in self._tasks.values() if not task.locked and task.living]
        for task in idle:
            self._killer.begin(task)
        return bool(idle)

    def _end_old_idle_tasks(self) -> None:
        horizon_s = self.clock.seconds() - self.idle_ttl_s
        for task in tuple(self._tasks.values()):
            if not task.locked and task.idle_since_s is not None and task.idle_since_s < horizon_s:
                self._killer.begin(task)

    def _give_up_waiting(self, waiting: Sequence[Deferred[None]]) -> None:
        for ended in waiting:
            if not ended.called:
                ended.callback(None)

    def _ended(self, task: Task, state: MesosState, message: str) -> None:
        expected = task.phase is Phase.KILLING and not task.killed_because
        if not task.enter(Phase.ENDED):
            return
        if task.killed_because:
            message = f"{task.killed_because} ({message or state.name})"
        self._killer.ended(task)
        task.end = TaskEnd(state, message, expected)
        self._commander.ended(task, f"has ended: {task.end}")
        if state is MesosState.TASK_FINISHED:
            self._set_state(task, State.DONE)
        elif state is not MesosState.TASK_DROPPED and task.locked and not expected:
            self._set_state(task, State.ERROR)
        self._set_status(task, Status.INACTIVE)
        self.journal.observe(
            "task_ended",
            task.environment_id,
            {"id": task.id, "state": state.name, "message": message, "expected": expected},
        )
        if task.owner is not None:
            task.owner.task_ended(task)
        else:
            self._tasks.pop(task.id, None)
        for ended in self._ends.pop(task.id, ()):
            if not ended.called:
                ended.callback(None)

    def _answered(self, response: CommandResponse) -> None:
        if self._questions.answered(response):
            return
        task = self._tasks.get(response.task_id)
        if task is None:
            return
        if response.name == ASK_AGAIN:
            self._commander.asked(task, response)
            return
        # Messages may come twice, late, and in another order than they were sent.
        task.pid = response.pid or task.pid
        is_last_word = response.id == task.order_id and task.phase is not Phase.ENDED
        if response.name == "MesosCommand_Transition" and response.state and is_last_word:
            self._set_state(task, State.parse(response.state))
        self._commander.answered(task, response)

    def _device_event(self, event: DeviceEvent) -> None:
        task = self._tasks.get(event.task_id)
        if task is None:
            return
        if isinstance(event, BasicTaskTerminated):
            if event.timestamp and event.timestamp == task.terminated:
                return
            task.terminated = event.timestamp
            self._tell(task, status=event.final_mesos_state)
            self._commander.hook_ended(task, event)
            if task.owner is not None:
                task.owner.basic_task_terminated(task, event)
        elif event.type in (DeviceEventType.END_OF_STREAM, DeviceEventType.TASK_INTERNAL_ERROR):
            if task.owner is not None:
                task.owner.task_event(task, DeviceEventType(event.type))
        else:
            self._log.warn(
                "task {task} sent a device event of type {type}, which means nothing",
                task=task.describe(),
                type=event.type,
            )

    def _grace_is_over(self, agent_id: str, host: str, reason: str) -> None:
        self._graces.pop(agent_id, None)
        for task in tuple(self._tasks.values()):
            if task.agent_id != agent_id or task.unreachable_since_s is None or not task.living:
                continue
            task.given_up = True
            why = f"host {host} has been out of reach for {self.agent_grace_s:g} s: {reason}"
            if task.owner is not None:
                self._set_state(task, State.ERROR)
                task.owner.task_unreachable(task, why)

    def _set_state(self, task: Task, state: State) -> None:
        if task.state is state:
            return
        task.state = state
        self._tell(task, state=state.text)
        if task.owner is not None:
            task.owner.task_state_changed(task)

    def _set_status(self, task: Task, status: Status) -> None:
        if task.status is status:
            return
        task.status = status
        self._tell(task, status=status.text)
        if task.owner is not None:
            task.owner.task_status_changed(task)

    def _tell(self, task: Task, state: str = "", status: str = "") -> None:
        self.bus.tell(
            TaskEvent(
                name=task.name,
                taskid=task.id,
                state=state or task.state.text,
                status=status or task.status.text,
                hostname=task.host,
                className=task.task_class.identifier,
                traits=task.traits,
                environmentId=task.environment_id,
                path=task.role_path,
            )
        )
