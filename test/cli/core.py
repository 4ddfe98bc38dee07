"""A core that is none: the real services on a real port, with answers that a test sets."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from aliecs.errors import InvalidInput, NotFound, NotImplementedYet
from aliecs.protocol import aliecs_v1_pb2 as v1
from aliecs.protocol.protos import events_pb2
from aliecs.protocol.protos import o2control_pb2 as o2
from aliecs.txgrpc.route import ServerCall
from aliecs.txgrpc.server import Server

ENVIRONMENT = "2rvUhqKFcLZ"
CREATED_MS = 1_735_689_600_000


def environment(state: str = "CONFIGURED", **fields: Any) -> o2.EnvironmentInfo:
    """An environment with a task."""
    return o2.EnvironmentInfo(
        **{
            "id": ENVIRONMENT,
            "state": state,
            "createdWhen": CREATED_MS,
            "rootRole": "demo",
            "numberOfTasks": 2,
            "numberOfActiveTasks": 1,
            "numberOfInactiveTasks": 1,
            "userVars": {"hosts": '["flp001"]', "empty": ""},
            "tasks": [task()],
            **fields,
        }
    )


def task(**fields: Any) -> o2.ShortTaskInfo:
    """A task."""
    return o2.ShortTaskInfo(
        **{
            "taskId": "2rvUhqKJDE6",
            "className": "github.com/AliceO2Group/ControlWorkflows/tasks/readout@" + "a" * 40,
            "deploymentInfo": o2.TaskDeploymentInfo(hostname="flp001"),
            "status": "ACTIVE",
            "state": "RUNNING",
            "critical": True,
            "locked": True,
            "pid": "4711",
            **fields,
        }
    )


def record(**fields: Any) -> v1.EnvironmentRecord:
    """What is remembered of an environment whose readout died."""
    return v1.EnvironmentRecord(
        **{
            "id": ENVIRONMENT,
            "workflow_template": "demo@main",
            "state": "ERROR",
            "created_by": "me@here",
            "created_ms": CREATED_MS,
            "ended_ms": CREATED_MS + 5000,
            "run_numbers": [7],
            "cause": v1.Cause(
                line="task readout on host flp001 (2rvUhqKJDE6): died",
                task_id="2rvUhqKJDE6",
                task_name="readout",
                host="flp001",
                exit="killed by SIGKILL",
                last_log_lines=["last words"],
            ),
            "transitions": [
                v1.TransitionRecord(
                    event="CONFIGURE",
                    from_state="DEPLOYED",
                    to_state="CONFIGURED",
                    started_ms=1000,
                    ended_ms=1500,
                ),
                v1.TransitionRecord(
                    event="START_ACTIVITY",
                    from_state="CONFIGURED",
                    to_state="ERROR",
                    started_ms=2000,
                    ended_ms=2250,
                    error="task readout died",
                ),
            ],
            **fields,
        }
    )


class Control:
    """The service `o2control.Control`. `replies` holds an answer, an error, or something to wait
    for by method; `requests` what was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.metadata: list[dict[str, Any]] = []
        self.replies: dict[str, Any] = {}

    async def answer(self, method: str, request: Any, default: Any, call: ServerCall) -> Any:
        """Answer one request."""
        self.requests.append((method, request))
        self.metadata.append(dict(call.metadata))
        reply = self.replies.get(method, default)
        if isinstance(reply, Deferred):
            reply = await reply
        if isinstance(reply, Exception):
            raise reply
        return reply

    def last(self, method: str) -> Any:
        """The last request to a method."""
        return [request for name, request in self.requests if name == method][-1]


_DEFAULTS: dict[str, Any] = {
    "GetFrameworkInfo": o2.GetFrameworkInfoReply(
        frameworkId="f-1",
        environmentsCount=1,
        state="CONNECTED",
        instanceName="Test",
        version=o2.Version(versionStr="0.1.0"),
        detectorsInInstance=["ITS", "TPC"],
    ),
    "GetIntegratedServices": o2.ListIntegratedServicesReply(
        services={
            "dcs": o2.IntegratedServiceInfo(),
            "testplugin": o2.IntegratedServiceInfo(
                name="Test plugin", enabled=True, endpoint="//x", connectionState="READY"
            ),
        }
    ),
    "GetEnvironments": o2.GetEnvironmentsReply(environments=[environment()]),
    "GetEnvironment": o2.GetEnvironmentReply(
        environment=environment(),
        workflow=o2.RoleInfo(
            name="demo",
            state="CONFIGURED",
            roles=[o2.RoleInfo(name="readout", state="RUNNING", taskIds=["2rvUhqKJDE6"])],
        ),
    ),
    "NewEnvironment": o2.NewEnvironmentReply(environment=environment()),
    "NewEnvironmentAsync": o2.NewEnvironmentReply(environment=environment("PENDING")),
    "NewAutoEnvironment": o2.NewAutoEnvironmentReply(),
    "ControlEnvironment": o2.ControlEnvironmentReply(
        id=ENVIRONMENT,
        state="RUNNING",
        currentRunNumber=7,
        startOfTransition=CREATED_MS,
        endOfTransition=CREATED_MS + 1500,
        transitionDuration=1500,
    ),
    "DestroyEnvironment": o2.DestroyEnvironmentReply(),
    "GetTasks": o2.GetTasksReply(tasks=[task(), task(taskId="2rvUhqKJDE7", pid="12")]),
    "CleanupTasks": o2.CleanupTasksReply(killedTasks=[task()], runningTasks=[task(), task()]),
    "GetRoles": o2.GetRolesReply(
        roles=[
            o2.RoleInfo(
                name="readout",
                fullPath="demo.readout",
                state="RUNNING",
                status="ACTIVE",
                vars={"a": "b"},
                taskIds=["2rvUhqKJDE6"],
            )
        ]
    ),
    "ListRepos": o2.ListReposReply(
        repos=[o2.RepoInfo(name="builtin", default=True, defaultRevision="master")],
        globalDefaultRevision="master",
    ),
    "GetWorkflowTemplates": o2.GetWorkflowTemplatesReply(
        workflowTemplates=[
            o2.WorkflowTemplateInfo(
                repo="builtin", revision="main", template="demo", description="what it does"
            )
        ]
    ),
    "Teardown": o2.TeardownReply(),
}


def _method(name: str) -> Any:
    async def handler(self: Control, request: Any, call: ServerCall) -> Any:
        return await self.answer(name, request, _DEFAULTS[name], call)

    return handler


for _name in _DEFAULTS:
    setattr(Control, _name, _method(_name))


class StreamingControl(Control):
    """The same with events."""

    async def Subscribe(self, request: o2.SubscribeRequest, call: ServerCall) -> Any:
        self.requests.append(("Subscribe", request))
        for event in self.replies.get("Subscribe", []):
            yield event

    async def ModifyEnvironment(self, request: Any, call: ServerCall) -> Any:
        raise NotImplementedYet("not implemented")


class Extended:
    """The service `aliecs.v1.Control`, with one environment that failed."""

    def __init__(self) -> None:
        self.operations: list[v1.Operation] = []
        self.records = {ENVIRONMENT: record()}
        self.requests: list[Any] = []
        self.usage: list[v1.TaskUsage] = []
        self.exclusions: list[v1.Exclusion] = []
        self.changes: list[v1.EnvironmentChange] = []
        self.log_lines = [["one", "two"]]

    async def GetOperation(self, request: v1.GetOperationRequest, call: ServerCall) -> Any:
        for one in self.operations:
            if one.id == request.id:
                return one
        raise NotFound(f"no operation with id {request.id}")

    async def ListOperations(self, request: v1.ListOperationsRequest, call: ServerCall) -> Any:
        return v1.ListOperationsReply(operations=self.operations)

    async def AbortOperation(self, request: v1.AbortOperationRequest, call: ServerCall) -> Any:
        self.requests.append(request)
        return v1.Operation(
            id=request.id,
            kind="CREATE",
            environment_id=ENVIRONMENT,
            state=v1.OPERATION_STATE_ABORTED,
            error="CONFIGURE aborted by me: why",
        )

    async def WatchEnvironment(self, request: v1.WatchEnvironmentRequest, call: ServerCall) -> Any:
        self.requests.append(request)
        for change in self.changes:
            yield change

    async def GetEnvironmentHistory(
        self, request: v1.GetEnvironmentHistoryRequest, call: ServerCall
    ) -> Any:
        if not request.id:
            return v1.GetEnvironmentHistoryReply(environments=self.records.values())
        if request.id not in self.records:
            raise NotFound(f"no record of environment {request.id}")
        return v1.GetEnvironmentHistoryReply(environments=[self.records[request.id]])

    async def GetTaskLog(self, request: v1.GetTaskLogRequest, call: ServerCall) -> Any:
        self.requests.append(request)
        if len(self.log_lines) > 1:
            return v1.GetTaskLogReply(lines=self.log_lines.pop(0))
        return v1.GetTaskLogReply(lines=self.log_lines[0])

    async def GetTaskUsage(self, request: v1.GetTaskUsageRequest, call: ServerCall) -> Any:
        self.requests.append(request)
        return v1.GetTaskUsageReply(tasks=self.usage)

    async def ModifyEnvironment(
        self, request: v1.ModifyEnvironmentRequest, call: ServerCall
    ) -> Any:
        self.requests.append(request)
        return v1.Operation(id="x", kind="EXCLUDE")

    async def ListExclusions(self, request: v1.ListExclusionsRequest, call: ServerCall) -> Any:
        return v1.ListExclusionsReply(exclusions=self.exclusions)

    async def Recover(self, request: v1.RecoverRequest, call: ServerCall) -> Any:
        self.requests.append(request)
        if request.environment_id != ENVIRONMENT:
            raise InvalidInput("received bad environment id")
        return v1.Operation(id="x", started_ms=1000, ended_ms=2500)


def make_server(control: Control, extended: Extended | None, port: int = 0) -> Server:
    """A server on that port, or on a free one."""
    services: list[tuple[Any, object]] = [(o2.DESCRIPTOR.services_by_name["Control"], control)]
    if extended is not None:
        services.append((v1.DESCRIPTOR.services_by_name["Control"], extended))
    return Server(f"127.0.0.1:{port}", services)


def run_events() -> list[events_pb2.Event]:
    """What is heard of an automatic environment."""
    ours = events_pb2.Ev_EnvironmentEvent
    return [
        events_pb2.Event(
            environmentEvent=ours(environmentId=ENVIRONMENT, state="RUNNING", runNumber=7)
        ),
        events_pb2.Event(
            taskEvent=events_pb2.Ev_TaskEvent(
                taskid="t1", className="c", state="LAUNCHED", hostname="flp001"
            )
        ),
        events_pb2.Event(
            environmentEvent=ours(
                environmentId=ENVIRONMENT, state="DONE", message="teardown complete"
            )
        ),
    ]
