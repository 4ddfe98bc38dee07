"""Ports: slices that nobody shares, and only what nobody listens on."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.backend.ports import PortClaims, from_ranges, is_free, to_ranges
from aliecs.errors import Exhausted


def claims(folder: Path) -> PortClaims:
    return PortClaims(first=31000, last=31029, slice_ports=10, folder=folder / "ports")


def test_slices_are_claimed_once_and_come_back(tmp_path: Path) -> None:
    ours, theirs = claims(tmp_path), claims(tmp_path)
    first, second, third = ours.claim(), theirs.claim(), ours.claim()
    assert [(s.first, s.last) for s in (first, second, third)] == [
        (31000, 31009), (31010, 31019), (31020, 31029),
    ]  # fmt: skip
    with pytest.raises(Exhausted, match="every slice of 10 ports from 31000 to 31029"):
        theirs.claim()
    second.release()
    again = ours.claim()
    assert again.first == 31010
    for claimed in (first, third, again):
        claimed.release()


def test_a_link_in_the_folder_of_locks_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "ports").mkdir()
    (tmp_path / "ports" / "31000").symlink_to(tmp_path / "elsewhere")
    claimed = claims(tmp_path).claim()
    assert claimed.first == 31010
    assert not (tmp_path / "elsewhere").exists()
    claimed.release()


def test_what_somebody_listens_on_is_not_free(tmp_path: Path) -> None:
    claimed = claims(tmp_path).claim()
    everything = claimed.free(())
    port = max(everything)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not is_free(port)
        assert claimed.free({min(everything)}) == everything - {port, min(everything)}
    assert is_free(port)
    claimed.release()


@given(st.sets(st.integers(1, 65535), max_size=50))
def test_ranges_there_and_back(ports: set[int]) -> None:
    ranges = to_ranges(ports)
    assert from_ranges(ranges) == ports
    for (_, end), (begin, _) in itertools.pairwise(ranges):
        assert begin > end + 1
