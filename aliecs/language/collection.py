"""Built-in functions of the `{{ }}` language on lists and maps, for the table in `builtin`.

Each raises `ExpressionError` for a value that it cannot take. Go's maps have no order: here keys
are sorted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aliecs.language.conversion import number
from aliecs.language.date import NAMED_NUMBERS, Duration
from aliecs.language.members import cut, leaves, member
from aliecs.language.sorting import ordered
from aliecs.language.value import (
    ELEMENT_WORK,
    LONGEST_LIST,
    TIME_TYPES,
    AnyMap,
    ExpressionError,
    LimitError,
    Long,
    Namespace,
    NilList,
    Pair,
    PairList,
    RoleView,
    Spend,
    equal,
    is_number,
    type_name,
)

_MOST_COMPARED = 1000
"""Different elements that `uniq` keeps where they have to be compared one by one."""


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ExpressionError(f"{name} takes a list, not {type_name(value)}")
    return value


def _pairs(name: str, value: Any) -> list[tuple[Any, Any]]:
    """Keys and values of a map."""
    if isinstance(value, AnyMap):
        return value.items()
    if isinstance(value, Namespace):
        return sorted(value.members.items())
    if isinstance(value, dict):
        return sorted(value.items())
    raise ExpressionError(f"{name} takes a map, not {type_name(value)}")


def length(value: Any) -> int:
    """len()"""
    if isinstance(value, (str, list, dict, AnyMap)):
        return len(value)
    if isinstance(value, Namespace):
        return len(value.members)
    raise ExpressionError(f"len takes a string, list or map, not {type_name(value)}")


# --- numbers -------------------------------------------------------------------------------------


def greatest(spend: Spend, *values: Any) -> Any:
    """max()"""
    return _extreme("max", spend, values)


def least(spend: Spend, *values: Any) -> Any:
    """min()"""
    return _extreme("min", spend, values)


def _extreme(name: str, spend: Spend, values: tuple[Any, ...], *, is_nested: bool = False) -> Any:
    """The extreme of numbers and of lists of numbers; a lone value of another type is itself."""
    if len(values) == 1 and not isinstance(values[0], list) and not is_number(values[0]):
        return values[0]
    spend(ELEMENT_WORK * (30 + len(values)))
    found: Any = None
    for value in values:
        candidate = value
        if isinstance(value, list):
            if not value:
                continue
            candidate = _extreme_of_list(name, spend, value)
        if type(candidate) is not Duration or is_nested:
            candidate = number(name, candidate)
        kinds = {type(candidate), type(found)}
        if found is not None and len(kinds) > 1 and Duration in kinds:
            raise ExpressionError(f"{name} takes numbers or durations, not both")
        if found is None or (found < candidate if name == "max" else found > candidate):
            found = candidate
    return found


def _extreme_of_list(name: str, spend: Spend, items: list[Any]) -> Any:
    for item in items:
        if isinstance(item, list) and not item:
            raise ExpressionError(f"{name} takes numbers, and a list in a list is empty")
    values = (*items, items[0]) if len(items) == 1 else tuple(items)
    return _extreme(name, spend, values, is_nested=True)


def mean(spend: Spend, *values: Any) -> float:
    """mean(), 0 of nothing."""
    numbers = _numbers("mean", spend, values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def median(spend: Spend, *values: Any) -> float:
    """median(), 0 of nothing."""
    numbers = sorted(_numbers("median", spend, values))
    if not numbers:
        return 0.0
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


def _numbers(name: str, spend: Spend, values: tuple[Any, ...]) -> list[float]:
    return [
        float(value.number if type(value) in NAMED_NUMBERS else number(name, value))
        for value in leaves(values, spend)
    ]


# --- parts ---------------------------------------------------------------------------------------


def first(items: Any) -> Any:
    """first(): nil where there is none."""
    return _or_nil(items, 0)


def last(items: Any) -> Any:
    """last(): nil where there is none."""
    return _or_nil(items, -1)


def _or_nil(container: Any, key: Any) -> Any:
    try:
        return member(container, key)
    except ExpressionError:
        return None


def get(container: Any, key: Any) -> Any:
    """get(): nil where there is no such element; a key of the wrong type is an error."""
    if isinstance(container, (list, str)):
        number("get", key)
        return _or_nil(container, key)
    if isinstance(container, RoleView) or type(container) in TIME_TYPES:
        if not isinstance(key, str):
            what = type_name(container)
            raise ExpressionError(f"a {what} is indexed by a string, not {type_name(key)}")
        return _or_nil(container, key)
    if isinstance(container, (dict, AnyMap, Namespace)):
        return member(container, key)
    return None


def take(items: Any, count: Any) -> Any:
    """take()"""
    if type(count) in NAMED_NUMBERS:
        count = count.number
    if type(count) not in (int, Long) or count < 0:
        raise ExpressionError("take takes a count of zero or more")
    return cut(_list("take", items), 0, count)


def keys(mapping: Any) -> list[Any]:
    """keys()"""
    return [key for key, _ in _pairs("keys", mapping)]


def values(mapping: Any) -> list[Any]:
    """values()"""
    return [value for _, value in _pairs("values", mapping)]


def to_pairs(mapping: Any) -> PairList:
    """toPairs()"""
    return PairList(Pair(pair) for pair in _pairs("toPairs", mapping))


def from_pairs(pairs: Any) -> AnyMap:
    """fromPairs()"""
    result = AnyMap()
    for pair in _list("fromPairs", pairs):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ExpressionError("fromPairs takes a list of pairs")
        result.put(pair[0], pair[1])
    return result


# --- lists ---------------------------------------------------------------------------------------


def reverse(items: Any) -> list[Any]:
    """reverse()"""
    return list(reversed(_list("reverse", items)))


def unique(spend: Spend, items: Any) -> list[Any]:
    """uniq()"""
    scalars: set[tuple[bool, Any]] = set()
    others: list[Any] = []
    result: list[Any] = []
    for item in _list("uniq", items):
        if isinstance(item, (str, bool, int, float)):
            # Numbers are equal by value, and never to a truth value.
            key = (isinstance(item, bool), item)
            if key not in scalars:
                scalars.add(key)
                result.append(item)
        elif not any(equal(item, known, spend) for known in others):
            if len(others) >= _MOST_COMPARED:
                raise LimitError(f"uniq of more than {_MOST_COMPARED} different lists or maps")
            spend(ELEMENT_WORK * (30 + len(others)))
            others.append(item)
            result.append(item)
    return result


def concat(spend: Spend, *lists: Any) -> list[Any]:
    """concat()"""
    total = sum(len(_list("concat", items)) for items in lists)
    if total > LONGEST_LIST:
        raise LimitError(f"a list of more than {LONGEST_LIST} elements")
    return [item for items in lists for item in items] if total else NilList()


def flatten(spend: Spend, items: Any) -> list[Any]:
    """flatten()"""
    result: list[Any] = []
    found: Iterator[Any] = leaves(_list("flatten", items), spend)
    for item in found:
        if len(result) >= LONGEST_LIST:
            raise LimitError(f"a list of more than {LONGEST_LIST} elements")
        result.append(item)
    return result


def sort(items: Any, order: Any = "asc") -> list[Any]:
    """sort(): nil, and what is no list of values, gives the list that was never made."""
    is_sortable = isinstance(items, list) and not isinstance(items, (NilList, PairList, Pair))
    result = ordered("sort", ((item, item) for item in items) if is_sortable else (), order)
    return result if is_sortable else NilList()


__all__ = [
    "concat", "first", "flatten", "from_pairs", "get", "greatest", "keys", "last", "least",
    "length", "mean", "median", "reverse", "sort", "take", "to_pairs", "unique", "values",
]  # fmt: skip
