"""A creation rehearsed on a real core: hosts, ports, and everything that is in its way."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE, task_class, workflow

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
FILES = {
    **BASE,
    **task_class("large", wants={"cpu": "1000", "memory": "8"}),
    **task_class("half", wants={"cpu": "9", "memory": "8"}),
    **workflow(
        "hopeless",
        "  - name: mars\n    constraints: [{attribute: machine_id, value: mars}]\n"
        "    task: {load: shell}\n"
        "  - name: large\n    task: {load: large, critical: false}\n",
        defaults="  script: 'true'\n",
    ),
    **workflow(
        "calling",
        "".join(
            f"  - name: call{number}\n    call: {{func: '{text}', trigger: before_CONFIGURE}}\n"
            for number, text in enumerate(
                ("testplugin.Tset()", "nobody.Home(1)", "testplugin.Noop()", "strings.ToUpper(1)")
            )
        ),
    ),
    **workflow(
        "full",
        "".join(
            f"  - name: part{number}\n    constraints: [{{attribute: machine_id, value: one}}]\n"
            "    task: {load: half}\n"
            for number in (1, 2)
        ),
    ),
}


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    hosts = ["one", "two", "flp001", "flp002", "epn001"]
    with RunningCore(tmp_path_factory.mktemp("rehearsal"), hosts, workflows=FILES) as running:
        yield running


def test_hosts_ports_and_calls_are_told(core: RunningCore) -> None:
    done = core.coconut("environment", "create", "-w", DEMO, "--dry-run")
    for what in ("flp001", "epn001", "it would be created", "all tasks: CONFIGURE"):
        assert what in done.stdout
    told = json.loads(core.coconut("environment", "create", "-w", DEMO, "-d", "-o", "json").stdout)
    assert told["valid"]
    ports = [
        (host["host"], port)
        for host in told["hosts"]
        for task in host["tasks"]
        for port in (task["controlPort"], *task["channelPorts"])
        if port
    ]
    assert len(ports) == len(set(ports)) >= 3
    assert core.environments() == []
    assert core.tasks() == []


def test_what_no_host_can_run_is_told(core: RunningCore) -> None:
    done = core.coconut(
        "environment", "create", "-w", core.template("hopeless"), "--dry-run", check=False
    )
    assert done.returncode == 1
    assert "error: no host can run it: " in done.stdout
    assert "machine_id is one, not mars" in done.stdout
    assert "(role hopeless.mars)" in done.stdout
    assert "warning: no host can run it: " in done.stdout, "it can do without that one"
    assert "it would fail" in done.stdout
    status, answer, _ = core.rest(
        "POST", "/api/v1/environments?dry_run=true", {"template": core.template("hopeless")}
    )
    assert (status, answer["valid"]) == (422, False)
    assert "no host can run it" in answer["errors"][0]["text"]


def test_what_has_no_room_is_told(core: RunningCore) -> None:
    done = core.coconut(
        "environment", "create", "-w", core.template("full"), "--dry-run", check=False
    )
    assert done.returncode == 1
    assert "no room at present: one: wants 9 cpus, 7 free" in done.stdout


def test_what_somebody_else_uses_is_told(core: RunningCore) -> None:
    environment = core.create(core.template("duo"), detectors='["ITS"]')
    done = core.coconut(
        *("environment", "create", "-w", core.template("duo")),
        *("-e", '{"detectors": "[\\"ITS\\"]"}', "-d"),
        check=False,
    )
    assert f"detector ITS is in use by environment {environment.id}" in done.stdout
    core.coconut("host", "drain", "two", "--reason", "new disk")
    done = core.coconut(
        "environment", "create", "-w", core.template("duo"), "--dry-run", check=False
    )
    assert "new disk" in done.stdout
    core.coconut("host", "resume", "two")
    core.destroy(environment.id)


def test_calls_that_nobody_answers_are_told(core: RunningCore) -> None:
    done = core.coconut(
        "environment", "create", "-w", core.template("calling"), "--dry-run", check=False
    )
    assert done.returncode == 1
    wrong = "error: call testplugin.Tset(): testplugin has no function Tset; did you mean Test?"
    assert wrong in done.stdout
    assert "warning: call nobody.Home(1): no plugin nobody is in use" in done.stdout
    assert "testplugin.Noop" not in done.stdout.partition("TRANSITION")[0]


def test_a_template_with_faults_is_told_as_well(core: RunningCore) -> None:
    done = core.coconut("environment", "create", "-w", "nowhere", "--dry-run", check=False)
    assert done.returncode == 1
    assert "nowhere" in done.stderr


def test_a_reason_is_in_the_audit(core: RunningCore) -> None:
    environment = core.create(core.template("duo"))
    core.coconut("environment", "control", environment.id, "-e", "start", "-r", "Strahl da: ä")
    core.coconut("environment", "destroy", environment.id, "-a", "--reason", "end of fill")
    entries = json.loads(core.coconut("audit", "-e", environment.id, "-o", "json").stdout)
    assert [(one["action"], one["reason"]) for one in entries[:2]] == [
        ("DestroyEnvironment", "end of fill"),
        ("ControlEnvironment", "Strahl da: ä"),
    ]
