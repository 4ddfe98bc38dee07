"""A whole core with `backend: mesos`, for tests. The cluster between it and its executors is a
stand-in, in this process."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet import reactor as installed_reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from aliecs.backend.ports import PortClaims
from test.end_to_end.core import RunningCore
from test.standin.mesos.cluster import Cluster
from test.standin.mesos.pace import Times

reactor: Any = installed_reactor

EXECUTOR = f"{sys.executable} -m aliecs.executor.main"
AGENTS = {"flp001": "127.0.0.1", "flp002": "127.0.0.2", "epn001": "127.0.0.3"}
"""Names in workflows, and in the network: all of this machine, which takes them for its own."""


class MesosCoreCase(TestCase):
    """One cluster, one core."""

    timeout = 120
    workflows: ClassVar[Mapping[str, str]] = {}
    settings: ClassVar[Mapping[str, Any]] = {}
    agents: ClassVar[Mapping[str, str]] = AGENTS

    def executor_settings(self) -> dict[str, Any]:
        """How agents start an executor; `self.folder` is there for what they need."""
        return {"executorCommand": EXECUTOR, "executorMemory": "32"}

    async def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.cluster = Cluster(
            reactor, self.folder / "mesos", 10.0,
            # Processes that are told to end have real seconds for it.
            Times(ping_s=2.0, pings=2, registration_s=0.5, executor_registration_s=200.0,
                  executor_reregistration_s=20.0, shutdown_grace_s=100.0),
        )  # fmt: skip
        await self.cluster.start(agents=0)
        for name, address in self.agents.items():
            # Claimed as a core does for its own hosts: others on this machine may run tasks too.
            ports = PortClaims().claim()
            self.addCleanup(ports.release)
            await self.cluster.add_agent(
                address, f"cpus:4;mem:4096;disk:10000;ports:[{ports.first}-{ports.last}]",
                f"machine_id:{name};detector:{'TST' if name.startswith('flp') else 'EPN'}",
            )  # fmt: skip
        self.core = RunningCore(
            self.folder,
            settings={
                "backend": "mesos",
                "mesosUrl": ",".join(self.cluster.urls),
                **self.executor_settings(),
                **self.settings,
            },
            workflows=self.workflows,
        )
        await deferToThread(self.core.start)

    async def tearDown(self) -> None:
        process = self.core.process
        if process is not None and process.poll() is None:
            await deferToThread(self.core.stop, signal.SIGTERM)
        executors = [one for agent in self.cluster.agents for one in agent.executors.values()]
        for executor in executors:
            executor.container.signal(signal.SIGTERM)
        await self.until(lambda: not any(one.container.is_running for one in executors))
        await self.cluster.stop()
        await deferLater(reactor, 0.05, lambda: None)
        left = await deferToThread(self.core.end_processes)
        assert not left, left

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for something."""
        deadline = reactor.seconds() + 30
        while not condition():
            assert reactor.seconds() < deadline, self.core.log()
            await deferLater(reactor, 0.02, lambda: None)

    def living_executors(self) -> int:
        """How many executors the agents have."""
        return sum(len(agent.executors) for agent in self.cluster.agents)
