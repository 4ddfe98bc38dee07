"""A whole core with `backend: mesos` for tests of faults: a stand-in cluster as a process of its
own, real executors on its agents, real tasks.

    with MesosCore(folder, hosts=["one", "two"]) as core:
        environment = core.create(core.template("pair"))
        core.cluster.order("restart-master", away_s=3)

Everything that runs belongs to the test's folder, in which each process works; that is how a test
sees that nothing is left behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from aliecs.backend.ports import PortClaims
from test.end_to_end.core import END_DEADLINE_S, START_DEADLINE_S, RunningCore, outer_environment

EXECUTOR = f"{sys.executable} -m aliecs.executor.main"
SPEED = 10.0
ORDER_DEADLINE_S = 60.0
ROOT = Path(__file__).parents[2]


class ClusterProcess:
    """A stand-in cluster: `order` is what `test.standin.mesos.control` knows."""

    def __init__(self, folder: Path, masters: int = 2, speed: float = SPEED) -> None:
        self.folder = folder
        self.masters = masters
        self.speed = speed
        self.addresses: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it, without agents."""
        self.folder.mkdir(parents=True)
        # Processes that are told to end have real seconds for it, however fast the cluster is.
        times = {
            "heartbeat_s": 1.0, "ping_s": 2.0, "pings": 2, "registration_s": 0.5,
            "executor_registration_s": 200.0, "executor_reregistration_s": 20.0,
            "shutdown_grace_s": 100.0,
        }  # fmt: skip
        command = [
            sys.executable, "-m", "test.standin.mesos", "--agents=0", f"--masters={self.masters}",
            f"--speed={self.speed:g}", f"--times={json.dumps(times)}",
            f"--work-dir={self.folder / 'agents'}", f"--addresses={self.folder / 'addresses.json'}",
        ]  # fmt: skip
        with (self.folder / "cluster.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=outer_environment(), start_new_session=True,
            )  # fmt: skip

    def order(self, name: str, **content: Any) -> None:
        """Give an order, and wait until it is carried out."""
        request = urllib.request.Request(
            f"{self.addresses['control']}{name}", json.dumps(content).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=ORDER_DEADLINE_S) as answer:
            answer.read()

    def misbehave(self, action: str, kind: str = "", agent: str = "", **more: Any) -> None:
        """Have an agent, or the leading master, misbehave."""
        if agent:
            more["agent"] = agent
        self.order("misbehave", action=action, kind=kind, **more)

    @property
    def urls(self) -> str:
        """The setting `mesosUrl`."""
        return ",".join(f"http://{one}/api/v1/scheduler" for one in self.addresses["masters"])

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(END_DEADLINE_S)


class MesosCore(RunningCore):
    """See the module. `hosts` are names of agents; each is its own `machine_id`."""

    def __init__(
        self,
        folder: Path,
        hosts: Sequence[str] = ("one", "two"),
        settings: Mapping[str, Any] | None = None,
        workflows: Mapping[str, str] | None = None,
    ) -> None:
        self.names = tuple(hosts)
        self.cluster = ClusterProcess(folder / "cluster")
        self._ports = [PortClaims().claim() for _ in hosts]
        self._threads = ThreadPoolExecutor(4)
        super().__init__(
            folder,
            settings={
                "backend": "mesos",
                "executorCommand": EXECUTOR,
                "executorMemory": "32",
                "mesosReviveWait": "0.2s",
                **(settings or {}),
            },
            workflows=workflows,
        )

    def start(self) -> None:
        """Start the cluster and the core, and wait until it serves."""
        if self.cluster.process is None:
            self.cluster.launch()
            told = self.cluster.folder / "addresses.json"
            self.wait_until(told.exists, START_DEADLINE_S, "the cluster is up")
            self.cluster.addresses = json.loads(told.read_text())
            for name, ports in zip(self.names, self._ports, strict=True):
                self.add_agent(name, f"{ports.first}-{ports.last}")
            self.settings["mesosUrl"] = self.cluster.urls
        super().start()

    def add_agent(self, name: str, ports: str) -> None:
        """One more agent."""
        self.cluster.order(
            "add-agent", hostname=name, attributes=f"machine_id:{name}",
            resources=f"cpus:4;mem:4096;disk:10000;ports:[{ports}]",
        )  # fmt: skip

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            self._threads.shutdown()
            self.cluster.stop()
            for ports in self._ports:
                ports.release()

    def processes(self) -> Iterator[tuple[int, str]]:
        """Every living process that works in the test's folder: (pid, command line)."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                where = (entry / "cwd").readlink()
                if where.is_relative_to(self.folder):
                    text = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    yield int(entry.name), text.decode(errors="replace").strip()
            except OSError:
                continue

    def executor(self, host: str) -> int:
        """The process of the executor of a host."""
        number = self.names.index(host) + 1
        for pid, text in self.processes():
            if "aliecs.executor.main" not in text:
                continue
            if f"agent{number}" in Path(f"/proc/{pid}/cwd").readlink().parts:
                return pid
        raise AssertionError(f"no executor on {host}")

    def logs(self, environment_id: str, path: str) -> Path:
        """The folder with the logs of the task of a role."""
        task = self.task(environment_id, path)
        (found,) = (self.cluster.folder / "agents").rglob(f"tasks/{task.taskId}")
        return found

    # --- asking, while something else goes on ------------------------------------------------

    def later(self, ask: Any, *arguments: Any, **more: Any) -> Future[Any]:
        """Ask for something in a thread; gives what will be the answer."""
        return self._threads.submit(ask, *arguments, **more)

    def pids(self, environment_id: str, *paths: str) -> list[int]:
        """The processes of some roles."""
        return [self.pid(environment_id, path) for path in paths]

    def under_way(self, environment_id: str, event: str) -> None:
        """Wait until the tasks have been told to make a transition."""
        self.wait_until(
            lambda: self.environment(environment_id).currentTransition == event, 20, event
        )

    def has_left(self, pid: int) -> bool:
        """True once a process has ended."""
        return not Path(f"/proc/{pid}").exists()
