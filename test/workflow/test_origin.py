"""Where the values of variables come from."""

from __future__ import annotations

from aliecs.workflow.loader import LoadRequest, TemplateCache, load
from aliecs.workflow.origin import Explanation, Origins

from ..language.sources import DictSources
from .trees import at

OUTER = """\
name: w
defaults:
  a: root
  b: "{{ 'x' }}"
vars:
  v: root
roles:
  - name: "host-{{ it }}"
    for: { begin: "1", end: "2", var: it }
    defaults:
      a: host
    roles:
      - name: inner
        include: inner
        defaults: { i: include }
        vars:
          c: include
"""
INNER = """\
name: inner
defaults:
  i: body
roles:
  - name: t
    vars:
      v: task
      never: '{{ it }}'
    task: { load: cls }
"""


def explained(**names: str) -> dict[str, Explanation]:
    sources = DictSources(workflows={"w": OUTER, "inner": INNER}, tasks={"cls": "name: cls"})
    cache = TemplateCache()
    request = LoadRequest(
        "w",
        "env1",
        user_variables={"v": "user", "w.host-2.inner.t:mine": "one"},
        defaults={"a": "service", "d": "service", "own": "core"},
        variables={"s": "service"},
    )
    workflow = load(request, sources, cache)
    workflow.root.set_variable("run_number", "7")
    origins = Origins(cache.of_file, frozenset({"v"}), frozenset({"a", "d", "s"}))
    role = at(workflow.root, "w.host-2.inner.t")
    return {one.name: one for one in origins.explain(role)}


def told(explanation: Explanation) -> list[tuple[str, str, str, str, str]]:
    values = [(explanation.value, explanation.origin), *explanation.overrides]
    return [
        (
            value,
            origin.layer.value,
            origin.role,
            origin.source.value,
            f"{origin.location.file.split('/')[-1].split('@')[0]}:{origin.location.line}"
            if origin.location
            else "",
        )
        for value, origin in values
    ]


def test_what_a_role_inherits() -> None:
    found = explained()
    assert told(found["a"]) == [
        ("host", "default", "w.host-2", "template", "w.yaml:11"),
        ("root", "default", "w", "template", "w.yaml:3"),
        ("service", "default", "", "configuration", ""),
    ]
    assert told(found["b"]) == [("x", "default", "w", "template", "w.yaml:4")]
    assert told(found["d"]) == [("service", "default", "", "configuration", "")]
    assert told(found["own"]) == [("core", "default", "", "core", "")]
    assert told(found["s"]) == [("service", "var", "", "configuration", "")]


def test_the_request_over_vars() -> None:
    found = explained()
    assert told(found["v"]) == [
        ("user", "user variable", "", "request", ""),
        ("task", "var", "w.host-2.inner.t", "template", "inner.yaml:7"),
        ("root", "var", "w", "template", "w.yaml:6"),
    ]
    assert told(found["mine"]) == [
        ("one", "user variable", "w.host-2.inner.t", "request", ""),
    ]
    assert told(found["environment_id"]) == [("env1", "user variable", "", "core", "")]
    assert told(found["run_number"]) == [("7", "var", "w", "core", "")]


def test_iterators_and_includes() -> None:
    found = explained()
    assert told(found["it"]) == [("2", "var", "w.host-2", "iterator", "w.yaml:8")]
    assert told(found["never"]) == [
        ("2", "var", "w.host-2.inner.t", "template", "inner.yaml:8"),
    ]
    assert told(found["c"]) == [("include", "var", "w.host-2.inner", "template", "w.yaml:17")]
    assert told(found["i"]) == [("body", "default", "w.host-2.inner", "template", "inner.yaml:3")]


def test_some_names_only() -> None:
    sources = DictSources(workflows={"w": OUTER, "inner": INNER}, tasks={"cls": "name: cls"})
    workflow = load(LoadRequest("w", "env1"), sources)
    # Without the templates, as after a restart, the roles are still told.
    (one,) = Origins(lambda file: None).explain(workflow.root, {"a"})
    assert (one.name, one.value, one.origin.role, one.origin.location) == ("a", "root", "w", None)
