"""Runs targets, each in a child process that can be killed, and tells what it finds.

Each case has a seed of its own, so that one number repeats it. A case may take only so much
processor time: the child raises `Hang` in itself, with a traceback; where that does not help,
because the time goes into code that is not Python, the parent kills it. The child's memory is
bounded, and may not grow from the end of the warm-up to the end of the run.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import Factory, define, frozen

import test.fuzz as package
from test.fuzz import child

MOST_FINDINGS = 10
"""Of one target; then it is given up."""
POLL_S = 0.2


@frozen
class Target:
    """One module with cases."""

    name: str
    module: str


@frozen
class Plan:
    """What to run."""

    targets: list[str]
    seed: int
    seconds: float
    count: int | None = None
    """Cases of each target; None for as many as the time allows."""
    case_limit_s: float = 3.0
    """Processor time that one case may take."""


@define
class Outcome:
    """What became of one target."""

    name: str
    cases: int = 0
    elapsed_s: float = 0.0
    worst_s: float = 0.0
    worst_seed: int = 0
    first_bytes: int = 0
    """Memory after the warm-up."""
    last_bytes: int = 0
    findings: list[str] = Factory(list)


def targets() -> Iterator[Target]:
    """All targets there are."""
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name.startswith(("_", "test_")):
            continue
        module: ModuleType = importlib.import_module(f"{package.__name__}.{info.name}")
        if hasattr(module, "case") and hasattr(module, "attempt"):
            yield Target(str(getattr(module, "name", info.name)), module.__name__)


def repeat_command(target: str, seed: int) -> str:
    """What to type to see a case again."""
    return f"python -m test.fuzz --target {target} --seed {seed} --count 1"


def fuzz(plan: Plan) -> list[Outcome]:
    """Run the plan, print its progress and its summary, give the outcomes."""
    known = {target.name: target for target in targets()}
    share_s = plan.seconds / len(plan.targets)
    outcomes = []
    for name in plan.targets:
        outcome = run_target(known[name], plan, share_s)
        outcomes.append(outcome)
        for finding in outcome.findings:
            print(f"\n{finding}", flush=True)
    print(summary(outcomes), flush=True)
    return outcomes


def run_target(target: Target, plan: Plan, seconds: float) -> Outcome:
    """Run one target and print its progress."""
    return _Run(target, plan, seconds, _printer()).outcome()


def summary(outcomes: list[Outcome]) -> str:
    """A table of all targets."""
    lines = ["target         cases  cases/s  worst ms  (seed)          MB at start  at end  found"]
    for o in outcomes:
        rate = o.cases / o.elapsed_s if o.elapsed_s else 0.0
        lines.append(
            f"{o.name:11} {o.cases:8} {rate:8.0f} {o.worst_s * 1e3:9.1f}  {o.worst_seed:<15} "
            f"{o.first_bytes / 1e6:11.1f} {o.last_bytes / 1e6:7.1f} {len(o.findings):6}"
        )
    return "\n".join(lines)


def _printer() -> Callable[[str, bool], None]:
    """Progress: one line that changes on a terminal, now and then a line elsewhere."""
    is_terminal = sys.stdout.isatty()
    last_s = time.monotonic()

    def show(text: str, is_last: bool) -> None:
        nonlocal last_s
        if is_terminal:
            print(f"\r{text:78}", end="\n" if is_last else "", flush=True)
        elif is_last or time.monotonic() - last_s > 10:
            last_s = time.monotonic()
            print(text, flush=True)

    return show


@define
class _Run:
    """One target under way."""

    target: Target
    plan: Plan
    seconds: float
    show: Callable[[str, bool], None]
    _began_s: float = Factory(time.monotonic)

    def outcome(self) -> Outcome:
        outcome = Outcome(self.target.name)
        seed = self.plan.seed
        while not self._is_over(outcome, seed):
            seed = self._one_child(outcome, seed)
        self._progress(outcome, is_last=True)
        return outcome

    def _is_over(self, outcome: Outcome, seed: int) -> bool:
        if len(outcome.findings) >= MOST_FINDINGS:
            return True
        if self.plan.count is not None:
            return seed >= self.plan.seed + self.plan.count
        return time.monotonic() - self._began_s >= self.seconds

    def _progress(self, outcome: Outcome, is_last: bool = False) -> None:
        outcome.elapsed_s = time.monotonic() - self._began_s
        rate = outcome.cases / max(outcome.elapsed_s, 0.001)
        text = f"{self.target.name}: {outcome.cases} cases, {rate:.0f} a second"
        self.show(f"{text}, {len(outcome.findings)} found", is_last)

    def _one_child(self, outcome: Outcome, seed: int) -> int:
        """Run cases in a child until it ends; gives the seed to go on with."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        left_s = self.seconds - (time.monotonic() - self._began_s)
        orders = child.Orders(
            self.target.name,
            self.target.module,
            seed,
            None if self.plan.count is None else self.plan.seed + self.plan.count,
            max(left_s, 1.0),
            self.plan.case_limit_s,
        )
        current = context.Value("q", seed, lock=False)
        process = context.Process(target=child.work, args=(orders, theirs, current), daemon=True)
        process.start()
        theirs.close()
        try:
            return self._follow(outcome, process, ours, current)
        finally:
            if process.is_alive():
                process.kill()
            process.join()
            ours.close()

    def _follow(self, outcome: Outcome, process: Any, pipe: Any, current: Any) -> int:
        """Listen to a child. `current` is the seed of the case that it is at."""
        beaten = _processor_s(process.pid)
        while True:
            try:
                report = pipe.recv() if pipe.poll(POLL_S) else None
            except EOFError:
                process.join()
                told = self._told(current.value, f"the process died with {process.exitcode}")
                outcome.findings.append(told)
                return int(current.value) + 1
            if report is None:
                if _processor_s(process.pid) - beaten > self.plan.case_limit_s * 3 + 2:
                    process.kill()
                    told = self._told(current.value, "hangs outside Python, killed")
                    outcome.findings.append(told)
                    return int(current.value) + 1
                continue
            beaten = _processor_s(process.pid)
            self._take(outcome, report)
            if report.is_last or len(outcome.findings) >= MOST_FINDINGS:
                return int(report.seed)

    def _take(self, outcome: Outcome, report: child.Report) -> None:
        outcome.cases += report.cases
        if report.worst_s > outcome.worst_s:
            outcome.worst_s, outcome.worst_seed = report.worst_s, report.worst_seed
        if report.memory_bytes:
            outcome.first_bytes = outcome.first_bytes or report.memory_bytes
            outcome.last_bytes = report.memory_bytes
        if report.finding:
            outcome.findings.append(self._told(report.finding_seed, report.finding))
        self._progress(outcome)

    def _told(self, seed: int, what: str) -> str:
        return f"{self.target.name}: {what}\nAgain: {repeat_command(self.target.name, seed)}"


def _processor_s(process: int) -> float:
    """Processor time that a process has taken."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("ascii", "replace")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
