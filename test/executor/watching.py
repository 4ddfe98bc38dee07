"""Taking stock of processes, descriptors and sockets, so that a test can tell what it left."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor, tcp
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase


def descendants(root: int) -> set[int]:
    """All processes below `root`, zombies included."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int(
                    (folder / "stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:
                continue
    found = {root}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found - {root}
        found |= more


def marked(mark: str) -> set[int]:
    """All processes on this machine that were started, directly or not, by the test `mark`."""
    entry = f"{MARK}={mark}".encode()
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if entry in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
            except OSError:
                continue
    return found


def descriptors() -> dict[int, str]:
    """Our open descriptors and what they lead to."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        try:
            found[int(path.name)] = str(path.readlink())
        except OSError:
            continue
    return found


MARK = "ALIECS_TEST"
"""Environment variable that tells the processes of one test."""


class Census:
    """What there was at one moment, before the test `mark`."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._processes = descendants(os.getpid())
        self._descriptors = set(descriptors())

    async def assert_nothing_new(self) -> None:
        """Nothing is here that was not here before; what is about to go may have a moment."""
        await wait_until(lambda: not self.findings(), explain=self.findings)

    def findings(self) -> str:
        """What is left, empty for nothing."""
        processes, opened = self.new_processes(), self.new_descriptors()
        return f"left: processes {processes}, descriptors {opened}" if processes or opened else ""

    def new_processes(self) -> set[int]:
        """Processes below us, and of tasks anywhere, that were not there before."""
        return (descendants(os.getpid()) | marked(self._mark)) - self._processes

    def new_descriptors(self) -> dict[int, str]:
        """Descriptors that were not open before. Those of the asyncio loop's own threads and of
        reading this very list do not count."""
        return {
            number: target
            for number, target in descriptors().items()
            if number not in self._descriptors and not target.startswith("/proc/")
        }


class ProcessTestCase(TestCase):
    """A test in a folder of its own, after which nothing may be left."""

    timeout = 30

    async def setUp(self) -> None:
        # The reactor makes its own descriptors when it begins to run, and Twisted reserves one when
        # something first listens: not those of the test.
        await deferLater(reactor, 0, lambda: None)
        tcp._reservedFD.reserve()
        self.mark = uuid.uuid4().hex
        census = Census(self.mark)
        self.addCleanup(lambda: Deferred.fromCoroutine(census.assert_nothing_new()))
        self.directory = Path(tempfile.mkdtemp(prefix="aliecs-test-"))
        self.addCleanup(shutil.rmtree, self.directory)


async def wait_until(
    condition: Callable[[], object],
    deadline_s: float = 10.0,
    explain: Callable[[], str] = lambda: "it did not become so in time",
) -> None:
    """Wait until something is so, or fail with what `explain` says."""
    end = reactor.seconds() + deadline_s
    while not condition():
        assert reactor.seconds() < end, explain()
        await deferLater(reactor, 0.01, lambda: None)


def alive(pid: int) -> bool:
    """True while a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def read_pid(path: Path) -> int:
    """The process id that somebody wrote to a file, 0 while it is not there."""
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text else 0
