"""The operator `^`: powers as the reference computes them, to the last bit that is printed.

All digits of a large power are printed, so the last bits show. The C library rounds better; the
reference multiplies squares of the fraction and keeps the binary exponent apart.
"""

from __future__ import annotations

import math

_LARGEST_EXPONENT = 1 << 12


def power(base: float, exponent: float) -> float:
    """`base` to the power of `exponent`; infinite or not a number where there is none."""
    if not (math.isfinite(base) and math.isfinite(exponent)) or base == 0 or exponent == 0:
        return _special(base, exponent)
    if exponent in (0.5, -0.5):
        root = math.sqrt(base) if base > 0 else math.nan
        return root if exponent > 0 else 1 / root
    fraction, whole = math.modf(abs(exponent))
    if fraction and base < 0:
        return math.nan
    if whole >= 2.0**63:
        return _special(base, exponent)
    result = 1.0
    if fraction:
        if fraction > 0.5:
            fraction, whole = fraction - 1, whole + 1
        result = math.exp(fraction * math.log(base))
    return _multiplied(result, base, int(whole), exponent < 0)


def _multiplied(result: float, base: float, count: int, inverse: bool) -> float:
    """`result` times `base` multiplied with itself so many times."""
    square, square_exponent = math.frexp(base)
    result_exponent = 0
    while count:
        if abs(square_exponent) > _LARGEST_EXPONENT:
            result_exponent += square_exponent
            break
        if count & 1:
            result *= square
            result_exponent += square_exponent
        square *= square
        square_exponent *= 2
        if square < 0.5:
            square += square
            square_exponent -= 1
        count >>= 1
    if inverse:
        result, result_exponent = 1 / result, -result_exponent
    try:
        return math.ldexp(result, result_exponent)
    except OverflowError:
        return math.copysign(math.inf, result)


def _special(base: float, exponent: float) -> float:
    odd = math.isfinite(exponent) and exponent % 2 == 1
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        if base == 0:
            return math.copysign(math.inf, base) if odd else math.inf
        return math.nan
