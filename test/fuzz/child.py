"""The process in which the cases of one target run."""

from __future__ import annotations

import gc
import importlib
import resource
import signal
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, frozen

REPORT_S = 0.5
WARM_UP_CASES = 1500
MOST_GROWTH_BYTES = 80_000_000
MOST_MEMORY_BYTES = 3_000_000_000
LONGEST_CASE = 2000
"""Characters of a case that are shown."""


class Hang(BaseException):
    """A case takes too long. Not an Exception: no code under test may swallow it."""


@frozen
class Orders:
    """What a child is to do: cases from `seed` on, up to `end`, or for as long as it may."""

    target: str
    module: str
    seed: int
    end: int | None
    seconds: float
    case_limit_s: float


@define
class Report:
    """What a child tells its parent, several times a second."""

    seed: int
    """Of the next case."""
    cases: int = 0
    """Since the last report."""
    worst_s: float = 0.0
    worst_seed: int = 0
    memory_bytes: int = 0
    finding: str = ""
    finding_seed: int = 0
    is_last: bool = False


def memory_bytes() -> int:
    """Memory in use."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _raise_hang(number: int, frame: object) -> None:
    raise Hang


def work(orders: Orders, pipe: Any, current: Any) -> None:
    """Run cases; `current` gets the seed of each. A finding is told once for each place in the
    code."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _raise_hang)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    module = importlib.import_module(orders.module)
    seen: set[str] = set()
    seed, done, first_bytes = orders.seed, 0, 0
    began_s = told_s = time.monotonic()
    report = Report(seed)
    while time.monotonic() - began_s < orders.seconds if orders.end is None else seed < orders.end:
        current.value = seed
        taken_s, fault = _run(module, orders, seed)
        if taken_s > report.worst_s:
            report.worst_s, report.worst_seed = taken_s, seed
        if fault and fault[0] not in seen:
            seen.add(fault[0])
            report.finding, report.finding_seed = fault[1], seed
        seed, done = seed + 1, done + 1
        report.cases += 1
        if done == WARM_UP_CASES:
            first_bytes = report.memory_bytes = memory_bytes()
        if report.finding or time.monotonic() - told_s > REPORT_S:
            report.seed, told_s = seed, time.monotonic()
            pipe.send(report)
            report = Report(seed)
    report.seed, report.is_last, report.memory_bytes = seed, True, memory_bytes()
    if first_bytes and report.memory_bytes - first_bytes > MOST_GROWTH_BYTES:
        report.finding_seed = orders.seed
        report.finding = (
            f"the memory grew from {first_bytes / 1e6:.0f} to {report.memory_bytes / 1e6:.0f} MB "
            f"in {done - WARM_UP_CASES} cases"
        )
    pipe.send(report)


def _run(module: Any, orders: Orders, seed: int) -> tuple[float, tuple[str, str] | None]:
    """One case: its processor time, and the place and the story of what is wrong."""
    made: object = None
    fault = None
    began_s = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, orders.case_limit_s)
    try:
        made = module.case(Random(f"{orders.target} {seed}"))
        module.attempt(made)
    except (Exception, Hang) as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        fault = _place(error), _story(error, made, orders.case_limit_s)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return time.process_time() - began_s, fault


def _place(error: BaseException) -> str:
    """Where an error was raised, as far as it tells one fault from another."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    where = f"{last.filename}:{last.lineno}" if last else ""
    # Where time ran out says little, and so does the line of an assertion.
    return type(error).__name__ + ("" if isinstance(error, Hang) else where)


def _story(error: BaseException, made: object, limit_s: float) -> str:
    text = "".join(traceback.format_exception(error, limit=-12))
    if isinstance(error, Hang):
        text = f"takes more than {limit_s} s of processor time\n{text}"
    shown = repr(made)[:LONGEST_CASE]
    return f"{type(error).__name__}: {str(error)[:500]}\n{text[-4000:]}\nCase: {shown}"
