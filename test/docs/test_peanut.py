"""What docs/peanut.md shows is what happens: its commands, its script, its picture."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aliecs.cli.peanut.command_line import peanut
from aliecs.cli.peanut.controls import EVENT_KEYS, FAIRMQ_EVENT_KEYS
from test.cli.conftest import PEANUT, Running
from test.cli.terminal import Terminal
from test.docs.documents import DOCS, blocks

PAGE = DOCS / "peanut.md"
USUAL = "47100"


@pytest.fixture(name="counter")
def start_counter(tmp_path: Path) -> Iterator[Running]:
    program = tmp_path / "counter.py"
    program.write_text(next(blocks(DOCS / "tasks.md", "python")).text)
    running = Running([sys.executable, str(program)], tmp_path)
    yield running
    running.end()


def test_the_commands(counter: Running, tmp_path: Path) -> None:
    conversation = 0
    for block in blocks(PAGE, "sh", "console"):
        if block.language == "sh":
            subprocess.run(["sh", "-euc", block.text], cwd=tmp_path, check=True, timeout=20)
            continue
        for command, expected in re.findall(r"^\$ peanut (.*)\n([^$]*)", block.text, re.M):
            done = subprocess.run(
                [*PEANUT, "-addr", f"localhost:{counter.port}", *command.split()],
                capture_output=True,
                text=True,
                timeout=20,
                cwd=tmp_path,
            )
            told = (done.stdout + done.stderr).replace(str(counter.port), USUAL)
            assert told == expected, command
            conversation += 1
    assert conversation == 5


def test_the_picture(counter: Running, tmp_path: Path) -> None:
    *_, opened, picture = (block.text for block in blocks(PAGE, "text"))
    making = [block.text for block in blocks(PAGE, "sh") if "counter.yaml" in block.text]
    subprocess.run(["sh", "-euc", *making], cwd=tmp_path, check=True, timeout=20)
    arguments = opened.removeprefix("$ peanut ").replace(USUAL, str(counter.port)).split()
    # The program runs where the reader would be.
    screen = Terminal(*arguments, folder=tmp_path)
    try:
        screen.see_state("STANDBY")
        screen.type("c")
        screen.see_state("CONFIGURED")
        screen.type("s")
        screen.see_state("RUNNING")
        screen.wait(lambda: shown(screen, counter.port) == picture.rstrip("\n"), picture)
    finally:
        screen.close()


def shown(screen: Terminal, port: int) -> str:
    """The screen as on the page: at another time and port."""
    # A port may be shorter than the usual one.
    text = screen.text.rstrip("\n").replace(f"{port}".ljust(5), USUAL)
    return re.sub(r"\d\d:\d\d:\d\d", "12:00:00", text)


def test_options_commands_and_keys() -> None:
    text = PAGE.read_text()
    named = set(re.findall(r"^\| `(-\w+) ", text, re.M))
    assert named == {option.opts[0] for option in peanut.params}
    for command in peanut.commands:
        assert re.search(rf"^\|[^|]*`{command}\b", text, re.M), command
    rows = re.findall(r"^\| (?:`(\w)` \| (\w+))?[ |]+`(\d)` \| ([A-Z ]+) \|$", text, re.M)
    assert {key: event for key, event, _, _ in rows if key} == EVENT_KEYS
    assert {key: event for _, _, key, event in rows} == FAIRMQ_EVENT_KEYS


if __name__ == "__main__":
    # Prints the picture, for the page.
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "counter.py").write_text(next(blocks(DOCS / "tasks.md", "python")).text)
        (folder / "counter.yaml").write_text("step: 5\n")
        os.chdir(folder)
        task = Running([sys.executable, "counter.py"], folder)
        terminal = Terminal("-addr", task.address, "-config", "counter.yaml")
        for key, state in (("", "STANDBY"), ("c", "CONFIGURED"), ("s", "RUNNING")):
            terminal.type(key)
            terminal.see_state(state)
        terminal.see("START--> RUNNING")
        print(shown(terminal, task.port))
        terminal.close()
        task.end()
