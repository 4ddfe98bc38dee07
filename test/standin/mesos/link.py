"""The connection between a master and an agent. It is not recorded, and only as real as needed:
messages arrive a little later, and not at all where the network is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field

from aliecs.protocol.mesos_pb2 import AgentInfo, ExecutorInfo, FrameworkInfo

if TYPE_CHECKING:
    from test.standin.mesos.agent import Agent
    from test.standin.mesos.framework import Task
    from test.standin.mesos.master import Master


@define
class Report:
    """What an agent tells when it registers."""

    info: AgentInfo
    resources: str
    pid: str
    frameworks: dict[str, FrameworkInfo] = field(factory=dict)
    executors: dict[tuple[str, str], ExecutorInfo] = field(factory=dict)
    tasks: list[Task] = field(factory=list)


@define(eq=False)
class Link:
    """One connection; another one is made for each registration."""

    master: Master
    agent: Agent
    is_open: bool = True

    @property
    def is_passable(self) -> bool:
        """True where messages come through."""
        return self.is_open and not self.agent.is_cut_off

    @property
    def is_answered(self) -> bool:
        """True where a ping would be."""
        return self.is_passable and not self.agent.is_suspended

    def to_agent(self, method: str, *arguments: Any) -> None:
        """Have the agent do something; where it is suspended, once it goes on."""
        if self.is_passable:
            self.agent.pace.soon(self._at_agent, method, arguments)

    def _at_agent(self, method: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_passable or self.agent.link is not self:
            return
        if self.agent.is_suspended:
            self.agent.inbox.append((method, arguments))
        else:
            getattr(self.agent, method)(*arguments)

    def to_master(self, method: str, *arguments: Any) -> None:
        """Tell the master something."""
        if self.is_passable:
            self.agent.pace.soon(self._at_master, method, arguments)

    def _at_master(self, method: str, arguments: tuple[Any, ...]) -> None:
        if self.is_passable and self.master.is_running:
            getattr(self.master.agents, method)(self, *arguments)

    def close(self) -> None:
        """The agent's process has ended: its master sees that at once, unless cut off."""
        if self.is_open:
            cut = self.agent.is_cut_off
            self.is_open = False
            if not cut and self.master.is_running:
                self.agent.pace.later(0.01, self.master.agents.disconnected, self)
