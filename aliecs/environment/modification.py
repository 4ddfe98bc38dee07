"""Excluding roles from an environment and including them again, while the others go on.

Excluding: the roles are neutral from the first moment, whatever becomes of their tasks; those are
stopped and reset, and keep their processes and ports in STANDBY. Including: what has died is
launched again where it was, since its peers keep the addresses that they were given; all is brought
up to the state of the rest, and joins it only then. Where that fails, the roles stay excluded and
the environment is as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen
from twisted.internet.defer import CancelledError, Deferred

from aliecs.environment import run
from aliecs.environment.assembly import Assembly
from aliecs.environment.exclusion import Target, task_roles
from aliecs.environment.history import cause_of_task, first_lines
from aliecs.environment.machine import EnvironmentState, Event
from aliecs.environment.muster import Muster
from aliecs.environment.operation import Operation
from aliecs.environment.reconfiguration import NewVariables
from aliecs.environment.result import StepResult
from aliecs.errors import Conflict, TransitionFailed
from aliecs.event.record import User
from aliecs.language.state import State, Status
from aliecs.protocol.message import ControlMode
from aliecs.task.command import CONFIGURE, RECOVER, RESET, START, STOP, Outcome
from aliecs.task.deployment import Berth, DeploymentFailure, Plan
from aliecs.task.task import Task
from aliecs.workflow.role import Role, TaskRole

if TYPE_CHECKING:
    from aliecs.environment.environment import Environment
    from aliecs.environment.work import Work


@frozen
class Modification:
    """Roles and detectors to be excluded together, or included: `event` says which."""

    event: Event
    targets: tuple[Target, ...]


@frozen
class ModificationRequest:
    """What a client wants, in this order; `reconfigure` resets and configures all of the
    environment after it, with `variables` that shall be different."""

    modifications: tuple[Modification, ...]
    user: User
    reason: str = ""
    reconfigure: bool = False
    variables: NewVariables = field(factory=NewVariables)


@define(eq=False)
class Modifier:
    """See the module."""

    environment: Environment
    work: Work

    async def exclude(
        self, roles: Sequence[Role], user: User, reason: str, operation: Operation
    ) -> None:
        """Exclude roles. What their tasks do not do is told, and keeps nothing."""
        environment = self.environment
        leaves = [role for role in task_roles(roles) if role.status is Status.ACTIVE]
        tasks = self._tasks(leaves)
        environment.exclusions.add(roles, user, environment.facilities.now_ms(), reason)
        environment.exclusions.set_variables(environment.root)
        is_over = environment.streams.leave(tasks)
        self._count(operation, tasks, State.STANDBY)
        try:
            await self._bring_down(tasks)
        except CancelledError:
            self._bring_down_aside(tasks)
            raise
        if is_over and environment.state is EnvironmentState.RUNNING:
            environment.react(
                environment, Event.STOP_ACTIVITY, "end of stream of all that were not excluded"
            )

    async def include(
        self, roles: Sequence[Role], operation: Operation, anew: bool = False
    ) -> None:
        """Include roles, `anew`: in new processes. Raises `TransitionFailed`, and they are still
        excluded."""
        environment = self.environment
        leaves = task_roles(roles, roles)
        # Nobody else may take their detectors meanwhile.
        environment.exclusions.set_variables(environment.root, roles)
        try:
            tasks = await self._bring_up(leaves, operation, anew)
        except Exception as problem:
            environment.exclusions.set_variables(environment.root)
            tasks = self._tasks(leaves)
            environment.streams.leave(tasks)
            if isinstance(problem, CancelledError):
                self._bring_down_aside(tasks)
            else:
                await self._bring_down(tasks)
            raise
        environment.exclusions.remove(roles)
        environment.exclusions.set_variables(environment.root)

    # --- up --------------------------------------------------------------------------------

    async def _bring_up(
        self, leaves: Sequence[TaskRole], operation: Operation, anew: bool
    ) -> Sequence[Task]:
        """Take tasks to the state of the environment."""
        environment = self.environment
        facilities = environment.facilities
        await self._make_ready(leaves, anew)
        tasks = [
            task
            for task in self._tasks(leaves)
            if task.status is Status.ACTIVE and task.state is State.STANDBY
        ]
        if environment.state in (EnvironmentState.CONFIGURED, EnvironmentState.RUNNING):
            self._count(operation, tasks, State.CONFIGURED)
            bound = environment.bound_tasks()
            properties = await Assembly(environment).properties(tasks, bound)
            timeout_s = facilities.options.configure_timeout_s
            # All have answered before anything is taken back.
            outcome = await self.work.send(
                CONFIGURE, tasks, lambda task: properties.get(task.id, {}), timeout_s, True
            )
            self._look(CONFIGURE.event, outcome)
            failed = [failure.task for failure in outcome.failures]
            tasks = [task for task in tasks if task not in failed]
        if environment.state is EnvironmentState.RUNNING:
            self._count(operation, tasks, State.RUNNING)
            environment.streams.join(tasks)
            # This run is counted already.
            told = run.start_arguments(environment, max(0, run.cleanup_count(environment) - 1))
            outcome = await self.work.send(START, tasks, lambda task: told, waits_for_all=True)
            self._look(START.event, outcome)
        for task in self._tasks(leaves):
            role = task.role
            if task.critical and isinstance(role, TaskRole):
                if not task.living:
                    raise self._failed("INCLUDE", task, f"has ended: {task.end}")
                if role.state is State.ERROR:
                    raise self._failed("INCLUDE", task, "reported an internal error")
        return tasks

    def _look(self, doing: str, outcome: Outcome) -> None:
        """Raise what failed of critical tasks, and warn of the others."""
        for failure in outcome.failures:
            if not failure.task.critical:
                self.environment.warn(f"{doing} failed, not critical: {failure}")
        for failure in outcome.critical_failures:
            raise self._failed(doing, failure.task, failure.reason)

    async def _make_ready(self, leaves: Sequence[TaskRole], anew: bool) -> None:
        """Bring tasks to STANDBY, in a new process where the old one cannot be."""
        roster = self.environment.facilities.roster
        await self._bring_down(self._tasks(leaves))
        broken = [
            task
            for task in self._tasks(leaves)
            if task.status is Status.ACTIVE
            and task.state is State.ERROR
            and task.control_mode is ControlMode.DIRECT
        ]
        await self.work.send(RECOVER, broken, lambda task: {}, waits_for_all=True)
        lost = [
            task
            for task in self._tasks(leaves)
            if anew or task.status is not Status.ACTIVE or task.state is not State.STANDBY
        ]
        _, left = await roster.kill([task for task in lost if task.living])
        for task in left:
            if task.critical:
                problem = Conflict(f"{task.describe_survivor()} could not be ended")
                raise TransitionFailed(problem.message, problem)
        await self._launch([task for task in lost if not task.living])

    async def _launch(self, lost: Sequence[Task]) -> None:
        """Launch the tasks of roles again where the old ones were."""
        if not lost:
            return
        environment = self.environment
        roster = environment.facilities.roster
        roles = [task.role for task in lost if isinstance(task.role, TaskRole)]
        assembly = Assembly(environment)
        requests = [
            evolve(request, berth=Berth.of(task))
            for request, task in zip(await assembly.requests(roles), lost, strict=True)
        ]
        plan = Plan(environment.id, environment, requests, assembly.build_commands)
        try:
            failures = await roster.deploy(plan)
        finally:
            # Those that have a successor, also where it was interrupted.
            roster.release([t for t in lost if environment.task_of(_role_of(t)) is not t])
        places = {task.role_path: task for task in lost}
        for failure in failures:
            if failure.request.traits.critical:
                raise self._no_place(failure, places[failure.request.role_path])
            environment.warn(f"task not launched again, not critical: {failure}")
        await self._wait_for(roles)

    async def _wait_for(self, roles: Sequence[TaskRole]) -> None:
        environment = self.environment
        timeout_s = environment.facilities.options.deploy_timeout_s
        now_ms = environment.facilities.now_ms
        step = self.work.result or StepResult("launch", 0)
        muster = Muster(
            environment.facilities.clock,
            lambda task: step.succeeded(task, now_ms()),
            lambda task: step.did_not(task, str(task.end), now_ms()),
        )
        environment.musters.append(muster)
        try:
            tasks = [task for task in self._tasks(roles) if task.living]
            step.expect(tasks)
            muster.begin(tasks, timeout_s)
            result = await muster.over
        finally:
            environment.musters.remove(muster)
            muster.give_up()
        if isinstance(result, Task):
            raise self._failed("launch", result, str(result.end))
        if result is not None:
            raise self._failed("launch", result[0], f"not up within {timeout_s:g} s")

    def _no_place(self, failure: DeploymentFailure, task: Task) -> TransitionFailed:
        """Why a task cannot be launched again where it was, and who would look for it there."""
        peers = first_lines(self._peers(task))
        who = f", where {peers} would look for it" if peers else ""
        return TransitionFailed(
            f"{task.role_path} cannot be launched again on host {task.host}{who}: "
            f"{failure.problem.message}",
            failure.problem,
        )

    def _peers(self, task: Task) -> Sequence[str]:
        """The roles that connect to a task."""
        names = {f"{task.role_path}:{channel.name}" for channel in task.inbound}
        names |= {f"::{channel.global_alias}" for channel in task.inbound if channel.global_alias}
        return [
            other.role_path
            for other in self.environment.tasks()
            if any(channel.target in names for channel in other.outbound)
        ]

    # --- down ------------------------------------------------------------------------------

    async def _bring_down(self, tasks: Sequence[Task]) -> None:
        """Stop and reset what can be. Of a task that does not do it, the others are not the
        worse."""
        told = run.arguments(self.environment, run.STOP_ARGUMENTS)
        # The run goes on, but for these tasks it ends now.
        now_ms = str(self.environment.facilities.now_ms())
        told |= {run.END_TIME: now_ms, run.to_camel(run.END_TIME): now_ms}
        for step, arguments in ((STOP, told), (RESET, {})):
            chosen = [
                task
                for task in tasks
                if task.status is Status.ACTIVE and task.state is step.source
            ]
            if not chosen:
                continue

            def give(task: Task, arguments: dict[str, str] = arguments) -> dict[str, str]:
                return arguments

            outcome = await self.work.send(step, chosen, give, waits_for_all=True)
            for failure in outcome.failures:
                self.environment.warn(f"{step.event} failed, excluded: {failure}")

    def _bring_down_aside(self, tasks: Sequence[Task]) -> None:
        """The same where something more important is under way: nobody waits."""
        if self.environment.destruction is not None:
            return
        down = Deferred.fromCoroutine(self._bring_down(tasks))
        down.addErrback(lambda failure: self.environment.log.failure("excluded tasks", failure))

    # --- both ------------------------------------------------------------------------------

    def _tasks(self, roles: Sequence[TaskRole]) -> list[Task]:
        found = (self.environment.task_of(role) for role in roles)
        return [task for task in found if task is not None]

    @staticmethod
    def _count(operation: Operation, tasks: Sequence[Task], state: State) -> None:
        operation.progress = lambda: (sum(1 for t in tasks if t.state is state), len(tasks))

    def _failed(self, doing: str, task: Task, reason: str) -> TransitionFailed:
        now_ms = self.environment.facilities.now_ms()
        return TransitionFailed(cause_of_task(task, reason, now_ms, doing).line)


def _role_of(task: Task) -> TaskRole:
    assert isinstance(task.role, TaskRole)
    return task.role
