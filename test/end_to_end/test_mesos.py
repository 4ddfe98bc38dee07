"""A whole core with `backend: mesos`, and real executors with real tasks. The cluster between them
is a stand-in, in this process."""

from __future__ import annotations

import signal
import urllib.request
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from test.end_to_end.mesos_case import MesosCoreCase
from test.end_to_end.test_demo_workflow import accounts_of
from test.end_to_end.workflows import BASE

pytestmark = pytest.mark.end_to_end

reactor: Any = installed_reactor


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as reply:
        return str(reply.read().decode())


FOUR = """\
name: four
roles:
  - name: task-{{ it }}
    for: {begin: "1", end: "4", var: it}
    constraints: [{attribute: detector, value: TST}]
    task: {load: easy-puppet}
"""


class MesosCoreTest(MesosCoreCase):
    """One cluster, one core, and our own executors."""

    workflows: ClassVar[Mapping[str, str]] = {**BASE, "workflows/four.yaml": FOUR}
    settings: ClassVar[Mapping[str, Any]] = {
        "summaryMetrics": True,
        "mesosResourceTypeMetrics": True,
    }

    async def create_and_run(self) -> str:
        created = await deferToThread(self.core.create, self.core.template("four"))
        assert created.state == "CONFIGURED", self.core.log()
        reply = await deferToThread(self.core.control, created.id, "START_ACTIVITY")
        assert reply.state == "RUNNING", self.core.log()
        return str(created.id)

    async def test_a_run_and_its_end(self) -> None:
        environment_id = await self.create_and_run()
        tasks = await deferToThread(self.core.tasks)
        assert len(tasks) == 4
        hosts = {task.deploymentInfo.hostname for task in tasks}
        assert hosts == {"127.0.0.1", "127.0.0.2"}
        assert self.living_executors() == 2

        address = f"{self.core.addresses['rest']}/metrics"
        found = {
            name.removeprefix("o2control_scheduler_"): float(value)
            for name, value in (
                line.rsplit(" ", 1) for line in (await deferToThread(read, address)).splitlines()
            )
            if name.startswith("o2control_scheduler_")
        }
        assert found["tasks_launched"] == found["tasks_launched_per_cycle_sum"] == 4
        assert found["offers_received"] >= 2
        assert found['call_count{type="subscribe"}'] == 1
        assert found['call_count{type="accept"}'] == found["tasks_launched_per_cycle_count"]
        assert found['call_latency_count{type="accept"}'] == found['call_count{type="accept"}']
        assert found['call_error_count{type="accept"}'] == 0
        assert found['event_received_count{type="update"}'] >= 4
        assert found['event_received_latency_sum{type="offers"}'] >= 0
        assert found['offered_resources_sum{type="cpus"}'] > 0

        # A master that was started again costs no run.
        await self.cluster.restart_master(away_s=1.0)
        await self.until(lambda: self.core.log().count("subscribed with the Mesos master") == 2)
        await deferLater(reactor, 1.0, lambda: None)
        seen = await deferToThread(self.core.environment, environment_id)
        assert seen.state == "RUNNING", self.core.log()
        reply = await deferToThread(self.core.control, environment_id, "STOP_ACTIVITY")
        assert reply.state == "CONFIGURED", self.core.log()
        await deferToThread(self.core.destroy, environment_id)

        await deferToThread(self.core.teardown)
        assert "Traceback" not in self.core.log()
        assert self.core.log().count("no connection to a Mesos master") == 1
        await self.until(lambda: not self.living_executors())

    async def test_handing_over_leaves_tasks_and_framework(self) -> None:
        await self.create_and_run()
        await deferToThread(self.core.stop, signal.SIGTERM)
        assert self.living_executors() == 2
        await deferToThread(self.core.start)
        said = [line for line in self.core.log().splitlines() if "subscribed with" in line]
        assert len(said) == 2
        assert said[0].rpartition(" as ")[2] == said[1].rpartition(" as ")[2]
        # Until a core takes them up, it ends the tasks of the one before it.
        await self.until(lambda: self.core.log().count("is not ours to keep") >= 4)
        await self.create_and_run()

    async def test_blocks_go_from_host_to_host(self) -> None:
        environment = await deferToThread(
            self.core.create, "builtin/workflows/demo@main", listen_address="*"
        )
        assert (environment.state, environment.numberOfHosts) == ("CONFIGURED", 3), self.core.log()
        started = await deferToThread(self.core.control, environment.id, "START_ACTIVITY")
        run = started.currentRunNumber
        assert (started.state, run > 0) == ("RUNNING", True), self.core.log()
        # An agent that goes and comes back costs nothing either.
        await self.cluster.restart_agent(self.cluster.agents[0], away_s=10.0)
        await self.until(lambda: "host 127.0.0.1 is back" in self.core.log())
        assert "host 127.0.0.1 is out of reach" in self.core.log()
        stopped = await deferToThread(self.core.control, environment.id, "STOP_ACTIVITY")
        assert stopped.state == "CONFIGURED", self.core.log()
        accounts = await deferToThread(accounts_of, self.core, run)
        assert set(accounts) == {"demo.flp-flp001.readout", "demo.flp-flp002.readout"}
        for source, seen in accounts.items():
            assert len(seen) == 3, f"{source}: {seen}"
            assert len(set(seen)) == 1, f"{source}: {seen}"
            assert seen[0][0] > 0
        await deferToThread(self.core.destroy, environment.id)
        await deferToThread(self.core.teardown)
        await self.until(lambda: not self.living_executors())
        assert not self.core.end_processes()
