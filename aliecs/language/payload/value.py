"""The values of payload templates: what they count for, and how they compare.

Texts, booleans, 64-bit integers, floats, nil (None), lists and maps with text keys; a list of
nothing but texts (`TextList`) and a single byte of a text (`Byte`) are types of their own, since
the reference tells them apart. Bytes that are no character (a text can be walked byte by byte) are
lone surrogates, as Python's `surrogateescape` has them. Everything here is the behaviour of the
reference's engine, found by asking it: see test/oracle/payload.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from attrs import define, frozen

from aliecs.language.value import Namespace, TextList

_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]+(?:_[0-9]+)*\.?(?:[0-9]+(?:_[0-9]+)*)?|\.[0-9]+(?:_[0-9]+)*)"
    r"(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?"
)
_HEXADECIMAL = re.compile(
    r"[+-]?0[xX](?:_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*\.?(?:[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)?"
    r"|\.[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)[pP][+-]?[0-9]+(?:_[0-9]+)*"
)
_INFINITE = re.compile(r"(?i)([+-]?)inf(?:inity)?")
_LEAST_INTEGER = -(2**63)
LONGEST_NUMBER = 2000
"""Characters of a text that is read as a number; a longer one is none."""


class ValueFault(Exception):
    """Something that values cannot do; whoever knows the place makes a `PayloadError` of it."""


class SafeText(str):
    """A text that is not escaped when it is printed: what a macro or a parent's block gave."""

    __slots__ = ()


class Byte(int):
    """A byte of a text, by index. Not an integer to functions that want one."""

    __slots__ = ()


@define(eq=False)
class Loop:
    """The object `forloop`."""

    parent: Loop | None = None
    counter: int = 0
    remaining: int = 0
    """Passes left, the present one included."""
    first: bool = True
    last: bool = False

    def fields(self) -> Mapping[str, Any]:
        """The members, in the order in which they are written as JSON."""
        return {
            "Counter": self.counter,
            "Counter0": max(self.counter - 1, 0),
            "Revcounter": self.remaining,
            "Revcounter0": max(self.remaining - 1, 0),
            "First": self.first,
            "Last": self.last,
            "Parentloop": self.parent,
        }


@frozen(eq=False)
class BlockView:
    """The object `block`; `upper` renders the block that this one replaces."""

    upper: Any

    def fields(self) -> Mapping[str, Any]:
        """It shows nothing but the method `Super`."""
        return {}


@define(eq=False)
class CycleValue:
    """What `cycle ... as name` gives: the text that stands at present, and how to go on."""

    node: Any
    current: Any = None
    silent: bool = False


def type_name(value: Any) -> str:
    """The type of a value in the words of the reference."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case Byte():
            return "uint8"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case TextList():
            return "[]string"
        case list():
            return "[]interface {}"
        case dict() | Namespace():
            return "map[string]interface {}"
        case Loop():
            return "pongo2.tagForLoopInformation"
        case BlockView():
            return "pongo2.tagBlockInformation"
        case CycleValue():
            return "*pongo2.tagCycleValue"
        case _:
            return "func"


def kind_name(value: Any) -> str:
    """The kind of a value in errors about what it does not have."""
    match value:
        case list():
            return "slice"
        case dict() | Namespace():
            return "map"
        case Loop() | BlockView() | CycleValue():
            return "struct"
        case None:
            return "invalid"
        case _:
            return type_name(value)


def is_integer(value: Any) -> bool:
    """True for an integer or a byte, not for a boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """True for an integer or a float."""
    return isinstance(value, float) or is_integer(value)


def wrapped(value: int) -> int:
    """`value` in 64 bits: too large numbers come out at the other end."""
    return (value + 2**63) % 2**64 - 2**63


def to_float(value: Any) -> float:
    """The number that a value stands for; 0 where it stands for none."""
    if isinstance(value, bool):
        return 0.0
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        return _float_of(value)
    return 0.0


def _float_of(text: str) -> float:
    if len(text) > LONGEST_NUMBER:
        return 0.0
    if _DECIMAL.fullmatch(text):
        value = float(text)
        # A number that is too large is none to the reference.
        return 0.0 if math.isinf(value) else value
    infinite = _INFINITE.fullmatch(text)
    if infinite:
        return -math.inf if infinite.group(1) == "-" else math.inf
    if text.lower() == "nan":
        return math.nan
    if _HEXADECIMAL.fullmatch(text):
        try:
            return float.fromhex(text.replace("_", ""))
        except OverflowError:
            return 0.0
    return 0.0


def to_integer(value: Any) -> int:
    """The integer that a value stands for, cut towards 0; 0 where it stands for none."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return int(value)
    if isinstance(value, (float, str)):
        return cut_to_integer(to_float(value))
    return 0


def cut_to_integer(value: float) -> int:
    """A float without its fraction; what fits no 64 bits is the least integer."""
    if math.isnan(value) or not -(2.0**63) <= value < 2.0**63:
        return _LEAST_INTEGER
    return int(value)


def is_true(value: Any) -> bool:
    """Whether a value counts as true: not nil, empty, zero or false."""
    if isinstance(value, Namespace):
        return True
    return bool(value)


def to_text(value: Any) -> str:
    """What is printed."""
    if isinstance(value, str):
        return str(value) if type(value) is not str else value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return float_text(value, 6)
    if isinstance(value, CycleValue):
        return to_text(value.current)
    return f"<{type_name(value)} Value>"


def float_text(value: float, decimals: int) -> str:
    """A float with so many decimals."""
    if math.isfinite(value):
        return f"{value:.{decimals}f}"
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def length(value: Any) -> int:
    """Characters of a text, elements of a list or map; anything else has none."""
    if isinstance(value, (str, list, dict)):
        return len(value)
    return len(value.members) if isinstance(value, Namespace) else 0


def negate(value: Any) -> Any:
    """`not value`. Numbers stay numbers; that not 0.0 is 1.1 is the reference's idea."""
    if is_integer(value):
        return 0 if value else 1
    if isinstance(value, float):
        return 0.0 if value else 1.1
    return not is_true(value)


def equal(left: Any, right: Any) -> bool:
    """The operator `==`: unlike types are never equal. Raises `ValueFault` for two lists or maps,
    which cannot be compared."""
    if is_integer(left) and is_integer(right):
        return int(left) == int(right)
    if isinstance(left, str) and isinstance(right, str):
        return str(left) == str(right)
    if type_name(left) != type_name(right):
        return False
    if isinstance(left, (list, dict, Namespace)):
        raise ValueFault(f"two values of type {type_name(left)} cannot be compared")
    if isinstance(left, (Loop, BlockView, CycleValue)):
        return left is right
    return bool(left == right)


def contains(container: Any, item: Any) -> bool:
    """The operator `in`: a part of a text, an element of a list, a key of a map. Raises
    `ValueFault` for a key that is no text."""
    if isinstance(container, str):
        return to_text(item) in container
    if isinstance(container, list):
        return any(equal(element, item) for element in container)
    if isinstance(container, (dict, Namespace)):
        if item is None:
            return False
        if type(item) is int:
            raise ValueFault("the keys of a map are strings, not int")
        return isinstance(item, str) and item in (
            container if isinstance(container, dict) else container.members
        )
    if isinstance(container, (Loop, BlockView)):
        return to_text(item) in container.fields()
    return False


def text_bytes(text: str) -> bytes:
    """A text as bytes, those that are no character included."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """Bytes as a text; those that are no character become lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


_SURROGATE = re.compile("[\ud800-\udfff]")


def joined(text: str) -> str:
    """A text put together from parts, in which bytes may have met that form a character."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return from_bytes(text_bytes(text))


def without_surrogates(text: str) -> str:
    """A text in which every byte that is no character is the sign for one."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def element(value: Any, index: int) -> Any:
    """The element of a list, or the byte of a text, at `index`; nil beyond."""
    if isinstance(value, str):
        data = value.encode("ascii") if value.isascii() else text_bytes(value)
        return Byte(data[index]) if 0 <= index < len(data) else None
    return value[index] if 0 <= index < len(value) else None
