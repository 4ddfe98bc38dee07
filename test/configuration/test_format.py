"""Forms of payloads."""

from __future__ import annotations

import pytest

from aliecs.configuration.format import check_payload, format_of, indented_json
from aliecs.errors import InvalidInput


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.json", "json"),
        ("A.JSON", "json"),
        ("dir.yaml/a.yml", "yaml"),
        ("a.ini", "ini"),
        ("a.toml", "toml"),
        ("json", ""),
        ("a.txt", ""),
        ("-", ""),
    ],
)
def test_names_of_files(name: str, format: str) -> None:
    assert format_of(name) == format


@pytest.mark.parametrize(
    ("format", "payload"),
    [
        ("json", '"text"'),
        ("json", "[1, {}]"),
        ("yaml", ""),
        ("yml", "a: &x [1]\nb: *x\n--- second\n"),
        ("ini", "; comment\n# another\n\ntop = 1\n[a]\nb = c = d\nc =\n[b]\nb = 1\n"),
        ("toml", "[a]\nb = 1\n"),
        ("", "anything { at % all"),
    ],
)
def test_good_payloads(format: str, payload: str) -> None:
    assert check_payload("p", payload, format) == []


@pytest.mark.parametrize(
    ("format", "payload", "told"),
    [
        ("json", "", "p:1: not JSON"),
        ("json", "{\n\n'a': 1}", "p:3: not JSON"),
        ("json", "[" * 100_000, "p: not JSON: it is nested too deeply"),
        ("yaml", "a: b\n\tc", "p:2: not YAML"),
        ("yaml", "a: \x01", "not YAML"),
        ("ini", "[a\n", "p:1: not INI: a section's name ends in ]"),
        ("ini", "[a]\n= b\n", "p:2: not INI"),
        ("ini", "[a]\nb = 1\nb = 2\n", "p:3: not INI: b is there twice"),
        ("ini", "[a]\n[b]\n[a]\n", "p:3: not INI: a is there twice"),
        ("toml", "a = 1\na = 2\n", "p:2: not TOML"),
    ],
)
def test_bad_payloads(format: str, payload: str, told: str) -> None:
    with pytest.raises(InvalidInput) as error:
        check_payload("p", payload, format)
    assert told in error.value.message


def test_a_template_may_be_of_any_form_later() -> None:
    (note,) = check_payload("p", '{\n"a": {% if x %}1{% endif %}}', "json")
    assert "{% in line 2" in note
    assert check_payload("p", '{"a": "{{ b }}"}', "json") == []


def test_json_as_the_reference_writes_it() -> None:
    assert indented_json({"b": ["<é>"], "a": {}}) == (
        '{\n\t"a": {},\n\t"b": [\n\t\t"\\u003cé\\u003e"\n\t]\n}'
    )
