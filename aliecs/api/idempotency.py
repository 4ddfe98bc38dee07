"""Requests that may be sent twice: with the same key, the second one is the first.

A client that does not know whether its request has arrived sends it again with the same key (gRPC
metadata `aliecs-idempotency-key`, REST header `Idempotency-Key`). It waits for what the first one
began, or is given its answer, and nothing is done again. Keys belong to whoever asks; with another
request a key is refused. Refusals that began nothing are forgotten: they can be tried again.

Keys are kept for a day, in memory and in the journal. After a restart of the core the answers are
still there; what was under way when the core ended is told so, and not begun again.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

import msgspec
from attrs import define, field
from google.protobuf import any_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from aliecs.errors import AliecsError, Conflict, InvalidInput, KeyReused
from aliecs.journal import Journal, KeptRequest
from aliecs.txgrpc.route import ServerCall
from aliecs.txgrpc.status import ERROR_CODE

OPERATION_ID = "aliecs-operation-id"
"""Trailing metadata: the operation that a call began."""
KEY = "aliecs-idempotency-key"
REPLAYED = "aliecs-idempotent-replay"
"""Trailing metadata: the answer is that of an earlier request."""

LONGEST_KEY = 200
KEPT_MS = 24 * 3_600_000
MOST_KEYS = 10_000
"""Of more, the oldest are forgotten before their day is over."""
LARGEST_ANSWER = 1024 * 1024
"""Bytes, compressed."""
ALL_ANSWERS = 64 * 1024 * 1024
"""Bytes of all answers; of more, the oldest answers are given up and their keys kept."""
SMALL = 64 * 1024
"""Up to so many bytes an answer is compressed at once, and in a thread above it."""

Method = Callable[[Any, Any, ServerCall], Coroutine[Any, Any, Any]]
_M = TypeVar("_M", bound=Method)


class Answer(msgspec.Struct, frozen=True):
    """What a request was answered: a message, or an error."""

    kind: str = ""
    """The full name of the message."""
    reply: bytes = b""
    error: str = ""
    code: str = ""
    grpc_status: str = ""
    http_status: int = 0
    trailing: Mapping[str, str] = {}
    details: tuple[bytes, ...] = ()


@define(eq=False)
class _Request:
    """A request that came with a key."""

    user: str
    key: str
    method: str
    digest: str
    time_ms: int
    operation_id: str = ""
    is_over: bool = False
    answer: bytes = b""
    """Compressed; empty where it was not kept."""
    waiting: list[Deferred[None]] = field(factory=list)


def once(method: _M) -> _M:
    """An operation of the control API that begins something: with a key it does so once."""
    name = method.__name__

    @functools.wraps(method)
    async def wrapped(self: Any, request: Any, call: ServerCall) -> Any:
        requests: Requests = self.core.requests
        return await requests.once(name, request, call, lambda: method(self, request, call))

    made: Any = wrapped
    return made  # type: ignore[no-any-return]


@define(eq=False)
class Requests:
    """All requests of late that came with a key."""

    journal: Journal
    now_ms: Callable[[], int]
    _requests: OrderedDict[tuple[str, str], _Request] = field(init=False, factory=OrderedDict)
    _bytes: int = field(init=False, default=0)

    async def load(self) -> None:
        """Read what the core before this one knew."""
        for kept in await self.journal.requests(self.now_ms() - KEPT_MS, MOST_KEYS):
            request = _Request(
                kept.user,
                kept.key,
                kept.method,
                kept.digest,
                kept.time_ms,
                kept.operation_id,
                is_over=True,
                answer=kept.answer,
            )
            self._requests[kept.user, kept.key] = request
            self._bytes += len(kept.answer)
        self._give_up_answers()

    async def once(
        self, method: str, request: Message, call: ServerCall, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Do `work`, unless a request with the same key has done so already. Raises `KeyReused`
        where that was another one."""
        key = _key_of(call)
        if not key or getattr(request, "dry_run", False):
            return await work()
        user, digest = _user_of(request, call), _digest_of(method, request)
        known = self._requests.get((user, key))
        if known is not None and known.time_ms < self.now_ms() - KEPT_MS:
            self._forget(known)
            known = None
        if known is None:
            known = _Request(user, key, method, digest, self.now_ms())
            self._requests[user, key] = known
            self._forget_old()
            # It is in the journal before the first that is done because of it.
            self._write(known)
            return await self._first(known, call, work)
        if known.digest != digest:
            raise KeyReused(
                f"the idempotency key {key!r} was used for another request already ("
                f"{known.method}): use a new key for a new request"
            )
        return await self._again(known, call)

    async def _first(
        self, known: _Request, call: ServerCall, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        """It is done to its end, whoever waits for it."""
        outcome: Deferred[Any] = Deferred.fromCoroutine(self._do(known, call, work))
        known.operation_id = str(call.trailing.get(OPERATION_ID, ""))
        waiting: Deferred[Any] = Deferred()

        def pass_on(result: Any) -> None:
            # Deferred.callback takes a Failure for what it is.
            if not waiting.called:
                waiting.callback(result)

        outcome.addBoth(pass_on)
        return await waiting

    async def _do(
        self, known: _Request, call: ServerCall, work: Callable[[], Awaitable[Any]]
    ) -> Any:
        try:
            reply = await work()
        except AliecsError as problem:
            if OPERATION_ID in call.trailing:
                await self._keep(known, call, _answer_of_error(problem, call))
            else:
                self._forget(known)
                self._over(known)
            raise
        except BaseException:
            self._forget(known)
            self._over(known)
            raise
        await self._keep(known, call, _answer_of_reply(reply, call))
        return reply

    async def _keep(self, known: _Request, call: ServerCall, answer: Answer) -> None:
        data = msgspec.msgpack.encode(answer)
        if len(data) > SMALL:
            data = await deferToThread(zlib.compress, data, 1)
        else:
            data = zlib.compress(data, 1)
        known.operation_id = str(call.trailing.get(OPERATION_ID, ""))
        if len(data) <= LARGEST_ANSWER:
            known.answer = data
            self._bytes += len(data)
        self._give_up_answers()
        self._over(known)
        self._write(known)

    def _over(self, known: _Request) -> None:
        known.is_over = True
        waiting, known.waiting = known.waiting, []
        for one in waiting:
            if not one.called:
                one.callback(None)

    async def _again(self, known: _Request, call: ServerCall) -> Any:
        """The answer of the first request, as soon as there is one."""
        call.trailing[REPLAYED] = "true"
        if known.operation_id:
            call.trailing[OPERATION_ID] = known.operation_id
        if not known.is_over:
            over: Deferred[None] = Deferred()
            known.waiting.append(over)
            try:
                await over
            finally:
                if over in known.waiting:
                    known.waiting.remove(over)
        if not known.answer:
            operation = f" (operation {known.operation_id})" if known.operation_id else ""
            raise Conflict(
                f"the request with the idempotency key {known.key!r} was begun{operation} and is "
                "not done again, but what became of it is not known here: the core ended "
                "meanwhile, or the answer was too large; look at what there is"
            )
        answer = msgspec.msgpack.decode(zlib.decompress(known.answer), type=Answer)
        call.trailing |= dict(answer.trailing)
        if answer.error:
            for detail in answer.details:
                call.details.append(_unpacked(any_pb2.Any.FromString(detail)))
            raise _error_of(answer)
        return _message(answer.kind, answer.reply)

    # --- what is kept ----------------------------------------------------------------------

    def _write(self, known: _Request) -> None:
        self.journal.request(
            KeptRequest(
                known.user,
                known.key,
                known.method,
                known.digest,
                known.time_ms,
                known.operation_id,
                known.answer,
            )
        )

    def _forget(self, known: _Request) -> None:
        if self._requests.get((known.user, known.key)) is known:
            del self._requests[known.user, known.key]
            self._bytes -= len(known.answer)
            self.journal.forget_request(known.user, known.key)

    def _forget_old(self) -> None:
        horizon_ms = self.now_ms() - KEPT_MS
        for known in list(self._requests.values()):
            if known.time_ms >= horizon_ms and len(self._requests) <= MOST_KEYS:
                return
            if known.is_over:
                self._forget(known)

    def _give_up_answers(self) -> None:
        if self._bytes <= ALL_ANSWERS:
            return
        for known in self._requests.values():
            self._bytes -= len(known.answer)
            known.answer = b""
            if self._bytes <= ALL_ANSWERS:
                return


def _key_of(call: ServerCall) -> str:
    text = call.metadata.get(KEY, "")
    if isinstance(text, bytes) or len(text) > LONGEST_KEY or not text.isprintable():
        raise InvalidInput(f"an idempotency key is a text of at most {LONGEST_KEY} characters")
    return text


def _user_of(request: Message, call: ServerCall) -> str:
    """Who asks: whom the core knows, as the request says, or else the address."""
    if call.caller is not None and not call.caller.unbound:
        return call.caller.name
    user = getattr(request, "requestUser", None)
    name = str(user.name if user is not None else getattr(request, "requested_by", ""))
    # The same client comes from another port.
    return call.peer.rpartition(":")[0] if name in ("", call.peer) else name


def _digest_of(method: str, request: Message) -> str:
    """What is asked for, whoever asks."""
    copy = type(request)()
    copy.CopyFrom(request)
    for name in ("requestUser", "requested_by"):
        if name in copy.DESCRIPTOR.fields_by_name:
            copy.ClearField(name)
    data = copy.SerializeToString(deterministic=True)
    return hashlib.sha256(method.encode() + b"\0" + data).hexdigest()


def _trailing_of(call: ServerCall) -> dict[str, str]:
    return {
        name: value
        for name, value in call.trailing.items()
        if name in (OPERATION_ID, ERROR_CODE) and isinstance(value, str)
    }


def _answer_of_reply(reply: Message, call: ServerCall) -> Answer:
    return Answer(
        kind=reply.DESCRIPTOR.full_name,
        reply=reply.SerializeToString(),
        trailing=_trailing_of(call),
    )


def _answer_of_error(problem: AliecsError, call: ServerCall) -> Answer:
    details = []
    for detail in call.details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        details.append(packed.SerializeToString())
    return Answer(
        error=problem.message,
        code=problem.code,
        grpc_status=problem.grpc_status,
        http_status=problem.http_status,
        trailing=_trailing_of(call),
        details=tuple(details),
    )


def _error_of(answer: Answer) -> AliecsError:
    problem = AliecsError(answer.error)
    problem.code = answer.code
    problem.grpc_status = answer.grpc_status
    problem.http_status = answer.http_status
    return problem


def _unpacked(packed: any_pb2.Any) -> Message:
    return _message(packed.TypeName(), packed.value)


def _message(kind: str, data: bytes) -> Message:
    found = descriptor_pool.Default().FindMessageTypeByName(kind)
    message: Message = message_factory.GetMessageClass(found)()
    message.ParseFromString(data)
    return message
