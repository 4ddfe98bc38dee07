"""Runs that end by themselves: at a time, at the end of the data, for an error of a task."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE, workflow

pytestmark = pytest.mark.end_to_end

# A puppet that starts in no time beside one of its kind that takes its time.
SLOW_START = workflow(
    "slow-start",
    "  - name: quick\n    task: {load: puppet}\n"
    "  - name: slow\n    vars: {start_s: '1'}\n    task: {load: puppet}\n",
)
# A command that comes to its end beside one that does not.
COMMANDS = workflow(
    "commands",
    "  - name: short\n    vars: {script: 'sleep 0.5; echo the end >&2; exit 3'}\n"
    "    task: {load: shell}\n"
    "  - name: long\n    vars: {script: 'exec sleep 1000'}\n"
    "    task: {load: shell}\n"
    "    enabled: '{{ with_long }}'\n",
    "  with_long: 'false'\n",
)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    folder = tmp_path_factory.mktemp("runs")
    files = {**BASE, **SLOW_START, **COMMANDS}
    hosts = ["one", "two", "flp001", "flp002", "epn001"]
    with RunningCore(folder, hosts=hosts, workflows=files) as running:
        yield running


def ends_by_itself(core: RunningCore, environment_id: str, user: str) -> None:
    """The run has ended in order, and on behalf of whom is told."""
    core.reaches(environment_id, "CONFIGURED", 10)
    last = core.record(environment_id).transitions[-1]
    assert (last.event, last.requested_by, last.error) == ("STOP_ACTIVITY", user, "")
    assert not core.record(environment_id).HasField("cause")


def test_at_its_time(core: RunningCore) -> None:
    environment_id = core.create(
        core.template("pair"), auto_stop_enabled="true", auto_stop_timeout="700ms"
    ).id
    for _ in range(2):
        began = time.monotonic()
        assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
        ends_by_itself(core, environment_id, "TIMER")
        assert time.monotonic() - began > 0.7
    # Somebody was faster: the timer of that run does not end the next one.
    core.control(environment_id, "START_ACTIVITY")
    core.control(environment_id, "STOP_ACTIVITY")
    time.sleep(0.4)
    core.control(environment_id, "START_ACTIVITY")
    time.sleep(0.5)
    assert core.environment(environment_id).state == "RUNNING"
    ends_by_itself(core, environment_id, "TIMER")
    core.destroy(environment_id)


def test_at_the_end_of_the_data_of_all(core: RunningCore) -> None:
    environment_id = core.create(
        "builtin/workflows/demo@main", blocks_per_run="5", block_rate="100"
    ).id
    core.control(environment_id, "START_ACTIVITY")
    ends_by_itself(core, environment_id, "TASK")
    for host in ("flp001", "flp002"):
        readout = core.task(environment_id, f"demo.flp-{host}.readout")
        assert " blocks=5 " in core.task_log(readout.taskId)[-1]
    core.destroy(environment_id)


def test_not_at_the_end_of_the_data_of_one(core: RunningCore) -> None:
    environment_id = core.create(core.template("slow-start")).id
    core.control(environment_id, "START_ACTIVITY")
    os.kill(core.pid(environment_id, "slow-start.quick"), signal.SIGUSR2)
    time.sleep(0.3)
    assert core.environment(environment_id).state == "RUNNING"
    os.kill(core.pid(environment_id, "slow-start.slow"), signal.SIGUSR2)
    ends_by_itself(core, environment_id, "TASK")
    # In the next run it begins anew.
    core.control(environment_id, "START_ACTIVITY")
    os.kill(core.pid(environment_id, "slow-start.slow"), signal.SIGUSR2)
    time.sleep(0.3)
    assert core.environment(environment_id).state == "RUNNING"
    core.destroy(environment_id, allowInRunningState=True)


def test_an_end_of_data_before_all_tasks_run_is_remembered(core: RunningCore) -> None:
    environment_id = core.create(core.template("slow-start"), on_start="end_of_stream").id
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    ends_by_itself(core, environment_id, "TASK")
    core.destroy(environment_id)


def test_at_the_end_of_a_command(core: RunningCore) -> None:
    environment_id = core.create(core.template("commands")).id
    core.control(environment_id, "START_ACTIVITY")
    ends_by_itself(core, environment_id, "TASK")
    (warning,) = core.record(environment_id).warnings
    for part in ("commands.short", "exit code 3", "the end"):
        assert part in warning
    core.destroy(environment_id)


def test_not_while_another_command_runs(core: RunningCore) -> None:
    environment_id = core.create(core.template("commands"), with_long="true").id
    core.control(environment_id, "START_ACTIVITY")
    core.wait_until(lambda: core.record(environment_id).warnings, 5, "the short one has ended")
    time.sleep(0.3)
    assert core.environment(environment_id).state == "RUNNING"
    assert core.control(environment_id, "STOP_ACTIVITY").state == "CONFIGURED"
    core.destroy(environment_id)


@pytest.mark.parametrize("during", ["RUNNING", "START_ACTIVITY"])
def test_an_internal_error_of_a_critical_task(core: RunningCore, during: str) -> None:
    variables = {"on_start": "internal_error"} if during == "START_ACTIVITY" else {}
    name = "slow-start" if during == "START_ACTIVITY" else "pair"
    environment_id = core.create(core.template(name), **variables).id
    core.control(environment_id, "START_ACTIVITY")
    role = "slow-start.quick"
    if during == "RUNNING":
        role = "pair.needed"
        os.kill(core.pid(environment_id, role), signal.SIGUSR1)
    core.reaches(environment_id, "ERROR", 5)
    record = core.record(environment_id)
    for part in (during, role, record.cause.host, "reported an internal error"):
        assert part and part in record.cause.line
    assert (record.cause.role, record.cause.exit) == (role, "")
    told = "the puppet has hurt itself" if during != "RUNNING" else "a signal told it to fail"
    core.wait_until(
        lambda: any(told in line for line in core.record(environment_id).cause.last_log_lines),
        5,
        "the last words of the task are kept",
    )
    # It lives, and RECOVER takes it up again.
    pid = core.pid(environment_id, role)
    core.recover(environment_id)
    assert core.pid(environment_id, role) == pid
    core.destroy(environment_id)


def test_an_internal_error_of_another_task(core: RunningCore) -> None:
    environment_id = core.create(core.template("pair")).id
    core.control(environment_id, "START_ACTIVITY")
    os.kill(core.pid(environment_id, "pair.other"), signal.SIGUSR1)
    core.wait_until(lambda: core.record(environment_id).warnings, 5, "a warning is kept")
    assert "pair.other" in core.record(environment_id).warnings[0]
    assert core.environment(environment_id).state == "RUNNING"
    core.destroy(environment_id, allowInRunningState=True)


def test_an_internal_error_without_a_run(core: RunningCore) -> None:
    environment_id = core.create(core.template("pair")).id
    os.kill(core.pid(environment_id, "pair.needed"), signal.SIGUSR1)
    core.reaches(environment_id, "ERROR", 5)
    assert core.record(environment_id).cause.line.startswith("CONFIGURED: task pair.needed")
    core.destroy(environment_id)
