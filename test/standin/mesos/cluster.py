"""A whole Mesos cluster for a test: masters, agents, and the switches for what can go wrong.

    cluster = Cluster(reactor, folder, speed=10)
    await cluster.start(agents=2)
    ... cluster.urls ...                      # what a framework is given
    cluster.leader.faults.add("lose", "UPDATE")
    await cluster.restart_master(away_s=3)
    await cluster.agents[0].kill()
    await cluster.stop()                      # nothing is left, also no executor

All times are those of a real cluster and pass `speed` times as fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from test.standin.mesos.agent import Agent
from test.standin.mesos.container import Container
from test.standin.mesos.executor import Executor
from test.standin.mesos.master import Master
from test.standin.mesos.membership import Registry
from test.standin.mesos.pace import Pace, Times

RESOURCES = "cpus:4;mem:4096;disk:10000;ports:[30000-30100]"
LAST_MESSAGES_S = 0.02
ATTRIBUTES = "detector:TST;machine_type:flp;rack:{number}"


@define(eq=False)
class Cluster:
    """Masters and agents; `work_dir` gets the sandboxes."""

    reactor: Any
    work_dir: Path
    speed: float = 1.0
    times: Times = field(factory=Times)
    host: str = "127.0.0.1"
    is_replicated: bool = False
    """With a replicated log masters remember agents; always so where there are several masters."""
    credentials: dict[str, str] = field(factory=dict)
    masters: list[Master] = field(factory=list, init=False)
    agents: list[Agent] = field(factory=list, init=False)
    _leader: Master | None = field(default=None, init=False)
    pace: Pace = field(init=False)
    _strays: list[Executor] = field(factory=list, init=False)
    """Executors that no agent knows any more."""

    def __attrs_post_init__(self) -> None:
        self.pace = Pace(self.reactor, self.speed, self.times)

    # --- life ------------------------------------------------------------------------------------

    async def start(self, masters: int = 1, agents: int = 1, port: int = 0) -> None:
        """Start everything; the first master leads. With a port masters and agents have that and
        the following ones."""
        registry = Registry(self.is_replicated or masters > 1)
        for number in range(masters):
            self.masters.append(Master(
                self.pace, registry, self.host, port + number if port else 0,
                credentials=self.credentials,
                leader=self._find_leader if masters > 1 else None,
            ))  # fmt: skip
        self._leader = self.masters[0]
        for master in self.masters:
            await master.start()
        while not self.leader.has_recovered:
            await self.sleep(0.05)
        for number in range(agents):
            await self.add_agent(port=port + masters + number if port else 0)

    async def add_agent(
        self, hostname: str = "", resources: str = RESOURCES, attributes: str = ATTRIBUTES,
        port: int = 0,
    ) -> Agent:  # fmt: skip
        """Start one more agent; by default it is `host<number>.example`."""
        number = len(self.agents) + 1
        agent = Agent(
            self.pace, hostname or f"host{number}.example", self.work_dir / f"agent{number}",
            self._find_leader, resources, attributes.format(number=number), self.host, port,
        )  # fmt: skip
        self.agents.append(agent)
        await agent.start()
        return agent

    async def stop(self) -> None:
        """End everything, executors too."""
        for master in self.masters:
            await master.kill()
        for agent in self.agents:
            await agent.kill()
        for container in self._containers():
            container.reap()
        # What is on its way between masters and agents arrives, and finds nobody.
        over: Deferred[None] = Deferred()
        self.reactor.callLater(LAST_MESSAGES_S, over.callback, None)
        await over

    def _containers(self) -> list[Container]:
        executors = [*self._strays, *(one for a in self.agents for one in a.executors.values())]
        return [one.container for one in executors]

    async def sleep(self, seconds: float) -> None:
        """Wait, as long as it takes in a real cluster."""
        waiter: Deferred[None] = Deferred()
        self.pace.later(seconds, waiter.callback, None)
        await waiter

    # --- masters ---------------------------------------------------------------------------------

    @property
    def leader(self) -> Master:
        """The master that leads, also while it is away."""
        assert self._leader is not None
        return self._leader

    @property
    def urls(self) -> list[str]:
        """The scheduler API of each master."""
        return [master.url for master in self.masters]

    def _find_leader(self) -> Master | None:
        return self._leader if self._leader is not None and self._leader.is_running else None

    async def restart_master(self, away_s: float = 0.0) -> None:
        """Kill the leading master, and start it after a while."""
        await self.leader.kill()
        await self.sleep(away_s)
        await self.leader.start()

    async def elect(self, number: int) -> Master:
        """Have another master lead. The old leader ends, and comes back as a follower."""
        old = self.leader
        await old.kill()
        self._leader = self.masters[number]
        if self._leader.is_running:
            self._leader.lead()
        else:
            await self._leader.start()
        if old is not self._leader:
            await old.start()
        for agent in self.agents:
            # Who asks ZooKeeper for the leader knows of a change at once.
            if agent.is_running:
                agent.register()
        return self._leader

    # --- agents ----------------------------------------------------------------------------------

    async def kill_agent(self, agent: Agent) -> None:
        """End an agent as SIGKILL does: its executors go on without it."""
        await agent.kill()
        self._strays += agent.forget_unkept()

    async def restart_agent(self, agent: Agent, away_s: float = 0.0) -> None:
        """Kill an agent, and start it after a while."""
        await self.kill_agent(agent)
        await self.sleep(away_s)
        await agent.start()

    async def end_agent(self, agent: Agent) -> None:
        """End an agent in order and for good, as SIGUSR1 does."""
        await agent.end()
        await self.sleep(0.1)
        await agent.kill()
        self._strays += agent.executors.values()
        agent.executors.clear()

    def cut_off(self, agent: Agent) -> None:
        """Cut the network between an agent and its master; nobody is told."""
        agent.is_cut_off = True

    def join(self, agent: Agent) -> None:
        """Mend the network of an agent; it registers again."""
        agent.is_cut_off = False
        agent.register()

    def mark_unreachable(self, agent: Agent) -> None:
        """Have the master give an agent up at once, which stays up and comes back with `join`."""
        agent.is_cut_off = True
        self.leader.agents.mark_unreachable(agent.identifier)

    def mark_gone(self, agent: Agent) -> None:
        """Tell the master that an agent is gone for good."""
        self.leader.agents.mark_gone(agent.identifier)
