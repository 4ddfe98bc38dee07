"""What the handlers of REST work with: the operations of the core, and how they are answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from attrs import define, field, frozen
from google.protobuf.message import Message
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from aliecs.access.opening import Access
from aliecs.api.control import Control
from aliecs.api.core import OPERATION_ID
from aliecs.api.extended import ExtendedControl
from aliecs.api.mapping import to_json, to_value
from aliecs.api.metrics import Metrics
from aliecs.api.permission import WARNING
from aliecs.api.request import REASON, call_of, json_answer, remember_operation
from aliecs.api.rest.route import IF_NONE_MATCH, LONGEST_WAIT_S, WAIT
from aliecs.api.stream import EventStream
from aliecs.errors import AliecsError, NotFound
from aliecs.interfaces import Caller
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
    access: Access
    described: Described = field(init=False)
    """What the API says of itself; its routes are known to who serves them."""

    def logged_in(self, request: Request, caller: Caller) -> None:
        """Somebody has logged in by browser: written to the audit."""
        audit = self.control.core.audit
        entry = audit.entry(
            user=caller.name,
            person=caller.person,
            role=caller.role.name,
            way=caller.way,
            client=call_of(request).peer,
            action="Login",
        )
        audit.begun(entry)
        audit.ended(entry, "", "")

    def call(self, request: Request, reason: str = "") -> ServerCall:
        """The call that a request is, with why it is made where its message has no place for it."""
        call = call_of(request)
        if reason:
            call.metadata = {**call.metadata, REASON: reason}
        return call

    async def answer(
        self, request: Request, method: Operation, asked: Any, reason: str = ""
    ) -> bytes:
        """Answer with the reply of an operation."""
        call = self.call(request, reason)
        reply = await method(asked, call)
        _warn(request, call)
        request.setHeader(b"Content-Type", b"application/json")
        return to_json(reply)

    async def answer_part(
        self, request: Request, method: Operation, asked: Any, items: str, fields: Sequence[str]
    ) -> bytes:
        """Answer with the reply of an operation, of whose `items` only some fields are wanted; all
        where none are named."""
        if not fields:
            return await self.answer(request, method, asked)
        value = to_value(await method(asked, call_of(request)))
        value[items] = [{name: one[name] for name in fields if name in one} for one in value[items]]
        return json_answer(request, value)

    async def answer_if_changed(self, request: Request, method: Operation, asked: Any) -> bytes:
        """Answer with the reply of an operation, or with 304 where it is what the client has."""
        value = to_value(await method(asked, call_of(request)))
        # The time of the answer is no part of what is answered.
        timeless = {name: one for name, one in value.items() if name != "timestamp"}
        tag = f'"{blake2b(msgspec.json.encode(timeless), digest_size=12).hexdigest()}"'
        request.setHeader(b"ETag", tag.encode())
        known = [one.strip().removeprefix("W/") for one in IF_NONE_MATCH.of(request).split(",")]
        if tag in known or "*" in known:
            request.setResponseCode(304)
            return b""
        return json_answer(request, value)

    async def act(
        self, request: Request, method: LongAction, asked: Any, reason: str = ""
    ) -> bytes:
        """Begin a long action: its operation at once, or what became of it within `?wait=`
        seconds."""
        call = self.call(request, reason)
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
        _warn(request, call)
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


def _warn(request: Request, call: ServerCall) -> None:
    """Tell with the answer what was let pass."""
    if warning := call.trailing.get(WARNING):
        text = str(warning).encode("ascii", "replace")
        request.setHeader(WARNING.encode(), text)
