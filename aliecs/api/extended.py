"""What goes beyond the reference: the service `aliecs.v1.Control`, served beside `o2control`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from attrs import define

from aliecs.api.core import OPERATION_ID, Core
from aliecs.api.host import drain_host, hosts_reply, resume_host
from aliecs.api.idempotency import once
from aliecs.api.inspection import (
    MOST_EXPLAINED,
    explained_role,
    inspection_reply,
    too_many_explained,
)
from aliecs.api.listing import (
    detectors_reply,
    environments_reply,
    roles_reply,
    tasks_reply,
)
from aliecs.api.locks import (
    hand_over_lock,
    list_audit,
    list_locks,
    release_lock,
    session_of,
    take_lock,
)
from aliecs.api.message import operation_message, record_message
from aliecs.api.modification import exclusions_reply, modification_request, reason_of
from aliecs.api.permission import (
    ADMIN_READ,
    ENVIRONMENT,
    GLOBAL,
    LOCK,
    LOOK,
    OPERATION,
    READ,
    TASKS,
    permit,
    user_of,
)
from aliecs.api.preview import preview_reply
from aliecs.api.reconfiguration import plan_reply, reconfiguration_request
from aliecs.api.statistics import statistics_reply
from aliecs.api.tasks import kill_reply, task_of, tasks_of, told
from aliecs.api.usage import usage_reply
from aliecs.api.watching import Watch
from aliecs.environment.inspection import InspectionRequest, inspect
from aliecs.environment.machine import Event
from aliecs.errors import AliecsError, InvalidInput
from aliecs.event.record import User
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.identifier import is_identifier
from aliecs.txgrpc.route import ServerCall

LOG_BYTES = 65_536
"""How much of a task's output is asked for."""

MOST_WAITED = 1000
"""How many of those that are waited for are told at most."""

RECORDS = 100
"""Records given where the client does not say how many."""


@define(eq=False)
class ExtendedControl:
    """The service `aliecs.v1.Control`: what goes beyond the reference."""

    core: Core

    @permit(READ)
    async def GetOperation(
        self, request: aliecs_v1_pb2.GetOperationRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Operation:
        """One operation."""
        operation = self.core.manager.facilities.operations.get(request.id)
        return operation_message(
            operation, request.with_results, min(request.waiting_limit, MOST_WAITED)
        )

    @permit(OPERATION)
    @once
    async def AbortOperation(
        self, request: aliecs_v1_pb2.AbortOperationRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Operation:
        """Give up an operation, and wait until all that follows from it is done."""
        user = user_of(call)
        operation = self.core.manager.abort(request.id, user, reason_of(request.reason))
        call.trailing[OPERATION_ID] = operation.id
        with suppress(AliecsError):
            await operation.wait()
        return operation_message(operation)

    @permit(READ)
    async def ListOperations(
        self, request: aliecs_v1_pb2.ListOperationsRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListOperationsReply:
        """Operations, newest first."""
        operations = [
            operation
            for operation in reversed(self.core.manager.facilities.operations.all())
            if request.environment_id in ("", operation.environment_id)
        ]
        limit = request.limit or len(operations)
        return aliecs_v1_pb2.ListOperationsReply(
            operations=[operation_message(operation) for operation in operations[:limit]]
        )

    @permit(READ)
    async def GetEnvironmentHistory(
        self, request: aliecs_v1_pb2.GetEnvironmentHistoryRequest, call: ServerCall
    ) -> aliecs_v1_pb2.GetEnvironmentHistoryReply:
        """Records of environments, also of those that ended or never came to be."""
        if request.id and not is_identifier(request.id):
            raise InvalidInput("received bad environment id")
        records = await self.core.manager.records(request.id, request.limit or RECORDS)
        return aliecs_v1_pb2.GetEnvironmentHistoryReply(
            environments=[record_message(record) for record in records]
        )

    @permit(READ)
    async def GetTaskLog(
        self, request: aliecs_v1_pb2.GetTaskLogRequest, call: ServerCall
    ) -> aliecs_v1_pb2.GetTaskLogReply:
        """The last lines that a task wrote."""
        task = task_of(self.core, request.task_id)
        stderr = request.stream == aliecs_v1_pb2.TASK_STREAM_STDERR
        text = await self.core.roster.task_log(task, "stderr" if stderr else "stdout", LOG_BYTES)
        lines = text.splitlines()
        return aliecs_v1_pb2.GetTaskLogReply(
            task_id=task.id,
            host=task.host,
            stream=request.stream or aliecs_v1_pb2.TASK_STREAM_STDOUT,
            lines=lines[-request.tail :] if request.tail else lines,
        )

    @permit(READ)
    async def GetTaskUsage(
        self, request: aliecs_v1_pb2.GetTaskUsageRequest, call: ServerCall
    ) -> aliecs_v1_pb2.GetTaskUsageReply:
        """What tasks use of processor, memory and files."""
        if request.environment_id:
            self.core.environment(request.environment_id)
        return await usage_reply(self.core.roster, request)

    @permit(READ)
    async def ListHosts(
        self, request: aliecs_v1_pb2.ListHostsRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListHostsReply:
        """Hosts, by name."""
        return await hosts_reply(self.core.roster, request)

    @permit(GLOBAL)
    async def DrainHost(
        self, request: aliecs_v1_pb2.DrainHostRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Host:
        """Give a host no new tasks."""
        return await drain_host(self.core.roster, request, request.requested_by)

    @permit(GLOBAL)
    async def ResumeHost(
        self, request: aliecs_v1_pb2.ResumeHostRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Host:
        """Give it new tasks again."""
        return await resume_host(self.core.roster, request, request.requested_by)

    @permit(ENVIRONMENT)
    @once
    async def Recover(
        self, request: aliecs_v1_pb2.RecoverRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Operation:
        """Bring an environment out of ERROR."""
        environment = self.core.environment(request.environment_id)
        operation = self.core.manager.control(
            environment.id, Event.RECOVER, User(name=request.requested_by)
        )
        call.trailing[OPERATION_ID] = operation.id
        await operation.wait()
        return operation_message(operation)

    @permit(ENVIRONMENT)
    @once
    async def ModifyEnvironment(
        self, request: aliecs_v1_pb2.ModifyEnvironmentRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Operation:
        """Exclude roles and detectors from an environment, or include them again."""
        environment = self.core.environment(request.environment_id)
        wanted = modification_request(request, request.requested_by)
        operation = self.core.manager.alterations.modify(environment.id, wanted)
        call.trailing[OPERATION_ID] = operation.id
        await operation.wait()
        return operation_message(operation)

    @permit(ENVIRONMENT)
    @once
    async def ReconfigureEnvironment(
        self, request: aliecs_v1_pb2.ReconfigureEnvironmentRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ReconfigureEnvironmentReply:
        """Reset and configure an environment with other variables, or say what that would do."""
        environment = self.core.environment(request.environment_id)
        wanted = reconfiguration_request(request, request.requested_by)
        if request.dry_run:
            plan = await self.core.manager.alterations.plan(environment.id, wanted.variables)
            return await plan_reply(plan, self.core.roster.pace)
        operation = self.core.manager.alterations.modify(environment.id, wanted)
        call.trailing[OPERATION_ID] = operation.id
        await operation.wait()
        return aliecs_v1_pb2.ReconfigureEnvironmentReply(operation=operation_message(operation))

    @permit(TASKS)
    @once
    async def KillTasks(
        self, request: aliecs_v1_pb2.KillTasksRequest, call: ServerCall
    ) -> aliecs_v1_pb2.KillTasksReply:
        """End tasks, whoever has them."""
        tasks = tasks_of(self.core, request)
        before = [told(task) for task in tasks]
        user = user_of(call)
        reason = reason_of(request.reason)
        operation = self.core.manager.alterations.kill_tasks(tasks, user, reason, request.force)
        call.trailing[OPERATION_ID] = operation.id
        killed, left = await operation.wait()
        return kill_reply(killed, left, before)

    @permit(TASKS)
    @once
    async def RestartTask(
        self, request: aliecs_v1_pb2.RestartTaskRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Operation:
        """Give the role of a task another process."""
        operation = self.core.manager.alterations.restart_task(
            task_of(self.core, request.task_id),
            user_of(call),
            reason_of(request.reason),
        )
        call.trailing[OPERATION_ID] = operation.id
        await operation.wait()
        return operation_message(operation)

    @permit(READ)
    def WatchEnvironment(
        self, request: aliecs_v1_pb2.WatchEnvironmentRequest, call: ServerCall
    ) -> AsyncIterator[aliecs_v1_pb2.EnvironmentChange]:
        """The roles of an environment as they are, and then what changes."""
        return Watch(self.core, self.core.environment(request.environment_id)).changes()

    @permit(READ)
    async def ListExclusions(
        self, request: aliecs_v1_pb2.ListExclusionsRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListExclusionsReply:
        """What is excluded."""
        if request.environment_id:
            return exclusions_reply([self.core.environment(request.environment_id)])
        return exclusions_reply(self.core.manager.environments())

    @permit(LOOK)
    async def InspectWorkflow(
        self, request: aliecs_v1_pb2.InspectWorkflowRequest, call: ServerCall
    ) -> aliecs_v1_pb2.InspectWorkflowReply:
        """Look at a workflow without deploying it. What is wrong with it is in the reply; an error
        is only that there is nothing to look at."""
        if not request.workflow_template:
            raise InvalidInput("workflow_template is empty: name a workflow template")
        wanted = InspectionRequest(
            request.workflow_template,
            dict(request.variables),
            User(name=request.requested_by),
        )
        return await inspect(
            self.core.manager.facilities,
            wanted,
            lambda inspection: inspection_reply(request, inspection),
        )

    @permit(READ)
    async def ExplainVariables(
        self, request: aliecs_v1_pb2.ExplainVariablesRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ExplainVariablesReply:
        """Where the variables of roles of an environment come from."""
        environment = self.core.environment(request.environment_id)
        root = environment.root
        roles = root.query(request.role) if request.role else [root]
        if len(roles) > MOST_EXPLAINED:
            raise too_many_explained(len(roles))
        origins = environment.origins()
        reply = aliecs_v1_pb2.ExplainVariablesReply()
        for role in roles:
            reply.roles.append(explained_role(origins, role, request.names))
            await self.core.roster.pace.breathe()
        return reply

    @permit(READ)
    async def GetSession(
        self, request: aliecs_v1_pb2.GetSessionRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Session:
        """Who calls, and what that caller may do."""
        return session_of(self.core, call)

    @permit(READ)
    async def ListLocks(
        self, request: aliecs_v1_pb2.ListLocksRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListLocksReply:
        """The locks of detectors."""
        return await list_locks(self.core, request, call)

    @permit(LOCK)
    async def TakeLock(
        self, request: aliecs_v1_pb2.TakeLockRequest, call: ServerCall
    ) -> aliecs_v1_pb2.LockReply:
        """Take the lock of a detector, or of all."""
        return await take_lock(self.core, request, call)

    @permit(LOCK)
    async def ReleaseLock(
        self, request: aliecs_v1_pb2.ReleaseLockRequest, call: ServerCall
    ) -> aliecs_v1_pb2.LockReply:
        """Free the lock of a detector, or of all."""
        return await release_lock(self.core, request, call)

    @permit(LOCK)
    async def HandOverLock(
        self, request: aliecs_v1_pb2.HandOverLockRequest, call: ServerCall
    ) -> aliecs_v1_pb2.LockReply:
        """Give a lock to somebody else."""
        return await hand_over_lock(self.core, request, call)

    @permit(ADMIN_READ)
    async def ListAudit(
        self, request: aliecs_v1_pb2.ListAuditRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListAuditReply:
        """Who did what."""
        return await list_audit(self.core, request)

    # --- lists and looks ahead -----------------------------------------------------------------

    @permit(READ)
    async def ListEnvironments(
        self, request: aliecs_v1_pb2.ListEnvironmentsRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListEnvironmentsReply:
        """Environments by what they are."""
        return await environments_reply(self.core, request)

    @permit(READ)
    async def ListTasks(
        self, request: aliecs_v1_pb2.ListTasksRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListTasksReply:
        """Tasks by what they are."""
        return await tasks_reply(self.core, request)

    @permit(READ)
    async def ListRoles(
        self, request: aliecs_v1_pb2.ListRolesRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListRolesReply:
        """Roles of an environment, only so deep."""
        return await roles_reply(self.core, request)

    @permit(READ)
    async def ListDetectors(
        self, request: aliecs_v1_pb2.ListDetectorsRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListDetectorsReply:
        """Detectors, their hosts, and who uses them."""
        return await detectors_reply(self.core, request)

    @permit(READ)
    async def GetTransitionStatistics(
        self, request: aliecs_v1_pb2.GetTransitionStatisticsRequest, call: ServerCall
    ) -> aliecs_v1_pb2.GetTransitionStatisticsReply:
        """How long transitions took, and how many worked."""
        return await statistics_reply(self.core, request)

    @permit(READ)
    async def PreviewTransition(
        self, request: aliecs_v1_pb2.PreviewTransitionRequest, call: ServerCall
    ) -> aliecs_v1_pb2.PreviewTransitionReply:
        """What a transition or a destruction would do."""
        return await preview_reply(self.core, request)
