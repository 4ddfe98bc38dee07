"""Ports for what tests start, from a slice that no other process of this machine takes ports from.

A port that the kernel gives and takes back again may be another's a moment later.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import cycle

from aliecs.backend.ports import PortClaims, is_free


@functools.cache
def _numbers() -> Iterator[int]:
    """The ports of our slice, over and over. It is ours until this process ends."""
    claimed = PortClaims().claim()
    return cycle(range(claimed.first, claimed.last + 1))


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    return next(port for port in _numbers() if is_free(port))


def free_ports(count: int) -> list[int]:
    """So many different ones."""
    return [free_port() for _ in range(count)]


_numbers()  # before a test counts what is open
