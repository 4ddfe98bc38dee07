"""Every method of the control API by its name, for scripts that know the messages."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.web.server import Request

from aliecs.api.core import OPERATION_ID
from aliecs.api.mapping import from_value, to_json
from aliecs.api.request import body_of, remember_operation
from aliecs.api.rest.face import Face
from aliecs.api.rest.route import Body, Content, Part, Section
from aliecs.errors import InvalidInput, NotFound
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.route import Method, service_methods

SERVICES = {
    service.full_name: service
    for service in (
        o2control_pb2.DESCRIPTOR.services_by_name["Control"],
        aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"],
    )
}

METHODS = Section(
    "methods",
    "Every method of the control API by its name.",
    [
        Part("service", "name of a gRPC service", {"type": "string", "enum": list(SERVICES)}),
        Part("method", "name of one of its methods that answer once"),
    ],
)


@METHODS.route(
    "POST",
    "/rpc/<service>/<method>",
    reply=Content(schema={"type": "object"}, headers={"Location": "the operation, if any"}),
    body=Body([], open=True),
    problems=[409, 422, 429, 500, 501],
)
async def call_method(face: Face, request: Request, service: str, method: str) -> bytes:
    """Call a method: the body is its request in JSON, the answer its reply, when it has ended.

    Names of fields may be those of the protocol or in lowerCamelCase. Errors have the statuses of
    all other routes.
    """
    known = _methods(service)
    found = known.get(method)
    if found is None:
        raise NotFound(
            f"{service} has no method {method[:60]!r}; it has {', '.join(sorted(known))}"
        )
    if found.streams:
        raise InvalidInput(
            f"{method} answers with a stream: read it over gRPC, or the event stream"
        )
    asked = from_value(body_of(request), found.request)
    servicer = face.control if service == "o2control.Control" else face.extended
    call = face.call(request)
    try:
        reply = await getattr(servicer, method)(asked, call)
    finally:
        if OPERATION_ID in call.trailing:
            remember_operation(request, str(call.trailing[OPERATION_ID]))
    request.setHeader(b"Content-Type", b"application/json")
    return to_json(reply)


def _methods(service: str) -> Mapping[str, Method]:
    if service not in SERVICES:
        raise NotFound(f"there is no service {service[:60]!r}; there are {', '.join(SERVICES)}")
    return service_methods(SERVICES[service])
