"""Keys, and the two shapes of a tree."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.configuration.tree import changed, checked_value, flatten, nest, normal_key
from aliecs.errors import Conflict, InvalidInput, TemplateError
from aliecs.language.document import parse_document

segments = st.text("abc[]01.-_ é", min_size=1, max_size=4).filter(lambda s: s not in (".", ".."))
keys = st.lists(segments, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize("key", ["a", "a/b", "/a/b", "a/b/", "a b/ü"])
def test_normal_keys(key: str) -> None:
    assert normal_key(key) == key.strip("/")


@pytest.mark.parametrize("key", ["", "/", "a//b", "..", "a/../b", "./a", "a\nb", "a" * 1001])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(InvalidInput):
        normal_key(key)


def test_values_have_bounds() -> None:
    assert checked_value("a", "ü\x00") == "ü\x00"
    with pytest.raises(InvalidInput, match="more than"):
        checked_value("a", "x" * (4 * 1024 * 1024 + 1))
    with pytest.raises(InvalidInput, match="no encoding"):
        checked_value("a", "\ud800")


def flat(text: str) -> dict[str, str]:
    return flatten(parse_document(text.encode(), "tree.yaml"))


def test_flattening_keeps_scalars_as_they_are_written() -> None:
    assert flat("a: {b: 1.50, c: true, 'd': '', e: 0228}\nf:\n  - x\n  - {g: y}\nh: {}\ni:\n") == {
        "a/b": "1.50",
        "a/c": "true",
        "a/d": "",
        "a/e": "0228",
        "f[0]": "x",
        "f[1]/g": "y",
        "h/": "",
        "i": "",
    }


@pytest.mark.parametrize("text", ["- a", "text", "a: {'..': b}", "a: {b/../c: d}"])
def test_what_is_no_tree(text: str) -> None:
    with pytest.raises(TemplateError, match=r"tree\.yaml:1"):
        flat(text)


def test_lists_come_back_as_lists() -> None:
    values = flat("a: [x, [y, z], {b: c}]\n")
    assert nest(values) == {"a": ["x", ["y", "z"], {"b": "c"}]}
    assert nest({"a[1]": "no zero"}) == {"a[1]": "no zero"}
    assert nest({"[0]": "no name", ".[0]": "x"}) == {"[0]": "no name", ".[0]": "x"}
    assert nest({"a[0]": "x", "a": "y"}) == {"a[0]": "x", "a": "y"}


@given(st.dictionaries(keys, st.text("xyz", max_size=3)))
def test_nesting_and_flattening_are_inverse(values: dict[str, str]) -> None:
    try:
        tree = changed({}, values)
    except Conflict:
        return
    assert flat(json.dumps(nest(tree))) == tree


@given(st.dictionaries(keys, st.text("xyz", max_size=3)))
def test_a_key_has_a_value_or_keys_below_it(values: dict[str, str]) -> None:
    try:
        tree = changed({}, values)
    except Conflict:
        tree = {}
    assert not any(other.startswith(f"{key}/") for key in tree for other in tree)
