"""A workflow looked at in a running core: `coconut workflow`, REST, and origins of variables."""

from __future__ import annotations

import json
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from aliecs.protocol import aliecs_v1_pb2 as v1
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end

API = "/api/v1"
GOOD = """\
name: good
defaults:
  flavour: sweet
roles:
  - name: "host-{{ it }}"
    for: { range: "{{ hosts }}", var: it }
    constraints: [{ attribute: machine_id, value: "{{ it }}" }]
    roles:
      - name: source
        task: { load: source }
      - name: sink
        connect:
          - { name: data, type: pull, target: "{{ Parent().Path }}.source:data" }
        task: { load: sink }
  - name: later
    call:
      func: testplugin.Test()
      trigger: before_CONFIGURE-10
      await: after_CONFIGURE+5
      timeout: 7s
  - name: hook
    task: { load: once, trigger: after_CONFIGURE, timeout: 3s, critical: false }
"""
BAD = """\
name: bad
defaults:
  one: "{{ missing_one }}"
roles:
  - name: a
    connect: [{ name: x, type: pull, target: "bad.nobody:x" }]
    task: { load: sink }
  - name: b
    task: { load: nowhere }
  - name: c
    task: { load: source }
    vars: { two: "{{ 1 + }}" }
  - name: d
    task: { load: broken }
"""
TASK = """\
name: {name}
control: {{ mode: {mode} }}
wants: {{ cpu: 0.1, memory: 8 }}
{more}
command:
  value: "run-{{{{ flavour }}}}"
  arguments: ["--at", "{{{{ task_hostname }}}}"]
  env: ["A=b"]
"""
FILES = {
    "workflows/good.yaml": GOOD,
    "workflows/bad.yaml": BAD,
    "workflows/torn.yaml": "name: torn\nroles:\n  - {name: a}\n  - {name: b, task: 1}\n",
    "tasks/source.yaml": TASK.format(
        name="source", mode="direct", more="bind: [{name: data, type: push, transport: shmem}]"
    ),
    "tasks/sink.yaml": TASK.format(name="sink", mode="direct", more=""),
    "tasks/once.yaml": TASK.format(name="once", mode="basic", more=""),
    "tasks/broken.yaml": TASK.format(name="other", mode="direct", more=""),
}
HOSTS = json.dumps({"hosts": json.dumps(["flp001", "flp002"])})


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("core"), workflows=FILES) as running:
        yield running


def test_what_is_right(core: RunningCore) -> None:
    done = core.coconut("workflow", "check", core.template("good"), "-e", HOSTS)
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"good ({core.repository}@")
    assert last.endswith(
        ": 5 tasks on 2 named hosts, 1 call, 9 roles; no errors, no warnings"
    ), done.stdout
    assert core.environments() == []


def test_everything_that_is_wrong(core: RunningCore) -> None:
    done = core.coconut("w", "c", core.template("bad"), "-e", '{"flavour": "x"}', check=False)
    assert done.returncode == 1
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    places = [line.partition(": error: ")[0].rsplit("/", 1)[-1] for line in errors]
    names = [place.split("@")[0] + ":" + place.rsplit(":", 1)[-1] for place in places]
    assert names == [
        "bad.yaml:3", "bad.yaml:9", "bad.yaml:12", "broken.yaml:1", "bad.yaml:5",
    ]  # fmt: skip
    assert "unknown name missing_one" in errors[0]
    assert "no task template 'nowhere'" in errors[1]
    assert "could not match target for outbound channel 'x'" in errors[4]
    assert done.stdout.splitlines()[-1].endswith("5 errors, no warnings")

    done = core.coconut("w", "check", core.template("torn"), check=False)
    assert done.returncode == 1
    assert [line.split(":")[1] for line in done.stdout.splitlines() if ": error: " in line] == [
        "3",
        "4",
    ]
    done = core.coconut("w", "check", core.template("absent"), check=False)
    assert (done.returncode, "no workflow template 'absent'" in done.stderr) == (1, True)


def test_what_it_would_be(core: RunningCore) -> None:
    shown = core.coconut("workflow", "show", core.template("good"), "-e", HOSTS).stdout
    assert "|   |-- source  [task: source]\n" in shown
    assert "<- good.host-flp002.source:data" in shown
    assert "  command:          run-sweet --at flp001\n" in shown
    assert "  constraint:       machine_id = flp002\n" in shown
    assert "  connect:          data pull default -> good.host-flp001.source:data\n" in shown
    rows = [line.split("|") for line in shown.splitlines() if line.count("|") == 5]
    order = [(row[1].strip(), row[2].strip()) for row in rows if row[0].strip() == "CONFIGURE"]
    assert order == [
        ("before_CONFIGURE-10", "call testplugin.Test()"),
        ("", "all tasks: CONFIGURE"),
        ("after_CONFIGURE+0", "hook once"),
        ("after_CONFIGURE+5", "await testplugin.Test()"),
    ]
    only = core.coconut(
        "workflow", "show", core.template("good"), "-e", HOSTS, "-t", "-r", "**.host-flp001.*"
    ).stdout
    assert only.count("  command:") == 2
    explained = core.coconut(
        "workflow", "show", core.template("good"), "-e", HOSTS, "--variables", "-r", "good.hook",
        "-n", "flavour", "-n", "hosts",
    ).stdout  # fmt: skip
    assert "  flavour = sweet  (default of good, template, " in explained
    assert "workflows/good.yaml@" in explained
    assert '  hosts = ["flp001", "flp002"]  (user variable, request)\n' in explained


def test_pictures(core: RunningCore, tmp_path: Path) -> None:
    drawn = core.coconut("workflow", "graph", core.template("good"), "-e", HOSTS).stdout
    assert drawn.startswith("good\n|-- host-flp001\n")
    file = tmp_path / "good.svg"
    core.coconut("workflow", "graph", core.template("good"), "-e", HOSTS, "-f", str(file))
    assert ElementTree.parse(file).getroot().tag.endswith("svg")
    body = {"template": core.template("good"), "variables": {"hosts": ["flp001"]}}
    request = urllib.request.Request(
        f"{core.addresses['rest']}{API}/workflow-inspections?format=svg",
        data=json.dumps(body).encode(),
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert ElementTree.fromstring(answer.read()).tag.endswith("svg")


def test_over_rest(core: RunningCore) -> None:
    body = {"template": core.template("good"), "variables": {"hosts": ["flp001"]}, "tree": True}
    status, reply, _ = core.rest("POST", f"{API}/workflow-inspections", body)
    assert (status, reply["valid"], reply["taskCount"]) == (200, True, 3)
    host = reply["root"]["roles"][0]
    (sink,) = (role for role in host["roles"] if role["name"] == "sink")
    assert sink["task"]["arguments"] == ["--at", "flp001"]
    assert sink["task"]["properties"]["chans.data.0.method"] == "connect"
    body = {"template": core.template("bad"), "variables": {"flavour": "x"}}
    status, reply, _ = core.rest("POST", f"{API}/workflow-inspections", body)
    assert (status, reply["valid"], len(reply["errors"])) == (200, False, 5)
    status, reply, _ = core.rest("POST", f"{API}/environments?dry_run=true", body)
    assert (status, len(reply["errors"])) == (422, 5)
    body = {"template": core.template("good"), "variables": {"hosts": ["flp001"]}}
    assert core.rest("POST", f"{API}/environments?dry_run=true", body)[0] == 200
    for wrong in ({}, {"template": "x", "nope": 1}, {"template": "demo", "variablesOf": "["}):
        assert core.rest("POST", f"{API}/workflow-inspections", wrong)[0] == 400
    assert core.environments() == []


def test_of_a_living_environment(core: RunningCore) -> None:
    environment = core.create("demo", block_rate="10")
    core.control(environment.id, "START_ACTIVITY")
    told = core.coconut("role", "variables", environment.id, "-n", "block_rate").stdout
    lines = told.splitlines()
    assert lines[:2] == ["demo", "  block_rate = 10  (user variable, request)"]
    assert lines[2].startswith("      not ")
    assert "(default of demo, template, builtin/workflows/demo.yaml@" in lines[2]
    told = core.coconut("role", "vars", environment.id, "-n", "run_number").stdout
    assert "(var of demo, core)" in told
    path = f"{API}/environments/{environment.id}/variables?role=demo.sender&name=block_rate"
    status, reply, _ = core.rest("GET", path)
    ((variable,),) = (role["variables"] for role in reply["roles"])
    assert (status, variable["origin"]["source"]) == (200, "request")
    core.destroy(environment.id, allowInRunningState=True)
    with pytest.raises(RpcError) as error:
        core.extended.ExplainVariables(
            v1.ExplainVariablesRequest(environment_id=environment.id), deadline_s=10
        )
    assert error.value.status == "NOT_FOUND"
