"""Errors across gRPC, both ways.

A handler that raises an `AliecsError` answers with that error's status and text; a caller whose
call fails gets an `RpcError`, whatever kind of channel it used. Details (protobuf messages beside
the text) travel in the trailing entry that gRPC libraries of all languages know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message

from aliecs.errors import AliecsError
from aliecs.protocol.protos.status_pb2 import Status

DETAILS_KEY = "grpc-status-details-bin"

ERROR_CODE = "aliecs-error-code"
"""Trailing metadata of our servers: the stable code of what failed."""

# The text is a header of HTTP/2, percent-encoded: past this length peers begin to refuse it.
MESSAGE_LIMIT_CHARACTERS = 6000
DETAILS_LIMIT_BYTES = 32 * 1024

Trailing = Mapping[str, "str | bytes"]


class RpcError(AliecsError):
    """A remote call failed.

    `status` is the name of the gRPC status (`UNAVAILABLE`, `DEADLINE_EXCEEDED`, ...), `message` the
    text of the other side, `details` the messages it attached (packed, see `Any.Unpack`), and
    `trailing` its trailing metadata. To our own callers this is a failure of somebody else.
    """

    code = "remote"
    grpc_status = "UNKNOWN"
    http_status = 502

    def __init__(
        self,
        status: str,
        message: str,
        details: Sequence[AnyMessage] = (),
        trailing: Trailing | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.details = tuple(details)
        self.trailing: Trailing = dict(trailing or {})

    def __str__(self) -> str:
        return f"{self.status}: {self.message}" if self.message else self.status


def trailing_metadata(entries: Iterable[tuple[str, str | bytes]] | None) -> Trailing:
    """The trailing metadata of a call as a mapping; of a repeated key the last value counts."""
    return dict(entries or ())


def decoded(decode: Callable[[bytes], Any], reply: bytes, path: str) -> Any:
    """A reply as its reader wants it; `RpcError` INTERNAL where the other side answered rubbish.

    Done here and not inside grpc, which in that case logs and hands out None.
    """
    try:
        return decode(reply)
    except Exception as error:
        raise RpcError("INTERNAL", f"the answer to {path} cannot be read: {error}") from None


def rpc_error(error: Any) -> RpcError:
    """The error of a failed call of `grpc` or `grpc.aio`, as ours."""
    trailing = trailing_metadata(error.trailing_metadata())
    packed = trailing.get(DETAILS_KEY, b"")
    try:
        details = Status.FromString(packed).details if isinstance(packed, bytes) else ()
    except DecodeError:
        details = ()
    return RpcError(error.code().name, error.details() or "", tuple(details), trailing)


def status_code(name: str) -> grpc.StatusCode:
    """The status of a name such as `NOT_FOUND`; `KeyError` for another name."""
    return grpc.StatusCode[name]


def packed_status(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> bytes | None:
    """The bytes that carry `details` beside a status, None where there are none or they are too
    large to travel in a header."""
    if not details:
        return None
    status = Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    packed = status.SerializeToString()
    return packed if len(packed) <= DETAILS_LIMIT_BYTES else None
