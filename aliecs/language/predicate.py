"""The built-in functions of the `{{ }}` language that go over a list with a predicate.

`builtin` has those that only take values. The element at hand is in the frame of the evaluation,
which also counts the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import frozen

from aliecs.language import operation
from aliecs.language.nature import BOOL, GROUPS, INT, LIST, UNKNOWN, Nature, list_of, typed
from aliecs.language.sorting import ordered
from aliecs.language.value import AnyMap, ExpressionError, type_name


@frozen
class Elements:
    """A list and what a predicate says of its elements."""

    frame: Any
    items: list[Any]
    code: Callable[[Any], Any] | None

    def values(self) -> Iterator[Any]:
        """The predicate's value for each element; the element itself where there is none."""
        for position, item in enumerate(self.items):
            yield item if self.code is None else self.frame.visit(self.code, item, position)

    def tests(self, *, backwards: bool = False) -> Iterator[tuple[int, Any, bool]]:
        """Position, element, and the predicate's value for it, which must be a bool."""
        positions = range(len(self.items))
        for position in reversed(positions) if backwards else positions:
            item = self.items[position]
            value = item
            if self.code is not None:
                value = self.frame.visit(self.code, item, position)
            if not isinstance(value, bool):
                raise ExpressionError(f"a predicate must be a bool, not {type_name(value)}")
            yield position, item, value

    def reduced(self, has_initial: bool, initial: Any) -> Any:
        """The elements folded into one value."""
        begin = 0
        if not has_initial:
            if not self.items:
                raise ExpressionError("reduce of an empty list needs a third argument")
            initial, begin = self.items[0], 1
        for position in range(begin, len(self.items)):
            item = self.items[position]
            initial = self.frame.visit(self.code, item, position, initial)
        return initial


def _found(elements: Elements, *, backwards: bool = False) -> tuple[int, Any] | None:
    for position, item, test in elements.tests(backwards=backwards):
        if test:
            return position, item
    return None


def _position(found: tuple[int, Any] | None) -> int | None:
    return None if found is None else found[0]


def _element(found: tuple[int, Any] | None) -> Any:
    return None if found is None else found[1]


def _count(elements: Elements, *_: Any) -> int:
    return sum(test for _, _, test in elements.tests())


def _sum(elements: Elements, *_: Any) -> Any:
    total: Any = 0
    for value in elements.values():
        total = operation.add(value, total)
    return total


def _sort_by(elements: Elements, has_order: bool, order: Any) -> list[Any]:
    if not has_order:
        order = "asc"
    return ordered("sortBy", zip(elements.values(), elements.items, strict=True), order)


def _group_by(elements: Elements, *_: Any) -> AnyMap:
    groups = AnyMap(holds_lists=True)
    for key, item in zip(elements.values(), elements.items, strict=True):
        if key not in groups:
            groups.put(key, [])
        groups.get(key).append(item)
    return groups


@frozen
class Predicate:
    """A function that goes over a list with a predicate."""

    name: str
    call: Callable[[Elements, bool, Any], Any]
    """Gets the elements, whether there is a last argument, and that one."""
    result: Callable[[Nature, Nature], Nature]
    """From the natures of the list and of what the predicate yields."""
    needs_bool: bool = False
    pointers: tuple[str, ...] = ()
    """What its predicate may point at beside the element."""

    def nature(self, subject: Nature, yielded: Nature | None) -> Nature:
        """What a call yields. Raises `ExpressionError`."""
        if not (subject.is_list or subject.is_unknown):
            raise ExpressionError(f"{self.name} takes a list, not {subject}")
        if yielded is None:
            return INT if self.name == "count" else _an_element(subject, UNKNOWN)
        if yielded.kind == "nil":
            raise ExpressionError(f"the predicate of {self.name} yields nil")
        if self.needs_bool and not (yielded.is_unknown or yielded.kind == "bool"):
            raise ExpressionError(f"the predicate of {self.name} must be a bool, not {yielded}")
        return self.result(subject, yielded)


def _an_element(subject: Nature, yielded: Nature) -> Nature:
    return subject.item if subject.is_list else UNKNOWN


def _a_bool(subject: Nature, yielded: Nature) -> Nature:
    return BOOL


def _an_int(subject: Nature, yielded: Nature) -> Nature:
    return INT


def _some(subject: Nature, yielded: Nature) -> Nature:
    return list_of(subject.item) if subject.is_list else LIST


PREDICATES: Mapping[str, Predicate] = {
    p.name: p
    for p in (
        Predicate("all", lambda e, *_: all(t for _, _, t in e.tests()), _a_bool, True),
        Predicate("any", lambda e, *_: any(t for _, _, t in e.tests()), _a_bool, True),
        Predicate("none", lambda e, *_: not any(t for _, _, t in e.tests()), _a_bool, True),
        Predicate("one", lambda e, *_: _count(e) == 1, _a_bool, True),
        Predicate("filter", lambda e, *_: [i for _, i, t in e.tests() if t], _some, True),
        Predicate("map", lambda e, *_: list(e.values()), lambda _, y: list_of(y),
                  pointers=("index",)),
        Predicate("find", lambda e, *_: _element(_found(e)), _an_element, True),
        Predicate("findIndex", lambda e, *_: _position(_found(e)), _an_int, True),
        Predicate("findLast", lambda e, *_: _element(_found(e, backwards=True)), _an_element, True),
        Predicate("findLastIndex", lambda e, *_: _position(_found(e, backwards=True)), _an_int,
                  True),
        Predicate("count", _count, _an_int, True),
        Predicate("sum", _sum, lambda s, y: typed(y)),
        Predicate("groupBy", _group_by, lambda s, y: GROUPS),
        Predicate("sortBy", _sort_by, lambda s, y: s),
        Predicate("reduce", lambda e, has, initial: e.reduced(has, initial), lambda s, y: y,
                  pointers=("index", "acc")),
    )
}  # fmt: skip
"""Functions with a predicate, by name."""
