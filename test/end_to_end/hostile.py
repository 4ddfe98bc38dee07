"""Requests that nobody should make, for any method of a gRPC service: made from its descriptor, so
that a method that is added is meant as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies

FORGED = "2026-01-01 00:00:00.000 critical a line that nobody wrote"
"""What must not begin a line of a log."""

TEXTS = (
    "",
    " ",
    "2rvUhqKFcLZ",
    f"a\n{FORGED}",
    "\x00\x01\x07\x1b[31mred\x7f\x9b\u2028\u202e",
    "../../../etc/passwd",
    "builtin/workflows/nothing@main",
    "%s%n{reason}{0}{{ 1 + 1 }}",
    "[",
    "{" * 2000,
    "*" * 999,
    "ü" * 1000,
    "x" * 1_000_000,
)
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), -1, 1, 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), -1, 1, 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (1, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (1, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: (-1.0, float("nan"), float("inf"), 1e308),
    FieldDescriptor.CPPTYPE_FLOAT: (-1.0, float("nan"), float("inf")),
    FieldDescriptor.CPPTYPE_BOOL: (True,),
    FieldDescriptor.CPPTYPE_ENUM: (1, 2, 3, 99, -1),
}
DEEPEST = 2


def values(field: Any, depth: int = 0, known: Sequence[str] = ()) -> list[Any]:
    """Values that nobody should give a field, one at a time, and texts that lead to something."""
    if field.message_type is not None:
        return list(messages(field.message_type._concrete_class, depth + 1))
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return [b"", b"\xff" * 1000]
        return [*TEXTS, *known]
    return list(NUMBERS[field.cpp_type])


def set_field(message: Message, field: Any, value: Any, times: int = 1) -> None:
    """Give a field a value; a list or a map so many of them."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entries = getattr(message, field.name)
        for place in range(times):
            entries[f"{place}" if times > 1 else value.key] = value.value
    elif field.is_repeated:
        getattr(message, field.name).extend([value] * times)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def messages(kind: type[Message], depth: int = 0) -> Iterator[Message]:
    """The empty message, and messages with one field that is odd, huge, or given 10,000 times."""
    yield kind()
    if depth > DEEPEST:
        return
    for field in kind.DESCRIPTOR.fields:
        for value in values(field, depth):
            message = kind()
            set_field(message, field, value)
            yield message
        if field.is_repeated and depth == 0:
            for value in values(field, depth)[:5]:
                message = kind()
                set_field(message, field, value, 10_000)
                yield message


def combined(
    kind: type[Message], known: Sequence[str] = ()
) -> strategies.SearchStrategy[Message]:
    """Messages with several odd fields at once, and with `known` texts among them."""
    fields = list(kind.DESCRIPTOR.fields)
    choices = [strategies.sampled_from([None, *values(field, known=known)]) for field in fields]

    def build(chosen: tuple[Any, ...]) -> Message:
        message = kind()
        for field, value in zip(fields, chosen, strict=True):
            if value is not None:
                set_field(message, field, value)
        return message

    return strategies.tuples(*choices).map(build)


def wrong_wires(kind: type[Message]) -> Iterator[bytes]:
    """Bytes that are no message of that kind, or have fields in a form that they do not have."""
    yield from unreadable(kind)
    numbers = [field.number for field in kind.DESCRIPTOR.fields]
    for number in (*numbers, 999):
        yield _key(number, 0) + b"\x7f"
        yield _key(number, 1) + b"\x01" * 8
        yield _key(number, 2) + b"\x03abc"
        yield _key(number, 5) + b"\x01" * 4
        yield _key(number, 2) + b"\x83\x80\x00abc"


def unreadable(kind: type[Message]) -> Iterator[bytes]:
    """Bytes that no message begins with."""
    yield b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
    yield b"\x00"
    yield _key(1, 7) + b"\x01"
    yield _key(1, 4)
    for field in kind.DESCRIPTOR.fields:
        yield _key(field.number, 2) + b"\x0fabc"
        yield _key(field.number, 0)
        if field.type == FieldDescriptor.TYPE_STRING:
            yield _key(field.number, 2) + b"\x02\xff\xfe"


def _key(number: int, wire_type: int) -> bytes:
    value, data = number << 3 | wire_type, b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])
