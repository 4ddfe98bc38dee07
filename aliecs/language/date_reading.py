"""Texts -> dates, by the layouts of `layout`: for `date` of the `{{ }}` language.

What a text does not say is the beginning: of the year 0, of the year, of the day. Names of days are
read and forgotten.
"""

from __future__ import annotations

import re

from attrs import define

from aliecs.language.calendar import LOCAL, UTC, Zone, days_in, days_of, fixed, is_leap
from aliecs.language.calendar import date_of as day_of
from aliecs.language.date import MONTHS, WEEKDAYS, Date
from aliecs.language.layout import PART

LAYOUTS = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)
"""Tried one after the other where none is given."""


def read(text: str, layout: str, zone: Zone | None = None) -> Date:
    """The date that a text writes in the manner of `layout`, in `zone` where it names none itself;
    without one, in UTC. Raises `ValueError`."""
    reading = _Reading(text)
    position = 0
    for found in PART.finditer(layout):
        reading.skip(layout[position : found.start()])
        position = found.end()
        reading.take(found.group(), layout[position:])
    reading.skip(layout[position:])
    if reading.left:
        raise ValueError(f"nothing is said of {reading.left[:40]!r} in the layout")
    return reading.date(zone or UTC, zone or LOCAL)


def read_usual(text: str, zone: Zone | None = None) -> Date:
    """The same, by whichever of `LAYOUTS` fits."""
    for layout in LAYOUTS:
        try:
            return read(text, layout, zone)
        except ValueError:
            continue
    raise ValueError(f"{text[:100]!r} is not a date")


_ABBREVIATION = re.compile(
    r"(?:ChST|MeST|GMT(?:[+-][0-9]+)?|[+-][0-9]+"
    r"|(?:[A-Z]{4}T|[A-Z]{3}T|WITA|[A-Z]{3})(?![A-Z]))",
    re.ASCII,
)
_MOST_HOURS = 23
_OFFSETS = {
    "07": r"([+-])([0-9]{2})",
    "0700": r"([+-])([0-9]{2})([0-9]{2})",
    "07:00": r"([+-])([0-9]{2}):([0-9]{2})",
    "070000": r"([+-])([0-9]{2})([0-9]{2})([0-9]{2})",
    "07:00:00": r"([+-])([0-9]{2}):([0-9]{2}):([0-9]{2})",
}
_NUMBERS: dict[str, tuple[str, str, int, int]] = {
    "01": ("month", "[0-9]{2}", 1, 12),
    "1": ("month", "[0-9]{1,2}", 1, 12),
    "02": ("day", "[0-9]{2}", 0, 99),
    "_2": ("day", " ?[0-9]{1,2}", 0, 99),
    "2": ("day", "[0-9]{1,2}", 0, 99),
    "002": ("day_of_year", "[0-9]{3}", 0, 999),
    "__2": ("day_of_year", " {0,2}[0-9]{1,3}", 0, 999),
    "2006": ("year", "[0-9]{4}", 0, 9999),
    "15": ("hour", "[0-9]{1,2}", 0, 23),
    "03": ("hour", "[0-9]{2}", 0, 12),
    "3": ("hour", "[0-9]{1,2}", 0, 12),
    "04": ("minute", "[0-9]{2}", 0, 59),
    "4": ("minute", "[0-9]{1,2}", 0, 59),
    "05": ("second", "[0-9]{2}", 0, 59),
    "5": ("second", "[0-9]{1,2}", 0, 59),
}
"""What a number is of, how it is written, the least and the most."""
_NAMES = {
    "January": ("month", MONTHS),
    "Jan": ("month", tuple(name[:3] for name in MONTHS)),
    "Monday": ("weekday", WEEKDAYS),
    "Mon": ("weekday", tuple(name[:3] for name in WEEKDAYS)),
}


@define
class _Reading:
    """A text that is read, and what is known from it so far."""

    left: str
    year: int = 0
    month: int = 0
    day: int | None = None
    day_of_year: int | None = None
    weekday: int = 0
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanoseconds: int = 0
    half: str = ""
    zone: Zone | None = None
    offset_s: int | None = None
    abbreviation: str = ""

    def skip(self, literal: str) -> None:
        """What stands for itself; blanks in a row count as one."""
        while literal:
            if literal[0] == " ":
                if self.left and self.left[0] != " ":
                    raise ValueError(f"a blank is missing before {self.left[:40]!r}")
                literal, self.left = literal.lstrip(" "), self.left.lstrip(" ")
            elif self.left[:1] == literal[0]:
                literal, self.left = literal[1:], self.left[1:]
            else:
                raise ValueError(f"{literal!r} is missing before {self.left[:40]!r}")

    def _match(self, pattern: str | re.Pattern[str], what: str) -> re.Match[str]:
        found = re.match(pattern, self.left)
        if found is None:
            raise ValueError(f"{self.left[:40]!r} does not begin like {what!r}")
        self.left = self.left[found.end() :]
        return found

    def take(self, part: str, following: str) -> None:
        """A part of the example; `following` is the rest of the layout."""
        if part in _NUMBERS:
            name, pattern, least, most = _NUMBERS[part]
            number = int(self._match(pattern, part).group())
            if not least <= number <= most:
                raise ValueError(f"the {name} {number} is out of range")
            setattr(self, name, number)
            if name == "second":
                self._unannounced_fraction(following)
        elif part in _NAMES:
            self._name(*_NAMES[part])
        elif part == "06":
            number = int(self._match("[0-9]{2}", part).group())
            self.year = number + (1900 if number >= 69 else 2000)
        elif part in ("PM", "pm"):
            half = self._match("[AP]M" if part == "PM" else "[ap]m", part).group().upper()
            self.half = max(self.half, half)  # Where both are said it is PM.
        elif part == "MST":
            self._abbreviation()
        elif part[0] in "-Z":
            self._offset(part)
        else:
            self._fraction(part)

    def _name(self, of: str, names: tuple[str, ...]) -> None:
        for position, name in enumerate(names):
            if self.left[: len(name)].lower() == name.lower():
                setattr(self, of, position + 1)
                self.left = self.left[len(name) :]
                return
        raise ValueError(f"{self.left[:40]!r} does not begin with the name of a {of}")

    def _unannounced_fraction(self, following: str) -> None:
        """Seconds may have a fraction though the layout has none."""
        announced = PART.search(following)
        if announced is None or announced.group()[0] not in ".,":
            found = re.match("[.,][0-9]+", self.left)
            if found is not None:
                self._fraction_of(found.group())

    def _fraction(self, part: str) -> None:
        if part[1] == "9":
            found = re.match("[.,][0-9]+", self.left)
            if found is not None:
                self._fraction_of(found.group())
            return
        # Of more than nine digits the rest may be anything.
        text = self.left[: len(part)]
        if len(text) < len(part) or not re.fullmatch("[.,][0-9]+", text[:10]):
            raise ValueError(f"{self.left[:40]!r} does not begin like {part!r}")
        self._fraction_of(text)

    def _fraction_of(self, text: str) -> None:
        self.left = self.left[len(text) :]
        self.nanoseconds = int(text[1:10].ljust(9, "0"))

    def _offset(self, part: str) -> None:
        if part[0] == "Z" and self.left[:1] == "Z":
            self.left, self.zone = self.left[1:], UTC
            return
        groups = self._match(_OFFSETS[part[1:]], part).groups()
        sign, (hours, minutes, seconds) = groups[0], [*map(int, groups[1:]), 0, 0][:3]
        if hours > 24 or minutes > 59 or seconds > 59:
            raise ValueError("the offset of the zone is out of range")
        self.offset_s = (hours * 3600 + minutes * 60 + seconds) * (-1 if sign == "-" else 1)

    def _abbreviation(self) -> None:
        if self.left.startswith("UTC"):
            self.left, self.zone = self.left[3:], UTC
            return
        text = self._match(_ABBREVIATION, "MST").group()
        hours = text.lstrip("GMT")
        if hours[:1] in ("+", "-") and abs(int(hours)) > _MOST_HOURS:
            if not text.startswith("GMT"):
                raise ValueError(f"{text!r} is no time zone")
            text, self.left = "GMT", hours + self.left
        self.abbreviation = text

    # --- what was meant ------------------------------------------------------------------------

    def date(self, default: Zone, local: Zone) -> Date:
        """The date. `local` is the zone whose offsets and abbreviations are known."""
        year, month, day = self.year, *self._month_and_day()
        hour = self.hour
        if self.half:
            hour = hour % 12 + (12 if self.half == "PM" else 0) if hour <= 12 else hour
        wall_s = hour * 3600 + self.minute * 60 + self.second
        if self.zone is not None:
            return Date.of(year, month, day, wall_s, self.nanoseconds, self.zone)
        shown = Date.of(year, month, day, wall_s, self.nanoseconds)
        if self.offset_s is not None:
            return self._at_offset(shown, self.offset_s, local)
        if self.abbreviation:
            return self._abbreviated(shown, local)
        return Date.of(year, month, day, wall_s, self.nanoseconds, default)

    def _month_and_day(self) -> tuple[int, int]:
        month, day = self.month or 1, 1 if self.day is None else self.day
        if self.day_of_year is not None:
            if not 1 <= self.day_of_year <= (366 if is_leap(self.year) else 365):
                raise ValueError(f"the day {self.day_of_year} of the year is out of range")
            first = days_of(self.year, 1, 1)
            _, named_month, named_day = day_of(first + self.day_of_year - 1)
            if self.month not in (0, named_month) or self.day not in (None, named_day):
                raise ValueError("the day of the year is not that of the month")
            return named_month, named_day
        if not 1 <= day <= days_in(self.year, month):
            raise ValueError(f"the day {day} is out of range")
        return month, day

    def _at_offset(self, shown: Date, offset_s: int, local: Zone) -> Date:
        seconds = shown.seconds - offset_s
        rule = local.at(seconds)
        is_local = rule.offset_s == offset_s and self.abbreviation in ("", rule.abbreviation)
        zone = local if is_local else fixed(self.abbreviation, offset_s)
        return Date(seconds, self.nanoseconds, zone)

    def _abbreviated(self, shown: Date, local: Zone) -> Date:
        offset_s = local.offset_named(self.abbreviation, shown.seconds)
        if offset_s is not None:
            return Date(shown.seconds - offset_s, self.nanoseconds, local)
        # An unknown one has no offset, and that of GMT+3 shows only when the date is written.
        hours = self.abbreviation[3:] if self.abbreviation.startswith("GMT") else ""
        zone = fixed(self.abbreviation, int(hours or 0) * 3600)
        return Date(shown.seconds, self.nanoseconds, zone)
