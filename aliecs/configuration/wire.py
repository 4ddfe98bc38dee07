"""The configuration service on the wire, for both sides: queries as messages, errors as statuses.

The reference answers every fault with UNKNOWN and a text, and its clients look into the text. Our
server adds the stable code of the error in the trailing metadata, from which our client makes the
same error again; with the reference's server it goes by the status and the words.
"""

from __future__ import annotations

from collections.abc import Mapping

from aliecs.configuration.query import RUN_TYPES, ComponentQuery, parse_query
from aliecs.errors import (
    AliecsError,
    Conflict,
    DeadlineExceeded,
    Exhausted,
    Forbidden,
    InvalidInput,
    NotFound,
    NotImplementedYet,
    Unavailable,
)
from aliecs.interfaces import HistoricPayload
from aliecs.protocol import aliecs_v1_configuration_pb2
from aliecs.protocol.protos import apricot_pb2
from aliecs.txgrpc.status import ERROR_CODE, RpcError

APRICOT = apricot_pb2.DESCRIPTOR.services_by_name["Apricot"]
EXTENDED = aliecs_v1_configuration_pb2.DESCRIPTOR.services_by_name["Configuration"]

NIL = "nil response for key"
"""What clients look for in the answer about a runtime entry that is not there."""

_NAMES = {number: name for name, number in RUN_TYPES.items()}

_BY_CODE: Mapping[str, type[AliecsError]] = {
    kind.code: kind
    for kind in (InvalidInput, NotFound, Conflict, Forbidden, Exhausted, Unavailable)
} | {DeadlineExceeded.code: DeadlineExceeded, NotImplementedYet.code: NotImplementedYet}
_BY_STATUS: Mapping[str, type[AliecsError]] = {kind.grpc_status: kind for kind in _BY_CODE.values()}
# What `InvalidInput` is called where it is more than that.
_KINDS_OF_INPUT = ("template", "payload_error", "settings")
_TEMPLATE_FAULT = "[Error (where:"
# The words that the reference has for what is not there.
_MISSING = (
    "nil response",
    "nil value",
    "no payload at configuration path",
    "could not resolve configuration path",
    "detector not found",
    "no keys found",
    "no value for key",
)


def query_message(query: ComponentQuery) -> apricot_pb2.ComponentQuery:
    """A query as a message."""
    return apricot_pb2.ComponentQuery(
        component=query.component,
        runType=RUN_TYPES[query.run_type],  # type: ignore[arg-type]  # a number of the enum
        machineRole=query.role,
        entry=query.entry,
    )


def path_of_message(message: apricot_pb2.ComponentQuery) -> str:
    """The path of a query. Raises `InvalidInput` where a part of it cannot be one."""
    name = _NAMES.get(message.runType)
    if name is None:
        raise InvalidInput(f"there is no run type {message.runType}")
    path = f"{message.component}/{name}/{message.machineRole}/{message.entry}"
    return str(parse_query(path))


def history_message(about: HistoricPayload) -> aliecs_v1_configuration_pb2.HistoricPayload:
    """A payload of the history as a message."""
    return aliecs_v1_configuration_pb2.HistoricPayload(
        version=about.version,
        replaced_ms=about.replaced_ms,
        replaced_by=about.replaced_by,
        comment=about.comment,
        size_bytes=about.size_bytes,
    )


def history_of_message(message: aliecs_v1_configuration_pb2.HistoricPayload) -> HistoricPayload:
    """The other way."""
    return HistoricPayload(
        version=message.version,
        replaced_ms=message.replaced_ms,
        replaced_by=message.replaced_by,
        comment=message.comment,
        size_bytes=message.size_bytes,
    )


class ServiceFailed(AliecsError):
    """An error of the service on its way to a client of the reference's protocol."""

    grpc_status = "UNKNOWN"


def error_of_answer(error: RpcError, uri: str) -> AliecsError:
    """What a service at `uri` meant by an error; the error itself where it says nothing more."""
    code = error.trailing.get(ERROR_CODE)
    if error.status == "UNAVAILABLE":
        # With a code it is the service that says so, of what it depends on itself.
        what = "" if isinstance(code, str) else " cannot be reached"
        return Unavailable(f"the configuration service {uri}{what}: {error.message}")
    if error.status == "DEADLINE_EXCEEDED":
        return DeadlineExceeded(
            f"the configuration service {uri} did not answer in time: {error.message}"
        )
    if isinstance(code, str) and code in _KINDS_OF_INPUT:
        kind: type[AliecsError] | None = InvalidInput
    elif isinstance(code, str) and code in _BY_CODE:
        kind = _BY_CODE[code]
    elif error.status == "UNKNOWN":
        kind = _kind_of_words(error.message)
    else:
        kind = _BY_STATUS.get(error.status)
    return kind(error.message) if kind is not None else error


def _kind_of_words(message: str) -> type[AliecsError] | None:
    """What the reference means by an error without a kind."""
    if message.startswith(_TEMPLATE_FAULT):
        return InvalidInput
    return NotFound if any(words in message for words in _MISSING) else None
