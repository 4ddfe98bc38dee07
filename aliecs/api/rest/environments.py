"""Environments: made, taken through transitions, changed, destroyed, and remembered."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.mapping import from_value, to_value
from aliecs.api.permission import LONGEST_REASON
from aliecs.api.request import call_of, json_answer
from aliecs.api.rest import tasks
from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import (
    MOST_IN_QUERY,
    Choice,
    Flag,
    Identifier,
    Names,
    Number,
    Template,
    Text,
    Texts,
    Variables,
)
from aliecs.api.rest.route import (
    CURSOR,
    IF_NONE_MATCH,
    PAGE,
    PROBLEM_TYPE,
    Body,
    Content,
    Field,
    Parameter,
    Part,
    Section,
)
from aliecs.environment.machine import Event
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2

ENVIRONMENTS = Section(
    "environments",
    "Environments, living ones and those that ended.",
    [Part("environment_id", "id of an environment", {**Identifier().schema(), "minLength": 1})],
)

SINCE = Parameter("since", Number(most=2**53), "only those after this one", 0)
ALL = Parameter("all", Flag(), "also those that are not public", True)
TASK_INFOS = Parameter("tasks", Flag(), "with their tasks", False)
WORKFLOW = Parameter("workflow", Flag(), "with the tree of roles", False)
PATH = Parameter("path", Text(), "roles whose path fits this glob; none: the root", "")
ROLE = Parameter("role", Text(), "roles whose path fits this glob; none: the root", "")
NAME = Parameter("name", Texts(MOST_IN_QUERY), "only variables of these names", [])
LIMIT = Parameter("limit", Number(), "at most so many; 0: as many as the core gives", 0)
DRY_RUN = Parameter("dry_run", Flag(), "only say what it would come to", False)
KEEP_TASKS = Parameter("keep_tasks", Flag(), "leave the tasks alive, without environment", False)
IN_RUNNING = Parameter(
    "allow_in_running_state", Flag(), "stop the run first where there is one", False
)
FORCE = Parameter("force", Flag(), "wait for nothing", False)

STATE = Parameter("state", Texts(MOST_IN_QUERY), "only those in one of these states", [])
DETECTOR = Parameter(
    "detector", Texts(MOST_IN_QUERY), "only those that use one of these detectors", []
)
RUN_TYPE = Parameter("run_type", Texts(MOST_IN_QUERY), "only those of one of these run types", [])
FIELDS = Parameter(
    "fields",
    Names([one.json_name for one in o2control_pb2.EnvironmentInfo.DESCRIPTOR.fields]),
    "only these fields of each environment",
    [],
)
DEPTH = Parameter[int | None]("depth", Number(most=1000), "how many levels below each role", None)
WHY = Parameter("reason", Text(LONGEST_REASON, has_lines=True), "why", "")
WHO = Parameter("user", Text(), "who asks", "")

USER = Field("user", Text(), "who asks", "")
REASON = Field("reason", Text(LONGEST_REASON, has_lines=True), "why", "")

TEMPLATE = Field("template", Template(), "the workflow")
VARIABLES = Field("variables", Variables(), "user variables of the environment", {})

CREATION = Body(
    [
        TEMPLATE,
        VARIABLES,
        Field("auto", Flag(), "take one run, to its own end, and go", False),
        Field("public", Flag(), "shown to all", True),
        USER,
        REASON,
    ]
)

RECONFIGURATION = Body(
    [
        Field("variables", Variables(), "user variables to set", {}),
        Field("unset", Texts(), "names of variables of the creation to unset", []),
        USER,
        REASON,
    ]
)
LOOKED_AHEAD = Content([aliecs_v1_pb2.Operation, aliecs_v1_pb2.PreviewTransitionReply])

TRANSITIONS = (
    Event.DEPLOY,
    Event.CONFIGURE,
    Event.RESET,
    Event.START_ACTIVITY,
    Event.STOP_ACTIVITY,
    Event.RECOVER,
)

TRANSITION = Body(
    [
        Field(
            "type",
            Choice([event.value for event in TRANSITIONS], any_case=True),
            "which transition",
        ),
        USER,
        REASON,
    ]
)

MODIFICATION = Body(
    [
        Field("exclude", Texts(), "paths of roles to exclude", []),
        Field("excludeDetectors", Texts(), "detectors to exclude", []),
        Field("include", Texts(), "paths of roles to include again", []),
        Field("includeDetectors", Texts(), "detectors to include again", []),
        Field(
            "reconfigureAll",
            Flag(),
            "afterwards reset and configure all; only in CONFIGURED",
            False,
        ),
        REASON,
        USER,
    ]
)


@ENVIRONMENTS.route(
    "GET",
    "/environments",
    reply=Content([aliecs_v1_pb2.ListEnvironmentsReply], schema={"type": "object"}),
    parameters=[ALL, TASK_INFOS, STATE, DETECTOR, RUN_TYPE, PAGE, CURSOR, FIELDS],
    problems=[429],
)
async def environments(face: Face, request: Request) -> bytes:
    """Environments, oldest first."""
    asked = aliecs_v1_pb2.ListEnvironmentsRequest(
        public_only=not ALL.of(request),
        with_tasks=TASK_INFOS.of(request),
        states=STATE.of(request),
        detectors=DETECTOR.of(request),
        run_types=RUN_TYPE.of(request),
        limit=PAGE.of(request),
        cursor=CURSOR.of(request),
    )
    method = face.extended.ListEnvironments
    return await face.answer_part(request, method, asked, "environments", FIELDS.of(request))


@ENVIRONMENTS.action(
    "POST",
    "/environments",
    parameters=[DRY_RUN],
    body=CREATION,
    problems=[404, 409, 429, 500],
    more_answers={
        200: Content([aliecs_v1_pb2.Operation, aliecs_v1_pb2.InspectWorkflowReply]),
        422: Content([aliecs_v1_pb2.InspectWorkflowReply], other_types=[PROBLEM_TYPE]),
    },
)
async def create(face: Face, request: Request) -> bytes:
    """Create an environment and bring it to CONFIGURED.

    With `dry_run` the answer is an `InspectWorkflowReply`: 200 where the workflow has no errors,
    422 where it has.
    """
    body = CREATION.of(request)
    if DRY_RUN.of(request):
        inspection = from_value(
            {
                "workflowTemplate": body["template"],
                "variables": body["variables"],
                "requestedBy": body["user"],
            },
            aliecs_v1_pb2.InspectWorkflowRequest,
        )
        reply = await face.extended.InspectWorkflow(inspection, call_of(request))
        return json_answer(request, to_value(reply), 200 if reply.valid else 422)
    asked = from_value(
        {
            "workflowTemplate": body["template"],
            "vars": body["variables"],
            "autoTransition": body["auto"],
            "public": body["public"],
            "requestUser": {"name": body["user"]},
        },
        o2control_pb2.NewEnvironmentRequest,
    )
    return await face.act(request, face.control.NewEnvironment, asked, body["reason"])


@ENVIRONMENTS.route(
    "GET",
    "/environments/<environment_id>",
    reply=Content([o2control_pb2.GetEnvironmentReply], headers={"ETag": "what it was like"}),
    parameters=[WORKFLOW, IF_NONE_MATCH],
    more_answers={304: Content(headers={"ETag": "what it is like, still"})},
    problems=[429],
)
async def environment(face: Face, request: Request, environment_id: str) -> bytes:
    """One environment in full."""
    asked = o2control_pb2.GetEnvironmentRequest(
        id=environment_id, showWorkflowTree=WORKFLOW.of(request)
    )
    return await face.answer_if_changed(request, face.control.GetEnvironment, asked)


@ENVIRONMENTS.action(
    "DELETE",
    "/environments/<environment_id>",
    parameters=[KEEP_TASKS, IN_RUNNING, FORCE, WHO, WHY, DRY_RUN],
    problems=[409, 500],
    more_answers={200: LOOKED_AHEAD},
)
async def destroy(face: Face, request: Request, environment_id: str) -> bytes:
    """Destroy an environment; a transition under way is aborted.

    With `dry_run` the answer is a `PreviewTransitionReply`.
    """
    if DRY_RUN.of(request):
        preview = aliecs_v1_pb2.PreviewTransitionRequest(
            environment_id=environment_id,
            event=Event.DESTROY.value,
            keep_tasks=KEEP_TASKS.of(request),
            allow_in_running_state=IN_RUNNING.of(request),
            force=FORCE.of(request),
        )
        return await face.answer(request, face.extended.PreviewTransition, preview)
    asked = o2control_pb2.DestroyEnvironmentRequest(
        id=environment_id,
        keepTasks=KEEP_TASKS.of(request),
        allowInRunningState=IN_RUNNING.of(request),
        force=FORCE.of(request),
    )
    asked.requestUser.name = WHO.of(request)
    return await face.act(request, face.control.DestroyEnvironment, asked, WHY.of(request))


@ENVIRONMENTS.action(
    "POST",
    "/environments/<environment_id>/transitions",
    parameters=[DRY_RUN],
    body=TRANSITION,
    problems=[409, 429, 500],
    more_answers={200: LOOKED_AHEAD},
)
async def transition(face: Face, request: Request, environment_id: str) -> bytes:
    """Take an environment through a transition.

    With `dry_run` the answer is a `PreviewTransitionReply`.
    """
    body = TRANSITION.of(request)
    if DRY_RUN.of(request):
        preview = aliecs_v1_pb2.PreviewTransitionRequest(
            environment_id=environment_id, event=body["type"]
        )
        return await face.answer(request, face.extended.PreviewTransition, preview)
    if body["type"] == Event.RECOVER.value:
        recover = aliecs_v1_pb2.RecoverRequest(
            environment_id=environment_id, requested_by=body["user"]
        )
        return await face.act(request, face.extended.Recover, recover, body["reason"])
    asked = o2control_pb2.ControlEnvironmentRequest(id=environment_id, type=body["type"])
    asked.requestUser.name = body["user"]
    return await face.act(request, face.control.ControlEnvironment, asked, body["reason"])


@ENVIRONMENTS.route(
    "GET",
    "/environments/<environment_id>/transitions",
    reply=aliecs_v1_pb2.GetEnvironmentHistoryReply,
)
async def history(face: Face, request: Request, environment_id: str) -> bytes:
    """The record of an environment, also of one that has ended."""
    asked = aliecs_v1_pb2.GetEnvironmentHistoryRequest(id=environment_id)
    return await face.answer(request, face.extended.GetEnvironmentHistory, asked)


@ENVIRONMENTS.action(
    "POST",
    "/environments/<environment_id>/modifications",
    body=MODIFICATION,
    problems=[409, 429, 500],
)
async def modify(face: Face, request: Request, environment_id: str) -> bytes:
    """Exclude roles and detectors from an environment, or include them again."""
    body = MODIFICATION.of(request)
    asked = aliecs_v1_pb2.ModifyEnvironmentRequest(
        environment_id=environment_id,
        exclude_roles=body["exclude"],
        exclude_detectors=body["excludeDetectors"],
        include_roles=body["include"],
        include_detectors=body["includeDetectors"],
        reconfigure_all=body["reconfigureAll"],
        reason=body["reason"],
        requested_by=body["user"],
    )
    return await face.act(request, face.extended.ModifyEnvironment, asked)


@ENVIRONMENTS.route(
    "GET",
    "/environments/<environment_id>/exclusions",
    reply=aliecs_v1_pb2.ListExclusionsReply,
)
async def exclusions(face: Face, request: Request, environment_id: str) -> bytes:
    """What is excluded from an environment, by whom and since when."""
    asked = aliecs_v1_pb2.ListExclusionsRequest(environment_id=environment_id)
    return await face.answer(request, face.extended.ListExclusions, asked)


@ENVIRONMENTS.route(
    "GET",
    "/environments/<environment_id>/roles",
    reply=aliecs_v1_pb2.ListRolesReply,
    parameters=[PATH, DEPTH, PAGE, CURSOR],
    problems=[429],
)
async def roles(face: Face, request: Request, environment_id: str) -> bytes:
    """Roles of an environment, each with all below it, or only as many levels as `depth`."""
    asked = aliecs_v1_pb2.ListRolesRequest(
        environment_id=environment_id,
        path=PATH.of(request),
        depth=DEPTH.of(request),
        limit=PAGE.of(request),
        cursor=CURSOR.of(request),
    )
    return await face.answer(request, face.extended.ListRoles, asked)


@ENVIRONMENTS.route(
    "GET",
    "/environments/<environment_id>/tasks",
    reply=Content([aliecs_v1_pb2.ListTasksReply], schema={"type": "object"}),
    parameters=tasks.FILTERS,
    problems=[429],
)
async def environment_tasks(face: Face, request: Request, environment_id: str) -> bytes:
    """Tasks of an environment."""
    return await tasks.listed(face, request, environment_id)


@ENVIRONMENTS.route(
    "GET",
    "/environments/<environment_id>/events",
    reply=Content(
        schema={
            "type": "object",
            "required": ["events", "seq", "gap"],
            "properties": {
                "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
                "seq": {"type": "integer", "description": "the number of the core's last event"},
                "gap": {
                    "type": "boolean",
                    "description": "true: events between `since` and these are gone",
                },
            },
        }
    ),
    parameters=[SINCE],
)
async def environment_events(face: Face, request: Request, environment_id: str) -> bytes:
    """The events of an environment that the core still has, oldest first."""
    # Of environments that ended there may be events still.
    known = aliecs_v1_pb2.GetEnvironmentHistoryRequest(id=environment_id)
    await face.extended.GetEnvironmentHistory(known, face.call(request))
    request.setHeader(b"Content-Type", b"application/json")
    return face.stream.kept(environment_id, SINCE.of(request))


@ENVIRONMENTS.route(
    "GET",
    "/environments/<environment_id>/variables",
    reply=aliecs_v1_pb2.ExplainVariablesReply,
    parameters=[ROLE, NAME],
    problems=[429],
)
async def variables(face: Face, request: Request, environment_id: str) -> bytes:
    """The variables that roles see, where each value comes from, and what it overrides."""
    asked = aliecs_v1_pb2.ExplainVariablesRequest(
        environment_id=environment_id, role=ROLE.of(request), names=NAME.of(request)
    )
    return await face.answer(request, face.extended.ExplainVariables, asked)


@ENVIRONMENTS.route(
    "GET", "/history", reply=aliecs_v1_pb2.GetEnvironmentHistoryReply, parameters=[LIMIT]
)
async def ended(face: Face, request: Request) -> bytes:
    """Records of environments that ended, newest first."""
    asked = aliecs_v1_pb2.GetEnvironmentHistoryRequest(limit=LIMIT.of(request))
    return await face.answer(request, face.extended.GetEnvironmentHistory, asked)


@ENVIRONMENTS.action(
    "PATCH",
    "/environments/<environment_id>/variables",
    parameters=[DRY_RUN],
    body=RECONFIGURATION,
    problems=[409, 422, 429, 500],
    more_answers={
        200: Content([aliecs_v1_pb2.Operation, aliecs_v1_pb2.ReconfigureEnvironmentReply]),
    },
)
async def reconfigure(face: Face, request: Request, environment_id: str) -> bytes:
    """Reset an environment and configure it with other variables, its processes going on.

    Only tasks whose command line is another one are replaced; with `dry_run` the answer is a
    `ReconfigureEnvironmentReply` that names them, and nothing is done. Variables that would make
    other roles, or have them run elsewhere, are refused.
    """
    body = RECONFIGURATION.of(request)
    asked = aliecs_v1_pb2.ReconfigureEnvironmentRequest(
        environment_id=environment_id,
        variables=body["variables"],
        unset=body["unset"],
        reason=body["reason"],
        requested_by=body["user"],
        dry_run=DRY_RUN.of(request),
    )
    if asked.dry_run:
        return await face.answer(request, face.extended.ReconfigureEnvironment, asked)
    return await face.act(request, face.extended.ReconfigureEnvironment, asked)
