"""The spool on disk: what is in it comes out in order, whatever happened to its writer."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from aliecs.event.kafka import spool as module
from aliecs.event.kafka.spool import Content, Letter, Spool

MANY = 1_000_000_000


def content(number: int, size: int = 0) -> Content:
    return Content("topic", b"key" if number % 2 else None, b"%06d" % number + b"x" * size)


def opened(folder: Path, bound_bytes: int = MANY) -> Spool:
    made = Spool(folder / "spool", bound_bytes)
    made.open()
    return made


def take_all(spool: Spool) -> list[Letter]:
    found = []
    while (letter := spool.take()) is not None:
        found.append(letter)
    return found


def numbers(letters: list[Letter]) -> list[int]:
    return [int(letter.value[:6]) for letter in letters]


def test_letters_come_out_as_they_went_in(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([content(1), content(2)])
    spool.append([content(3)])
    found = take_all(spool)
    assert [Content(*letter[1:]) for letter in found] == [content(n) for n in (1, 2, 3)]
    assert [letter.number for letter in found] == [1, 2, 3]
    assert spool.waiting == 3
    spool.acknowledge(3, 3)
    assert spool.waiting == 0
    spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_was_not_acknowledged_is_there_again_and_goes_first(tmp_path: Path) -> None:
    killed = opened(tmp_path)
    killed.append([content(number) for number in range(5)])
    take_all(killed)
    killed.acknowledge(2, 2)
    # Its writer is killed here, without a word.
    spool = opened(tmp_path)
    assert spool.waiting == 3
    spool.append([content(5)])
    assert numbers(take_all(spool)) == [2, 3, 4, 5]
    spool.acknowledge(6, 4)
    spool.close()
    again = opened(tmp_path)
    assert (again.waiting, take_all(again)) == (0, [])


def test_a_letter_that_was_half_written_is_no_letter(tmp_path: Path) -> None:
    killed = opened(tmp_path)
    killed.append([content(number) for number in range(3)])
    (path,) = (tmp_path / "spool").glob("*.letters")
    os.truncate(path, path.stat().st_size - 3)
    spool = opened(tmp_path)
    spool.append([content(7)])
    assert numbers(take_all(spool)) == [0, 1, 7]


def test_more_than_memory_holds_is_read_back_from_disk(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with patch.object(module, "IN_MEMORY", 10), patch.object(module, "SEGMENT_BYTES", 2_000):
        found: list[int] = []
        for begin in range(0, 2_000, 7):
            spool.append([content(number) for number in range(begin, begin + 7)])
            letter = spool.take()
            assert letter is not None
            found += numbers([letter])
            assert len(spool._memory) <= 2_000 // 20
        found += numbers(take_all(spool))
    assert found == list(range(len(found)))
    assert len(found) == 2_002
    assert spool.lost == 0


def test_segments_go_as_their_letters_arrive(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with patch.object(module, "SEGMENT_BYTES", 1_000):
        for number in range(1, 201):
            spool.append([content(number)])
            take_all(spool)
            spool.acknowledge(number, 1)
    assert len(list((tmp_path / "spool").glob("*.letters"))) <= 2
    assert spool.size <= 2_000


def test_when_it_is_full_the_oldest_are_lost_and_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path, bound_bytes=20_000)
    with patch.object(module, "IN_MEMORY", 0):
        for number in range(1_000):
            spool.append([content(number, 100)])
            assert spool.size <= 20_000
        found = numbers(take_all(spool))
    assert found == list(range(1_000 - len(found), 1_000))
    assert spool.lost == 1_000 - len(found) == 1_000 - spool.waiting
    assert len(found) > 100
    on_disk = sum(path.stat().st_size for path in (tmp_path / "spool").iterdir())
    assert on_disk <= 20_000 + 8


def test_what_is_in_memory_is_not_lost_with_its_segment(tmp_path: Path) -> None:
    spool = opened(tmp_path, bound_bytes=20_000)
    for number in range(1_000):
        spool.append([content(number, 100)])
    assert numbers(take_all(spool)) == list(range(1_000))
    assert spool.lost == 0


def test_a_large_letter_is_read_back(tmp_path: Path) -> None:
    killed = opened(tmp_path)
    large = Content("topic", b"key", b"y" * (3 * module.CHUNK_BYTES))
    killed.append([content(1), large, content(2)])
    found = take_all(opened(tmp_path))
    assert [letter.value for letter in found] == [content(1).value, large.value, content(2).value]


def test_a_disk_that_takes_nothing_leaves_memory(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([content(0)])
    with patch.object(module.os, "write", side_effect=OSError(28, "No space left on device")):
        spool.append([content(1)])
        assert spool.fault == "No space left on device"
        with patch.object(module, "IN_MEMORY", 0):
            spool.append([content(2)])
    spool.append([content(3)])
    assert spool.fault == ""
    assert spool.lost == 1
    assert numbers(take_all(spool)) == [0, 1, 3]


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Spool(tmp_path / "file" / "spool", MANY).open()


def test_a_damaged_segment_costs_its_own_letters_only(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with patch.object(module, "IN_MEMORY", 0), patch.object(module, "SEGMENT_BYTES", 400):
        for number in range(30):
            spool.append([content(number)])
        first = sorted((tmp_path / "spool").glob("*.letters"))[0]
        first.write_bytes(b"\0" * first.stat().st_size)
        found = numbers(take_all(spool))
    assert found == list(range(30 - len(found), 30))
    assert spool.lost == 30 - len(found)
