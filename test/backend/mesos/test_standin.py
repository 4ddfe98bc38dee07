"""The backend over real sockets, with a stand-in for Mesos: masters, agents, real executors."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

import test.standin.mesos.example
from aliecs.backend.mesos.address import parse_masters
from aliecs.backend.mesos.backend import MesosBackend
from aliecs.backend.mesos.option import ExecutorOptions, MesosOptions
from aliecs.errors import Unavailable
from aliecs.interfaces import MesosState, Offer
from test.backend.mesos.house import MemoryOfTest, Observer, task
from test.standin.mesos.cluster import Cluster
from test.standin.mesos.pace import Times

reactor: Any = installed_reactor

EXAMPLE = Path(test.standin.mesos.example.__file__)
PATIENCE_S = 10.0
SPEED = 10.0
RUNNING, STARTING = MesosState.TASK_RUNNING, MesosState.TASK_STARTING
KILLED, FINISHED = MesosState.TASK_KILLED, MesosState.TASK_FINISHED


class ClusterTest(TestCase):
    """One cluster, one backend."""

    timeout = 60

    def setUp(self) -> None:
        self.memory = MemoryOfTest()
        self.observer = Observer()
        self.backends: list[MesosBackend] = []
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.cluster: Cluster | None = None

    async def tearDown(self) -> None:
        for backend in self.backends:
            await backend.stop()
        if self.cluster is not None:
            await self.cluster.stop()
        await deferLater(reactor, 0.05, lambda: None)

    async def begin(
        self, agents: int = 1, masters: int = 1, times: Times | None = None, **options: Any
    ) -> None:
        credentials = options.pop("credentials", {})
        quick = times or Times(ping_s=2.0, pings=2, registration_s=0.5)
        is_replicated = options.pop("is_replicated", False)
        self.cluster = Cluster(
            reactor, self.folder, SPEED, quick,
            is_replicated=is_replicated, credentials=credentials,
        )  # fmt: skip
        await self.cluster.start(masters=masters, agents=agents)
        await self.begin_backend(**options)

    async def begin_backend(self, **options: Any) -> MesosBackend:
        made = {
            "masters": parse_masters(",".join(self.cluster.urls)),
            "executor": ExecutorOptions(command=(sys.executable, str(EXAMPLE)), memory_mb=32.0),
            "timeout_s": 3.0,
            **options,
        }
        backend = MesosBackend(reactor, MesosOptions(**made), self.memory.functions())
        self.backends.append(backend)
        await backend.start(self.observer)
        return backend

    @property
    def backend(self) -> MesosBackend:
        return self.backends[-1]

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        deadline = reactor.seconds() + PATIENCE_S
        while not condition():
            assert reactor.seconds() < deadline, what or self.observer
            await deferLater(reactor, 0.01, lambda: None)

    async def offers(self, count: int = 1) -> list[Offer]:
        deadline = reactor.seconds() + PATIENCE_S
        while True:
            offers = await self.backend.gather_offers()
            if len(offers) >= count:
                return list(offers)
            self.backend.decline(offers)
            assert reactor.seconds() < deadline, "no offers come"

    async def launch(self, *task_ids: str) -> Offer:
        (offer, *others) = await self.offers()
        self.backend.decline(others)
        first = offer.ports[0][0]
        launches = [
            task(task_id, cpus=0.1, memory_mb=16.0, ports=((first + i, first + i),))
            for i, task_id in enumerate(task_ids)
        ]
        self.backend.accept(offer, launches)
        await self.until(lambda: all(self.state(one) is RUNNING for one in task_ids))
        return offer

    def state(self, task_id: str) -> MesosState | None:
        states = self.observer.states(task_id)
        return states[-1] if states else None

    def order(self, offer: Offer, text: str) -> None:
        self.backend.send(offer.agent_id, offer.executor_id, text.encode())

    # --- one thing after the other ---------------------------------------------------------------

    async def test_launch_message_kill(self) -> None:
        await self.begin(agents=2)
        offers = await self.offers(2)
        self.backend.decline(offers)
        assert {offer.host for offer in offers} == {"host1.example", "host2.example"}
        assert offers[0].attributes["detector"] == "TST" and offers[0].attributes["rack"] == "1"
        offer = await self.launch("task-1", "task-2")
        assert self.observer.states("task-1") == [STARTING, RUNNING]
        self.order(offer, "echo hello")
        await self.until(lambda: self.observer.messages)
        assert self.observer.messages == [(offer.agent_id, offer.executor_id, b"echo:hello")]
        (host,) = [host for host in self.backend.hosts() if host.tasks]
        assert (host.tasks, host.name, host.connected) == (2, offer.host, True)
        assert host.cpus == pytest.approx(4.0) and host.cpus_used == pytest.approx(0.21)
        again = await self.launch("task-3")
        assert again.agent_id != offer.agent_id or again.executor_id == offer.executor_id
        self.backend.kill("task-1", offer.agent_id)
        await self.until(lambda: self.state("task-1") is KILLED)
        self.order(offer, "finish task-2")
        await self.until(lambda: self.state("task-2") is FINISHED)
        assert len(self.observer.states("task-2")) == 3

    async def test_whoever_does_not_fit_is_told_by_the_master_too(self) -> None:
        await self.begin()
        (offer,) = await self.offers()
        self.backend.accept(offer, [task("big", cpus=offer.cpus + 1, ports=())])
        await self.until(lambda: self.state("big") is MesosState.TASK_ERROR)

    async def test_authentication(self) -> None:
        await self.begin(
            credentials={"ecs": "secret"}, user_name="ecs", password="secret", principal="ecs"
        )
        await self.launch("task-1")

    async def test_the_leader_is_found(self) -> None:
        await self.begin(masters=3)
        offer = await self.launch("task-1")
        await self.cluster.elect(2)
        await self.until(lambda: self.backend.state == "ERROR")
        await self.until(lambda: self.backend.state == "CONNECTED")
        self.backend.kill("task-1", offer.agent_id)
        await self.until(lambda: self.state("task-1") is KILLED, "it was not killed")
        assert self.observer.states("task-1") == [STARTING, RUNNING, KILLED]

    # --- cores come and go -----------------------------------------------------------------------

    async def test_the_next_core_takes_the_framework_over(self) -> None:
        await self.begin()
        offer = await self.launch("task-1")
        before = self.backend.framework_id
        await self.backend.stop()
        self.observer = Observer()
        await self.begin_backend()
        assert self.backend.framework_id == before
        await self.until(lambda: self.state("task-1") is RUNNING)
        second = await self.launch("task-2")
        assert second.executor_id == offer.executor_id
        self.order(offer, "echo again")
        await self.until(lambda: self.observer.messages)
        self.backend.kill("task-1", offer.agent_id)
        await self.until(lambda: self.state("task-1") is KILLED)

    async def test_a_core_that_stays_away_too_long_begins_anew(self) -> None:
        await self.begin(failover_timeout_s=2.0)
        await self.launch("task-1")
        before = self.backend.framework_id
        await self.backend.stop()
        await self.cluster.sleep(4.0)
        self.observer = Observer()
        await self.begin_backend(failover_timeout_s=2.0)
        assert self.backend.framework_id not in ("", before)
        assert self.memory.texts["mesos_fid"] == self.backend.framework_id
        await self.launch("task-2")

    async def test_two_cores_do_not_fight(self) -> None:
        await self.begin()
        await self.launch("task-1")
        first, self.observer = self.backend, Observer()
        await self.begin_backend()
        await self.until(lambda: first.state == "ERROR")
        await self.until(lambda: self.state("task-1") is RUNNING)
        await deferLater(reactor, 1.0, lambda: None)
        assert self.backend.state == "CONNECTED" and first.state == "ERROR"

    async def test_teardown_leaves_nothing(self) -> None:
        await self.begin()
        await self.launch("task-1")
        await self.backend.teardown()
        assert self.state("task-1") is KILLED
        assert self.memory.texts["mesos_fid"] == ""
        assert self.backend.state == "FINAL"
        await self.until(lambda: not self.cluster.agents[0].executors)

    # --- what can go wrong -----------------------------------------------------------------------

    async def test_a_master_that_is_started_again_costs_no_task(self) -> None:
        for is_replicated in (False, True):
            await self.begin(is_replicated=is_replicated)
            offer = await self.launch("task-1")
            await self.cluster.restart_master(away_s=1.0)
            await self.until(lambda: self.backend.state == "CONNECTED")
            await self.launch("task-2")
            self.order(offer, "echo hello")
            await self.until(lambda: self.observer.messages)
            assert self.observer.states("task-1") == [STARTING, RUNNING]
            await self.tearDown()
            self.setUp()

    async def test_an_agent_that_goes_and_comes_back(self) -> None:
        await self.begin()
        offer = await self.launch("task-1")
        agent = self.cluster.agents[0]
        await self.cluster.kill_agent(agent)
        await self.until(lambda: self.observer.events)
        assert self.observer.events[0][:3] == ("agent_unreachable", offer.agent_id, offer.host)
        with pytest.raises(Unavailable, match="out of reach"):
            self.order(offer, "echo nobody")
        assert not self.backend.hosts()[0].connected
        self.backend.kill("task-1", offer.agent_id)
        await agent.start()
        await self.until(lambda: len(self.observer.events) == 2)
        assert self.observer.events[1] == ("agent_returned", offer.agent_id, offer.host)
        await self.until(lambda: self.state("task-1") is KILLED)
        assert self.observer.states("task-1") == [STARTING, RUNNING, KILLED]

    async def test_an_agent_that_is_given_up_and_mended(self) -> None:
        await self.begin()
        offer = await self.launch("task-1")
        agent = self.cluster.agents[0]
        self.cluster.mark_unreachable(agent)
        await self.until(lambda: self.observer.events)
        self.cluster.join(agent)
        await self.until(lambda: len(self.observer.events) == 2)
        assert [event[0] for event in self.observer.events] == [
            "agent_unreachable", "agent_returned",
        ]  # fmt: skip
        self.order(offer, "finish task-1")
        await self.until(lambda: self.state("task-1") is FINISHED)

    async def test_an_agent_that_is_gone_for_good(self) -> None:
        await self.begin()
        await self.launch("task-1")
        self.cluster.mark_gone(self.cluster.agents[0])
        await self.until(lambda: self.state("task-1") is MesosState.TASK_GONE_BY_OPERATOR)

    async def test_an_executor_that_dies(self) -> None:
        await self.begin()
        offer = await self.launch("task-1")
        self.order(offer, "sigkill")
        await self.until(lambda: self.observer.events)
        assert self.observer.events == [
            ("executor_lost", offer.agent_id, offer.executor_id, offer.host, "killed by SIGKILL")
        ]
        await self.until(lambda: self.state("task-1") is MesosState.TASK_FAILED)
        second = await self.launch("task-2")
        assert second.executor_id != offer.executor_id

    async def test_an_executor_of_another_version_is_replaced(self) -> None:
        await self.begin()
        offer = await self.launch("task-1")
        await self.backend.stop()
        await self.begin_backend(
            executor=ExecutorOptions(command=(sys.executable, str(EXAMPLE)), memory_mb=48.0)
        )
        second = await self.launch("task-2")
        assert second.executor_id != offer.executor_id
        assert second.memory_mb == pytest.approx(4096 - 32 - 16 - 48)
        self.backend.kill("task-1", offer.agent_id)
        await self.until(lambda: self.state("task-1") is KILLED)

    async def test_events_that_are_doubled_delayed_reordered_or_cut(self) -> None:
        await self.begin()
        faults = self.cluster.leader.faults
        faults.add("double", "UPDATE", count=2)
        faults.add("cut", "UPDATE")
        await self.launch("task-1")
        assert self.observer.states("task-1") == [STARTING, RUNNING]
        faults.add("lose", "UPDATE")
        faults.add("reorder", count=2)
        offer = await self.launch("task-2")
        faults.clear()
        self.backend.kill("task-2", offer.agent_id)
        await self.until(lambda: self.state("task-2") is KILLED)
        assert self.observer.states("task-1") == [STARTING, RUNNING]

    async def test_a_kill_that_is_ignored_is_made_again(self) -> None:
        await self.begin()
        offer = await self.launch("task-1")
        self.cluster.leader.faults.add("ignore", "KILL")
        self.backend.kill("task-1", offer.agent_id)
        await deferLater(reactor, 0.3, lambda: None)
        assert self.state("task-1") is RUNNING
        for kill in self.backend.keeper._kills.values():
            kill.due_s = 0.0
        await self.until(lambda: self.state("task-1") is KILLED)

    async def test_calls_that_fail(self) -> None:
        await self.begin()
        faults = self.cluster.leader.faults
        faults.add("refuse", "ACCEPT", status=503, text="Master has not finished recovery")
        faults.add("drop", "ACKNOWLEDGE")
        offer = await self.launch("task-1")
        faults.add("refuse", "KILL", status=403, text="Framework is not subscribed")
        self.backend.kill("task-1", offer.agent_id)
        await self.until(lambda: self.backend.state == "CONNECTED")
        for kill in self.backend.keeper._kills.values():
            kill.due_s = 0.0
        await self.until(lambda: self.state("task-1") is KILLED)
        assert self.observer.states("task-1") == [STARTING, RUNNING, KILLED]

    async def test_a_launch_without_an_answer_is_done_once(self) -> None:
        await self.begin(timeout_s=1.0)
        self.cluster.leader.faults.add("drop", "ACCEPT")
        await self.launch("task-1")
        assert self.observer.states("task-1") in ([STARTING, RUNNING], [RUNNING])
        assert len(self.cluster.agents[0].executors) == 1

    async def test_a_launch_that_never_arrived_is_told(self) -> None:
        await self.begin(timeout_s=1.0)
        self.cluster.leader.faults.add("hang", "ACCEPT")
        (offer,) = await self.offers()
        self.backend.accept(offer, [task("task-1")])
        await self.until(lambda: self.state("task-1") is MesosState.TASK_GONE)

    async def test_a_hundred_tasks(self) -> None:
        await self.begin(agents=4)
        offers = await self.offers(4)
        for number, offer in enumerate(offers):
            launches = [
                task(f"task-{number}-{index}", 0.01, 1.0, ())
                for index in range(25)
            ]  # fmt: skip
            self.backend.accept(offer, launches)
        names = {f"task-{number}-{index}" for number in range(4) for index in range(25)}
        await self.until(lambda: all(self.state(name) is RUNNING for name in names))
        for name in names:
            known = self.backend.tasks.get(name)
            self.backend.kill(name, known.agent_id if known is not None else "")
        await self.until(lambda: all(self.state(name) is KILLED for name in names))
