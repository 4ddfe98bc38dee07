"""A short run of every target: a minute in all, or as long as ALIECS_FUZZ_SECONDS says."""

from __future__ import annotations

import os

import pytest

from test.fuzz.harness import Plan, fuzz, targets

SECONDS = float(os.environ.get("ALIECS_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("ALIECS_FUZZ_SEED", "20260101"))
NAMES = [target.name for target in targets()]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found(name: str) -> None:
    (outcome,) = fuzz(Plan([name], SEED, SECONDS / len(NAMES)))
    assert outcome.cases > 0
    assert not outcome.findings, "\n\n".join(outcome.findings)
