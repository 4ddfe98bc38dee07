"""An expression as it runs: compiled pieces, and the frame of one evaluation.

`compilation` makes the pieces, `expression` runs them, `predicate` visits the elements of lists.
The frame counts what an evaluation does, so that no expression can keep the core busy or fill its
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, define, frozen

from aliecs.language.nature import Nature
from aliecs.language.value import ExpressionError, Function, LimitError, type_name

MOST_STEPS = 100_000
"""Elements that predicates may visit in one evaluation."""
MOST_WORK = 20_000_000
"""Characters and elements that one evaluation may go over or make."""
LIGHT = 64
"""What is smaller than this is not counted, since the step that made it is."""


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
    work_left: int = MOST_WORK

    def all_names(self) -> dict[str, Any]:
        """The value of `$env`."""
        return {**self.variables, **self.objects}

    def spend(self, amount: int) -> None:
        """Count some work. Raises `LimitError` when it was too much."""
        self.work_left -= amount
        if self.work_left < 0:
            raise LimitError("the expression makes or goes over too much")

    def weigh(self, *values: Any) -> None:
        """Count values that are gone over as a whole."""
        for value in values:
            if (type(value) is str or isinstance(value, list)) and len(value) > LIGHT:
                self.spend(len(value))

    def visit(self, code: Code, element: Any, position: int, accumulator: Any = None) -> Any:
        """Evaluate a predicate for one element of a list."""
        self.steps_left -= 1
        if self.steps_left < 0:
            raise LimitError(f"the expression takes more than {MOST_STEPS} steps")
        outer = self.element, self.index, self.accumulator
        self.element, self.index, self.accumulator = element, position, accumulator
        try:
            return code(self)
        finally:
            self.element, self.index, self.accumulator = outer


Code = Callable[[Frame], Any]


@frozen
class Constant:
    """A value that is known before anything runs."""

    value: Any


@frozen
class Part:
    """A piece of an expression, compiled."""

    nature: Nature
    run: Code
    constant: Constant | None = None
    """Only for numbers, texts and truth values."""
    walk: object = None
    """What `walking` knows of a call that goes over a list."""


@frozen
class TopCall:
    """An expression that is nothing but one call of a function: it may be answered later."""

    function: Code
    arguments: tuple[Code, ...]


def call(
    frame: Frame,
    function: Code,
    arguments: tuple[Code, ...],
    described: str,
    nil_is_zero: bool = False,
) -> Any:
    """Evaluate the arguments and a function, and call it."""
    values = [code(frame) for code in arguments]
    callee = function(frame)
    if not isinstance(callee, Function):
        what = "there is no such function" if callee is None else f"it is {type_name(callee)}"
        raise ExpressionError(f"cannot call {described}: {what}")
    frame.weigh(*values)
    if callee.work:
        characters = sum(len(value) for value in values if isinstance(value, str))
        frame.spend(callee.work * (1 + characters // 10))
    result = callee.invoke(frame.scope, values, nil_is_zero=nil_is_zero)
    frame.weigh(result)
    return result
