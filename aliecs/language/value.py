"""The values of the `{{ }}` language: what they are, how they compare, index and print.

Texts, booleans, 64-bit integers, floats, nil (None), lists and maps with text keys, and two things
that only functions give: a view of a role and a namespace of functions. Python's own operators are
never let loose on them, since these would multiply texts, compare unlike with unlike or reach into
attributes. The texts printed are those of the reference, whose expression library is Go.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from aliecs.errors import InvalidInput

LONGEST_TEXT = 1024 * 1024
"""Characters that an expression may make."""
LONGEST_LIST = 100_000
DEEPEST_VALUE = 100
_LARGEST_INTEGER = 2**63 - 1


class ExpressionError(InvalidInput):
    """An expression cannot be understood or evaluated.

    `reason` is the fault alone; the text adds the expression and the column in it, where known.
    """

    code = "expression"

    def __init__(self, reason: str, expression: str = "", column: int = 0) -> None:
        self.reason = reason
        self.expression = expression
        self.column = column
        where = f" in {{{{ {expression} }}}}" if expression else ""
        at = f", column {column}" if expression and column else ""
        super().__init__(f"{reason}{where}{at}")


class TextList(list[str]):
    """A list of nothing but texts, as `split` makes it; `json.Sort` leaves it as it is."""


class PlainList(list[Any]):
    """A list that prints as `[1 2]`, not as JSON: from a range, or a pair of key and value."""


@frozen
class RoleView:
    """What expressions see of a role."""

    name: str
    path: str

    def member(self, name: str) -> str:
        """`Name` or `Path`; raises `ExpressionError` for anything else."""
        if name == "Name":
            return self.name
        if name == "Path":
            return self.path
        raise ExpressionError(f"a role has Name and Path, not {name}")


@frozen
class Function:
    """What an expression may call.

    `call` takes the scope of the evaluation and then the arguments.
    """

    name: str
    call: Callable[..., Any]
    parameters: tuple[type, ...] | None = None
    """`str`, `int` or `object` (anything) for each argument; None takes any arguments at all."""
    result: str = "unknown"
    """The type that is known before the call, a name as `type_name` gives it."""
    nil_is_zero: bool = True
    """Whether an argument that is nil counts as an empty text or zero; else it is an error."""
    tolerates_undefined: bool = True
    """Whether an undefined name within the arguments is nil; else it is an error."""

    def invoke(self, scope: Any, arguments: Sequence[Any]) -> Any:
        """Check the arguments and call. Raises `ExpressionError`."""
        if self.parameters is None:
            return self.call(scope, *("" if a is None else a for a in arguments))
        if len(arguments) != len(self.parameters):
            wanted = len(self.parameters)
            noun = "argument" if wanted == 1 else "arguments"
            raise ExpressionError(f"{self.name} takes {wanted} {noun}, not {len(arguments)}")
        return self.call(scope, *map(self._convert, arguments, self.parameters))

    def _convert(self, argument: Any, wanted: type) -> Any:
        if wanted is object or type(argument) is wanted:
            return argument
        if argument is None and self.nil_is_zero:
            return wanted()
        expected = "a string" if wanted is str else "an int"
        raise ExpressionError(f"{self.name} takes {expected}, not {type_name(argument)}")


@frozen
class Namespace:
    """A named set of functions, such as `strings`."""

    name: str
    members: Mapping[str, Function]


def type_name(value: Any) -> str:
    """What a value is, in the words of the language."""
    match value:
        case None:
            return "nil"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "map"
        case RoleView():
            return "role"
        case Namespace():
            return "namespace"
        case _:
            return "function"


def is_number(value: Any) -> bool:
    """True for an int or float, not for a bool."""
    return type(value) is int or type(value) is float


def checked_integer(value: int) -> int:
    """`value`, refused where it does not fit 64 bits."""
    if -_LARGEST_INTEGER - 1 <= value <= _LARGEST_INTEGER:
        return value
    raise ExpressionError("the result is larger than a 64-bit integer")


def checked_text(text: str) -> str:
    """`text`, refused where it is too long."""
    if len(text) > LONGEST_TEXT:
        raise ExpressionError(f"a text of more than {LONGEST_TEXT} characters")
    return text


def equal(left: Any, right: Any) -> bool:
    """Numbers by value, lists and maps by content, unlike types never."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    return type(left) is type(right) and bool(left == right)


def contains(container: Any, item: Any) -> bool:
    """The operator `in`: an element of a list or a key of a map; nothing is in nil."""
    if container is None:
        return False
    if isinstance(container, list):
        return any(equal(item, element) for element in container)
    if isinstance(container, dict):
        return isinstance(item, str) and item in container
    raise ExpressionError(f"'in' needs a list or map on its right, not {type_name(container)}")


def member(value: Any, name: str) -> Any:
    """`value.name`."""
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, Namespace):
        return value.members.get(name)
    if isinstance(value, RoleView):
        return value.member(name)
    raise ExpressionError(f"cannot read .{name} of {type_name(value)}")


def index(value: Any, key: Any) -> Any:
    """`value[key]`: lists count from 0, or from their end with negative indices."""
    if isinstance(value, list):
        if not is_number(key) or not math.isfinite(key):
            raise ExpressionError(f"a list is indexed by a number, not {type_name(key)}")
        if not -len(value) <= int(key) < len(value):
            raise ExpressionError(f"index {to_text(key)} is outside the list of {len(value)}")
        return value[int(key)]
    if isinstance(value, (dict, Namespace, RoleView)):
        if not isinstance(key, str):
            raise ExpressionError(f"a {type_name(value)} is indexed by a string, not {key!r}")
        return member(value, key)
    raise ExpressionError(f"cannot index {type_name(value)}")


def cut(value: Any, begin: Any, end: Any) -> Any:
    """`value[begin:end]` of a list or text; what lies outside is left away."""
    if not isinstance(value, (str, list)):
        raise ExpressionError(f"cannot take a part of {type_name(value)}")
    for bound in (begin, end):
        if bound is not None and type(bound) is not int:
            raise ExpressionError(f"the bounds of a part are ints, not {type_name(bound)}")
    part = value[begin:end]
    return type(value)(part) if isinstance(value, list) else part


def to_text(value: Any) -> str:
    """What `{{ }}` prints."""
    if isinstance(value, str):
        return value
    if type(value) is float:
        return float_text(value, exponent_from=6)
    if isinstance(value, list) and not isinstance(value, PlainList):
        return checked_text(to_json(value))
    return checked_text(go_text(value))


def go_text(value: Any, depth: int = 0) -> str:
    """How Go prints a value by default."""
    if depth > DEEPEST_VALUE:
        raise ExpressionError("the value is nested too deeply to be printed")
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return float_text(value, exponent_from=21)
        case str():
            return value
        case list():
            return f"[{' '.join(go_text(item, depth + 1) for item in value)}]"
        case dict():
            pairs = (f"{key}:{go_text(value[key], depth + 1)}" for key in sorted(value))
            return f"map[{' '.join(pairs)}]"
        case RoleView():
            return f"&{{{value.name} {value.path}}}"
        case _:
            raise ExpressionError(f"a {type_name(value)} is not a value; call a function")


def float_text(value: float, exponent_from: int) -> str:
    """The shortest decimal text that reads back as `value`, with an exponent of two digits at least
    where the decimal exponent is below -4 or reaches `exponent_from`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = _decimal(value)
    if exponent < -4 or exponent >= exponent_from:
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


def to_json(value: Any, indent: str = "", _level: int = 0) -> str:
    """JSON as Go writes it: keys sorted, characters of HTML escaped, compact unless `indent`."""
    if _level > DEEPEST_VALUE:
        raise ExpressionError("the value is nested too deeply to be written as JSON")
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).translate(_ESCAPE_TABLE)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return _json_number(value)
    if isinstance(value, list):
        return _bracketed("[]", [to_json(v, indent, _level + 1) for v in value], indent, _level)
    if isinstance(value, RoleView):
        value = {"Name": value.name, "Path": value.path}
    if not isinstance(value, dict):
        raise ExpressionError(f"a {type_name(value)} cannot be written as JSON")
    colon = ": " if indent else ":"
    pairs = [
        f"{to_json(str(key))}{colon}{to_json(value[key], indent, _level + 1)}"
        for key in sorted(value)
    ]
    return _bracketed("{}", pairs, indent, _level)


def _bracketed(brackets: str, items: Iterable[str], indent: str, level: int) -> str:
    items = list(items)
    if not indent or not items:
        return f"{brackets[0]}{','.join(items)}{brackets[1]}"
    inner = "\n" + indent * (level + 1)
    return f"{brackets[0]}{inner}{f',{inner}'.join(items)}\n{indent * level}{brackets[1]}"


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


def from_json(text: str) -> Any:
    """The value of a JSON text; all numbers are floats. Raises `ValueError`."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    def number(digits: str) -> float:
        value = float(digits)
        if math.isinf(value):
            raise ValueError(f"{digits} is too large")
        return value

    if len(text) > LONGEST_TEXT:
        raise ValueError("the text is too long")
    try:
        return json.loads(text, parse_int=number, parse_float=number, parse_constant=refuse)
    except RecursionError:
        raise ValueError("the text is nested too deeply") from None
