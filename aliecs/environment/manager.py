"""All environments of the core: create, control, destroy, and what follows from a failure.

Everything here is an operation: it has an id, belongs to its environment, and goes on whoever
waits. What is not allowed now is refused at once and changes nothing; a transition that fails takes
its environment to ERROR; a creation that fails takes it away again, and its record stays readable.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aliecs.environment.assembly import load_workflow
from aliecs.environment.environment import Environment
from aliecs.environment.exclusion import Target
from aliecs.environment.facilities import Facilities
from aliecs.environment.history import Cause, History
from aliecs.environment.lost import record_of_lost
from aliecs.environment.machine import EnvironmentState, Event, allowed_events
from aliecs.environment.modification import Modification, ModificationRequest
from aliecs.environment.operation import Operation
from aliecs.environment.reconfiguration import NewVariables, Plan, plan_of
from aliecs.environment.refusal import (
    find_modified,
    refuse_if_busy,
    refuse_kill,
    refuse_reconfiguration,
)
from aliecs.environment.transition import Conductor
from aliecs.errors import Aborted, AliecsError, Conflict, InvalidInput, NotFound, TransitionFailed
from aliecs.event.record import TASK, TIMER, OpStatus, User, WorkflowTemplateInfo
from aliecs.journal import EnvironmentRecord
from aliecs.task.task import Task
from aliecs.workflow.role import Role, TaskRole

CONTROLLABLE = frozenset(
    {Event.DEPLOY, Event.CONFIGURE, Event.START_ACTIVITY, Event.STOP_ACTIVITY, Event.RESET}
)
"""What a client may ask of an environment by name; RECOVER has a way of its own."""

POLL_S = 1.0

BEING_UNDONE = "is being undone"

UNTOLD = WorkflowTemplateInfo()
"""What events of a creation say of the workflow, but for two of them."""


@frozen
class CreationRequest:
    """What a client wants. `automatic` runs it by itself: start, wait for the end of the run,
    reset, destroy. `permit` is told the detectors when they are known, and raises `Forbidden` where
    the client may not have them."""

    expression: str
    variables: Mapping[str, str]
    user: User
    automatic: bool = False
    permit: Callable[[Sequence[str]], None] = lambda detectors: None


@frozen
class DestructionRequest:
    """How to end an environment: see the control API's `DestroyEnvironment`."""

    user: User
    keep_tasks: bool = False
    allow_in_running_state: bool = False
    force: bool = False


def winding_down(
    state: EnvironmentState, request: DestructionRequest
) -> tuple[Sequence[Event], bool]:
    """The transitions that go before a destruction from that state, and whether tasks may be kept
    after it."""
    if request.force or state in (EnvironmentState.STANDBY, EnvironmentState.DEPLOYED):
        return (), request.keep_tasks
    if state is EnvironmentState.CONFIGURED:
        return (Event.RESET,), request.keep_tasks
    if state is EnvironmentState.RUNNING and request.allow_in_running_state:
        return (Event.STOP_ACTIVITY, Event.RESET), request.keep_tasks
    return (), False


@frozen
class Destroyed:
    """The outcome of a destruction; None where tasks were kept."""

    killed: Sequence[Task] | None
    left: Sequence[Task]


def _told(what: str, problem: AliecsError) -> str:
    """What failed; of what was given up only that."""
    return problem.message if isinstance(problem, Aborted) else f"{what}: {problem.message}"


@define(eq=False)
class Manager:
    """See the module."""

    facilities: Facilities
    _environments: dict[str, Environment] = field(init=False, factory=dict)
    _conductors: dict[str, Conductor] = field(init=False, factory=dict)
    _wanted_stops: dict[str, str] = field(init=False, factory=dict)
    """Environment id to the reason of the stop."""
    _log: Logger = field(init=False, factory=Logger)

    # --- what there is ---------------------------------------------------------------------

    def environments(self) -> Sequence[Environment]:
        """All environments, oldest first."""
        return sorted(self._environments.values(), key=lambda e: e.created_ms)

    def environment(self, environment_id: str) -> Environment:
        """The environment of that id. Raises `NotFound`."""
        try:
            return self._environments[environment_id]
        except KeyError:
            raise NotFound(
                f"environment not found: no environment with id {environment_id[:40]}"
            ) from None

    def active_detectors(self) -> Sequence[str]:
        """Detectors that some environment uses, sorted."""
        found = {d for e in self._environments.values() for d in e.detectors()}
        return sorted(found)

    async def records(self, environment_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Records of environments: of one, living or ended, or of those that ended last."""
        if not environment_id:
            return [one.record for one in await self.facilities.journal.ended(limit)]
        living = self._environments.get(environment_id)
        if living is not None:
            return [living.history.record(living.state.value)]
        kept: EnvironmentRecord | None = await self.facilities.journal.environment(environment_id)
        if kept is None:
            raise NotFound(f"environment not found: no environment with id {environment_id}")
        return [kept.record]

    async def close_lost(self) -> None:
        """Write down the end of environments that a core before this one did not end: their tasks
        are ended by the backend, and they cannot be taken up again."""
        journal = self.facilities.journal
        for one in await journal.living():
            entries = await journal.entries(one.environment_id)
            record = record_of_lost(one, entries, self.facilities.now_ms())
            await journal.environment_ended(one.environment_id, record)
            self._log.warn(
                "environment {environment}: {line}",
                environment=one.environment_id,
                line=record["cause"]["line"],
            )

    # --- what is asked ---------------------------------------------------------------------

    def create(self, request: CreationRequest) -> Operation:
        """Create an environment; its result is the environment, CONFIGURED."""
        environment_id = self.facilities.identifiers.new()
        return self.facilities.operations.start(
            "CREATE",
            request.user,
            environment_id,
            lambda operation: self._create(operation, request),
        )

    def control(self, environment_id: str, event: Event, user: User) -> Operation:
        """Take an environment through a transition. Refused with `Conflict` where it is not allowed
        now. A transition that fails ends in ERROR, and the operation fails with the cause."""
        environment = self.environment(environment_id)
        if event not in CONTROLLABLE and event is not Event.RECOVER:
            raise InvalidInput(f"cannot prepare invalid transition {event.value}")
        refuse_if_busy(environment, event)
        environment.user = user
        environment.root.set_runtime_variable("last_request_user", user.to_variable())
        return self.facilities.operations.start(
            event.value,
            user,
            environment_id,
            lambda operation: self._control(operation, environment, event),
        )

    def modify(self, environment_id: str, request: ModificationRequest) -> Operation:
        """Exclude roles and include them, in the order of the request. What is not allowed at its
        beginning is refused; what fails on the way ends it, and the environment goes on. Its result
        is the environment."""
        environment = self.environment(environment_id)
        if not request.modifications and not request.reconfigure:
            raise InvalidInput("nothing is to be modified: name roles or detectors")
        if request.reconfigure:
            refuse_reconfiguration(environment)
        for modification in request.modifications[:1]:
            find_modified(environment, modification, self.environments())
        environment.user = request.user
        environment.root.set_runtime_variable("last_request_user", request.user.to_variable())
        kinds = {modification.event.value for modification in request.modifications}
        if request.reconfigure and not kinds:
            kinds = {"RECONFIGURE"}
        return self.facilities.operations.start(
            kinds.pop() if len(kinds) == 1 else "MODIFY",
            request.user,
            environment_id,
            lambda operation: self._modify(operation, environment, request),
        )

    def kill_tasks(
        self, tasks: Sequence[Task], user: User, reason: str, force: bool
    ) -> Operation:
        """End tasks, whoever has them: to an environment that is as any other end. Its result are
        those that have ended, and those that have not in their time. Raises `Conflict` where an
        environment cannot do without one of them, unless that is forced; none is ended then."""
        for task in tasks:
            refuse_kill(task, self._environments.get(task.environment_id), force)
        because = f"killed by {user.name or 'somebody'}" + (f": {reason}" if reason else "")
        for task in tasks:
            self._log.info("task {task} is {because}", task=task.describe(), because=because)

        async def kill(operation: Operation) -> tuple[Sequence[Task], Sequence[Task]]:
            operation.closing = "ends tasks"
            return await self.facilities.roster.kill(tasks, because)

        environments = {task.environment_id for task in tasks}
        only = environments.pop() if len(environments) == 1 else ""
        return self.facilities.operations.start("KILL", user, only, kill)

    def restart_task(self, task: Task, user: User, reason: str) -> Operation:
        """Give the role of a task another process, on the same host and in the state of the rest;
        its result is the environment. Where that fails the role is excluded. Raises `Conflict`
        where it cannot be done now."""
        environment = self._environments.get(task.environment_id)
        if environment is None or not isinstance(task.role, TaskRole):
            raise Conflict(
                f"task {task.describe()} cannot be restarted: it serves no environment; end it "
                "with coconut task kill"
            )
        modification = Modification(Event.EXCLUDE, (Target(role=task.role.path),))
        (role,) = find_modified(environment, modification, self.environments())
        environment.user = user
        environment.root.set_runtime_variable("last_request_user", user.to_variable())
        return self.facilities.operations.start(
            "RESTART",
            user,
            environment.id,
            lambda operation: self._restart(operation, environment, role, reason),
        )

    async def _restart(
        self, operation: Operation, environment: Environment, role: Role, reason: str
    ) -> Environment:
        """Out and in again, which keeps all others from what happens meanwhile."""
        conductor = self._conductors[environment.id]
        user = operation.user
        why = f"its task is restarted by {user.name or 'somebody'}"
        why += f": {reason}" if reason else ""
        out = conductor.modify(Event.EXCLUDE, [role], user, why, operation)
        await self._work(environment, Event.EXCLUDE, out)
        modification = Modification(Event.INCLUDE, (Target(role=role.path),))
        try:
            roles = find_modified(environment, modification, self.environments())
            into = conductor.modify(Event.INCLUDE, roles, user, why, operation, anew=True)
            await self._work(environment, Event.INCLUDE, into)
        except AliecsError as problem:
            if environment.destruction is None and not isinstance(problem, Aborted):
                problem.message += (
                    f"\nrole {role.path} is excluded now; include it again when that is mended"
                )
                problem.args = (problem.message,)
            raise
        return environment

    def abort(self, operation_id: str, user: User, reason: str) -> Operation:
        """Give up an operation: a creation is undone, a transition ends in ERROR, a modification
        leaves the environment as it was. Raises `NotFound`, and `Conflict` where it cannot be."""
        operation = self.facilities.operations.get(operation_id)
        operation.abort(user, reason)
        self._log.info(
            "operation {operation} ({kind}) of environment {environment} is aborted {abortion}",
            operation=operation.id,
            kind=operation.kind,
            environment=operation.environment_id,
            abortion=operation.abortion,
        )
        return operation

    def destroy(self, environment_id: str, request: DestructionRequest) -> Operation:
        """End an environment, aborting what is under way; its result is `Destroyed`."""
        environment = self.environment(environment_id)
        if environment.destruction is not None:
            return self._destroy_again(environment, environment.destruction, request)
        environment.user = request.user
        environment.root.set_runtime_variable("last_request_user", request.user.to_variable())
        return self.facilities.operations.start(
            "DESTROY",
            request.user,
            environment_id,
            lambda operation: self._destroy(operation, environment, request),
        )

    async def destroy_all(self, user: User, reason: str) -> None:
        """The explicit order to end everything: every environment, then every idle task."""
        self._log.info(
            "everything is ended on request of {user}: {reason}", user=user.name, reason=reason
        )
        request = DestructionRequest(user, allow_in_running_state=True)
        waits = [
            Deferred.fromCoroutine(
                (environment.destruction or self.destroy(environment.id, request)).wait()
            )
            for environment in self.environments()
        ]
        await DeferredList(waits, consumeErrors=True)
        await self.facilities.roster.clean_up()

    # --- creation --------------------------------------------------------------------------

    async def _create(self, operation: Operation, request: CreationRequest) -> Environment:
        environment = await self._prepare(operation, request)
        try:
            await self._announce(environment)
            await self._load(environment, request, operation)
            request.permit(environment.detectors())
            self._register(environment)
        except Exception as fault:
            operation.closing = BEING_UNDONE
            if isinstance(fault, CancelledError):
                why = operation.why_cancelled("because the core ends")
                problem: AliecsError = Aborted(f"CREATE aborted {why}")
            else:
                problem = environment.as_error(fault, "loading")
            environment.fail(Cause(problem.message, self.facilities.now_ms()))
            await self._close(environment, EnvironmentState.ERROR)
            self._tell_creation_failed(environment, problem.message)
            raise problem from fault
        try:
            await self._run(environment, Event.DEPLOY, request.user, operation)
            await self._run(environment, Event.CONFIGURE, request.user, operation)
        except AliecsError as problem:
            await self._undo_creation(environment, problem, operation)
            raise
        if request.automatic:
            self.facilities.operations.start(
                "AUTOMATIC",
                request.user,
                environment.id,
                lambda one: self._run_by_itself(one, environment),
            )
        return environment

    async def _prepare(self, operation: Operation, request: CreationRequest) -> Environment:
        defaults = dict(await self.facilities.configuration.defaults())
        variables = dict(await self.facilities.configuration.variables())
        now_ms = self.facilities.now_ms()
        environment = Environment(
            id=operation.environment_id,
            facilities=self.facilities,
            expression=request.expression,
            user=request.user,
            created_ms=now_ms,
            history=History(
                operation.environment_id, request.expression, request.user.name, now_ms
            ),
            base_defaults={**self.facilities.options.defaults, **defaults},
            base_vars=variables,
            requested=dict(request.variables),
        )
        environment.info = WorkflowTemplateInfo(path=request.expression)
        environment.react = self._react
        return environment

    async def _announce(self, environment: Environment) -> None:
        environment.tell(
            "transition starting",
            OpStatus.STARTED,
            transition="CREATE",
            state="PENDING",
            info=UNTOLD,
        )
        await self.facilities.journal.environment_created(
            environment.id, environment.history.record(environment.state.value)
        )
        environment.tell(
            "instantiating",
            OpStatus.STARTED,
            "before_CREATE",
            transition="CREATE",
            state="PENDING",
        )

    async def _load(
        self, environment: Environment, request: CreationRequest, operation: Operation
    ) -> None:
        operation.step = "CREATE"
        for message, step in (("running hooks", "before_CREATE"), ("loading workflow", "CREATE")):
            environment.tell(
                message,
                OpStatus.ONGOING,
                step,
                transition="CREATE",
                state="PENDING",
                info=UNTOLD,
            )
        try:
            workflow = await load_workflow(environment, request.variables)
        except AliecsError as problem:
            problem.message = f"cannot load workflow template: {problem.message}"
            problem.args = (problem.message,)
            raise
        environment.adopt(
            workflow,
            WorkflowTemplateInfo(
                workflow.name, workflow.description, request.expression, workflow.public
            ),
        )
        for warning in workflow.warnings:
            environment.warn(str(warning))
        await self._find_detectors(environment)

    async def _find_detectors(self, environment: Environment) -> None:
        """The default of `detectors`: those of the hosts, where the inventory knows any."""
        configuration = self.facilities.configuration
        if not await configuration.host_inventory(""):
            return
        hosts = environment.list_variable("hosts")
        try:
            found = await configuration.detectors_for_hosts(hosts)
        except AliecsError as problem:
            raise InvalidInput(
                f"cannot acquire detectors in loaded workflow template: {problem.message}"
            ) from problem
        environment.workflow.defaults["detectors"] = msgspec.json.encode(list(found)).decode()

    def _register(self, environment: Environment) -> None:
        """Make the environment known. No detector serves two: this looks and registers at once."""
        active = set(self.active_detectors())
        for detector in environment.detectors():
            if detector in active:
                raise Conflict(f"detector {detector} is already in use")
        self._environments[environment.id] = environment
        self._conductors[environment.id] = Conductor(environment)
        environment.tell(
            "workflow loaded",
            OpStatus.DONE_OK,
            "after_CREATE",
            transition="CREATE",
            variables=environment.root.stack(),
        )
        environment.tell(
            "transition completed successfully",
            OpStatus.DONE_OK,
            transition="CREATE",
            info=UNTOLD,
        )

    async def _undo_creation(
        self, environment: Environment, problem: AliecsError, operation: Operation
    ) -> None:
        if environment.destruction is not None:
            # Somebody destroys it already.
            self._tell_creation_failed(environment, problem.message)
            return
        environment.destruction = operation
        operation.closing = BEING_UNDONE
        await self._fall(
            environment, _told("deployment or configuration failed", problem), operation
        )
        await self._tear_down(environment, operation, keep_tasks=False)
        self._tell_creation_failed(environment, problem.message)

    def _tell_creation_failed(self, environment: Environment, error: str) -> None:
        environment.tell(
            "transition error",
            OpStatus.DONE_ERROR,
            error=error,
            transition="CREATE",
            state="PENDING",
            info=UNTOLD,
        )

    async def _run_by_itself(self, operation: Operation, environment: Environment) -> None:
        """An automatic environment: one run, to its own end, and away."""
        user = operation.user
        try:
            await self._run(environment, Event.START_ACTIVITY, user, operation)
            while environment.state is EnvironmentState.RUNNING or environment.current is not None:
                await deferLater(self.facilities.clock, POLL_S)
            if environment.state is EnvironmentState.CONFIGURED:
                await self._run(environment, Event.RESET, user, operation)
        except (AliecsError, CancelledError) as problem:
            if environment.destruction is not None:
                return
            aborted = f"aborted {operation.why_cancelled('because the core ends')}"
            error = problem.message if isinstance(problem, AliecsError) else aborted
            operation.closing = BEING_UNDONE
            await self._fall(environment, error, operation)
        if environment.destruction is None and environment.current is None:
            environment.destruction = operation
            operation.closing = "is a destruction"
            await self._tear_down(environment, operation, keep_tasks=False)

    # --- control ---------------------------------------------------------------------------

    async def _control(
        self, operation: Operation, environment: Environment, event: Event
    ) -> Environment:
        conductor = self._conductors[environment.id]
        work = conductor.perform(event, operation.user, operation)
        await self._or_fall(operation, environment, event, work)
        return environment

    async def _or_fall(
        self,
        operation: Operation,
        environment: Environment,
        event: Event,
        work: Coroutine[Any, Any, None],
    ) -> None:
        """A transition whose failure takes the environment to ERROR."""
        try:
            await self._work(environment, event, work)
        except Conflict:
            raise
        except AliecsError as problem:
            if environment.destruction is None:
                operation.closing = "has failed, and its environment goes to ERROR"
                await self._fall(
                    environment, _told(f"transition {event.value} failed", problem), operation
                )
            raise

    async def _modify(
        self, operation: Operation, environment: Environment, request: ModificationRequest
    ) -> Environment:
        conductor = self._conductors[environment.id]
        plan = None
        if request.variables:
            operation.step = "planning"
            plan = await plan_of(environment, request.variables)
        for one in request.modifications:
            roles = find_modified(environment, one, self.environments())
            await self._work(
                environment,
                one.event,
                conductor.modify(one.event, roles, request.user, request.reason, operation),
            )
        if request.reconfigure:
            # Others may have been faster while it was planned.
            refuse_reconfiguration(environment)
            if environment.state is EnvironmentState.CONFIGURED:
                await self._control(operation, environment, Event.RESET)
            if plan is not None and plan.names:
                await self._or_fall(
                    operation,
                    environment,
                    Event.REPLACE,
                    conductor.replace(plan, request.user, request.reason, operation),
                )
            await self._control(operation, environment, Event.CONFIGURE)
        return environment

    async def plan(self, environment_id: str, variables: NewVariables) -> Plan:
        """What a reconfiguration would do; nothing is changed. Raises what it would be refused
        with."""
        environment = self.environment(environment_id)
        refuse_reconfiguration(environment)
        return await plan_of(environment, variables)

    async def _run(
        self, environment: Environment, event: Event, user: User, operation: Operation
    ) -> None:
        """One transition as the environment's work."""
        conductor = self._conductors[environment.id]
        await self._work(environment, event, conductor.perform(event, user, operation))

    async def _work(
        self, environment: Environment, event: Event, coroutine: Coroutine[Any, Any, None]
    ) -> None:
        """Something as the environment's work; what it interrupts is aborted."""
        interrupted = environment.work
        conductor = self._conductors[environment.id]
        work = Deferred.fromCoroutine(coroutine)
        if not work.called:
            environment.work = work
            if interrupted is not None:
                conductor.interrupt(interrupted, f"interrupted by {event.value}")
        try:
            await work
        finally:
            if environment.work is work:
                environment.work = None
                self._do_wanted_stop(environment)

    async def _fall(self, environment: Environment, error: str, operation: Operation) -> None:
        """Go to ERROR after a failure, or wait for it where somebody else does it."""
        if environment.current is Event.GO_ERROR:
            await self._wait_for_error(environment)
            return
        if Event.GO_ERROR not in allowed_events(environment.state):
            return
        environment.tell(
            "a critical error occurred, GO_ERROR transition imminent", error=error, transition=""
        )
        environment.account_for(error)
        try:
            await self._run(environment, Event.GO_ERROR, operation.user, operation)
        except (Conflict, TransitionFailed) as problem:
            environment.warn(f"GO_ERROR: {problem.message}")

    async def _wait_for_error(self, environment: Environment) -> None:
        while environment.current is Event.GO_ERROR:
            await deferLater(self.facilities.clock, 0.05)

    # --- what environments do by themselves ------------------------------------------------

    def _react(self, environment: Environment, event: Event, reason: str) -> None:
        """An environment has to do something: see `Environment.react`."""
        if environment.id not in self._environments or environment.destruction is not None:
            return
        environment.log.info("{event}: {reason}", event=event.value, reason=reason)
        if event is Event.GO_ERROR:
            self.facilities.operations.start(
                event.value,
                environment.user,
                environment.id,
                lambda operation: self._go_error(operation, environment, reason),
            )
            return
        user = TIMER if "auto_stop_timeout" in reason else TASK
        if environment.current is not None:
            self._wanted_stops[environment.id] = reason
        elif environment.state is EnvironmentState.RUNNING:
            self._stop(environment, user, reason)

    async def _go_error(
        self, operation: Operation, environment: Environment, reason: str
    ) -> None:
        operation.closing = "takes its environment to ERROR"
        await self._fall(environment, reason, operation)

    def _stop(self, environment: Environment, user: User, reason: str) -> None:
        environment.user = user

        async def stop(operation: Operation) -> None:
            try:
                await self._run(environment, Event.STOP_ACTIVITY, user, operation)
            except Conflict:
                return
            except AliecsError as problem:
                if environment.destruction is None:
                    operation.closing = "has failed, and its environment goes to ERROR"
                    await self._fall(environment, f"stop ({reason}): {problem.message}", operation)
                return
            cause = environment.history.cause
            if cause is not None and environment.destruction is None:
                # The run was stopped in order because something critical had failed.
                await self._fall(environment, cause.line, operation)

        self.facilities.operations.start("STOP_ACTIVITY", user, environment.id, stop)

    def _do_wanted_stop(self, environment: Environment) -> None:
        """A stop that was asked for during a transition is done after it. Where that was a stop
        itself, the failure for which another was asked still takes the environment to ERROR."""
        reason = self._wanted_stops.pop(environment.id, None)
        if reason is None:
            return
        event = Event.STOP_ACTIVITY
        if environment.state is not EnvironmentState.RUNNING:
            if environment.history.cause is None:
                return
            event = Event.GO_ERROR
        self.facilities.clock.callLater(0, self._react, environment, event, reason)

    # --- the end ---------------------------------------------------------------------------

    async def _destroy(
        self, operation: Operation, environment: Environment, request: DestructionRequest
    ) -> Destroyed:
        environment.destruction = operation
        operation.closing = "is a destruction"
        self._interrupt(environment, request.user)
        keep_tasks = await self._wind_down(operation, environment, request)
        return await self._tear_down(environment, operation, keep_tasks)

    def _destroy_again(
        self, environment: Environment, destruction: Operation, request: DestructionRequest
    ) -> Operation:
        """A second destruction hurries the first where that is still stopping tasks in order, and
        is refused otherwise."""
        if not request.force or environment.current is Event.DESTROY:
            refuse_if_busy(environment, Event.DESTROY)
        self._interrupt(environment, request.user)
        return destruction

    def _interrupt(self, environment: Environment, user: User) -> None:
        if environment.work is not None:
            why = f"destroyed by {user.name or 'somebody'}"
            self._conductors[environment.id].interrupt(environment.work, why)

    async def _wind_down(
        self, operation: Operation, environment: Environment, request: DestructionRequest
    ) -> bool:
        """Stop and reset before a gentle end. Gives whether tasks may be kept after it."""
        steps, keeps_tasks = winding_down(environment.state, request)
        for event in steps:
            try:
                await self._run(environment, event, request.user, operation)
            except AliecsError:
                word = "STOP_ACTIVITY" if event is Event.STOP_ACTIVITY else "RESET"
                await self._fall(
                    environment, f"{word} during environment destruction failed", operation
                )
                return False
        return keeps_tasks

    async def _tear_down(
        self, environment: Environment, operation: Operation, keep_tasks: bool
    ) -> Destroyed:
        tasks = environment.tasks()
        names = {task.id: task.short_name for task in tasks}
        await self._conductors[environment.id].teardown(operation)
        self._environments.pop(environment.id, None)
        self._conductors.pop(environment.id, None)
        self._wanted_stops.pop(environment.id, None)
        failed = environment.history.cause is not None
        await self._close(environment, EnvironmentState.ERROR if failed else EnvironmentState.DONE)
        if keep_tasks:
            return Destroyed(None, self.facilities.roster.tasks())
        # What another environment has claimed meanwhile is its own.
        living = [task for task in tasks if task.living and not task.locked]
        killed, left = await self.facilities.roster.kill(living)
        if left:
            text = ", ".join(task.describe_survivor(names[task.id]) for task in left)
            raise TransitionFailed(f"could not kill some tasks: {text}")
        return Destroyed(killed, self.facilities.roster.tasks())

    async def _close(self, environment: Environment, state: EnvironmentState) -> None:
        """Keep the record of an environment that is no more."""
        environment.end_reactions()
        try:
            await self.facilities.journal.environment_ended(
                environment.id,
                environment.history.record(state.value, self.facilities.now_ms()),
            )
        except AliecsError as problem:
            environment.log.error("the record is lost: {reason}", reason=problem.message)
