"""What the handlers of REST work with: the operations of the core, and how they are answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from attrs import define, field, frozen
from google.protobuf.message import Message
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from aliecs.api.control import Control
from aliecs.api.core import OPERATION_ID
from aliecs.api.extended import ExtendedControl
from aliecs.api.mapping import to_json
from aliecs.api.metrics import Metrics
from aliecs.api.request import call_of, remember_operation
from aliecs.api.rest.route import LONGEST_WAIT_S, WAIT
from aliecs.api.stream import EventStream
from aliecs.errors import AliecsError, NotFound
from aliecs.protocol import aliecs_v1_pb2
from aliecs.txgrpc.route import ServerCall
from aliecs.txgrpc.status import ERROR_CODE

_UNFORTUNATE = (
    aliecs_v1_pb2.OPERATION_STATE_FAILED,
    aliecs_v1_pb2.OPERATION_STATE_ABORTED,
)

Operation = Callable[[Any, ServerCall], Awaitable[Message]]
LongAction = Callable[[Any, ServerCall], Coroutine[Any, Any, Any]]


@frozen
class Described:
    """The document of the API for programs, and the page of it for people."""

    document: bytes
    page: bytes


@define(eq=False)
class Face:
    """The operations, once each; `ready` says whether the core can serve."""

    control: Control
    extended: ExtendedControl
    stream: EventStream
    clock: IReactorTime
    ready: Callable[[], bool]
    metrics: Metrics
    described: Described = field(init=False)
    """What the API says of itself; its routes are known to who serves them."""

    async def answer(self, request: Request, method: Operation, asked: Any) -> bytes:
        """Answer with the reply of an operation."""
        reply = await method(asked, call_of(request))
        request.setHeader(b"Content-Type", b"application/json")
        return to_json(reply)

    async def act(self, request: Request, method: LongAction, asked: Any) -> bytes:
        """Begin a long action: its operation at once, or what became of it within `?wait=`
        seconds."""
        call = call_of(request)
        wait_s = min(WAIT.of(request), LONGEST_WAIT_S)
        work = Deferred.fromCoroutine(method(asked, call))
        operation_id = call.trailing.get(OPERATION_ID)
        if operation_id is None:
            # Refused before anything was begun.
            await work
            raise AssertionError(f"{method.__name__} began no operation")
        try:
            await work.addTimeout(wait_s, self.clock)
        except TimeoutError:
            status = 202
        except AliecsError as problem:
            remember_operation(request, str(operation_id))
            raise problem
        else:
            status = 200
        remember_operation(request, str(operation_id))
        request.setResponseCode(status)
        found = aliecs_v1_pb2.GetOperationRequest(id=str(operation_id))
        try:
            operation = await self.extended.GetOperation(found, call)
        except NotFound:
            # The answer is that of a request to the core before this one.
            state = aliecs_v1_pb2.OPERATION_STATE_SUCCEEDED
            if ERROR_CODE in call.trailing:
                state = aliecs_v1_pb2.OPERATION_STATE_FAILED
            return to_json(aliecs_v1_pb2.Operation(id=str(operation_id), state=state))
        if operation.state in _UNFORTUNATE:
            # A transition that failed answers OK to gRPC clients; here it is a problem.
            raise self.control.core.manager.facilities.operations.error(operation.id)
        request.setHeader(b"Content-Type", b"application/json")
        return to_json(operation)
