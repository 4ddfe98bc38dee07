"""Durations as templates write them: Go's syntax, such as `1m30s`, `1.5h` or `250ms`."""

from __future__ import annotations

import re

from aliecs.errors import InvalidInput

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_LONGEST_NS = 2**63
"""One less is the longest that is not negative."""
_LONGEST_FRACTION = 2**63 // 10


def _fraction(digits: str, unit_ns: int) -> int:
    """Nanoseconds of a fraction of a unit, in floats and from so many digits as Go computes it."""
    number, scale = 0, 1.0
    for digit in digits:
        if number > _LONGEST_FRACTION:
            break
        number, scale = number * 10 + int(digit), scale * 10
    return int(float(number) * (float(unit_ns) / scale))


def parse_nanoseconds(text: str) -> int:
    """Nanoseconds of a duration text.

    A sequence of decimal numbers, each with one of the units ns, us, ms, s, m, h, with an optional
    sign before it; a bare `0` is allowed, other numbers without a unit and the empty text are not.

    Raises `InvalidInput` for anything else and for what does not fit 64 bits.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    total = 0
    position = 0
    while position < len(unsigned) and (part := _PART.match(unsigned, position)):
        whole, fraction, unit = part.groups()
        if whole and len(whole) > 20 and whole.strip("0"):
            raise InvalidInput(f"the duration {text[:100]!r} is too long")
        total += int((whole or "0")[-20:]) * _NANOSECONDS[unit]
        total += _fraction(fraction or "", _NANOSECONDS[unit])
        position = part.end()
    if not unsigned or position < len(unsigned):
        raise InvalidInput(
            f"{text[:100]!r} is not a duration; write numbers with units, such as 30s, 1m30s or"
            " 250ms"
        )
    is_negative = text.startswith("-")
    if total > (_LONGEST_NS if is_negative else _LONGEST_NS - 1):
        raise InvalidInput(f"the duration {text[:100]!r} is too long")
    return -total if is_negative else total


def parse_duration(text: str) -> float:
    """Seconds of a duration text. Raises `InvalidInput`, as `parse_nanoseconds`."""
    return parse_nanoseconds(text) / 1e9
