"""What outlives a core."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from attrs import frozen


class Memory(Protocol):
    """Texts by name, which the next core finds. Coroutines; both raise `AliecsError` where they
    cannot be reached."""

    def read(self, name: str) -> Awaitable[str]:
        """The text of that name; empty where there is none."""

    def write(self, name: str, text: str) -> Awaitable[None]:
        """Keep a text."""


@frozen
class MemoryFunctions:
    """A memory made of two functions."""

    read: Callable[[str], Awaitable[str]]
    write: Callable[[str, str], Awaitable[None]]
