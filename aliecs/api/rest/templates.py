"""Workflow templates, and workflows looked at before they are deployed."""

from __future__ import annotations

import re

from twisted.web.server import Request

from aliecs.api.mapping import from_value, to_value
from aliecs.api.request import call_of, json_answer
from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import Choice, Flag, Template, Text, Texts, Variables
from aliecs.api.rest.route import Body, Content, Field, Parameter, Section
from aliecs.errors import NotFound
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2

TEMPLATES = Section("workflow templates", "What environments can be made of.")

DEFAULT = "readout-dataflow"
"""The name is the experiment's own; its other clients look for it as well."""

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
    "GET",
    "/workflow-templates/default",
    reply=o2control_pb2.WorkflowTemplateInfo,
    problems=[404],
)
async def default_template(face: Face, request: Request) -> bytes:
    """The workflow that environments are made of where nobody says otherwise: `readout-dataflow` of
    the default repository at its default revision; 404 where that has none."""
    listed = await face.control.ListRepos(o2control_pb2.ListReposRequest(), face.call(request))
    repository = next((one for one in listed.repos if one.default), None)
    if repository is None:
        raise NotFound("there is no default repository")
    asked = o2control_pb2.GetWorkflowTemplatesRequest(
        repoPattern=_exactly(repository.name),
        revisionPattern=_exactly(repository.defaultRevision),
        allWorkflows=True,
    )
    reply = await face.control.GetWorkflowTemplates(asked, face.call(request))
    for template in reply.workflowTemplates:
        if template.template == DEFAULT:
            return json_answer(request, to_value(template))
    raise NotFound(
        f"the default repository {repository.name} has no workflow {DEFAULT} at its revision"
        f" {repository.defaultRevision}"
    )


def _exactly(name: str) -> str:
    """The glob that only this name fits."""
    return re.sub(r"([\\*?\[\]{},!-])", r"\\\1", name)


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
