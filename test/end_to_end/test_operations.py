"""Operations under way: aborted, looked at, and what became of every task; tasks ended and started
anew; and environments as they are watched, with real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aliecs.protocol import aliecs_v1_pb2
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import CALL_DEADLINE_S, RunningCore
from test.end_to_end.workflows import BASE, workflow

pytestmark = pytest.mark.end_to_end

SLOW = workflow(
    "slow",
    '  - name: "task-{{ it }}"\n'
    '    for: {begin: "0", end: "3", var: it}\n'
    "    vars:\n"
    "      excludable: \"true\"\n"
    "      start_s: \"{{ it == '2' ? slowness : '0' }}\"\n"
    "      fail_in: \"{{ it < failing ? 'start' : '' }}\"\n"
    "    constraints: [{attribute: machine_id, value: \"{{ it < '2' ? 'one' : 'two' }}\"}]\n"
    "    task: {load: puppet}\n"
    "  - name: other\n    constraints: [{attribute: machine_id, value: two}]\n"
    "    task: {load: puppet, critical: false}\n",
    "  slowness: '0'\n  failing: '0'\n",
)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    folder = tmp_path_factory.mktemp("operations")
    with RunningCore(folder, hosts=["one", "two"], workflows={**BASE, **SLOW}) as running:
        yield running


def running(core: RunningCore, kind: str, step: str) -> str:
    """The id of an operation under way that is in a step."""

    def there() -> Any:
        reply = core.extended.ListOperations(
            aliecs_v1_pb2.ListOperationsRequest(), deadline_s=CALL_DEADLINE_S
        )
        for one in reply.operations:
            if (one.kind, one.current_step, one.ended_ms) == (kind, step, 0):
                return one.id
        return None

    return str(core.wait_until(there, 20, f"{kind} is in {step}"))


def start_aside(core: RunningCore, environment_id: str, **options: Any) -> Any:
    """Start a run and give the process that waits for it."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "aliecs.cli.coconut"),
            *("--endpoint", core.addresses["grpc"]),
            *("environment", "control", environment_id, "-e", "start"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_transition_is_looked_at_and_aborted(core: RunningCore) -> None:
    environment_id = core.create(core.template("slow"), slowness="30").id
    starting = start_aside(core, environment_id)
    operation = running(core, "START_ACTIVITY", "tasks_START_ACTIVITY")
    core.wait_until(
        lambda: "4 of 5" in core.coconut("operation", "show", operation).stdout, 20, "four run"
    )
    shown = core.coconut("operation", "show", operation).stdout
    assert re.search(r"waiting: +slow\.task-2 \(two, \d+ s\)\n", shown)
    done = core.coconut("operation", "abort", operation, "--reason", "beam dump").stdout
    assert "ABORTED" in done
    assert re.search(r"START_ACTIVITY aborted by \S+: beam dump", done)
    out, _ = starting.communicate(timeout=CALL_DEADLINE_S)
    assert "transition failed" in out
    assert "beam dump" in out
    assert core.environment(environment_id).state == "ERROR"
    shown = core.coconut("operation", "show", operation).stdout
    assert re.search(r"tasks_START_ACTIVITY: +4 done, 1 not reached", shown)
    assert re.search(r"reason: +beam dump", shown)
    value = json.loads(core.coconut("operation", "show", operation, "-o", "json").stdout)
    (result,) = [r for r in value["results"] if r["step"] == "tasks_START_ACTIVITY"]
    assert (result["done"], result["notReached"], result["hostsDone"]) == (4, 1, 1)
    assert [h["host"] for h in result["hosts"]] == ["two"]
    refused = core.coconut("operation", "abort", operation, check=False)
    assert refused.returncode == 1
    assert "cannot be aborted: it is over, ABORTED" in refused.stderr
    core.destroy(environment_id, force=True)


def test_a_creation_that_is_aborted_leaves_nothing(core: RunningCore) -> None:
    outcome: list[Any] = []

    def create() -> None:
        try:
            core.create(core.template("slow"), configure_s="30")
        except RpcError as error:
            outcome.append(error)

    creating = threading.Thread(target=create)
    creating.start()
    operation = running(core, "CREATE", "tasks_CONFIGURE")
    core.coconut("operation", "abort", operation, "--reason", "wrong one")
    creating.join(CALL_DEADLINE_S)
    (error,) = outcome
    assert error.status == "ABORTED"
    assert re.search(r"CONFIGURE aborted by \S+: wrong one", error.message)
    assert (list(core.environments()), core.tasks()) == ([], [])


def test_the_first_failure_comes_first(core: RunningCore) -> None:
    environment_id = core.create(core.template("slow"), failing="3").id
    failed = core.coconut("environment", "control", environment_id, "-e", "start").stdout
    (cause,) = re.findall(r"cause: +(.*)\n", failed)
    then = re.findall(r"failed then: +(.*)\n", failed)
    lines = [cause, *then]
    assert len(lines) == 3
    for line in lines:
        assert re.match(r"START: task slow\.task-\d on host (one|two) \(\S+\): ", line)
        assert "the puppet does not start" in line
    reply = core.extended.ListOperations(
        aliecs_v1_pb2.ListOperationsRequest(environment_id=environment_id),
        deadline_s=CALL_DEADLINE_S,
    )
    (operation,) = [one for one in reply.operations if one.kind == "START_ACTIVITY"]
    assert operation.error.splitlines()[0].endswith(cause)
    assert operation.error.splitlines()[1:] == then
    shown = core.coconut("operation", "show", operation.id).stdout
    assert re.search(r"tasks_START_ACTIVITY: +2 done, 3 failed", shown)
    assert re.search(r"host one: +0 done, 2 failed, 0 not reached", shown)
    assert re.search(r"slow\.task-\d \| \S+ \| one +\| failed +\| .*does not start", shown)

    history = core.coconut("environment", "history", environment_id).stdout
    assert re.search(r"START_ACTIVITY  .* s  CONFIGURED -> RUNNING  by \S+", history)
    assert re.search(r" s  tasks_START_ACTIVITY\n", history)
    assert re.search(r" s  tasks_CONFIGURE\n +\d\.\d{3} s  slow\.\S+ on (one|two)\n", history)
    value = json.loads(
        core.coconut("environment", "history", environment_id, "-o", "json").stdout
    )
    steps = [step["name"] for step in value["transitions"][0]["steps"]]
    assert steps[:3] == ["before_DEPLOY", "leave_STANDBY", "tasks_DEPLOY"]
    core.destroy(environment_id, force=True)


def test_tasks_are_ended_and_restarted(core: RunningCore) -> None:
    environment_id = core.create(core.template("slow")).id
    first = core.task(environment_id, "slow.task-0")
    refused = core.coconut("task", "kill", first.taskId, check=False)
    assert refused.returncode == 1
    assert "is not killed: it is critical" in refused.stderr
    other = core.task(environment_id, "slow.other")
    killed = core.coconut("task", "kill", other.taskId, "--reason", "it eats memory").stdout
    assert re.search(r"slow\.other \| two +\| killed by \S+: it eats memory", killed)
    (warning,) = core.record(environment_id).warnings
    assert "it eats memory" in warning
    assert core.environment(environment_id).state == "CONFIGURED"
    assert "task restarted" in core.coconut("task", "restart", other.taskId).stdout
    again = core.task(environment_id, "slow.other")
    assert (again.taskId != other.taskId, again.state) == (True, "CONFIGURED")

    core.control(environment_id, "START_ACTIVITY")
    refused = core.coconut("task", "restart", again.taskId, check=False)
    assert "slow.other is not excludable" in refused.stderr
    done = core.coconut("task", "restart", first.taskId, "--reason", "it hangs").stdout
    assert "task restarted" in done
    seen = core.task(environment_id, "slow.task-0")
    assert (seen.taskId != first.taskId, seen.pid != first.pid) == (True, True)
    assert (seen.deploymentInfo.hostname, seen.state) == ("one", "RUNNING")
    assert core.task_log(seen.taskId) == ["configure", "start"]
    assert core.environment(environment_id).state == "RUNNING"
    events = [t.event for t in core.record(environment_id).transitions]
    assert events[-2:] == ["EXCLUDE", "INCLUDE"]
    assert "excluded:" not in core.coconut("environment", "show", environment_id).stdout

    wish = ("--force", "--reason", "a test of the alarm")
    core.coconut("task", "kill", seen.taskId, *wish)
    core.reaches(environment_id, "ERROR", 10)
    cause = core.record(environment_id).cause
    killed = r"task slow\.task-0 on host one .*: killed by \S+: a test of the alarm"
    assert re.search(killed, cause.line)
    core.destroy(environment_id, force=True)
    assert core.tasks() == []


def test_what_a_task_writes(core: RunningCore) -> None:
    environment_id = core.create(core.template("slow")).id
    for what in ("slow.task-1", "task-1", core.task(environment_id, "slow.task-1").taskId):
        assert core.coconut("environment", "logs", environment_id, what).stdout == "configure\n"
    unknown = core.coconut("environment", "logs", environment_id, "nobody", check=False)
    assert "has no role nobody" in unknown.stderr
    several = core.coconut("environment", "logs", environment_id, "task-*", check=False)
    assert "slow.task-0 or slow.task-1" in several.stderr
    command = [sys.executable, "-m", "aliecs.cli.coconut", "--endpoint", core.addresses["grpc"]]
    following = subprocess.Popen(
        [*command, "environment", "logs", environment_id, "task-1", "--follow"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    assert following.stdout.readline() == "configure\n"
    core.control(environment_id, "START_ACTIVITY")
    assert following.stdout.readline() == "start\n"
    following.send_signal(signal.SIGINT)
    following.wait(CALL_DEADLINE_S)
    core.destroy(environment_id, allowInRunningState=True)


def test_an_environment_is_watched_to_its_end(core: RunningCore) -> None:
    environment_id = core.create(core.template("slow")).id
    command = [sys.executable, "-m", "aliecs.cli.coconut", "--endpoint", core.addresses["grpc"]]
    watching = subprocess.Popen(
        [*command, "environment", "watch", environment_id], stdout=subprocess.PIPE, text=True
    )
    lines: list[str] = []
    assert watching.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(watching.stdout or ()))
    reader.start()
    core.wait_until(lambda: any("slow.other CONFIGURED" in line for line in lines), 20, "it sees")
    core.control(environment_id, "START_ACTIVITY")
    core.wait_until(lambda: any(" RUNNING run " in line for line in lines), 20, "it sees the run")
    os.kill(core.pid(environment_id, "slow.task-3"), signal.SIGKILL)
    core.reaches(environment_id, "ERROR", 10)
    time.sleep(0.3)
    core.destroy(environment_id, force=True)
    assert watching.wait(CALL_DEADLINE_S) == 0
    reader.join(CALL_DEADLINE_S)
    text = "".join(lines)
    assert re.search(rf"environment {environment_id} RUNNING run \d+", text)
    assert "slow.task-1 RUNNING ACTIVE" in text
    assert re.search(r"cause: RUNNING: task slow\.task-3 on host two .*SIGKILL", text)
    assert f"environment {environment_id} DONE" in text
    unknown = core.coconut("environment", "watch", "2rvUhqKFcLZ", check=False)
    assert (unknown.returncode, "environment not found" in unknown.stderr) == (1, True)


def test_the_same_over_rest(core: RunningCore) -> None:
    environment_id = core.create(core.template("slow")).id
    path = f"/api/v1/environments/{environment_id}/variables"
    wish = {"variables": {"slowness": "30"}, "user": "me"}
    status, plan, _ = core.rest("PATCH", f"{path}?dry_run=true", wish)
    assert (status, plan["replaced"], len(plan["kept"])) == (200, [], 5)
    assert plan["changedVariables"] == ["slowness", "start_s"]
    status, operation, _ = core.rest("PATCH", f"{path}?wait=30", wish)
    assert (status, operation["kind"]) == (200, "RECONFIGURE")
    status, problem, _ = core.rest("PATCH", path, {"unset": ["nobody"]})
    assert (status, "cannot be unset" in problem["detail"]) == (400, True)

    path = f"/api/v1/environments/{environment_id}/transitions"
    status, operation, headers = core.rest("POST", path, {"type": "START_ACTIVITY"})
    assert status == 202
    address = headers["Location"]
    query = "?waiting=2&results=true"
    core.wait_until(
        lambda: core.rest("GET", f"{address}{query}")[1]["done"] == 4, 20, "only one is left"
    )
    status, seen, _ = core.rest("GET", f"{address}{query}")
    assert [one["role"] for one in seen["waiting"]] == ["slow.task-2"]
    status, aborted, _ = core.rest("POST", f"{address}/abort", {"reason": "r", "user": "me"})
    assert (status, aborted["state"]) == (200, "OPERATION_STATE_ABORTED")
    assert (aborted["abortedBy"], aborted["abortReason"]) == ("me", "r")
    status, problem, _ = core.rest("POST", f"{address}/abort", {})
    assert (status, problem["code"]) == (409, "conflict")

    task = core.task(environment_id, "slow.other").taskId
    path = f"/api/v1/tasks/{task}/actions?wait=30"
    status, problem, _ = core.rest("POST", path, {"action": "restart"})
    assert (status, "is in ERROR" in problem["detail"]) == (409, True)
    status, operation, _ = core.rest("POST", path, {"action": "kill", "user": "me"})
    assert (status, operation["kind"]) == (200, "KILL")
    status, problem, _ = core.rest("POST", path, {"action": "kill", "user": "me"})
    assert (status, "it has ended" in problem["detail"]) == (409, True)
    core.destroy(environment_id, force=True)
