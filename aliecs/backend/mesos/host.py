"""The hosts that offers have come from, and what is known of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

from attrs import define, field

from aliecs.backend.mesos.option import attributes_of
from aliecs.protocol import mesos_pb2

MOST_ENDED = 5000
"""Executors that have ended, which are remembered."""
SETTLING_S = 2.0
"""For so long after a launch an offer may not yet name the executor that it started."""


@define(eq=False)
class KnownHost:
    """One agent. `cpus` and `memory_mb` are what it has for us, as far as was ever seen;
    `executors` those that run there, `executor_id` the one that tasks are launched on."""

    agent_id: str
    name: str
    attributes: Mapping[str, str] = field(factory=dict)
    cpus: float = 0.0
    memory_mb: float = 0.0
    executors: frozenset[str] = frozenset()
    executor_id: str = ""
    launched_s: float = -SETTLING_S
    last_seen_s: float = 0.0
    away_since_s: float | None = None
    away_reason: str = ""

    @property
    def is_away(self) -> bool:
        """True while nobody has contact to it."""
        return self.away_since_s is not None


@define(eq=False)
class HostBook:
    """All agents by their id."""

    _hosts: dict[str, KnownHost] = field(factory=dict, init=False)
    _ended: OrderedDict[str, None] = field(factory=OrderedDict, init=False)

    def __iter__(self) -> Iterator[KnownHost]:
        return iter(tuple(self._hosts.values()))

    def __len__(self) -> int:
        return len(self._hosts)

    def get(self, agent_id: str) -> KnownHost | None:
        """The agent of that id."""
        return self._hosts.get(agent_id)

    def heard_of(self, agent_id: str) -> KnownHost:
        """The agent of that id, which may never have offered anything."""
        host = self._hosts.get(agent_id)
        if host is None:
            host = self._hosts[agent_id] = KnownHost(agent_id, agent_id)
        return host

    def offered(self, piece: mesos_pb2.Offer, now_s: float) -> KnownHost:
        """An agent offers something, and says who it is."""
        host = self.heard_of(piece.agent_id.value)
        host.name = piece.hostname
        host.attributes = attributes_of(piece)
        running = frozenset(executor.value for executor in piece.executor_ids)
        if now_s - host.launched_s < SETTLING_S:
            running |= host.executors
        host.executors = running
        if host.executor_id not in running:
            host.executor_id = ""
        return host

    def launched(self, host: KnownHost, executor_id: str, now_s: float) -> None:
        """Tasks were launched on an executor, which runs from now on."""
        host.executor_id = executor_id
        host.executors |= {executor_id}
        host.launched_s = now_s

    def executor_ended(self, agent_id: str, executor_id: str) -> None:
        """An executor is gone."""
        host = self._hosts.get(agent_id)
        if host is not None:
            host.executors -= {executor_id}
            if host.executor_id == executor_id:
                host.executor_id = ""
                host.launched_s = -SETTLING_S
        self._ended[executor_id] = None
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)

    def not_started(self, agent_id: str, executor_id: str) -> None:
        """The launch that would have started an executor has failed."""
        host = self._hosts.get(agent_id)
        if host is not None and host.executor_id == executor_id:
            host.executors -= {executor_id}
            host.executor_id = ""
            host.launched_s = -SETTLING_S

    def has_ended(self, executor_id: str) -> bool:
        """True for an executor that is gone."""
        return executor_id in self._ended

    def present(self) -> Sequence[KnownHost]:
        """Those that somebody has contact to."""
        return [host for host in self._hosts.values() if not host.is_away]

    def replaced(self, host: KnownHost) -> bool:
        """True where the same machine has come back as another agent."""
        return host.is_away and any(
            other.name == host.name and not other.is_away for other in self._hosts.values()
        )

    def forget(self, agent_id: str) -> None:
        """Nobody asks for an agent any more."""
        self._hosts.pop(agent_id, None)
