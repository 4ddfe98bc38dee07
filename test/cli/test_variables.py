"""Variables as they are given on the command line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.cli.variables import parse_payload, parse_variables
from aliecs.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("a=b,c=d", {"a": "b", "c": "d"}),
        (" a=b ", {"a": "b"}),
        ("a = b , c=d", {"a": "b", "c": "d"}),
        ('"a=b,c",d=e', {"a": "b,c", "d": "e"}),
        ("a='b'", {"a": "b"}),
        ("a=b\nc=d", {"a": "b"}),
        (
            '{"a":1,"b":[1,2],"c":"x","d":true,"e":{"f":"ü"}}',
            {"a": "1", "b": "[1,2]", "c": "x", "d": "true", "e": '{"f":"ü"}'},
        ),
        ("{}", {}),
    ],
)
def test_variables(text: str, variables: dict[str, str]) -> None:
    assert parse_variables(text) == variables


@pytest.mark.parametrize(
    "text", ["", "  ", "a=", "a=b=c", '"a=b,c"', "[1]", "a", "a=b,", 'a=["x"]', '"a=b,c', "5"]
)
def test_what_are_no_variables(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_variables(text)


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_the_json_form_takes_every_text(variables: dict[str, str]) -> None:
    assert parse_variables(json.dumps(variables)) == variables


def test_payloads() -> None:
    payload = parse_payload('{"name": "x", "workflow": "w", "variables": {"a": 1}}', "x.json")
    assert (payload.workflow, dict(payload.variables)) == ("w", {"a": "1"})
    assert parse_payload("{}", "x").workflow == ""
    for text in ("", "[]", '{"variables": ["a"]}', '{"variables": "a"}'):
        with pytest.raises(InvalidInput, match="x"):
            parse_payload(text, "x")
