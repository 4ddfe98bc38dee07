"""What dies while it is needed: tasks, hooks, executors, the launcher. And what an operator reads.

Every test has an environment of its own in one core; what it breaks must not be left broken.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE, workflow

pytestmark = pytest.mark.end_to_end

AT_ONCE_S = 1.0
"""Within this an environment is in ERROR after a critical task has died."""
SLOW = workflow(
    "slow",
    "  - name: needed\n    task: {load: puppet}\n"
    "  - name: slow\n    vars: {stop_s: '2'}\n    task: {load: puppet}\n",
)
SCRIPTS = workflow(
    "scripts",
    "  - name: script\n    constraints: [{attribute: machine_id, value: one}]\n"
    "    task: {load: shell}\n",
)
NEEDED, OTHER = "pair.needed", "pair.other"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    folder = tmp_path_factory.mktemp("faults")
    with RunningCore(
        folder, hosts=["one", "two"], workflows={**BASE, **SLOW, **SCRIPTS}
    ) as running:
        yield running


@pytest.fixture
def running(core: RunningCore) -> Iterator[str]:
    """The id of a RUNNING environment of `pair`."""
    environment_id = core.create(core.template("pair")).id
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    yield environment_id
    core.destroy(environment_id, force=True)


def check_told(core: RunningCore, environment_id: str, path: str, host: str, how: str) -> None:
    """The cause names task, role, host and exit in its one line, and in its fields."""
    cause = core.record(environment_id).cause
    assert "\n" not in cause.line
    for part in (path, host, how, cause.task_id):
        assert part and part in cause.line, cause
    assert (cause.role, cause.host, cause.exit) == (path, host, how)
    assert cause.task_id == cause.task_name.rpartition("#")[2]


def test_a_critical_task_of_a_run_is_killed(core: RunningCore, running: str) -> None:
    other = core.pid(running, OTHER)
    os.kill(core.pid(running, NEEDED), signal.SIGKILL)
    began = time.monotonic()
    core.reaches(running, "ERROR", 10)
    assert time.monotonic() - began < AT_ONCE_S
    check_told(core, running, NEEDED, "one", "killed by SIGKILL")
    seen = core.environment(running)
    assert seen.currentRunNumber == 0
    assert (seen.numberOfActiveTasks, seen.numberOfInactiveTasks) == (3, 1)
    # What still lives has stopped.
    assert (core.pid(running, OTHER), core.task(running, OTHER).state) == (other, "CONFIGURED")
    assert core.record(running).transitions[-1].event == "GO_ERROR"


def test_a_critical_task_of_a_run_ends_as_if_all_were_well(core: RunningCore, running: str) -> None:
    os.kill(core.pid(running, NEEDED), signal.SIGHUP)
    core.reaches(running, "ERROR", AT_ONCE_S)
    check_told(core, running, NEEDED, "one", "exit code 0")


def test_a_task_that_is_not_critical_is_killed(core: RunningCore, running: str) -> None:
    run = core.environment(running).currentRunNumber
    task_id = core.task(running, OTHER).taskId
    os.kill(core.pid(running, OTHER), signal.SIGKILL)
    core.wait_until(lambda: core.record(running).warnings, 5, "a warning is kept")
    (warning,) = core.record(running).warnings
    for part in (OTHER, "two", task_id, "not critical", "killed by SIGKILL"):
        assert part in warning
    time.sleep(0.5)
    seen = core.environment(running)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    assert not core.record(running).HasField("cause")
    assert core.control(running, "STOP_ACTIVITY").state == "CONFIGURED"
    assert core.control(running, "START_ACTIVITY").currentRunNumber > run


@pytest.mark.parametrize("role", ["needed-hook", "other-hook"])
def test_the_process_of_a_hook_is_killed(core: RunningCore, role: str) -> None:
    mark = f"sleep 19.{os.getpid()}"
    variable = role.replace("-", "_")
    environment_id = core.create(core.template("pair"), **{variable: f"exec {mark}"}).id
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(core.control, environment_id, "START_ACTIVITY")
        hook = core.wait_until(lambda: pids_of(core, mark), 10, "the hook runs")[0]
        os.kill(hook, signal.SIGKILL)
        reply = starting.result(10)
    record = core.record(environment_id)
    if role == "needed-hook":
        assert reply.state == "ERROR"
        check_told(core, environment_id, "pair.needed-hook", "two", "killed by SIGKILL")
        assert "before_START_ACTIVITY" in record.transitions[-2].error
        assert record.transitions[-2].to_state == "RUNNING"
    else:
        assert reply.state == "RUNNING"
        (warning,) = record.warnings
        for part in ("pair.other-hook", "host two", "not critical", "killed by SIGKILL"):
            assert part in warning
    core.destroy(environment_id, force=True)


def pids_of(core: RunningCore, text: str) -> list[int]:
    return [pid for pid, command in core.processes() if text in command]


def test_a_task_is_killed_while_configure_waits_for_it(core: RunningCore) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(core.create, core.template("pair"), configure_s="30")

        def configuring() -> int:
            for seen in core.environments():
                if seen.currentTransition == "CONFIGURE":
                    return core.pid(seen.id, NEEDED)
            return 0

        os.kill(core.wait_until(configuring, 15, "CONFIGURE is under way"), signal.SIGKILL)
        with pytest.raises(RpcError) as problem:
            creating.result(20)
    assert time.monotonic() - began < 20
    assert problem.value.status == "ABORTED"
    failed = failed_environment(problem.value)
    check_told(core, failed, NEEDED, "one", "killed by SIGKILL")
    assert NEEDED in problem.value.message
    assert "CONFIGURE" in core.record(failed).cause.line
    assert core.record(failed).state == "ERROR"


def failed_environment(problem: RpcError) -> str:
    """The id of the environment that a creation has failed with."""
    (detail,) = problem.details
    info = o2control_pb2.EnvironmentInfo()
    assert detail.Unpack(info)
    assert info.state == "ERROR"
    return str(info.id)


def test_an_executor_is_killed(core: RunningCore, running: str) -> None:
    executor = core.find_process("aliecs.executor.main --socket", "--host=one")
    needed = core.pid(running, NEEDED)
    os.kill(executor, signal.SIGKILL)
    core.reaches(running, "ERROR", AT_ONCE_S)
    cause = core.record(running).cause
    for part in (NEEDED, "host one", "executor", "ended", str(executor)):
        assert part in cause.line
    core.wait_until(lambda: not Path(f"/proc/{needed}").exists(), 5, "its task has died with it")
    core.wait_until(
        lambda: [pid for pid, text in core.processes() if "--host=one" in text], 10, "another one"
    )
    # Whoever comes next finds a host.
    environment_id = core.create(core.template("pair")).id
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    core.destroy(environment_id, force=True)


def test_the_launcher_is_killed(core: RunningCore, running: str) -> None:
    executor = core.find_process("aliecs.executor.main --socket", "--host=one")
    needed = core.pid(running, NEEDED)
    (launcher,) = children(executor)
    os.kill(launcher, signal.SIGKILL)
    core.reaches(running, "ERROR", AT_ONCE_S)
    cause = core.record(running).cause
    for part in (NEEDED, "host one", "launcher", "killed by SIGKILL"):
        assert part in cause.line
    core.wait_until(lambda: not Path(f"/proc/{needed}").exists(), 5, "its task has died with it")
    core.wait_until(lambda: children(executor), 10, "another launcher")
    environment_id = core.create(core.template("pair")).id
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    core.destroy(environment_id, force=True)


def test_an_executor_and_its_launcher_are_killed_at_once(core: RunningCore) -> None:
    """Nobody is left there to end what a task has started itself, in a session of its own."""
    script = "setsid sleep 4321 & sleep 4322"
    environment_id = core.create(core.template("scripts"), script=script).id
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    sleeps = {"sleep 4321", "sleep 4322"}
    core.wait_until(lambda: sleeps <= {text for _, text in core.processes()}, 5, "both sleep")
    executor = core.find_process("aliecs.executor.main --socket", "--host=one")
    (launcher,) = children(executor)
    os.kill(executor, signal.SIGSTOP)
    os.kill(launcher, signal.SIGKILL)
    os.kill(executor, signal.SIGKILL)
    core.reaches(environment_id, "ERROR", AT_ONCE_S)
    core.wait_until(
        lambda: sleeps.isdisjoint(text for _, text in core.processes()),
        5,
        "what the task started has ended",
    )
    core.destroy(environment_id, force=True)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += [int(text) for text in (thread / "children").read_text().split()]
    return found


# --- RECOVER -------------------------------------------------------------------------------------


def test_recover_launches_what_is_dead_and_keeps_what_lives(
    core: RunningCore, running: str
) -> None:
    other = core.pid(running, OTHER)
    os.kill(core.pid(running, NEEDED), signal.SIGKILL)
    core.reaches(running, "ERROR", 10)
    core.recover(running)
    seen = core.environment(running)
    assert (seen.state, seen.numberOfInactiveTasks) == ("DEPLOYED", 0)
    assert core.pid(running, OTHER) == other
    for event, state in (("CONFIGURE", "CONFIGURED"), ("START_ACTIVITY", "RUNNING")):
        assert core.control(running, event).state == state
    # What failed before is history: the next failure is told as well.
    assert not core.record(running).HasField("cause")
    assert any("killed by SIGKILL" in warning for warning in core.record(running).warnings)
    os.kill(core.pid(running, NEEDED), signal.SIGHUP)
    core.reaches(running, "ERROR", 10)
    check_told(core, running, NEEDED, "one", "exit code 0")


def test_error_does_not_wait_for_slow_tasks_and_recover_does(core: RunningCore) -> None:
    environment_id = core.create(core.template("slow")).id
    core.control(environment_id, "START_ACTIVITY")
    slow = core.pid(environment_id, "slow.slow")
    os.kill(core.pid(environment_id, "slow.needed"), signal.SIGKILL)
    core.reaches(environment_id, "ERROR", AT_ONCE_S)
    assert core.task(environment_id, "slow.slow").state == "RUNNING"
    core.recover(environment_id)
    assert core.environment(environment_id).state == "DEPLOYED"
    assert core.pid(environment_id, "slow.slow") == slow
    assert core.control(environment_id, "CONFIGURE").state == "CONFIGURED"
    core.destroy(environment_id)


def test_recover_is_for_environments_in_error(core: RunningCore, running: str) -> None:
    with pytest.raises(RpcError) as problem:
        core.recover(running)
    assert problem.value.status == "FAILED_PRECONDITION"
    assert "RECOVER inappropriate in current state RUNNING" in problem.value.message
    assert core.environment(running).state == "RUNNING"
