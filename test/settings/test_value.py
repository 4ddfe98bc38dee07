"""One text, one value: the kinds of settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.settings.value import (
    COMMAND,
    FLAG,
    FOLDER,
    HOSTS,
    LABELS,
    NUMBER,
    PORT,
    PORT_RANGE,
    WORDS,
    Host,
    Kind,
    choice,
    format_duration,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20s", 20),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("1m0.5s", 60.5),
        (".5s", 0.5),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("3ns", 3e-9),
        ("0", 0),
        (" 2m ", 120),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "20", "s", "1d", "-5s", "1h 30m", "1,5s", "20s!", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_a_number_without_unit_is_told_how_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"a unit is missing: 20s\?"):
        parse_duration("20")


@given(st.integers(min_value=0, max_value=10**10))
def test_durations_come_back_from_their_text(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (FLAG, "true", True),
        (FLAG, "T", True),
        (FLAG, "0", False),
        (PORT, "32102", 32102),
        (NUMBER, "0.01", 0.01),
        (WORDS, "", ()),
        (WORDS, "a, b  c\nd,", ("a", "b", "c", "d")),
        (WORDS, ["a", "b c"], ("a", "b c")),
        (COMMAND, "clean --all 'a b'", ("clean", "--all", "a b")),
        (COMMAND, ["clean", "a b"], ("clean", "a b")),
        (PORT_RANGE, "20000-31999", (20000, 31999)),
        (FOLDER, "/var//lib/", "/var/lib"),
        (choice("text", "json"), "JSON", "json"),
        (LABELS, [{"key": "a", "value": "b"}], (("a", "b"),)),
        (LABELS, ["a=b=c", "d:e", "f", "g="], (("a", "b=c"), ("d", "e"), ("f", ""), ("g", ""))),
        (LABELS, "", ()),
        (HOSTS, "flp001, epn001", (Host("flp001"), Host("epn001"))),
        (
            HOSTS,
            '[{"name": "flp001", "attributes": {"machine_id": "flp001"}, "cpus": 2}]',
            (Host("flp001", {"machine_id": "flp001"}, cpus=2.0),),
        ),
        (
            HOSTS,
            [{"name": "flp001", "memory": "512"}, "epn001"],
            (Host("flp001", memory_mb=512.0), Host("epn001")),
        ),
    ],
)
def test_values(kind: Kind[Any], raw: Any, value: Any) -> None:
    assert kind.parse(raw) == value


@pytest.mark.parametrize(
    ("kind", "raw", "fault"),
    [
        (FLAG, "yes", "expected true or false"),
        (FLAG, ["true"], "not a list"),
        (PORT, "65536", "from 0 to 65535"),
        (PORT, "-1", "from 0 to 65535"),
        (PORT, "0x10", "whole number"),
        (PORT, "٣", "whole number"),
        (NUMBER, "nan", "0 or more"),
        (NUMBER, "-1", "0 or more"),
        (WORDS, {"a": "b"}, "not a map"),
        (WORDS, [["a"]], "not a list"),
        (PORT_RANGE, "31999-20000", "ascending"),
        (PORT_RANGE, "80-90", "between 1024 and 65535"),
        (FOLDER, "", "a path is needed"),
        (choice("text", "json"), "xml", "expected text or json, not 'xml'"),
        (LABELS, [{"key": "a"}], "key and value"),
        (LABELS, ["=b"], "has no key"),
        (HOSTS, ["a", "a"], "two hosts named 'a'"),
        (HOSTS, [{"name": "a", "cpu": "1"}], "not 'cpu'"),
        (HOSTS, [{"cpus": "1"}], "has no name"),
        (HOSTS, ["../a"], "is not a host's name"),
        (HOSTS, [{"name": "a", "attributes": ["b"]}], "not a map"),
        (HOSTS, "[{name: a", "neither YAML nor JSON"),
    ],
)
def test_faults(kind: Kind[Any], raw: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        kind.parse(raw)
