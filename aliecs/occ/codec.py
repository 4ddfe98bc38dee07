"""The two encodings of OCC: protobuf, and the JSON dialect of the FairMQ plugin.

The JSON dialect keeps gRPC's framing and nothing else: its paths are bare method names without a
slash, its bodies are JSON objects with the fields of the protobuf messages, enumerations being
numbers. We write all fields and read any subset.
"""

from __future__ import annotations

import enum
import json
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from aliecs.protocol.protos import occ_pb2

SERVICE = occ_pb2.DESCRIPTOR.services_by_name["Occ"]

REASON_KEY = "aliecs-reason-bin"
"""The trailing entry in which our tasks tell why a transition failed, as UTF-8. Executors that do
not know it lose nothing."""

M = TypeVar("M", bound=Message)


class Codec(enum.Enum):
    """How a task speaks OCC."""

    PROTOBUF = "protobuf"
    JSON = "json"

    def path(self, method: str) -> str:
        """The path of a method of the service, such as `GetState`."""
        return method if self is Codec.JSON else f"/{SERVICE.full_name}/{method}"

    def encode(self, message: Message) -> bytes:
        """A message as bytes."""
        if self is Codec.PROTOBUF:
            return bytes(message.SerializeToString())
        text = json_format.MessageToJson(
            message,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
            use_integers_for_enums=True,
            indent=None,
        )
        return text.encode()

    def decode(self, kind: type[M], data: bytes) -> M:
        """Bytes as a message of `kind`; raises `ValueError` or the error of the encoding's library
        for bytes that are none."""
        if self is Codec.PROTOBUF:
            return kind.FromString(data)
        fields = json.loads(data)
        if not isinstance(fields, dict):
            raise ValueError("not a JSON object")
        return json_format.ParseDict(fields, kind(), ignore_unknown_fields=True)
