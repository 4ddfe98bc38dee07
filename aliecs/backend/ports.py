"""TCP ports for the tasks of embedded hosts.

All embedded hosts of all cores on a machine share its ports. Each host takes a slice of the range
for itself, claimed with a file lock that lasts as long as the core or the executor of the host,
whichever ends last; and whatever is offered was tried by binding it, since others use ports as
well.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

from attrs import define, field, frozen

from aliecs.errors import Exhausted
from aliecs.interfaces import PortRanges

FIRST_PORT = 20000
LAST_PORT = 31999
SLICE_PORTS = 300


def default_lock_folder() -> Path:
    """Where all cores of this machine keep their locks."""
    return Path(tempfile.gettempdir()) / "aliecs-ports"


@frozen
class PortSlice:
    """The ports of one host, both ends included. `lock` is the descriptor that holds the claim."""

    first: int
    last: int
    lock: int

    def release(self) -> None:
        """Give the claim up."""
        os.close(self.lock)

    def free(self, taken: Iterable[int]) -> set[int]:
        """The ports that are not in `taken` and that nobody on this machine listens on."""
        candidates = set(range(self.first, self.last + 1)).difference(taken)
        return {port for port in candidates if is_free(port)}


@define
class PortClaims:
    """Claims slices of the range `first` to `last`."""

    first: int = FIRST_PORT
    last: int = LAST_PORT
    slice_ports: int = SLICE_PORTS
    folder: Path = field(factory=default_lock_folder)

    def claim(self) -> PortSlice:
        """The first slice that no other core has; raises `Exhausted` where there is none left."""
        self._make_folder()
        for first in range(self.first, self.last + 2 - self.slice_ports, self.slice_ports):
            lock = self._try_lock(first)
            if lock is not None:
                return PortSlice(first, first + self.slice_ports - 1, lock)
        raise Exhausted(
            f"no ports are left for another embedded host: every slice of {self.slice_ports} ports"
            f" from {self.first} to {self.last} is claimed by a running core (see {self.folder})"
        )

    def _make_folder(self) -> None:
        """The folder is for every user of the machine, as the temporary folder is."""
        try:
            self.folder.mkdir(parents=True)
            self.folder.chmod(0o1777)
        except FileExistsError:
            pass

    def _try_lock(self, first: int) -> int | None:
        """Lock the file of one slice; None where somebody has it. Never follows a link: the folder
        is anybody's."""
        path = self.folder / str(first)
        try:
            lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        return lock


def is_free(port: int) -> bool:
    """True where a server could listen on a port, on all addresses of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def to_ranges(ports: Iterable[int]) -> PortRanges:
    """Ports as inclusive ranges, ascending and disjoint."""
    ranges: list[tuple[int, int]] = []
    for port in sorted(set(ports)):
        if ranges and ranges[-1][1] == port - 1:
            ranges[-1] = (ranges[-1][0], port)
        else:
            ranges.append((port, port))
    return tuple(ranges)


def from_ranges(ranges: PortRanges) -> set[int]:
    """All ports of inclusive ranges."""
    return {port for begin, end in ranges for port in range(begin, end + 1)}
