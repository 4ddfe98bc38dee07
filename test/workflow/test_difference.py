"""What other variables make of a tree, and whether a living one can be changed into it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.workflow.difference import Changed, Difference, RoleChange, compare, same_shape
from aliecs.workflow.loader import LoadRequest, TemplateCache, Workflow, load

from ..language.sources import DictSources
from .trees import at

TEMPLATE = """\
name: w
defaults:
  level: info
  rate: "1"
  names: '["a","b"]'
  place: here
  moment: after_CONFIGURE
  target: data
  kind: cls
roles:
  - name: "part-{{ it }}"
    for: { range: "{{ names }}", var: it }
    defaults:
      speed: "{{ rate }}/{{ it }}"
    roles:
      - name: t
        constraints: [{ attribute: machine_id, value: "{{ place }}" }]
        bind: [{ name: data, type: push, global: "{{ target }}-{{ it }}" }]
        connect: [{ name: in, type: pull, target: "w.other:{{ target }}" }]
        task: { load: "{{ kind }}" }
  - name: c
    call: { func: "f.{{ level }}()", trigger: "{{ moment }}", timeout: "{{ rate }}s" }
"""
CACHE = TemplateCache()
NAMES = ("level", "rate", "target", "kind", "unknown")


def loaded(**variables: str) -> Workflow:
    sources = DictSources(
        workflows={"w": TEMPLATE}, tasks={"cls": "name: cls", "other": "name: other"}
    )
    return load(LoadRequest("w", "e", user_variables=variables), sources, CACHE)


def difference(after: Mapping[str, str], before: Mapping[str, str]) -> Difference:
    return compare(loaded(**before).root, loaded(**after).root)


def test_what_differs_is_named_where_it_is() -> None:
    found = difference({"rate": "2", "target": "more"}, {})
    assert not found.shape
    assert found.names == {"rate", "target", "speed"}
    by_path = {change.path: change for change in found.changes}
    assert by_path[""].layers == {"user_variables": {"rate": "2", "target": "more"}}
    assert by_path["w.part-a"].layers == {"defaults": {"speed": "2/a"}}
    assert set(by_path["w.part-a.t"].attributes) == {"bind", "connect"}
    assert by_path["w.c"].attributes == {"timeout": "2s"}
    assert not difference({}, {}).changes


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"names": '["a","c"]'}, ["w.part-b would not be there", "new role w.part-c"]),
        ({"names": '["b","a"]'}, ["the roles below w would be in another order"]),
        ({"place": "there"}, ["w.part-a.t would have to run elsewhere (machine_id = there)"]),
        ({"moment": "leave_RUNNING"}, ["the trigger of role w.c would be 'leave_RUNNING'"]),
    ],
)
def test_another_shape_is_told(variables: Mapping[str, str], said: list[str]) -> None:
    shape = difference(variables, {}).shape
    for text in said:
        assert any(text in complaint for complaint in shape), shape


def test_a_tree_has_the_shape_of_itself() -> None:
    assert not same_shape(loaded().root, loaded(rate="7").root)
    assert same_shape(loaded().root, loaded(names="[]").root)


some_variables = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(["1", "2", "cls", "other"]), max_size=4
).filter(lambda chosen: chosen.get("kind", "cls") in ("cls", "other"))


@given(some_variables, some_variables)
def test_a_changed_tree_is_the_one_that_would_have_been_loaded(
    before: dict[str, str], after: dict[str, str]
) -> None:
    living, wanted = loaded(**before), loaded(**after)
    living.root.set_runtime_variable("by a call", "x")
    found = difference(after, before)
    changed = Changed.of(living.root, found)
    foreseen = {role.path: changed.stack(role) for role in living.root.walk()}
    # As the journal has it.
    document = {
        "changes": json.loads(json.dumps([change.to_document() for change in found.changes])),
        "classes": {},
    }
    assert [RoleChange.from_document(one) for one in document["changes"]] == list(found.changes)
    living.change(document)
    for role, other in zip(living.root.walk(), wanted.root.walk(), strict=True):
        assert role.stack() == {**other.stack(), "by a call": "x"} == foreseen[role.path]
        for name in ("bind", "connect", "timeout", "func", "class_identifier"):
            assert getattr(role, name, None) == getattr(other, name, None)


def test_what_a_call_has_set_stays_and_hides_what_is_above() -> None:
    living = loaded()
    at(living.root, "w.part-a").set_runtime_variable("rate", "from a call")
    changed = Changed.of(living.root, difference({"rate": "2"}, {}))
    assert changed.stack(at(living.root, "w.part-a.t"))["rate"] == "from a call"
    assert changed.stack(at(living.root, "w.part-b.t"))["rate"] == "2"
    assert changed.touches(at(living.root, "w.part-a.t"), "bind") is False
