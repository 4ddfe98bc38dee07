"""Every operation of the control API, once, on the messages of the protocol.

gRPC serves `Control` as it is, REST through the JSON mapping of the same messages; what concerns
workflow repositories is in `repository`, what goes beyond the reference in `extended`. What may be
asked, and how it is refused, is decided here and nowhere else. Nothing here runs an operation: that
is the environment's own; a handler starts it and waits, and a client that goes away ends its
waiting only. The operation's id is in the trailing metadata under `aliecs-operation-id`, and an
error's stable code under `aliecs-error-code`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from attrs import define
from twisted.internet.defer import Deferred

from aliecs.api.budget import Budget
from aliecs.api.core import OPERATION_ID
from aliecs.api.idempotency import once
from aliecs.api.message import (
    environment_info,
    role_info,
    short_task_infos,
    task_info,
)
from aliecs.api.modification import modify_in_order
from aliecs.api.permission import (
    ADMIN,
    CREATION,
    DESTRUCTION,
    ENVIRONMENT,
    READ,
    creation_permit,
    permit,
    user_of,
)
from aliecs.api.repository import RepositoryControl
from aliecs.api.shield import shielded
from aliecs.environment.environment import DETECTORS, Environment
from aliecs.environment.machine import parse_event
from aliecs.environment.manager import CreationRequest, DestructionRequest
from aliecs.environment.operation import Operation
from aliecs.errors import (
    AliecsError,
    InvalidInput,
    NotFound,
)
from aliecs.event.record import EnvironmentEvent, User, WorkflowTemplateInfo
from aliecs.language.glob import compile_glob
from aliecs.protocol.protos import common_pb2, events_pb2, o2control_pb2
from aliecs.task.task import Task
from aliecs.txgrpc.route import ServerCall
from aliecs.txgrpc.status import ERROR_CODE

LIST_ENVIRONMENTS = "aliecs.v1.Control/ListEnvironments"
LIST_TASKS = "aliecs.v1.Control/ListTasks"
LIST_ROLES = "aliecs.v1.Control/ListRoles"
"""Calls that give in parts what would be too much at once."""

CREATION_ERROR_LENGTH = 6000
"""Characters of a failed creation's cause that fit a gRPC status with details."""


@define(eq=False)
class Control(RepositoryControl):
    """The service `o2control.Control`."""

    # --- the framework ---------------------------------------------------------------------

    @permit(READ)
    async def GetFrameworkInfo(
        self, request: o2control_pb2.GetFrameworkInfoRequest, call: ServerCall
    ) -> o2control_pb2.GetFrameworkInfoReply:
        """What the core is and has. Never fails."""
        core = self.core
        major, minor, patch = core.version
        try:
            detectors = list(await core.configuration.detectors(True))
            available = self._available(detectors)
            active: Sequence[str] = core.manager.active_detectors()
        except AliecsError:
            detectors, available, active = ["NIL"], [], []
        return o2control_pb2.GetFrameworkInfoReply(
            frameworkId=core.backend.framework_id,
            environmentsCount=len(core.manager.environments()),
            tasksCount=core.roster.size,
            state=core.backend.state,
            hostsCount=len(core.backend.hosts()),
            instanceName=core.instance_name,
            version=o2control_pb2.Version(
                major=major,
                minor=minor,
                patch=patch,
                productName="AliECS",
                versionStr=f"{major}.{minor}.{patch}",
            ),
            configurationEndpoint=core.configuration_uri,
            detectorsInInstance=detectors,
            activeDetectors=active,
            availableDetectors=available,
            timestamp=core.now_ms(),
        )

    @permit(ADMIN)
    async def Teardown(
        self, request: o2control_pb2.TeardownRequest, call: ServerCall
    ) -> o2control_pb2.TeardownReply:
        """The explicit order: end all environments, all tasks, all executors, and this core."""
        core = self.core
        reason = request.reason or "no reason given"

        async def end_everything() -> None:
            await core.manager.destroy_all(user_of(call), reason)
            await core.backend.teardown()

        try:
            await shielded(end_everything())
        finally:
            core.shut_down()
        return o2control_pb2.TeardownReply()

    @permit(READ)
    async def GetIntegratedServices(
        self, request: o2control_pb2.Empty, call: ServerCall
    ) -> o2control_pb2.ListIntegratedServicesReply:
        """Every service there is a plugin for; those not in use are all-default."""
        reply = o2control_pb2.ListIntegratedServicesReply(timestamp=self.core.now_ms())
        for name in self.core.integration_factories:
            info = reply.services[name]
            integration = self.core.integrations.get(name)
            if integration is not None:
                info.name = integration.pretty_name
                info.enabled = True
                info.endpoint = integration.endpoint
                info.connectionState = integration.connection_state()
                info.data = integration.data()
        return reply

    # --- detectors -------------------------------------------------------------------------

    @permit(READ)
    async def GetActiveDetectors(
        self, request: o2control_pb2.Empty, call: ServerCall
    ) -> o2control_pb2.GetActiveDetectorsReply:
        """Detectors that some environment uses."""
        return o2control_pb2.GetActiveDetectorsReply(
            detectors=self.core.manager.active_detectors(), timestamp=self.core.now_ms()
        )

    @permit(READ)
    async def GetAvailableDetectors(
        self, request: o2control_pb2.Empty, call: ServerCall
    ) -> o2control_pb2.GetAvailableDetectorsReply:
        """Detectors of the inventory that no environment uses."""
        detectors = await self.core.configuration.detectors(True)
        return o2control_pb2.GetAvailableDetectorsReply(
            detectors=self._available(detectors), timestamp=self.core.now_ms()
        )

    def _available(self, detectors: Sequence[str]) -> list[str]:
        active = set(self.core.manager.active_detectors())
        return [d for d in detectors if d.upper() in DETECTORS and d.upper() not in active]

    # --- environments ----------------------------------------------------------------------

    @permit(READ)
    async def GetEnvironments(
        self, request: o2control_pb2.GetEnvironmentsRequest, call: ServerCall
    ) -> o2control_pb2.GetEnvironmentsReply:
        """Environments by their age; those that are not public only with `showAll`."""
        reply = o2control_pb2.GetEnvironmentsReply(frameworkId=self.core.backend.framework_id)
        budget = Budget(f"ask for a part of them, or without their tasks, with {LIST_ENVIRONMENTS}")
        for environment in self.core.manager.environments():
            if request.showAll or environment.info.public:
                reply.environments.append(
                    await self._environment_info(
                        environment,
                        request.showTaskInfos,
                        request.showDetailedIntegratedServices,
                        budget,
                    )
                )
        reply.timestamp = self.core.now_ms()
        return reply

    @permit(READ)
    async def GetEnvironment(
        self, request: o2control_pb2.GetEnvironmentRequest, call: ServerCall
    ) -> o2control_pb2.GetEnvironmentReply:
        """One environment in full."""
        environment = self._environment(request.id)
        budget = Budget(f"ask for its tasks with {LIST_TASKS}, for its roles with {LIST_ROLES}")
        reply = o2control_pb2.GetEnvironmentReply(
            environment=await self._environment_info(environment, True, True, budget),
            public=environment.info.public,
        )
        if request.showWorkflowTree:
            pace = self.core.roster.pace
            reply.workflow.CopyFrom(await role_info(environment.root, pace, budget))
        reply.timestamp = self.core.now_ms()
        return reply

    @permit(CREATION)
    @once
    async def NewEnvironment(
        self, request: o2control_pb2.NewEnvironmentRequest, call: ServerCall
    ) -> o2control_pb2.NewEnvironmentReply:
        """Create an environment and wait until it is CONFIGURED. An error carries the id of the
        environment that failed, whose record stays readable."""
        operation = self._start_creation(request, call)
        try:
            environment: Environment = await operation.wait()
        except AliecsError as problem:
            raise self._creation_failed(operation, problem, call) from problem
        return o2control_pb2.NewEnvironmentReply(
            environment=await self._environment_info(environment, True, True),
            public=environment.info.public,
            timestamp=self.core.now_ms(),
        )

    @permit(CREATION)
    @once
    async def NewEnvironmentAsync(
        self, request: o2control_pb2.NewEnvironmentRequest, call: ServerCall
    ) -> o2control_pb2.NewEnvironmentReply:
        """Begin to create an environment and answer at once. What became of it, an event tells."""
        operation = self._start_creation(request, call)
        Deferred.fromCoroutine(self._tell_outcome(operation, request))
        return o2control_pb2.NewEnvironmentReply(
            environment=o2control_pb2.EnvironmentInfo(
                id=operation.environment_id, state="PENDING", userVars=request.vars
            ),
            public=request.public,
            timestamp=self.core.now_ms(),
        )

    @permit(CREATION)
    @once
    async def NewAutoEnvironment(
        self, request: o2control_pb2.NewAutoEnvironmentRequest, call: ServerCall
    ) -> o2control_pb2.NewAutoEnvironmentReply:
        """Begin an environment that goes through one run by itself. What becomes of it is told to
        whoever subscribes to the id of the request."""
        operation = self.core.automatic.begin(
            request.id,
            CreationRequest(
                expression=request.workflowTemplate,
                variables=dict(request.vars),
                user=_user(request.requestUser),
                automatic=True,
                permit=creation_permit(self.core, call),
            ),
        )
        call.trailing[OPERATION_ID] = operation.id
        return o2control_pb2.NewAutoEnvironmentReply(timestamp=self.core.now_ms())

    @permit(READ)
    def Subscribe(
        self, request: o2control_pb2.SubscribeRequest, call: ServerCall
    ) -> AsyncIterator[events_pb2.Event]:
        """What becomes of an automatic environment, until it has ended."""
        return self.core.automatic.read(request.id)

    @permit(ENVIRONMENT)
    @once
    async def ControlEnvironment(
        self, request: o2control_pb2.ControlEnvironmentRequest, call: ServerCall
    ) -> o2control_pb2.ControlEnvironmentReply:
        """Take an environment through a transition. What is not allowed now is refused and changes
        nothing; a transition that fails answers OK with the state ERROR, as clients expect."""
        environment = self._environment(request.id)
        name = _transition_name(request.type)
        started_ms = self.core.now_ms()
        operation = self.core.manager.control(
            environment.id, parse_event(name), _user(request.requestUser)
        )
        call.trailing[OPERATION_ID] = operation.id
        try:
            await operation.wait()
        except AliecsError as problem:
            call.trailing[ERROR_CODE] = problem.code
            self._log.debug("{transition} failed: {reason}", transition=name, reason=str(problem))
        ended_ms = operation.ended_ms
        return o2control_pb2.ControlEnvironmentReply(
            id=environment.id,
            state=environment.state.value,
            currentRunNumber=environment.run_number,
            startOfTransition=started_ms,
            endOfTransition=ended_ms,
            transitionDuration=ended_ms - started_ms,
            timestamp=self.core.now_ms(),
        )

    @permit(ENVIRONMENT)
    @once
    async def ModifyEnvironment(
        self, request: o2control_pb2.ModifyEnvironmentRequest, call: ServerCall
    ) -> o2control_pb2.ModifyEnvironmentReply:
        """Exclude roles and include them, in the order of the request."""
        environment = self._environment(request.id)
        return await modify_in_order(self.core, environment, request, call)

    @permit(DESTRUCTION)
    @once
    async def DestroyEnvironment(
        self, request: o2control_pb2.DestroyEnvironmentRequest, call: ServerCall
    ) -> o2control_pb2.DestroyEnvironmentReply:
        """End an environment; a transition under way is aborted."""
        environment = self._environment(request.id)
        operation = self.core.manager.destroy(
            environment.id,
            DestructionRequest(
                _user(request.requestUser),
                request.keepTasks,
                request.allowInRunningState,
                request.force,
            ),
        )
        call.trailing[OPERATION_ID] = operation.id
        destroyed = await operation.wait()
        reply = o2control_pb2.DestroyEnvironmentReply(timestamp=self.core.now_ms())
        if destroyed.killed is not None:
            reply.cleanupTasksReply.killedTasks.extend(await self._task_infos(destroyed.killed))
            reply.cleanupTasksReply.runningTasks.extend(await self._task_infos(destroyed.left))
        return reply

    def _start_creation(
        self, request: o2control_pb2.NewEnvironmentRequest, call: ServerCall
    ) -> Operation:
        if not request.workflowTemplate:
            raise InvalidInput("workflowTemplate is empty: name a workflow template")
        operation = self.core.manager.create(
            CreationRequest(
                expression=request.workflowTemplate,
                variables=dict(request.vars),
                user=_user(request.requestUser),
                automatic=request.autoTransition,
                permit=creation_permit(self.core, call),
            )
        )
        call.trailing[OPERATION_ID] = operation.id
        return operation

    async def _tell_outcome(
        self, operation: Operation, request: o2control_pb2.NewEnvironmentRequest
    ) -> None:
        """The last event of a creation that nobody waits for."""
        try:
            environment: Environment = await operation.wait()
        except Exception as problem:
            self.core.bus.tell(
                EnvironmentEvent(
                    environmentId=operation.environment_id,
                    state="ERROR",
                    error=str(problem),
                    message="cannot create new environment",
                    lastRequestUser=_user(request.requestUser),
                    workflowTemplateInfo=WorkflowTemplateInfo(
                        path=request.workflowTemplate, public=request.public
                    ),
                )
            )
        else:
            environment.tell("created new environment", transition="")

    def _creation_failed(
        self, operation: Operation, problem: AliecsError, call: ServerCall
    ) -> AliecsError:
        """The error as clients look at it: prefix, length, and the failed environment's id."""
        call.details.append(
            o2control_pb2.EnvironmentInfo(
                id=operation.environment_id, createdWhen=self.core.now_ms(), state="ERROR"
            )
        )
        cause = problem.message[:CREATION_ERROR_LENGTH]
        failed = AliecsError(f"cannot create new environment: {cause}")
        failed.code = problem.code
        failed.grpc_status = problem.grpc_status
        failed.http_status = problem.http_status
        failed.missing_locks = problem.missing_locks
        return failed

    # --- tasks and roles -------------------------------------------------------------------

    @permit(READ)
    async def GetTasks(
        self, request: o2control_pb2.GetTasksRequest, call: ServerCall
    ) -> o2control_pb2.GetTasksReply:
        """All tasks of the core."""
        budget = Budget(f"ask for a part of them with {LIST_TASKS}")
        infos = await self._task_infos(self.core.roster.tasks(), budget)
        return o2control_pb2.GetTasksReply(tasks=infos, timestamp=self.core.now_ms())

    @permit(READ)
    async def GetTask(
        self, request: o2control_pb2.GetTaskRequest, call: ServerCall
    ) -> o2control_pb2.GetTaskReply:
        """One task in full."""
        return o2control_pb2.GetTaskReply(
            task=task_info(self._task(request.taskId), self.core.backend.framework_id),
            timestamp=self.core.now_ms(),
        )

    @permit(ADMIN)
    @once
    async def CleanupTasks(
        self, request: o2control_pb2.CleanupTasksRequest, call: ServerCall
    ) -> o2control_pb2.CleanupTasksReply:
        """End tasks that serve no environment: all, or those named."""
        killed, running = await shielded(self.core.roster.clean_up(list(request.taskIds)))
        return o2control_pb2.CleanupTasksReply(
            killedTasks=await self._task_infos(killed),
            runningTasks=await self._task_infos(running),
            timestamp=self.core.now_ms(),
        )

    @permit(READ)
    async def GetRoles(
        self, request: o2control_pb2.GetRolesRequest, call: ServerCall
    ) -> o2control_pb2.GetRolesReply:
        """Roles whose path fits a pattern, each with all below it."""
        environment = self._environment(request.envId)
        pace = self.core.roster.pace
        reply = o2control_pb2.GetRolesReply()
        pattern = compile_glob(request.pathSpec, separator=".")
        budget = Budget(f"ask for a part of them, not so deep, with {LIST_ROLES}")
        for role in environment.root.walk():
            if pattern.matches(role.path):
                reply.roles.append(await role_info(role, pace, budget))
            await pace.breathe()
        reply.timestamp = self.core.now_ms()
        return reply

    # --- inside ----------------------------------------------------------------------------

    def _environment(self, environment_id: str) -> Environment:
        return self.core.environment(environment_id)

    def _task(self, task_id: str) -> Task:
        task = self.core.roster.task(task_id)
        if task is None:
            raise NotFound("task not found")
        return task

    async def _environment_info(
        self,
        environment: Environment,
        with_tasks: bool,
        detailed: bool,
        budget: Budget | None = None,
    ) -> o2control_pb2.EnvironmentInfo:
        core = self.core
        return await environment_info(
            environment,
            core.integrations,
            core.backend.framework_id,
            core.roster.pace,
            with_tasks,
            detailed,
            budget,
        )

    async def _task_infos(
        self, tasks: Sequence[Task], budget: Budget | None = None
    ) -> list[o2control_pb2.ShortTaskInfo]:
        core = self.core
        return await short_task_infos(tasks, core.backend.framework_id, core.roster.pace, budget)


def _user(message: common_pb2.User) -> User:
    return User.from_message(message)


def _transition_name(number: int) -> str:
    """The event of a request. Raises `InvalidInput` for those that cannot be asked for."""
    types = o2control_pb2.ControlEnvironmentRequest.Optype
    known = {value: name for name, value in types.items()}
    name = known.get(number, str(number))
    if name in ("NOOP", "GO_ERROR") or number not in known:
        raise InvalidInput(f"cannot prepare invalid transition {name}")
    return name
