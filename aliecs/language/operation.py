"""What the operators of the `{{ }}` language do to values at run time.

Each checks its operands and raises `ExpressionError` where they do not fit; whole numbers keep to
64 bits as in the reference. Called by the closures of `operators`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import re2

from aliecs.language.date import Date, Duration
from aliecs.language.value import (
    LONGEST_LIST,
    Byte,
    ExpressionError,
    IntegerList,
    LimitError,
    Long,
    NilList,
    checked_text,
    is_number,
    type_name,
    whole,
    wrapped,
)

LARGEST_EXPRESSION = 2_000_000
"""Bytes that a regular expression may take, while it is matched, too."""


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
        return _timed(symbol, left, right)
    result = function(left, right)
    return wrapped(result) if type(result) is int else result


def _timed(symbol: str, left: Any, right: Any) -> Any:
    """Arithmetic of dates and durations. Raises `ExpressionError`."""
    kinds = type(left), type(right)
    function = _TIMED.get((symbol, *kinds))
    if function is not None:
        return function(left, right)
    if symbol == "*" and Duration in kinds:
        span, factor = (left, right) if kinds[0] is Duration else (right, left)
        if type(factor) is float:
            return float(span.number) * factor
        if is_number(factor):
            return span.times(int(factor))
    raise _unfit(symbol, left, right)


_TIMED: Mapping[tuple[str, type, type], Callable[[Any, Any], Any]] = {
    ("+", Date, Duration): Date.plus,
    ("+", Duration, Date): lambda left, right: right.plus(left),
    ("+", Duration, Duration): Duration.plus,
    ("-", Date, Date): Date.since,
    ("-", Date, Duration): Date.minus,
    ("-", Duration, Duration): Duration.minus,
    ("*", Duration, Duration): lambda left, right: left.times(right.number),
}


def divide(left: Any, right: Any) -> float:
    """`left / right`, always a float; a division by zero is infinite or not a number."""
    if not (is_number(left) and is_number(right)):
        raise _unfit("/", left, right)
    dividend, divisor = float(left), float(right)
    if divisor:
        return dividend / divisor
    if not dividend or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def remainder(left: Any, right: Any) -> int:
    """`left % right` of ints, with the sign of `left`."""
    if not (isinstance(left, int) and isinstance(right, int)) or bool in (type(left), type(right)):
        raise _unfit("%", left, right)
    if right == 0:
        raise ExpressionError("'%' by zero")
    magnitude = int(abs(left) % abs(right))
    return -magnitude if left < 0 else magnitude


def power(left: Any, right: Any) -> float:
    """`left ** right`, always a float."""
    if not (is_number(left) and is_number(right)):
        raise _unfit("**", left, right)
    base, exponent = float(left), float(right)
    is_usual = base and math.isfinite(base) and abs(exponent) < 2**53
    if is_usual and (base > 0 or exponent.is_integer()) and abs(exponent) != 0.5:
        return _repeated_product(base, exponent)
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf if base > 0 or exponent % 2 == 0 else -math.inf
    except ValueError:
        if base != 0:
            return math.nan
        is_odd = exponent % 2 == 1
        return math.copysign(math.inf, base) if is_odd else math.inf


def _repeated_product(base: float, exponent: float) -> float:
    """A power by squaring, which is rounded in the same places as in the reference."""
    fraction, whole_part = math.modf(abs(exponent))
    left = int(whole_part)
    if fraction > 0.5:
        fraction, left = fraction - 1, left + 1
    result, result_shift = math.exp(fraction * math.log(base)) if fraction else 1.0, 0
    factor, shift = math.frexp(base)
    while left:
        if abs(shift) > 2**12:
            # Far beyond what a float can hold: the size of it no longer matters.
            result_shift += shift
            break
        if left & 1:
            result *= factor
            result_shift += shift
        factor *= factor
        shift *= 2
        if abs(factor) < 0.5:
            factor += factor
            shift -= 1
        left >>= 1
    if exponent < 0:
        result, result_shift = 1.0 / result, -result_shift
    try:
        return float(math.ldexp(result, result_shift))
    except OverflowError:
        return math.copysign(math.inf, result)


def minus(value: Any) -> Any:
    """`-value`."""
    if not is_number(value):
        raise ExpressionError(f"'-' cannot take {type_name(value)}")
    if type(value) is Byte:
        return Byte(-value % 256)
    if type(value) is Long:
        return Long(wrapped(-value))
    return wrapped(-value) if type(value) is int else -value


def ordering(symbol: str) -> Callable[[Any, Any], bool]:
    """The operator `<`, `>`, `<=` or `>=`: two numbers or two texts."""
    function = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}[symbol]

    def compare(left: Any, right: Any) -> bool:
        if (is_number(left) and is_number(right)) or (
            isinstance(left, str) and isinstance(right, str)
        ):
            return bool(function(left, right))
        if type(left) is Date and type(right) is Date:
            return bool(function(left.order(right), 0))
        if type(left) is Duration and type(right) is Duration:
            return bool(function(left.number, right.number))
        raise _unfit(symbol, left, right)

    return compare


def text_test(word: str) -> Callable[[Any, Any], bool]:
    """The operator `contains`, `startsWith` or `endsWith`: two texts; nothing is in nil."""
    functions: dict[str, Callable[[str, str], bool]] = {
        "contains": operator.contains,
        "startsWith": str.startswith,
        "endsWith": str.endswith,
    }
    function = functions[word]

    def test(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return function(left, right)
        if _is_nil(left) or _is_nil(right):
            return False
        raise _unfit(word, left, right)

    return test


def _is_nil(value: Any) -> bool:
    return value is None or type(value) is NilList


def compiled(pattern: str) -> Any:
    """A regular expression, RE2's, which never backtracks. Raises `ExpressionError`."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = LARGEST_EXPRESSION
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ExpressionError(f"{pattern[:100]!r} is no regular expression: {error}") from error


def found(expression: Any, text: Any) -> bool:
    """Whether a compiled regular expression is found anywhere in `text`."""
    if isinstance(text, str):
        return expression.search(text) is not None
    if _is_nil(text):
        return False
    raise _unfit("matches", text, "")


def matches(text: Any, pattern: Any) -> bool:
    """The operator `matches` with a pattern that is not known before."""
    if _is_nil(text) or _is_nil(pattern):
        return False
    if not isinstance(text, str) or not isinstance(pattern, str):
        raise _unfit("matches", text, pattern)
    return found(compiled(pattern), text)


def span(begin: Any, end: Any) -> list[int]:
    """`begin..end`, both included; empty where `end` is the smaller."""
    if not (is_number(begin) and is_number(end)):
        raise _unfit("..", begin, end)
    first, last = whole(begin), whole(end)
    if wrapped(last - first + 1) <= 0:
        return IntegerList()
    if last - first >= LONGEST_LIST:
        raise LimitError(f"a range of more than {LONGEST_LIST} numbers")
    return IntegerList(range(first, last + 1))
