"""Identifiers: upstream's vectors, uniqueness in bursts and across restarts, xids."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.errors import InvalidInput
from aliecs.protocol.identifier import (
    EPOCH_S,
    IdentifierGenerator,
    check_identifier,
    decode,
    encode,
    is_identifier,
    machine_number,
    new_xid,
    parts,
)

NEW_YEAR_2025_S = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC).timestamp()


def test_vectors_of_the_control_api() -> None:
    first = IdentifierGenerator(machine=42, clock=lambda: NEW_YEAR_2025_S)
    assert first.new() == "2rvUhqKFcLZ"
    other = IdentifierGenerator(machine=0xBEEF, clock=lambda: NEW_YEAR_2025_S)
    assert [other.new() for _ in range(8)][7] == "2rvUhqKJDE6"
    known = parts("2oDvieFrVTi")
    moment = datetime.datetime(2024, 6, 25, 10, 49, 13, 790000, tzinfo=datetime.UTC)
    assert known.time_s == pytest.approx(moment.timestamp(), abs=1e-6)
    assert (known.sequence, known.machine) == (0, 5989)
    assert str(known) == "2oDvieFrVTi"


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_base58_there_and_back(number: int) -> None:
    assert decode(encode(number)) == number


@pytest.mark.parametrize("text", ["", "2oDvieFrVT0", "O", "I", "l", "a-b", "é", "\u4e2d", " "])
def test_foreign_texts_are_refused(text: str) -> None:
    assert not is_identifier(text)
    with pytest.raises(InvalidInput, match="received bad environment id"):
        check_identifier(text, "environment")


def test_a_burst_runs_ahead_of_the_clock_without_repeating() -> None:
    generator = IdentifierGenerator(machine=42, clock=lambda: NEW_YEAR_2025_S)
    made = [generator.new() for _ in range(2000)]
    assert len(set(made)) == 2000
    assert [decode(text) for text in made] == sorted(decode(text) for text in made)
    assert parts(made[-1]).units == parts(made[0]).units + 7


def test_a_clock_that_goes_back_repeats_nothing() -> None:
    times = iter([EPOCH_S + 10.0, EPOCH_S + 5.0, EPOCH_S + 5.0])
    generator = IdentifierGenerator(machine=1, clock=lambda: next(times))
    assert len({generator.new() for _ in range(3)}) == 3


def test_a_successor_does_not_repeat_what_it_is_told_of() -> None:
    predecessor = IdentifierGenerator(machine=42, clock=lambda: NEW_YEAR_2025_S)
    made = [predecessor.new() for _ in range(1000)]
    successor = IdentifierGenerator(machine=42, clock=lambda: NEW_YEAR_2025_S)
    for identifier in made:
        successor.skip(identifier)
    assert not {successor.new() for _ in range(1000)} & set(made)


def test_machine_number(tmp_path: Path) -> None:
    path = tmp_path / "machine-id"
    path.write_text("000102030405060708090a0b0c0d0e0f\n")
    assert machine_number(path) == 0x0A0B
    path.write_text("not a machine id")
    assert machine_number(path) == 42
    assert machine_number(tmp_path / "missing") == 42


def test_xid() -> None:
    made = {new_xid() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch("[0-9a-v]{19}[0g]", text) for text in made)
    assert new_xid(lambda: 1000.0) < new_xid(lambda: 2000.0)
