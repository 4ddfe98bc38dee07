"""The tasks' own work in each transition: deploy, configure, start, stop, reset, recover.

Each is one coroutine that ends when every critical task is where it should be. Nothing here knows
of hooks or of the machine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, evolve
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from aliecs.environment import run
from aliecs.environment.assembly import Assembly
from aliecs.environment.history import Cause, cause_of_task, first_lines
from aliecs.environment.machine import Event
from aliecs.environment.muster import Muster
from aliecs.environment.operation import Operation
from aliecs.environment.reconfiguration import Plan as ReconfigurationPlan
from aliecs.environment.reconfiguration import Replacement
from aliecs.environment.result import StepResult
from aliecs.errors import AliecsError, InvalidInput, TransitionFailed
from aliecs.language.duration import parse_duration
from aliecs.language.state import State, Status
from aliecs.protocol.message import ControlMode
from aliecs.task.command import (
    CONFIGURE,
    GATHER_S,
    RECOVER,
    RESET,
    START,
    STOP,
    Outcome,
    TaskTransition,
)
from aliecs.task.deployment import Berth, DeploymentFailure, DeploymentRequest, Plan
from aliecs.task.task import Task
from aliecs.workflow.role import TaskRole

if TYPE_CHECKING:
    from aliecs.environment.environment import Environment

STOPPING_PATIENCE_S = 0.5
"""How long GO_ERROR waits for tasks to stop before the state changes. They go on stopping."""

DESTINATIONS = {
    Event.CONFIGURE: State.CONFIGURED,
    Event.START_ACTIVITY: State.RUNNING,
    Event.STOP_ACTIVITY: State.CONFIGURED,
    Event.RESET: State.STANDBY,
    Event.RECOVER: State.STANDBY,
}
"""Where tasks are after an event; a deployment is counted by status instead."""

NEED_ALL = frozenset({Event.CONFIGURE, Event.START_ACTIVITY, Event.STOP_ACTIVITY, Event.RESET})
"""Transitions that every critical task has to make."""


@define(eq=False)
class Work:
    """See the module."""

    environment: Environment
    result: StepResult | None = None
    """Where to tell what becomes of tasks, while a step of theirs runs."""

    async def do(self, event: Event, operation: Operation) -> None:
        """The tasks' work of `event`. Raises `TransitionFailed` where a critical task failed."""
        works: Mapping[Event, Callable[[], Awaitable[None]]] = {
            Event.DEPLOY: self._deploy,
            Event.CONFIGURE: self._configure,
            Event.START_ACTIVITY: self._start,
            Event.STOP_ACTIVITY: self._stop,
            Event.RESET: self._reset,
            Event.GO_ERROR: self._go_error,
            Event.RECOVER: self._recover,
        }
        operation.progress = lambda: self._progress(event)
        if event in NEED_ALL:
            self._refuse_dead(event)
        work = works.get(event)
        if work is not None:
            await work()

    def _progress(self, event: Event) -> tuple[int, int]:
        """How many tasks are where the event takes them, of how many."""
        roles = self.environment.roles_in_part()
        state = DESTINATIONS.get(event)
        if state is None:
            done = sum(1 for role in roles if role.status is Status.ACTIVE)
        else:
            done = sum(1 for role in roles if role.state is state)
        return done, len(roles)

    def _refuse_dead(self, event: Event) -> None:
        """A critical task that ended a moment ago, before anybody had reacted to it, must not be
        passed over as one that is not there."""
        for task in self.environment.tasks():
            role = task.role
            assert isinstance(role, TaskRole)
            if task.critical and not task.living and self.environment.takes_part(role):
                raise self._failed(event.value, task, f"has ended: {_reason(task)}")

    # --- deploy ----------------------------------------------------------------------------

    async def deploy_early(self, roles: Sequence[TaskRole]) -> None:
        """Launch hook tasks whose moment comes before all others are deployed."""
        if roles:
            await self._launch(roles)
            await self._wait_for(roles)

    async def _deploy(self) -> None:
        environment = self.environment
        if environment.facilities.options.clean_shared_memory:
            await self._clean_shared_memory()
        for role in environment.workflow.call_roles:
            if role.trigger:
                role.set_status(Status.ACTIVE)
        missing = [role for role in environment.roles_in_part() if role.task is None]
        await self._launch(missing)
        await self._wait_for(missing)

    async def _launch(
        self,
        roles: Sequence[TaskRole],
        berths: Mapping[TaskRole, Berth] | None = None,
        doing: str = "DEPLOY",
    ) -> None:
        """Launch tasks. Those with a berth go there, or elsewhere where that cannot be."""
        environment = self.environment
        assembly = Assembly(environment)
        requests = await assembly.requests(roles)
        failures: Sequence[DeploymentFailure] = ()
        if berths:
            back = []
            for request in requests:
                back.append(evolve(request, berth=berths.get(_role_of(request))))
                await environment.facilities.roster.pace.breathe()
            failures = await self._deploy_requests(assembly, back)
            requests = [evolve(failure.request, berth=None) for failure in failures]
            for failure in failures:
                environment.warn(f"task not launched again where it was: {failure}")
        if requests:
            failures = await self._deploy_requests(assembly, requests)
        critical = []
        for failure in failures:
            role = _role_of(failure.request)
            role.set_status(Status.UNDEPLOYABLE)
            if self.result is not None:
                now_ms = environment.facilities.now_ms()
                self.result.has_no_place(role.path, failure.problem.message, now_ms)
            if role.critical and environment.takes_part(role):
                critical.append(failure)
            else:
                why = "excluded" if role.critical else "not critical"
                environment.warn(f"task not deployed, {why}: {failure}")
        if critical:
            raise self._deployment_failed(critical, doing)

    async def _deploy_requests(
        self, assembly: Assembly, requests: Sequence[DeploymentRequest]
    ) -> Sequence[DeploymentFailure]:
        environment = self.environment
        plan = Plan(environment.id, environment, requests, assembly.build_commands)
        return await environment.facilities.roster.deploy(plan)

    def _deployment_failed(
        self, failures: Sequence[DeploymentFailure], doing: str
    ) -> TransitionFailed:
        environment = self.environment
        first = failures[0]
        for failure in failures:
            environment.fail(
                Cause(
                    f"{doing}: {failure}",
                    environment.facilities.now_ms(),
                    role=failure.request.role_path,
                    task_name=failure.request.task_class.name,
                )
            )
        return TransitionFailed(
            f"deployment failed, {len(failures)} critical tasks have no place: "
            + first_lines([str(failure) for failure in failures]),
            first.problem,
        )

    async def _wait_for(self, roles: Sequence[TaskRole], doing: str = "DEPLOY") -> None:
        """Wait until all critical tasks of `roles` are up, and a little for the others."""
        environment = self.environment
        timeout_s = self._deploy_timeout_s()
        now_ms = environment.facilities.now_ms
        step = self.result or StepResult(doing, 0)
        muster = Muster(
            environment.facilities.clock,
            lambda task: step.succeeded(task, now_ms()),
            lambda task: step.did_not(task, _reason(task), now_ms()),
        )
        environment.musters.append(muster)
        try:
            found = (environment.task_of(role) for role in roles)
            tasks = [task for task in found if task is not None]
            step.expect(tasks)
            muster.begin(tasks, timeout_s)
            result = await muster.over
            if isinstance(result, Task):
                # What failed with it is told with it.
                failed = self._task_failed(doing, result, _reason(result))
                await deferLater(environment.facilities.clock, GATHER_S, lambda: None)
                raise TransitionFailed(environment.all_that_failed(failed))
            if result is not None:
                raise self._too_slow(result, timeout_s, doing)
        finally:
            environment.musters.remove(muster)
            muster.give_up()
        for role in roles:
            task = environment.task_of(role)
            if task is not None and task.living and task.status is not Status.ACTIVE:
                environment.warn(
                    f"task {task.describe()}, not critical, is not up yet and left out until it is"
                    f"{_where_it_should_answer(task)}"
                )

    def _too_slow(self, tasks: Sequence[Task], timeout_s: float, doing: str) -> TransitionFailed:
        causes = [
            self._task_failed(
                doing, task, f"not up within {timeout_s:g} s{_where_it_should_answer(task)}"
            )
            for task in tasks
        ]
        return TransitionFailed(self.environment.all_that_failed(causes[0]))

    async def _clean_shared_memory(self) -> None:
        """Run the cleaner of every host that the workflow names; a failure is only told."""
        environment = self.environment
        hosts = environment.list_variable("hosts")
        await DeferredList([Deferred.fromCoroutine(self._clean(host)) for host in hosts])

    async def _clean(self, host: str) -> None:
        environment = self.environment
        try:
            answer = await environment.facilities.roster.clean_shared_memory(host, environment.id)
        except AliecsError as problem:
            environment.warn(f"shared memory of {host} was not cleaned: {problem.message}")
        else:
            if answer.exit_code:
                environment.warn(
                    f"the shared memory cleaner of {host} ended with exit code "
                    f"{answer.exit_code}: {answer.output.strip()[-500:]}"
                )

    def _deploy_timeout_s(self) -> float:
        text = self.environment.root.variable("deploy_timeout")
        default_s = self.environment.facilities.options.deploy_timeout_s
        if not text:
            return default_s
        try:
            return parse_duration(text)
        except InvalidInput as problem:
            self.environment.warn(f"deploy_timeout: {problem.message}; {default_s:g} s is taken")
            return default_s

    # --- the other transitions -------------------------------------------------------------

    async def _configure(self) -> None:
        tasks = self.environment.active_tasks()
        bound = self.environment.bound_tasks()
        properties = await Assembly(self.environment).properties(tasks, bound)
        timeout_s = self.environment.facilities.options.configure_timeout_s
        await self._command(CONFIGURE, tasks, lambda task: properties.get(task.id, {}), timeout_s)

    async def _start(self) -> None:
        environment = self.environment
        tasks = environment.active_tasks()
        environment.streams.begin(tasks)
        told = run.start_arguments(environment, run.cleanup_count(environment))
        await self._command(START, tasks, lambda task: told)

    async def _stop(self) -> None:
        told = run.arguments(self.environment, run.STOP_ARGUMENTS)
        await self._command(STOP, self.environment.active_tasks(), lambda task: told)

    async def _reset(self) -> None:
        await self._command(RESET, self.environment.active_tasks(), lambda task: {})

    async def _go_error(self) -> None:
        """Stop what runs; whether it does is no matter any more. People are not kept from reading
        of the error by tasks that take their time."""
        environment = self.environment
        told = run.arguments(environment, run.STOP_ARGUMENTS, camel=False)
        running = [t for t in environment.active_tasks() if t.state is State.RUNNING]
        stopping = Deferred.fromCoroutine(
            self.send(STOP, running, lambda task: told, waits_for_all=True)
        )
        patience = deferLater(environment.facilities.clock, STOPPING_PATIENCE_S, lambda: None)
        either: list[Deferred[Any]] = [stopping, patience]
        await DeferredList(either, fireOnOneCallback=True, consumeErrors=True)
        patience.cancel()

    async def _recover(self) -> None:
        """Bring living tasks back to STANDBY, and launch again those that cannot be."""
        environment = self.environment
        roster = environment.facilities.roster
        nothing: Mapping[str, str] = {}
        for step, state in ((STOP, State.RUNNING), (RESET, State.CONFIGURED)):
            tasks = [t for t in environment.active_tasks() if t.state is state]
            # Of a task that did not do it, the others are not the worse.
            await self.send(step, tasks, lambda task: nothing, waits_for_all=True)
        broken = [
            t
            for t in environment.active_tasks()
            if t.state is State.ERROR and t.control_mode is ControlMode.DIRECT
        ]
        await self.send(RECOVER, broken, lambda task: nothing, waits_for_all=True)
        lost = [
            task
            for role in environment.roles_in_part()
            if (task := environment.task_of(role)) is not None
            and (task.status is not Status.ACTIVE or task.state is not State.STANDBY)
        ]
        await self._take_out(lost)
        _, left = await roster.kill(lost)
        if left:
            raise self._failed("RECOVER", left[0], "could not be ended")
        missing = [role for role in environment.roles_in_part() if role.task is None]
        await self._launch(missing)
        await self._wait_for(missing)

    async def adopt(self, plan: ReconfigurationPlan) -> None:
        """Take the new variables, and with them what they change of tasks that go on."""
        environment = self.environment
        for _ in plan.changed.apply():
            await environment.facilities.roster.pace.breathe()
        environment.requested = plan.requested
        environment.workflow.class_texts = {
            **environment.workflow.class_texts,
            **plan.class_texts,
        }
        assembly = Assembly(environment)
        for task in plan.kept:
            role = task.role
            # Some may have been replaced meanwhile, by an inclusion.
            if isinstance(role, TaskRole) and plan.changed.touches(role, "connect", "timeout"):
                (request,) = await assembly.requests([role])
                environment.facilities.roster.reassign(task, request)
            await environment.facilities.roster.pace.breathe()

    async def replace(self, replacements: Sequence[Replacement], operation: Operation) -> None:
        """Give tasks other processes, where the old ones were if that can be. Raises
        `TransitionFailed` where a critical one has none."""
        environment = self.environment
        roles = [one.role for one in replacements]
        operation.progress = lambda: (
            sum(1 for role in roles if role.status is Status.ACTIVE and role.task), len(roles)
        )
        old = {role: task for role in roles if (task := environment.task_of(role)) is not None}
        _, left = await environment.facilities.roster.kill([t for t in old.values() if t.living])
        if left:
            raise self._failed("REPLACE", left[0], "could not be ended")
        berths = {}
        for one in replacements:
            task = old.get(one.role)
            if task is not None:
                berths[one.role] = Berth.of(task) if one.keeps_ports else Berth(task.host)
            await environment.facilities.roster.pace.breathe()
        await self._take_out(list(old.values()))
        await self._launch(roles, berths, "REPLACE")
        await self._wait_for([r for r in roles if environment.takes_part(r)], "REPLACE")

    async def _take_out(self, tasks: Sequence[Task]) -> None:
        """Take tasks out of the tree; their roles start anew."""
        roster = self.environment.facilities.roster
        for task in tasks:
            role = task.role
            assert isinstance(role, TaskRole)
            role.task = None
            role.set_state(State.STANDBY)
            role.set_status(Status.INACTIVE)
            roster.release([task])
            await roster.pace.breathe()

    async def _command(
        self,
        step: TaskTransition,
        tasks: Sequence[Task],
        arguments: Callable[[Task], Mapping[str, str]],
        timeout_s: float | None = None,
    ) -> None:
        outcome = await self.send(step, tasks, arguments, timeout_s)
        for failure in outcome.failures:
            if not failure.task.critical:
                self.environment.warn(f"{step.event} failed, not critical: {failure}")
        now_ms = self.environment.facilities.now_ms()
        causes = [
            cause_of_task(failure.task, failure.reason, now_ms, step.event)
            for failure in outcome.critical_failures
        ]
        for cause in causes:
            self.environment.fail(cause)
        if causes:
            raise TransitionFailed(self.environment.all_that_failed(causes[0]))

    async def send(
        self,
        step: TaskTransition,
        tasks: Sequence[Task],
        arguments: Callable[[Task], Mapping[str, str]],
        timeout_s: float | None = None,
        waits_for_all: bool = False,
    ) -> Outcome:
        """Take tasks through one event of their machine, within the usual time."""
        environment = self.environment
        facilities = environment.facilities
        await facilities.journal.intend(
            "command_sent", environment.id, {"event": step.event, "tasks": len(tasks)}
        )
        if timeout_s is None:
            timeout_s = facilities.options.transition_timeout_s
        # That of this step, also where others are begun before it has ended.
        result, now_ms = self.result or StepResult(step.event, 0), facilities.now_ms
        result.expect(tasks)
        outcome = await facilities.roster.command(
            tasks,
            step,
            arguments,
            timeout_s,
            environment.id,
            waits_for_all,
            lambda task: result.succeeded(task, now_ms()),
        )
        for failure in outcome.failures:
            result.did_not(failure.task, failure.reason, now_ms())
        return outcome

    def _task_failed(self, doing: str, task: Task, reason: str) -> Cause:
        """A task that a transition fails for."""
        environment = self.environment
        now_ms = environment.facilities.now_ms()
        cause = cause_of_task(task, reason, now_ms, doing)
        environment.fail(cause)
        if self.result is not None:
            self.result.did_not(task, reason, now_ms)
        return cause

    def _failed(self, doing: str, task: Task, reason: str) -> TransitionFailed:
        first = self._task_failed(doing, task, reason)
        return TransitionFailed(self.environment.all_that_failed(first))

    def end_calls(self) -> None:
        """Calls at the end of the environment."""
        for role in self.environment.workflow.call_roles:
            if role.trigger:
                role.set_status(Status.INACTIVE)

    # --- the timer that ends a run ---------------------------------------------------------

    def schedule_auto_stop(self) -> None:
        """End the run after `auto_stop_timeout`, where the workflow asks for it."""
        environment = self.environment
        stack = environment.root.stack()
        self.cancel_auto_stop()
        if stack.get("auto_stop_enabled") != "true":
            return
        try:
            seconds = parse_duration(stack.get("auto_stop_timeout", ""))
        except InvalidInput as problem:
            environment.warn(f"auto_stop_timeout: {problem.message}; no timer ends the run")
            return
        reason = f"the run lasted for its auto_stop_timeout of {seconds:g} s"
        environment.auto_stop = environment.facilities.clock.callLater(
            seconds, environment.react, environment, Event.STOP_ACTIVITY, reason
        )

    def cancel_auto_stop(self) -> None:
        """Forget the timer."""
        timer = self.environment.auto_stop
        if timer is not None and timer.active():
            timer.cancel()
        self.environment.auto_stop = None


def _role_of(request: DeploymentRequest) -> TaskRole:
    role = request.role
    assert isinstance(role, TaskRole)
    return role


def _where_it_should_answer(task: Task) -> str:
    """What to look at when nothing was heard of a task."""
    if not task.control_port:
        return ""
    return f", nothing in STANDBY answers on its control port {task.control_port}"


def _reason(task: Task) -> str:
    return str(task.end) if task.end is not None else "is not running"
