"""The functions `now`, `date`, `duration` and `timezone` of the `{{ }}` language, for `builtin`."""

from __future__ import annotations

from typing import Any

from aliecs.errors import InvalidInput
from aliecs.language.calendar import Zone, zone_named
from aliecs.language.date import Date, Duration
from aliecs.language.date_reading import read, read_usual
from aliecs.language.duration import parse_nanoseconds
from aliecs.language.methods import check_layout
from aliecs.language.value import ExpressionError, type_name


def now(zone: Any = None) -> Date:
    """now()"""
    return Date.now(zone)


def date(*arguments: Any) -> Date:
    """date(): a text, and perhaps its layout, and that of its zone; before them perhaps a zone."""
    zone, texts = None, arguments
    if type(arguments[0]) is Zone:
        zone, texts = arguments[0], arguments[1:]
    if not texts:
        raise ExpressionError("date takes a text after the zone")
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
