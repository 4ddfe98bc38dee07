"""The calendar and the zones of the world, for the dates of the `{{ }}` language.

Go's dates reach far beyond the years that Python's own can hold, so days are counted here. Zones
come from the time zone database of the host.
"""

from __future__ import annotations

import time
from datetime import UTC as PYTHON_UTC
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import field, frozen

DAY_S = 86_400
_CYCLE_DAYS = 146_097
"""Of 400 years, after which the calendar repeats, weekdays included."""
_CYCLE_S = _CYCLE_DAYS * DAY_S
_DAYS_BEFORE_1970 = 719_468
"""From 1 March of the year 0."""
_EPOCH = datetime(1970, 1, 1, tzinfo=PYTHON_UTC)
_FIRST_S = -62_135_510_400
"""2 January of the year 1: what is before has the zone's first rule."""
_LAST_S = 64_060_588_800
"""1 January 4000: rules repeat long before."""


def days_of(year: int, month: int, day: int) -> int:
    """Days from 1 January 1970. The day may lie outside the month, the month outside the year."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    # Counted from March, the leap day comes last.
    years = year if month > 2 else year - 1
    cycle, of_cycle = divmod(years, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5
    days = of_cycle * 365 + of_cycle // 4 - of_cycle // 100 + of_year + day - 1
    return cycle * _CYCLE_DAYS + days - _DAYS_BEFORE_1970


def date_of(days: int) -> tuple[int, int, int]:
    """Year, month and day, of days from 1 January 1970."""
    cycle, of_cycle = divmod(days + _DAYS_BEFORE_1970, _CYCLE_DAYS)
    years = (of_cycle - of_cycle // 1460 + of_cycle // 36524 - of_cycle // 146096) // 365
    of_year = of_cycle - (365 * years + years // 4 - years // 100)
    from_march = (5 * of_year + 2) // 153
    month = from_march + 3 if from_march < 10 else from_march - 9
    day = of_year - (153 * from_march + 2) // 5 + 1
    return cycle * 400 + years + (month <= 2), month, day


def is_leap(year: int) -> bool:
    """Whether the year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in(year: int, month: int) -> int:
    """How many days a month has."""
    return days_of(year, month + 1, 1) - days_of(year, month, 1)


@frozen
class Rule:
    """What a zone has at some moment."""

    abbreviation: str
    offset_s: int
    """East of Greenwich."""
    is_summer: bool = False


@frozen
class Zone:
    """A time zone: one of the database, a fixed one, or that of the host."""

    name: str
    rule: Rule | None = None
    """What it always has; None where that changes."""
    rules: ZoneInfo | None = field(default=None, repr=False)
    """Those of the database; None for the zone of the host, too."""

    def at(self, seconds: int) -> Rule:
        """What it has at that moment."""
        if self.rule is not None:
            return self.rule
        if seconds > _LAST_S:
            seconds = _LAST_S - _CYCLE_S + (seconds - _LAST_S) % _CYCLE_S
        seconds = max(seconds, _FIRST_S)
        if self.rules is None:
            local = time.localtime(seconds)
            return Rule(local.tm_zone, local.tm_gmtoff, local.tm_isdst > 0)
        moment = (_EPOCH + timedelta(seconds=seconds)).astimezone(self.rules)
        offset, saving = moment.utcoffset(), moment.dst()
        offset_s = 0 if offset is None else int(offset.total_seconds())
        return Rule(moment.tzname() or "", offset_s, bool(saving))

    def seconds_of(self, wall: int) -> int:
        """The moment at which clocks of the zone show this: seconds as if it were UTC."""
        guess = wall - self.at(wall).offset_s
        return wall - self.at(guess).offset_s

    def offset_named(self, abbreviation: str, wall: int) -> int | None:
        """The offset that goes by an abbreviation, near a moment; None where the zone has none."""
        quarter = 91 * DAY_S
        for distance in range(5):
            rule = self.at(wall + distance * quarter)
            if rule.abbreviation == abbreviation:
                return rule.offset_s
        return None


UTC = Zone("UTC", Rule("UTC", 0))
LOCAL = Zone("Local")


def fixed(abbreviation: str, offset_s: int) -> Zone:
    """A zone that is called by this abbreviation, or by none."""
    return Zone(abbreviation, Rule(abbreviation, offset_s))


def zone_named(name: str) -> Zone:
    """A zone by its name, such as `Europe/Zurich`; `UTC` and `Local` are special.

    Raises `ValueError` where there is none."""
    if name in ("", "UTC"):
        return UTC
    if name == "Local":
        return LOCAL
    try:
        return Zone(name, None, ZoneInfo(name))
    except (OSError, ValueError, LookupError):
        raise ValueError(f"there is no time zone {name[:100]!r}") from None
