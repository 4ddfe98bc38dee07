"""Our `{{ }}` language against the reference's own library, case by case."""

from __future__ import annotations

from collections import Counter

from test.oracle import comparing, generate

WARTS = {
    "{{ sum([1, 2]) ** fromJSON('2.5') }}": "the last digit of a power with a fraction",
    "{{ type(Up(1)) }}": "names a type of the reference's program",
    "{{ json.Unmarshal(Up(9)) }}": "the nil of a missing role is no nil for Go's functions",
}
"""Cases in which we answer something else, each with the reason."""
FAMILIES = 26
FEWEST = 20_000


def test_every_case_agrees() -> None:
    found = [
        f"{case['template']!r}: {case.get('text', case.get('error'))!r}, ours {answer!r}"
        for case, answer in comparing.differences()
        if case["template"] not in WARTS
    ]
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:30])


def test_the_warts_are_still_there() -> None:
    differing = {case["template"] for case, _ in comparing.differences()}
    assert not WARTS.keys() - differing


def test_there_are_many_cases_of_every_kind() -> None:
    counts = Counter(case["family"] for case in generate.read("expression"))
    assert sum(counts.values()) >= FEWEST
    assert len(counts) >= FAMILIES
    results = Counter("text" in case for case in generate.read("expression"))
    assert min(results.values()) > 5000
