"""Operations: what long actions are doing, and what became of them."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import Identifier, Number
from aliecs.api.rest.route import Parameter, Part, Section
from aliecs.protocol import aliecs_v1_pb2

OPERATIONS = Section(
    "operations",
    "What long actions are doing, and what became of them.",
    [Part("operation_id", "id of an operation")],
)

ENVIRONMENT_ID = Parameter("environment_id", Identifier(), "only those of this environment", "")
LIMIT = Parameter("limit", Number(), "at most so many; 0: as many as the core gives", 0)


@OPERATIONS.route(
    "GET",
    "/operations",
    reply=aliecs_v1_pb2.ListOperationsReply,
    parameters=[ENVIRONMENT_ID, LIMIT],
)
async def operations(face: Face, request: Request) -> bytes:
    """Operations under way and of late, newest first."""
    asked = aliecs_v1_pb2.ListOperationsRequest(
        environment_id=ENVIRONMENT_ID.of(request), limit=LIMIT.of(request)
    )
    return await face.answer(request, face.extended.ListOperations, asked)


@OPERATIONS.route("GET", "/operations/<operation_id>", reply=aliecs_v1_pb2.Operation)
async def operation(face: Face, request: Request, operation_id: str) -> bytes:
    """One operation."""
    asked = aliecs_v1_pb2.GetOperationRequest(id=operation_id)
    return await face.answer(request, face.extended.GetOperation, asked)
