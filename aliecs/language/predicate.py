"""The built-in functions of the `{{ }}` language that go over a list with a predicate.

`filter(hosts, # startsWith "flp")`: the predicate is compiled code that is run for each element,
with `#`, `#index` and `#acc` set by the evaluation's frame, which also counts the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import frozen

from aliecs.language.builtin import number, ordered
from aliecs.language.value import ExpressionError, checked_integer, go_text, type_name


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

    def tests(self) -> Iterator[bool]:
        """The predicate's value for each element, which must be a bool."""
        for value in self.values():
            if not isinstance(value, bool):
                raise ExpressionError(f"a predicate must be a bool, not {type_name(value)}")
            yield value

    def matching(self) -> Iterator[tuple[int, Any]]:
        """Positions and elements for which the predicate is true."""
        for position, (item, test) in enumerate(zip(self.items, self.tests(), strict=True)):
            if test:
                yield position, item

    def reduced(self, initial: Any) -> Any:
        """The elements folded into one value."""
        items = list(enumerate(self.items))
        if initial is None:
            if not items:
                raise ExpressionError("reduce of an empty list needs a third argument")
            initial = items.pop(0)[1]
        for position, item in items:
            initial = self.frame.visit(self.code, item, position, initial)
        return initial


@frozen
class Predicate:
    """A function that goes over a list with a predicate."""

    name: str
    call: Callable[[Elements, Any], Any]
    result: str = "unknown"
    needs_predicate: bool = True
    takes_last: bool = False

    def check(self, has_predicate: bool, has_last: bool) -> None:
        """Raise `ExpressionError` where arguments are missing or too many."""
        if self.needs_predicate and not has_predicate:
            raise ExpressionError(f"{self.name} needs a predicate")
        if has_last and not self.takes_last:
            raise ExpressionError(f"{self.name} takes a list and a predicate")


def _sum(elements: Elements, _: Any) -> Any:
    total = 0
    for value in elements.values():
        total += number("sum", value)
    return checked_integer(total) if type(total) is int else total


def _sort_by(elements: Elements, order: Any) -> list[Any]:
    return ordered("sortBy", list(zip(elements.values(), elements.items, strict=True)), order)


def _group_by(elements: Elements, _: Any) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for key, item in zip(elements.values(), elements.items, strict=True):
        groups.setdefault(go_text(key), []).append(item)
    return groups


PREDICATES: Mapping[str, Predicate] = {
    p.name: p
    for p in (
        Predicate("all", lambda e, _: all(e.tests()), "bool"),
        Predicate("any", lambda e, _: any(e.tests()), "bool"),
        Predicate("none", lambda e, _: not any(e.tests()), "bool"),
        Predicate("one", lambda e, _: sum(e.tests()) == 1, "bool"),
        Predicate("filter", lambda e, _: [item for _, item in e.matching()], "array"),
        Predicate("map", lambda e, _: list(e.values()), "array"),
        Predicate("find", lambda e, _: next((item for _, item in e.matching()), None)),
        Predicate("findIndex", lambda e, _: next((at for at, _ in e.matching()), -1), "int"),
        Predicate("findLast", lambda e, _: ([None] + [item for _, item in e.matching()])[-1]),
        Predicate(
            "findLastIndex", lambda e, _: max((at for at, _ in e.matching()), default=-1), "int"
        ),
        Predicate("count", lambda e, _: sum(e.tests()), "int", needs_predicate=False),
        Predicate("sum", _sum, needs_predicate=False),
        Predicate("groupBy", _group_by, "map"),
        Predicate("sortBy", _sort_by, "array", takes_last=True),
        Predicate("reduce", lambda e, initial: e.reduced(initial), takes_last=True),
    )
}
"""Functions with a predicate, by name."""
