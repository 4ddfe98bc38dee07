"""Our `{{ }}` language against the reference's own library, case by case."""

from __future__ import annotations

from collections import Counter

from test.oracle import comparing, generate

_POWER = "the last digit of a power with a fraction"
_BYTES = "the bytes of a text are numbers of another type there, eight bits wide"
_MAPS = "a predicate goes over a map there, as long as it does not look at the elements"
WARTS = {
    "{{ sum([1, 2]) ** fromJSON('2.5') }}": _POWER,
    "{{ type(Up(1)) }}": "names a type of the reference's program",
    "{{ json.Unmarshal(Up(9)) }}": "the nil of a role that is not there is no nil for Go's functions",
    """{{ json.Unmarshal('"héllo"') | sum(-#) }}""": _BYTES,
    "{{ map(find(keys({'a': 1}), # != nil), type(#)) }}": _BYTES,
    "{{ map(reduce(split(b, ''), #acc + #, ''), type(#)) }}": _BYTES,
    "{{ map(findLast(keys({'a': 1}), # != nil), type(#)) }}": _BYTES,
    "{{ map(findLast(json.Unmarshal(hosts), # startsWith 'h'), type(#)) }}": _BYTES,
    "{{ map(json.Unmarshal(json_map), #index > 0) }}": _MAPS,
    "{{ groupBy(toPairs({'n': 1}), {#}) ?? 'd' }}": "a pair is a key there, as no other list is",
}
"""Cases in which we answer something else, each with the reason."""
FAMILIES = 20
FEWEST = 14_000


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
