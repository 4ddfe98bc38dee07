"""Parts of an environment that leave it and come back, with real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import CALL_DEADLINE_S, RunningCore
from test.end_to_end.workflows import BASE, workflow

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
REPORT = re.compile(r"run=(\d+) source=(\S+) blocks=(\d+) sha256=([0-9a-f]{64})")
DETECTORS = {
    "detector_of": json.dumps({"flp001": "ITS", "flp002": "TST"}),
    "detectors": json.dumps(["ITS", "TST"]),
    "block_rate": "100",
    "block_size": "1000",
}

PARTS = workflow(
    "parts",
    "  - name: hook\n    vars: {script: 'echo modified'}\n"
    "    constraints: [{attribute: machine_id, value: one}]\n"
    "    task: {load: shell, trigger: after_EXCLUDE, timeout: 5s}\n"
    "  - name: left\n    vars: {excludable: 'true'}\n"
    "    constraints: [{attribute: machine_id, value: one}]\n    task: {load: bound}\n"
    "  - name: right\n    constraints: [{attribute: machine_id, value: one}]\n"
    "    connect: [{name: data, type: pull, target: 'parts.left:data'}]\n"
    "    task: {load: puppet}\n",
)
BOUND = BASE["tasks/puppet.yaml"].replace("name: puppet", "name: bound") + (
    "bind: [{name: data, type: push, addressing: tcp}]\n"
)
FILES = {**BASE, **PARTS, "tasks/bound.yaml": BOUND}


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    hosts = ["one", "flp001", "flp002", "epn001"]
    folder = tmp_path_factory.mktemp("exclusion")
    with RunningCore(folder, hosts=hosts, workflows=FILES) as running:
        yield running


def modify(
    core: RunningCore, environment_id: str, *operations: tuple[str, str], **more: Any
) -> Any:
    """The call of the reference's protocol."""
    request = o2control_pb2.ModifyEnvironmentRequest(id=environment_id, **more)
    for kind, role in operations:
        request.operations.add(type=kind, roleName=role)
    return core.control_stub.ModifyEnvironment(request, deadline_s=CALL_DEADLINE_S)


def pids(core: RunningCore, environment_id: str) -> dict[str, str]:
    """The processes of an environment, by the class and host of their tasks."""
    tasks = core.environment(environment_id).tasks
    return {f"{t.className} {t.deploymentInfo.hostname}": t.pid for t in tasks if t.pid}


def reports(core: RunningCore, environment_id: str, role: str, run: int) -> list[tuple[str, ...]]:
    """What a task says of a run: source, blocks and digest, in the order of its lines."""
    lines = core.task_log(core.task(environment_id, role).taskId)
    found = [match for line in lines if (match := REPORT.fullmatch(line))]
    return [match.groups()[1:] for match in found if int(match[1]) == run and match[2] != "*"]


def test_a_detector_leaves_a_run_and_comes_back(core: RunningCore) -> None:
    environment_id = core.create(DEMO, **DETECTORS).id
    run = core.control(environment_id, "START_ACTIVITY").currentRunNumber
    before = pids(core, environment_id)
    time.sleep(0.4)
    wish = ("--exclude-detector", "TST", "--reason", "no high voltage")
    done = core.coconut("environment", "modify", environment_id, *wish)
    assert "modification complete" in done.stdout
    shown = core.coconut("environment", "show", environment_id, "-w").stdout
    assert "flp-flp002 (excluded)" in shown
    assert re.search(r"excluded: +demo\.flp-flp002 by \S+, .*: no high voltage", shown)
    seen = core.environment(environment_id)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    assert list(seen.includedDetectors) == ["ITS"]
    assert len(reports(core, environment_id, "demo.flp-flp002.readout", run)) == 1
    time.sleep(0.4)
    core.coconut("environment", "modify", environment_id, "--include-detector", "TST")
    seen = core.environment(environment_id)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    assert list(seen.includedDetectors) == ["ITS", "TST"]
    assert "excluded:" not in core.coconut("environment", "show", environment_id).stdout
    time.sleep(0.4)
    assert core.control(environment_id, "STOP_ACTIVITY").state == "CONFIGURED"
    assert pids(core, environment_id) == before
    # Every block of both parts has come to the sender, and the others have never stopped.
    other = reports(core, environment_id, "demo.flp-flp001.readout", run)
    parts = reports(core, environment_id, "demo.flp-flp002.readout", run)
    assert (len(other), len(parts)) == (1, 2)
    assert reports(core, environment_id, "demo.sender", run) == other + parts
    assert int(other[0][1]) > sum(int(part[1]) for part in parts) > 0
    events = [(t.event, list(t.roles)) for t in core.record(environment_id).transitions]
    assert events[-3:-1] == [
        ("EXCLUDE", ["demo.flp-flp002"]),
        ("INCLUDE", ["demo.flp-flp002"]),
    ]
    assert not core.record(environment_id).warnings
    core.destroy(environment_id)


def test_what_dies_while_it_is_excluded_comes_back_where_it_was(core: RunningCore) -> None:
    environment_id = core.create(core.template("parts")).id
    run = core.control(environment_id, "START_ACTIVITY").currentRunNumber
    right = core.pid(environment_id, "parts.right")
    with pytest.raises(RpcError) as refused:
        modify(core, environment_id, ("REMOVE_ROLE", "parts.right"))
    assert refused.value.status == "FAILED_PRECONDITION"
    assert "parts.right is not excludable" in refused.value.message
    with pytest.raises(RpcError) as unknown:
        modify(core, environment_id, ("REMOVE_ROLE", "parts.lef"))
    assert (unknown.value.status, "parts.left" in unknown.value.message) == ("NOT_FOUND", True)
    reply = modify(
        core, environment_id, ("REMOVE_ROLE", "parts.right"), ("REMOVE_ROLE", "parts.left")
    )
    assert [one.roleName for one in reply.failedOperations] == ["parts.right"]
    assert reply.state == "RUNNING"
    hook = core.task(environment_id, "parts.hook")
    assert core.task_log(hook.taskId) == ["modified"]

    left = core.task(environment_id, "parts.left")
    os.kill(int(left.pid), signal.SIGKILL)
    core.wait_until(lambda: core.record(environment_id).warnings, 5, "it is told")
    assert "parts.left" in core.record(environment_id).warnings[0]
    shown = core.coconut("environment", "show", environment_id).stdout
    assert "1 of 1 tasks dead" in shown
    path = f"/api/v1/environments/{environment_id}/modifications?wait=30"
    status, answer, _ = core.rest("POST", path, {"include": ["parts.left"], "user": "me"})
    assert (status, answer["kind"], answer["state"]) == (
        200,
        "INCLUDE",
        "OPERATION_STATE_SUCCEEDED",
    )
    again = core.task(environment_id, "parts.left")
    assert again.taskId != left.taskId
    assert core.task_log(again.taskId) == ["configure", "start"]
    seen = core.environment(environment_id)
    assert (seen.state, seen.currentRunNumber) == ("RUNNING", run)
    assert core.pid(environment_id, "parts.right") == right
    core.control(environment_id, "STOP_ACTIVITY")
    assert core.task_log(again.taskId) == ["configure", "start", "stop"]

    # Without a run anything can go, and all is configured again where that is asked for.
    reply = modify(core, environment_id, ("REMOVE_ROLE", "parts.right"), reconfigureAll=True)
    assert (list(reply.failedOperations), reply.state) == ([], "CONFIGURED")
    assert core.task_log(again.taskId)[3:] == ["configure"]
    core.destroy(environment_id)
    assert core.tasks() == []


def test_an_inclusion_that_fails_names_the_peers_and_changes_nothing(core: RunningCore) -> None:
    environment_id = core.create(core.template("parts")).id
    core.control(environment_id, "START_ACTIVITY")
    right = core.pid(environment_id, "parts.right")
    modify(core, environment_id, ("REMOVE_ROLE", "parts.left"))
    os.kill(core.pid(environment_id, "parts.left"), signal.SIGKILL)
    core.wait_until(lambda: core.record(environment_id).warnings, 5, "it is told")
    path = f"/api/v1/environments/{environment_id}/modifications?wait=30"
    core.coconut("host", "drain", "one")
    status, problem, _ = core.rest("POST", path, {"include": ["parts.left"]})
    assert status == 409
    for part in ("parts.left cannot be launched again on host one", "parts.right would look"):
        assert part in problem["detail"]
    seen = core.environment(environment_id)
    assert (seen.state, seen.currentTransition) == ("RUNNING", "")
    core.coconut("host", "resume", "one")
    reply = modify(core, environment_id, ("ADD_ROLE", "parts.left"))
    assert (list(reply.failedOperations), reply.state) == ([], "RUNNING")
    assert core.pid(environment_id, "parts.right") == right

    modify(core, environment_id, ("REMOVE_ROLE", "parts.left"))
    status, listed, _ = core.rest("GET", f"/api/v1/environments/{environment_id}/exclusions")
    assert (status, [one["role"] for one in listed["exclusions"]]) == (200, ["parts.left"])
    core.destroy(environment_id, allowInRunningState=True)
    assert core.tasks() == []
