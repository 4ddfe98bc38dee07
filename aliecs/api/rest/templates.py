"""Workflow templates, and workflows looked at before they are deployed."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.mapping import from_value
from aliecs.api.request import call_of
from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import Choice, Flag, Template, Text, Texts, Variables
from aliecs.api.rest.route import Body, Content, Field, Parameter, Section
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2

TEMPLATES = Section("workflow templates", "What environments can be made of.")

REPOSITORY = Parameter("repository", Text(), "only of repositories that fit this glob", "")
REVISION = Parameter("revision", Text(), "only at revisions that fit this glob", "")
ALL = Parameter("all", Flag(), "also those that are not public", False)
FORMAT = Parameter("format", Choice(["json", "svg"]), "svg: a picture", "json")

INSPECTION = Body(
    [
        Field("template", Template(), "the workflow"),
        Field("variables", Variables(), "user variables", {}),
        Field("user", Text(), "who asks", ""),
        Field("tree", Flag(), "with the tree of roles", False),
        Field("variablesOf", Text(), "explain what roles see whose path fits this glob", ""),
        Field("variableNames", Texts(), "only variables of these names", []),
        Field("drawAll", Flag(), "draw every role, also many alike", False),
    ]
)


@TEMPLATES.route(
    "GET",
    "/workflow-templates",
    reply=o2control_pb2.GetWorkflowTemplatesReply,
    parameters=[REPOSITORY, REVISION, ALL],
    problems=[404],
)
async def templates(face: Face, request: Request) -> bytes:
    """Workflow templates with the variables that they declare."""
    asked = o2control_pb2.GetWorkflowTemplatesRequest(
        repoPattern=REPOSITORY.of(request),
        revisionPattern=REVISION.of(request),
        allWorkflows=ALL.of(request),
    )
    return await face.answer(request, face.control.GetWorkflowTemplates, asked)


@TEMPLATES.route(
    "POST",
    "/workflow-inspections",
    reply=Content([aliecs_v1_pb2.InspectWorkflowReply], other_types=["image/svg+xml"]),
    parameters=[FORMAT],
    body=INSPECTION,
    problems=[404, 422],
)
async def inspect(face: Face, request: Request) -> bytes:
    """Look at a workflow without deploying it: all that is wrong with it, and what it would be."""
    body = INSPECTION.of(request)
    wants_picture = FORMAT.of(request) == "svg"
    asked = from_value(
        {
            "workflowTemplate": body["template"],
            "variables": body["variables"],
            "requestedBy": body["user"],
            "withTree": body["tree"],
            "variablesOf": body["variablesOf"],
            "variableNames": body["variableNames"],
            "drawAll": body["drawAll"],
            "drawing": "DRAWING_SVG" if wants_picture else "DRAWING_NONE",
        },
        aliecs_v1_pb2.InspectWorkflowRequest,
    )
    if not wants_picture:
        return await face.answer(request, face.extended.InspectWorkflow, asked)
    reply = await face.extended.InspectWorkflow(asked, call_of(request))
    request.setHeader(b"Content-Type", b"image/svg+xml")
    return reply.drawing.encode()
