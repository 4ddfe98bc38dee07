"""The experiment's own workflow, unchanged, with stand-ins for the programs that it launches.

What the experiment's machines have and this one lacks: the hooks of the workflow `source` files
that do not exist here, so they are run, fail, and keep nothing from going on.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import RpcError
from test.control_workflows import find_control_workflows
from test.end_to_end.core import CALL_DEADLINE_S, RunningCore, make_repository
from test.standin import fault
from test.standin.install import install

pytestmark = pytest.mark.end_to_end

REPOSITORY = find_control_workflows()
CONFIGURATION = Path(__file__).with_name("readout-dataflow-configuration.yaml")

HOSTS = ("flp001", "flp002")
CHAIN = ("readout", "data-distribution.stfb", "data-distribution.stfs")
"""The tasks on each host, in the order in which data flow through them."""
READOUT_CONFIGURATION = "consul-ini://localhost:8500/o2/components/readout/ANY/any/readout-stfb-"
HOOKS = ("fairmq-shmcleanup", "fairmq-shmmonitor")

REPORT = re.compile(r"run=(\d+) source=(\S+) blocks=(\d+) sha256=([0-9a-f]{64})")

CLEANER = """#!/bin/sh
echo "$O2_ROLE $O2_PARTITION" >> "$1/$O2_ROLE"
echo "segments in use on $O2_ROLE"
test "$O2_ROLE" = flp001
"""


def make_core(folder: Path, faults: str = "", **settings: object) -> RunningCore:
    """A core with two hosts, the workflow's repository, stand-ins and a filled store."""
    files = [path for path in REPOSITORY.glob("*/*") if path.parent.name in ("workflows", "tasks")]
    make_repository(
        folder / "ControlWorkflows",
        {str(path.relative_to(REPOSITORY)): path.read_text() for path in files},
    )
    install(folder / "o2")
    core = RunningCore(
        folder,
        HOSTS,
        settings={
            "repositories": [str(folder / "ControlWorkflows")],
            "executorShell": "/bin/bash",
            "executorPath": [str(folder / "o2" / "path")],
            **settings,
        },
        variables={fault.VARIABLE: faults},
    )
    core.working_dir.mkdir()
    store = f"sqlite://{core.working_dir / 'configuration.db'}"
    subprocess.run(
        [sys.executable, "-m", "aliecs.configuration.importing", store, str(CONFIGURATION)],
        check=True,
        timeout=CALL_DEADLINE_S,
    )
    return core


def create(core: RunningCore) -> Any:
    return core.create(
        f"{core.folder}/ControlWorkflows/workflows/readout-dataflow@main",
        hosts='["flp001", "flp002"]',
        dd_enabled="true",
        o2_install_path=str(core.folder / "o2"),
        user=pwd.getpwuid(os.geteuid()).pw_name,
    )


# --- all is well -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with make_core(tmp_path_factory.mktemp("readout-dataflow")) as running:
        yield running


def test_two_runs_from_the_readout_to_the_sender(core: RunningCore) -> None:
    environment = create(core)
    assert environment.state == "CONFIGURED"
    assert environment.numberOfHosts == 2
    assert role_paths(core, environment.id) == [
        f"readout-dataflow.host-{host}.{name}" for host in HOSTS for name in (*CHAIN, *HOOKS)
    ]
    for host in HOSTS:
        core.find_process("readout.py", f"{READOUT_CONFIGURATION}{host}")
    sockets = bound_sockets(core)
    assert len(sockets) == 4, "readout and builder of each host bind one each"
    runs = [take_run(core, environment.id) for _ in range(2)]
    assert runs[0] < runs[1]
    check_accounts(core, environment.id, runs)

    core.destroy(environment.id)
    assert list(core.environments()) == []
    assert tasks_left(core) == []
    assert not sockets & set(unix_sockets().values())
    record = core.record(environment.id)
    assert (record.state, record.HasField("cause")) == ("DONE", False)
    assert list(record.run_numbers) == runs
    check_hooks(core, list(record.warnings))


def take_run(core: RunningCore, environment_id: str) -> int:
    started = core.control(environment_id, "START_ACTIVITY")
    assert started.state == "RUNNING"
    time.sleep(0.5)
    stopped = core.control(environment_id, "STOP_ACTIVITY")
    assert stopped.state == "CONFIGURED"
    return int(started.currentRunNumber)


def check_accounts(core: RunningCore, environment_id: str, runs: Sequence[int]) -> None:
    """On each host all three tasks of the chain have seen the same blocks in each run, and no host
    the blocks of another."""
    digests = set()
    for host in HOSTS:
        seen = []
        for name in CHAIN:
            task = core.task(environment_id, f"readout-dataflow.host-{host}.{name}")
            assert task.deploymentInfo.hostname == host
            lines = [REPORT.fullmatch(line) for line in core.task_log(task.taskId)]
            seen.append([match.groups() for match in lines if match])
        assert seen[0] == seen[1] == seen[2], seen
        assert [(int(run), source) for run, source, _, _ in seen[0]] == [(r, host) for r in runs]
        for _, _, blocks, sha256 in seen[0]:
            assert int(blocks) > 0
            digests.add(sha256)
    assert len(digests) == len(HOSTS) * len(runs)


def check_hooks(core: RunningCore, warnings: Sequence[str]) -> None:
    """On each host the hooks before the deployment and at the end were run. What they look for is
    not here, which is a warning in the history and in the log."""
    missing = ("exit code 1", "/etc/profile.d/o2.sh: No such file or directory")
    for host in HOSTS:
        # The workflow wants root for the first of them; the caller's `user` wins over that.
        for moment, hook in (("before_DEPLOY", HOOKS[0]), ("DESTROY", HOOKS[1])):
            parts = (
                f"hook at {moment} failed, not critical",
                f"readout-dataflow.host-{host}.{hook} (host {host}, ",
                *missing,
            )
            matching = [text for text in warnings if all(part in text for part in parts)]
            assert len(matching) == 1, (parts, warnings)
            assert matching[0] in core.log()


def role_paths(core: RunningCore, environment_id: str) -> list[str]:
    """The paths of all leaves: tasks, and calls if there were any."""
    request = o2control_pb2.GetRolesRequest(envId=environment_id, pathSpec="readout-dataflow")
    roles = list(core.control_stub.GetRoles(request, deadline_s=CALL_DEADLINE_S).roles)
    paths = []
    while roles:
        role = roles.pop(0)
        roles = [*role.roles, *roles]
        if not role.roles:
            paths.append(role.fullPath)
    return paths


def tasks_left(core: RunningCore) -> list[str]:
    """The processes that are neither the core nor its executors and their launchers."""
    ours = ("twistd", "aliecs.executor.main", "aliecs/executor/launcher.py")
    return [text for _, text in core.processes() if not any(part in text for part in ours)]


def bound_sockets(core: RunningCore) -> set[str]:
    """The abstract sockets on which the tasks' channels listen."""
    names = unix_sockets()
    found = set()
    for pid, _ in core.processes():
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            name = names.get(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
            if name is not None and name.startswith("@o2ipc-"):
                found.add(name)
    return found


def unix_sockets() -> dict[str, str]:
    """The names of all Unix sockets of this machine, by inode."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return {row[6]: row[7] for row in rows if len(row) > 7}


# --- a device that does not do as it is told ---------------------------------------------------


@pytest.fixture(scope="module")
def failing_core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    """One whose StfBuilders do not get past BIND, and whose hosts clean their shared memory."""
    folder = tmp_path_factory.mktemp("readout-dataflow-failing")
    cleaner = folder / "shm cleaner"
    cleaner.write_text(CLEANER)
    cleaner.chmod(0o755)
    cleaned = folder / "cleaned"
    cleaned.mkdir()
    settings = {"shmCleaner": [str(cleaner), str(cleaned)]}
    with make_core(folder, "StfBuilder:stick:BIND", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def failure(failing_core: RunningCore) -> RpcError:
    with pytest.raises(RpcError) as caught:
        create(failing_core)
    return caught.value


@pytest.fixture
def record(failing_core: RunningCore, failure: RpcError) -> Any:
    (detail,) = failure.details
    info = o2control_pb2.EnvironmentInfo()
    assert detail.Unpack(info)
    return failing_core.record(info.id)


def test_a_builder_stuck_in_bind_fails_configure(failure: RpcError, record: Any) -> None:
    assert record.state == "ERROR"
    cause = record.cause
    assert cause.host in HOSTS
    assert cause.role == f"readout-dataflow.host-{cause.host}.data-distribution.stfb"
    told = f"CONFIGURE: task {cause.role} on host {cause.host} ({cause.task_id}): BIND led"
    for text in (cause.line, failure.message):
        assert told in text
        assert "to INITIALIZED instead of BOUND" in text


def test_the_stuck_builder_was_reset(failing_core: RunningCore, record: Any) -> None:
    folder = failing_core.working_dir / "local/hosts" / record.cause.host / "tasks"
    lines = (folder / record.cause.task_id / "stdout").read_text().splitlines()
    assert [line for line in lines if line.startswith("state ")][:5] == [
        "state INITIALIZING DEVICE",
        "state INITIALIZED",
        "state INITIALIZED",
        "state RESETTING DEVICE",
        "state IDLE",
    ]


def test_each_host_cleaned_its_shared_memory(failing_core: RunningCore, record: Any) -> None:
    for host in HOSTS:
        said = (failing_core.folder / "cleaned" / host).read_text()
        assert said == f"{host} {record.id}\n"
    (warning,) = [text for text in record.warnings if "shared memory" in text]
    for part in ("flp002", "exit code 1", "segments in use on flp002"):
        assert part in warning


def test_nothing_is_left_of_a_failed_creation(failing_core: RunningCore, failure: RpcError) -> None:
    assert list(failing_core.environments()) == []
    assert list(failing_core.tasks()) == []
    assert tasks_left(failing_core) == []
