"""The operators of a parsed expression -> parts: natures, constants, closures.

Constants are computed here and not when the expression runs, which in the reference changes what
some expressions mean: `x and true` is `x`, whatever that is. Called by `compilation`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aliecs.language import nature as natures
from aliecs.language import operation
from aliecs.language.evaluation import Code, Constant, Frame, Part
from aliecs.language.nature import BOOL, FLOAT, INT, STRING, UNKNOWN, Nature
from aliecs.language.parsing import ORDERINGS
from aliecs.language.syntax import Binary, ListOf, Literal
from aliecs.language.value import (
    ExpressionError,
    NilList,
    contains,
    equal,
    looked_through,
    type_name,
)

Checked = Callable[[Callable[[], Nature]], Nature]
"""Runs a check of natures; where its failure may wait, the nature is unknown."""

_KINDS = {bool: BOOL, int: INT, float: FLOAT, str: STRING}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operation.add,
    "-": operation.subtract,
    "*": operation.multiply,
    "/": operation.divide,
    "%": operation.remainder,
    "**": operation.power,
}
_COMPILE_WORK = 50_000
"""What it counts to compile a regular expression that is not known before."""


def constant_part(value: Any) -> Part:
    """A part that is always this number, text or truth value."""
    return Part(_KINDS[type(value)], lambda frame: value, Constant(value))


def make_unary(operator: str, operand: Part, checked: Checked) -> Part:
    """`not x`, `-x`, `+x`. Raises `ExpressionError`."""
    known = operand.nature
    wanted = ("bool",) if operator == "not" else ("int", "long", "float")

    def check() -> Nature:
        if not (known.is_unknown or known.kind in wanted):
            noun = "needs a bool, not" if operator == "not" else "cannot take"
            raise ExpressionError(f"'{operator}' {noun} {known}")
        if operator == "not":
            return BOOL
        return UNKNOWN if known.is_unknown else known

    nature = checked(check)
    run = operand.run
    if operand.constant is not None:
        value = operand.constant.value
        if operator == "not" and isinstance(value, bool):
            return constant_part(not value)
        if operator != "not" and type(value) in (int, float):
            return constant_part(operation.minus(value) if operator == "-" else value)
    if operator == "+":
        return Part(nature, run)
    if operator == "-":
        return Part(nature, lambda frame: operation.minus(run(frame)))
    return Part(nature, lambda frame: not _truth(run(frame), "'not'"))


def _truth(value: Any, user: str) -> bool:
    if isinstance(value, bool):
        return value
    raise ExpressionError(f"{user} needs a bool, not {type_name(value)}")


def make_binary(node: Binary, left: Part, right: Part, checked: Checked) -> Part:
    """An operator between two operands. Raises `ExpressionError`."""
    operator = node.operator

    def check() -> Nature:
        nature = natures.binary(operator, left.nature, right.nature)
        if nature is None:
            raise _unfit(operator, left.nature, right.nature)
        return nature

    nature = checked(check)
    folded = None if node.is_late else _folded(operator, left, right)
    if folded is not None:
        return folded
    if operator in ("and", "or"):
        return Part(nature, _connected(operator, left.run, right.run))
    if operator in _ARITHMETIC:
        return Part(nature, _arithmetic(operator, left.run, right.run))
    return Part(nature, _compared(node, left, right))


def _unfit(operator: str, left: Nature, right: Nature) -> ExpressionError:
    if operator in ("and", "or"):
        symbol = {"and": "&&", "or": "||"}[operator]
        wrong = left if not (left.is_unknown or left.kind == "bool") else right
        return ExpressionError(f"'{symbol}' needs a bool, not {wrong}")
    if operator == "in" and right.is_list:
        return ExpressionError(f"'in' cannot look for {left} among {right.item}")
    if operator == "in" and not right.is_map:
        return ExpressionError(f"'in' needs a list or map on its right, not {right}")
    return ExpressionError(f"'{operator}' cannot take {left} and {right}")


# --- constants -----------------------------------------------------------------------------------


def _folded(operator: str, left: Part, right: Part) -> Part | None:
    """What can be computed, or left away, before anything runs."""
    if operator in ("and", "or"):
        return _folded_connection(operator == "and", left, right)
    if left.constant is None or right.constant is None:
        return None
    first, second = left.constant.value, right.constant.value
    kinds = {type(first), type(second)}
    if operator == "%" and kinds == {int}:
        return constant_part(operation.remainder(first, second))
    if operator in _ARITHMETIC and operator != "%" and kinds <= {int, float}:
        return constant_part(_ARITHMETIC[operator](first, second))
    if operator == "+" and kinds == {str}:
        return constant_part(operation.add(first, second))
    if operator == "==" and kinds in ({int}, {str}, {bool}):
        return constant_part(first == second)
    return None


def _folded_connection(is_and: bool, left: Part, right: Part) -> Part | None:
    known = [part.constant.value if part.constant is not None else None for part in (left, right)]
    if known[0] is is_and:
        return Part(BOOL, right.run, right.constant)
    if known[1] is is_and:
        return Part(BOOL, left.run, left.constant)
    return constant_part(not is_and) if any(value is (not is_and) for value in known) else None


# --- closures ------------------------------------------------------------------------------------


def _connected(operator: str, left: Code, right: Code) -> Code:
    """`and`, `or`: only the left side has to be a bool."""
    symbol = {"and": "'&&'", "or": "'||'"}[operator]
    if operator == "and":
        return lambda frame: right(frame) if _truth(left(frame), symbol) else False
    return lambda frame: True if _truth(left(frame), symbol) else right(frame)


def _arithmetic(operator: str, left: Code, right: Code) -> Code:
    if operator != "+":
        function = _ARITHMETIC[operator]
        return lambda frame: function(left(frame), right(frame))

    def add(frame: Frame) -> Any:
        result = operation.add(left(frame), right(frame))
        if type(result) is str:
            frame.weigh(result)
        return result

    return add


def _compared(node: Binary, left: Part, right: Part) -> Code:
    operator, first, second = node.operator, left.run, right.run
    if operator in ("==", "!="):
        return _equality(left, right, is_equal=operator == "==")
    if operator == "in":
        return _membership(node, left, right)
    if operator in ORDERINGS:
        compare = operation.ordering(operator)
        return lambda frame: compare(first(frame), second(frame))
    if operator == "matches":
        return _matching(first, right)
    if operator == "..":
        return _range(first, second)
    if operator == "??":
        return _coalescing(first, second)
    test = operation.text_test(operator)

    def tested(frame: Frame) -> bool:
        text = first(frame)
        frame.weigh(text)
        return test(text, second(frame))

    return tested


def _equality(left: Part, right: Part, *, is_equal: bool) -> Code:
    first, second = left.run, right.run
    kind = {"int": int, "string": str}.get(left.nature.kind)
    if left.nature.kind != right.nature.kind or kind is None:

        def compare(frame: Frame) -> bool:
            one, other = first(frame), second(frame)
            if type(one) is str and type(other) is str:
                return (one == other) is is_equal
            return equal(one, other, frame.spend) is is_equal

        return compare

    def compare_known(frame: Frame) -> bool:
        one, other = first(frame), second(frame)
        if type(one) is not kind or type(other) is not kind:
            raise ExpressionError(f"'==' cannot take {type_name(one)} and {type_name(other)}")
        return (one == other) is is_equal

    return compare_known


def _membership(node: Binary, left: Part, right: Part) -> Code:
    first, second = left.run, right.run
    texts = _literal_texts(node)
    if texts is not None:

        def among_texts(frame: Frame) -> bool:
            value = first(frame)
            if isinstance(value, str) or value is None:
                return (value or "") in texts
            raise ExpressionError(f"'in' cannot look for {type_name(value)} among strings")

        return among_texts

    def among(frame: Frame) -> bool:
        item = first(frame)
        return contains(second(frame), item, frame.spend)

    return among


def _literal_texts(node: Binary) -> frozenset[str] | None:
    """The elements of a list that holds nothing but texts, written out."""
    if not isinstance(node.right, ListOf) or not node.right.items:
        return None
    items = [item.value for item in node.right.items if isinstance(item, Literal)]
    if len(items) < len(node.right.items) or not all(isinstance(item, str) for item in items):
        return None
    return frozenset(items)


def _matching(text: Code, pattern: Part) -> Code:
    if pattern.constant is not None and isinstance(pattern.constant.value, str):
        expression = operation.compiled(pattern.constant.value)

        def matches_constant(frame: Frame) -> bool:
            value = text(frame)
            frame.weigh(value)
            return operation.found(expression, value)

        return matches_constant
    run_pattern = pattern.run

    def matches(frame: Frame) -> bool:
        value, wanted = text(frame), run_pattern(frame)
        frame.weigh(value)
        frame.spend(_COMPILE_WORK)
        return operation.matches(value, wanted)

    return matches


def _range(first: Code, second: Code) -> Code:
    def span(frame: Frame) -> list[int]:
        result = operation.span(first(frame), second(frame))
        frame.weigh(result)
        return result

    return span


def _coalescing(first: Code, second: Code) -> Code:
    def coalesce(frame: Frame) -> Any:
        value = first(frame)
        is_nil = value is None or type(value) is NilList
        return looked_through(second(frame) if is_nil else value)

    return coalesce
