"""An environment: a tree of roles, a machine, variables, tasks, and at times a run.

It owns its tasks and hears what happens to them; it tells events; it lets one transition run at a
time. How a transition goes is in `transition`, who may ask for one in `manager`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from aliecs.configuration.inventory import SYSTEMS
from aliecs.environment.census import Census
from aliecs.environment.exclusion import Exclusions
from aliecs.environment.facilities import Facilities
from aliecs.environment.history import LOG_LINES, Cause, History, cause_of_task, first_lines
from aliecs.environment.machine import EnvironmentState, Event, Machine
from aliecs.environment.muster import Muster
from aliecs.environment.operation import Operation
from aliecs.environment.result import Waited, Waiting
from aliecs.environment.streams import Streams
from aliecs.errors import AliecsError
from aliecs.event.record import (
    EnvironmentEvent,
    OpStatus,
    RoleEvent,
    User,
    WorkflowTemplateInfo,
)
from aliecs.interfaces import ILoaderSources
from aliecs.language.state import State, Status
from aliecs.log import EnvironmentLogger, environment_logger
from aliecs.protocol.message import (
    BasicTaskTerminated,
    ControlMode,
    DeviceEventType,
    timestamp,
)
from aliecs.task.task import Task
from aliecs.workflow.loader import Workflow
from aliecs.workflow.origin import Origins
from aliecs.workflow.role import CallRole, Role, TaskRole

DETECTORS = SYSTEMS
"""The detector names that the control API recognises."""

GATHER_S = 0.2
"""How long failures are gathered after the first critical one, before the environment reacts."""

LAST_WORDS_BYTES = 4096
"""How much of the output of a task that failed is looked at for its last lines."""


@define(eq=False)
class Environment:
    """See the module. `react` is told when the environment has to do something by itself: go to
    ERROR, or stop its run."""

    id: str
    facilities: Facilities
    expression: str
    user: User
    created_ms: int
    history: History
    base_defaults: Mapping[str, str]
    """The configuration service's defaults, frozen at creation; `base_vars` are its variables."""
    base_vars: Mapping[str, str]
    requested: Mapping[str, str] = field(factory=dict)
    """The variables that came with the request, and those that were set since."""
    workflow: Workflow = field(init=False)
    info: WorkflowTemplateInfo = field(init=False, factory=WorkflowTemplateInfo)
    machine: Machine = field(init=False)
    state: EnvironmentState = field(init=False, default=EnvironmentState.STANDBY)
    current: Event | None = field(init=False, default=None)
    current_user: User = field(init=False, factory=User)
    current_since_ms: int = field(init=False, default=0)
    run_number: int = field(init=False, default=0)
    log: EnvironmentLogger = field(init=False)
    react: Callable[[Environment, Event, str], None] = field(init=False)
    work: Deferred[Any] | None = field(init=False, default=None)
    """The transition under way."""
    auto_stop: IDelayedCall | None = field(init=False, default=None)
    destruction: Operation | None = field(init=False, default=None)
    """What ends the environment, once it was asked for: nobody else begins anything from then."""
    musters: list[Muster] = field(init=False, factory=list)
    """Roll-calls under way."""
    streams: Streams = field(init=False, factory=Streams)
    exclusions: Exclusions = field(init=False, factory=Exclusions)
    awaited_call: tuple[CallRole, int] | None = field(init=False, default=None)
    """The call into an outside service that is waited for, and since when (Unix milliseconds)."""
    census: Census = field(init=False)
    _reaction: IDelayedCall | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        bus, roster = self.facilities.bus, self.facilities.roster
        self.census = Census(self.tasks, lambda: (bus.sequence, roster.size))
        self.machine = Machine(self)
        self.log = environment_logger(self.id, lambda: self.run_number)

    @property
    def base_variables(self) -> Mapping[str, str]:
        """The configuration service's variables over its defaults."""
        return {**self.base_defaults, **self.base_vars}

    @property
    def root(self) -> Role:
        """The root role of the tree."""
        return self.workflow.root

    def origins(self) -> Origins:
        """What is needed to tell where variables come from."""
        own = set(self.facilities.options.defaults)
        configured = (set(self.base_defaults) - own) | set(self.base_vars)
        return Origins(
            self.facilities.templates.of_file, frozenset(self.requested), frozenset(configured)
        )

    # --- the machine's core ----------------------------------------------------------------

    def state_changed(self, state: EnvironmentState) -> None:
        """See `MachineCore`."""
        self.state = state

    def transition_changed(self, event: Event | None) -> None:
        """See `MachineCore`."""
        self.current = event

    # --- the tree --------------------------------------------------------------------------

    def adopt(self, workflow: Workflow, info: WorkflowTemplateInfo) -> None:
        """Take the loaded tree."""
        self.workflow = workflow
        self.info = info
        workflow.root.tree.listener = self._role_changed
        self.history.repository = workflow.template.repository
        self.history.revision = workflow.template.revision

    def list_variable(self, name: str) -> Sequence[str]:
        """The JSON list of texts in a variable of the root role; anything else is an empty one."""
        text = self.root.variable(name)
        try:
            return msgspec.json.decode(text, type=list[str]) if text else []
        except msgspec.DecodeError:
            return []

    def detectors(self) -> Sequence[str]:
        """Detectors that the environment uses: the recognised names of its variable `detectors`,
        upper case, sorted."""
        names = {name.upper() for name in self.list_variable("detectors")}
        return sorted(names & DETECTORS)

    def concerned_detectors(self) -> Sequence[str]:
        """As `detectors`, with those that are excluded just now: what happens to the environment
        happens to them."""
        out = {name.upper() for name in self.exclusions.detectors_out(self.root)}
        return sorted({*self.detectors(), *(out & DETECTORS)})

    def task_of(self, role: TaskRole) -> Task | None:
        """The task of a leaf."""
        return self.facilities.roster.task(role.task) if role.task else None

    def tasks(self) -> Sequence[Task]:
        """All tasks of the tree, in its order."""
        found = (self.task_of(role) for role in self.workflow.task_roles)
        return [task for task in found if task is not None]

    def takes_part(self, role: Role) -> bool:
        """True unless a role is excluded, or one above it."""
        return not self.exclusions.hold(role)

    def roles_in_part(self) -> Sequence[TaskRole]:
        """The leaves that tasks play, but for those that are excluded."""
        return [role for role in self.workflow.task_roles if self.takes_part(role)]

    def active_tasks(self) -> Sequence[Task]:
        """Those with a living process that is under control, and not excluded."""
        return [
            task
            for role in self.workflow.task_roles
            if role.status is Status.ACTIVE
            and self.takes_part(role)
            and (task := self.task_of(role)) is not None
        ]

    def bound_tasks(self) -> Sequence[Task]:
        """The tasks that others may connect to: the active ones, and those that are excluded, which
        come back to where they were."""
        return [
            task
            for role in self.workflow.task_roles
            if (role.status is Status.ACTIVE or not self.takes_part(role))
            and (task := self.task_of(role)) is not None
        ]

    async def evaluate_call(
        self,
        role: CallRole,
        variables: Mapping[str, str],
        functions: Mapping[str, Mapping[str, Callable[..., Any]]],
    ) -> str:
        """Evaluate the text of a call, in a loader thread but for what a plugin does itself."""

        def work(sources: ILoaderSources) -> str | Awaitable[str]:
            return self.workflow.evaluate_call(role, variables, functions, sources)

        result = await self.facilities.loaders.run(work)
        return result if isinstance(result, str) else str(await result)

    # --- what failed -----------------------------------------------------------------------

    def fail(self, cause: Cause) -> None:
        """Remember what failed, and say it; the first is the cause."""
        if self.history.cause is not None:
            self.history.fail(cause)
            return
        self.log.error("first failure: {line}", line=cause.line)
        self.history.fail(cause)
        task = self.facilities.roster.task(cause.task_id)
        if task is not None:
            hearing = Deferred.fromCoroutine(self._hear_last_words(task))
            hearing.addErrback(lambda failure: self.log.failure("last words", failure))

    def account_for(self, line: str) -> None:
        """Something could not be done; where nothing is known that explains it, that is the cause
        itself."""
        if self.history.cause is None:
            self.fail(Cause(line.splitlines()[0] if line else "", self.facilities.now_ms()))

    def all_that_failed(self, first: Cause) -> str:
        """What made a transition fail, for people: the cause in the first line, then the rest in
        the order in which it happened."""
        if self.current is Event.RECOVER or self.history.cause is None:
            return first.line
        lines = self.history.failure_lines()
        if self.history.cause.task_id == first.task_id:
            lines[0] = first.line
        return "\n".join(lines)

    def waited_for(self, limit: int) -> Waiting:
        """Who has not answered yet, the longest first."""
        now_ms, now_s = self.facilities.now_ms(), self.facilities.clock.seconds()
        waited: list[Waited] = []
        left_out = 0
        if self.awaited_call is not None:
            role, since_ms = self.awaited_call
            waited.append(Waited(role.path, "", "", role.func, since_ms))
        tasks = list(self.facilities.roster.waited_for(self.id))
        for muster in self.musters:
            since_s = now_s - muster.begun_s
            tasks += [(task, "launch", since_s) for task in muster.missing()]
        for task, what, since_s in tasks[:limit]:
            since = now_ms - int(since_s * 1000)
            waited.append(Waited(task.role_path, task.id, task.host, what, since))
        left_out = max(0, len(tasks) - limit)
        return Waiting(waited, left_out)

    async def _hear_last_words(self, task: Task) -> None:
        """Keep the last lines of a task that failed: to whoever looks, they say more than all
        else."""
        for stream in ("stderr", "stdout"):
            try:
                text = await self.facilities.roster.task_log(task, stream, LAST_WORDS_BYTES)
            except AliecsError as problem:
                # It wrote nothing there, or its host has gone with it.
                self.log.debug("no last words of {task}: {why}", task=task.id, why=problem.message)
                continue
            if lines := text.splitlines():
                self.history.complete(task.id, last_log_lines=lines[-LOG_LINES:])
                return

    def fail_hook(self, cause: Cause) -> None:
        """A critical hook has failed. Where it is one of an exclusion or inclusion, that fails and
        nothing else does."""
        if self.current in (Event.EXCLUDE, Event.INCLUDE):
            self.warn(cause.line)
        else:
            self.fail(cause)

    def as_error(self, problem: Exception, doing: str) -> AliecsError:
        """What went wrong, in words for people. A fault of ours is logged in full: it must not
        keep an environment from going on or from ending."""
        if isinstance(problem, AliecsError):
            return problem
        self.log.failure("{doing} broke", doing=doing)
        return AliecsError(f"a fault of the core: {type(problem).__name__}: {problem}")

    def warn(self, text: str) -> None:
        """Say what went wrong without consequence, and keep it for the operator."""
        self.log.warn("{text}", text=text)
        self.history.warn(text)

    # --- what tasks do (TaskOwner) ---------------------------------------------------------

    def task_attached(self, task: Task) -> None:
        """See `TaskOwner`."""
        role = task.role
        assert isinstance(role, TaskRole)
        role.task = task.id
        role.set_state(task.state)
        role.set_status(task.status)

    def task_state_changed(self, task: Task) -> None:
        """See `TaskOwner`."""
        role = self._role_of(task)
        if role is not None:
            role.set_state(task.state)

    def task_status_changed(self, task: Task) -> None:
        """See `TaskOwner`."""
        role = self._role_of(task)
        if role is not None:
            role.set_status(task.status)
            self._muster(task)

    def task_ended(self, task: Task) -> None:
        """See `TaskOwner`."""
        self._muster(task)
        self.streams.lose(task)
        if task.end is None or task.end.expected or self.current is Event.DESTROY:
            return
        self.history.complete(task.id, task.end.exit)
        reason = str(task.end)
        if spared := self._spared(task):
            self.warn(f"task {task.describe()}, {spared}, ended: {reason}")
        else:
            self._critical(task, reason)

    def host_away(self, host: str, tasks: Sequence[Task], reason: str, grace_s: float) -> None:
        """See `TaskOwner`."""
        names = first_lines([task.short_name for task in tasks])
        self.warn(
            f"host {host} is out of reach: {reason}; {names} may go on, and will count as lost in"
            f" {grace_s:g} s"
        )

    def host_returned(self, host: str, away_s: float) -> None:
        """See `TaskOwner`."""
        self.warn(f"host {host} is back after {away_s:.0f} s")

    def task_unreachable(self, task: Task, reason: str) -> None:
        """See `TaskOwner`."""
        if spared := self._spared(task):
            self.warn(f"task {task.describe()}, {spared}: {reason}")
        else:
            self._critical(task, reason)

    def task_event(self, task: Task, event: DeviceEventType) -> None:
        """See `TaskOwner`."""
        if event is DeviceEventType.TASK_INTERNAL_ERROR:
            self._internal_error(task)
        else:
            self._end_stream(task)

    def basic_task_terminated(self, task: Task, result: BasicTaskTerminated) -> None:
        """See `TaskOwner`."""
        role = self._role_of(task)
        if role is None:
            return
        for name, value in (
            ("exitCode", str(result.exit_code)),
            ("stdout", result.stdout),
            ("stderr", result.stderr),
            ("finalStatus", result.final_mesos_state),
            ("timestamp", result.timestamp or timestamp()),
        ):
            role.set_runtime_variable(f"taskResult.{name}", value)
        if task.control_mode is not ControlMode.BASIC or not result.voluntary_termination:
            return
        if result.exit_code:
            self.warn(
                f"basic task {task.describe()} ended with exit code {result.exit_code}"
                f"{_last_line(result.stderr)}"
            )
        self._end_stream(task)

    @property
    def _in_run(self) -> bool:
        """True from the moment that tasks may have data. Whatever ends before all of them run is
        remembered until they do."""
        return self.state is EnvironmentState.RUNNING or self.current is Event.START_ACTIVITY

    def _internal_error(self, task: Task) -> None:
        """A task is broken, though its process lives. Of a critical one the run is ended in order,
        if there is one, and the environment goes to ERROR."""
        reason = "reported an internal error"
        role = self._role_of(task)
        if role is None:
            return
        role.set_state(State.ERROR)
        if spared := self._spared(task):
            self.warn(f"task {task.describe()}, {spared}, {reason}")
        elif self._in_run:
            self.fail(cause_of_task(task, reason, self.facilities.now_ms(), self._doing))
            self.react(self, Event.STOP_ACTIVITY, f"task {task.describe()} {reason}")
        else:
            self._critical(task, reason)

    @property
    def _doing(self) -> str:
        return self.current.value if self.current is not None else self.state.value

    def needs(self, task: Task) -> bool:
        """True where the end of the task would be a failure of the environment."""
        return not self._spared(task)

    def _spared(self, task: Task) -> str:
        """Why a failure of the task is none of the environment; empty where it is one."""
        if not task.critical:
            return "not critical"
        return "excluded" if isinstance(task.role, Role) and task.role.left_out else ""

    def _role_of(self, task: Task) -> TaskRole | None:
        role = task.role
        return role if isinstance(role, TaskRole) and role.task == task.id else None

    def _critical(self, task: Task, reason: str) -> None:
        self.fail(cause_of_task(task, reason, self.facilities.now_ms(), self._doing))
        if self._reaction is None or not self._reaction.active():
            self._reaction = self.facilities.clock.callLater(GATHER_S, self._go_error)

    def end_reactions(self) -> None:
        """The environment is no more: nothing of what it had in mind is done."""
        for timer in (self._reaction, self.auto_stop):
            if timer is not None and timer.active():
                timer.cancel()

    def _go_error(self) -> None:
        if self.state in (EnvironmentState.ERROR, EnvironmentState.DONE):
            return
        if self.current in (Event.GO_ERROR, Event.DESTROY):
            return
        cause = self.history.cause
        self.react(self, Event.GO_ERROR, cause.line if cause is not None else "a task failed")

    def _end_stream(self, task: Task) -> None:
        """The stream of a task has ended; with the last of them ends the run."""
        if self._in_run and self.streams.end(task):
            reason = f"end of stream, at last of task {task.describe()}"
            self.react(self, Event.STOP_ACTIVITY, reason)

    def _muster(self, task: Task) -> None:
        for muster in tuple(self.musters):
            muster.look(task)

    # --- telling ---------------------------------------------------------------------------

    def tell(
        self,
        message: str,
        status: OpStatus = OpStatus.NULL,
        step: str = "",
        error: str = "",
        transition: str | None = None,
        state: str | None = None,
        variables: Mapping[str, str] | None = None,
        info: WorkflowTemplateInfo | None = None,
        anonymous: bool = False,
    ) -> None:
        """Tell an environment event. `transition`, `state` and `info` are the present ones unless
        given; `anonymous` leaves out who asked."""
        if transition is None:
            transition = self.current.value if self.current is not None else ""
        self.facilities.bus.tell(
            EnvironmentEvent(
                environmentId=self.id,
                state=self.state.value if state is None else state,
                runNumber=0 if transition == Event.DESTROY.value else self.run_number,
                error=error,
                message=message,
                transition=transition,
                transitionStep=step,
                transitionStatus=status,
                vars=dict(variables or {}),
                lastRequestUser=None if anonymous else self.user,
                workflowTemplateInfo=self.info if info is None else info,
            )
        )

    def _role_changed(self, role: Role, kind: str) -> None:
        self.facilities.bus.tell(
            RoleEvent(
                name=role.name,
                rolePath=role.path,
                environmentId=self.id,
                status=role.status.text if kind == "status" else "",
                state=role.state.text if kind == "state" else "",
            )
        )


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return f": {lines[-1][:500]}" if lines else ""
