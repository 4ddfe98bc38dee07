"""A terminal for programs that need one, and somebody who looks at it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyte

DEADLINE_S = 20.0

# The terminal has to be the program's own, else it is not told when its size changes.
PROGRAM = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from aliecs.cli.peanut import main
main()
"""


class Terminal:
    """`peanut` in a terminal of its own. `raw` is all that it wrote."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str] = {},
        rows: int = 24,
        folder: Path | None = None,
    ) -> None:
        self._master, self._slave = pty.openpty()
        self._screen = pyte.Screen(80, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.resize(80, rows)
        self._before = termios.tcgetattr(self._slave)
        # Those of the size would hold it, whatever the terminal says.
        unwanted = ("OCC_CONTROL_PORT", "COLUMNS", "LINES")
        usual = {key: text for key, text in os.environ.items() if key not in unwanted}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={**usual, "TERM": "xterm-256color", **environment},
            cwd=folder,
            start_new_session=True,
        )

    def close(self) -> None:
        """End the program, if it still runs."""
        self.process.kill()
        self.process.wait(DEADLINE_S)
        os.close(self._master)
        os.close(self._slave)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def text(self) -> str:
        """What is to be seen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def box(self, title: str) -> str:
        """What stands in a box at the left, without its frame."""
        lines = self._screen.display
        top = next((row for row, line in enumerate(lines) if line.startswith(f"╭─ {title} ")), None)
        if top is None:
            return ""
        inside = []
        for line in lines[top + 1 :]:
            if not line.startswith("│"):
                break
            inside.append(line[1:].partition("│")[0].strip())
        return "\n".join(inside).strip()

    def colour(self, text: str) -> str:
        """The colour of a text where it stands first."""
        for row, line in enumerate(self._screen.display):
            if (column := line.find(text)) >= 0:
                return str(self._screen.buffer[row][column].fg)
        return ""

    def see(self, text: str) -> None:
        """Wait until a text is to be seen."""
        self.wait(lambda: text in self.text, text)

    def see_state(self, state: str) -> None:
        """Wait until the box of the state says so."""
        self.wait(lambda: self.box("state") == state, f"state {state}")

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Look at the terminal until something is so."""
        end_s = time.monotonic() + DEADLINE_S
        while not condition():
            left_s = end_s - time.monotonic()
            assert left_s > 0, f"not seen: {what}\n{self.text}"
            assert self.process.poll() is None, f"ended, not seen: {what}\n{self.text}"
            self._read(min(left_s, 0.1))

    def end(self) -> int:
        """Wait for the end of the program; gives its exit status."""
        end_s = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < end_s, f"it does not end\n{self.text}"
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode

    def assert_sane(self) -> None:
        """The terminal is as it was: modes, cursor, mouse, the screen before."""
        assert termios.tcgetattr(self._slave) == self._before
        assert not self._screen.cursor.hidden
        for switch in (b"?1049", b"?1000", b"?1003", b"?1006", b"?1004", b"?2004"):
            on, off = self.raw.rfind(switch + b"h"), self.raw.rfind(switch + b"l")
            assert off >= on, switch
        assert b"Traceback" not in self.raw

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        data = os.read(self._master, 65536)
        self.raw += data
        self._stream.feed(data)
        return True
