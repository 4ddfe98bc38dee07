"""The local socket between a core and the executors of its embedded hosts.

A Unix socket in the core's working directory. The executor connects and sends one `Hello`; from
then on both sides speak the Mesos executor API: calls up, events down. Everything is framed as
RecordIO.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from aliecs.errors import InvalidInput

VERSION = 1
TASK_MARK = "ALIECS_TASK_ID"
"""Environment variable with the id of the task that a process was started for: all descendants of a
task have it, whatever session they have moved to. The launcher, which can import nothing, has the
name for itself."""
MAXIMUM_HELLO_BYTES = 4096


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first record of an executor."""

    host: str
    executor_id: str
    token: str
    pid: int
    version: int = VERSION

    def encode(self) -> bytes:
        """The JSON of the wire."""
        return msgspec.json.encode(self)

    def __repr__(self) -> str:
        """Without the token: this goes to logs."""
        return f"Hello(host={self.host!r}, executor_id={self.executor_id!r}, pid={self.pid})"


def decode_hello(record: bytes) -> Hello:
    """Read the first record of a connection; raises `InvalidInput` where it is no hello."""
    try:
        if len(record) > MAXIMUM_HELLO_BYTES:
            raise ValueError(f"{len(record)} bytes are too many")
        return msgspec.json.decode(record, type=Hello)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidInput(f"not the hello of an executor: {error}") from error


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """An address for a Unix socket at `path`, whatever the length of the path.

    The kernel takes 107 bytes; the folder is named through a descriptor instead. Valid inside the
    context, for `bind` and `connect`.
    """
    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def process_start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot: with its pid it is recognised for certain.
    0 where there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[19])


def task_of_process(pid: int) -> str:
    """The id of the task that a process was started for, empty where it cannot be read."""
    prefix = f"{TASK_MARK}=".encode()
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    found = (entry.removeprefix(prefix) for entry in entries if entry.startswith(prefix))
    return next(found, b"").decode(errors="replace")
