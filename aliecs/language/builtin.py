"""The built-in functions of the `{{ }}` language, those of the reference's expression library.

These take values; `predicate` has those that go over a list. Functions of dates and times are not
offered. A variable of the same name does not hide a function, which in the reference breaks every
template that calls it.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from attrs import frozen

from aliecs.language.value import (
    LONGEST_LIST,
    LONGEST_TEXT,
    ExpressionError,
    PlainList,
    TextList,
    checked_integer,
    checked_text,
    equal,
    from_json,
    go_text,
    index,
    is_number,
    to_json,
    type_name,
)


@frozen
class BuiltIn:
    """A function on values."""

    name: str
    call: Callable[..., Any]
    fewest: int
    most: int
    result: str = "unknown"

    def check_count(self, count: int) -> None:
        """Raise `ExpressionError` where the number of arguments is wrong."""
        if not self.fewest <= count <= self.most:
            wanted = str(self.fewest)
            if self.most != self.fewest:
                wanted += f" to {self.most}" if self.most < LONGEST_LIST else " or more"
            raise ExpressionError(f"{self.name} takes {wanted} arguments, not {count}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ExpressionError(f"{name} takes a string, not {type_name(value)}")
    return value


def _integer(name: str, value: Any) -> int:
    if type(value) is not int:
        raise ExpressionError(f"{name} takes an int, not {type_name(value)}")
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ExpressionError(f"{name} takes a list, not {type_name(value)}")
    return value


def _map(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ExpressionError(f"{name} takes a map, not {type_name(value)}")
    return value


def number(name: str, value: Any) -> Any:
    if not is_number(value):
        raise ExpressionError(f"{name} takes a number, not {type_name(value)}")
    return value


def _length(value: Any) -> int:
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise ExpressionError(f"len takes a string, list or map, not {type_name(value)}")


def _to_int(value: Any) -> int:
    if is_number(value) and math.isfinite(value):
        return checked_integer(int(value))
    if isinstance(value, str):
        try:
            return checked_integer(int(value))
        except ValueError:
            pass
    raise ExpressionError(f"int cannot convert {value!r}")


def _to_float(value: Any) -> float:
    if is_number(value):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    raise ExpressionError(f"float cannot convert {value!r}")


def _to_string(value: Any) -> str:
    return checked_text(go_text(value))


def _absolute(value: Any) -> Any:
    result = abs(number("abs", value))
    return checked_integer(result) if type(result) is int else result


def _half_away(value: float) -> float:
    """The nearest whole number, halves away from zero."""
    whole = math.trunc(value)
    return whole + math.copysign(1, value) if abs(value - whole) >= 0.5 else whole


def _rounded(name: str, function: Callable[[float], float]) -> Callable[[Any], float]:
    def call(value: Any) -> float:
        exact = float(number(name, value))
        return float(function(exact)) if math.isfinite(exact) else exact

    return call


def _of_texts(
    name: str, function: Callable[..., Any], fewest: int, most: int, result: str = "unknown"
) -> BuiltIn:
    """A function all of whose arguments are texts."""

    def call(*texts: Any) -> Any:
        return function(*(_text(name, text) for text in texts))

    return BuiltIn(name, call, fewest, most, result)


def _trim_prefix(text: str, prefix: str = " ") -> str:
    return text.removeprefix(prefix)


def _trim_suffix(text: str, suffix: str = " ") -> str:
    return text.removesuffix(suffix)


def _split(text: Any, separator: Any, most: Any = -1) -> TextList:
    parts = _pieces("split", text, separator, most)
    return TextList(parts)


def _split_after(text: Any, separator: Any, most: Any = -1) -> TextList:
    parts = _pieces("splitAfter", text, separator, most)
    return TextList([*(part + separator for part in parts[:-1]), *parts[-1:]])


def _pieces(name: str, text: Any, separator: Any, most: Any) -> list[str]:
    whole, between, count = _text(name, text), _text(name, separator), _integer(name, most)
    if count == 0:
        return []
    if between:
        return whole.split(between, count - 1 if count > 0 else -1)
    if count < 0 or count >= len(whole):
        return list(whole)
    return [*whole[: count - 1], whole[count - 1 :]]


def _replace(text: Any, old: Any, new: Any, most: Any = -1) -> str:
    whole, before, after = (_text("replace", value) for value in (text, old, new))
    _fits(len(whole) + (whole.count(before) if before else len(whole) + 1) * len(after))
    return whole.replace(before, after, _integer("replace", most))


def _repeat(text: Any, count: Any) -> str:
    part, times = _text("repeat", text), _integer("repeat", count)
    if times < 0:
        raise ExpressionError("repeat takes a count of zero or more")
    _fits(len(part) * times)
    return part * times


def _fits(length: int) -> None:
    if length > LONGEST_TEXT:
        raise ExpressionError(f"a text of more than {LONGEST_TEXT} characters")


def _join(items: Any, separator: Any = "") -> str:
    texts = [_text("join", item) for item in _list("join", items)]
    between = _text("join", separator)
    _fits(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _mean(numbers: list[Any]) -> float:
    return sum(map(float, numbers)) / len(numbers)


def _median(numbers: list[Any]) -> float:
    return float(median(numbers))


def _of_numbers(name: str, function: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        return function(_numbers(name, values))

    return call


def _numbers(name: str, values: tuple[Any, ...]) -> list[Any]:
    """All numbers among arguments that are numbers or lists of numbers."""
    numbers: list[Any] = []
    for value in values:
        numbers.extend(value if isinstance(value, list) else [value])
    for value in numbers:
        number(name, value)
    if not numbers:
        raise ExpressionError(f"{name} of nothing")
    return numbers


def _from_json(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError as error:
        raise ExpressionError(f"fromJSON: {error}") from error


def _to_json(value: Any) -> str:
    return checked_text(to_json(value, indent="  "))


def _to_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ExpressionError(f"fromBase64: {error}") from error


def _keys(mapping: Any) -> TextList:
    return TextList(sorted(_map("keys", mapping)))


def _values(mapping: Any) -> list[Any]:
    return [mapping[key] for key in sorted(_map("values", mapping))]


def _get(container: Any, key: Any) -> Any:
    try:
        return index(container, key)
    except ExpressionError:
        return None


def _take(items: Any, count: Any) -> list[Any]:
    if _integer("take", count) < 0:
        raise ExpressionError("take takes a count of zero or more")
    return _list("take", items)[:count]


def _pairs(mapping: Any) -> PlainList:
    return PlainList(PlainList(pair) for pair in sorted(_map("toPairs", mapping).items()))


def _from_pairs(pairs: Any) -> dict[str, Any]:
    result = {}
    for pair in _list("fromPairs", pairs):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ExpressionError("fromPairs takes a list of pairs")
        result[_text("fromPairs", pair[0])] = pair[1]
    return result


def _unique(items: Any) -> list[Any]:
    result: list[Any] = []
    for item in _list("uniq", items):
        if len(result) > 1000:
            raise ExpressionError("uniq of more than 1000 different elements")
        if not any(equal(item, known) for known in result):
            result.append(item)
    return result


def _concat(*lists: Any) -> list[Any]:
    result = [item for items in lists for item in _list("concat", items)]
    if len(result) > LONGEST_LIST:
        raise ExpressionError(f"a list of more than {LONGEST_LIST} elements")
    return result


def _flatten(items: Any) -> list[Any]:
    result: list[Any] = []
    for item in _list("flatten", items):
        result.extend(_flatten(item) if isinstance(item, list) else [item])
    return result


def ordered(name: str, keyed: list[tuple[Any, Any]], order: Any) -> list[Any]:
    """The second of each pair, by the first, which must all be texts or all numbers."""
    if order not in (None, "asc", "desc"):
        raise ExpressionError(f"{name} takes the order asc or desc, not {order!r}")
    keys = [key for key, _ in keyed]
    if not (all(isinstance(k, str) for k in keys) or all(map(is_number, keys))):
        raise ExpressionError(f"{name} takes strings or numbers, not a mixture")
    keyed = sorted(keyed, key=lambda pair: pair[0], reverse=order == "desc")
    return [value for _, value in keyed]


def _sort(items: Any, order: Any = None) -> list[Any]:
    return ordered("sort", [(item, item) for item in _list("sort", items)], order)


def _of_bits(name: str, function: Callable[[int, int], int]) -> BuiltIn:
    def call(left: Any, right: Any) -> int:
        value = function(_integer(name, left), _integer(name, right))
        # 64-bit two's complement, as the reference computes.
        return (value + 2**63) % 2**64 - 2**63

    return BuiltIn(name, call, 2, 2, "int")


def _shift(count: int) -> int:
    if count < 0:
        raise ExpressionError("a shift takes a count of zero or more")
    return min(count, 64)


_MANY = LONGEST_LIST


BUILT_INS: Mapping[str, BuiltIn] = {
    f.name: f
    for f in (
        BuiltIn("len", _length, 1, 1, "int"),
        BuiltIn("type", type_name, 1, 1, "string"),
        BuiltIn("abs", _absolute, 1, 1),
        BuiltIn("ceil", _rounded("ceil", math.ceil), 1, 1, "float"),
        BuiltIn("floor", _rounded("floor", math.floor), 1, 1, "float"),
        BuiltIn("round", _rounded("round", _half_away), 1, 1, "float"),
        BuiltIn("int", _to_int, 1, 1, "int"),
        BuiltIn("float", _to_float, 1, 1, "float"),
        BuiltIn("string", _to_string, 1, 1, "string"),
        _of_texts("trim", str.strip, 1, 2, "string"),
        _of_texts("trimPrefix", _trim_prefix, 1, 2, "string"),
        _of_texts("trimSuffix", _trim_suffix, 1, 2, "string"),
        _of_texts("upper", str.upper, 1, 1, "string"),
        _of_texts("lower", str.lower, 1, 1, "string"),
        _of_texts("indexOf", str.find, 2, 2, "int"),
        _of_texts("lastIndexOf", str.rfind, 2, 2, "int"),
        _of_texts("hasPrefix", str.startswith, 2, 2, "bool"),
        _of_texts("hasSuffix", str.endswith, 2, 2, "bool"),
        _of_texts("toBase64", _to_base64, 1, 1, "string"),
        _of_texts("fromBase64", _from_base64, 1, 1, "string"),
        _of_texts("fromJSON", _from_json, 1, 1),
        BuiltIn("toJSON", _to_json, 1, 1, "string"),
        BuiltIn("split", _split, 2, 3, "array of string"),
        BuiltIn("splitAfter", _split_after, 2, 3, "array of string"),
        BuiltIn("replace", _replace, 3, 4, "string"),
        BuiltIn("repeat", _repeat, 2, 2, "string"),
        BuiltIn("join", _join, 1, 2, "string"),
        BuiltIn("max", _of_numbers("max", max), 1, _MANY),
        BuiltIn("min", _of_numbers("min", min), 1, _MANY),
        BuiltIn("mean", _of_numbers("mean", _mean), 1, _MANY, "float"),
        BuiltIn("median", _of_numbers("median", _median), 1, _MANY, "float"),
        BuiltIn("first", lambda items: next(iter(_list("first", items)), None), 1, 1),
        BuiltIn("last", lambda items: next(reversed(_list("last", items)), None), 1, 1),
        BuiltIn("get", _get, 2, 2),
        BuiltIn("take", _take, 2, 2),
        BuiltIn("keys", _keys, 1, 1, "array of string"),
        BuiltIn("values", _values, 1, 1, "array"),
        BuiltIn("toPairs", _pairs, 1, 1, "array"),
        BuiltIn("fromPairs", _from_pairs, 1, 1, "map"),
        BuiltIn("reverse", lambda items: _list("reverse", items)[::-1], 1, 1, "array"),
        BuiltIn("uniq", _unique, 1, 1, "array"),
        BuiltIn("concat", _concat, 1, _MANY, "array"),
        BuiltIn("flatten", _flatten, 1, 1, "array"),
        BuiltIn("sort", _sort, 1, 2, "array"),
        _of_bits("bitand", lambda left, right: left & right),
        _of_bits("bitor", lambda left, right: left | right),
        _of_bits("bitxor", lambda left, right: left ^ right),
        _of_bits("bitnand", lambda left, right: left & ~right),
        _of_bits("bitshl", lambda left, count: left << _shift(count)),
        _of_bits("bitshr", lambda left, count: left >> _shift(count)),
        _of_bits("bitushr", lambda left, count: (left % 2**64) >> _shift(count)),
        BuiltIn("bitnot", lambda value: ~_integer("bitnot", value), 1, 1, "int"),
    )
}
"""Functions on values, by name."""
