"""Reading parts of the values of the `{{ }}` language: elements, entries, slices, methods.

Only what is named here can be reached: never an attribute of Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from aliecs.language.methods import bound
from aliecs.language.value import (
    ELEMENT_WORK,
    TIME_TYPES,
    UNREADABLE,
    AnyMap,
    Byte,
    ExpressionError,
    Namespace,
    Pair,
    RoleView,
    Spend,
    is_number,
    text_key,
    type_name,
    whole,
)


def member(value: Any, key: Any) -> Any:
    """`value.key` and `value[key]`: lists count from 0, or from their end with negative indices."""
    if type(value) is dict:
        return value.get(key if type(key) is str else text_key(value, key))
    if isinstance(value, list):
        position = whole(key)
        if not -len(value) <= position < len(value):
            raise ExpressionError(f"index {position} is outside the list of {len(value)}")
        return value[position]
    if isinstance(value, Namespace):
        return value.members.get(text_key(value, key))
    if isinstance(value, AnyMap):
        return value.get(key)
    if isinstance(value, RoleView) and isinstance(key, str):
        return value.member(key)
    if type(value) in TIME_TYPES and isinstance(key, str):
        return bound(value, key)
    if isinstance(value, str) and is_number(key):
        return _byte(value, whole(key))
    if isinstance(key, str):
        raise ExpressionError(f"cannot read .{key} of {type_name(value)}")
    raise ExpressionError(f"cannot index {type_name(value)}")


def _byte(text: str, position: int) -> Byte:
    """Texts are UTF-8 in the reference, and their parts are bytes."""
    data = text.encode()
    if not -len(data) <= position < len(data):
        raise ExpressionError(f"index {position} is outside the text of {len(data)} bytes")
    return Byte(data[position])


def cut(value: Any, begin: int | None, end: int | None) -> Any:
    """`value[begin:end]` of a list or text, without what lies outside. Texts count in bytes."""
    if isinstance(value, str):
        first, last = _span(len(value) if value.isascii() else len(value.encode()), begin, end)
        return value[first:last] if value.isascii() else from_bytes(value.encode()[first:last])
    if isinstance(value, list):
        first, last = _span(len(value), begin, end)
        kind = list if type(value) is Pair else type(value)
        return kind(value[first:last])
    raise ExpressionError(f"cannot take a part of {type_name(value)}")


def _span(length: int, begin: int | None, end: int | None) -> tuple[int, int]:
    first = 0 if begin is None else begin
    last = length if end is None else end
    first = max(first + length if first < 0 else first, 0)
    last = min(max(last + length if last < 0 else last, 0), length)
    return min(first, last), last


def from_bytes(data: bytes) -> str:
    """The text of bytes; each byte that makes no character becomes the replacement for one."""
    text = data.decode("utf-8", "surrogateescape")
    return text if data.isascii() else _WRONG_BYTES.sub("\ufffd", text)


_WRONG_BYTES = re.compile("[\ud800-\udfff]")


def elements(value: Any) -> list[Any]:
    """What a predicate goes over. Raises `ExpressionError` where that is nothing."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return list(map(Byte, value.encode()))
    if isinstance(value, (dict, AnyMap)):
        return [UNREADABLE] * len(value)
    if isinstance(value, Namespace):
        return [UNREADABLE] * len(value.members)
    raise ExpressionError(f"a list is needed, not {type_name(value)}")


def leaves(values: Sequence[Any], spend: Spend) -> Iterator[Any]:
    """The values that are no lists, and the leaves of those that are."""
    spend(ELEMENT_WORK * (30 + len(values)))
    for value in values:
        if isinstance(value, list):
            yield from leaves(value, spend)
        else:
            yield value
