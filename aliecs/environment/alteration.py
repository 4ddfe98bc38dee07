"""What is changed about environments that live: roles excluded and included, variables, single
tasks. Every change is an operation; what is not allowed now is refused at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field
from twisted.logger import Logger

from aliecs.environment.environment import Environment
from aliecs.environment.exclusion import Target
from aliecs.environment.fleet import Fleet
from aliecs.environment.machine import EnvironmentState, Event
from aliecs.environment.modification import Modification, ModificationRequest
from aliecs.environment.operation import Operation
from aliecs.environment.reconfiguration import NewVariables, Plan, plan_of
from aliecs.environment.refusal import find_modified, refuse_kill, refuse_reconfiguration
from aliecs.errors import Aborted, AliecsError, Conflict, InvalidInput
from aliecs.event.record import User
from aliecs.task.task import Task
from aliecs.workflow.role import Role, TaskRole


@define(eq=False)
class Alterations:
    """See the module."""

    fleet: Fleet
    _log: Logger = field(init=False, factory=Logger)

    def modify(self, environment_id: str, request: ModificationRequest) -> Operation:
        """Exclude roles and include them, in the order of the request. What is not allowed at its
        beginning is refused; what fails on the way ends it, and the environment goes on. Its result
        is the environment."""
        environment = self.fleet.environment(environment_id)
        if not request.modifications and not request.reconfigure:
            raise InvalidInput("nothing is to be modified: name roles or detectors")
        if request.reconfigure:
            refuse_reconfiguration(environment)
        for modification in request.modifications[:1]:
            find_modified(environment, modification, self.fleet.environments())
        self.fleet.asked_for(environment, request.user)
        kinds = {modification.event.value for modification in request.modifications}
        if request.reconfigure and not kinds:
            kinds = {"RECONFIGURE"}
        return self.fleet.facilities.operations.start(
            kinds.pop() if len(kinds) == 1 else "MODIFY",
            request.user,
            environment_id,
            lambda operation: self._modify(operation, environment, request),
        )

    async def _modify(
        self, operation: Operation, environment: Environment, request: ModificationRequest
    ) -> Environment:
        conductor = self.fleet.conductor(environment)
        plan = None
        if request.variables:
            operation.step = "planning"
            plan = await plan_of(environment, request.variables)
        for one in request.modifications:
            roles = find_modified(environment, one, self.fleet.environments())
            await self.fleet.work(
                environment,
                one.event,
                conductor.modify(one.event, roles, request.user, request.reason, operation),
            )
        if request.reconfigure:
            # Others may have been faster while it was planned.
            refuse_reconfiguration(environment)
            if environment.state is EnvironmentState.CONFIGURED:
                await self.fleet.control(operation, environment, Event.RESET)
            if plan is not None and plan.names:
                await self.fleet.or_fall(
                    operation,
                    environment,
                    Event.REPLACE,
                    conductor.replace(plan, request.user, request.reason, operation),
                )
            await self.fleet.control(operation, environment, Event.CONFIGURE)
        return environment

    async def plan(self, environment_id: str, variables: NewVariables) -> Plan:
        """What a reconfiguration would do; nothing is changed. Raises what it would be refused
        with."""
        environment = self.fleet.environment(environment_id)
        refuse_reconfiguration(environment)
        return await plan_of(environment, variables)

    def kill_tasks(
        self, tasks: Sequence[Task], user: User, reason: str, force: bool
    ) -> Operation:
        """End tasks, whoever has them: to an environment that is as any other end. Its result are
        those that have ended, and those that have not in their time. Raises `Conflict` where an
        environment cannot do without one of them, unless that is forced; none is ended then."""
        for task in tasks:
            refuse_kill(task, self.fleet.get(task.environment_id), force)
        because = f"killed by {user.name or 'somebody'}" + (f": {reason}" if reason else "")
        for task in tasks:
            self._log.info("task {task} is {because}", task=task.describe(), because=because)

        async def kill(operation: Operation) -> tuple[Sequence[Task], Sequence[Task]]:
            operation.closing = "ends tasks"
            return await self.fleet.facilities.roster.kill(tasks, because)

        environments = {task.environment_id for task in tasks}
        only = environments.pop() if len(environments) == 1 else ""
        return self.fleet.facilities.operations.start("KILL", user, only, kill)

    def restart_task(self, task: Task, user: User, reason: str) -> Operation:
        """Give the role of a task another process, on the same host and in the state of the rest;
        its result is the environment. Where that fails the role is excluded. Raises `Conflict`
        where it cannot be done now."""
        environment = self.fleet.get(task.environment_id)
        if environment is None or not isinstance(task.role, TaskRole):
            raise Conflict(
                f"task {task.describe()} cannot be restarted: it serves no environment; end it "
                "with coconut task kill"
            )
        modification = Modification(Event.EXCLUDE, (Target(role=task.role.path),))
        (role,) = find_modified(environment, modification, self.fleet.environments())
        self.fleet.asked_for(environment, user)
        return self.fleet.facilities.operations.start(
            "RESTART",
            user,
            environment.id,
            lambda operation: self._restart(operation, environment, role, reason),
        )

    async def _restart(
        self, operation: Operation, environment: Environment, role: Role, reason: str
    ) -> Environment:
        """Out and in again, which keeps all others from what happens meanwhile."""
        conductor = self.fleet.conductor(environment)
        user = operation.user
        why = f"its task is restarted by {user.name or 'somebody'}"
        why += f": {reason}" if reason else ""
        out = conductor.modify(Event.EXCLUDE, [role], user, why, operation)
        await self.fleet.work(environment, Event.EXCLUDE, out)
        modification = Modification(Event.INCLUDE, (Target(role=role.path),))
        try:
            roles = find_modified(environment, modification, self.fleet.environments())
            into = conductor.modify(Event.INCLUDE, roles, user, why, operation, anew=True)
            await self.fleet.work(environment, Event.INCLUDE, into)
        except AliecsError as problem:
            if environment.destruction is None and not isinstance(problem, Aborted):
                problem.message += (
                    f"\nrole {role.path} is excluded now; include it again when that is mended"
                )
                problem.args = (problem.message,)
            raise
        return environment
