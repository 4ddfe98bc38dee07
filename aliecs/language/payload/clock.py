"""Times as the reference writes them: a layout is an example, 2 January 2006 at 15:04:05.

For the tag `now`. What is no part of the example stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
FAKE = datetime(2014, 2, 5, 18, 31, 45, tzinfo=UTC)
"""What `now ... fake` shows, for tests of templates."""

_PART = re.compile(
    r"""January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|_2(?!006)|002|0[1-6]|15|PM|pm
    |-070000|-07:00:00|-0700|-07:00|-07|Z070000|Z07:00:00|Z0700|Z07:00|Z07
    |[.,](?:0+|9+)(?![0-9])|[12345]""",
    re.VERBOSE,
)


def _offset(moment: datetime, separator: str, parts: int, is_z: bool) -> str:
    difference = moment.utcoffset()
    seconds = int(difference.total_seconds()) if difference is not None else 0
    if is_z and seconds == 0:
        return "Z"
    sign = "-" if seconds < 0 else "+"
    seconds = abs(seconds)
    numbers = (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return sign + separator.join(f"{number:02d}" for number in numbers[:parts])


def _fraction(moment: datetime, part: str) -> str:
    count = len(part) - 1
    digits = f"{moment.microsecond:06d}000"[:count].ljust(count, "0")
    if part[1] == "9":
        digits = digits.rstrip("0")
        return part[0] + digits if digits else ""
    return part[0] + digits


def _half_day_hour(moment: datetime) -> int:
    return moment.hour % 12 or 12


_PARTS: dict[str, Callable[[datetime], str]] = {
    "January": lambda moment: _MONTHS[moment.month - 1],
    "Jan": lambda moment: _MONTHS[moment.month - 1][:3],
    "Monday": lambda moment: _DAYS[moment.weekday()],
    "Mon": lambda moment: _DAYS[moment.weekday()][:3],
    "MST": lambda moment: moment.tzname() or _offset(moment, "", 1, False),
    "2006": lambda moment: f"{moment.year:04d}",
    "06": lambda moment: f"{moment.year % 100:02d}",
    "01": lambda moment: f"{moment.month:02d}",
    "1": lambda moment: str(moment.month),
    "02": lambda moment: f"{moment.day:02d}",
    "_2": lambda moment: f"{moment.day:2d}",
    "2": lambda moment: str(moment.day),
    "002": lambda moment: f"{moment.timetuple().tm_yday:03d}",
    "__2": lambda moment: f"{moment.timetuple().tm_yday:3d}",
    "15": lambda moment: f"{moment.hour:02d}",
    "03": lambda moment: f"{_half_day_hour(moment):02d}",
    "3": lambda moment: str(_half_day_hour(moment)),
    "04": lambda moment: f"{moment.minute:02d}",
    "4": lambda moment: str(moment.minute),
    "05": lambda moment: f"{moment.second:02d}",
    "5": lambda moment: str(moment.second),
    "PM": lambda moment: "PM" if moment.hour >= 12 else "AM",
    "pm": lambda moment: "pm" if moment.hour >= 12 else "am",
}


def written(moment: datetime, layout: str) -> str:
    """`moment` in the manner of `layout`."""

    def part(found: re.Match[str]) -> str:
        text = found.group()
        if text in _PARTS:
            return _PARTS[text](moment)
        if text[0] in ".,":
            return _fraction(moment, text)
        separator = ":" if ":" in text else ""
        return _offset(moment, separator, len(text.replace(":", "")) // 2, text[0] == "Z")

    return _PART.sub(part, layout)
