"""The demonstration: one command, and a run is taken.

Starts the core as a service with its embedded parts in a folder of its own, and drives it with
`coconut` as anybody would: an environment on three embedded hosts, two runs in it, the accounts of
every block that moved, and the end of everything. Exit code 0 where all of it held.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from attrs import define, field
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.tree import Tree

from aliecs.errors import AliecsError
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.blocking import BlockingChannel
from aliecs.txgrpc.stub import Stub

HOSTS = ("flp001", "flp002", "epn001")
RUNS = 2
RUN_S = 3.0
START_DEADLINE_S = 30.0
END_DEADLINE_S = 60.0
COMMAND_DEADLINE_S = 120.0
CALL_DEADLINE_S = 5.0
LOOK_S = 0.25

MARK = "DEMO_OF_ALIECS"
"""A variable that every process of the demonstration has, so that none is overlooked at the end."""

REPORT = re.compile(
    r"run=(?P<run>\d+) source=(?P<source>\S+) blocks=(?P<blocks>\d+) "
    r"sha256=(?P<sha>[0-9a-f]{64})"
)

ALL_SOURCES = "*"
"""The sender's line over all that it collected."""

STATE_COLOURS = {
    "STANDBY": "blue",
    "DONE": "blue",
    "CONFIGURED": "yellow",
    "RUNNING": "green",
    "ERROR": "bold red",
}


class DemoFailed(Exception):
    """Something did not hold; the text says what."""


@define
class Account:
    """What passed through a task in one run, from one source."""

    task: str
    source: str
    blocks: int
    sha256: str


@define(eq=False)
class Demo:
    """The demonstration."""

    console: Console
    folder: Path
    grpc_port: int = 0
    rest_port: int = 0
    manhole_port: int = 0
    core: subprocess.Popen[bytes] | None = None
    addresses: dict[str, Any] = field(factory=dict)
    environment_id: str = ""
    problems: list[str] = field(factory=list)

    # --- the core --------------------------------------------------------------------------

    def start_core(self) -> None:
        """Start `twistd` with the embedded parts, and wait until it says how to reach it."""
        self.say("starting the core (twistd --reactor=asyncio aliecs)")
        settings = self.folder / "settings.yaml"
        settings.write_text(self._settings())
        with (self.folder / "core.log").open("wb") as log:
            self.core = subprocess.Popen(
                [
                    beside_python("twistd"),
                    "--nodaemon",
                    "--pidfile=",
                    "--reactor=asyncio",
                    "aliecs",
                    "--config",
                    str(settings),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, MARK: self.folder.name},
                start_new_session=True,
            )
        said = self.folder / "core" / "core.json"
        deadline = time.monotonic() + START_DEADLINE_S
        while not said.exists():
            if self.core.poll() is not None or time.monotonic() > deadline:
                raise DemoFailed(f"the core did not start:\n{self.tail_of_log()}")
            time.sleep(0.05)
        self.addresses = msgspec.json.decode(said.read_bytes())
        for host in HOSTS:
            self.say(f"host {host} is up, an executor process of its own")

    def _settings(self) -> str:
        key = Ed25519PrivateKey.generate()
        private = self.folder / "manhole_key"
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
        )
        public = self.folder / "manhole_key.pub"
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
            )
        )
        settings = {
            "coreWorkingDir": str(self.folder / "core"),
            "instanceName": "AliECS demonstration",
            "controlPort": self.grpc_port,
            "restPort": self.rest_port,
            "manholePort": self.manhole_port,
            "apricotPort": 0,
            "apricotHttpPort": 0,
            "metrics.port": 0,
            "metricsEndpoint": "",
            "infoLoggerSocket": "",
            "manholeKeys": str(public),
            "integrationPlugins": ["testplugin"],
            "recoveryTimeout": "10s",
            "hosts": [{"name": host, "attributes": {"machine_type": host[:3]}} for host in HOSTS],
        }
        # JSON is YAML.
        return msgspec.json.format(msgspec.json.encode(settings), indent=2).decode()

    def stop_core(self) -> None:
        """The explicit order, and whatever is left is told and ended."""
        if self.core is None:
            return
        if self.core.poll() is None:
            self.say("ending everything (coconut shutdown)")
            self.coconut("shutdown", "--reason", "the demonstration is over", check=False)
        try:
            self.core.wait(END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.problems.append("the core did not end on request")
            self.core.kill()
            self.core.wait()
        left = self._processes_left()
        if left:
            self.problems.append(f"processes were left behind: {', '.join(left)}")
        else:
            self.say("no process is left behind")

    def _processes_left(self) -> list[str]:
        """Processes that carry the mark, after a moment for the last to go. They are ended."""
        deadline = time.monotonic() + 5.0
        while (found := list(marked_processes(self.folder.name))) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid, _ in found:
            os.kill(pid, signal.SIGKILL)
        return [f"{pid} ({name})" for pid, name in found]

    def tail_of_log(self) -> str:
        """The last lines that the core wrote."""
        lines = (self.folder / "core.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])

    # --- coconut ---------------------------------------------------------------------------

    def coconut(self, *arguments: str, check: bool = True) -> str:
        """Run `coconut` and give its output."""
        command = [beside_python("coconut"), "--endpoint", self.addresses["grpc"], *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_DEADLINE_S, check=False
        )
        if check and done.returncode != 0:
            raise DemoFailed(f"coconut {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def create(self) -> None:
        """Create the environment and watch it come up."""
        self.say("coconut environment create --workflow-template builtin/workflows/demo@main")
        with self.watching():
            text = self.coconut(
                "environment",
                "create",
                "--workflow-template",
                "builtin/workflows/demo@main",
                "--output",
                "json",
            )
        self.environment_id = find_id(text)
        self.say(f"environment {self.environment_id} is CONFIGURED")

    def take_run(self) -> None:
        """One run, and the accounts of it."""
        with self.watching():
            self.control("start")
            info = self.environment()
            run = info.currentRunNumber
            self.say(f"run {run} has begun; data is moving for {RUN_S:g} s")
            time.sleep(RUN_S)
            self.control("stop")
        self.say(f"run {run} has ended")
        self.check_accounts(run)

    def control(self, event: str) -> None:
        """One transition."""
        self.say(f"coconut environment control --event {event}")
        self.coconut("environment", "control", self.environment_id, "--event", event)
        if self.environment().state == "ERROR":
            raise DemoFailed(f"{event} failed:\n{self.show()}")

    def show(self) -> str:
        """What `coconut` says of the environment."""
        return self.coconut("environment", "show", self.environment_id, check=False)

    def destroy(self) -> None:
        """Destroy the environment."""
        self.say("coconut environment destroy")
        self.coconut("environment", "destroy", self.environment_id)

    # --- accounts --------------------------------------------------------------------------

    def check_accounts(self, run: int) -> None:
        """Every task's blocks and digest: from each readout to the sender they must be the same."""
        accounts = self.accounts(run)
        table = Table(title=f"run {run}: what passed through each task")
        for heading in ("task", "source", "blocks", "SHA-256"):
            table.add_column(heading)
        for one in accounts:
            table.add_row(one.task, one.source, str(one.blocks), one.sha256[:32])
        if self.console.is_terminal:
            self.console.print(table)
        else:
            for one in accounts:
                self.say(
                    f"run {run} {one.task}: source {one.source} blocks {one.blocks} "
                    f"sha256 {one.sha256}"
                )
        sources = {one.source for one in accounts} - {ALL_SOURCES}
        for source in sorted(sources):
            seen = [one for one in accounts if one.source == source]
            if len({(one.blocks, one.sha256) for one in seen}) != 1 or len(seen) != 3:
                raise DemoFailed(f"the accounts of {source} in run {run} do not agree: {seen}")
            if not seen[0].blocks:
                raise DemoFailed(f"{source} moved nothing in run {run}")
        if len(sources) != len([host for host in HOSTS if host.startswith("flp")]):
            raise DemoFailed(f"run {run}: the sources are {sorted(sources)}")
        self.say(f"run {run}: readout, builder and sender agree, block by block")

    def accounts(self, run: int) -> list[Account]:
        """The accounts of one run, from what tasks wrote."""
        found = []
        with BlockingChannel(self.addresses["grpc"]) as channel:
            control = stub(channel, o2control_pb2)
            extended = stub(channel, aliecs_v1_pb2)
            reply = control.GetTasks(o2control_pb2.GetTasksRequest(), deadline_s=CALL_DEADLINE_S)
            for task in reply.tasks:
                log = extended.GetTaskLog(
                    aliecs_v1_pb2.GetTaskLogRequest(task_id=task.taskId),
                    deadline_s=CALL_DEADLINE_S,
                )
                detail = control.GetTask(
                    o2control_pb2.GetTaskRequest(taskId=task.taskId), deadline_s=CALL_DEADLINE_S
                )
                for line in log.lines:
                    match = REPORT.search(line)
                    if match is not None and int(match["run"]) == run:
                        path = detail.task.taskPath
                        source = match["source"] or ""
                        found.append(Account(path, source, int(match["blocks"]), match["sha"]))
        return sorted(found, key=lambda one: (one.source, one.task))

    # --- watching --------------------------------------------------------------------------

    def environment(self) -> Any:
        """The environment as the control API shows it."""
        with BlockingChannel(self.addresses["grpc"]) as channel:
            request = o2control_pb2.GetEnvironmentRequest(id=self.environment_id)
            reply = stub(channel, o2control_pb2).GetEnvironment(request, deadline_s=CALL_DEADLINE_S)
            return reply.environment

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Show the role tree with its states for as long as the body runs."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _watch(self, over: threading.Event) -> None:
        seen: dict[str, tuple[str, str]] = {}
        with BlockingChannel(self.addresses["grpc"]) as channel:
            control = stub(channel, o2control_pb2)
            if not self.console.is_terminal:
                while not over.wait(LOOK_S):
                    self._tell_changes(control, seen)
                self._tell_changes(control, seen)
                return
            with Live(console=self.console, transient=False, refresh_per_second=8) as live:
                while not over.wait(LOOK_S):
                    live.update(self._tree(control))
                live.update(self._tree(control))

    def _workflow(self, control: Any) -> tuple[Any, Any] | None:
        try:
            reply = control.GetEnvironments(
                o2control_pb2.GetEnvironmentsRequest(showAll=True), deadline_s=CALL_DEADLINE_S
            )
            if not reply.environments:
                return None
            request = o2control_pb2.GetEnvironmentRequest(
                id=reply.environments[0].id, showWorkflowTree=True
            )
            shown = control.GetEnvironment(request, deadline_s=CALL_DEADLINE_S)
        except AliecsError:
            return None
        return shown.environment, shown.workflow

    def _tree(self, control: Any) -> Tree:
        found = self._workflow(control)
        if found is None:
            return Tree("[dim]loading the workflow[/dim]")
        environment, workflow = found
        run = f"  run {environment.currentRunNumber}" if environment.currentRunNumber else ""
        what = environment.currentTransition or "idle"
        tree = Tree(f"{coloured(environment.state)}  [dim]{what}[/dim]{run}")
        add_roles(tree, workflow)
        return tree

    def _tell_changes(self, control: Any, seen: dict[str, tuple[str, str]]) -> None:
        found = self._workflow(control)
        if found is None:
            return
        pending = [found[1]]
        while pending:
            role = pending.pop(0)
            now = (role.status, role.state)
            if seen.get(role.fullPath) != now:
                seen[role.fullPath] = now
                self.say(f"  {role.fullPath}: {role.status} {role.state}")
            pending[:0] = role.roles

    # --- talking ---------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def keep(self) -> None:
        """Leave the core up until Ctrl-C."""
        key = self.folder / "manhole_key"
        user, _, place = self.addresses["manhole"].partition("@")
        host, _, port = place.rpartition(":")
        self.say("")
        self.say(f"the core is up. gRPC: {self.addresses['grpc']}")
        self.say(f"  coconut --endpoint {self.addresses['grpc']} environment list")
        self.say(f"REST: {self.addresses['rest']}/api/v1/environments")
        self.say(f"manhole: ssh -i {key} -p {port} {user}@{host}")
        self.say("Ctrl-C ends everything")
        try:
            while self.core is not None and self.core.poll() is None:
                time.sleep(0.2)
        except KeyboardInterrupt:
            self.say("")


def stub(channel: BlockingChannel, module: Any) -> Any:
    """The control service of a module, as a client."""
    return Stub(channel, module.DESCRIPTOR.services_by_name["Control"])


def beside_python(name: str) -> str:
    """A command that was installed together with us."""
    path = Path(sys.executable).parent / name
    return str(path) if path.exists() else (shutil.which(name) or name)


def marked_processes(mark: str) -> Iterator[tuple[int, str]]:
    """Processes whose environment carries our mark: (pid, name)."""
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name), (entry / "comm").read_text().strip()
        except OSError:
            continue


def find_id(text: str) -> str:
    """The environment id in what `coconut environment create --output json` wrote."""
    value = msgspec.json.decode(text)
    environment = value.get("environment", value)
    return str(environment["id"])


def coloured(state: str) -> str:
    """A state in its colour."""
    colour = STATE_COLOURS.get(state, "red")
    return f"[{colour}]{state}[/{colour}]"


def add_roles(tree: Tree, role: Any) -> None:
    """A role and all below it, with status and state."""
    branch = tree.add(f"{role.name}  {coloured(role.state)}  [dim]{role.status}[/dim]")
    for child in role.roles:
        add_roles(branch, child)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--grpc-port", default=0, help="Port of the control API; 0 takes a free one.")
@click.option("--rest-port", default=0, help="Port of REST and the event stream.")
@click.option("--manhole-port", default=0, help="Port of the manhole.")
@click.option(
    "--keep", is_flag=True, envvar="KEEP", help="Leave the core up until Ctrl-C, and say where."
)
def main(grpc_port: int, rest_port: int, manhole_port: int, keep: bool) -> None:
    """Take two runs with everything embedded on this machine, and account for every block."""
    console = Console()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="aliecs-demo-"))
    demo = Demo(console, folder, grpc_port, rest_port, manhole_port)
    began = time.monotonic()
    try:
        perform(demo, keep)
    except (DemoFailed, AliecsError, subprocess.TimeoutExpired) as problem:
        demo.problems.append(str(problem))
    except KeyboardInterrupt:
        demo.problems.append("interrupted")
    finally:
        demo.stop_core()
    if demo.problems:
        for text in demo.problems:
            demo.say(f"FAILED: {text}")
        demo.say(f"the log of the core: {folder / 'core.log'}")
        raise SystemExit(1)
    shutil.rmtree(folder, ignore_errors=True)
    demo.say(f"done in {time.monotonic() - began:.0f} s: {RUNS} runs, every block accounted for")


def perform(demo: Demo, keep: bool) -> None:
    """The whole of it, but for the end."""
    demo.start_core()
    demo.create()
    for _ in range(RUNS):
        demo.take_run()
    if keep:
        demo.keep()
    demo.destroy()


if __name__ == "__main__":
    main()
