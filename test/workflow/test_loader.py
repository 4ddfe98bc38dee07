"""From templates and variables to a tree."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from typing import Any

import pytest

from aliecs.errors import (
    DeadlineExceeded,
    Exhausted,
    InvalidInput,
    NotFound,
    TemplateError,
    TemplateErrors,
    Unavailable,
)
from aliecs.interfaces import TemplateText
from aliecs.language.declaration import Channel, Constraint
from aliecs.language.state import State, Status
from aliecs.workflow import evaluator, loader
from aliecs.workflow.loader import LoadRequest, TemplateCache, Workflow, load, try_load
from aliecs.workflow.problem import MOST_PROBLEMS
from aliecs.workflow.role import CallRole, TaskRole

from ..language.sources import DictSources
from .trees import at

CACHE = TemplateCache()
TASKS = {"cls": "name: cls", "other": "name: other"}
IDENTIFIER = "example.org/team/Workflows/tasks/cls@0123456789abcdef0123456789abcdef01234567"


def make(
    roles: str = "",
    head: str = "",
    variables: Mapping[str, str] | None = None,
    sources: DictSources | None = None,
    **more: Any,
) -> Workflow:
    """Load a workflow `w` with these `roles` and whatever else is at its `head`."""
    sources = sources or DictSources(tasks=TASKS)
    sources.workflows["w"] = f"name: w\n{head}\nroles:\n{roles}"
    return load(LoadRequest("w", "env1", variables or {}, **more), sources, CACHE)


TASK = "task: {load: cls}"


def paths(workflow: Workflow) -> list[str]:
    return [role.path for role in workflow.root.walk()]


def test_a_small_workflow() -> None:
    workflow = make(
        f"  - {{name: a, {TASK}}}\n"
        "  - name: b\n"
        "    call: {func: testplugin.Test(), trigger: before_CONFIGURE, return: out}\n",
        head="description: !public a test",
    )
    assert paths(workflow) == ["w", "w.a", "w.b"]
    assert (workflow.name, workflow.description, workflow.public) == ("w", "a test", False)
    (task,) = workflow.task_roles
    (call,) = workflow.call_roles
    assert (task.class_identifier, task.timeout) == (IDENTIFIER, "0s")
    assert workflow.class_identifiers == (IDENTIFIER,)
    assert (call.func, call.await_, call.timeout) == (
        "testplugin.Test()",
        "before_CONFIGURE",
        "30s",
    )
    assert (call.return_, call.critical) == ("out", True)
    assert (workflow.root.state, workflow.root.status) == (State.STANDBY, Status.INACTIVE)
    assert workflow.root.stack() == {"environment_id": "env1"}
    assert workflow.hooks.at("before_CONFIGURE") == {0: ((call,), ())}
    assert workflow.warnings == ()
    assert str(task.location).endswith("workflows/w.yaml@0123456789ab:4")


# --- variables -----------------------------------------------------------------------------------


def test_precedence_is_by_class() -> None:
    workflow = make(
        "  - name: a\n"
        "    defaults: {x: own, y: own, z: own}\n"
        "    vars: {seen: '{{ x + y + z }}', own: '{{ z }}'}\n"
        f"    {TASK}\n",
        head="defaults: {x: root}\nvars: {y: root}",
        variables={"u": "user", "own": "user"},
        defaults={"x": "service", "z": "service"},
    )
    stack = at(workflow.root, "w.a").stack()
    assert stack["seen"] == "ownrootown"
    assert stack["own"] == "user"
    assert at(workflow.root, "w.a").variables["own"] == "own"


def test_service_variables_stand_between() -> None:
    sources = DictSources(tasks=TASKS)
    sources.workflows["w"] = f"name: w\ndefaults: {{x: t, y: t}}\nroles: [{{name: a, {TASK}}}]"
    request = LoadRequest("w", "e", {"y": "u"}, {"x": "d", "z": "d"}, {"x": "v", "y": "v"})
    stack = load(request, sources, CACHE).root.stack()
    assert (stack["x"], stack["y"], stack["z"]) == ("v", "u", "d")


def test_user_values_are_never_evaluated() -> None:
    workflow = make(
        f"  - {{name: a, vars: {{copy: '{{{{ u }}}}'}}, {TASK}}}", variables={"u": "{{ x }}"}
    )
    assert at(workflow.root, "w.a").stack()["copy"] == "{{ x }}"


def test_entries_of_one_map_do_not_see_each_other() -> None:
    with pytest.raises(TemplateError, match="unknown name x"):
        make(f"  - {{name: a, {TASK}}}", head="defaults: {x: '1', y: '{{ x }}'}")


def test_variables_for_one_role() -> None:
    roles = (
        "  - name: 'n-{{ k }}'\n"
        "    enabled: '{{ on }}'\n"
        "    defaults: {on: 'false'}\n"
        f"    roles: [{{name: t, {TASK}, vars: {{seen: '{{{{ x }}}}'}}}}]\n"
        f"  - {{name: b, {TASK}}}\n"
    )
    head = "defaults: {k: '1', on: 'false', x: '0'}"
    workflow = make(roles, head, {"w.n-1:on": "true", "w.n-1:x": "5", "w:k": "1"})
    assert at(workflow.root, "w.n-1").user_variables == {"on": "true", "x": "5"}
    assert at(workflow.root, "w.n-1.t").stack()["seen"] == "5"
    assert at(workflow.root, "w.b").stack()["x"] == "0"
    with pytest.raises(InvalidInput, match=r"roles that do not exist: w\.nope"):
        make(roles, head, {"w.nope:x": "1"})


# --- enabled -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["true", "'1'", "' TRUE '", "\"{{ 'true' }}\"", "~"])
def test_enabled(text: str) -> None:
    workflow = make(f"  - {{name: a, enabled: {text}, {TASK}}}\n  - {{name: b, {TASK}}}")
    assert paths(workflow) == ["w", "w.a", "w.b"]


@pytest.mark.parametrize("text", ["false", "yes", "on", "''", "\"{{ 'x' }}\""])
def test_disabled(text: str) -> None:
    workflow = make(
        f"  - {{name: '{{{{ nope }}}}', enabled: {text}, {TASK}}}\n  - {{name: b, {TASK}}}"
    )
    assert paths(workflow) == ["w", "w.b"]
    assert workflow.warnings == ()


def test_an_error_in_enabled_disables_with_a_warning() -> None:
    workflow = make(f"  - {{name: a, enabled: '{{{{ nope }}}}', {TASK}}}\n  - {{name: b, {TASK}}}")
    assert paths(workflow) == ["w", "w.b"]
    (warning,) = workflow.warnings
    assert warning.role_path == "w.a"
    assert warning.location.line == 4
    assert "the role is disabled, because enabled: unknown name nope in {{ nope }}" in warning.text


def test_empty_aggregators_go() -> None:
    workflow = make(
        "  - {name: a, roles: []}\n"
        f"  - {{name: b, roles: [{{name: c, enabled: 'false', {TASK}}}]}}\n"
        f"  - {{name: d, roles: [{{name: e, for: {{range: '[]', var: i}}, {TASK}}}]}}\n"
        f"  - {{name: f, {TASK}}}\n"
    )
    assert paths(workflow) == ["w", "w.f"]


@pytest.mark.parametrize("head", ["enabled: 'false'", ""])
def test_a_workflow_with_nothing_to_run_is_an_error(head: str) -> None:
    with pytest.raises(TemplateError, match="nothing is left to run"):
        make(f"  - {{name: a, enabled: 'false', {TASK}}}", head)


# --- iterators -----------------------------------------------------------------------------------


def test_ranges() -> None:
    workflow = make(
        "  - name: 'host-{{ it }}'\n"
        "    for: {range: '{{ hosts }}', var: it}\n"
        "    constraints: [{attribute: machine_id, value: '{{ it }}'}]\n"
        "    roles:\n"
        "      - name: 'n{{ n }}'\n"
        "        for: {begin: '0', end: '{{ last }}', var: n}\n"
        f"        {TASK}\n",
        head="defaults: {last: '1'}",
        variables={"hosts": '["x","y"]'},
    )
    assert paths(workflow) == [
        "w", "w.host-x", "w.host-x.n0", "w.host-x.n1", "w.host-y", "w.host-y.n0", "w.host-y.n1",
    ]  # fmt: skip
    leaf = at(workflow.root, "w.host-y.n1")
    assert leaf.effective_constraints() == (Constraint("machine_id", "y"),)
    assert (leaf.stack()["it"], leaf.stack()["n"]) == ("y", "1")


def test_instances_may_be_disabled_one_by_one() -> None:
    workflow = make(
        "  - name: '{{ it }}'\n"
        "    enabled: \"{{ it == 'b' }}\"\n"
        '    for: {range: \'["a","b"]\', var: it}\n'
        f"    {TASK}\n"
    )
    assert paths(workflow) == ["w", "w.b"]


@pytest.mark.parametrize("text", ["'null'", "'[]'"])
def test_no_instances(text: str) -> None:
    workflow = make(
        f"  - {{name: a, for: {{range: {text}, var: i}}, {TASK}}}\n  - {{name: b, {TASK}}}"
    )
    assert paths(workflow) == ["w", "w.b"]


@pytest.mark.parametrize(
    ("loop", "reason"),
    [
        ("{range: '[1]', var: i}", "JSON list of strings"),
        ("{range: 'a', var: i}", "JSON list of strings"),
        ("{range: '{}', var: i}", "JSON list of strings"),
        ("{range: '{{ nope }}', var: i}", "unknown name nope"),
        ("{range: '{{ Parent().Name }}', var: i}", "unknown function Parent"),
        ("{begin: a, end: '1', var: i}", "'begin' must be a whole number"),
        ("{begin: '0', end: '999999999', var: i}", "instances"),
    ],
)
def test_malformed_ranges(loop: str, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        make(f"  - {{name: a, for: {loop}, {TASK}}}")
    assert reason in str(caught.value)


def test_an_iterators_variable_wins_everywhere() -> None:
    workflow = make(
        "  - name: 'h-{{ it }}'\n"
        "    for: {range: '[\"a\"]', var: it}\n"
        "    vars: {it: own, seen: '{{ it }}'}\n"
        f"    roles: [{{name: t, vars: {{below: '{{{{ it }}}}'}}, {TASK}}}]\n",
        variables={"it": "user"},
    )
    stack = at(workflow.root, "w.h-a.t").stack()
    assert (stack["it"], stack["seen"], stack["below"]) == ("a", "a", "a")


# --- expressions in fields -----------------------------------------------------------------------


def test_fields_of_roles() -> None:
    workflow = make(
        "  - name: outer\n"
        "    roles:\n"
        "      - name: 't-{{ k }}'\n"
        "        connect:\n"
        "          - {name: c, target: ' {{ Parent().Path }}.x:y '}\n"
        "          - {name: d, target: '::alias', rateLogging: '{{ rate }}'}\n"
        "        bind: [{name: b, global: 'g-{{ Up(2).Name }}'}]\n"
        "        task:\n"
        "          load: '{{ which }}'\n"
        "          trigger: 'before_{{ t }}+1'\n"
        "          timeout: '{{ k }}s'\n",
        head="defaults: {k: '5', which: cls, t: CONFIGURE}",
    )
    (task,) = workflow.task_roles
    assert task.path == "w.outer.t-5"
    assert task.connect == (
        Channel("c", target="w.outer.x:y"),
        Channel("d", target="::alias", rate_logging="{{ rate }}"),
    )
    assert task.bind == (Channel("b", global_alias="g-w"),)
    assert (task.trigger, task.await_, task.timeout) == (
        "before_CONFIGURE+1",
        "before_CONFIGURE+1",
        "5s",
    )


def test_all_errors_of_siblings_are_told() -> None:
    with pytest.raises(TemplateErrors) as caught:
        make(
            f"  - {{name: '{{{{ a }}}}', {TASK}}}\n"
            f"  - {{name: b, {TASK}}}\n"
            "  - name: c\n"
            f"    roles: [{{name: d, vars: {{v: '{{{{ 1 + }}}}'}}, {TASK}}}]\n"
            "  - {name: e, task: {load: missing}}\n"
        )
    errors = caught.value.errors
    assert [(e.role_path, e.location.line if e.location else 0) for e in errors] == [
        ("w.{{ a }}", 4),
        ("w.c.d", 7),
        ("w.e", 8),
    ]
    assert "v: the expression ends too early in {{ 1 + }}" in str(errors[1])
    assert "task class 'missing': there is no task template missing" in str(errors[2])


def test_a_flood_of_errors_is_cut() -> None:
    roles = "".join(f"  - {{name: '{{{{ nope{number} }}}}', {TASK}}}\n" for number in range(300))
    with pytest.raises(TemplateErrors) as caught:
        make(roles)
    assert len(caught.value.errors) == MOST_PROBLEMS


def test_the_same_error_of_many_roles_is_told_once() -> None:
    with pytest.raises(TemplateError) as caught:
        make(
            "  - name: 'host-{{ i }}'\n    for: {begin: '1', end: '200', var: i}\n"
            f"    vars: {{v: '{{{{ nope }}}}'}}\n    {TASK}\n"
        )
    assert str(caught.value).endswith("(role w.host-{{ i }} and 199 more)")


def attempt(
    roles: str, sources: DictSources | None = None
) -> tuple[Workflow | None, list[tuple[int, str]]]:
    """What a thorough load makes, and the lines and reasons of its errors."""
    sources = sources or DictSources(tasks=TASKS)
    sources.workflows["w"] = f"name: w\nroles:\n{roles}"
    workflow, errors = try_load(LoadRequest("w", "env1", thorough=True), sources, CACHE)
    return workflow, [(e.location.line if e.location else 0, e.reason) for e in errors]


def test_a_check_finds_everything_at_once() -> None:
    workflow, errors = attempt(
        "  - name: a\n"
        "    defaults: {x: '{{ nope }}', y: '{{ 1 + }}'}\n"
        "    constraints: [{attribute: m, value: '{{ gone }}'}]\n"
        "    vars:\n"
        "      z: '{{ x }}'\n"
        "      q: '{{ away }}'\n"
        f"    {TASK}\n"
        "  - name: b\n"
        "    for: {range: '{{ hosts }}', var: it}\n"
        f"    {TASK}\n"
        "  - {name: c, include: missing}\n"
        "  - {name: d, task: {load: gone}}\n"
        f"  - {{name: e, enabled: '{{{{ no }}}}', {TASK}}}\n"
    )
    assert workflow is not None
    assert paths(workflow) == ["w", "w.a"]
    assert [line for line, _ in errors] == [4, 4, 8, 5, 11, 13, 14]
    assert "unknown name nope" in errors[0][1]
    (warning,) = workflow.warnings
    assert "the role is disabled, because enabled: unknown name no" in warning.text


def test_a_check_of_what_cannot_be_understood() -> None:
    workflow, errors = attempt(
        f"  - {{name: a, {TASK}, roles: []}}\n"
        "  - {name: b}\n"
        f"  - {{name: c, for: {{var: x}}, {TASK}}}\n"
        f"  - {{name: d, {TASK}}}\n"
    )
    assert workflow is None
    assert [line for line, _ in errors] == [3, 4, 5]


def test_hooks_that_never_come_are_told() -> None:
    workflow = make(
        "  - {name: a, call: {func: testplugin.Noop(), trigger: CONFIGURE, critical: false}}"
    )
    (warning,) = workflow.warnings
    assert "'CONFIGURE': the moment 'CONFIGURE' never comes (role w.a)" in str(warning)


def test_failed_inquiries_are_told_with_their_place() -> None:
    workflow = make(
        f"  - {{name: a, vars: {{d: \"{{{{ inventory.DetectorForHost('x') }}}}\"}}, {TASK}}}"
    )
    assert "error" in at(workflow.root, "w.a").stack()["d"]
    (warning,) = workflow.warnings
    assert (warning.role_path, warning.location.line) == ("w.a", 4)


# --- includes ------------------------------------------------------------------------------------

INNER = """name: whatever
defaults: {a: inner, b: inner}
vars: {v: inner}
constraints: [{attribute: x, value: inner}]
connect: [{name: c, target: inner}]
roles:
  - name: t
    vars: {seen: "{{ a + v + it }}"}
    task: {load: other}
"""


def test_includes() -> None:
    sources = DictSources(workflows={"inner": INNER}, tasks=TASKS)
    workflow = make(
        "  - name: 'i-{{ it }}'\n"
        "    for: {range: '[\"1\"]', var: it}\n"
        "    include: '{{ which }}'\n"
        "    defaults: {a: include, d: include}\n"
        "    vars: {v: include}\n"
        "    constraints: [{attribute: x, value: outer}, {attribute: y, value: outer}]\n"
        "    connect: [{name: c, target: outer}, {name: d, target: outer}]\n",
        head="defaults: {which: inner}",
        sources=sources,
    )
    assert paths(workflow) == ["w", "w.i-1", "w.i-1.t"]
    role = at(workflow.root, "w.i-1")
    assert role.defaults == {"a": "inner", "b": "inner", "d": "include"}
    assert role.variables == {"v": "inner", "it": "1"}
    assert role.constraints == (Constraint("x", "inner"), Constraint("y", "outer"))
    assert role.connect == (Channel("c", target="inner"), Channel("d", target="outer"))
    assert at(workflow.root, "w.i-1.t").stack()["seen"] == "innerinner1"
    assert sources.asked[1] == f"{sources.repository}/workflows/inner@{sources.revision}"


@pytest.mark.parametrize(
    ("include", "asked"),
    [
        ("inner@rev", "example.org/team/Workflows/workflows/inner@rev"),
        ("a.org/b/c/workflows/inner@rev", "a.org/b/c/workflows/inner@rev"),
        ("a.org/b/c/workflows/inner", "a.org/b/c/workflows/inner"),
    ],
)
def test_include_expressions(include: str, asked: str) -> None:
    sources = DictSources(workflows={"inner": INNER.replace("+ it", "")}, tasks=TASKS)
    make(f"  - {{name: i, include: {include}}}", sources=sources)
    assert sources.asked[1] == asked


def test_an_include_may_be_disabled() -> None:
    empty = "name: inner\nenabled: 'false'\nroles: [{name: t, task: {load: cls}}]"
    workflow = make(
        f"  - {{name: a, include: inner}}\n"
        f"  - {{name: b, enabled: 'false', include: '{{{{ nope }}}}'}}\n  - {{name: c, {TASK}}}",
        sources=DictSources(workflows={"inner": empty}, tasks=TASKS),
    )
    assert paths(workflow) == ["w", "w.c"]


def test_faults_of_an_included_file_name_that_file() -> None:
    broken = "name: inner\nroles:\n  - {name: t, task: {load: '{{ nope }}'}}"
    with pytest.raises(TemplateError, match=r"inner\.yaml@0123456789ab:3: .* \(role w\.i\.t\)"):
        make("  - {name: i, include: inner}",
             sources=DictSources(workflows={"inner": broken}, tasks=TASKS))  # fmt: skip


def test_a_missing_include() -> None:
    with pytest.raises(TemplateError, match=r"w\.yaml@.*:4: include 'nope': there is no workflow"):
        make("  - {name: i, include: nope}")


def test_includes_without_end() -> None:
    endless = "name: inner\nroles: [{name: again, include: inner}]"
    with pytest.raises(TemplateError, match=r"includes without end: .*inner\.yaml"):
        make("  - {name: i, include: inner}",
             sources=DictSources(workflows={"inner": endless}, tasks=TASKS))  # fmt: skip


def test_a_generated_workflow_is_included() -> None:
    sources = DictSources(workflows={"jit-1": INNER}, tasks=TASKS, jit={"tpc": "run {{ it }}"})
    workflow = make(
        "  - {name: i, vars: {it: x}, include: \"{{ dpl.GenerateFromUri('tpc') }}\"}",
        sources=sources,
    )
    assert paths(workflow) == ["w", "w.i", "w.i.t"]
    assert sources.generated[0][0].endswith("&& run x")


# --- task classes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("cls", IDENTIFIER),
        ("cls@rev", "example.org/team/Workflows/tasks/cls@rev"),
        ("a.org/b/c/tasks/cls@rev", "a.org/b/c/tasks/cls@rev"),
        ("a.org/b/c/tasks/cls", "a.org/b/c/tasks/cls"),
    ],
)
def test_class_identifiers(name: str, asked: str) -> None:
    sources = DictSources(tasks=TASKS)
    make(f"  - {{name: a, task: {{load: {name}}}}}", sources=sources)
    assert sources.asked[-1] == asked


def test_each_class_is_asked_for_once() -> None:
    sources = DictSources(tasks=TASKS)
    roles = (
        "  - {name: '{{ i }}', for: {begin: '1', end: '50', var: i}, task: {load: cls}}\n"
        "  - {name: o, task: {load: other}}"
    )
    workflow = make(roles, sources=sources)
    assert len(sources.asked) == 3
    assert [i.split("/")[-1].split("@")[0] for i in workflow.class_identifiers] == ["cls", "other"]


# --- the whole -----------------------------------------------------------------------------------


def test_the_name_is_that_of_the_file() -> None:
    with pytest.raises(TemplateError, match="the name 'x' differs from that of the file, 'w'"):
        sources = DictSources(workflows={"w": "name: x\nroles: []"})
        load(LoadRequest("w", "e"), sources, CACHE)


def test_unknown_workflows_and_addresses() -> None:
    with pytest.raises(NotFound):
        load(LoadRequest("nope", "e"), DictSources(), CACHE)
    with pytest.raises(InvalidInput, match="is an address"):
        load(LoadRequest("file:///etc/passwd", "e"), DictSources(), CACHE)


@pytest.mark.parametrize("error", [Unavailable, DeadlineExceeded])
def test_what_sources_say_of_themselves_passes(error: type[Exception]) -> None:
    class Away(DictSources):
        def task_class(self, identifier: str) -> TemplateText:
            raise error("away")

    with pytest.raises(error):
        make(f"  - {{name: a, {TASK}}}", sources=Away())


def test_the_number_of_roles_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MOST_ROLES", 20)
    with pytest.raises(Exhausted, match="more than 20 roles"):
        make(f"  - {{name: '{{{{ i }}}}', for: {{begin: '1', end: '30', var: i}}, {TASK}}}")
    assert evaluator.MOST_ROLES > 20


def test_templates_are_parsed_once() -> None:
    cache = TemplateCache()
    sources = DictSources(workflows={"w": f"name: w\nroles: [{{name: a, {TASK}}}]"}, tasks=TASKS)
    text = sources.workflow("w")
    assert cache.template(text) is cache.template(text)
    sources.workflows["w"] += "\n# other"
    assert cache.template(sources.workflow("w")).text.text.endswith(b"# other")


def test_dumping_is_an_effect() -> None:
    role = f"  - {{name: a, vars: {{d: \"{{{{ util.Dump('t', 'n') }}}}\"}}, {TASK}}}"
    written: dict[str, str] = {}
    make(role, dump=written.__setitem__, effects=False)
    assert written == {}
    make(role, dump=written.__setitem__)
    assert written == {"n": "t"}


def test_plugin_functions_serve_every_template() -> None:
    role = f"  - {{name: a, vars: {{d: \"{{{{ testplugin.test('x') }}}}\"}}, {TASK}}}"
    functions = {"testplugin": {"test": lambda value: f"{value}_data"}}
    assert at(make(role, plugin_functions=functions).root, "w.a").stack()["d"] == "x_data"


def test_calls_are_evaluated() -> None:
    workflow = make("  - {name: c, call: {func: 'testplugin.Test(x)', trigger: DESTROY}}")
    (call,) = workflow.call_roles
    assert isinstance(call, CallRole)
    variables = {"x": "1"}

    async def later(text: str) -> str:
        return text + "!"

    def now(text: str) -> str:
        return text

    answer = workflow.evaluate_call(call, variables, {"testplugin": {"Test": now}}, None)
    assert answer == "1"
    answer = workflow.evaluate_call(call, variables, {"testplugin": {"Test": later}}, None)
    assert isinstance(answer, Awaitable)
    steps = answer.__await__()
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "1!"


def test_a_workflow_survives_as_a_document() -> None:
    workflow = make(
        f"  - {{name: a, {TASK}}}\n"
        "  - {name: c, call: {func: 'f.g()', trigger: DESTROY, return: r}}",
        head="defaults: {x: '1'}",
        variables={"u": "2"},
        defaults={"d": "3"},
    )
    workflow.variables["later"] = "4"
    document = json.loads(json.dumps(workflow.to_document()))
    again = Workflow.from_document(document, CACHE.compiler)
    assert again.to_document() == workflow.to_document()
    assert paths(again) == paths(workflow)
    assert at(again.root, "w.a").stack() == at(workflow.root, "w.a").stack()
    assert again.class_texts == workflow.class_texts
    assert (again.template.repository, again.template.text) == (workflow.template.repository, b"")
    told: list[str] = []
    again.listener = lambda role, change: told.append(role.name)
    (task,) = again.task_roles
    assert isinstance(task, TaskRole)
    task.set_state(State.CONFIGURED)
    assert told == ["a", "w"]
