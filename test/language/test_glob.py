"""Patterns with wildcards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.errors import InvalidInput
from aliecs.language.glob import LONGEST_PATTERN, compile_glob


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("root", "root", True),
        ("root.*", "root.a", True),
        ("root.*", "root.a.b", False),
        ("root.**", "root.a.b", True),
        ("**", "root.a.b", True),
        ("", "root", False),
        ("", "", True),
        ("root.?", "root.a", True),
        ("root?a", "root.a", False),
        ("host-[ab]", "host-a", True),
        ("host-[!ab]", "host-a", False),
        ("host-[0-9]", "host-7", True),
        ("{a,b*}.c", "bcd.c", True),
        ("{a,{b,c}}", "c", True),
        ("a,b", "a,b", True),
        ("\\*", "*", True),
        ("\\*", "x", False),
        ("a+b(c)$", "a+b(c)$", True),
        ("[\\\\]", "\\", True),
        ("[\\]]", "]", True),
        ("[^a]", "^", True),
        ("[-a]", "-", True),
        ("{a,b", "b", True),
        ("{a", "a", True),
        ("a}]", "a}]", True),
        ("a\\", "a", True),
    ],
)
def test_globs(pattern: str, text: str, fits: bool) -> None:
    assert compile_glob(pattern, separator=".").matches(text) is fits


def test_without_a_separator_a_star_takes_everything() -> None:
    assert compile_glob("*Flows").matches("github.com/team/ControlFlows")


@pytest.mark.parametrize("pattern", ["[", "[]", "[!]", "[a", "[z-a]", "[a-]", "[a-bc]", "{" * 60,
                                     "x" * (LONGEST_PATTERN + 1)])  # fmt: skip
def test_malformed_globs(pattern: str) -> None:
    with pytest.raises(InvalidInput):
        compile_glob(pattern)


@given(st.text(alphabet="ab.*?[]{},!\\-^(", max_size=12), st.text(alphabet="ab.", max_size=8))
def test_any_pattern_matches_or_is_refused(pattern: str, text: str) -> None:
    try:
        glob = compile_glob(pattern, separator=".")
    except InvalidInput:
        return
    assert glob.matches(text) in (True, False)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_an_escaped_text_matches_itself(text: str) -> None:
    pattern = "".join(f"\\{character}" for character in text)
    if len(pattern) <= LONGEST_PATTERN:
        assert compile_glob(pattern, separator=".").matches(text)
