"""Dates, durations and zones of the `{{ }}` language, beyond what the oracle says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.language.calendar import date_of, days_in, days_of, zone_named
from aliecs.language.date import Date, Duration
from aliecs.language.date_reading import read
from aliecs.language.duration import parse_nanoseconds
from aliecs.language.expression import Compiler
from aliecs.language.functions import Scope, make_library
from aliecs.language.layout import RFC_3339, written
from aliecs.language.methods import METHODS
from aliecs.language.value import ExpressionError, LimitError

SCOPE = Scope({}, make_library(Compiler()))
DAY_0 = date(1970, 1, 1)


def render(expression: str) -> str:
    return SCOPE.render(f"{{{{ {expression} }}}}")


@pytest.fixture
def in_zurich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Zurich")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@given(st.dates())
def test_the_calendar_is_that_of_python(day: date) -> None:
    days = (day - DAY_0).days
    assert days_of(day.year, day.month, day.day) == days
    assert date_of(days) == (day.year, day.month, day.day)
    assert Date(days * 86_400).weekday.number == day.isoweekday() % 7
    assert Date(days * 86_400).week == day.isocalendar()[:2]


@given(st.integers(-(10**9), 10**9))
def test_the_calendar_has_no_end(days: int) -> None:
    assert days_of(*date_of(days)) == days


def test_months_and_days_run_over() -> None:
    assert days_of(2023, 14, 30) == (date(2024, 2, 29) + timedelta(days=1) - DAY_0).days
    assert [days_in(2024, month) for month in (2, 4, 12)] == [29, 30, 31]


@given(
    st.integers(-62_135_596_800, 253_402_300_799), st.integers(0, 999_999_999),
    st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
)  # fmt: skip
def test_what_is_written_is_read_again(seconds: int, nanoseconds: int, zone: str) -> None:
    shown = Date(seconds, nanoseconds, zone_named(zone))
    # The zones of long ago differ by seconds, which are not written.
    if not 0 <= shown.day[0] <= 9999 or shown.rule.offset_s % 60:
        return
    again = read(written(shown, RFC_3339), RFC_3339)
    assert (again.seconds, again.nanoseconds) == (seconds, nanoseconds)


@given(st.integers(-(2**63), 2**63 - 1))
def test_durations_are_read_as_they_are_written(nanoseconds: int) -> None:
    assert abs(parse_nanoseconds(str(Duration(nanoseconds))) - nanoseconds) <= 1


def test_now_shows_the_clock_that_never_goes_back() -> None:
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} \S+ m=[+-]\d+\.\d{9}"
    assert re.fullmatch(pattern, render("now()"))
    assert " m=" not in render("now().UTC()")
    assert abs(int(render("now().Unix()")) - time.time()) < 5


@pytest.mark.usefixtures("in_zurich")
def test_a_text_without_a_zone_is_in_utc_and_its_offset_may_be_that_of_the_host() -> None:
    assert render("date('2024-07-02 10:00:00')") == "2024-07-02 10:00:00 +0000 UTC"
    assert render("date('2024-07-02T10:00:00+02:00')") == "2024-07-02 10:00:00 +0200 CEST"
    assert render("date('2024-07-02T10:00:00+03:00')") == "2024-07-02 10:00:00 +0300 +0300"
    assert render("date('2024-01-02').Local()") == "2024-01-02 01:00:00 +0100 CET"
    assert render("now().Location()") == "Local"


VALUES = {
    "time.Time": "date('2024-01-02')",
    "time.Duration": "duration('1h')",
    "time.Location": "timezone('Asia/Tokyo')",
    "time.Month": "date('2024-01-02').Month()",
    "time.Weekday": "date('2024-01-02').Weekday()",
}


@pytest.mark.parametrize("kind", VALUES)
def test_only_methods_can_be_reached(kind: str) -> None:
    value = VALUES[kind]
    attributes = {
        *dir(Date), *dir(Duration), "zone", "seconds", "number", "rule", "name", "rules",
    }  # fmt: skip
    for name in attributes - METHODS[kind].keys():
        for said in (f"{value}.{name}", f"[{value}, 'x'][0].{name}", f"{value}['{name}']",
                     f"{value}.{name}()", f"[{value}, 'x'][0]?.{name}()"):  # fmt: skip
            with pytest.raises(ExpressionError):
                render(said)
        assert render(f"get([{value}, 'x'][0], '{name}')") == "<nil>"


@pytest.mark.parametrize(
    "expression",
    [
        "date('Mon, 02 Jan 2006 15:04:05 XYZ')",
        "date(repeat(' ', 999), repeat(' ', 999))",
        "date('2024-01-02').Format(repeat('2', 1000))",
        "duration(repeat('1s', 500))",
    ],
)
def test_work_on_dates_is_counted(expression: str) -> None:
    begin_s = time.monotonic()
    with pytest.raises(LimitError):
        render(f"len(map(1..100000, {expression}))")
    assert time.monotonic() - begin_s < 10


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("date('tomorrow')", "'tomorrow' is not a date"),
        ("date('24', '2006')", "does not begin like '2006'"),
        ("date('2024-02-30')", "is not a date"),
        ("date('2023-366', '2006-002')", "the day 366 of the year is out of range"),
        ("date('1 Feb', '2 Jan', 'Nowhere')", "there is no time zone 'Nowhere'"),
        ("timezone('../UTC')", "there is no time zone '../UTC'"),
        ("timezone('/etc/passwd')", "there is no time zone"),
        ("duration('5')", "'5' is not a duration"),
        ("duration('1h') + 1", "'+' cannot take time.Duration and int"),
        ("date('2024-01-02') + date('2024-01-02')", "cannot take time.Time and time.Time"),
        ("date('2024-01-02') < '2024'", "cannot take time.Time and string"),
        ("date('2024-01-02').Add(5)", "Add cannot take int"),
        ("[date('2024-01-02'), 1][0].Add(5)", "Add takes a time.Duration, not int"),
        ("date('2024-01-02').Year", "a function is not a value"),
        ("date('2024-01-02').nope", "time.Time has no method nope"),
        ("date('2024-01-02').AddDate(2000000000, 0, 0)", "too far away"),
        ("toJSON(date('9999-01-01').AddDate(1, 0, 0))", "more than four digits"),
        ("now().Format(repeat('2', 1001))", "more than 1000 characters"),
        ("date(repeat('2', 1001))", "more than 1000 characters"),
    ],
)
def test_errors(expression: str, reason: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        render(expression)
    assert reason in str(caught.value)
