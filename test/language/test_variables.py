"""Layers of variables."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from aliecs.language.variables import Layers, Stack

maps = st.dictionaries(st.sampled_from("abcde"), st.sampled_from("123"), max_size=4)


@given(st.lists(maps, min_size=1, max_size=4))
def test_a_stack_is_its_flattened_layers(layers: list[Mapping[str, str]]) -> None:
    stack = Stack(*layers)
    flattened: dict[str, str] = {}
    for layer in reversed(layers):
        flattened.update(layer)
    assert stack == flattened
    assert len(stack) == len(flattened)
    for key in "abcdef":
        assert stack.get(key) == flattened.get(key)
        assert (key in stack) == (key in flattened)


@given(st.lists(st.tuples(maps, maps, maps), max_size=4), maps)
def test_class_comes_before_nearness(
    roles: list[tuple[dict[str, str], dict[str, str], dict[str, str]]], local: dict[str, str]
) -> None:
    layers = Layers()
    expected: dict[str, str] = {}
    for defaults, variables, user_variables in roles:
        layers = layers.extended(defaults, variables, user_variables)
    for kind in range(3):
        for role in roles:
            expected.update(role[kind])
    expected.update(local)
    assert layers.stack(local) == expected


def test_roles_without_entries_share_what_they_see() -> None:
    layers = Layers({"a": "1"})
    assert layers.extended({}, {}, {}) is layers
    assert layers.extended(variables={"b": "2"}).defaults is layers.defaults


# The layers of the reference's own tests.
D1 = {"dcs_enabled": "false", "dd_enabled": "true", "pdp_workflow_parameters": "QC,CALIB",
      "user": "flp", "extra_env_vars": ""}  # fmt: skip
D2 = {"detector": "", "dpl_workflow": "{{ x }}", "dpl_command": "{{ y }}", "it": "{{ z }}",
      "stfs_shm_segment_size": "{{ w }}", "user": "epn"}  # fmt: skip
V1 = {"auto_stop_enabled": "a", "ddsched_enabled": "b", "odc_enabled": "c", "odc_topology": "d"}
V2 = {
    "detector": "{{ d }}",
    "dpl_workflow": "12345",
    "dpl_command": "",
    "stfs_shm_segment_size": "",
}
U1 = {"ccdb_enabled": "true", "ccdb_host": "", "dd_enabled": "false",
      "pdp_workflow_parameters": ""}  # fmt: skip


def test_empty_texts_hide_as_others_do() -> None:
    stack = Layers().extended(D1, V1).extended(D2, V2, U1).stack().flattened()
    assert len(stack) == 16
    assert (stack["dd_enabled"], stack["pdp_workflow_parameters"]) == ("false", "")
    assert (stack["user"], stack["dpl_workflow"], stack["dpl_command"]) == ("epn", "12345", "")
