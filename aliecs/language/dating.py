"""The functions `now`, `date`, `duration` and `timezone` of the `{{ }}` language, for `builtin`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aliecs.errors import InvalidInput
from aliecs.language.calendar import Zone, zone_named
from aliecs.language.date import Date, Duration
from aliecs.language.date_reading import read, read_usual
from aliecs.language.duration import parse_nanoseconds
from aliecs.language.methods import check_layout
from aliecs.language.value import ExpressionError, type_name


def now() -> Date:
    """now()"""
    return Date.now()


def now_in(zone: Any) -> Date:
    """now(zone)"""
    return Date.now(_checked("now", zone))


def date(*texts: Any) -> Date:
    """date(): a text, and perhaps its layout and zone."""
    return _read(None, texts)


def date_in(zone: Any, *texts: Any) -> Date:
    """date() with a zone before the texts."""
    if not texts:
        raise ExpressionError("date takes a text after the zone")
    return _read(_checked("date", zone), texts)


def _checked(name: str, zone: Any) -> Zone:
    if type(zone) is not Zone:
        raise ExpressionError(f"{name} takes a time zone, not {type_name(zone)}")
    return zone


def _read(zone: Zone | None, texts: Sequence[Any]) -> Date:
    for text in texts:
        if not isinstance(text, str):
            raise ExpressionError(f"date takes strings, not {type_name(text)}")
        check_layout(text)
    try:
        if len(texts) > 2:
            zone = zone_named(texts[2])
        return read(texts[0], texts[1], zone) if len(texts) > 1 else read_usual(texts[0], zone)
    except ValueError as error:
        raise ExpressionError(f"date: {error}") from None


def duration(text: str) -> Duration:
    """duration()"""
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
