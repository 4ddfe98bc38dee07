"""The values of the `{{ }}` language: what they are, how they compare, how their parts are read.

Texts, booleans, 64-bit integers, floats, nil (None), lists and maps, and two things that only
functions give: a view of a role and a namespace of functions. Python's own operators are never
let loose on them, since these would multiply texts, compare unlike with unlike or reach into
attributes. The reference's values are Go's, and its lists and maps are of several types that print
and compare differently; so are ours. How they print is in `printing`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any

from attrs import define, evolve, field, frozen

from aliecs.errors import InvalidInput
from aliecs.language.calendar import Zone
from aliecs.language.date import ZERO, Date, Duration, Month, Weekday

LONGEST_TEXT = 1024 * 1024
"""Characters that an expression may make."""
LONGEST_LIST = 100_000
DEEPEST_VALUE = 100
TIME_TYPES: Mapping[type, str] = {
    Date: "time.Time",
    Duration: "time.Duration",
    Zone: "time.Location",
    Month: "time.Month",
    Weekday: "time.Weekday",
}
"""The values that have methods, and what the language calls them."""


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

    def located(self, expression: str, column: int = 0) -> ExpressionError:
        """The same with its place, as far as it has none yet."""
        return type(self)(self.reason, self.expression or expression, self.column or column)


class LimitError(ExpressionError):
    """An expression asks for too much: never taken for a value that is merely wrong."""


ELEMENT_WORK = 10
"""What it counts to look at an element of a list; a list counts as 30, a character as a tenth."""
Spend = Callable[[int], None]
"""Takes from the work that an evaluation may do; raises `LimitError` when there is none left."""


class Byte(int):
    """A part of a text, which is UTF-8 in the reference: a number of eight bits."""


class Long(int):
    """A number of 64 bits by name, as dates and durations give: like any int but in a map."""


class Unreadable:
    """An element that a predicate may go over, but not look at."""


UNREADABLE = Unreadable()


class TextList(list[str]):
    """A list of nothing but texts, as `split` makes it; `json.Sort` leaves it as it is."""


class NilList(list[Any]):
    """The list that was never made, as of `concat([])`: it counts as empty, and also as nil."""


class PlainList(list[Any]):
    """A list that prints as `[1 2]`, not as JSON."""


class IntegerList(PlainList):
    """A range."""


class PairList(PlainList):
    """What `toPairs` makes."""


class Pair(PlainList):
    """A key and its value."""


@define(eq=False)
class AnyMap:
    """A map whose keys are of any type, as `groupBy` and `fromPairs` make it."""

    holds_lists: bool = False
    """Whether the values are lists, so that there is one for a missing key, too."""
    _entries: dict[tuple[type, Any], tuple[Any, Any]] = field(factory=dict)

    @staticmethod
    def _key(key: Any) -> tuple[type, Any]:
        if type(key) is Pair:
            return Pair, tuple(map(AnyMap._key, key))
        if isinstance(key, (list, dict, AnyMap, Function, Namespace)):
            raise ExpressionError(f"{type_name(key)} cannot be the key of a map")
        return type(key), key

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Any) -> bool:
        return self._key(key) in self._entries

    def get(self, key: Any) -> Any:
        """The value of a key."""
        entry = self._entries.get(self._key(key))
        if entry is None:
            return NilList() if self.holds_lists else None
        return entry[1]

    def put(self, key: Any, value: Any) -> None:
        """Set the value of a key."""
        self._entries[self._key(key)] = key, value

    def items(self) -> list[tuple[Any, Any]]:
        """Keys with their values, by type and then in order."""
        order = [type(None), str, Long, int, float, bool, Month, Weekday, Duration, Date]

        def rank(item: tuple[tuple[type, Any], tuple[Any, Any]]) -> tuple[int, Any]:
            kind, key = item[0]
            place = order.index(kind) if kind in order else len(order)
            if kind is Date:
                key = key.nanoseconds, key.seconds
            return place, 0 if key is None or place == len(order) else key

        return [entry for _, entry in sorted(self._entries.items(), key=rank)]


@frozen
class RoleView:
    """What expressions see of a role."""

    name: str
    path: str
    is_copy: bool = field(default=False, eq=False)
    """Whether some operator has looked through the reference, which shows when it is printed."""

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
    """`str`, `int`, a type of dates, `object` (anything) or `NoneType` (nil alone) for each
    argument; None takes any arguments at all."""
    result: str = "unknown"
    """The type that is known before the call: a name as `type_name` gives it, or `any`. Where it is
    known, an undefined name within the arguments is nil, and what is wrong with them waits."""
    nil_is_zero: bool = True
    """Whether an argument that is nil counts as an empty text or zero; else it is an error."""
    work: int = 0
    """What a call counts for, and as much again for each tenth character of its arguments."""

    def invoke(self, scope: Any, arguments: Sequence[Any], *, nil_is_zero: bool = False) -> Any:
        """Check the arguments and call; with `nil_is_zero` nil is taken by every function.

        Raises `ExpressionError`."""
        if self.parameters is None:
            return self.call(scope, *("" if a is None else a for a in arguments))
        if len(arguments) != len(self.parameters):
            self.check_count(len(arguments))
        for argument, wanted in zip(arguments, self.parameters, strict=True):
            if type(argument) is not wanted:
                break
        else:
            return self.call(scope, *arguments)
        lenient = nil_is_zero or self.nil_is_zero
        converted = [
            self._convert(argument, wanted, lenient)
            for argument, wanted in zip(arguments, self.parameters, strict=True)
        ]
        return self.call(scope, *converted)

    def check_count(self, count: int) -> None:
        """Raise `ExpressionError` where the number of arguments is wrong."""
        if self.parameters is not None and count != len(self.parameters):
            wanted = len(self.parameters)
            noun = "argument" if wanted == 1 else "arguments"
            raise ExpressionError(f"{self.name} takes {wanted} {noun}, not {count}")

    def _convert(self, argument: Any, wanted: type, nil_is_zero: bool) -> Any:
        if wanted is object or type(argument) is wanted:
            return argument
        if wanted is NoneType:
            raise ExpressionError(
                f"{self.name} takes a name that may be missing, not {type_name(argument)}"
            )
        if argument is None and nil_is_zero and wanted is not Zone:
            return _ZEROES[wanted]
        expected = {str: "a string", int: "an int"}.get(wanted) or f"a {TIME_TYPES[wanted]}"
        raise ExpressionError(f"{self.name} takes {expected}, not {type_name(argument)}")


_ZEROES: Mapping[type, Any] = {str: "", int: 0, Date: ZERO, Duration: Duration(0)}


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
        case Byte():
            return "uint"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case list():
            return "array"
        case dict() | AnyMap() | Namespace():
            return "map"
        case RoleView():
            return "role"
        case Date() | Duration() | Zone() | Month() | Weekday():
            return TIME_TYPES[type(value)]
        case _:
            return "func"


def looked_through(value: Any) -> Any:
    """A value as operators and functions see it: not a reference to a role but the role."""
    return evolve(value, is_copy=True) if type(value) is RoleView else value


def is_number(value: Any) -> bool:
    """True for an int or float, not for a bool."""
    kind = type(value)
    return kind is int or kind is float or kind is Long or kind is Byte


def wrapped(value: int) -> int:
    """`value` in 64 bits, of which the upper ones are lost as in the reference."""
    if -(2**63) <= value < 2**63:
        return value
    return (value + 2**63) % 2**64 - 2**63


def whole(value: Any) -> int:
    """A number without its fraction, where an int is meant. Raises `ExpressionError`."""
    if type(value) is int or type(value) is Byte or type(value) is Long:
        return int(value)
    if type(value) is float:
        # What is too large for 64 bits becomes the smallest number, as on the usual processors.
        fits = math.isfinite(value) and -(2.0**63) <= value < 2.0**63
        return int(value) if fits else -(2**63)
    raise ExpressionError(f"an int is needed, not {type_name(value)}")


def checked_text(text: str) -> str:
    """`text`, refused where it is too long."""
    if len(text) > LONGEST_TEXT:
        raise LimitError(f"a text of more than {LONGEST_TEXT} characters")
    return text


# --- comparing -----------------------------------------------------------------------------------


def _free(amount: int) -> None:
    """Nobody counts."""


def equal(left: Any, right: Any, spend: Spend = _free) -> bool:
    """Numbers by value, lists by their elements, maps strictly by content, unlike types never."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, str) or isinstance(right, str):
        return type(left) is type(right) and bool(left == right)
    if _is_nil(left) and _is_nil(right):
        return True
    if isinstance(left, list) and isinstance(right, list) and _are_alike(left, right):
        spend(ELEMENT_WORK * (30 + len(left)))
        return len(left) == len(right) and all(
            equal(one, other, spend) for one, other in zip(left, right, strict=True)
        )
    if type(left) is Date and type(right) is Date:
        return left.order(right) == 0
    return same(left, right, spend)


def _is_nil(value: Any) -> bool:
    return value is None or type(value) is NilList


def _are_alike(left: list[Any], right: list[Any]) -> bool:
    """Lists of anything compare with those of texts or numbers; these, not with each other."""
    general = (list, NilList)
    compared = (*general, TextList, IntegerList)
    return (
        type(left) in compared
        and type(right) in compared
        and (type(left) is type(right) or type(left) in general or type(right) in general)
    )


def same(left: Any, right: Any, spend: Spend = _free) -> bool:
    """Equal in type as well as in content, all the way down."""
    if type(left) is not type(right) or isinstance(left, (Function, Namespace)):
        return False
    if isinstance(left, list):
        spend(ELEMENT_WORK * (30 + len(left)))
        return len(left) == len(right) and all(
            same(one, other, spend) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, dict):
        spend(ELEMENT_WORK * (30 + len(left)))
        return left.keys() == right.keys() and all(
            same(value, right[key], spend) for key, value in left.items()
        )
    if isinstance(left, AnyMap):
        spend(ELEMENT_WORK * (30 + len(left)))
        return len(left) == len(right) and all(
            key in right and same(value, right.get(key), spend) for key, value in left.items()
        )
    return bool(left == right)


def contains(container: Any, item: Any, spend: Spend = _free) -> bool:
    """The operator `in`: an element of a list or a key of a map; nothing is in nil."""
    if container is None:
        return False
    if isinstance(container, list):
        spend(ELEMENT_WORK * (30 + len(container)))
        return any(equal(item, element, spend) for element in container)
    if isinstance(container, AnyMap):
        return item in container
    if isinstance(container, (dict, Namespace)):
        return text_key(container, item) in (
            container if isinstance(container, dict) else container.members
        )
    if isinstance(container, RoleView) and isinstance(item, str):
        return item in ("Name", "Path")
    if isinstance(container, (Date, Zone)) and isinstance(item, str):
        return False
    raise ExpressionError(f"'in' needs a list or map on its right, not {type_name(container)}")


def text_key(container: Any, key: Any) -> str:
    """A key of a map from texts; nil counts as the empty one."""
    if key is None:
        return ""
    if isinstance(key, str):
        return key
    raise ExpressionError(f"a map is indexed by a string, not {type_name(key)}")
