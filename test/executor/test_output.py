"""Logs of tasks: bounds, ends, names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliecs.errors import InvalidInput, NotFound
from aliecs.executor.output import BoundedFile, Capture, LogFolder


def folder(root: Path, stream_bytes: int = 1000, total_bytes: int = 10_000) -> LogFolder:
    return LogFolder(root / "tasks", stream_bytes, total_bytes)


@settings(max_examples=50)
@given(pieces=st.lists(st.binary(min_size=1, max_size=60), max_size=40))
def test_a_file_keeps_the_end_and_stays_within_its_bound(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    logs = folder(tmp_path_factory.mktemp("logs"), stream_bytes=200)
    captures = logs.captures("task", 1000)
    for piece in pieces:
        captures.stdout.write(piece)
    captures.stdout.close()
    files = list((logs.root / "task").iterdir()) if pieces else []
    assert sum(path.stat().st_size for path in files) <= 200
    if pieces:
        kept = logs.tail("task", "stdout", 10_000)
        whole = b"".join(pieces)
        assert len(kept.encode(errors="replace")) > 0
        assert whole.decode(errors="replace").endswith(kept[-1:])


def test_the_tail_crosses_the_turn_of_the_file(tmp_path: Path) -> None:
    logs = folder(tmp_path, stream_bytes=20)
    captures = logs.captures("task", 100)
    for number in range(10):
        captures.stderr.write(b"%d23456\n" % number)
    assert logs.tail("task", "stderr", 10) == "56\n923456\n"
    assert logs.tail("task", "stderr", 0) == ""
    assert logs.tail("task", "stderr", 1 << 40).endswith("823456\n923456\n")
    captures.stderr.close()


def test_a_later_process_of_a_task_goes_on_in_the_same_file(tmp_path: Path) -> None:
    logs = folder(tmp_path)
    for text in (b"first\n", b"second\n"):
        captures = logs.captures("task", 100)
        captures.stdout.write(text)
        captures.stdout.close()
        assert captures.stdout.text() == text.decode()
    assert logs.tail("task", "stdout", 100) == "first\nsecond\n"


def test_a_capture_tells_what_it_left_out(tmp_path: Path) -> None:
    capture = Capture(BoundedFile(tmp_path / "x", 1000), 10)
    for _ in range(50):
        capture.write(b"0123456789")
    capture.write(b"the end\n")
    assert capture.text() == "[498 bytes before this are left out]\n89the end\n"
    capture.close()


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (b"", ""),
        (b"\n\n", ""),
        (b"a\nb\n\n  \n", "b"),
        (b"no end", "no end"),
        (b"\xff!\n", "\ufffd!"),
    ],
)
def test_the_last_line(tmp_path: Path, written: bytes, line: str) -> None:
    capture = Capture(BoundedFile(tmp_path / "x", 1000), 100)
    if written:
        capture.write(written)
    assert capture.last_line() == line
    capture.close()


def test_a_disk_that_cannot_be_written_costs_only_the_output(tmp_path: Path) -> None:
    (tmp_path / "tasks").write_text("in the way")
    captures = folder(tmp_path).captures("task", 100)
    captures.stdout.write(b"lost on disk")
    assert captures.stdout.text() == "lost on disk"


@pytest.mark.parametrize("task_id", ["", "..", "../x", "a/b", ".hidden", "a\0b", "x" * 300])
def test_no_task_id_leads_out_of_the_folder(tmp_path: Path, task_id: str) -> None:
    with pytest.raises(InvalidInput, match="not a task id"):
        folder(tmp_path).tail(task_id, "stdout", 10)
    with pytest.raises(InvalidInput, match="not a task id"):
        folder(tmp_path).captures(task_id, 10)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="streams stdout and stderr, not 'passwd'"):
        folder(tmp_path).tail("task", "passwd", 10)
    with pytest.raises(NotFound, match="no stderr of task never"):
        folder(tmp_path).tail("never", "stderr", 10)


def test_pruning_takes_the_oldest_of_the_ended(tmp_path: Path) -> None:
    logs = folder(tmp_path, total_bytes=250)
    for age, task_id in enumerate(["newest", "middle", "living", "oldest"]):
        captures = logs.captures(task_id, 10)
        captures.stdout.write(b"x" * 100)
        captures.stdout.close()
        os.utime(logs.root / task_id / "stdout", (1e9 - age, 1e9 - age))
    assert logs.prune({"living"}) == 200
    assert {path.name for path in logs.root.iterdir()} == {"newest", "living"}
    assert logs.prune({"living"}) == 200


def test_pruning_where_nothing_was_ever_written(tmp_path: Path) -> None:
    assert folder(tmp_path).prune(()) == 0
