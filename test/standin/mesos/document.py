"""The two encodings of the Mesos APIs, and what Mesos says of a body that it cannot read.

The JSON is Mesos' own, not that of protobuf: field names as in the `.proto` files, 64-bit integers
as numbers, unknown names of enumerations are read as not set, and some fields that are not set are
written with their default.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
ENCODINGS = (JSON, PROTOBUF)

Kind = TypeVar("Kind", bound=Message)

# What Mesos writes although it is not set.
DEFAULTS: dict[str, dict[str, Any]] = {
    "mesos.v1.FrameworkInfo": {"failover_timeout": 0.0, "checkpoint": False},
    "mesos.v1.NetworkInfo.IPAddress": {"protocol": "IPv4"},
}

REQUIRED: dict[str, tuple[str, ...]] = {
    "mesos.v1.FrameworkInfo": ("user", "name"),
    "mesos.v1.FrameworkID": ("value",),
    "mesos.v1.AgentID": ("value",),
    "mesos.v1.TaskID": ("value",),
    "mesos.v1.ExecutorID": ("value",),
    "mesos.v1.OfferID": ("value",),
    "mesos.v1.TaskInfo": ("name", "task_id", "agent_id"),
    "mesos.v1.ExecutorInfo": ("executor_id",),
    "mesos.v1.Resource": ("name", "type"),
    "mesos.v1.TaskStatus": ("task_id", "state"),
    "mesos.v1.scheduler.Call.Subscribe": ("framework_info",),
    "mesos.v1.scheduler.Call.Kill": ("task_id",),
    "mesos.v1.scheduler.Call.Shutdown": ("executor_id", "agent_id"),
    "mesos.v1.scheduler.Call.Acknowledge": ("agent_id", "task_id", "uuid"),
    "mesos.v1.scheduler.Call.Reconcile.Task": ("task_id",),
    "mesos.v1.scheduler.Call.Message": ("agent_id", "executor_id", "data"),
    "mesos.v1.scheduler.Call.UpdateFramework": ("framework_info",),
    "mesos.v1.executor.Call": ("executor_id", "framework_id"),
    "mesos.v1.executor.Call.Update": ("status",),
    "mesos.v1.executor.Call.Message": ("data",),
}


_KINDS: dict[int, type] = {
    FieldDescriptor.CPPTYPE_STRING: str,
    FieldDescriptor.CPPTYPE_BOOL: bool,
    FieldDescriptor.CPPTYPE_DOUBLE: float,
    FieldDescriptor.CPPTYPE_FLOAT: float,
}


class BodyError(Exception):
    """A body that Mesos refuses with 400; the text is Mesos' own."""


def decode(kind: type[Kind], encoding: str, body: bytes) -> Kind:
    """Read the body of a call. Raises `BodyError`."""
    if encoding == PROTOBUF:
        try:
            message = kind.FromString(body)
        except DecodeError:
            raise BodyError("Failed to parse body into Call protobuf") from None
        if any(_missing(message, "")):
            raise BodyError("Failed to parse body into Call protobuf")
        return message
    try:
        document = json.loads(body)
    except ValueError:
        raise BodyError("Failed to parse body into JSON: syntax error at line 1 near: ") from None
    try:
        return from_document(kind, document)
    except BodyError as error:
        raise BodyError(f"Failed to convert JSON into Call protobuf: {error}") from None


def encode(encoding: str, message: Message) -> bytes:
    """Write an event."""
    if encoding == PROTOBUF:
        return message.SerializeToString()
    return json.dumps(to_document(message), separators=(",", ":")).encode()


def to_document(message: Message) -> dict[str, Any]:
    """A message in Mesos' JSON."""
    document = dict(DEFAULTS.get(message.DESCRIPTOR.full_name, {}))
    for field, value in message.ListFields():
        if _is_map(field):
            document[field.name] = {key: to_document(entry) for key, entry in value.items()}
        elif field.is_repeated:
            document[field.name] = [_to_value(field, entry) for entry in value]
        else:
            document[field.name] = _to_value(field, value)
    return document


def from_document(kind: type[Kind], document: Any) -> Kind:
    """A message from Mesos' JSON. Raises `BodyError`."""
    if not isinstance(document, dict):
        raise BodyError("Expecting a JSON object")
    message = kind()
    _fill(message, document)
    missing = list(_missing(message, ""))
    if missing:
        raise BodyError(f"Missing required fields: {', '.join(missing)}")
    return message


def _is_map(field: Any) -> bool:
    kind = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def _to_value(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return to_document(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode()
    return value


def _fill(message: Message, document: dict[str, Any]) -> None:
    for name, value in document.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None or value is None:
            continue
        if _is_map(field):
            for key, entry in value.items():
                _fill(getattr(message, name)[key], entry)
        elif field.is_repeated:
            if not isinstance(value, list):
                raise BodyError(f"Not expecting a JSON {_name_of(value)} for field '{name}'")
            for entry in value:
                _set(message, field, entry)
        else:
            _set(message, field, value)


def _set(message: Message, field: Any, value: Any) -> None:
    target = getattr(message, field.name)
    if field.message_type is not None:
        if not isinstance(value, dict):
            raise BodyError(f"Not expecting a JSON {_name_of(value)} for field '{field.name}'")
        entry = target.add() if field.is_repeated else target
        entry.SetInParent()
        _fill(entry, value)
        return
    converted = _from_value(field, value)
    if converted is None:
        return
    if field.is_repeated:
        target.append(converted)
    else:
        setattr(message, field.name, converted)


def _from_value(field: Any, value: Any) -> Any:
    wrong = BodyError(f"Not expecting a JSON {_name_of(value)} for field '{field.name}'")
    if field.enum_type is not None:
        if not isinstance(value, str):
            raise wrong
        named = field.enum_type.values_by_name.get(value)
        return named.number if named is not None else None
    if field.type == FieldDescriptor.TYPE_BYTES:
        if not isinstance(value, str):
            raise wrong
        stranger = re.search(r"[^A-Za-z0-9+/=]", value)
        if stranger:
            raise BodyError(
                f"Failed to base64 decode bytes field '{field.name}':"
                f" Invalid character '{stranger.group()}'"
            )
        return base64.b64decode(value + "=" * (-len(value) % 4))
    kind = _KINDS.get(field.cpp_type, int)
    accepted = {int: (int, str), float: (int, float)}.get(kind, (kind,))
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise wrong
    return kind(value)


def _name_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _missing(message: Message, path: str) -> Iterator[str]:
    for name in REQUIRED.get(message.DESCRIPTOR.full_name, ()):
        if not message.HasField(name):
            yield f"{path}{name}"
    for field, value in message.ListFields():
        if field.message_type is None or _is_map(field):
            continue
        if field.is_repeated:
            for index, entry in enumerate(value):
                yield from _missing(entry, f"{path}{field.name}[{index}].")
        else:
            yield from _missing(value, f"{path}{field.name}.")
