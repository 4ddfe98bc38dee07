"""The functions of the `{{ }}` language that need nothing from outside: strings, json, uid, util.

Facts of the reference: names, arguments, what odd input gives. Each function takes the scope of the
evaluation first. `functions` puts them into a library, under these namespaces and under the bare
names that old templates use.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any

from aliecs.errors import AliecsError, InvalidInput
from aliecs.language.casing import lower, trimmed, upper
from aliecs.language.conversion import integer_of
from aliecs.language.printing import from_json, go_text, to_json
from aliecs.language.value import ExpressionError, Function, LimitError, Namespace, TextList

_TRUE_WORDS = frozenset({"true", "yes", "y", "1", "on", "ok"})
_FALSE_WORDS = frozenset({"", "false", "no", "n", "0", "off", "none"})


def is_truthy(text: str) -> bool:
    """Whether a variable's text says yes."""
    return lower(trimmed(text)) in _TRUE_WORDS


def is_falsy(text: str) -> bool:
    """Whether a variable's text says no, or nothing."""
    return lower(trimmed(text)) in _FALSE_WORDS


def _atoi(scope: Any, text: str) -> int:
    value = integer_of(text)
    if value is None:
        scope.warn(f"Atoi: {text!r} is not an integer, 0 is taken")
        return 0
    return value


def _unmarshal(scope: Any, text: str) -> Any:
    try:
        return from_json(text)
    except ValueError as error:
        scope.warn(f"json.Unmarshal: {text[:100]!r} is not JSON ({error}), nil is taken")
        return None


def _marshal(scope: Any, value: Any) -> str:
    try:
        return to_json(value)
    except LimitError:
        raise
    except ExpressionError as error:
        scope.warn(f"json.Marshal: {error.reason}; an empty text is taken")
        return ""


def _sort(scope: Any, value: Any) -> Any:
    if type(value) is not list:
        return value
    texts = sorted((go_text(item) for item in value), key=str.encode)
    return TextList(texts)


def _new_id(scope: Any) -> str:
    identifier: str = scope.ask("uid.New").new_id()
    return identifier


def _prefixed_override(scope: Any, name: str, prefix: str) -> str:
    for candidate in (f"{prefix}_{name}", name):
        value: str = scope.variables.get(candidate, "")
        if value != "none" and trimmed(value):
            return value
    return ""


def _suffix_in_range(scope: Any, text: str, prefix: str, least: str, most: str) -> str:
    bounds = integer_of(least), integer_of(most)
    if bounds[0] is None or bounds[1] is None:
        scope.warn(f"SuffixInRange: {least!r} to {most!r} is not a range of integers")
        return "false"
    if not prefix or not text.startswith(prefix):
        return "false"
    number = integer_of(text.removeprefix(prefix))
    return "true" if number is not None and bounds[0] <= number <= bounds[1] else "false"


def _nullable(scope: Any, value: None) -> str:
    return ""


def _dump(scope: Any, text: str, name: str) -> str:
    """Write a text where the operator allows it; without such a place only the text passes."""
    try:
        if scope.dump is None:
            raise InvalidInput("no folder is set for it")
        scope.dump(name, text)
    except (AliecsError, OSError) as error:
        scope.warn(f"Dump: {name!r} is not written: {error}")
    return text


_STRINGS = (
    Function("Atoi", _atoi, (str,), "int", nil_is_zero=False),
    Function("Itoa", lambda scope, number: str(number), (int,), "string", nil_is_zero=False),
    Function("TrimQuotes", lambda scope, text: text.strip('"'), (str,), "string", False),
    Function("TrimSpace", lambda scope, text: trimmed(text), (str,), "string", False),
    Function("ToUpper", lambda scope, text: upper(text), (str,), "string", False),
    Function("ToLower", lambda scope, text: lower(text), (str,), "string", False),
    Function("IsTruthy", lambda scope, text: is_truthy(text), (str,), "bool", False),
    Function("IsFalsy", lambda scope, text: is_falsy(text), (str,), "bool", False),
)
_UTIL = (
    Function("PrefixedOverride", _prefixed_override, (str, str), "string", False),
    Function("Dump", _dump, (str, str), "string", False),
    Function("Nullable", _nullable, (NoneType,), "string"),
    Function("SuffixInRange", _suffix_in_range, (str, str, str, str), "string"),
)
_UNMARSHAL = Function("FromJson", _unmarshal, (str,), "any")
_MARSHAL = Function("ToJson", _marshal, (object,), "string")
_NEW_ID = Function("NewID", _new_id, (), "string")

BARE: Mapping[str, Function] = {
    f.name: f for f in (*_STRINGS, *_UTIL, _UNMARSHAL, _MARSHAL, _NEW_ID)
}
"""The bare names of old templates. Some of these refuse nil where their namesakes take it."""


def _namespace(name: str, functions: Mapping[str, Function]) -> Namespace:
    # Inside a namespace nil counts as zero, and nothing is known of the result beforehand.
    return Namespace(
        name,
        {
            member: Function(f"{name}.{member}", f.call, f.parameters)
            for member, f in functions.items()
        },
    )


NAMESPACES: Mapping[str, Namespace] = {
    "strings": _namespace("strings", {f.name: f for f in _STRINGS}),
    "util": _namespace("util", {f.name: f for f in _UTIL}),
    "uid": _namespace("uid", {"New": _NEW_ID}),
    "json": _namespace(
        "json",
        {
            "Unmarshal": _UNMARSHAL,
            "Deserialize": _UNMARSHAL,
            "Marshal": _MARSHAL,
            "Serialize": _MARSHAL,
            "Sort": Function("Sort", _sort, (object,)),
        },
    ),
}
