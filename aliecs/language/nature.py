"""What is known of a value before anything runs: its nature.

Every variable is a text, operators yield what they yield, and what comes out of a namespaced
function is unknown. Two natures that do not go together are an error even in a branch that is never
taken, as in the reference, whose rules these are. Used by `compilation` and by the tables of
built-in functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from attrs import frozen

from aliecs.language.calendar import Zone
from aliecs.language.date import Date, Duration
from aliecs.language.methods import METHODS, method_of
from aliecs.language.value import ExpressionError, Function


@frozen
class Nature:
    """`kind` is one of those below; `element` is that of a list's elements or a map's values."""

    kind: str
    element: Nature | None = None
    function: Function | None = None

    def __str__(self) -> str:
        return _WORDS.get(self.kind, self.kind)

    @property
    def is_unknown(self) -> bool:
        """Nothing is known."""
        return self.kind in ("", "any")

    @property
    def is_number(self) -> bool:
        """An int or a float."""
        return self.kind in ("int", "long", "float")

    @property
    def is_whole(self) -> bool:
        """An int of either name."""
        return self.kind in ("int", "long")

    @property
    def is_named_number(self) -> bool:
        """A number of a type of its own, which some functions look into."""
        return self.kind in _NAMED_NUMBERS

    @property
    def is_list(self) -> bool:
        """A list of any sort."""
        return self.kind in ("list", "texts")

    @property
    def is_map(self) -> bool:
        """A map of any sort."""
        return self.kind in ("map", "anymap", "groups")

    @property
    def item(self) -> Nature:
        """The nature of an element or value."""
        if self.element is not None:
            return self.element
        return {"texts": STRING, "groups": LIST}.get(self.kind, ANY)


_WORDS = {
    "": "unknown",
    "any": "unknown",
    "texts": "list",
    "anymap": "map",
    "groups": "map",
    "long": "int",
}

UNKNOWN = Nature("")
"""Nothing at all is known."""
ANY = Nature("any")
"""Known to be a value of any type, such as an element of a list; other natures fit in its place."""
NIL = Nature("nil")
BOOL = Nature("bool")
INT = Nature("int")
LONG = Nature("long")
"""An int that counts as another type only where types are compared."""
FLOAT = Nature("float")
STRING = Nature("string")
LIST = Nature("list")
TEXTS = Nature("texts")
MAP = Nature("map")
ANY_MAP = Nature("anymap")
"""A map with keys of any type."""
GROUPS = Nature("groups")
"""A map with keys of any type and lists as values."""
ROLE = Nature("role")
DATE = Nature("time.Time")
DURATION = Nature("time.Duration")
MONTH = Nature("time.Month")
WEEKDAY = Nature("time.Weekday")
ZONE = Nature("time.Location")
FUNCTION = Nature("func")
_NIL_FITS = ("list", "texts", "map", "anymap", "groups", "role", "func", "any", ZONE.kind)
_NAMED_NUMBERS = (DURATION.kind, MONTH.kind, WEEKDAY.kind)


def list_of(element: Nature) -> Nature:
    """A list whose elements are all of this nature."""
    return Nature("list", element)


def typed(nature: Nature) -> Nature:
    """What is left of a nature where only Go's own type is kept: not that of a list's elements."""
    if nature.kind == "":
        return ANY
    return Nature(nature.kind) if nature.element is not None else nature


def fits(nature: Nature, wanted: Nature) -> bool:
    """Whether a value of this nature can stand where the other is wanted."""
    if nature.kind == "nil":
        return wanted.kind in _NIL_FITS
    if "" in (nature.kind, wanted.kind):
        return False
    return wanted.kind == "any" or nature.kind == wanted.kind


def comparable(one: Nature, other: Nature) -> bool:
    """Whether `==` may compare them."""
    return (
        one.is_unknown
        or other.is_unknown
        or "nil" in (one.kind, other.kind)
        or (one.is_number and other.is_number)
        or (one.is_list and other.is_list)
        or fits(one, other)
    )


def agree(one: Nature, other: Nature, *kinds: str) -> bool:
    """Both are of these kinds as far as they are known."""
    return all(nature.is_unknown or nature.kind in kinds for nature in (one, other))


def binary(operator: str, left: Nature, right: Nature) -> Nature | None:
    """What an operator yields; None where it cannot take these."""
    return _OPERATORS[operator](left, right)


def _wider(left: Nature, right: Nature) -> Nature:
    if left.is_unknown or right.is_unknown:
        return UNKNOWN
    return FLOAT if "float" in (left.kind, right.kind) else INT


def _subtract(left: Nature, right: Nature) -> Nature | None:
    if agree(left, right, *_NUMBERS):
        return _wider(left, right)
    return _DIFFERENCES.get((left.kind, right.kind)) or _partly_known(left, right)


def _multiply(left: Nature, right: Nature) -> Nature | None:
    if agree(left, right, *_NUMBERS):
        return _wider(left, right)
    if agree(left, right, *_NUMBERS, DURATION.kind):
        is_known = not (left.is_unknown or right.is_unknown)
        return DURATION if is_known else UNKNOWN
    return None


def _add(left: Nature, right: Nature) -> Nature | None:
    if left.kind == right.kind == "string":
        return STRING
    if agree(left, right, *_NUMBERS):
        return _wider(left, right)
    if agree(left, right, "string"):
        return UNKNOWN
    return _SUMS.get((left.kind, right.kind)) or _partly_known(left, right)


def _partly_known(left: Nature, right: Nature) -> Nature | None:
    """A date or duration with something unknown."""
    is_partly = left.is_unknown or right.is_unknown
    return UNKNOWN if is_partly and agree(left, right, DATE.kind, DURATION.kind) else None


_NUMBERS = ("int", "long", "float")
_SUMS = {
    (DATE.kind, DURATION.kind): DATE,
    (DURATION.kind, DATE.kind): DATE,
    (DURATION.kind, DURATION.kind): DURATION,
}
_DIFFERENCES = {
    (DATE.kind, DATE.kind): DURATION,
    (DATE.kind, DURATION.kind): DATE,
    (DURATION.kind, DURATION.kind): DURATION,
}
_ORDERED = (_NUMBERS, ("string",), (DATE.kind,), (DURATION.kind,))


def _of(result: Nature, *kinds: str) -> Callable[[Nature, Nature], Nature | None]:
    return lambda left, right: result if agree(left, right, *kinds) else None


def _ordering(left: Nature, right: Nature) -> Nature | None:
    return BOOL if any(agree(left, right, *kinds) for kinds in _ORDERED) else None


def _equality(left: Nature, right: Nature) -> Nature | None:
    return BOOL if comparable(left, right) else None


def _membership(left: Nature, right: Nature) -> Nature | None:
    if right.kind in ("role", "map", DATE.kind, ZONE.kind):
        fitting = left.is_unknown or left.kind == "string"
    elif right.is_map:
        fitting = True
    elif right.is_list:
        # A zone is looked for among unlike things only, in the reference.
        fitting = comparable(left, right.item) and not left.kind == right.item.kind == ZONE.kind
    else:
        fitting = right.is_unknown or (left.is_unknown and right.kind == "string")
    return BOOL if fitting else None


def _coalesced(left: Nature, right: Nature) -> Nature:
    if left.kind == "nil":
        return right
    return left if right.kind == "nil" or fits(right, left) else UNKNOWN


_OPERATORS: dict[str, Callable[[Nature, Nature], Nature | None]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _of(FLOAT, *_NUMBERS),
    "**": _of(FLOAT, *_NUMBERS),
    "%": _of(INT, "int", "long"),
    "..": _of(list_of(INT), "int", "long"),
    "and": _of(BOOL, "bool"),
    "or": _of(BOOL, "bool"),
    "==": _equality,
    "!=": _equality,
    **dict.fromkeys(("<", ">", "<=", ">="), _ordering),
    **dict.fromkeys(("contains", "startsWith", "endsWith", "matches"), _of(BOOL, "string")),
    "in": _membership,
    "??": _coalesced,
}


def alternative(yes: Nature, no: Nature) -> Nature:
    """What is either of the two."""
    if yes.kind == "nil" or no.kind == "nil":
        return no if yes.kind == "nil" else yes
    if not fits(yes, no):
        return UNKNOWN
    if yes.is_list and no.is_list:
        one, other = yes.item, no.item
        if not (fits(one, other) and fits(other, one)):
            return LIST
    return yes


def list_of_items(items: Sequence[Nature]) -> Nature:
    """The nature of a list literal: all elements of the last one's nature, or anything."""
    if all(_family(one) == _family(other) for one, other in pairwise(items)):
        return list_of(items[-1]) if items else list_of(UNKNOWN)
    return LIST


def _family(nature: Nature) -> str:
    """What counts when the elements of a list are compared: all lists are alike, and all maps."""
    if nature.is_list or nature.is_map:
        return "list" if nature.is_list else "map"
    return _FAMILIES.get(nature.kind, nature.kind)


_FAMILIES = {"nil": "", MONTH.kind: "int", WEEKDAY.kind: "int", DURATION.kind: "long"}
"""Types that are made of others are like them."""


def member(base: Nature, key: Nature, name: str | None) -> Nature:
    """The nature of `base[key]`, where `name` is the key if it is a constant text.

    Raises `ExpressionError`."""
    if base.is_unknown:
        return UNKNOWN
    if base.is_map:
        if base.kind == "map" and not (key.is_unknown or key.kind == "string"):
            raise ExpressionError(f"a map is indexed by a string, not {key}")
        return base.item
    if base.is_list:
        if not (key.is_unknown or key.is_whole):
            raise ExpressionError(f"a list is indexed by an int, not {key}")
        return base.item
    if base.kind == "role" and name is not None:
        if name not in ("Name", "Path"):
            raise ExpressionError(f"a role has Name and Path, not {name}")
        return STRING
    if name is not None and base.kind in METHODS:
        return of_function(method_of(base.kind, name).of(None, name))
    if name is not None:
        raise ExpressionError(f"cannot read .{name} of {base}")
    raise ExpressionError(f"cannot index {base}")


# --- functions -----------------------------------------------------------------------------------

RESULTS = {
    "string": STRING, "int": INT, "bool": BOOL, "role": ROLE, "any": ANY, "unknown": ANY,
    "float": FLOAT, "long": LONG,
    **{nature.kind: nature for nature in (DATE, DURATION, MONTH, WEEKDAY, ZONE)},
}  # fmt: skip
_PARAMETERS: dict[type, Nature] = {
    str: STRING, int: INT, Date: DATE, Duration: DURATION, Zone: ZONE,
}  # fmt: skip


def of_function(function: Function) -> Nature:
    """The nature of a function that is known by name."""
    return Nature("func", None, function)


def check_call(function: Function, arguments: Sequence[Nature]) -> None:
    """Raise `ExpressionError` where a function cannot take these arguments."""
    parameters = function.parameters
    if parameters is None:
        return
    function.check_count(len(arguments))
    for argument, parameter in zip(arguments, parameters, strict=True):
        wanted = _PARAMETERS.get(parameter)
        if argument.is_unknown or parameter is object:
            continue
        if (argument.kind == "long" and wanted is INT) or (argument is NIL and wanted is ZONE):
            continue  # Refused when it is called.
        if argument.kind != (wanted.kind if wanted else "nil"):
            raise ExpressionError(f"{function.name} cannot take {argument}")
