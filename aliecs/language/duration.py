"""Durations as templates write them: Go's syntax, such as `1m30s`, `1.5h` or `250ms`."""

from __future__ import annotations

import re
from decimal import Decimal

from aliecs.errors import InvalidInput

_SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST_S = 2**63 / 1e9


def parse_duration(text: str) -> float:
    """Seconds of a duration text.

    A sequence of decimal numbers, each with one of the units ns, us, ms, s, m, h, with an optional
    sign before it; a bare `0` is allowed, other numbers without a unit and the empty text are not.

    Raises `InvalidInput` for anything else and for what does not fit 64 bits of nanoseconds.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0.0
    total = Decimal(0)
    position = 0
    while position < len(unsigned) and (part := _PART.match(unsigned, position)):
        total += Decimal(part[1]) * _SECONDS[part[2]]
        position = part.end()
    if not unsigned or position < len(unsigned):
        raise InvalidInput(
            f"{text!r} is not a duration; write numbers with units, such as 30s, 1m30s or 250ms"
        )
    seconds = float(total)
    if seconds > _LONGEST_S:
        raise InvalidInput(f"the duration {text!r} is too long")
    return -seconds if text.startswith("-") else seconds
