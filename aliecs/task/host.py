"""The hosts of a core, and those that get no new tasks because somebody said so.

A host is drained to be repaired, or to be taken away; what runs there goes on. A drain is known by
the name of the host, and outlives cores and the host's own absence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
from attrs import define, evolve, field
from twisted.logger import Logger

from aliecs.errors import Unavailable
from aliecs.interfaces import HostInfo, ITaskBackend, Memory, MemoryFunctions
from aliecs.language.declaration import Constraint
from aliecs.task.placement import MACHINE, unmet_constraint

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


async def _nothing(name: str) -> str:
    return ""


async def _forgotten(name: str, text: str) -> None:
    return None


def _make_forgetful() -> Drains:
    return Drains(MemoryFunctions(_nothing, _forgotten))


@define(eq=False)
class Hosts:
    """All hosts that are known. Drains are kept in a memory where one is given."""

    backend: ITaskBackend
    drains: Drains = field(factory=_make_forgetful)

    def all(self) -> Sequence[HostInfo]:
        """Those that are drained are closed; where nothing else is known of one, it is told all the
        same."""
        drains = self.drains.all()
        hosts = []
        for host in self.backend.hosts():
            drain = drains.pop(host.name, None)
            hosts.append(host if drain is None else evolve(host, closed=str(drain)))
        return [*hosts, *(_unknown(name, drain) for name, drain in drains.items())]

    def open_to(self, constraints: Sequence[Constraint]) -> Callable[[str, str], bool]:
        """A function that is told an agent and the name of its host, and says whether tasks with
        these constraints may be there; for many agents, looked up once."""
        hosts = {host.agent_id: host for host in self.all()}

        def is_open(agent_id: str, name: str) -> bool:
            host = hosts.get(agent_id)
            if host is not None and host.closed:
                return False
            attributes = {MACHINE: name, **(host.attributes if host is not None else {})}
            return not unmet_constraint(constraints, attributes)

        return is_open


def _unknown(name: str, drain: Drain) -> HostInfo:
    return HostInfo(
        name=name,
        address="",
        agent_id="",
        executor_id="",
        attributes={},
        connected=False,
        cpus=0.0,
        memory_mb=0.0,
        cpus_used=0.0,
        memory_mb_used=0.0,
        tasks=0,
        last_seen_s=0.0,
        closed=str(drain),
    )
