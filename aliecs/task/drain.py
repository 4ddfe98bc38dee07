"""Hosts that get no new tasks, because somebody said so: to repair them, or to take them away.

What runs on a drained host goes on. A drain is known by the name of the host, and outlives cores
and the host's own absence.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from attrs import define, field
from twisted.logger import Logger

from aliecs.errors import Unavailable
from aliecs.interfaces import Memory

NAME = "drained_hosts"
"""The name of the memory's entry."""


class Drain(msgspec.Struct, frozen=True):
    """Who drained a host, when and why."""

    by: str
    since_ms: int
    reason: str = ""

    def __str__(self) -> str:
        return f"is drained by {self.by}" + (f": {self.reason}" if self.reason else "")


_decoder = msgspec.json.Decoder(dict[str, Drain])


@define(eq=False)
class Drains:
    """All drained hosts."""

    memory: Memory
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    _drains: dict[str, Drain] = field(factory=dict, init=False)
    _log: Logger = field(init=False, factory=Logger)

    async def load(self) -> None:
        """Take over what an earlier core knew. Raises `AliecsError` where that cannot be read: a
        host that was drained for a reason must not get tasks because of it."""
        text = await self.memory.read(NAME)
        try:
            self._drains = _decoder.decode(text) if text else {}
        except msgspec.MsgspecError as error:
            raise Unavailable(
                f"the runtime entry aliecs/{NAME} cannot be understood: {error}; mend or delete it"
            ) from error

    def all(self) -> dict[str, Drain]:
        """By names of hosts."""
        return dict(self._drains)

    def of(self, host: str) -> Drain | None:
        """The drain of a host; None where it is not drained."""
        return self._drains.get(host)

    async def drain(self, host: str, by: str, reason: str) -> None:
        """A host gets no new tasks from now on. Raises `AliecsError` where that cannot be written
        down; then nothing has changed."""
        await self._keep({**self._drains, host: Drain(by, self.now_ms(), reason)})
        self._log.info("{host} {drain}", host=host, drain=self._drains[host])

    async def resume(self, host: str, by: str) -> None:
        """A host gets new tasks again. Raises as `drain` does."""
        await self._keep({name: one for name, one in self._drains.items() if name != host})
        self._log.info("{host} is drained no more, by {by}", host=host, by=by)

    async def _keep(self, drains: dict[str, Drain]) -> None:
        await self.memory.write(NAME, msgspec.json.encode(drains).decode())
        self._drains = drains
