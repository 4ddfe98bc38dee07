"""RecordIO: any record in any pieces comes out as it went in; nonsense and excess are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.protocol.recordio import RecordError, RecordReader, encode_record


@given(st.lists(st.binary(max_size=60), max_size=8), st.integers(min_value=1, max_value=25))
def test_records_in_any_pieces(records: list[bytes], piece: int) -> None:
    stream = b"".join(encode_record(record) for record in records)
    reader = RecordReader()
    got: list[bytes] = []
    for start in range(0, len(stream), piece):
        got += reader.feed(stream[start : start + piece])
    assert got == records
    assert reader.is_between_records


def test_what_is_kept_between_pieces_is_told() -> None:
    reader = RecordReader()
    assert reader.feed(b"5\nab") == []
    assert not reader.is_between_records
    assert reader.feed(b"cde3\nxyz") == [b"abcde", b"xyz"]
    assert reader.is_between_records


@pytest.mark.parametrize(
    "stream", [b"x", b"-1\nab", b"\nab", b"5 \nabcde", b"GET / HTTP/1.1\r\n", b"1" * 30]
)
def test_nonsense(stream: bytes) -> None:
    with pytest.raises(RecordError, match="length of a record"):
        RecordReader().feed(stream)


def test_a_record_over_the_limit_is_refused_before_it_is_kept() -> None:
    reader = RecordReader(limit_bytes=1000)
    assert reader.feed(encode_record(b"x" * 1000)) == [b"x" * 1000]
    with pytest.raises(RecordError, match="1001 bytes is larger than the limit of 1000"):
        reader.feed(b"1001\n")
