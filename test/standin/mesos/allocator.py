"""Offers: who gets what is free, and when.

A round is run each interval, and at once where a framework comes or revives, or an agent comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_pb2 import Filters
from aliecs.protocol.mesos_scheduler_pb2 import Event
from test.standin.mesos.framework import AgentRecord, Filter, Framework
from test.standin.mesos.pace import cancel
from test.standin.mesos.resources import Resources

if TYPE_CHECKING:
    from test.standin.mesos.master import Master


@define
class OfferRecord:
    """An offer that is out."""

    message: mesos_pb2.Offer
    resources: Resources

    @property
    def identifier(self) -> str:
        """The offer's id."""
        return self.message.id.value


@define(eq=False)
class Allocator:
    """The offers of one master."""

    master: Master
    offers: dict[str, OfferRecord] = field(factory=dict, init=False)
    _count: int = field(default=0, init=False)
    _round: Any = field(default=None, init=False)
    _soon: Any = field(default=None, init=False)

    def start(self) -> None:
        """Run the first round."""
        self._run_round()

    def stop(self) -> None:
        """No more offers."""
        cancel(self._round)
        cancel(self._soon)
        self.offers.clear()

    def _run_round(self) -> None:
        pace = self.master.pace
        self._round = pace.later(pace.times.allocation_s, self._run_round)
        self.allocate()

    def hold(self) -> None:
        """No rounds by themselves any more: only `allocate`, and those that something causes."""
        cancel(self._round)

    def allocate_soon(self) -> None:
        """A round of its own, after what is being answered."""
        if self._soon is None or not self._soon.active():
            self._soon = self.master.pace.soon(self.allocate)

    def allocate(self) -> None:
        """Offer what is free: to each framework one event with all that it gets."""
        for framework in self._by_share():
            role = framework.wanted_role()
            if role is None or not framework.is_subscribed:
                continue
            offers = []
            for agent in self.master.agents.registered.values():
                free = self._free(agent)
                if agent.is_connected and free and not self._is_refused(framework, agent, free):
                    offers.append(self._make_offer(framework, agent, free, role))
            if offers:
                framework.send(Event(type=Event.OFFERS, offers=Event.Offers(offers=offers)))

    def _by_share(self) -> list[Framework]:
        """Who has least comes first."""

        def share(framework: Framework) -> int:
            held = [task.resources for task in framework.tasks.values()]
            held += [
                offer.resources
                for offer in self.offers.values()
                if offer.message.framework_id.value == framework.identifier
            ]
            return sum(one.scalars.get("cpus", 0) for one in held)

        return sorted(self.master.frameworks.values(), key=share)

    def _free(self, agent: AgentRecord) -> Resources:
        free = agent.total
        for framework in self.master.frameworks.values():
            for task in framework.tasks.values():
                if task.agent_id == agent.identifier:
                    free -= task.resources
        for executor in agent.executors.values():
            free -= Resources.of(executor.resources)
        for offer in self.offers.values():
            if offer.message.agent_id.value == agent.identifier:
                free -= offer.resources
        return free

    def _is_refused(self, framework: Framework, agent: AgentRecord, free: Resources) -> bool:
        return any(
            one.agent_id == agent.identifier and one.resources.contains(free)
            for one in framework.filters
        )

    def _make_offer(
        self, framework: Framework, agent: AgentRecord, free: Resources, role: str
    ) -> mesos_pb2.Offer:
        shown = role if framework.has_multiple_roles else ""
        host, _, port = agent.pid.rpartition("@")[2].partition(":")
        offer = mesos_pb2.Offer(
            id=mesos_pb2.OfferID(value=f"{self.master.identifier}-O{self._count}"),
            framework_id=mesos_pb2.FrameworkID(value=framework.identifier),
            agent_id=agent.info.id,
            hostname=agent.info.hostname,
            resources=free.messages(shown),
            attributes=agent.info.attributes,
            executor_ids=[
                mesos_pb2.ExecutorID(value=one)
                for one in agent.executors_of(framework.identifier)
            ],
            url=mesos_pb2.URL(
                scheme="http",
                address=mesos_pb2.Address(hostname=agent.info.hostname, ip=host, port=int(port)),
                path="/slave(1)",
            ),
        )
        if shown:
            offer.allocation_info.role = shown
        self._count += 1
        self.offers[offer.id.value] = OfferRecord(offer, free)
        return offer

    def take(self, framework: Framework, identifier: str) -> OfferRecord | None:
        """Take an offer out, if the framework has it."""
        offer = self.offers.get(identifier)
        if offer is None or offer.message.framework_id.value != framework.identifier:
            return None
        return self.offers.pop(identifier)

    def refuse(
        self, framework: Framework, agent_id: str, resources: Resources, filters: Filters | None
    ) -> None:
        """Do not offer this again for a while. A filter lasts to the end of the round at least."""
        times = self.master.pace.times
        seconds = times.default_refuse_s
        if filters is not None and filters.HasField("refuse_seconds"):
            seconds = filters.refuse_seconds
        if seconds <= 0 or not resources:
            return
        one = Filter(agent_id, resources, None)
        framework.filters.append(one)

        def end() -> None:
            if one in framework.filters:
                framework.filters.remove(one)

        one.timer = self.master.pace.later(max(seconds, times.allocation_s), end)

    def rescind(self, agent_id: str) -> None:
        """An agent has gone, and its offers with it."""
        for identifier, offer in list(self.offers.items()):
            if offer.message.agent_id.value == agent_id:
                del self.offers[identifier]
                framework = self.master.frameworks.get(offer.message.framework_id.value)
                if framework is not None:
                    framework.send(Event(
                        type=Event.RESCIND, rescind=Event.Rescind(offer_id=offer.message.id)
                    ))  # fmt: skip

    def forget(self, framework_id: str) -> None:
        """A framework has gone, or come anew: it has no offers."""
        for identifier, offer in list(self.offers.items()):
            if offer.message.framework_id.value == framework_id:
                del self.offers[identifier]
