"""Workflow templates that a program generated: run it, keep what it made, give it again.

A DPL command with `--o2-control <name>` writes a workflow template and its task templates into the
folder it runs in. It runs as the core's user, in a session of its own and for a limited time, in a
folder that takes its final name only when everything is in it; a name stands for one content, so
what was made once is made never again. No repository is touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from aliecs.errors import Conflict, DeadlineExceeded, InvalidInput, Unavailable
from aliecs.repository.git import LARGEST_FILE
from aliecs.repository.thread import in_own_thread

KEPT_DAYS = 30
"""Templates that nobody asked for in that time are removed."""

_NAME = re.compile(r"(jit-[0-9a-f]{40})(-.*)?")
_UNFINISHED = ".unfinished-"
_LOOK_S = 0.2
_LAST_BYTES = 4096
_LAST_LINES = 10

_log = Logger()


@define(eq=False)
class Generated:
    """What was generated, below `folder`. `reactor` is where answers come back to."""

    folder: Path
    reactor: Any
    _closing: threading.Event = field(init=False, factory=threading.Event)
    _running: dict[str, DeferredLock] = field(init=False, factory=dict)

    @staticmethod
    def may_have(path: str) -> bool:
        """True where a path is one that generated templates have."""
        return _NAME.fullmatch(path.rsplit("/", 1)[-1].removesuffix(".yaml")) is not None

    def read(self, path: str) -> bytes | None:
        """The content of `workflows/<name>.yaml` or `tasks/<name>.yaml`, None where it was not
        generated. Blocks."""
        name = path.rsplit("/", 1)[-1].removesuffix(".yaml")
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        folder = self.folder / match[1]
        try:
            with (folder / path).open("rb") as file:
                content = file.read(LARGEST_FILE + 1)
            os.utime(folder)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unavailable(f"{folder / path}: {error.strerror}") from error
        if len(content) > LARGEST_FILE:
            raise InvalidInput(f"{folder / path} has more than {LARGEST_FILE} bytes")
        return content

    def remove_old(self) -> None:
        """Remove what is not used any more, and what a core left that ended meanwhile. Blocks."""
        oldest = time.time() - KEPT_DAYS * 86400
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            with contextlib.suppress(OSError):
                if folder.name.startswith(_UNFINISHED) or folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Give up what runs."""
        self._closing.set()

    async def generate(self, name: str, command: str, timeout_s: float) -> None:
        """Coroutine. Make the templates `name` with `command`, a text for bash, unless they are
        there.

        Raises `Conflict` where the command fails or writes no such template, telling the end of
        what it said; `DeadlineExceeded` where it takes longer than `timeout_s`; `Unavailable`.
        """
        lock = self._running.setdefault(name, DeferredLock())
        try:
            async with lock:
                if self.read(f"workflows/{name}.yaml") is None:
                    work = _Work(name, command, timeout_s, self.folder, self._closing)
                    await in_own_thread(self.reactor, work.do)
        finally:
            if not lock.locked and not lock.waiting:
                self._running.pop(name, None)


@define
class _Work:
    """One run of a generator, in a thread of its own."""

    name: str
    command: str
    timeout_s: float
    folder: Path
    closing: threading.Event
    last_output: bytes = b""

    def do(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.folder))
        except OSError as error:
            raise Unavailable(f"{self.folder} cannot be written: {error.strerror}") from error
        try:
            status = self._run(unfinished)
            if status != 0:
                raise Conflict(f"failed to run DPL command: exit status {status}{self._said()}")
            if not (unfinished / "workflows" / f"{self.name}.yaml").is_file():
                raise Conflict(
                    f"the DPL command wrote no workflows/{self.name}.yaml; does its last program "
                    f"know --o2-control?{self._said()}"
                )
            unfinished.rename(self.folder / self.name)
        except OSError as error:
            raise Unavailable(f"generating {self.name}: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _run(self, folder: Path) -> int:
        process = subprocess.Popen(
            ["bash", "-c", self.command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._follow(process)
            return process.wait()
        finally:
            # All that it started, too; whatever it does, nothing of it stays.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        """Read what it says until it has ended. Raises `DeadlineExceeded`."""
        end = time.monotonic() + self.timeout_s
        for piece in _pieces(process):
            self.last_output = (self.last_output + piece)[-_LAST_BYTES:]
            if process.poll() is not None and not piece:
                return
            if self.closing.is_set():
                raise Unavailable("the core ends")
            if time.monotonic() > end:
                raise DeadlineExceeded(
                    f"the DPL command was given up after {self.timeout_s:g} s{self._said()}"
                )

    def _said(self) -> str:
        text = self.last_output.decode(errors="replace").strip()
        _log.warn("generating {name}: {output}", name=self.name, output=text)
        lines = text.splitlines()[-_LAST_LINES:]
        return f"; it said: {' | '.join(lines)}" if lines else "; it said nothing"


def _pieces(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """What a process writes, piece by piece; an empty piece where it wrote nothing for a while or
    nothing more is to come."""
    assert process.stdout is not None
    with process.stdout as output, selectors.DefaultSelector() as selector:
        os.set_blocking(output.fileno(), False)
        selector.register(output, selectors.EVENT_READ)
        open_ = True
        while True:
            if not open_:
                time.sleep(_LOOK_S / 10)
                yield b""
                continue
            if selector.select(_LOOK_S):
                piece = os.read(output.fileno(), 65536)
                open_ = bool(piece)
                yield piece
            else:
                yield b""
