"""Tasks without an environment: kept, taken again, and ended when they are in the way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aliecs.protocol.protos import o2control_pb2
from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE, SHELL, workflow

pytestmark = pytest.mark.end_to_end

IDLE_TTL_S = 1
ON_ONE = "    constraints: [{attribute: machine_id, value: one}]\n"
FILES = {
    **BASE,
    # As much of a host as two of them cannot have.
    "tasks/big-puppet.yaml": BASE["tasks/easy-puppet.yaml"]
    .replace("name: easy-puppet", "name: big-puppet")
    .replace("cpu: 0.1", "cpu: 0.6"),
    "tasks/big-shell.yaml": SHELL.replace("name: shell", "name: big-shell").replace(
        "cpu: 0.1", "cpu: 0.6"
    ),
    **workflow("puppet", f"  - name: only\n    task: {{load: big-puppet}}\n{ON_ONE}"),
    **workflow("command", "  - name: only\n    vars: {script: sleep 1000}\n"
               f"    task: {{load: big-shell}}\n{ON_ONE}"),
}  # fmt: skip


def idle_tasks(core: RunningCore) -> Sequence[str]:
    return [task.taskId for task in core.tasks() if not task.locked]


def clean_up(core: RunningCore, *ids: str) -> Sequence[str]:
    """CleanupTasks; gives what it says to have ended."""
    request = o2control_pb2.CleanupTasksRequest(taskIds=ids)
    reply = core.control_stub.CleanupTasks(request, deadline_s=30)
    return [task.taskId for task in reply.killedTasks]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    folder = tmp_path_factory.mktemp("idle")
    hosts = [{"name": "one", "cpus": 1}, "two"]
    settings = {"reuseUnlockedTasks": True}
    with RunningCore(folder, hosts=hosts, settings=settings, workflows=FILES) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(core: RunningCore) -> Iterator[None]:
    yield
    for environment in core.environments():
        core.destroy(environment.id, force=True)
    clean_up(core)
    assert core.tasks() == []


def test_kept_tasks_are_idle_until_they_are_ended(core: RunningCore) -> None:
    environment_id = core.create(core.template("pair")).id
    pids = {core.pid(environment_id, path) for path in ("pair.needed", "pair.other")}
    ids = {task.taskId for task in core.tasks()}
    other_id = core.create(core.template("pair")).id
    core.destroy(environment_id, keepTasks=True)
    assert set(idle_tasks(core)) == ids
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    assert [environment.id for environment in core.environments()] == [other_id]
    # One by name, then all; what serves an environment is left alone.
    locked = core.task(other_id, "pair.needed").taskId
    one = sorted(ids)[0]
    assert clean_up(core, one, locked) == [one]
    assert set(clean_up(core)) == ids - {one}
    assert len(core.tasks()) == 4
    assert core.environment(other_id).state == "CONFIGURED"
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_tasks_are_taken_again(core: RunningCore) -> None:
    environment_id = core.create(core.template("pair")).id
    before = {path: core.pid(environment_id, path) for path in ("pair.needed", "pair.other")}
    core.destroy(environment_id, keepTasks=True)
    environment_id = core.create(core.template("pair")).id
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    after = {path: core.pid(environment_id, path) for path in before}
    assert after == before
    core.destroy(environment_id, allowInRunningState=True)
    assert not any(Path(f"/proc/{pid}").exists() for pid in after.values())


def test_tasks_that_were_started_otherwise_are_not_taken(core: RunningCore) -> None:
    environment_id = core.create(core.template("pair")).id
    before = core.pid(environment_id, "pair.needed")
    core.destroy(environment_id, keepTasks=True)
    environment_id = core.create(core.template("pair"), options="--colour=red").id
    after = core.pid(environment_id, "pair.needed")
    assert after != before
    assert "--colour=red" in Path(f"/proc/{after}/cmdline").read_text()


def test_a_hook_does_what_it_is_told_and_not_what_one_before_it_was(core: RunningCore) -> None:
    environment_id = core.create(core.template("pair"), needed_hook="echo the first").id
    core.destroy(environment_id, keepTasks=True)
    environment_id = core.create(core.template("pair"), needed_hook="echo the second").id
    core.control(environment_id, "START_ACTIVITY")
    hook = core.task(environment_id, "pair.needed-hook")
    assert core.task_log(hook.taskId) == ["the second"]


def test_idle_tasks_make_room(core: RunningCore) -> None:
    environment_id = core.create(core.template("puppet")).id
    pid = core.pid(environment_id, "puppet.only")
    core.destroy(environment_id, keepTasks=True)
    began = time.monotonic()
    made = core.create(core.template("command"))
    assert made.state == "CONFIGURED"
    assert time.monotonic() - began < 5
    assert not Path(f"/proc/{pid}").exists()


def test_idle_tasks_do_not_stay_for_ever(tmp_path: Path) -> None:
    settings = {"idleTaskTtl": f"{IDLE_TTL_S}s"}
    with RunningCore(tmp_path, hosts=["one", "two"], settings=settings, workflows=BASE) as core:
        kept = core.create(core.template("pair")).id
        core.destroy(core.create(core.template("pair")).id, keepTasks=True)
        assert len(idle_tasks(core)) == 4
        core.wait_until(lambda: not idle_tasks(core), IDLE_TTL_S + 15, "they have ended")
        assert core.environment(kept).numberOfActiveTasks == 4
