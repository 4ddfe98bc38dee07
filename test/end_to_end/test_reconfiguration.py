"""An environment that is told new variables while its processes go on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE, workflow

pytestmark = pytest.mark.end_to_end

MANY = workflow(
    "many",
    "  - name: source\n    constraints: [{attribute: machine_id, value: one}]\n"
    '    vars: {options: "{{ source_options }}"}\n    task: {load: bound}\n'
    '  - name: "reader-{{ it }}"\n'
    '    for: {range: "{{ readers }}", var: it}\n'
    "    constraints: [{attribute: machine_id, value: two}]\n"
    "    connect: [{name: data, type: pull, target: 'many.source:data'}]\n"
    "    task: {load: puppet}\n",
    "  source_options: ''\n  readers: '[\"1\",\"2\",\"3\"]'\n",
)
BOUND = BASE["tasks/puppet.yaml"].replace("name: puppet", "name: bound") + (
    "bind: [{name: data, type: push, addressing: tcp}]\n"
)
FILES = {**BASE, **MANY, "tasks/bound.yaml": BOUND}


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    folder = tmp_path_factory.mktemp("reconfiguration")
    with RunningCore(folder, hosts=["one", "two"], workflows=FILES) as running:
        yield running


def pids(core: RunningCore, environment_id: str) -> dict[str, int]:
    """The processes by role."""
    names = ("source", "reader-1", "reader-2", "reader-3")
    return {name: core.pid(environment_id, f"many.{name}") for name in names}


def test_processes_go_on_with_other_variables(core: RunningCore) -> None:
    environment_id = core.create(core.template("many")).id
    before = pids(core, environment_id)
    source = core.task(environment_id, "many.source").taskId
    tried = core.coconut(
        "environment",
        "reconfigure",
        environment_id,
        *("-e", "source_options=--late 0.1", "-e", "stop_s=0.5", "--dry-run"),
    ).stdout
    assert re.search(r"changed variables: +options source_options stop_s\n", tried)
    assert re.search(r"processes kept: +3\ntasks replaced: +1\n", tried)
    assert re.search(
        rf"many\.source \| {source} \| one +\| its command is changed "
        r"\(options: '' -> '--late 0\.1'\)",
        tried,
    )
    assert pids(core, environment_id) == before

    done = core.coconut(
        "environment",
        "reconfigure",
        environment_id,
        *("-e", "source_options=--late 0.1,stop_s=0.5", "--reason", "slower"),
    ).stdout
    assert "reconfiguration complete" in done
    after = pids(core, environment_id)
    assert [name for name in after if after[name] != before[name]] == ["source"]
    again = core.task(environment_id, "many.source")
    assert (again.taskId != source, again.deploymentInfo.hostname) == (True, "one")
    assert core.find_process("--late 0.1") == after["source"]
    # Nobody is left of the one that was replaced.
    assert len(core.tasks()) == 4
    reader = core.task(environment_id, "many.reader-1").taskId
    assert core.task_log(reader) == ["configure", "configure"]
    record = core.record(environment_id)
    replaced = record.transitions[-2]
    assert (replaced.event, list(replaced.roles)) == ("REPLACE", ["many.source"])
    assert dict(replaced.variables) == {"source_options": "--late 0.1", "stop_s": "0.5"}
    core.control(environment_id, "START_ACTIVITY")
    # The property has reached the processes that went on.
    assert core.control(environment_id, "STOP_ACTIVITY").transitionDuration >= 500
    core.destroy(environment_id)


def test_what_would_be_another_environment_is_refused(core: RunningCore) -> None:
    environment_id = core.create(core.template("many")).id
    before = pids(core, environment_id)
    wish = ("-e", json.dumps({"readers": '["1","2","4"]'}))
    for more in (("--dry-run",), ()):
        refused = core.coconut(
            "environment", "reconfigure", environment_id, *wish, *more, check=False
        )
        assert refused.returncode == 1
        for part in ("role many.reader-3 would not be there", "new role many.reader-4"):
            assert part in refused.stderr
    assert pids(core, environment_id) == before
    assert core.environment(environment_id).state == "CONFIGURED"
    core.destroy(environment_id)


def test_a_replacement_that_fails_ends_in_error(core: RunningCore) -> None:
    environment_id = core.create(core.template("many")).id
    wish = ("-e", "source_options=--die 3")
    failed: Any = core.coconut("environment", "reconfigure", environment_id, *wish, check=False)
    assert failed.returncode == 1
    assert re.search(r"REPLACE: task many\.source on host one .*exit code 3", failed.stderr)
    cause = core.record(environment_id).cause
    assert (cause.role, cause.host) == ("many.source", "one")
    assert "exit code 3" in cause.exit
    core.reaches(environment_id, "ERROR", 10)
    shown = core.coconut("environment", "show", environment_id).stdout
    assert "the puppet's last word" in shown
    core.destroy(environment_id, force=True)
    assert core.tasks() == []
