"""The main job, from end to end: an environment of the built-in workflow, and runs in it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
REPORT = re.compile(r"run=(\d+) source=(\S+) blocks=(\d+) sha256=([0-9a-f]{64})")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("core")) as running:
        yield running


def test_two_runs_move_every_block(core: RunningCore) -> None:
    environment = core.create(DEMO)
    assert environment.state == "CONFIGURED"
    assert environment.numberOfHosts == 3
    runs = []
    for _ in range(2):
        started = core.control(environment.id, "START_ACTIVITY")
        assert (started.state, started.currentRunNumber > 0) == ("RUNNING", True)
        runs.append(started.currentRunNumber)
        time.sleep(0.5)
        stopped = core.control(environment.id, "STOP_ACTIVITY")
        assert (stopped.state, stopped.currentRunNumber) == ("CONFIGURED", 0)
    assert runs[1] > runs[0]
    for run in runs:
        accounts = accounts_of(core, run)
        assert set(accounts) == {"demo.flp-flp001.readout", "demo.flp-flp002.readout"}
        for source, seen in accounts.items():
            assert len(seen) == 3, f"{source}: {seen}"
            assert len(set(seen)) == 1, f"{source}: {seen}"
            assert seen[0][0] > 0
    core.destroy(environment.id)
    assert core.environments() == []
    assert core.tasks() == []
    record = core.record(environment.id)
    assert record.state == "DONE"
    assert list(record.run_numbers) == runs


def accounts_of(core: RunningCore, run: int) -> dict[str, list[tuple[int, str]]]:
    """For each source what readout, builder and sender say of a run."""
    accounts: dict[str, list[tuple[int, str]]] = {}
    for task in core.tasks():
        if not any(name in task.className for name in ("readout", "builder", "sender")):
            continue
        for line in core.task_log(task.taskId):
            match = REPORT.fullmatch(line)
            if match and int(match[1]) == run and match[2] != "*":
                accounts.setdefault(match[2], []).append((int(match[3]), match[4]))
    return accounts


def test_hooks_and_calls_leave_their_traces(core: RunningCore) -> None:
    environment = core.create(DEMO)
    core.control(environment.id, "START_ACTIVITY")
    seen = core.environment(environment.id)
    assert seen.userVars["demo.hooks.test-call_called"] == "true"
    greeting = core.task(environment.id, "demo.hooks.run-has-begun")
    assert core.task_log(greeting.taskId) == ["the run has begun"]
    hook = core.task(environment.id, "demo.flp-flp001.before-configure")
    assert core.task_log(hook.taskId) == ["flp001 is about to be configured"]
    core.control(environment.id, "STOP_ACTIVITY")
    core.destroy(environment.id)


def test_a_client_that_hangs_up_ends_nothing_but_its_waiting(core: RunningCore) -> None:
    before = {environment.id for environment in core.environments()}
    with pytest.raises(RpcError) as problem:
        core.create(DEMO, deadline_s=0.3)
    assert problem.value.status == "DEADLINE_EXCEEDED"

    def configured() -> str:
        new = [e for e in core.environments() if e.id not in before]
        return new[0].id if new and new[0].state == "CONFIGURED" else ""

    environment_id = core.wait_until(configured, 20, "the environment is CONFIGURED all the same")
    core.destroy(environment_id)
