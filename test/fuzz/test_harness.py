"""The harness finds what it is there for."""

from __future__ import annotations

import pytest

from test.fuzz import harness
from test.fuzz.harness import Outcome, Plan, Target, targets

FAULTY = Target("faulty", "test.fuzz.samples.faulty")


def run(monkeypatch: pytest.MonkeyPatch, fault: str, count: int = 9) -> Outcome:
    """The outcome of a target with one fault."""
    monkeypatch.setenv("ALIECS_FUZZ_FAULT", fault)
    monkeypatch.setenv("ALIECS_FUZZ_LATE", "5" if count < 100 else "0")
    monkeypatch.setattr("test.fuzz.harness.MOST_FINDINGS", 1)
    plan = Plan(["faulty"], 7, 60.0, count, case_limit_s=0.2)
    return harness.run_target(FAULTY, plan, 60.0)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raise", "ValueError: not documented"),
        ("assert", "AssertionError: another result"),
        ("loop", "takes more than 0.2 s of processor time"),
        ("hang in C", "hangs outside Python, killed"),
        ("die", "the process died with 3"),
    ],
)
def test_a_fault_is_found_with_its_seed(
    monkeypatch: pytest.MonkeyPatch, fault: str, told: str
) -> None:
    (finding,) = run(monkeypatch, fault).findings
    assert told in finding
    assert finding.endswith("python -m test.fuzz --target faulty --seed 12 --count 1")


def test_growing_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = run(monkeypatch, "grow", 2500).findings
    assert "the memory grew from" in finding


def test_nothing_is_found_where_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run(monkeypatch, "none")
    assert (outcome.cases, outcome.findings) == (9, [])


def test_the_targets_are_the_modules_with_cases() -> None:
    assert {"expressions", "queries", "templates"} <= {target.name for target in targets()}
    assert FAULTY not in list(targets())
