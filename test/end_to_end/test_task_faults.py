"""Tasks misbehave: they die, hang, are slow or deaf, leak, flood, and do not want to end.

What the tests show stands in docs/faults.md. Real tasks under real executors on the agents of a
stand-in cluster; all share one core, each has an environment of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aliecs.txgrpc.status import RpcError
from test.end_to_end.mesos import MesosCore
from test.end_to_end.test_faults import failed_environment
from test.end_to_end.workflows import BASE

pytestmark = pytest.mark.end_to_end

NEEDED, OTHER = "duo.needed", "duo.other"
LIMIT_S = 3
"""How long a transition may take here; 90 s, and 120 s for CONFIGURE, by default."""
DEADLINE_S = 25
LATE = f"timed out: no answer within {LIMIT_S} s"
TRANSITIONS = ["configure", "start", "stop"]
MB = 1024 * 1024
ESTABLISHED, LISTENING = "01", "0A"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MesosCore]:
    folder = tmp_path_factory.mktemp("task-faults")
    settings = {
        "transitionTimeout": f"{LIMIT_S}s",
        "configureTimeout": f"{LIMIT_S}s",
        "taskLogStreamMb": 1,
    }
    with MesosCore(folder, settings=settings, workflows=BASE) as running:
        yield running
    assert "Traceback" not in running.log()


@pytest.fixture
def core(shared: MesosCore) -> Iterator[MesosCore]:
    """The core; after the test nothing may be left of it, but the executors that were there."""
    yield shared
    for environment in shared.environments():
        shared.destroy(environment.id, force=True)
    assert not shared.tasks()
    assert not [text for _, text in shared.processes() if "puppet.py" in text or "sleep" in text]
    assert len([text for _, text in shared.processes() if "executor.main" in text]) == 2


def create(core: MesosCore, **variables: str) -> str:
    environment = core.create(core.template("duo"), **variables)
    assert environment.state == "CONFIGURED"
    return str(environment.id)


def start(core: MesosCore, **variables: str) -> str:
    """A RUNNING environment."""
    environment_id = create(core, **variables)
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    return environment_id


def check_failed(core: MesosCore, environment_id: str, *parts: str) -> None:
    """The environment is in ERROR, its run has ended, and its cause is one line with these parts;
    what has not failed has stopped."""
    seen = core.reaches(environment_id, "ERROR", DEADLINE_S)
    assert seen.currentRunNumber == 0
    line = core.record(environment_id).cause.line
    assert "\n" not in line
    for part in (NEEDED, "host one", *parts):
        assert part in line, line


def check_goes_on(core: MesosCore, environment_id: str, run: int, *parts: str) -> None:
    """A task that is not critical has failed: there is a warning with these parts, and the same
    run goes on."""

    def told() -> bool:
        warnings = core.record(environment_id).warnings
        return any(all(part in text for part in (OTHER, "host two", *parts)) for text in warnings)

    core.wait_until(told, DEADLINE_S, f"a warning with {parts}")
    seen = core.environment(environment_id)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    assert not core.record(environment_id).HasField("cause")


def stop(core: MesosCore, environment_id: str) -> None:
    assert core.control(environment_id, "STOP_ACTIVITY").state == "CONFIGURED"


# --- killed --------------------------------------------------------------------------------------


def test_a_critical_task_is_killed(core: MesosCore) -> None:
    environment_id = start(core)
    needed, other = core.pids(environment_id, NEEDED, OTHER)
    os.kill(needed, signal.SIGKILL)
    check_failed(core, environment_id, "killed by SIGKILL")
    assert core.pid(environment_id, OTHER) == other
    core.recover(environment_id)
    assert core.environment(environment_id).state == "DEPLOYED"
    assert core.pid(environment_id, OTHER) == other
    core.destroy(environment_id)


def test_a_task_that_is_not_critical_is_killed(core: MesosCore) -> None:
    environment_id = start(core)
    run = core.environment(environment_id).currentRunNumber
    needed, other = core.pids(environment_id, NEEDED, OTHER)
    os.kill(other, signal.SIGKILL)
    check_goes_on(core, environment_id, run, "not critical", "killed by SIGKILL")
    stop(core, environment_id)
    assert core.pid(environment_id, NEEDED) == needed
    core.destroy(environment_id)


# --- stopped -------------------------------------------------------------------------------------


def test_a_critical_task_is_stopped_and_a_transition_needs_it(core: MesosCore) -> None:
    environment_id = start(core)
    needed, other = core.pids(environment_id, NEEDED, OTHER)
    os.kill(needed, signal.SIGSTOP)
    assert core.environment(environment_id).state == "RUNNING"
    assert core.control(environment_id, "STOP_ACTIVITY").state == "ERROR"
    check_failed(core, environment_id, "STOP", LATE, "its executor answers")
    assert core.pids(environment_id, NEEDED, OTHER) == [needed, other]
    # Its end does not wait for SIGKILL: it hears SIGTERM when it goes on.
    core.destroy(environment_id)
    assert core.has_left(needed)


def test_a_task_that_is_not_critical_is_stopped_and_a_transition_passes_it_over(
    core: MesosCore,
) -> None:
    environment_id = start(core)
    other = core.pid(environment_id, OTHER)
    os.kill(other, signal.SIGSTOP)
    stop(core, environment_id)
    (warning,) = core.record(environment_id).warnings
    for part in ("STOP failed, not critical", OTHER, "host two", LATE):
        assert part in warning
    # Once it goes on, it stops or not: the order was taken back meanwhile. It takes part again.
    os.kill(other, signal.SIGCONT)
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    assert core.task(environment_id, OTHER).state == "RUNNING"
    stop(core, environment_id)
    assert core.task(environment_id, OTHER).state == "CONFIGURED"
    assert core.pid(environment_id, OTHER) == other
    core.destroy(environment_id)


def test_a_task_is_stopped_for_a_moment_during_a_transition(core: MesosCore) -> None:
    environment_id = create(core, start_s="0.5")
    needed = core.task(environment_id, NEEDED)
    starting = core.later(core.control, environment_id, "START_ACTIVITY")
    core.wait_until(lambda: "start" in core.task_log(needed.taskId), DEADLINE_S, "it starts")
    os.kill(int(needed.pid), signal.SIGSTOP)
    core.under_way(environment_id, "START_ACTIVITY")
    os.kill(int(needed.pid), signal.SIGCONT)
    assert starting.result(DEADLINE_S).state == "RUNNING"
    assert core.task_log(needed.taskId) == ["configure", "start"]
    stop(core, environment_id)
    core.destroy(environment_id)


# --- slow ----------------------------------------------------------------------------------------


def test_a_task_is_slow_but_in_time(core: MesosCore) -> None:
    environment_id = start(core, configure_s="0.7", start_s="0.7")
    assert core.task_log(core.task(environment_id, NEEDED).taskId) == ["configure", "start"]
    assert not core.record(environment_id).warnings
    stop(core, environment_id)
    core.destroy(environment_id)


def test_a_critical_task_is_too_slow(core: MesosCore) -> None:
    with pytest.raises(RpcError) as problem:
        core.create(core.template("duo"), configure_s="5")
    for part in (NEEDED, "host one", "CONFIGURE", LATE, "its executor answers"):
        assert part in problem.value.message
    record = core.record(failed_environment(problem.value))
    assert record.state == "ERROR"
    assert NEEDED in record.cause.line


def test_a_task_that_is_not_critical_is_too_slow(core: MesosCore) -> None:
    environment_id = start(core, other_start_s="4")
    run = core.environment(environment_id).currentRunNumber
    check_goes_on(core, environment_id, run, "START failed, not critical", LATE)
    other = core.task(environment_id, OTHER)
    # Where it has come to in the end is told.
    core.wait_until(
        lambda: core.task(environment_id, OTHER).state == "RUNNING", DEADLINE_S, "it runs at last"
    )
    stop(core, environment_id)
    assert core.task_log(other.taskId) == TRANSITIONS
    assert core.task(environment_id, OTHER).state == "CONFIGURED"
    core.destroy(environment_id)


# --- deaf ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["--mute", "--deaf"])
def test_a_critical_task_never_answers(core: MesosCore, how: str) -> None:
    with pytest.raises(RpcError) as problem:
        core.create(core.template("duo"), needed_options=how, deploy_timeout="2s")
    line = core.record(failed_environment(problem.value)).cause.line
    for part in ("DEPLOY", NEEDED, "host one", "nothing in STANDBY answers on its control port"):
        assert part in line
        assert part in problem.value.message


def test_a_task_that_is_not_critical_never_answers(core: MesosCore) -> None:
    environment_id = start(core, other_options="--mute")
    run = core.environment(environment_id).currentRunNumber
    check_goes_on(
        core, environment_id, run, "not critical", "is not up yet",
        "nothing in STANDBY answers on its control port",
    )  # fmt: skip
    stop(core, environment_id)
    core.destroy(environment_id)


def test_a_critical_task_hangs_up(core: MesosCore) -> None:
    environment_id = create(core, on_start="hang_up")
    needed, other = core.pids(environment_id, NEEDED, OTHER)
    assert sockets(needed)
    assert sockets(other)
    run = core.control(environment_id, "START_ACTIVITY").currentRunNumber
    core.wait_until(lambda: not sockets(needed), DEADLINE_S, "it has hung up")
    core.wait_until(lambda: not sockets(other), DEADLINE_S, "the other one has hung up")
    seen = core.environment(environment_id)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    assert core.control(environment_id, "STOP_ACTIVITY").state == "ERROR"
    check_failed(core, environment_id, "STOP", "UNAVAILABLE")
    core.destroy(environment_id)
    assert core.has_left(needed)
    assert core.has_left(other)


def sockets(pid: int) -> int:
    """How many TCP sockets a process has on which it listens, or talks to somebody."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        inodes.add(entry.readlink().name.removeprefix("socket:[").rstrip("]"))
    count = 0
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            count += words[3] in (ESTABLISHED, LISTENING) and words[9] in inodes
    return count


# --- leaking and flooding ------------------------------------------------------------------------


def resident(pid: int) -> int:
    """The memory of a process, in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_task_leaks_memory_and_descriptors(core: MesosCore) -> None:
    environment_id = create(core, needed_on_start="leak", host="two")
    executor = core.executor("two")
    memory, descriptors = resident(executor), len(list(Path(f"/proc/{executor}/fd").iterdir()))
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    needed = core.task(environment_id, NEEDED)
    assert "leaked" in core.task_log(needed.taskId)
    assert resident(int(needed.pid)) > 200 * MB
    assert resident(executor) < memory + 20 * MB
    assert len(list(Path(f"/proc/{executor}/fd").iterdir())) <= descriptors + 10
    stop(core, environment_id)
    # The kernel, or a memory limit of Mesos, ends such a task: what is read is SIGKILL.
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    os.kill(int(needed.pid), signal.SIGKILL)
    core.reaches(environment_id, "ERROR", DEADLINE_S)
    cause = core.record(environment_id).cause
    assert (cause.role, cause.exit) == (NEEDED, "killed by SIGKILL")
    core.destroy(environment_id)


def test_a_task_floods_its_log(core: MesosCore) -> None:
    environment_id = start(core, needed_on_start="flood", host="two")
    executor, folder = core.executor("two"), core.logs(environment_id, NEEDED)
    memory = resident(executor)
    sizes = [folder_size(folder)]

    def turned_over() -> bool:
        sizes.append(folder_size(folder))
        return (folder / "stdout.older").exists() or len(list(folder.iterdir())) > 2

    core.wait_until(turned_over, DEADLINE_S, "the log was turned over")
    for _ in range(3):
        stop(core, environment_id)
        sizes.append(folder_size(folder))
        assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
        assert core.task_log(core.task(environment_id, NEEDED).taskId)[-2].startswith("a line of")
    sizes.append(folder_size(folder))
    assert max(sizes) <= 3 * MB
    assert resident(executor) < memory + 40 * MB
    assert core.task_log(core.task(environment_id, OTHER).taskId)[-1] == "start"
    stop(core, environment_id)
    core.destroy(environment_id)
    assert not [text for _, text in core.processes() if "flood" in text]


def folder_size(folder: Path) -> int:
    size = 0
    for path in folder.iterdir():
        try:
            size += path.stat().st_size
        except FileNotFoundError:
            continue
    return size


# --- what does not want to end -------------------------------------------------------------------


def test_a_task_ignores_all_signals_but_one(core: MesosCore) -> None:
    environment_id = start(core, needed_options="--stubborn")
    needed = core.pid(environment_id, NEEDED)
    core.destroy(environment_id, allowInRunningState=True)
    assert core.has_left(needed)


@pytest.mark.parametrize("how", ["it ends", "it is killed"])
def test_a_task_has_children_of_its_own(core: MesosCore, how: str) -> None:
    environment_id = start(core, needed_on_start="children")

    def children() -> int:
        return sum("sleep 7654" in text for _, text in core.processes())

    core.wait_until(lambda: children() == 2, DEADLINE_S, "both are there")
    if how == "it is killed":
        os.kill(core.pid(environment_id, NEEDED), signal.SIGKILL)
        check_failed(core, environment_id, "killed by SIGKILL")
    core.destroy(environment_id, allowInRunningState=True)
    core.wait_until(lambda: not children(), DEADLINE_S, "none is left")
