"""The functions `now`, `date`, `duration` and `timezone` of the `{{ }}` language, for `builtin`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aliecs.errors import InvalidInput
from aliecs.language import conversion
from aliecs.language.calendar import Zone, zone_named
from aliecs.language.date import Date, Duration
from aliecs.language.date_reading import read, read_usual
from aliecs.language.duration import parse_nanoseconds
from aliecs.language.methods import METHOD_WORK, check_layout
from aliecs.language.value import ExpressionError, Spend, type_name

_READ_WORK = 300
"""What it counts to read a date, and a sixth of it for each character."""


def now(spend: Spend) -> Date:
    """now()"""
    spend(METHOD_WORK)
    return Date.now()


def now_in(spend: Spend, zone: Any) -> Date:
    """now(zone)"""
    spend(METHOD_WORK)
    return Date.now(_checked("now", zone))


def date(spend: Spend, *texts: Any) -> Date:
    """date(): a text, and perhaps its layout and zone."""
    return _read(spend, None, texts)


def date_in(spend: Spend, zone: Any, *texts: Any) -> Date:
    """date() with a zone before the texts."""
    if not texts:
        raise ExpressionError("date takes a text after the zone")
    return _read(spend, _checked("date", zone), texts)


def _checked(name: str, zone: Any) -> Zone:
    if type(zone) is not Zone:
        raise ExpressionError(f"{name} takes a time zone, not {type_name(zone)}")
    return zone


def _read(spend: Spend, zone: Zone | None, texts: Sequence[Any]) -> Date:
    for text in texts:
        if not isinstance(text, str):
            raise ExpressionError(f"date takes strings, not {type_name(text)}")
        check_layout(text)
    spend(_READ_WORK + _READ_WORK // 6 * sum(map(len, texts)))
    try:
        if len(texts) > 2:
            zone = zone_named(texts[2])
        return read(texts[0], texts[1], zone) if len(texts) > 1 else read_usual(texts[0], zone)
    except ValueError as error:
        raise ExpressionError(f"date: {error}") from None


def duration(spend: Spend, written: Any) -> Duration:
    """duration()"""
    text = conversion.text("duration", written)
    check_layout(text)
    spend(METHOD_WORK + 4 * len(text))
    try:
        return Duration(parse_nanoseconds(text))
    except InvalidInput as error:
        raise ExpressionError(f"duration: {error}") from None


def timezone(name: str) -> Zone:
    """timezone()"""
    try:
        return zone_named(name)
    except ValueError as error:
        raise ExpressionError(f"timezone: {error}") from None
