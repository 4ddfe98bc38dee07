"""What tasks write: read from their pipes without ever holding them up, kept in bounded files.

Each stream of a task goes to a file in the task's folder below the executor's log folder. A file
that reaches half of its bound becomes the older half and a new one is begun, so a flood costs disk
up to the bound and memory not at all. The folder of all tasks has a bound of its own: `prune`
takes the folders of ended tasks away, oldest first.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Protocol

from attrs import define, field, frozen
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from aliecs.errors import InvalidInput, NotFound

STREAMS = ("stdout", "stderr")
READ_BYTES = 65536
MAXIMUM_TAIL_BYTES = 1024 * 1024
OLDER = ".older"

log = Logger()


class Sink(Protocol):
    """Where the bytes of a stream go."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def close(self) -> None:
        """The stream has ended."""


@implementer(IReadDescriptor)
class PipeReader:
    """Reads one pipe to its end into a sink, then tells `ended`."""

    def __init__(
        self, reactor: IReactorFDSet, descriptor: int, sink: Sink, ended: Callable[[], None]
    ) -> None:
        os.set_blocking(descriptor, False)
        self._reactor = reactor
        self._descriptor = descriptor
        self._sink = sink
        self._ended = ended
        reactor.addReader(self)

    def fileno(self) -> int:
        """The pipe, -1 once it is closed."""
        return self._descriptor

    def doRead(self) -> None:  # noqa: N802
        """Take one piece only: a task that floods must not keep the others waiting."""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._sink.write(data)
        else:
            self.close()

    def close(self) -> None:
        """Stop reading, whatever may still come."""
        if self._descriptor < 0:
            return
        self._reactor.removeReader(self)
        os.close(self._descriptor)
        self._descriptor = -1
        self._sink.close()
        self._ended()

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """The reactor gave up on the pipe."""
        self.close()

    def logPrefix(self) -> str:  # noqa: N802
        """For the reactor's own messages."""
        return "task output"


@define(eq=False)
class BoundedFile:
    """A file that only grows to `limit_bytes`, its older half in a second file beside it.

    A disk that is full loses output, never the task.
    """

    path: Path
    limit_bytes: int
    _descriptor: int = field(default=-1, init=False)
    _size: int = field(default=0, init=False)
    _failed: bool = field(default=False, init=False)

    def write(self, data: bytes) -> None:
        """Append, turning the file over where it has become half of the bound."""
        try:
            if self._descriptor < 0:
                self._open()
            elif self._size + len(data) > self.limit_bytes // 2:
                self.close()
                self.path.replace(self.path.with_name(self.path.name + OLDER))
                self._open()
            os.write(self._descriptor, data)
            self._size += len(data)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.error("cannot keep output in {path}: {error}", path=self.path, error=error)
            self._failed = True

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o644)
        self._size = os.fstat(self._descriptor).st_size


@define(eq=False)
class Capture:
    """One stream of one process: to its file, and the last `keep_bytes` of it in memory."""

    file: BoundedFile
    keep_bytes: int
    _tail: bytearray = field(factory=bytearray, init=False)
    _total: int = field(default=0, init=False)

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self.file.write(data)
        self._total += len(data)
        self._tail += data
        if len(self._tail) > 2 * self.keep_bytes:
            del self._tail[: -self.keep_bytes]

    def close(self) -> None:
        """The stream has ended; what was kept stays readable."""
        self.file.close()

    def text(self) -> str:
        """What was written, as text; only the end of it where it was more than is kept."""
        kept = bytes(self._tail[-self.keep_bytes :])
        left_out = self._total - len(kept)
        text = kept.decode(errors="replace")
        return f"[{left_out} bytes before this are left out]\n{text}" if left_out else text

    def last_line(self) -> str:
        """The last line that is not blank, at most 500 characters of it; empty where there is
        none."""
        lines = bytes(self._tail).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:500]


@frozen
class Captures:
    """Both streams of one process."""

    stdout: Capture
    stderr: Capture


@frozen
class LogFolder:
    """The output of all tasks of one executor, below `root`: one folder for each task.

    `stream_bytes` bounds each stream, `total_bytes` everything.
    """

    root: Path
    stream_bytes: int
    total_bytes: int

    def captures(self, task_id: str, keep_bytes: int) -> Captures:
        """Where a process of a task writes to; its files are made with the first byte."""
        folder = self._folder(task_id)
        stdout, stderr = (
            Capture(BoundedFile(folder / stream, self.stream_bytes), keep_bytes)
            for stream in STREAMS
        )
        return Captures(stdout, stderr)

    def tail(self, task_id: str, stream: str, tail_bytes: int) -> str:
        """The last bytes that a task wrote to `stdout` or `stderr`, at most 1 MiB. Reads files.

        Raises `InvalidInput` for another stream, `NotFound` where the task wrote nothing there.
        """
        if stream not in STREAMS:
            raise InvalidInput(f"a task has the streams stdout and stderr, not {stream[:20]!r}")
        path = self._folder(task_id) / stream
        wanted = max(0, min(tail_bytes, MAXIMUM_TAIL_BYTES))
        data = b""
        found = False
        for part in (path, path.with_name(path.name + OLDER)):
            try:
                with part.open("rb") as file:
                    found = True
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - (wanted - len(data))))
                    data = file.read(wanted - len(data)) + data
            except FileNotFoundError:
                continue
        if not found:
            raise NotFound(f"no {stream} of task {task_id} is kept on this host")
        return data.decode(errors="replace")

    def prune(self, living: Collection[str]) -> int:
        """Take folders of ended tasks away, oldest first, until all is within `total_bytes`; the
        number of bytes left. Reads and removes files."""
        folders = sorted(self._folders())
        total = sum(size for _, _, size in folders)
        for _, folder, size in folders:
            if total <= self.total_bytes:
                break
            if folder.name not in living:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size
        return total

    def _folders(self) -> Iterator[tuple[float, Path, int]]:
        """Time of the last change, path and size of the folder of each task."""
        if not self.root.is_dir():
            return
        for folder in self.root.iterdir():
            try:
                stats = [path.stat() for path in folder.iterdir()]
            except (FileNotFoundError, NotADirectoryError):
                continue
            changed = max((stat.st_mtime for stat in stats), default=0.0)
            yield changed, folder, sum(stat.st_size for stat in stats)

    def _folder(self, task_id: str) -> Path:
        if not is_folder_name(task_id):
            raise InvalidInput(f"not a task id: {task_id[:64]!r}")
        return self.root / task_id


def is_folder_name(text: str) -> bool:
    """True where a text can be the name of a folder of ours, and cannot lead out of it."""
    return 0 < len(text) <= 200 and text.isprintable() and "/" not in text and text[0] != "."
