"""The JSON mapping of the protocol's messages, as REST and the event stream use it.

It is proto3 JSON with defaults printed, but 64-bit integers are numbers: they are times in
milliseconds and counts, which fit a number of JavaScript.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from aliecs.errors import InvalidInput

_M = TypeVar("_M", bound=Message)


def to_value(message: Message) -> dict[str, Any]:
    """A message as JSON values, defaults printed; messages that are not set are left out."""
    value: dict[str, Any] = {}
    # The descriptors that protobuf's C library makes have no types of their own.
    fields: Any = message.DESCRIPTOR.fields
    for descriptor in fields:
        name = descriptor.json_name
        if _is_map(descriptor):
            entries = getattr(message, descriptor.name)
            kind = descriptor.message_type.fields_by_name["value"]
            value[name] = {str(key): _one(kind, entries[key]) for key in sorted(entries)}
        elif descriptor.is_repeated:
            value[name] = [_one(descriptor, item) for item in getattr(message, descriptor.name)]
        elif not descriptor.has_presence or message.HasField(descriptor.name):
            value[name] = _one(descriptor, getattr(message, descriptor.name))
    return value


def to_json(message: Message) -> bytes:
    """A message as JSON text."""
    return msgspec.json.encode(to_value(message))


def from_value(value: Mapping[str, Any], kind: type[_M]) -> _M:
    """A message from JSON values. Raises `InvalidInput` naming the field that is wrong."""
    message = kind()
    try:
        ParseDict(dict(value), message)
    except (ParseError, TypeError, ValueError) as error:
        raise InvalidInput(f"the request is not a {kind.DESCRIPTOR.name}: {error}") from error
    return message


def _is_map(descriptor: Any) -> bool:
    kind = descriptor.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def _one(descriptor: Any, item: Any) -> Any:
    if descriptor.message_type is not None:
        return to_value(item)
    if descriptor.enum_type is not None:
        known = descriptor.enum_type.values_by_number.get(item)
        return known.name if known is not None else item
    return item
