"""How values of the `{{ }}` language print, and JSON: the texts are those of the reference, whose
expression library and JSON are Go's.

What is written is counted while it is written, so that a small value that holds itself many times
over is refused before it fills the memory.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from attrs import Factory, define

from aliecs.language.calendar import Zone
from aliecs.language.date import NAMED_NUMBERS, Date, Duration, Month, Weekday
from aliecs.language.layout import date_json, date_text
from aliecs.language.value import (
    DEEPEST_VALUE,
    LONGEST_TEXT,
    AnyMap,
    ExpressionError,
    LimitError,
    NilList,
    PlainList,
    RoleView,
    type_name,
)

_EXPONENT_FROM = 6


@define
class _Writer:
    """Pieces of a text, of which there may not be too many."""

    pieces: list[str] = Factory(list)
    _left: int = LONGEST_TEXT

    def write(self, piece: str) -> None:
        """Add a piece. Raises `LimitError`."""
        self._left -= len(piece)
        if self._left < 0:
            raise LimitError(f"a text of more than {LONGEST_TEXT} characters")
        self.pieces.append(piece)

    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


def to_text(value: Any) -> str:
    """What `{{ }}` prints. Raises `ExpressionError`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not isinstance(value, PlainList):
        return to_json(value)
    return go_text(value)


def go_text(value: Any) -> str:
    """How Go prints a value by default. Raises `ExpressionError`."""
    scalar = _scalar_text(value)
    if scalar is not None:
        return scalar
    writer = _Writer()
    _write_go(value, writer, 0)
    return writer.text()


def _scalar_text(value: Any) -> str | None:
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return float_text(value)
        case str():
            return value
        case Date():
            return date_text(value)
        case Duration() | Month() | Weekday():
            return str(value)
        case Zone():
            return value.name
    return None


def _write_go(value: Any, writer: _Writer, depth: int) -> None:
    if depth > DEEPEST_VALUE:
        raise LimitError("the value is nested too deeply to be printed")
    scalar = _scalar_text(value)
    if scalar is not None:
        writer.write(scalar)
    elif isinstance(value, list):
        writer.write("[")
        for position, item in enumerate(value):
            if position:
                writer.write(" ")
            _write_go(item, writer, depth + 1)
        writer.write("]")
    elif isinstance(value, (dict, AnyMap)):
        writer.write("map[")
        pairs = sorted(value.items()) if isinstance(value, dict) else value.items()
        for position, (key, item) in enumerate(pairs):
            if position:
                writer.write(" ")
            _write_go(key, writer, depth + 1)
            writer.write(":")
            _write_go(item, writer, depth + 1)
        writer.write("]")
    elif isinstance(value, RoleView):
        sign = "" if value.is_copy else "&"
        writer.write(f"{sign}{{{value.name} {value.path}}}")
    else:
        raise ExpressionError(f"{_article(value)} is not a value; call a function")


def _article(value: Any) -> str:
    name = type_name(value)
    return {"func": "a function", "map": "a namespace"}.get(name, f"a {name}")


def float_text(value: float) -> str:
    """The shortest decimal text that reads back as `value`, with an exponent of two digits at least
    where that is below -4 or reaches 6."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = _decimal(value)
    if exponent < -4 or exponent >= _EXPONENT_FROM:
        return f"{sign}{_with_exponent(digits, exponent)}"
    return sign + _positional(digits, exponent)


def _decimal(value: float) -> tuple[str, str, int]:
    """Sign, significant digits without trailing zeros, and the exponent of the first digit."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    first = len(whole) - 1 - leading + int(exponent or 0)
    digits = digits.rstrip("0")
    return (sign, digits, first) if digits else (sign, "0", 0)


def _with_exponent(digits: str, exponent: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _positional(digits: str, exponent: int) -> str:
    if exponent < 0:
        return f"0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{whole}.{fraction}" if fraction else whole


_ESCAPE_TABLE = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def to_json(value: Any, indent: str = "") -> str:
    """JSON as Go writes it: keys sorted, characters of HTML escaped, compact unless `indent`.

    Raises `ExpressionError`."""
    writer = _Writer()
    _JsonWriter(writer, indent).write(value, 0)
    return writer.text()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPE_TABLE)


@define
class _JsonWriter:
    writer: _Writer
    indent: str

    def write(self, value: Any, level: int) -> None:
        if level > DEEPEST_VALUE:
            raise LimitError("the value is nested too deeply to be written as JSON")
        if isinstance(value, str):
            self.writer.write(_quoted(value))
        elif value is None or type(value) is NilList:
            self.writer.write("null")
        elif isinstance(value, bool):
            self.writer.write("true" if value else "false")
        elif isinstance(value, int):
            self.writer.write(str(int(value)))
        elif type(value) is float:
            self.writer.write(_json_number(value))
        elif isinstance(value, list):
            self._bracketed("[]", [("", item) for item in value], level)
        elif isinstance(value, Date):
            self.writer.write(_json_date(value))
        elif type(value) in NAMED_NUMBERS:
            self.writer.write(str(value.number))
        elif isinstance(value, Zone):
            self.writer.write("{}")
        elif isinstance(value, (dict, RoleView)):
            self._bracketed("{}", self._entries(value), level)
        else:
            raise ExpressionError(f"{_described(value)} cannot be written as JSON")

    def _entries(self, value: dict[str, Any] | RoleView) -> list[tuple[str, Any]]:
        if isinstance(value, RoleView):
            value = {"Name": value.name, "Path": value.path}
        colon = ": " if self.indent else ":"
        return [(_quoted(key) + colon, value[key]) for key in sorted(value)]

    def _bracketed(self, brackets: str, items: list[tuple[str, Any]], level: int) -> None:
        write = self.writer.write
        write(brackets[0])
        newline = "\n" + self.indent * level if self.indent and items else ""
        for position, (prefix, item) in enumerate(items):
            if position:
                write(",")
            if newline:
                write(newline + self.indent)
            write(prefix)
            self.write(item, level + 1)
        write(newline + brackets[1])


def _described(value: Any) -> str:
    if isinstance(value, AnyMap):
        return "a map whose keys are not texts alone"
    return f"a {type_name(value)}"


def _json_date(value: Date) -> str:
    try:
        return f'"{date_json(value)}"'
    except ValueError as error:
        raise ExpressionError(f"{error}: it cannot be written as JSON") from None


def _json_number(value: float) -> str:
    if not math.isfinite(value):
        raise ExpressionError("infinity and not-a-number cannot be written as JSON")
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        sign, digits, exponent = _decimal(value)
        return sign + _positional(digits, exponent)
    sign, digits, exponent = _decimal(value)
    text = _with_exponent(digits, exponent)
    # Go drops the leading zero of a negative exponent here, and only here.
    return sign + text.replace("e-0", "e-")


_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def from_json(text: str) -> Any:
    """The value of a JSON text; all numbers are floats. Raises `ValueError`."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    def number(digits: str) -> float:
        value = float(digits)
        if math.isinf(value):
            raise ValueError(f"{digits[:40]} is too large")
        return value

    if len(text) > LONGEST_TEXT:
        raise ValueError("the text is too long")
    try:
        value = json.loads(text, parse_int=number, parse_float=number, parse_constant=refuse)
        return _without_surrogates(value) if _HALF_PAIR.search(text) else value
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None


def _without_surrogates(value: Any) -> Any:
    """Half a pair of UTF-16 is no character; Go puts the replacement there."""
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value
