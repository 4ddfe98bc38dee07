"""Our patterns with wildcards against the reference's own library, case by case."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aliecs.errors import InvalidInput
from aliecs.language.glob import compile_glob
from test.oracle import generate

CASES = generate.read("glob")
WARTS = {
    "the library does not survive the pattern": lambda case, text: "panics" in case,
    "it mistakes bytes for characters": lambda case, text: not case["pattern"].isascii(),
    "its three stars in a row want a character": lambda case, text: "***" in case["pattern"],
    "its first wildcard within braces that fits is taken, whatever follows": (
        lambda case, text: re.search(r"\{[^}]*[*?]", case["pattern"]) is not None
    ),
    "its braces with nothing in them fit nothing": (
        lambda case, text: re.search(r"\{(\}|$)", case["pattern"]) is not None
    ),
    "its beginning and its end may overlap in the text": (
        lambda case, text: (
            re.fullmatch(r"[^*?[{]+\*+[^*?[{]+", case["pattern"]) is not None
            and len(text) < len(case["pattern"]) - 1
        )
    ),
    "its single character may be none at all": (
        lambda case, text: not text and bool(re.fullmatch(r"\?|\[!.*\]", case["pattern"]))
    ),
}
"""What the library does though its own description says otherwise; ours keeps to what it says."""


def ours(pattern: str, separator: str, texts: list[str]) -> list[bool] | None:
    """Which texts fit; None for a pattern that is refused."""
    try:
        glob = compile_glob(pattern, separator)
    except InvalidInput:
        return None
    return [glob.matches(text) for text in texts]


def differences() -> Iterator[tuple[dict[str, Any], str, str]]:
    """Cases that differ, with the text where they do and the reason."""
    for case in CASES:
        answer = ours(case["pattern"], case["separator"], case["texts"])
        expected = case.get("fits")
        if answer == expected and "panics" not in case:
            continue
        pairs = zip(case["texts"], answer or [], expected or [], strict=False)
        texts = [text for text, one, other in pairs if one != other] or ["?"]
        for text in texts:
            reasons = [reason for reason, is_one in WARTS.items() if is_one(case, text)]
            yield case, text, reasons[0] if reasons else ""


def test_every_case_agrees() -> None:
    found = [f"{case!r}: {text!r}" for case, text, why in differences() if not why]
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:30])


def test_the_warts_are_still_there() -> None:
    assert {reason for _, _, reason in differences()} == set(WARTS)


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 3000
    assert sum(1 for case in CASES if any(case.get("fits", []))) > 800
    assert sum(1 for case in CASES if "error" in case) > 500
