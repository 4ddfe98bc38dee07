"""A real core for tests: the `twistd` service in a folder of its own, with real executors.

    with RunningCore(folder, hosts=["flp001"]) as core:
        environment = core.create("builtin/workflows/demo@main")
        core.control(environment.id, "START_ACTIVITY")

Ports are free ones. Every process that belongs to the core carries a mark in its environment, so
that a test can see that nothing is left behind; whatever is left at the end is killed and told.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.blocking import BlockingChannel
from aliecs.txgrpc.option import ClientTls
from aliecs.txgrpc.stub import Stub

MARK = "TEST_OF_ALIECS"
START_DEADLINE_S = 120.0
"""A core reads more than a second's worth of modules before it says its first word; a machine with
fifty other things to do takes half a minute for that."""
CALL_DEADLINE_S = 60.0
END_DEADLINE_S = 60.0

BIN = Path(sys.executable).parent


class RunningCore:
    """See the module. `settings` are added to those that every test needs; `commands` are files
    put into a git repository of workflows (path -> text), known to the core as `repository`."""

    def __init__(
        self,
        folder: Path,
        hosts: Sequence[str | Mapping[str, Any]] = ("flp001", "flp002", "epn001"),
        settings: Mapping[str, Any] | None = None,
        workflows: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.mark = uuid4().hex
        self.working_dir = folder / "core"
        self.repository = folder / "repository"
        self.variables = dict(variables or {})
        self.settings: dict[str, Any] = {
            "coreWorkingDir": str(self.working_dir),
            "controlPort": 0,
            "restPort": 0,
            "manholePort": 0,
            "apricotPort": 0,
            "apricotHttpPort": 0,
            "metrics.port": 0,
            "metricsEndpoint": "",
            "infoLoggerSocket": "",
            "integrationPlugins": ["testplugin"],
            "recoveryTimeout": "10s",
            "hosts": [{"name": h} if isinstance(h, str) else dict(h) for h in hosts],
            **(settings or {}),
        }
        if workflows is not None:
            make_repository(self.repository, workflows)
            self.settings.setdefault("repositories", [str(self.repository)])
        self.process: subprocess.Popen[bytes] | None = None
        self.tls: ClientTls | None = None
        self.https: ssl.SSLContext | None = None
        self.token = ""
        """Who asks, in everything below."""
        self.channel: BlockingChannel
        self.control_stub: Any
        self.extended: Any
        self.addresses: dict[str, Any] = {}

    # --- its life --------------------------------------------------------------------------

    def __enter__(self) -> RunningCore:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self.process is not None and self.process.poll() is None:
                self.teardown()
        finally:
            left = self.end_processes()
        if kind is None:
            assert not left, f"left behind: {left}\n{self.log()}"

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the service and wait for nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "settings.yaml"
        path.write_text(json.dumps(self.settings, indent=1))
        (self.working_dir / "core.json").unlink(missing_ok=True)
        with (self.folder / "core.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    BIN / "twistd",
                    "-n",
                    "--pidfile=",
                    "--reactor=asyncio",
                    "aliecs",
                    f"--config={path}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**outer_environment(), **self.variables, MARK: self.mark},
                start_new_session=True,
            )
        return self.process

    def start(self) -> None:
        """Start the service and wait until it serves."""
        self.launch()
        said = self.working_dir / "core.json"
        self.wait_until(said.exists, START_DEADLINE_S, "the core serves")
        self.addresses = json.loads(said.read_text())
        self.channel = BlockingChannel(self.addresses["grpc"], tls=self.tls)
        self.control_stub, self.extended = self.stubs(self.token)

    def stubs(self, token: str = "") -> tuple[Any, Any]:
        """Both services, as whoever has that token asks them."""
        metadata = {"authorization": f"Bearer {token}"} if token else {}
        control = o2control_pb2.DESCRIPTOR.services_by_name["Control"]
        extended = aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"]
        return (
            _Asking(Stub(self.channel, control), metadata),
            _Asking(Stub(self.channel, extended), metadata),
        )

    def teardown(self) -> None:
        """The explicit order, and the end of the process."""
        assert self.process is not None
        self.control_stub.Teardown(
            o2control_pb2.TeardownRequest(reason="the test is over"), deadline_s=END_DEADLINE_S
        )
        self.channel.close()
        self.process.wait(END_DEADLINE_S)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the core alone, as the service manager does; gives the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        self.channel.close()
        return self.process.wait(END_DEADLINE_S)

    def log(self) -> str:
        """All that the core wrote."""
        return (self.folder / "core.log").read_text(errors="replace")

    def wait_until(self, holds: Callable[[], Any], deadline_s: float, what: str) -> Any:
        """Wait until something is true and give it."""
        deadline = time.monotonic() + deadline_s
        while True:
            value = holds()
            if value:
                return value
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the core ended before {what}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {deadline_s} s: {what}\n{self.log()}")
            time.sleep(0.02)

    # --- its processes ---------------------------------------------------------------------

    def processes(self) -> Iterator[tuple[int, str]]:
        """Every living process of the core and of its tasks: (pid, command line)."""
        wanted = f"{MARK}={self.mark}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    text = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    yield int(entry.name), text.decode(errors="replace").strip()
            except OSError:
                continue

    def find_process(self, *parts: str) -> int:
        """The pid of the one process with all `parts` in its command line."""
        found = [pid for pid, text in self.processes() if all(part in text for part in parts)]
        assert len(found) == 1, f"{parts}: {found} of {list(self.processes())}"
        return found[0]

    def end_processes(self) -> list[str]:
        """Kill what is left; gives what it was, after a moment for the last ones to go."""
        deadline = time.monotonic() + 5.0
        while (found := list(self.processes())) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid, _ in found:
            os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(END_DEADLINE_S)
        return [f"{pid}: {text}" for pid, text in found]

    # --- asking ----------------------------------------------------------------------------

    def template(self, name: str) -> str:
        """The expression of a workflow of the test's own repository."""
        return f"{self.repository}/workflows/{name}@main"

    def create(self, template: str, deadline_s: float = CALL_DEADLINE_S, **variables: str) -> Any:
        """Create an environment; gives its EnvironmentInfo."""
        request = o2control_pb2.NewEnvironmentRequest(workflowTemplate=template, vars=variables)
        request.requestUser.name = "tester"
        return self.control_stub.NewEnvironment(request, deadline_s=deadline_s).environment

    def control(self, environment_id: str, event: str) -> Any:
        """One transition; gives the reply."""
        request = o2control_pb2.ControlEnvironmentRequest(
            id=environment_id,
            type=o2control_pb2.ControlEnvironmentRequest.Optype.Value(event),
        )
        request.requestUser.name = "tester"
        return self.control_stub.ControlEnvironment(request, deadline_s=CALL_DEADLINE_S)

    def destroy(self, environment_id: str, **options: bool) -> Any:
        """Destroy an environment."""
        request = o2control_pb2.DestroyEnvironmentRequest(id=environment_id, **options)
        return self.control_stub.DestroyEnvironment(request, deadline_s=CALL_DEADLINE_S)

    def environment(self, environment_id: str) -> Any:
        """An environment as it is now."""
        request = o2control_pb2.GetEnvironmentRequest(id=environment_id)
        return self.control_stub.GetEnvironment(request, deadline_s=CALL_DEADLINE_S).environment

    def environments(self) -> Sequence[Any]:
        """All environments."""
        request = o2control_pb2.GetEnvironmentsRequest(showAll=True)
        return list(
            self.control_stub.GetEnvironments(request, deadline_s=CALL_DEADLINE_S).environments
        )

    def tasks(self) -> Sequence[Any]:
        """All tasks."""
        request = o2control_pb2.GetTasksRequest()
        return list(self.control_stub.GetTasks(request, deadline_s=CALL_DEADLINE_S).tasks)

    def task(self, environment_id: str, path: str) -> Any:
        """The task that plays the role of that path."""
        request = o2control_pb2.GetRolesRequest(envId=environment_id, pathSpec=path)
        (role,) = self.control_stub.GetRoles(request, deadline_s=CALL_DEADLINE_S).roles
        (task_id,) = role.taskIds
        (task,) = [task for task in self.tasks() if task.taskId == task_id]
        return task

    def pid(self, environment_id: str, path: str) -> int:
        """The process of the task that plays the role of that path."""
        return int(self.task(environment_id, path).pid)

    def reaches(self, environment_id: str, state: str, deadline_s: float) -> Any:
        """Wait until an environment is in a state, with nothing under way; gives it."""

        def there() -> Any:
            seen = self.environment(environment_id)
            return seen if (seen.state, seen.currentTransition) == (state, "") else None

        return self.wait_until(there, deadline_s, f"{environment_id} is in {state}")

    def recover(self, environment_id: str) -> Any:
        """RECOVER; gives the operation."""
        request = aliecs_v1_pb2.RecoverRequest(environment_id=environment_id, requested_by="tester")
        return self.extended.Recover(request, deadline_s=CALL_DEADLINE_S)

    def record(self, environment_id: str) -> Any:
        """What is remembered of an environment."""
        request = aliecs_v1_pb2.GetEnvironmentHistoryRequest(id=environment_id)
        (record,) = self.extended.GetEnvironmentHistory(
            request, deadline_s=CALL_DEADLINE_S
        ).environments
        return record

    def task_log(self, task_id: str, stream: str = "stdout") -> list[str]:
        """The lines that a task wrote."""
        request = aliecs_v1_pb2.GetTaskLogRequest(
            task_id=task_id, stream=f"TASK_STREAM_{stream.upper()}"
        )
        return list(self.extended.GetTaskLog(request, deadline_s=CALL_DEADLINE_S).lines)

    def rest(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """A REST call: status, decoded body, headers."""
        asking = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(
            self.addresses["rest"] + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={**asking, **(headers or {})},
        )
        try:
            with urllib.request.urlopen(
                request, timeout=CALL_DEADLINE_S, context=self.https
            ) as answer:
                return answer.status, json.loads(answer.read() or b"null"), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null"), dict(error.headers)

    def coconut(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the real command line."""
        done = subprocess.run(
            [
                BIN / "coconut",
                "--endpoint",
                self.addresses["grpc"],
                "--config_endpoint",
                f"apricot://{self.addresses.get('apricot', '')}",
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=CALL_DEADLINE_S,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done


class _Asking:
    """A service as somebody asks it: `metadata` goes with every call."""

    def __init__(self, stub: Any, metadata: Mapping[str, str]) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stub, name)
        return partial(method, metadata=self._metadata) if self._metadata else method


def outer_environment() -> dict[str, str]:
    """The environment of the test run, without variables that a core would take for settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ALIECS_", "APRICOT_"))
    }


def make_repository(folder: Path, files: Mapping[str, str]) -> None:
    """Make a git repository of these files (path -> text), on branch `main`."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    commit_all(folder)


def commit_all(folder: Path) -> None:
    """Commit everything in a folder, making it a git repository where it is none."""
    git = ["git", "-C", str(folder), "-c", "user.name=test", "-c", "user.email=test@example.org"]
    if not (folder / ".git").exists():
        subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "test"], check=True)
