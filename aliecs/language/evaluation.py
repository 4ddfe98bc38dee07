"""An expression as it runs: compiled pieces, and the frame of one evaluation.

`compilation` makes the pieces, `expression` runs them, `predicate` visits the elements of lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, define, frozen

from aliecs.language.value import ExpressionError, Function, type_name

MOST_STEPS = 100_000
"""Elements that predicates may visit in one evaluation."""
UNKNOWN = "unknown"
"""The type of a value that only running will tell."""


@define
class Frame:
    """One evaluation under way."""

    variables: Mapping[str, str]
    objects: Mapping[str, Any]
    """Functions and namespaces; they hide variables of the same name."""
    scope: Any
    """Handed to the functions that are called."""
    names: dict[str, Any] = Factory(dict)
    """Values given by `let`."""
    element: Any = None
    index: int = 0
    accumulator: Any = None
    steps_left: int = MOST_STEPS

    def all_names(self) -> dict[str, Any]:
        """The value of `$env`."""
        return {**self.variables, **self.objects}

    def visit(self, code: Code, element: Any, position: int, accumulator: Any = None) -> Any:
        """Evaluate a predicate for one element of a list."""
        self.steps_left -= 1
        if self.steps_left < 0:
            raise ExpressionError(f"the expression takes more than {MOST_STEPS} steps")
        outer = self.element, self.index, self.accumulator
        self.element, self.index, self.accumulator = element, position, accumulator
        try:
            return code(self)
        finally:
            self.element, self.index, self.accumulator = outer


Code = Callable[[Frame], Any]


@frozen
class Part:
    """A piece of an expression, compiled."""

    type: str
    """What is known of its value: a name as `type_name` gives it, or `unknown`; a list whose
    elements are all of one known type is `array of <type>`."""
    run: Code


@frozen
class TopCall:
    """An expression that is nothing but one call of a function: it may be answered later."""

    function: Code
    arguments: tuple[Code, ...]


def call(frame: Frame, function: Code, arguments: tuple[Code, ...], described: str) -> Any:
    """Evaluate a function and its arguments, and call it."""
    callee = function(frame)
    if not isinstance(callee, Function):
        what = "there is no such function" if callee is None else f"it is {type_name(callee)}"
        raise ExpressionError(f"cannot call {described}: {what}")
    return callee.invoke(frame.scope, [code(frame) for code in arguments])


def applied(function: Callable[[Any, Any], Any], first: Code, second: Code) -> Code:
    return lambda frame: function(first(frame), second(frame))


def demand(part: Part, allowed: tuple[str, ...], complaint: str) -> None:
    if part.type not in allowed:
        raise ExpressionError(f"{complaint} {part.type}")


def element_type(kind: str) -> str:
    return kind.removeprefix("array of ") if kind.startswith("array of ") else UNKNOWN
