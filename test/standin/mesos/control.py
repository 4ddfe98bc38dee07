"""The switches of a cluster over HTTP, for programs in other languages and for people.

    GET  /                                   addresses of masters and agents
    POST /restart-master    {"away_s": 3}
    POST /kill-master       {}
    POST /start-master      {}
    POST /elect             {"number": 1}
    POST /suspend-master    {}               as SIGSTOP does; also resume-master, silence-master
    POST /drop-streams      {}               of all frameworks
    POST /add-agent         {"hostname": "flp001", "resources": "...", "attributes": "..."}
    POST /restart-agent     {"agent": "flp001", "away_s": 3}
    POST /kill-agent        {"agent": "flp001"}      also start-agent, end-agent, suspend-agent,
                                             resume-agent, cut-off, join, mark-unreachable,
                                             mark-gone
    POST /misbehave         {"agent": "flp001", "action": "lose", "kind": "UPDATE", "count": 2}
                                             without an agent: the leading master; see `fault`
    POST /behave            {}               everybody
"""

from __future__ import annotations

import json
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.web import http

from test.standin.mesos.agent import Agent
from test.standin.mesos.cluster import Cluster
from test.standin.mesos.server import Answer, Listener, Refusal, Request

ON_AGENTS = ("kill_agent", "end_agent", "cut_off", "join", "mark_unreachable", "mark_gone")


@define(eq=False)
class Control:
    """Answers the requests of the control interface."""

    cluster: Cluster
    listener: Listener = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.listener = Listener(self.cluster.pace, self.cluster.host, 0, self)

    def addresses(self) -> dict[str, Any]:
        """Where everybody is."""
        return {
            "control": f"http://{self.listener.address}/",
            "masters": [master.listener.address for master in self.cluster.masters],
            "leader": self.cluster.leader.listener.address,
            "agents": {
                agent.hostname: agent.listener.address for agent in self.cluster.agents
            },
        }  # fmt: skip

    def handle(self, request: Request) -> Answer | None:
        """See `server.Handler`."""
        if request.method == b"GET":
            return Answer(200, json.dumps(self.addresses(), indent=4) + "\n")
        try:
            order = json.loads(request.body() or b"{}")
        except ValueError as error:
            raise Refusal(400, str(error)) from None
        name = request.path.decode().strip("/").replace("-", "_")
        Deferred.fromCoroutine(self._answer(request, name, order))
        return None

    async def _answer(self, request: Request, name: str, order: dict[str, Any]) -> None:
        try:
            await self.carry_out(name, order)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            request.give(Answer(http.BAD_REQUEST, f"{type(error).__name__}: {error}\n"))
        else:
            request.give(Answer(200, "done\n"))

    def _agent(self, hostname: str) -> Agent:
        for agent in self.cluster.agents:
            if agent.hostname == hostname:
                return agent
        raise ValueError(f"no such agent: {hostname}")

    async def carry_out(self, name: str, order: dict[str, Any]) -> None:
        """Follow an order. Raises `ValueError` and `TypeError` on one that makes no sense."""
        cluster, order = self.cluster, dict(order)
        agent = self._agent(order.pop("agent")) if "agent" in order else None
        if name == "misbehave":
            (agent or cluster.leader).faults.add(order.pop("action"), **order)
        elif name == "behave":
            for one in [*cluster.masters, *cluster.agents]:
                one.faults.clear()
        elif name in ("restart_master", "elect", "add_agent"):
            await getattr(cluster, name)(**order)
        elif name == "restart_agent" and agent is not None:
            await cluster.restart_agent(agent, **order)
        elif name in ("kill_master", "start_master"):
            await getattr(cluster.leader, name.partition("_")[0])()
        elif name in ("suspend_master", "resume_master", "silence_master"):
            getattr(cluster.leader, name.partition("_")[0])()
        elif name == "drop_streams":
            cluster.leader.drop_streams()
        elif name in ON_AGENTS and agent is not None:
            outcome = getattr(cluster, name)(agent)
            if outcome is not None:
                await outcome
        elif name == "start_agent" and agent is not None:
            await agent.start()
        elif name in ("suspend_agent", "resume_agent") and agent is not None:
            getattr(agent, name.partition("_")[0])()
        else:
            raise ValueError(f"no such order: {name}, or it needs an agent")
