"""Operations: what long actions are doing, and what became of them."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.permission import LONGEST_REASON
from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import Flag, Identifier, Number, Text
from aliecs.api.rest.route import Body, Field, Parameter, Part, Section
from aliecs.protocol import aliecs_v1_pb2

OPERATIONS = Section(
    "operations",
    "What long actions are doing, and what became of them.",
    [Part("operation_id", "id of an operation")],
)

ENVIRONMENT_ID = Parameter("environment_id", Identifier(), "only those of this environment", "")
RESULTS = Parameter("results", Flag(), "with what became of the tasks in each step", False)
WAITING = Parameter(
    "waiting", Number(), "with up to so many of those that are still waited for", 0
)
ABORTION = Body(
    [
        Field("reason", Text(LONGEST_REASON), "why", ""),
        Field("user", Text(), "who asks", ""),
    ]
)
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


@OPERATIONS.route(
    "GET",
    "/operations/<operation_id>",
    reply=aliecs_v1_pb2.Operation,
    parameters=[RESULTS, WAITING],
)
async def operation(face: Face, request: Request, operation_id: str) -> bytes:
    """One operation."""
    asked = aliecs_v1_pb2.GetOperationRequest(
        id=operation_id, with_results=RESULTS.of(request), waiting_limit=WAITING.of(request)
    )
    return await face.answer(request, face.extended.GetOperation, asked)


@OPERATIONS.route(
    "POST",
    "/operations/<operation_id>/abort",
    reply=aliecs_v1_pb2.Operation,
    body=ABORTION,
    problems=[409],
)
async def abort(face: Face, request: Request, operation_id: str) -> bytes:
    """Give up an operation, and wait for what follows from it.

    A creation is undone; a transition is cut off, and its environment goes to ERROR; an exclusion
    or inclusion leaves its environment in its state, and the roles excluded. A destruction cannot
    be aborted.
    """
    body = ABORTION.of(request)
    asked = aliecs_v1_pb2.AbortOperationRequest(
        id=operation_id, reason=body["reason"], requested_by=body["user"]
    )
    return await face.answer(request, face.extended.AbortOperation, asked)
