"""Built-in functions of the `{{ }}` language on texts and numbers, for the table in `builtin`.

Each raises `ExpressionError` for a value that it cannot take.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from typing import Any

from aliecs.language.casing import lower, trimmed, upper
from aliecs.language.date import NAMED_NUMBERS
from aliecs.language.members import from_bytes
from aliecs.language.printing import from_json, go_text, to_json
from aliecs.language.value import (
    LONGEST_TEXT,
    Byte,
    ExpressionError,
    LimitError,
    Long,
    NilList,
    PlainList,
    TextList,
    is_number,
    looked_through,
    type_name,
    whole,
    wrapped,
)

__all__ = [
    "absolute", "ceil", "floor", "from_base64", "from_json_text", "index_of", "integer",
    "integer_of", "join", "last_index_of", "lower", "named_type", "number", "repeat", "replace",
    "rounded", "shift", "split", "split_after", "text", "to_base64", "to_float", "to_int",
    "to_json_text", "to_string", "trim", "trim_prefix", "trim_suffix", "upper",
]  # fmt: skip

_INTEGER = re.compile(r"[+-]?0*[0-9]{1,19}", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)"
    r"(?:[eE][+-]?[0-9](?:_?[0-9])*)?|[+-]?inf(?:inity)?|nan",
    re.IGNORECASE | re.ASCII,
)
_HEX_FLOAT = re.compile(
    r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?[0-9]{1,6}", re.IGNORECASE | re.ASCII
)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def text(name: str, value: Any) -> str:
    """`value`, which must be a text."""
    if not isinstance(value, str):
        raise ExpressionError(f"{name} takes a string, not {type_name(value)}")
    return value


def integer(name: str, value: Any) -> int:
    """`value`, which must be an int."""
    if type(value) not in (int, Long, Byte):
        raise ExpressionError(f"{name} takes an int, not {type_name(value)}")
    return int(value)


def number(name: str, value: Any) -> Any:
    """`value`, which must be an int or a float."""
    if not is_number(value):
        raise ExpressionError(f"{name} takes a number, not {type_name(value)}")
    return value


def integer_of(written: str) -> int | None:
    """The integer that a text writes, None where it writes none or one beyond 64 bits."""
    value = int(written) if _INTEGER.fullmatch(written) else None
    return value if value is not None and -(2**63) <= value < 2**63 else None


# --- numbers -------------------------------------------------------------------------------------


def to_int(value: Any) -> int:
    """int(): a number without its fraction, or what a text writes."""
    result = integer_of(value) if isinstance(value, str) else None
    if is_number(value):
        result = whole(value)
    if type(value) in NAMED_NUMBERS:
        result = value.number
    if result is None:
        raise ExpressionError(f"int cannot convert {value!r:.100}")
    return result


def to_float(value: Any) -> float:
    """float(): any number, or what a text writes."""
    if is_number(value):
        return float(value)
    if isinstance(value, str) and len(value) < 2000:
        result = _written_float(value)
        if result is not None:
            return result
    raise ExpressionError(f"float cannot convert {value!r:.100}")


def _written_float(written: str) -> float | None:
    if _HEX_FLOAT.fullmatch(written):
        try:
            return float.fromhex(written)
        except OverflowError:
            return None
    if not _FLOAT.fullmatch(written):
        return None
    result = float(written)
    # A number that is too large is an error, unlike infinity called by its name.
    return None if math.isinf(result) and written[-1:].isdigit() else result


def absolute(value: Any) -> Any:
    """abs()"""
    result = value if type(value) is Byte else abs(number("abs", value))
    if type(value) is Long:
        return Long(wrapped(result))
    return wrapped(result) if type(result) is int else result


def _half_away(value: float) -> float:
    """The nearest whole number, halves away from zero."""
    truncated = math.trunc(value)
    return truncated + math.copysign(1, value) if abs(value - truncated) >= 0.5 else truncated


def _to_whole(name: str, function: Callable[[float], float]) -> Callable[[Any], float]:
    def call(value: Any) -> float:
        exact = float(number(name, value))
        if not math.isfinite(exact):
            return exact
        return math.copysign(float(function(exact)), exact)

    return call


ceil = _to_whole("ceil", math.ceil)
floor = _to_whole("floor", math.floor)
rounded = _to_whole("round", _half_away)


def shift(count: int) -> int:
    """How far bits are shifted."""
    if count < 0:
        raise ExpressionError("a shift takes a count of zero or more")
    return min(count, 64)


# --- texts ---------------------------------------------------------------------------------------


def named_type(value: Any) -> str:
    """type()"""
    return type_name(value)


def to_string(value: Any) -> str:
    """string(): as Go prints it, which for a list is not JSON."""
    return go_text(looked_through(value))


def trim(whole_text: str, characters: str | None = None) -> str:
    """trim()"""
    if characters is None:
        return trimmed(whole_text)
    return whole_text.strip(characters) if characters else whole_text


def trim_prefix(whole_text: str, prefix: str = " ") -> str:
    """trimPrefix()"""
    return whole_text.removeprefix(prefix)


def trim_suffix(whole_text: str, suffix: str = " ") -> str:
    """trimSuffix()"""
    return whole_text.removesuffix(suffix)


def index_of(whole_text: str, part: str) -> int:
    """indexOf(), in bytes."""
    return _in_bytes(whole_text, whole_text.find(part))


def last_index_of(whole_text: str, part: str) -> int:
    """lastIndexOf(), in bytes."""
    return _in_bytes(whole_text, whole_text.rfind(part))


def _in_bytes(whole_text: str, position: int) -> int:
    return len(whole_text[:position].encode()) if position > 0 else position


def split(whole_text: Any, separator: Any, most: Any = -1) -> list[str]:
    """split()"""
    parts = _pieces("split", whole_text, separator, most)
    return NilList() if parts is None else TextList(parts)


def split_after(whole_text: Any, separator: Any, most: Any = -1) -> list[str]:
    """splitAfter(): each part but the last keeps the separator."""
    parts = _pieces("splitAfter", whole_text, separator, most)
    if parts is None:
        return NilList()
    return TextList([*(part + separator for part in parts[:-1]), *parts[-1:]])


def _pieces(name: str, whole_text: Any, separator: Any, most: Any) -> list[str] | None:
    """The parts, at most so many if that is not negative; None for none at all."""
    joined, between, count = text(name, whole_text), text(name, separator), whole(most)
    if count == 0:
        return None
    if between:
        return joined.split(between, count - 1 if count > 0 else -1)
    if count < 0 or count >= len(joined):
        return list(joined)
    return [*joined[: count - 1], joined[count - 1 :]]


def replace(whole_text: Any, old: Any, new: Any, most: Any = -1) -> str:
    """replace()"""
    joined, before, after = (text("replace", value) for value in (whole_text, old, new))
    _fits(len(joined) + (joined.count(before) if before else len(joined) + 1) * len(after))
    return joined.replace(before, after, max(min(whole(most), LONGEST_TEXT), -1))


def repeat(part: Any, count: Any) -> str:
    """repeat()"""
    once, times = text("repeat", part), whole(count)
    if times < 0:
        raise ExpressionError("repeat takes a count of zero or more")
    if times > 1_000_000:
        raise LimitError("repeat takes a count of a million at most")
    _fits(len(once) * times)
    return once * times


def _fits(length: int) -> None:
    if length > LONGEST_TEXT:
        raise LimitError(f"a text of more than {LONGEST_TEXT} characters")


def join(items: Any, separator: Any = "") -> str:
    """join()"""
    if not isinstance(items, list) or isinstance(items, PlainList):
        raise ExpressionError(f"join takes a list of strings, not {type_name(items)}")
    texts = [text("join", item) for item in items]
    between = text("join", separator)
    _fits(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


# --- encodings -----------------------------------------------------------------------------------


def from_json_text(written: str) -> Any:
    """fromJSON()"""
    try:
        return from_json(written)
    except ValueError as error:
        raise ExpressionError(f"fromJSON: {error}") from error


def to_json_text(value: Any) -> str:
    """toJSON()"""
    return to_json(value, indent="  ")


def to_base64(plain: str) -> str:
    """toBase64()"""
    return base64.b64encode(plain.encode()).decode()


def from_base64(encoded: str) -> str:
    """fromBase64(); ends of lines do not count."""
    encoded = encoded.replace("\n", "").replace("\r", "")
    if not _BASE64.fullmatch(encoded):
        raise ExpressionError("fromBase64: this is not base64")
    return from_bytes(base64.b64decode(encoded))
