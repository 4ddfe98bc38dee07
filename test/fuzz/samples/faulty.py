"""What the harness has to find. Which fault it is, `test_harness` says in the environment."""

from __future__ import annotations

import os
from random import Random

name = "faulty"
KEPT: list[bytes] = []
CASES: list[int] = []


def case(random: Random) -> str:
    """The fault that a test asks for, but not at once."""
    CASES.append(0)
    late = len(CASES) > int(os.environ.get("ALIECS_FUZZ_LATE", "0"))
    return os.environ["ALIECS_FUZZ_FAULT"] if late else "none"


def attempt(case: str) -> None:  # type: ignore[no-redef]
    """Do what the case says."""
    if case == "raise":
        raise ValueError("not documented")
    if case == "assert":
        raise AssertionError("another result")
    if case == "loop":
        while True:
            pass
    if case == "hang in C":
        sum(range(10**13))
    if case == "die":
        os._exit(3)
    if case == "grow":
        KEPT.append(b"x" * 200_000)
