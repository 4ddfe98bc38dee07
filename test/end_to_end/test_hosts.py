"""Hosts as operators see them, and one that is taken out of use."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE, workflow

pytestmark = pytest.mark.end_to_end

HOSTS = "/api/v1/hosts"
ON_ONE = "    constraints: [{attribute: machine_id, value: one}]\n"
COMMAND = "    vars: {script: sleep 1000}\n    task: {load: shell}\n"
FILES = {
    **BASE,
    **workflow("here", f"  - name: only\n{ON_ONE}{COMMAND}"),
    **workflow("anywhere", f"  - name: first\n{COMMAND}  - name: second\n{COMMAND}"),
}


@pytest.fixture
def core(tmp_path: Path) -> Iterator[RunningCore]:
    with RunningCore(tmp_path, hosts=["one", "two"], workflows=FILES) as running:
        yield running


def rest(core: RunningCore, method: str, path: str, body: Any = None) -> Any:
    status, answer, _ = core.rest(method, path, body)
    assert status == 200, answer
    return answer


def test_a_host_that_is_drained_gets_no_new_tasks(core: RunningCore) -> None:
    before = core.create(core.template("here")).id
    one, two = rest(core, "GET", HOSTS)["hosts"]
    assert [host["name"] for host in (one, two)] == ["one", "two"]
    assert (one["tasks"], two["tasks"]) == (1, 0)
    assert one["connected"] and one["cpusUsed"] > 0 and one["lastSeenMs"] > 0
    assert "drain" not in one or one["drain"] is None

    out = core.coconut("host", "drain", "one", "--reason", "new cards").stdout
    assert out == "host one is drained; 1 tasks go on there\n"
    assert "drained" in core.coconut("host", "list").stdout
    shown = core.coconut("host", "show", "one").stdout
    for text in ("new cards", "agent:", "tasks/shell"):
        assert text in shown
    with pytest.raises(RpcError) as problem:
        core.create(core.template("here"))
    for text in ("one: is drained by", "new cards"):
        assert text in problem.value.message
    # What ran there goes on, and others have place elsewhere.
    assert core.control(before, "START_ACTIVITY").state == "RUNNING"
    elsewhere = core.create(core.template("anywhere")).id
    mine = [task for task in core.tasks() if task.locked]
    assert sorted(task.deploymentInfo.hostname for task in mine) == ["one", "two", "two"]
    core.destroy(elsewhere)

    changed = rest(core, "PATCH", f"{HOSTS}/one", {"drained": False, "user": "me"})
    assert changed["name"] == "one" and not changed.get("drain")
    again = core.create(core.template("here")).id
    core.destroy(again)
    core.destroy(before, force=True)
    status, answer, _ = core.rest("PATCH", f"{HOSTS}/one", {"drained": False})
    assert (status, answer["detail"]) == (409, "host one is not drained")


def test_it_stays_so_for_the_next_core(core: RunningCore) -> None:
    host = rest(core, "PATCH", f"{HOSTS}/two", {"drained": True, "reason": "fan", "user": "me"})
    assert (host["drain"]["by"], host["drain"]["reason"]) == ("me", "fan")
    core.stop(signal.SIGTERM)
    core.start()
    host = rest(core, "GET", f"{HOSTS}/two")
    assert (host["drain"]["by"], host["drain"]["reason"]) == ("me", "fan")
    environment = core.create(core.template("anywhere")).id
    hosts = {task.deploymentInfo.hostname for task in core.tasks()}
    assert hosts == {"one"}
    core.destroy(environment)


def test_a_host_that_is_not_there(core: RunningCore) -> None:
    status, answer, _ = core.rest("PATCH", f"{HOSTS}/three", {"drained": True})
    assert status == 404
    assert answer["detail"] == "there is no host 'three'; known are one, two"
    status, answer, _ = core.rest("PATCH", f"{HOSTS}/one", {"drained": "yes"})
    assert status == 400
    status, answer, _ = core.rest("PATCH", f"{HOSTS}/one", {"drained": True, "reason": "x" * 1001})
    assert (status, "1000" in answer["detail"]) == (400, True)
