"""Workflow templates as they are written, nothing evaluated."""

from __future__ import annotations

import pytest

from aliecs.errors import TemplateError
from aliecs.interfaces import TemplateText
from aliecs.workflow.schema import (
    AggregatorTemplate,
    CallTemplate,
    IncludeTemplate,
    IteratorTemplate,
    TaskTemplate,
    VariableSpecification,
    WorkflowTemplate,
    describe_template,
    parse_workflow,
)


def template(text: str) -> TemplateText:
    return TemplateText("example.org/a/b", "1234567890", "workflows/w.yaml", text.encode())


def parse(text: str) -> WorkflowTemplate:
    return parse_workflow(template(text))


FULL = """name: !public w
description: !public what it is
defaults:
  plain: 1.50
  public: !public
    value: "{{ x }}"
    type: bool
  marked: !public text
  empty: !public {label: none}
  nothing: ~
  blank:
  untagged: {value: 1}
  list: [1]
  anchored: &a x
  alias: *a
vars: ~
roles:
  - name: tasks
    enabled: "{{ e }}"
    roles:
      - name: t
        connect: [{name: c, target: "{{ Parent().Path }}.x:y"}]
        task: {load: cls, trigger: DESTROY, critical: no}
      - name: u
        task: {load: cls, await: ignored}
  - name: "host-{{ it }}"
    for: {range: "{{ hosts }}", var: it}
    include: other
  - name: c
    call: {func: f.g(), trigger: enter_RUNNING, await: leave_RUNNING, timeout: 5s, return: r}
  - name: n-{{ n }}
    for: {begin: 1, end: "{{ last }}", range: ignored, var: n}
    roles: []
"""


def test_a_full_template() -> None:
    workflow = parse(FULL)
    assert (workflow.name, workflow.public, workflow.description) == ("w", True, "what it is")
    root = workflow.root
    assert {name: value.text for name, value in root.defaults} == {
        "plain": "1.50", "public": "{{ x }}", "marked": "text", "empty": "", "nothing": "~",
        "blank": "", "anchored": "x",
    }  # fmt: skip
    assert root.variables == ()
    tasks, hosts, call, numbers = root.roles
    assert isinstance(tasks, AggregatorTemplate)
    assert (tasks.enabled.text, tasks.enabled.line) == ("{{ e }}", 19)
    hook, task = tasks.roles
    assert isinstance(hook, TaskTemplate)
    assert isinstance(task, TaskTemplate)
    assert (hook.trigger.text, hook.await_.text, hook.timeout.text) == ("DESTROY", "DESTROY", "30s")
    assert (hook.critical, task.critical) == (False, True)
    assert (task.trigger.text, task.await_.text, task.timeout.text) == ("", "", "0s")
    assert hook.connect[0].target == "{{ Parent().Path }}.x:y"
    assert isinstance(hosts, IteratorTemplate)
    assert hosts.range is not None
    assert isinstance(hosts.role, IncludeTemplate)
    assert isinstance(call, CallTemplate)
    assert (call.await_.text, call.timeout.text, call.return_.text) == ("leave_RUNNING", "5s", "r")
    assert isinstance(numbers, IteratorTemplate)
    assert numbers.range is None
    assert numbers.end is not None


def test_what_is_no_variable_is_told() -> None:
    warnings = [str(warning) for warning in parse(FULL).warnings]
    assert len(warnings) == 3
    for name, what in (
        ("untagged", "a mapping without"),
        ("list", "a list"),
        ("alias", "an alias"),
    ):
        assert any(f"{name!r} is not defined: its value is {what}" in text for text in warnings)
    assert warnings[0].startswith("example.org/a/b/workflows/w.yaml@1234567890:12: ")


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        ("{name: x}", "it has none"),
        ("{name: x, task: {}, call: {}}", "it has 'task' and 'call'"),
        ("{name: x, task: ~}", "it has none"),
        ("{name: x, task: text}", "must be a mapping"),
        ("{name: x, roles: text}", "must be a list"),
        ("{name: x, include: [a]}", "must be a single value"),
        ("{name: x, for: {var: i}, roles: []}", "'for' needs"),
        ("{name: x, for: {range: r}, roles: []}", "'for' needs"),
        ("{name: x, for: {begin: 1, var: i}, roles: []}", "'for' needs"),
        ("{name: x, for: text, roles: []}", "must be a mapping"),
        ("{name: x, task: {critical: maybe}}", "true or false"),
        ("{name: x, roles: [], defaults: text}", "must be a mapping"),
        ("{name: x, roles: [], defaults: {a: !public {value: [1]}}}", "'value' of 'a'"),
        ("{name: x, roles: [], bind: [{type: odd}]}", "must be one of"),
        ("text", "a role must be a mapping"),
    ],
)
def test_malformed_roles(role: str, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(f"name: w\nroles:\n  - {role}\n")
    assert reason in str(caught.value)
    assert "workflows/w.yaml@1234567890:3" in str(caught.value)


def test_a_root_is_always_an_aggregator() -> None:
    workflow = parse("name: w\ntask: {load: x}\nunknown: 1")
    assert workflow.root.roles == ()
    assert not workflow.public


def test_a_description_for_listings() -> None:
    text = """name: !public w
description: not public
defaults:
  a: !public
    value: 5
    type: number
    label: A
    description: first
    widget: slider
    panel: P
    values: ["1", 9]
    index: -3
    visibleif: $$b === "true"
    enabledif: c
    rows: 2
  scalar: !public x
roles:
  - name: r
    vars:
      b: !public {value: x, type: strange, widget: detectorSelector}
    roles: []
"""
    description = describe_template(template(text))
    assert (description.name, description.public, description.description) == ("w", True, "")
    assert description.variables == {
        "a": VariableSpecification(
            "5", "number", "A", "first", "slider", "P", ("1", "9"), -3, '$$b === "true"', "c", 2
        ),
        "b": VariableSpecification("x", in_defaults=False),
    }


def test_a_public_variable_is_there_once() -> None:
    text = "name: w\ndefaults: {a: !public {}}\nvars: {a: !public {}}"
    with pytest.raises(TemplateError, match="twice"):
        describe_template(template(text))
