"""Tasks: what they are, what they wrote, what they use, and the end of idle ones."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import Choice, Flag, Number, Text, Texts
from aliecs.api.rest.route import Body, Field, Parameter, Part, Section
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2

TASKS = Section(
    "tasks",
    "The processes that play the roles of environments, and idle ones.",
    [Part("task_id", "id of a task")],
)

_STREAMS = {
    "stdout": aliecs_v1_pb2.TASK_STREAM_STDOUT,
    "stderr": aliecs_v1_pb2.TASK_STREAM_STDERR,
}
_ORDERS = {
    "age": aliecs_v1_pb2.TASK_USAGE_ORDER_UNSPECIFIED,
    "processors": aliecs_v1_pb2.TASK_USAGE_ORDER_PROCESSORS,
    "memory": aliecs_v1_pb2.TASK_USAGE_ORDER_MEMORY,
    "open_files": aliecs_v1_pb2.TASK_USAGE_ORDER_OPEN_FILES,
}

STREAM = Parameter("stream", Choice(list(_STREAMS)), "which output", "stdout")
TAIL = Parameter("tail", Number(), "how many lines from the end; 0: as many as the core gives", 200)
ENVIRONMENT = Parameter("environment", Text(), "only tasks of this environment", "")
TASK = Parameter("task", Texts(), "only these tasks", [])
ORDER = Parameter("order", Choice(list(_ORDERS)), "oldest first, or who has the most", "age")
LIMIT = Parameter("limit", Number(), "at most so many; 0: all", 0)

ACTION = Body(
    [
        Field("action", Choice(["kill", "restart"]), "what is to become of the task"),
        Field("force", Flag(), "also where an environment goes to ERROR for it", False),
        Field("user", Text(), "who asks", ""),
        Field("reason", Text(), "why", ""),
    ]
)

CLEANUP = Body(
    [
        Field("taskIds", Texts(), "which tasks; none: all that are idle", []),
        Field("reason", Text(), "why", ""),
        Field("kind", Text(), "what is cleaned up: tasks", "tasks"),
    ]
)


@TASKS.route("GET", "/tasks", reply=o2control_pb2.GetTasksReply)
async def tasks(face: Face, request: Request) -> bytes:
    """All tasks of the core."""
    asked = o2control_pb2.GetTasksRequest()
    return await face.answer(request, face.control.GetTasks, asked)


@TASKS.route("GET", "/tasks/<task_id>", reply=o2control_pb2.GetTaskReply)
async def task(face: Face, request: Request, task_id: str) -> bytes:
    """One task in full."""
    asked = o2control_pb2.GetTaskRequest(taskId=task_id)
    return await face.answer(request, face.control.GetTask, asked)


@TASKS.route(
    "GET",
    "/tasks/<task_id>/logs",
    reply=aliecs_v1_pb2.GetTaskLogReply,
    parameters=[STREAM, TAIL],
)
async def task_log(face: Face, request: Request, task_id: str) -> bytes:
    """The last lines that a task wrote."""
    asked = aliecs_v1_pb2.GetTaskLogRequest(
        task_id=task_id, stream=_STREAMS[STREAM.of(request)], tail=TAIL.of(request)
    )
    return await face.answer(request, face.extended.GetTaskLog, asked)


@TASKS.action(
    "POST",
    "/tasks/<task_id>/actions",
    body=ACTION,
    problems=[409, 429, 500],
)
async def act_on_task(face: Face, request: Request, task_id: str) -> bytes:
    """End a task, or give its role another process.

    To its environment a task that is killed is as any other that ends; one that it cannot do
    without is only killed by force. A restart leads to the state that the environment is in; in
    RUNNING it takes a role whose variable `excludable` is `true`.
    """
    body = ACTION.of(request)
    if body["action"] == "restart":
        restart = aliecs_v1_pb2.RestartTaskRequest(
            task_id=task_id, reason=body["reason"], requested_by=body["user"]
        )
        return await face.act(request, face.extended.RestartTask, restart)
    kill = aliecs_v1_pb2.KillTasksRequest(
        task_ids=[task_id],
        force=body["force"],
        reason=body["reason"],
        requested_by=body["user"],
    )
    return await face.act(request, face.extended.KillTasks, kill)


@TASKS.route(
    "GET",
    "/task-usage",
    reply=aliecs_v1_pb2.GetTaskUsageReply,
    parameters=[ENVIRONMENT, TASK, ORDER, LIMIT],
)
async def task_usage(face: Face, request: Request) -> bytes:
    """Processors, memory and open files of tasks."""
    asked = aliecs_v1_pb2.GetTaskUsageRequest(
        environment_id=ENVIRONMENT.of(request),
        task_ids=TASK.of(request),
        order=_ORDERS[ORDER.of(request)],
        limit=LIMIT.of(request),
    )
    return await face.answer(request, face.extended.GetTaskUsage, asked)


@TASKS.route("POST", "/cleanups", reply=o2control_pb2.CleanupTasksReply, body=CLEANUP)
async def clean_up(face: Face, request: Request) -> bytes:
    """End tasks that serve no environment: all, or those named."""
    body = CLEANUP.of(request)
    asked = o2control_pb2.CleanupTasksRequest(taskIds=body["taskIds"])
    return await face.answer(request, face.control.CleanupTasks, asked)
