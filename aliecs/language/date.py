"""Dates and durations as values of the `{{ }}` language: those of Go, to the nanosecond.

A date is a moment and the zone in which it is shown. Durations keep to 64 bits, and are lost or
stop at the largest in the same places as Go's. How dates are written and read is in `layout` and
`date_reading`, what expressions may ask of them in `methods`.
"""

from __future__ import annotations

import time

from attrs import evolve, field, frozen

from aliecs.language.calendar import DAY_S, LOCAL, UTC, Rule, Zone, date_of, days_of

SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * SECOND_NS
_LONGEST_NS = 2**63 - 1
_FARTHEST_YEAR = 1_000_000_000
_YEAR_1_S = -62_135_596_800
_BEGAN_NS = time.monotonic_ns()

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


@frozen(order=True)
class Month:
    """A month, from 1 on."""

    number: int

    def __str__(self) -> str:
        return MONTHS[self.number - 1]


@frozen(order=True)
class Weekday:
    """A day of the week; Sunday is 0."""

    number: int

    def __str__(self) -> str:
        return WEEKDAYS[self.number]


def _wrapped(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63


def _bounded(number: int) -> int:
    return max(-(2**63), min(number, _LONGEST_NS))


def _to_whole(nanoseconds: int, step: int) -> int:
    """The nearest multiple of a step, halves away from zero."""
    left = abs(nanoseconds) % step
    nearest = abs(nanoseconds) - left + (step if 2 * left >= step else 0)
    return _bounded(nearest if nanoseconds >= 0 else -nearest)


@frozen(order=True)
class Duration:
    """A span of time."""

    number: int
    """Of nanoseconds."""

    def __str__(self) -> str:
        return _duration_text(self.number)

    def plus(self, other: Duration) -> Duration:
        """Both together."""
        return Duration(_wrapped(self.number + other.number))

    def minus(self, other: Duration) -> Duration:
        """What is left."""
        return Duration(_wrapped(self.number - other.number))

    def times(self, factor: int) -> Duration:
        """A multiple."""
        return Duration(_wrapped(self.number * factor))

    def rounded(self, step: Duration) -> Duration:
        """The nearest multiple of `step`."""
        return self if step.number <= 0 else Duration(_to_whole(self.number, step.number))

    def truncated(self, step: Duration) -> Duration:
        """The multiple of `step` that is next towards zero."""
        if step.number <= 0:
            return self
        left = abs(self.number) % step.number
        return Duration(self.number - left if self.number >= 0 else self.number + left)

    def in_units(self, unit_ns: int) -> float:
        """How many hours, minutes or seconds it is, with a fraction."""
        whole, left = divmod(abs(self.number), unit_ns)
        number = float(whole) + float(left) / float(unit_ns)
        return number if self.number >= 0 else -number

    def in_whole(self, unit_ns: int) -> int:
        """The same without the fraction."""
        whole = abs(self.number) // unit_ns
        return whole if self.number >= 0 else -whole

    def absolute(self) -> Duration:
        """Without its sign."""
        return Duration(min(abs(self.number), _LONGEST_NS))


def _duration_text(nanoseconds: int) -> str:
    """`1h30m0s`, `1.5µs`."""
    size = abs(nanoseconds)
    sign = "-" if nanoseconds < 0 else ""
    if size == 0:
        return "0s"
    for unit, digits in (("ns", 0), ("µs", 3), ("ms", 6)):
        if size < 10 ** (digits + 3):
            return f"{sign}{_decimal(size, digits)}{unit}"
    minutes, left = divmod(size, _MINUTE_NS)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(left, 9)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else f"{sign}{text}"


def _decimal(number: int, digits: int) -> str:
    """`number` with its last digits as a fraction."""
    whole, fraction = divmod(number, 10**digits)
    if not fraction:
        return str(whole)
    return f"{whole}.{fraction:0{digits}d}".rstrip("0")


NAMED_NUMBERS = frozenset({Duration, Month, Weekday})
"""Types that are a number and nothing else."""


@frozen
class Date:
    """A moment, shown in a zone."""

    seconds: int
    """From 1970 on, in UTC."""
    nanoseconds: int = 0
    """Within the second."""
    zone: Zone = UTC
    reading_ns: int | None = field(default=None)
    """What a clock that never goes back showed, for those that `now` gives."""

    @classmethod
    def of(
        cls, year: int, month: int, day: int, wall_s: int = 0, nanoseconds: int = 0,
        zone: Zone = UTC,
    ) -> Date:  # fmt: skip
        """The moment that clocks of a zone show, with the seconds of the day."""
        wall = days_of(year, month, day) * DAY_S + wall_s
        return cls(zone.seconds_of(wall), nanoseconds, zone)

    @classmethod
    def now(cls, zone: Zone | None = None) -> Date:
        """The present."""
        seconds, nanoseconds = divmod(time.time_ns(), SECOND_NS)
        if zone is not None:
            return cls(seconds, nanoseconds, zone)
        return cls(seconds, nanoseconds, LOCAL, time.monotonic_ns() - _BEGAN_NS)

    @property
    def rule(self) -> Rule:
        """What its zone has then."""
        return self.zone.at(self.seconds)

    @property
    def wall(self) -> int:
        """What clocks of its zone show, as seconds from 1970 on."""
        return self.seconds + self.rule.offset_s

    @property
    def day(self) -> tuple[int, int, int]:
        """Year, month, day of the month."""
        return date_of(self.wall // DAY_S)

    @property
    def clock(self) -> tuple[int, int, int]:
        """Hour, minute, second."""
        of_day = self.wall % DAY_S
        return of_day // 3600, of_day // 60 % 60, of_day % 60

    @property
    def weekday(self) -> Weekday:
        """The day of the week."""
        return Weekday((self.wall // DAY_S + 4) % 7)

    @property
    def day_of_year(self) -> int:
        """From 1 on."""
        year, _, _ = self.day
        return self.wall // DAY_S - days_of(year, 1, 1) + 1

    @property
    def week(self) -> tuple[int, int]:
        """Year and number of the week, as ISO 8601 counts."""
        thursday = self.wall // DAY_S + 3 - (self.wall // DAY_S + 3) % 7
        year, _, _ = date_of(thursday)
        return year, (thursday - days_of(year, 1, 1)) // 7 + 1

    def in_zone(self, zone: Zone) -> Date:
        """The same moment, shown elsewhere."""
        return Date(self.seconds, self.nanoseconds, zone)

    @property
    def total_ns(self) -> int:
        """Nanoseconds from 1970 on."""
        return self.seconds * SECOND_NS + self.nanoseconds

    def in_whole(self, unit_ns: int) -> int:
        """Units from 1970 on, without a fraction, in 64 bits."""
        return _wrapped(self.total_ns // unit_ns)

    def _at(self, total_ns: int) -> Date:
        seconds, nanoseconds = divmod(total_ns, SECOND_NS)
        return Date(seconds, nanoseconds, self.zone)

    def order(self, other: Date) -> int:
        """Less than 0 if it is earlier, 0 if it is the same moment, more than 0 if it is later."""
        if self.reading_ns is not None and other.reading_ns is not None:
            return self.reading_ns - other.reading_ns
        return self.total_ns - other.total_ns

    def since(self, other: Date) -> Duration:
        """The time from another date to this, or the longest that there is."""
        return Duration(_bounded(self.order(other)))

    def plus(self, duration: Duration) -> Date:
        """Later, or earlier, by a duration."""
        later = self._at(self.total_ns + duration.number)
        if self.reading_ns is None:
            return later
        return evolve(later, reading_ns=self.reading_ns + duration.number)

    def minus(self, duration: Duration) -> Date:
        """Earlier by a duration."""
        return self.plus(Duration(_wrapped(-duration.number)))

    def moved(self, years: int, months: int, days: int) -> Date:
        """By a number of years, months and days of the calendar. Raises `ValueError`."""
        year, month, day = self.day
        if max(abs(years), abs(months), abs(days), abs(year)) > _FARTHEST_YEAR:
            raise ValueError("the date is too far away")
        hour, minute, second = self.clock
        wall_s = hour * 3600 + minute * 60 + second
        return Date.of(
            year + years, month + months, day + days, wall_s, self.nanoseconds, self.zone
        )

    def truncated(self, step: Duration) -> Date:
        """The last multiple of `step`, counted from the year 1."""
        if step.number <= 0:
            return evolve(self, reading_ns=None)
        return self._at(self.total_ns - self._beyond(step))

    def rounded(self, step: Duration) -> Date:
        """The nearest multiple of `step`, counted from the year 1; the later of two."""
        if step.number <= 0:
            return evolve(self, reading_ns=None)
        left = self._beyond(step)
        more = step.number - left if 2 * left >= step.number else -left
        return self._at(self.total_ns + more)

    def _beyond(self, step: Duration) -> int:
        return (self.total_ns - _YEAR_1_S * SECOND_NS) % step.number

    @property
    def is_zero(self) -> bool:
        """Whether it is the beginning of the year 1."""
        return self.seconds == _YEAR_1_S and self.nanoseconds == 0


ZERO = Date(_YEAR_1_S)
"""The date that was never set."""
