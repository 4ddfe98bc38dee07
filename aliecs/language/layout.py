"""Dates as the reference writes them: a layout is an example, 2 January 2006 at 15:04:05.

What is no part of the example stands for itself. For `Format` of the `{{ }}` language and for the
tag `now` of payloads; `date_reading` reads by the same layouts.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import frozen

from aliecs.language.calendar import DAY_S, Rule, date_of, days_of
from aliecs.language.date import MONTHS, WEEKDAYS, Date

PART = re.compile(
    r"""January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2(?!006)|002|0[1-6]|15|PM|pm
    |-070000|-07:00:00|-0700|-07:00|-07|Z070000|Z07:00:00|Z0700|Z07:00|Z07
    |[.,](?:0+|9+)(?![0-9])|[12345]""",
    re.VERBOSE,
)
"""The parts of the example."""
_ALL = "2006-01-02 15:04:05.999999999 -0700 MST"
RFC_3339 = "2006-01-02T15:04:05.999999999Z07:00"


@frozen
class _Shown:
    """What clocks and calendars of the date's zone show, found out once."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    nanoseconds: int
    weekday: int
    day_of_year: int
    rule: Rule


def _shown(date: Date) -> _Shown:
    rule = date.rule
    days, of_day = divmod(date.seconds + rule.offset_s, DAY_S)
    year, month, day = date_of(days)
    return _Shown(
        year, month, day, of_day // 3600, of_day // 60 % 60, of_day % 60, date.nanoseconds,
        (days + 4) % 7, days - days_of(year, 1, 1) + 1, rule,
    )  # fmt: skip


def _offset(shown: _Shown, separator: str, parts: int, is_z: bool) -> str:
    seconds = shown.rule.offset_s
    if is_z and seconds == 0:
        return "Z"
    # Less than a minute has no sign.
    sign = "-" if seconds <= -60 else "+"
    seconds = abs(seconds)
    numbers = (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return sign + separator.join(f"{number:02d}" for number in numbers[:parts])


def _fraction(shown: _Shown, part: str) -> str:
    # There are nine digits, however many are asked for.
    digits = f"{shown.nanoseconds:09d}"[: len(part) - 1]
    if part[1] == "9":
        digits = digits.rstrip("0")
        return part[0] + digits if digits else ""
    return part[0] + digits


def _year(shown: _Shown) -> str:
    year = shown.year
    return f"{'-' if year < 0 else ''}{abs(year):04d}"


_PARTS: dict[str, Callable[[_Shown], str]] = {
    "January": lambda shown: MONTHS[shown.month - 1],
    "Jan": lambda shown: MONTHS[shown.month - 1][:3],
    "Monday": lambda shown: WEEKDAYS[shown.weekday],
    "Mon": lambda shown: WEEKDAYS[shown.weekday][:3],
    "MST": lambda shown: shown.rule.abbreviation or _offset(shown, "", 2, False),
    "2006": _year,
    "06": lambda shown: f"{abs(shown.year) % 100:02d}",
    "01": lambda shown: f"{shown.month:02d}",
    "1": lambda shown: str(shown.month),
    "02": lambda shown: f"{shown.day:02d}",
    "_2": lambda shown: f"{shown.day:2d}",
    "2": lambda shown: str(shown.day),
    "002": lambda shown: f"{shown.day_of_year:03d}",
    "__2": lambda shown: f"{shown.day_of_year:3d}",
    "15": lambda shown: f"{shown.hour:02d}",
    "03": lambda shown: f"{shown.hour % 12 or 12:02d}",
    "3": lambda shown: str(shown.hour % 12 or 12),
    "04": lambda shown: f"{shown.minute:02d}",
    "4": lambda shown: str(shown.minute),
    "05": lambda shown: f"{shown.second:02d}",
    "5": lambda shown: str(shown.second),
    "PM": lambda shown: "PM" if shown.hour >= 12 else "AM",
    "pm": lambda shown: "pm" if shown.hour >= 12 else "am",
}


def written(date: Date, layout: str) -> str:
    """`date` in the manner of `layout`."""
    shown = _shown(date)

    def part(found: re.Match[str]) -> str:
        text = found.group()
        if text in _PARTS:
            return _PARTS[text](shown)
        if text[0] in ".,":
            return _fraction(shown, text)
        separator = ":" if ":" in text else ""
        return _offset(shown, separator, len(text.replace(":", "")) // 2, text[0] == "Z")

    return PART.sub(part, layout)


def date_text(date: Date) -> str:
    """How a date prints; for `now`, with what the clock that never goes back showed."""
    text = written(date, _ALL)
    if date.reading_ns is None:
        return text
    seconds, nanoseconds = divmod(abs(date.reading_ns), 10**9)
    sign = "-" if date.reading_ns < 0 else "+"
    return f"{text} m={sign}{seconds}.{nanoseconds:09d}"


def date_json(date: Date) -> str:
    """RFC 3339. Raises `ValueError` for what it cannot write."""
    if not 0 <= date.day[0] <= 9999:
        raise ValueError(f"the year {date.day[0]} has more than four digits")
    if abs(date.rule.offset_s) >= 24 * 3600:
        raise ValueError("the zone is more than a day away")
    return written(date, RFC_3339)
