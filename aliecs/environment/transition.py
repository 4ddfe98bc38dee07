"""A transition from start to end: moments in order, the tasks' own work between them.

    before_X  ->  leave_S  ->  tasks  ->  (the state changes)  ->  enter_T  ->  after_X

At each moment hooks with negative weights run first, then what the core itself writes down, then
the other hooks. What fails before the state has changed cancels the transition; what fails after it
leaves the new state and makes the transition fail all the same. Nothing is rolled back here: who
asked decides what follows, in `manager`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred

from aliecs.environment import run
from aliecs.environment.exclusion import (
    DETECTORS,
    EXCLUDED_ROLES,
    MODIFIED_DETECTORS,
    MODIFIED_ROLES,
)
from aliecs.environment.history import SLOWEST, TransitionRecord
from aliecs.environment.hook import Half, Hooks
from aliecs.environment.machine import EDGES, EnvironmentState, Event
from aliecs.environment.modification import Modifier
from aliecs.environment.operation import Operation
from aliecs.environment.reconfiguration import Plan
from aliecs.environment.result import NodeResult, StepResult
from aliecs.environment.work import Work
from aliecs.errors import Aborted, AliecsError, TransitionFailed
from aliecs.event.record import OpStatus, User
from aliecs.workflow.role import Role

if TYPE_CHECKING:
    from aliecs.environment.environment import Environment

RUN_ENDS = frozenset({Event.STOP_ACTIVITY, Event.GO_ERROR})
MOST_ROLES = 100
"""Roles that the record of a replacement names."""
TEARDOWN_MOMENTS = ("DESTROY", "after_DESTROY")


@define(eq=False)
class Conductor:
    """Runs the transitions of one environment, one at a time."""

    environment: Environment
    hooks: Hooks = field(init=False)
    work: Work = field(init=False)
    record: TransitionRecord = field(init=False)
    _operation: Operation = field(init=False)
    """That of the transition under way."""
    _step_name: str = field(init=False, default="")
    _why_aborted: str = field(init=False, default="")

    def __attrs_post_init__(self) -> None:
        self.work = Work(self.environment)
        self.hooks = Hooks(self.environment, self.work.deploy_early)

    def interrupt(self, work: Deferred[None], why: str) -> None:
        """End a transition that is under way; whoever waits for it is told why."""
        self._why_aborted = why
        work.cancel()

    async def perform(self, event: Event, user: User, operation: Operation) -> None:
        """One transition. Raises `Conflict` where it is not allowed now, and nothing has changed;
        `TransitionFailed` with the cause where it failed."""
        environment = self.environment
        source = environment.state
        record = self._open(event, EDGES[event].destination, user, operation)
        try:
            await environment.facilities.journal.intend(
                "transition_begun", environment.id, {"event": event.value, "user": user.name}
            )
            await self._before(event, source, operation)
        except Exception as problem:
            failed = self._failed(event, problem)
            if environment.current is event:
                environment.machine.cancelled()
            self._close(event, record, failed)
            raise failed from problem
        problem_after = await self._after(event, operation)
        if environment.current is event:
            environment.machine.finished()
        if event is Event.RECOVER and problem_after is None:
            environment.history.recover()
        self._close(event, record, problem_after)
        if problem_after is not None:
            raise problem_after

    async def modify(
        self,
        event: Event,
        roles: Sequence[Role],
        user: User,
        reason: str,
        operation: Operation,
        anew: bool = False,
    ) -> None:
        """Exclude roles, or include them: hooks, their tasks' own work, hooks; the state is the
        same afterwards. Raises as `perform`; where an inclusion fails, nothing has changed but the
        processes of its tasks. `anew`: an inclusion takes new processes."""
        environment = self.environment
        record = self._open(event, environment.state, user, operation)
        record.run_number = environment.run_number
        record.roles = [role.path for role in roles]
        environment.exclusions.announce(environment.root, event, roles)
        modifier = Modifier(environment, self.work)
        step = f"tasks_{event.value}"
        try:
            await environment.facilities.journal.intend(
                "transition_begun",
                environment.id,
                {"event": event.value, "user": user.name, "roles": record.roles, "reason": reason},
            )
            await self._step(f"before_{event.value}", operation, None)
            environment.tell("transition step starting", OpStatus.ONGOING, step)
            with self._tasks_step(step, operation):
                if event is Event.EXCLUDE:
                    await modifier.exclude(roles, user, reason, operation)
                else:
                    await modifier.include(roles, operation, anew)
            variables = {
                name: environment.root.variable(name)
                for name in (MODIFIED_ROLES, MODIFIED_DETECTORS, EXCLUDED_ROLES, DETECTORS)
            }
            environment.tell(
                "transition step finished", OpStatus.ONGOING, step, variables=variables
            )
            await self._step(f"after_{event.value}", operation, None)
        except Exception as problem:
            failed = self._not_modified(event, problem)
            if environment.current is event:
                environment.machine.cancelled()
            self._close(event, record, failed)
            raise failed from problem
        if environment.current is event:
            environment.machine.finished()
        self._close(event, record, None)

    async def replace(self, plan: Plan, user: User, reason: str, operation: Operation) -> None:
        """Change the variables of an environment, and give other processes to those tasks that need
        them. Raises as `perform`."""
        environment = self.environment
        facilities = environment.facilities
        record = self._open(Event.REPLACE, environment.state, user, operation)
        record.roles = [one.role.path for one in plan.replacements[:MOST_ROLES]]
        record.variables = plan.variables.told()
        step = f"tasks_{Event.REPLACE.value}"
        try:
            await facilities.journal.intend(
                "transition_begun",
                environment.id,
                {
                    "event": Event.REPLACE.value,
                    "user": user.name,
                    "roles": record.roles,
                    "reason": reason,
                    "variables": record.variables,
                },
            )
            await self._step(f"before_{Event.REPLACE.value}", operation, None)
            await facilities.journal.intend(
                "variables_changed", environment.id, {"change": plan.document}
            )
            await self.work.adopt(plan)
            environment.tell("transition step starting", OpStatus.ONGOING, step)
            with self._tasks_step(step, operation):
                await self.work.replace(plan.replacements, operation)
            environment.tell(
                "transition step finished", OpStatus.ONGOING, step, variables=plan.variables.set
            )
            await self._step(f"after_{Event.REPLACE.value}", operation, None)
        except Exception as problem:
            failed = self._failed(Event.REPLACE, problem)
            if environment.current is Event.REPLACE:
                environment.machine.cancelled()
            self._close(Event.REPLACE, record, failed)
            raise failed from problem
        if environment.current is Event.REPLACE:
            environment.machine.finished()
        self._close(Event.REPLACE, record, None)

    async def teardown(self, operation: Operation) -> None:
        """The end of the environment, from whatever state: hooks at leaving, tasks released, hooks
        at DESTROY, state DONE. Tasks are ended by whoever asked. A hook that fails is told and
        keeps nothing from ending."""
        environment = self.environment
        state = environment.state
        environment.machine.begin(Event.DESTROY, state, environment.current)
        environment.current_user = operation.user
        environment.current_since_ms = environment.facilities.now_ms()
        self.record = TransitionRecord(
            Event.DESTROY.value,
            state.value,
            EnvironmentState.DONE.value,
            environment.current_since_ms,
            requested_by=operation.user.name,
            run_number=environment.run_number,
        )
        self._operation = self.hooks.operation = operation
        operation.waited_for = environment.waited_for
        environment.history.begin(self.record)
        environment.tell("workflow teardown started", OpStatus.STARTED, "before_DESTROY")
        leave = f"leave_{state.value}"
        self._begin_step(leave, operation)
        environment.tell("workflow teardown ongoing", OpStatus.ONGOING, leave)
        try:
            await self.hooks.run(leave)
        except Exception as problem:
            environment.warn(environment.as_error(problem, leave).message)
        if state is EnvironmentState.RUNNING:
            run.ending(environment, "TEARDOWN")
            run.ended(environment, "TEARDOWN")
        self._step_done(leave)
        self._begin_step("DESTROY", operation)
        environment.tell("releasing tasks", OpStatus.ONGOING, "DESTROY")
        hook_tasks = set(self.hooks.tasks_at(TEARDOWN_MOMENTS))
        self.work.cancel_auto_stop()
        self.work.end_calls()
        roster = environment.facilities.roster
        roster.release([task for task in environment.tasks() if task not in hook_tasks])
        environment.tell("running DESTROY hooks", OpStatus.ONGOING, "after_DESTROY")
        error = ""
        try:
            await self.hooks.run_for_teardown(TEARDOWN_MOMENTS)
        except Exception as problem:
            error = environment.as_error(problem, "DESTROY").message
            environment.warn(error)
        self.hooks.cancel_pending()
        roster.release(hook_tasks)
        environment.machine.reached()
        environment.machine.finished()
        self._step_done("DESTROY")
        self.record.ended_ms = environment.facilities.now_ms()
        said = "finished with error" if error else "complete"
        environment.tell(
            f"environment teardown {said}",
            OpStatus.DONE_ERROR if error else OpStatus.DONE_OK,
            "after_DESTROY",
            error=error,
            transition=Event.DESTROY.value,
        )

    # --- the beginning ---------------------------------------------------------------------

    def _open(
        self, event: Event, destination: EnvironmentState, user: User, operation: Operation
    ) -> TransitionRecord:
        """Begin, or raise `Conflict`."""
        environment = self.environment
        environment.machine.begin(event, environment.state, environment.current)
        environment.current_user = user
        environment.current_since_ms = environment.facilities.now_ms()
        self.record = TransitionRecord(
            event.value,
            environment.state.value,
            destination.value,
            environment.current_since_ms,
            requested_by=user.name,
        )
        self._operation = self.hooks.operation = operation
        operation.waited_for = environment.waited_for
        environment.history.begin(self.record)
        environment.tell("transition starting", OpStatus.STARTED)
        environment.log.info(
            "{event} begins, asked for by {user}", event=event.value, user=user.name or "nobody"
        )
        return self.record

    # --- the two halves --------------------------------------------------------------------

    async def _before(self, event: Event, source: EnvironmentState, operation: Operation) -> None:
        """Up to the change of state. What it raises cancels the transition."""
        environment = self.environment
        for moment, write in (
            (f"before_{event.value}", lambda: self._write_before(event)),
            (f"leave_{source.value}", self._write_leaving(source)),
        ):
            try:
                await self._step(moment, operation, write)
            except AliecsError as problem:
                if event is not Event.GO_ERROR:
                    raise
                # Nothing keeps an environment out of ERROR.
                environment.warn(problem.message)
        step = f"tasks_{event.value}"
        environment.tell("transition step starting", OpStatus.ONGOING, step)
        try:
            with self._tasks_step(step, operation):
                await self.work.do(event, operation)
        except AliecsError as problem:
            environment.tell(
                "transition step finished", OpStatus.DONE_ERROR, step, error=problem.message
            )
            raise
        environment.machine.reached()
        environment.tell("transition step finished", OpStatus.ONGOING, step)

    async def _after(self, event: Event, operation: Operation) -> TransitionFailed | None:
        """From the change of state to the end. Gives the first failure; all of it is done."""
        environment = self.environment
        problem: TransitionFailed | None = None
        try:
            problem = await self._both_halves(
                f"enter_{environment.state.value}", operation, self._write_entering
            )
            entered = problem
            failed = await self._both_halves(
                f"after_{event.value}", operation, lambda: self._write_after(event, entered)
            )
            problem = problem or failed
        except Exception as broken:
            problem = self._failed(event, broken)
        if event in RUN_ENDS:
            run.forget(environment)
        return problem

    async def _step(
        self, moment: str, operation: Operation, write: Callable[[], Awaitable[None]] | None
    ) -> None:
        """A moment before the change of state: its first failure ends it."""
        environment = self.environment
        self._begin_step(moment, operation)
        environment.tell("transition step starting", OpStatus.ONGOING, moment)
        try:
            await self.hooks.run(moment, Half.NEGATIVE)
        except AliecsError as problem:
            # The run has ended all the same.
            if write is not None and moment == f"leave_{EnvironmentState.RUNNING.value}":
                await write()
            environment.tell(
                "transition step finished",
                OpStatus.DONE_ERROR,
                moment,
                error=problem.message,
                anonymous=True,
            )
            raise
        else:
            if write is not None:
                await write()
        try:
            await self.hooks.run(moment, Half.REST)
        except AliecsError as problem:
            environment.tell(
                "transition step finished", OpStatus.ONGOING, moment, error=problem.message
            )
            raise
        self._step_done(moment)
        environment.tell("transition step finished", OpStatus.ONGOING, moment)

    async def _both_halves(
        self, moment: str, operation: Operation, write: Callable[[], None]
    ) -> TransitionFailed | None:
        """A moment after the change of state: both halves run, whatever fails."""
        environment = self.environment
        self._begin_step(moment, operation)
        environment.tell("transition step starting", OpStatus.ONGOING, moment)
        problem: TransitionFailed | None = None
        try:
            await self.hooks.run(moment, Half.NEGATIVE)
        except TransitionFailed as failed:
            problem = failed
        write()
        try:
            await self.hooks.run(moment, Half.REST)
        except TransitionFailed as failed:
            problem = problem or failed
        self._step_done(moment)
        if problem is None:
            environment.tell("transition step finished", OpStatus.ONGOING, moment)
        else:
            environment.tell(
                "transition step finished", OpStatus.DONE_ERROR, moment, error=problem.message
            )
        return problem

    # --- what the core writes down ---------------------------------------------------------

    async def _write_before(self, event: Event) -> None:
        if event is Event.START_ACTIVITY:
            await run.begin(self.environment)
            self.record.run_number = self.environment.run_number
        elif event in RUN_ENDS:
            self.record.run_number = self.environment.run_number
            run.ending(self.environment, event.value)

    def _write_leaving(self, source: EnvironmentState) -> Callable[[], Awaitable[None]] | None:
        if source is not EnvironmentState.RUNNING:
            return None

        async def write() -> None:
            run.ending(self.environment, "", told=False)

        return write

    def _write_entering(self) -> None:
        now_ms = self.environment.facilities.now_ms()
        self.environment.root.set_runtime_variable("enter_state_time_ms", str(now_ms))

    def _write_after(self, event: Event, problem: TransitionFailed | None) -> None:
        environment = self.environment
        error = problem.message if problem is not None else ""
        if event is Event.START_ACTIVITY:
            run.started(environment, error)
            self.work.schedule_auto_stop()
        elif event is Event.STOP_ACTIVITY:
            run.ended(environment, event.value, error, always=True)
            self.work.cancel_auto_stop()
        elif event is Event.GO_ERROR:
            run.ended(environment, event.value)
            self.work.cancel_auto_stop()

    # --- the end ---------------------------------------------------------------------------

    def _begin_step(self, step: str, operation: Operation) -> None:
        self._step_name = step
        operation.step = step

    @contextmanager
    def _tasks_step(self, step: str, operation: Operation) -> Iterator[None]:
        """What tasks do, with what becomes of each of them."""
        facilities = self.environment.facilities
        self._begin_step(step, operation)
        result = StepResult(step, facilities.now_ms())
        operation.results.append(result)
        record, self.work.result = self.record, result
        try:
            yield
            self._step_done(step, result.slowest[:SLOWEST])
        finally:
            self.work.result = None
            record.slowest = list(result.slowest[:SLOWEST])
            result.finish(facilities.now_ms())

    def _step_done(self, step: str, slowest: Sequence[NodeResult] = ()) -> None:
        now_ms = self.environment.facilities.now_ms()
        self.record.steps.append((step, now_ms))
        self._step_name = ""
        body = {"step": step, "slowest": slowest} if slowest else {"step": step}
        self.environment.facilities.journal.observe("step_done", self.environment.id, body)

    def _failed(self, event: Event, problem: Exception) -> TransitionFailed:
        if isinstance(problem, CancelledError):
            why, self._why_aborted = self._why_aborted, ""
            if self._operation.abortion is not None:
                return Aborted(f"{event.value} aborted {self._operation.abortion}")
            cause = self.environment.history.cause
            if self.environment.current is Event.GO_ERROR and cause is not None:
                # Nobody gave it up: what failed took the environment to ERROR meanwhile.
                line = cause.line.removeprefix(f"{event.value}: ")
                return TransitionFailed(f"{event.value} failed: {line}")
            return Aborted(f"{event.value} aborted: {why or 'the core is ending'}")
        error = self.environment.as_error(problem, event.value)
        self.environment.account_for(f"{event.value}: {error.message}")
        return TransitionFailed(f"transition canceled with error: {error.message}", error)

    def _not_modified(self, event: Event, problem: Exception) -> TransitionFailed:
        """As `_failed`, but of a failure that the environment is not the worse for."""
        if isinstance(problem, CancelledError):
            return self._failed(event, problem)
        error = self.environment.as_error(problem, event.value)
        return TransitionFailed(f"{event.value} failed: {error.message}", error)

    def _close(
        self, event: Event, record: TransitionRecord, problem: TransitionFailed | None
    ) -> None:
        environment = self.environment
        record.ended_ms = environment.facilities.now_ms()
        if problem is not None and self._step_name:
            record.steps.append((self._step_name, record.ended_ms))
        self._step_name = ""
        record.error = problem.message if problem is not None else ""
        environment.facilities.journal.observe(
            "transition_ended",
            environment.id,
            {"event": event.value, "state": environment.state.value, "error": record.error},
        )
        if problem is None:
            environment.log.info(
                "{event} is done in {seconds:.2f} s: {state}",
                event=event.value,
                seconds=(record.ended_ms - record.started_ms) / 1000,
                state=environment.state.value,
            )
            environment.tell(
                "transition completed successfully", OpStatus.DONE_OK, transition=event.value
            )
        else:
            environment.log.error("{problem}", problem=problem.message)
            environment.tell(
                "transition error",
                OpStatus.DONE_ERROR,
                error=problem.message,
                transition=event.value,
            )
