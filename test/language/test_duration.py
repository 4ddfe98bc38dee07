"""Durations as templates write them."""

from __future__ import annotations

import pytest

from aliecs.errors import InvalidInput
from aliecs.language.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("1m30s", 90.0), ("1.5h", 5400.0), ("250ms", 0.25), ("0", 0.0), ("-1s", -1.0),
     ("+2m", 120.0), (".5s", 0.5), ("1us", 1e-6), ("3ns", 3e-9), ("1.s", 1.0)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "1x", "1 s", " 1s", "none", "1m30", "--1s", ".s",
                                  "9" * 30 + "h", "\u0661s"])  # fmt: skip
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_duration(text)
