"""All environments of the core: create, control, destroy, and the records of those that ended.

Everything here is an operation: it has an id, belongs to its environment, and goes on whoever
waits. What is not allowed now is refused at once and changes nothing; a transition that fails takes
its environment to ERROR (see `fleet`); a creation that fails takes it away again, and its record
stays readable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aliecs.environment.alteration import Alterations
from aliecs.environment.assembly import load_workflow
from aliecs.environment.environment import Environment
from aliecs.environment.facilities import Facilities
from aliecs.environment.fleet import Fleet, failure_text
from aliecs.environment.history import Cause, History
from aliecs.environment.lost import record_of_lost
from aliecs.environment.machine import EnvironmentState, Event
from aliecs.environment.operation import Operation
from aliecs.environment.refusal import (
    refuse_if_busy,
)
from aliecs.errors import Aborted, AliecsError, Conflict, InvalidInput, NotFound, TransitionFailed
from aliecs.event.record import OpStatus, User, WorkflowTemplateInfo
from aliecs.journal import EnvironmentRecord
from aliecs.task.task import Task

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


@define(eq=False)
class Manager:
    """See the module."""

    facilities: Facilities
    fleet: Fleet = field(init=False)
    """The living environments."""
    alterations: Alterations = field(init=False)
    """What is changed about them."""
    _log: Logger = field(init=False, factory=Logger)

    def __attrs_post_init__(self) -> None:
        self.fleet = Fleet(self.facilities)
        self.alterations = Alterations(self.fleet)

    # --- what there is ---------------------------------------------------------------------

    def environments(self) -> Sequence[Environment]:
        """All environments, oldest first."""
        return self.fleet.environments()

    def environment(self, environment_id: str) -> Environment:
        """The environment of that id. Raises `NotFound`."""
        return self.fleet.environment(environment_id)

    def active_detectors(self) -> Sequence[str]:
        """Detectors that some environment uses, sorted."""
        found = {d for e in self.environments() for d in e.detectors()}
        return sorted(found)

    async def records(self, environment_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Records of environments: of one, living or ended, or of those that ended last."""
        if not environment_id:
            return [one.record for one in await self.facilities.journal.ended(limit)]
        living = self.fleet.get(environment_id)
        if living is not None:
            return [living.history.record(living.state.value)]
        kept: EnvironmentRecord | None = await self.facilities.journal.environment(environment_id)
        if kept is None:
            raise NotFound(
                f"environment not found: no environment with id {environment_id[:40]}"
            )
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
        self.fleet.asked_for(environment, user)
        return self.facilities.operations.start(
            event.value,
            user,
            environment_id,
            lambda operation: self.fleet.control(operation, environment, event),
        )

    def abort(self, operation_id: str, user: User, reason: str) -> Operation:
        """Give up an operation: a creation is undone, a transition ends in ERROR, an exclusion or
        inclusion leaves its roles excluded. Raises `NotFound`, and `Conflict` where it cannot
        be."""
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
        self.fleet.asked_for(environment, request.user)
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
            await self.fleet.run(environment, Event.DEPLOY, request.user, operation)
            await self.fleet.run(environment, Event.CONFIGURE, request.user, operation)
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
        environment.react = self.fleet.react
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
        self.fleet.add(environment)
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
        await self.fleet.fall(
            environment, failure_text("deployment or configuration failed", problem), operation
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
            await self.fleet.run(environment, Event.START_ACTIVITY, user, operation)
            while environment.state is EnvironmentState.RUNNING or environment.current is not None:
                await deferLater(self.facilities.clock, POLL_S)
            if environment.state is EnvironmentState.CONFIGURED:
                await self.fleet.run(environment, Event.RESET, user, operation)
        except (AliecsError, CancelledError) as problem:
            if environment.destruction is not None:
                return
            aborted = f"aborted {operation.why_cancelled('because the core ends')}"
            error = problem.message if isinstance(problem, AliecsError) else aborted
            operation.closing = BEING_UNDONE
            await self.fleet.fall(environment, error, operation)
        if environment.destruction is None and environment.current is None:
            environment.destruction = operation
            operation.closing = "is a destruction"
            await self._tear_down(environment, operation, keep_tasks=False)

    # --- the end ---------------------------------------------------------------------------

    async def _destroy(
        self, operation: Operation, environment: Environment, request: DestructionRequest
    ) -> Destroyed:
        environment.destruction = operation
        operation.closing = "is a destruction"
        self.fleet.interrupt(environment, request.user)
        keep_tasks = await self._wind_down(operation, environment, request)
        return await self._tear_down(environment, operation, keep_tasks)

    def _destroy_again(
        self, environment: Environment, destruction: Operation, request: DestructionRequest
    ) -> Operation:
        """A second destruction hurries the first where that is still stopping tasks in order, and
        is refused otherwise."""
        if not request.force or environment.current is Event.DESTROY:
            refuse_if_busy(environment, Event.DESTROY)
        self.fleet.interrupt(environment, request.user)
        return destruction

    async def _wind_down(
        self, operation: Operation, environment: Environment, request: DestructionRequest
    ) -> bool:
        """Stop and reset before a gentle end. Gives whether tasks may be kept after it."""
        steps, keeps_tasks = winding_down(environment.state, request)
        for event in steps:
            try:
                await self.fleet.run(environment, event, request.user, operation)
            except AliecsError:
                word = "STOP_ACTIVITY" if event is Event.STOP_ACTIVITY else "RESET"
                await self.fleet.fall(
                    environment, f"{word} during environment destruction failed", operation
                )
                return False
        return keeps_tasks

    async def _tear_down(
        self, environment: Environment, operation: Operation, keep_tasks: bool
    ) -> Destroyed:
        tasks = environment.tasks()
        names = {task.id: task.short_name for task in tasks}
        await self.fleet.conductor(environment).teardown(operation)
        self.fleet.remove(environment)
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
