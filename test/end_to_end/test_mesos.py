"""A whole core with `backend: mesos`, and a stand-in for the cluster in this process."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE
from test.standin.mesos.cluster import Cluster
from test.standin.mesos.pace import Times

pytestmark = pytest.mark.end_to_end

reactor: Any = installed_reactor

EXECUTOR = Path(__file__).parent / "tasks" / "mesos_executor.py"

FOUR = """\
name: four
roles:
  - name: task-{{ it }}
    for: {begin: "1", end: "4", var: it}
    constraints: [{attribute: detector, value: TST}]
    task: {load: easy-puppet}
"""


class MesosCoreTest(TestCase):
    """One cluster of two agents, one core."""

    timeout = 90

    async def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cluster = Cluster(
            reactor, Path(folder.name) / "mesos", 10.0,
            Times(ping_s=2.0, pings=2, registration_s=0.5),
        )  # fmt: skip
        await self.cluster.start(agents=2)
        self.core = RunningCore(
            Path(folder.name),
            settings={
                "backend": "mesos",
                "mesosUrl": ",".join(self.cluster.urls),
                "executorCommand": f"{sys.executable} {EXECUTOR}",
                "executorMemory": "32",
            },
            workflows={**BASE, "workflows/four.yaml": FOUR},
        )
        await deferToThread(self.core.start)

    async def tearDown(self) -> None:
        process = self.core.process
        if process is not None and process.poll() is None:
            await deferToThread(self.core.stop, signal.SIGTERM)
        await self.cluster.stop()
        await deferLater(reactor, 0.05, lambda: None)

    async def until(self, condition: Callable[[], Any]) -> None:
        deadline = reactor.seconds() + 20
        while not condition():
            assert reactor.seconds() < deadline, self.core.log()
            await deferLater(reactor, 0.02, lambda: None)

    def living_executors(self) -> int:
        return sum(len(agent.executors) for agent in self.cluster.agents)

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
        assert hosts == {"host1.example", "host2.example"}
        assert self.living_executors() == 2

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
