"""What the core is, whether it serves, and whom it works with."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.metrics import CONTENT_TYPE
from aliecs.api.request import json_answer
from aliecs.api.rest.face import Face
from aliecs.api.rest.route import Content, Section
from aliecs.protocol.protos import o2control_pb2

HEALTH = Section("health", "For supervisors of the process, and for Prometheus.", base="")
FRAMEWORK = Section("framework", "What the core is, and whom it works with.")

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


@FRAMEWORK.route("GET", "/detectors", reply=o2control_pb2.GetAvailableDetectorsReply)
async def detectors(face: Face, request: Request) -> bytes:
    """Detectors that no environment uses."""
    asked = o2control_pb2.Empty()
    return await face.answer(request, face.control.GetAvailableDetectors, asked)
