"""What the core is, whether it serves, and whom it works with."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.mapping import to_value
from aliecs.api.metrics import CONTENT_TYPE
from aliecs.api.request import json_answer
from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import MOST_IN_QUERY, Choice, Number, Texts
from aliecs.api.rest.route import Content, Parameter, Part, Section
from aliecs.errors import NotFound
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2

HEALTH = Section(
    "health", "For supervisors of the process, and for Prometheus.", base="", anyone=True
)
FRAMEWORK = Section(
    "framework",
    "What the core is, whom it works with, and how it has done.",
    [Part("name", "name of a service's plugin")],
)

_GROUPINGS = {
    "none": aliecs_v1_pb2.STATISTICS_GROUPING_NONE,
    "workflow": aliecs_v1_pb2.STATISTICS_GROUPING_WORKFLOW,
    "day": aliecs_v1_pb2.STATISTICS_GROUPING_DAY,
    "environment": aliecs_v1_pb2.STATISTICS_GROUPING_ENVIRONMENT,
}

NAME = Parameter("name", Texts(MOST_IN_QUERY), "only these detectors", [])
FROM = Parameter("from", Number(most=2**53), "only transitions that began then or later, in ms", 0)
TO = Parameter("to", Number(most=2**53), "only transitions that began before, in ms; 0: any", 0)
GROUP_BY = Parameter("group_by", Choice(list(_GROUPINGS)), "what they are gathered by", "none")

_READY = Content(
    schema={
        "type": "object",
        "required": ["ready"],
        "properties": {"ready": {"type": "boolean"}},
    }
)


@HEALTH.route(
    "GET",
    "/healthz",
    reply=Content(
        schema={
            "type": "object",
            "required": ["status"],
            "properties": {"status": {"const": "ok"}},
        }
    ),
)
async def healthy(face: Face, request: Request) -> bytes:
    """The process lives."""
    return json_answer(request, {"status": "ok"})


@HEALTH.route("GET", "/readyz", reply=_READY, more_answers={503: _READY})
async def ready(face: Face, request: Request) -> bytes:
    """Whether it serves: 503 before it does."""
    is_ready = face.ready()
    return json_answer(request, {"ready": is_ready}, status=200 if is_ready else 503)


@HEALTH.route("GET", "/metrics", reply=Content(other_types=[CONTENT_TYPE.decode()]))
async def metrics(face: Face, request: Request) -> bytes:
    """Metrics in the format of Prometheus."""
    request.setHeader(b"Content-Type", CONTENT_TYPE)
    return face.metrics.text()


@FRAMEWORK.route("GET", "/framework", reply=o2control_pb2.GetFrameworkInfoReply)
async def framework(face: Face, request: Request) -> bytes:
    """What the core is and has."""
    asked = o2control_pb2.GetFrameworkInfoRequest()
    return await face.answer(request, face.control.GetFrameworkInfo, asked)


@FRAMEWORK.route("GET", "/services", reply=o2control_pb2.ListIntegratedServicesReply)
async def services(face: Face, request: Request) -> bytes:
    """Every outside service there is a plugin for."""
    asked = o2control_pb2.Empty()
    return await face.answer(request, face.control.GetIntegratedServices, asked)


@FRAMEWORK.route("GET", "/services/<name>", reply=o2control_pb2.IntegratedServiceInfo)
async def service(face: Face, request: Request, name: str) -> bytes:
    """One outside service."""
    reply = await face.control.GetIntegratedServices(o2control_pb2.Empty(), face.call(request))
    if name not in reply.services:
        known = ", ".join(sorted(reply.services))
        raise NotFound(f"there is no service {name[:40]!r}; there are {known}")
    return json_answer(request, to_value(reply.services[name]))


@FRAMEWORK.route(
    "GET",
    "/detectors",
    reply=aliecs_v1_pb2.ListDetectorsReply,
    parameters=[NAME],
    problems=[404],
)
async def detectors(face: Face, request: Request) -> bytes:
    """Detectors with their hosts, and which environment uses them."""
    asked = aliecs_v1_pb2.ListDetectorsRequest(names=NAME.of(request))
    return await face.answer(request, face.extended.ListDetectors, asked)


@FRAMEWORK.route(
    "GET",
    "/statistics/transitions",
    reply=aliecs_v1_pb2.GetTransitionStatisticsReply,
    parameters=[FROM, TO, GROUP_BY],
)
async def transition_statistics(face: Face, request: Request) -> bytes:
    """How long transitions took, and how many of them worked."""
    asked = aliecs_v1_pb2.GetTransitionStatisticsRequest(
        from_ms=FROM.of(request), to_ms=TO.of(request), group_by=_GROUPINGS[GROUP_BY.of(request)]
    )
    return await face.answer(request, face.extended.GetTransitionStatistics, asked)
