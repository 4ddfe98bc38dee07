"""Properties: flat, nested, and whole documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.occ import Properties

names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=4)
paths = st.lists(names, min_size=1, max_size=4).map(".".join)


@given(st.dictionaries(paths, st.text(max_size=5), max_size=8))
def test_every_value_is_found_in_the_tree(flat: dict[str, str]) -> None:
    properties = Properties(flat)
    assert dict(properties) == flat
    for key, value in flat.items():
        found = properties.tree
        for name in key.split("."):
            found = found[name]
        assert (found[""] if isinstance(found, dict) else found) == value


@pytest.mark.parametrize(
    ("syntax", "text", "expected"),
    [
        ("json", '{"a": {"b": 1.50}, "c": [true, null, "x"]}',
         {"a": {"b": "1.50"}, "c": ["true", "null", "x"]}),
        ("json", '"just text"', "just text"),
        ("ini", "top=1\n; remark\n[part]\nkey = a = b\n", {"top": "1", "part": {"key": "a = b"}}),
        ("xml", '<r a="1">t<x>1</x><x>2</x><y/></r>',
         {"r": {"<xmlattr>": {"a": "1"}, "": "t", "x": ["1", "2"], "y": ""}}),
    ],
)  # fmt: skip
def test_documents_are_read(syntax: str, text: str, expected: object) -> None:
    properties = Properties({f"__ptree__:{syntax}:qc.settings": text, "qc.other": "1"})
    assert properties.tree == {"qc": {"settings": expected, "other": "1"}}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("__ptree__:json:x", "{"),
        ("__ptree__:ini:x", "no equals sign"),
        ("__ptree__:xml:x", "<a>"),
        ("__ptree__:xml:x", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
        ("__ptree__:yaml:x", "a: 1"),
        ("__ptree__:json", "{}"),
    ],
)
def test_a_bad_document_is_skipped_and_told(
    key: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    properties = Properties({key: text, "good": "1"})
    assert properties.tree == {"good": "1"}
    assert key in capsys.readouterr().err
