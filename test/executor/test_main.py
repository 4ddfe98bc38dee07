"""The command `aliecs-executor`: what it refuses, and where its output goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aliecs.executor.main import LogFile, parse

NEEDED = ["--socket=s", "--host=flp001", "--executor-id=e", "--framework-id=f", "--token-file=t",
          "--directory=d"]  # fmt: skip


def test_paths_do_not_depend_on_where_we_go() -> None:
    options = parse(NEEDED)
    assert options.socket == Path.cwd() / "s"
    assert options.directory == Path.cwd() / "d"
    assert options.shell == "/bin/sh"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--shell=bash", "--shell needs an absolute path, not 'bash'"),
        ("--shm-cleaner=a 'b", '--shm-cleaner "a \'b": No closing quotation'),
        ("--recovery-timeout-s=soon", "invalid float value: 'soon'"),
        ("--unknown", "unrecognized arguments: --unknown"),
        ("--host=", "--socket needs --host too"),
    ],
)
def test_a_wrong_option_is_named(
    option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([*NEEDED, option])
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--host=flp001"], "--socket is missing: without it, the environment of a Mesos agent"),
        (["--detach"], "--detach is for a core with its --socket"),
    ],
)
def test_the_two_ways_in_do_not_mix(
    options: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(options)
    assert text in capsys.readouterr().err


def test_without_its_token_it_does_not_start(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "aliecs.executor.main", *NEEDED[:4],
         f"--token-file={tmp_path}/missing", f"--directory={tmp_path}/d"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith("aliecs-executor: ")
    assert f"{tmp_path}/missing" in ended.stderr
    assert not (tmp_path / "d").exists()


def test_the_log_is_turned_over_and_stays_bounded(tmp_path: Path) -> None:
    """In a process of its own: the log takes over standard output."""
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from aliecs.executor.main import LogFile\n"
        "log = LogFile(Path(sys.argv[1]), 1000)\n"
        "log.open()\n"
        "for _ in range(30):\n"
        "    os.write(1, b'x' * 99 + b'\\n')\n"
        "    log.turn_over()\n"
        "os.write(2, b'the end\\n')\n"
    )
    path = tmp_path / "executor.log"
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=20)
    assert {entry.name for entry in tmp_path.iterdir()} == {"executor.log", "executor.log.older"}
    assert path.read_text().endswith("the end\n")
    assert sum(entry.stat().st_size for entry in tmp_path.iterdir()) <= 1300


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    before = os.fstat(1)
    with pytest.raises(FileNotFoundError):
        LogFile(tmp_path / "missing" / "log", 1000).open()
    assert os.fstat(1).st_ino == before.st_ino
