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
from aliecs.api.message import operation_message, record_message
from aliecs.api.modification import exclusions_reply, modification_request, reason_of
from aliecs.api.reconfiguration import plan_reply, reconfiguration_request
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

    async def GetOperation(
        self, request: aliecs_v1_pb2.GetOperationRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Operation:
        """One operation."""
        operation = self.core.manager.facilities.operations.get(request.id)
        return operation_message(
            operation, request.with_results, min(request.waiting_limit, MOST_WAITED)
        )

    @once
    async def AbortOperation(
        self, request: aliecs_v1_pb2.AbortOperationRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Operation:
        """Give up an operation, and wait until all that follows from it is done."""
        user = User(name=request.requested_by or call.peer)
        operation = self.core.manager.abort(request.id, user, reason_of(request.reason))
        call.trailing[OPERATION_ID] = operation.id
        with suppress(AliecsError):
            await operation.wait()
        return operation_message(operation)

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

    async def GetTaskUsage(
        self, request: aliecs_v1_pb2.GetTaskUsageRequest, call: ServerCall
    ) -> aliecs_v1_pb2.GetTaskUsageReply:
        """What tasks use of processor, memory and files."""
        if request.environment_id:
            self.core.environment(request.environment_id)
        return await usage_reply(self.core.roster, request)

    async def ListHosts(
        self, request: aliecs_v1_pb2.ListHostsRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListHostsReply:
        """Hosts, by name."""
        return await hosts_reply(self.core.roster, request)

    async def DrainHost(
        self, request: aliecs_v1_pb2.DrainHostRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Host:
        """Give a host no new tasks."""
        return await drain_host(self.core.roster, request, request.requested_by or call.peer)

    async def ResumeHost(
        self, request: aliecs_v1_pb2.ResumeHostRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Host:
        """Give it new tasks again."""
        return await resume_host(self.core.roster, request, request.requested_by or call.peer)

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

    @once
    async def ModifyEnvironment(
        self, request: aliecs_v1_pb2.ModifyEnvironmentRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Operation:
        """Exclude roles and detectors from an environment, or include them again."""
        environment = self.core.environment(request.environment_id)
        wanted = modification_request(request, request.requested_by or call.peer)
        operation = self.core.manager.modify(environment.id, wanted)
        call.trailing[OPERATION_ID] = operation.id
        await operation.wait()
        return operation_message(operation)

    @once
    async def ReconfigureEnvironment(
        self, request: aliecs_v1_pb2.ReconfigureEnvironmentRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ReconfigureEnvironmentReply:
        """Reset and configure an environment with other variables, or say what that would do."""
        environment = self.core.environment(request.environment_id)
        wanted = reconfiguration_request(request, request.requested_by or call.peer)
        if request.dry_run:
            plan = await self.core.manager.plan(environment.id, wanted.variables)
            return await plan_reply(plan, self.core.roster.pace)
        operation = self.core.manager.modify(environment.id, wanted)
        call.trailing[OPERATION_ID] = operation.id
        await operation.wait()
        return aliecs_v1_pb2.ReconfigureEnvironmentReply(operation=operation_message(operation))

    @once
    async def KillTasks(
        self, request: aliecs_v1_pb2.KillTasksRequest, call: ServerCall
    ) -> aliecs_v1_pb2.KillTasksReply:
        """End tasks, whoever has them."""
        tasks = tasks_of(self.core, request)
        before = [told(task) for task in tasks]
        user = User(name=request.requested_by or call.peer)
        reason = reason_of(request.reason)
        operation = self.core.manager.kill_tasks(tasks, user, reason, request.force)
        call.trailing[OPERATION_ID] = operation.id
        killed, left = await operation.wait()
        return kill_reply(killed, left, before)

    @once
    async def RestartTask(
        self, request: aliecs_v1_pb2.RestartTaskRequest, call: ServerCall
    ) -> aliecs_v1_pb2.Operation:
        """Give the role of a task another process."""
        operation = self.core.manager.restart_task(
            task_of(self.core, request.task_id),
            User(name=request.requested_by or call.peer),
            reason_of(request.reason),
        )
        call.trailing[OPERATION_ID] = operation.id
        await operation.wait()
        return operation_message(operation)

    def WatchEnvironment(
        self, request: aliecs_v1_pb2.WatchEnvironmentRequest, call: ServerCall
    ) -> AsyncIterator[aliecs_v1_pb2.EnvironmentChange]:
        """The roles of an environment as they are, and then what changes."""
        return Watch(self.core, self.core.environment(request.environment_id)).changes()

    async def ListExclusions(
        self, request: aliecs_v1_pb2.ListExclusionsRequest, call: ServerCall
    ) -> aliecs_v1_pb2.ListExclusionsReply:
        """What is excluded."""
        if request.environment_id:
            return exclusions_reply([self.core.environment(request.environment_id)])
        return exclusions_reply(self.core.manager.environments())

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
            User(name=request.requested_by or call.peer),
        )
        return await inspect(
            self.core.manager.facilities,
            wanted,
            lambda inspection: inspection_reply(request, inspection),
        )

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
