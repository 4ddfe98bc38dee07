"""YAML documents: source texts, lines, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.errors import Location, TemplateError
from aliecs.language import document as module
from aliecs.language.document import Document, MappingNode, ScalarNode, parse_document


def parse(text: str) -> tuple[Document, MappingNode]:
    document = parse_document(text.encode(), "file.yaml")
    return document, document.mapping(document.root, "the file")


@pytest.mark.parametrize("text", ["1.50", "True", "0x10", "017", "1:30", "on", "1e3", "'quoted'"])
def test_scalars_are_their_source_text(text: str) -> None:
    document, node = parse(f"key: {text}")
    assert document.field(node, "key").text == text.strip("'")


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_null_is_absent(text: str) -> None:
    document, node = parse(f"key: {text}\nother: 1")
    assert node.get("key") is None
    assert document.field(node, "key", "default").text == "default"
    assert document.sequence(node, "key") == ()


@pytest.mark.parametrize("text", ["'~'", '""', "'null'"])
def test_a_quoted_null_is_a_text(text: str) -> None:
    _, node = parse(f"key: {text}")
    assert isinstance(node.get("key"), ScalarNode)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("y", True), ("'yes'", True), ("on", True), ("N", False),
     ("'off'", False), ("", True)],
)  # fmt: skip
def test_booleans(text: str, value: bool) -> None:
    document, node = parse(f"key: {text}")
    assert document.boolean(node, "key", default=True) is value


@pytest.mark.parametrize("text", ["'false'", "0", "1", "maybe", "[true]"])
def test_other_booleans_are_refused(text: str) -> None:
    document, node = parse(f"key: {text}")
    with pytest.raises(TemplateError, match="must be true or false"):
        document.boolean(node, "key", default=True)


def test_numbers() -> None:
    document, node = parse("i: '4'\nf: 0.15\nn:\nbad: x\nnegative: -1\nnan: .nan")
    assert document.integer(node, "i", 0) == 4
    assert document.number(node, "f") == 0.15
    assert document.number(node, "n") is None
    with pytest.raises(TemplateError, match="whole number"):
        document.integer(node, "bad", 0)
    for key in ("bad", "negative", "nan"):
        with pytest.raises(TemplateError, match="zero or more"):
            document.number(node, key)


def test_lines_and_tags() -> None:
    document, node = parse("a: 1\n\nb: !public\n  value: x\n")
    entry = node.entries["b"]
    assert (entry.line, entry.value.tag, entry.value.line) == (3, "!public", 3)
    assert document.field(node, "a").line == 1
    assert str(document.error(entry, "wrong")) == "file.yaml:3: wrong"


def test_folded_texts() -> None:
    document, node = parse("a: >-\n  one\n  two\nb: |\n  x\n")
    assert document.field(node, "a").text == "one two"
    assert document.field(node, "b").text == "x\n"


def test_anchors_aliases_and_merges() -> None:
    text = "base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\nagain: *base\n"
    document, node = parse(text)
    use = document.mapping(node.get("use"), "use")
    assert {key: document.field(use, key).text for key in use.entries} == {"b": "3", "a": "1"}
    assert node.entries["again"].is_alias
    assert not node.entries["base"].is_alias


def test_merging_several() -> None:
    document, node = parse("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc:\n  <<: [*a, *b]\n")
    merged = document.mapping(node.get("c"), "c")
    assert {key: document.field(merged, key).text for key in merged.entries} == {"x": "1", "y": "2"}


def test_only_the_first_document_counts() -> None:
    _, node = parse("a: 1\n---\nb: 2\n")
    assert list(node.entries) == ["a"]


@pytest.mark.parametrize(
    ("text", "reason", "location"),
    [
        ("a: 1\nb: 2\na: 3", "already given in line 1", Location("f", 3, 1)),
        ("a: {b: 1, b: 2}", "already given in line 1", Location("f", 1, 11)),
        ("a: [1", "not valid YAML", Location("f", 2, 1)),
        ("a: b: c", "not valid YAML", Location("f", 1, 5)),
        ("", "is empty", Location("f")),
        ("# nothing", "is empty", Location("f")),
        ("a: &x [*x]", "is inside itself", Location("f", 1, 8)),
        ("a: *y", "is not defined above", Location("f", 1, 4)),
        ("[a]: 1", "key must be a single value", Location("f", 1, 1)),
        ("<<: text", "only mappings can be merged", Location("f", 1, 5)),
        ("[" * 100, "levels deep", Location("f", 1, 66)),
    ],
)
def test_faults_have_their_place(text: str, reason: str, location: Location) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_document(text.encode(), "f")
    assert reason in caught.value.reason
    assert caught.value.location == location


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(TemplateError, match="f:2: the file is not UTF-8"):
        parse_document(b"a: 1\nb: \xff", "f")


def test_aliases_cannot_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(TemplateError, match=f"more than {module.MOST_NODES} values"):
        parse_document("\n".join(lines).encode(), "f")


def test_a_large_file_is_refused() -> None:
    with pytest.raises(TemplateError, match="bytes"):
        parse_document(b"#" * (module.LARGEST_TEXT + 1), "f")


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_rubbish_is_a_document_or_an_error(text: bytes) -> None:
    with contextlib.suppress(TemplateError):
        parse_document(text, "f")
