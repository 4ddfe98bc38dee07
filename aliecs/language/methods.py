"""What expressions may ask of dates, durations, months, weekdays and zones: their methods.

A table of functions on values; nothing that is not in it can be reached. Left out are those of Go
that give bytes, Go's own notation or the bounds of a zone's rule, of no use in a template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from aliecs.language.calendar import LOCAL, UTC, Zone
from aliecs.language.date import SECOND_NS, Date, Duration, Month, Weekday
from aliecs.language.layout import date_text, written
from aliecs.language.value import (
    TIME_TYPES,
    ExpressionError,
    Function,
    LimitError,
    Long,
    type_name,
)

LONGEST_LAYOUT = 1000
METHOD_WORK = 100
"""What it counts to call a method."""
_MICROSECOND_NS = 1_000
_MILLISECOND_NS = 1_000_000
_MINUTE_NS = 60 * SECOND_NS
_HOUR_NS = 60 * _MINUTE_NS


@frozen
class Method:
    """A function on a value and on arguments."""

    call: Callable[..., Any]
    result: str
    """The type of the result, as `Function` has it."""
    parameters: tuple[type, ...] = ()
    nil_is_zero: bool = False

    def of(self, value: Any, name: str) -> Function:
        """The function that an expression calls."""
        method = self.call

        def call(scope: Any, *arguments: Any) -> Any:
            return method(value, *arguments)

        return Function(name, call, self.parameters, self.result, self.nil_is_zero, METHOD_WORK)


def _format(date: Date, layout: str) -> str:
    check_layout(layout)
    return written(date, layout)


def check_layout(layout: str) -> None:
    """Raise `LimitError` for a layout, or a text that is read by one, that is too long."""
    if len(layout) > LONGEST_LAYOUT:
        raise LimitError(f"a layout or date of more than {LONGEST_LAYOUT} characters")


def _moved(date: Date, years: int, months: int, days: int) -> Date:
    try:
        return date.moved(years, months, days)
    except ValueError as error:
        raise ExpressionError(f"AddDate: {error}") from None


def _compared(date: Date, other: Date) -> int:
    order = date.order(other)
    return (order > 0) - (order < 0)


def _on_date(result: str, call: Callable[[Date], Any]) -> Method:
    return Method(call, result)


def _with_duration(result: str, call: Callable[..., Any]) -> Method:
    return Method(call, result, (Duration,))


def _with_date(result: str, call: Callable[[Date, Date], Any]) -> Method:
    return Method(call, result, (Date,))


def _units(unit_ns: int) -> Method:
    """How many whole units a duration has, or a date from 1970 on."""
    return Method(lambda value: Long(value.in_whole(unit_ns)), "long")


def _spans(unit_ns: int) -> Method:
    return Method(lambda duration: duration.in_units(unit_ns), "float")


_DATE: Mapping[str, Method] = {
    "Add": _with_duration("time.Time", Date.plus),
    "AddDate": Method(_moved, "time.Time", (int, int, int), nil_is_zero=True),
    "After": _with_date("bool", lambda date, other: date.order(other) > 0),
    "Before": _with_date("bool", lambda date, other: date.order(other) < 0),
    "Compare": Method(_compared, "int", (Date,), nil_is_zero=True),
    "Day": _on_date("int", lambda date: date.day[2]),
    "Equal": _with_date("bool", lambda date, other: date.order(other) == 0),
    "Format": Method(_format, "string", (str,)),
    "Hour": _on_date("int", lambda date: date.clock[0]),
    "ISOWeek": _on_date("int", lambda date: date.week[0]),
    "In": Method(Date.in_zone, "time.Time", (Zone,)),
    "IsDST": _on_date("bool", lambda date: date.rule.is_summer),
    "IsZero": _on_date("bool", lambda date: date.is_zero),
    "Local": _on_date("time.Time", lambda date: date.in_zone(LOCAL)),
    "Location": _on_date("time.Location", lambda date: date.zone),
    "Minute": _on_date("int", lambda date: date.clock[1]),
    "Month": _on_date("time.Month", lambda date: Month(date.day[1])),
    "Nanosecond": _on_date("int", lambda date: date.nanoseconds),
    "Round": _with_duration("time.Time", Date.rounded),
    "Second": _on_date("int", lambda date: date.clock[2]),
    "String": _on_date("string", date_text),
    "Sub": _with_date("time.Duration", Date.since),
    "Truncate": _with_duration("time.Time", Date.truncated),
    "UTC": _on_date("time.Time", lambda date: date.in_zone(UTC)),
    "Unix": _units(SECOND_NS),
    "UnixMicro": _units(_MICROSECOND_NS),
    "UnixMilli": _units(_MILLISECOND_NS),
    "UnixNano": _units(1),
    "Weekday": _on_date("time.Weekday", lambda date: date.weekday),
    "Year": _on_date("int", lambda date: date.day[0]),
    "YearDay": _on_date("int", lambda date: date.day_of_year),
    "Zone": _on_date("string", lambda date: date.rule.abbreviation),
}

_DURATION: Mapping[str, Method] = {
    "Abs": Method(Duration.absolute, "time.Duration"),
    "Hours": _spans(_HOUR_NS),
    "Microseconds": _units(_MICROSECOND_NS),
    "Milliseconds": _units(_MILLISECOND_NS),
    "Minutes": _spans(_MINUTE_NS),
    "Nanoseconds": _units(1),
    "Round": _with_duration("time.Duration", Duration.rounded),
    "Seconds": _spans(SECOND_NS),
    "String": Method(str, "string"),
    "Truncate": _with_duration("time.Duration", Duration.truncated),
}

_WITH_MORE: Mapping[str, Method] = {
    "Clock": _on_date("int", lambda date: date.clock[0]),
    "Date": _on_date("int", lambda date: date.day[0]),
}
"""Methods of dates that give three values, of which the first is taken; but that is refused where
the type is known beforehand."""

METHODS: Mapping[str, Mapping[str, Method]] = {
    TIME_TYPES[Date]: _DATE,
    TIME_TYPES[Duration]: _DURATION,
    TIME_TYPES[Month]: {"String": Method(str, "string")},
    TIME_TYPES[Weekday]: {"String": Method(str, "string")},
    TIME_TYPES[Zone]: {"String": Method(lambda zone: zone.name, "string")},
}
"""By type and name."""


def method_of(kind: str, name: str) -> Method:
    """A method of a type that has some. Raises `ExpressionError`."""
    method = METHODS[kind].get(name)
    if method is None:
        raise ExpressionError(f"{kind} has no method {name[:100]}")
    return method


def bound(value: Any, name: str) -> Function:
    """A method of a value. Raises `ExpressionError`."""
    if type(value) is Date and name in _WITH_MORE:
        return _WITH_MORE[name].of(value, name)
    return method_of(type_name(value), name).of(value, name)
