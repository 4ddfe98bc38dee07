"""Tasks: what they are, what they wrote, what they use, and the end of idle ones."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.permission import LONGEST_REASON
from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import MOST_IN_QUERY, Choice, Flag, Identifier, Names, Number, Text, Texts
from aliecs.api.rest.route import (
    CURSOR,
    PAGE,
    Body,
    Content,
    Field,
    Parameter,
    Part,
    Section,
)
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

_GROUPINGS = {
    "none": aliecs_v1_pb2.TASK_GROUPING_NONE,
    "host": aliecs_v1_pb2.TASK_GROUPING_HOST,
    "detector": aliecs_v1_pb2.TASK_GROUPING_DETECTOR,
}

STREAM = Parameter("stream", Choice(list(_STREAMS)), "which output", "stdout")
TAIL = Parameter("tail", Number(), "how many lines from the end; 0: as many as the core gives", 200)
ENVIRONMENT = Parameter("environment", Identifier(), "only tasks of this environment", "")
TASK = Parameter("task", Texts(MOST_IN_QUERY), "only these tasks", [])
ORDER = Parameter("order", Choice(list(_ORDERS)), "oldest first, or who has the most", "age")
LIMIT = Parameter("limit", Number(), "at most so many; 0: all", 0)

STATE = Parameter("state", Texts(MOST_IN_QUERY), "only those in one of these states", [])
HOST = Parameter("host", Texts(MOST_IN_QUERY), "only those on one of these hosts", [])
NAME = Parameter(
    "name", Texts(MOST_IN_QUERY), "only those whose role or class fits one of these globs", []
)
DETECTOR = Parameter("detector", Texts(MOST_IN_QUERY), "only those on hosts of these detectors", [])
LOCKED = Parameter[bool | None](
    "locked", Flag(), "only those that serve an environment, or only those that serve none", None
)
GROUP_BY = Parameter("group_by", Choice(list(_GROUPINGS)), "what they are gathered by", "none")
FIELDS = Parameter(
    "fields",
    Names([one.json_name for one in o2control_pb2.ShortTaskInfo.DESCRIPTOR.fields]),
    "only these fields of each task",
    [],
)
FILTERS = (TASK, STATE, HOST, NAME, DETECTOR, LOCKED, GROUP_BY, PAGE, CURSOR, FIELDS)
DRY_RUN = Parameter("dry_run", Flag(), "only say which tasks would be ended", False)

ACTION = Body(
    [
        Field("action", Choice(["kill", "restart"]), "what is to become of the task"),
        Field("force", Flag(), "also where an environment goes to ERROR for it", False),
        Field("user", Text(), "who asks", ""),
        Field("reason", Text(LONGEST_REASON), "why", ""),
    ]
)

CLEANUP = Body(
    [
        Field("taskIds", Texts(), "which tasks; none: all that are idle", []),
        Field("reason", Text(LONGEST_REASON, has_lines=True), "why", ""),
        Field("kind", Choice(["tasks"]), "what is cleaned up", "tasks"),
    ]
)


@TASKS.route(
    "GET",
    "/tasks",
    reply=Content([aliecs_v1_pb2.ListTasksReply], schema={"type": "object"}),
    parameters=[ENVIRONMENT, *FILTERS],
    problems=[404, 429],
)
async def tasks(face: Face, request: Request) -> bytes:
    """Tasks of the core, by their ids; also gathered by host or detector."""
    return await listed(face, request, ENVIRONMENT.of(request))


async def listed(face: Face, request: Request, environment_id: str) -> bytes:
    """Answer with tasks, those of all environments where none is named."""
    asked = aliecs_v1_pb2.ListTasksRequest(
        environment_id=environment_id,
        task_ids=TASK.of(request),
        states=STATE.of(request),
        hosts=HOST.of(request),
        names=NAME.of(request),
        detectors=DETECTOR.of(request),
        locked=LOCKED.of(request),
        group_by=_GROUPINGS[GROUP_BY.of(request)],
        limit=PAGE.of(request),
        cursor=CURSOR.of(request),
    )
    method = face.extended.ListTasks
    return await face.answer_part(request, method, asked, "tasks", FIELDS.of(request))


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
    problems=[404],
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


@TASKS.route(
    "POST",
    "/cleanups",
    reply=Content([o2control_pb2.CleanupTasksReply, aliecs_v1_pb2.ListTasksReply]),
    parameters=[DRY_RUN],
    body=CLEANUP,
)
async def clean_up(face: Face, request: Request) -> bytes:
    """End tasks that serve no environment: all, or those named.

    With `dry_run` the answer is a `ListTasksReply` with those that would be ended.
    """
    body = CLEANUP.of(request)
    if DRY_RUN.of(request):
        idle = aliecs_v1_pb2.ListTasksRequest(task_ids=body["taskIds"], locked=False)
        return await face.answer(request, face.extended.ListTasks, idle)
    asked = o2control_pb2.CleanupTasksRequest(taskIds=body["taskIds"])
    return await face.answer(request, face.control.CleanupTasks, asked, body["reason"])
