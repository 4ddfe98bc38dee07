"""JSON schemas of the messages of the protocol and of the events, as `aliecs.api.mapping` and
`aliecs.event.record` write them: defaults printed, 64-bit integers as numbers, enums by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from google.protobuf.message import Message

from aliecs.event.record import Payload

PREFIX = "#/components/schemas/"

_SCALARS: Mapping[str, dict[str, Any]] = {
    "double": {"type": "number", "format": "double"},
    "float": {"type": "number", "format": "float"},
    "int64": {"type": "integer", "format": "int64"},
    "uint64": {"type": "integer", "minimum": 0},
    "int32": {"type": "integer", "format": "int32"},
    "uint32": {"type": "integer", "minimum": 0, "maximum": 4_294_967_295},
    "bool": {"type": "boolean"},
    "string": {"type": "string"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
}

_TYPES: Mapping[int, str] = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    6: "uint64",
    7: "uint32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32",
    15: "int32",
    16: "int64",
    17: "int32",
    18: "int64",
}
"""Kinds of fields by their number in descriptors."""


class Schemas:
    """The schemas that a document needs, gathered while they are referred to."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}

    def of_message(self, message: type[Message]) -> dict[str, Any]:
        """The reference to the schema of a message."""
        return self._message(message.DESCRIPTOR)

    def of_events(self) -> dict[str, Any]:
        """The reference to the schema of an event of the stream."""
        if "Event" not in self.found:
            kinds = get_args(Payload)
            references, components = msgspec.json.schema_components(
                kinds, ref_template=PREFIX + "{name}"
            )
            self.found.update(components)
            self.found["Event"] = {
                "description": "An event of the stream; `seq` counts from 1 in the life of one "
                "core, `time` is in Unix milliseconds, `id` is that of what the event is about.",
                "type": "object",
                "required": ["seq", "time", "type", "id", "data"],
                "properties": {
                    "seq": {"type": "integer", "minimum": 1},
                    "time": {"type": "integer", "format": "int64"},
                    "type": {"type": "string", "pattern": r"\.event$"},
                    "id": {"type": "string"},
                    "data": {"anyOf": list(references)},
                },
            }
        return {"$ref": PREFIX + "Event"}

    def _message(self, descriptor: Any) -> dict[str, Any]:
        name = descriptor.full_name
        if name not in self.found:
            # It stands there before its fields are looked at: messages hold messages of their kind.
            schema: dict[str, Any] = {"type": "object"}
            self.found[name] = schema
            schema["properties"] = {one.json_name: self._field(one) for one in descriptor.fields}
            schema["required"] = [
                one.json_name
                for one in descriptor.fields
                if one.is_repeated or not one.has_presence
            ]
        return {"$ref": PREFIX + name}

    def _field(self, field: Any) -> dict[str, Any]:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            return {
                "type": "object",
                "additionalProperties": self._one(kind.fields_by_name["value"]),
            }
        if field.is_repeated:
            return {"type": "array", "items": self._one(field)}
        return self._one(field)

    def _one(self, field: Any) -> dict[str, Any]:
        if field.message_type is not None:
            return self._message(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return dict(_SCALARS[_TYPES[field.type]])

    def _enum(self, descriptor: Any) -> dict[str, Any]:
        name = descriptor.full_name
        self.found[name] = {"type": "string", "enum": [one.name for one in descriptor.values]}
        return {"$ref": PREFIX + name}
