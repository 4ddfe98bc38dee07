"""The built-in functions of the `{{ }}` language, those of the reference's expression library.

These take values; `predicate` has those that go over a list with a predicate. Each says what it
takes twice: by `nature`, before anything runs, and again when it is called. A variable
of the same name does not hide a function, which in the reference breaks every template that calls
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from aliecs.language import collection, conversion, dating
from aliecs.language.nature import (
    ANY,
    ANY_MAP,
    BOOL,
    DATE,
    DURATION,
    FLOAT,
    INT,
    LIST,
    STRING,
    TEXTS,
    ZONE,
    Nature,
    fits,
    typed,
)
from aliecs.language.value import LONGEST_LIST, ExpressionError, Spend

_MANY = LONGEST_LIST
_WORDS = {"text": STRING, "int": INT, "any": ANY, "list": LIST, "texts": TEXTS}

Check = Callable[[Sequence[Nature]], Nature]
"""From the natures of arguments to that of the result. Raises `ExpressionError`."""


@frozen
class BuiltIn:
    """A function on values."""

    name: str
    call: Callable[..., Any]
    """Gets what counts its work, then the arguments."""
    fewest: int
    most: int
    check: Check
    with_zone: Callable[..., Any] | None = None
    """What is called instead where the first argument is known to be a zone."""

    def function(self, arguments: Sequence[Nature]) -> Callable[..., Any]:
        """What is called for arguments of these natures."""
        is_zone = bool(arguments) and arguments[0] is ZONE
        return self.with_zone if self.with_zone is not None and is_zone else self.call

    def check_count(self, count: int) -> None:
        """Raise `ExpressionError` where the number of arguments is wrong."""
        if not self.fewest <= count <= self.most:
            wanted = str(self.fewest)
            if self.most != self.fewest:
                wanted += f" to {self.most}" if self.most < LONGEST_LIST else " or more"
            raise ExpressionError(f"{self.name} takes {wanted} arguments, not {count}")

    def nature(self, arguments: Sequence[Nature]) -> Nature:
        """The nature of a call's result. Raises `ExpressionError`."""
        self.check_count(len(arguments))
        try:
            return self.check(arguments)
        except ExpressionError as error:
            raise ExpressionError(f"{self.name} {error.reason}") from error


# --- what arguments may be -----------------------------------------------------------------------


def _takes(argument: Nature, wanted: Nature) -> bool:
    if argument.is_unknown or wanted is ANY or (wanted is INT and argument.is_whole):
        return True
    return argument.kind != "nil" and fits(argument, wanted)


def _signatures(result: Nature, *signatures: str) -> Check:
    """One of several lists of parameters, each written as words with blanks between them."""
    all_parameters = [[_WORDS[word] for word in signature.split()] for signature in signatures]

    def check(arguments: Sequence[Nature]) -> Nature:
        for parameters in all_parameters:
            if len(parameters) == len(arguments) and all(map(_takes, arguments, parameters)):
                return result
        given = ", ".join(map(str, arguments))
        raise ExpressionError(f"cannot take {given}")

    return check


def _first_is(kinds: str, result: Callable[[Nature], Nature]) -> Check:
    """Something about the first argument alone; `number` and `list` and `map` are families."""
    allowed = kinds.split()

    def check(arguments: Sequence[Nature]) -> Nature:
        _demand(arguments[0], allowed)
        return result(arguments[0])

    return check


def _demand(argument: Nature, allowed: Sequence[str]) -> None:
    family = "number" if argument.is_number else "list" if argument.is_list else argument.kind
    family = "map" if argument.is_map else family
    family = "number" if argument.is_named_number else family
    if not argument.is_unknown and family not in allowed:
        raise ExpressionError(f"cannot take {argument}")


def _always(result: Nature) -> Callable[[Nature], Nature]:
    return lambda _: result


def _element(argument: Nature) -> Nature:
    return STRING if argument.kind == "texts" else ANY


def _aggregated(arguments: Sequence[Nature]) -> Nature:
    """Numbers and lists of numbers; what follows a list is not looked at before it runs."""
    for argument in arguments:
        if argument.is_unknown or argument.is_list:
            return ANY
        _demand(argument, ["number"])
    return arguments[0]


def _lists(arguments: Sequence[Nature]) -> Nature:
    for argument in arguments:
        _demand(argument, ["list"])
    return LIST


def _taken(arguments: Sequence[Nature]) -> Nature:
    _demand(arguments[0], ["list"])
    count = arguments[1]
    if not (count.is_unknown or count.is_whole or count.is_named_number):
        raise ExpressionError(f"cannot take {count} elements")
    return typed(arguments[0])


def _gotten(arguments: Sequence[Nature]) -> Nature:
    base, key = arguments
    if base.is_unknown:
        return Nature("")
    if base.is_list and (key.is_unknown or key.is_whole):
        return base.item
    if base.is_map and (base.kind != "map" or key.is_unknown or key.kind == "string"):
        return base.item
    raise ExpressionError(f"cannot take {base} and {key}")


def _dated(arguments: Sequence[Nature]) -> Nature:
    """What is no text is found out when it runs."""
    if len(arguments) > (4 if arguments[0] is ZONE else 3):
        raise ExpressionError(f"takes at most 3 arguments, not {len(arguments)}")
    return DATE


def _timed(arguments: Sequence[Nature]) -> Nature:
    if arguments and arguments[0] is not ZONE:
        raise ExpressionError(f"cannot take {arguments[0]}")
    return DATE


# --- the functions -------------------------------------------------------------------------------


def _of_texts(
    name: str, function: Callable[..., Any], result: Nature, fewest: int, most: int
) -> BuiltIn:
    """A function all of whose arguments are texts."""

    def call(_: Spend, *texts: Any) -> Any:
        return function(*(conversion.text(name, text) for text in texts))

    signatures = (" ".join(["text"] * count) for count in range(fewest, most + 1))
    return BuiltIn(name, call, fewest, most, _signatures(result, *signatures))


def _of_bits(name: str, function: Callable[[int, int], int]) -> BuiltIn:
    def call(_: Spend, left: Any, right: Any) -> int:
        value = function(conversion.integer(name, left), conversion.integer(name, right))
        # 64-bit two's complement, as the reference computes.
        return (value + 2**63) % 2**64 - 2**63

    return BuiltIn(name, call, 2, 2, _signatures(INT, "int int"))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does no work worth counting."""
    return lambda _, *arguments: function(*arguments)


def _one(name: str, function: Callable[..., Any], check: Check) -> BuiltIn:
    """A function of one argument, which it gets alone."""
    return BuiltIn(name, _plain(function), 1, 1, check)


_TEXT_AND_COUNT = ("text text", "text text int")
_SORTABLE = ("list text", "texts text", "list", "texts")
_JOINED = ("list text", "texts text", "list", "texts")


BUILT_INS: Mapping[str, BuiltIn] = {
    f.name: f
    for f in (
        _one("len", collection.length, _first_is("list map string", _always(INT))),
        _one("type", conversion.named_type, _signatures(STRING, "any")),
        _one("abs", conversion.absolute, _first_is("number", typed)),
        _one("ceil", conversion.ceil, _first_is("number", _always(FLOAT))),
        _one("floor", conversion.floor, _first_is("number", _always(FLOAT))),
        _one("round", conversion.rounded, _first_is("number", _always(FLOAT))),
        _one("int", conversion.to_int, _first_is("number string", _always(INT))),
        _one("float", conversion.to_float, _first_is("number string", _always(FLOAT))),
        _one("string", conversion.to_string, _signatures(STRING, "any")),
        _of_texts("trim", conversion.trim, STRING, 1, 2),
        _of_texts("trimPrefix", conversion.trim_prefix, STRING, 1, 2),
        _of_texts("trimSuffix", conversion.trim_suffix, STRING, 1, 2),
        _of_texts("upper", conversion.upper, STRING, 1, 1),
        _of_texts("lower", conversion.lower, STRING, 1, 1),
        _of_texts("indexOf", conversion.index_of, INT, 2, 2),
        _of_texts("lastIndexOf", conversion.last_index_of, INT, 2, 2),
        _of_texts("hasPrefix", str.startswith, BOOL, 2, 2),
        _of_texts("hasSuffix", str.endswith, BOOL, 2, 2),
        _of_texts("toBase64", conversion.to_base64, STRING, 1, 1),
        _of_texts("fromBase64", conversion.from_base64, STRING, 1, 1),
        _of_texts("fromJSON", conversion.from_json_text, ANY, 1, 1),
        _one("toJSON", conversion.to_json_text, _signatures(STRING, "any")),
        BuiltIn("now", dating.now, 0, 1, _timed, dating.now_in),
        BuiltIn("date", dating.date, 1, 4, _dated, dating.date_in),
        BuiltIn("duration", dating.duration, 1, 1, _signatures(DURATION, "text")),
        _of_texts("timezone", dating.timezone, ZONE, 1, 1),
        BuiltIn("split", _plain(conversion.split), 2, 3, _signatures(TEXTS, *_TEXT_AND_COUNT)),
        BuiltIn("splitAfter", _plain(conversion.split_after), 2, 3,
                _signatures(TEXTS, *_TEXT_AND_COUNT)),
        BuiltIn("replace", _plain(conversion.replace), 3, 4,
                _signatures(STRING, "text text text", "text text text int")),
        BuiltIn("repeat", _plain(conversion.repeat), 2, 2, _signatures(STRING, "text int")),
        BuiltIn("join", _plain(conversion.join), 1, 2, _signatures(STRING, *_JOINED)),
        BuiltIn("max", collection.greatest, 1, _MANY, _aggregated),
        BuiltIn("min", collection.least, 1, _MANY, _aggregated),
        BuiltIn("mean", collection.mean, 1, _MANY, _aggregated),
        BuiltIn("median", collection.median, 1, _MANY, _aggregated),
        _one("first", collection.first, _first_is("list", _element)),
        _one("last", collection.last, _first_is("list", _element)),
        BuiltIn("get", _plain(collection.get), 2, 2, _gotten),
        BuiltIn("take", _plain(collection.take), 2, 2, _taken),
        _one("keys", collection.keys, _first_is("map", _always(LIST))),
        _one("values", collection.values, _first_is("map", _always(LIST))),
        _one("toPairs", collection.to_pairs, _first_is("map", _always(LIST))),
        _one("fromPairs", collection.from_pairs, _first_is("list", _always(ANY_MAP))),
        _one("reverse", collection.reverse, _first_is("list", _always(LIST))),
        BuiltIn("uniq", collection.unique, 1, 1, _lists),
        BuiltIn("concat", collection.concat, 1, _MANY, _lists),
        BuiltIn("flatten", collection.flatten, 1, 1, _lists),
        BuiltIn("sort", _plain(collection.sort), 1, 2, _signatures(LIST, *_SORTABLE)),
        _of_bits("bitand", lambda left, right: left & right),
        _of_bits("bitor", lambda left, right: left | right),
        _of_bits("bitxor", lambda left, right: left ^ right),
        _of_bits("bitnand", lambda left, right: left & ~right),
        _of_bits("bitshl", lambda left, count: left << conversion.shift(count)),
        _of_bits("bitshr", lambda left, count: left >> conversion.shift(count)),
        _of_bits("bitushr", lambda left, count: (left % 2**64) >> conversion.shift(count)),
        _one("bitnot", lambda value: ~conversion.integer("bitnot", value), _signatures(INT, "int")),
    )
}  # fmt: skip
"""Functions on values, by name."""
