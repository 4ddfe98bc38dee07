"""What the operators of the `{{ }}` language do to values at run time.

Each checks its operands and the size of its result, and raises `ExpressionError` where either is
wrong. Called by the closures of `compilation`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import re2

from aliecs.language.value import (
    LONGEST_LIST,
    ExpressionError,
    PlainList,
    checked_integer,
    checked_text,
    is_number,
    type_name,
)


def _unfit(symbol: str, left: Any, right: Any) -> ExpressionError:
    return ExpressionError(f"'{symbol}' cannot take {type_name(left)} and {type_name(right)}")


def add(left: Any, right: Any) -> Any:
    """`left + right`: numbers, or two texts."""
    if isinstance(left, str) and isinstance(right, str):
        return checked_text(left + right)
    return _arithmetic("+", operator.add, left, right)


def subtract(left: Any, right: Any) -> Any:
    """`left - right`."""
    return _arithmetic("-", operator.sub, left, right)


def multiply(left: Any, right: Any) -> Any:
    """`left * right`."""
    return _arithmetic("*", operator.mul, left, right)


def _arithmetic(symbol: str, function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if not (is_number(left) and is_number(right)):
        raise _unfit(symbol, left, right)
    result = function(left, right)
    return checked_integer(result) if type(result) is int else result


def divide(left: Any, right: Any) -> float:
    """`left / right`, always a float; a division by zero is infinite or not a number."""
    if not (is_number(left) and is_number(right)):
        raise _unfit("/", left, right)
    if right:
        return float(left) / float(right)
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def remainder(left: Any, right: Any) -> int:
    """`left % right` of ints, with the sign of `left`."""
    if type(left) is not int or type(right) is not int:
        raise _unfit("%", left, right)
    if right == 0:
        raise ExpressionError("'%' by zero")
    magnitude = abs(left) % abs(right)
    return -magnitude if left < 0 else magnitude


def power(left: Any, right: Any) -> float:
    """`left ** right`, always a float."""
    if not (is_number(left) and is_number(right)):
        raise _unfit("**", left, right)
    try:
        return math.pow(left, right)
    except OverflowError:
        return math.inf if left > 0 or right % 2 == 0 else -math.inf
    except ValueError:
        return math.inf if left == 0 else math.nan


def minus(value: Any) -> Any:
    """`-value`."""
    if not is_number(value):
        raise ExpressionError(f"'-' cannot take {type_name(value)}")
    return checked_integer(-value) if type(value) is int else -value


def plus(value: Any) -> Any:
    """`+value`."""
    if not is_number(value):
        raise ExpressionError(f"'+' cannot take {type_name(value)}")
    return value


def ordering(symbol: str) -> Callable[[Any, Any], bool]:
    """The operator `<`, `>`, `<=` or `>=`: two numbers or two texts."""
    function = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}[symbol]

    def compare(left: Any, right: Any) -> bool:
        if (is_number(left) and is_number(right)) or (
            isinstance(left, str) and isinstance(right, str)
        ):
            return bool(function(left, right))
        raise _unfit(symbol, left, right)

    return compare


def text_test(word: str) -> Callable[[Any, Any], bool]:
    """The operator `contains`, `startsWith`, `endsWith` or `matches`: two texts."""
    functions: dict[str, Callable[[str, str], bool]] = {
        "contains": operator.contains,
        "startsWith": lambda text, prefix: text.startswith(prefix),
        "endsWith": lambda text, suffix: text.endswith(suffix),
        "matches": matches,
    }
    function = functions[word]

    def test(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return function(left, right)
        raise _unfit(word, left, right)

    return test


def matches(text: str, pattern: str) -> bool:
    """Whether an RE2 expression is found anywhere in `text`. It never backtracks."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options).search(text) is not None
    except re2.error as error:
        raise ExpressionError(f"{pattern!r} is not a regular expression: {error}") from error


def span(begin: Any, end: Any) -> list[int]:
    """`begin..end`, both included; empty where `end` is the smaller."""
    if type(begin) is not int or type(end) is not int:
        raise _unfit("..", begin, end)
    if end - begin >= LONGEST_LIST:
        raise ExpressionError(f"a range of more than {LONGEST_LIST} numbers")
    return PlainList(range(begin, end + 1))
