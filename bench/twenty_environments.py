"""Twenty environments in one core, one after the other: what stays of them.

    python -m bench.twenty_environments [--environments 20] [--from 5]

Starts the real service with three embedded hosts. Each round creates the demonstration's
environment, takes a short run in it and destroys it; then the descriptors and processes of all
that belongs to the core are counted, and the core's memory is read. Over numbers 5 to 20 there must
be no descriptor and no process more, and less than 1 MB of memory; exit code 1 where there is.

The memory is what the core has for itself alone (`Private_Dirty`): shared pages are not its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from attrs import frozen

from aliecs.protocol.protos import o2control_pb2
from bench.core import CALL_DEADLINE_S, processes, running_core

TEMPLATE = "builtin/workflows/demo@main"
HOSTS = ("flp001", "flp002", "epn001")
SETTLE_S = 0.5
RUN_S = 0.3
MOST_MEMORY_KB = 1024


@frozen
class Count:
    """What there is after a round."""

    descriptors: int
    processes: int
    memory_kb: int
    seconds: float


def one_environment(control: Any) -> None:
    """Create, run, destroy."""
    environment_id = control.NewEnvironment(
        o2control_pb2.NewEnvironmentRequest(workflowTemplate=TEMPLATE), deadline_s=CALL_DEADLINE_S
    ).environment.id
    for event in ("START_ACTIVITY", "STOP_ACTIVITY"):
        reply = control.ControlEnvironment(
            o2control_pb2.ControlEnvironmentRequest(id=environment_id, type=event),
            deadline_s=CALL_DEADLINE_S,
        )
        if reply.state == "ERROR":
            sys.exit(f"{event} failed")
        time.sleep(RUN_S)
    control.DestroyEnvironment(
        o2control_pb2.DestroyEnvironmentRequest(id=environment_id), deadline_s=CALL_DEADLINE_S
    )


def private_memory_kb(pid: int) -> int:
    """Memory that a process has written to and shares with nobody."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} does not tell its memory")


def count(core: int, mark: str, seconds: float) -> Count:
    """Look, after a moment in which the last sockets close."""
    time.sleep(SETTLE_S)
    found = processes(mark)
    descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in found)
    return Count(descriptors, len(found), private_memory_kb(core), seconds)


def measure(environments: int) -> Sequence[Count]:
    """All rounds, told as they go."""
    counts = []
    mark = uuid4().hex
    print(f"{'number':>6} {'descriptors':>11} {'processes':>9} {'memory KB':>10} {'seconds':>8}")
    with (
        tempfile.TemporaryDirectory(prefix="aliecs-bench-") as folder,
        running_core(Path(folder), mark, hosts=HOSTS) as (core, control),
    ):
        for number in range(1, environments + 1):
            began = time.monotonic()
            one_environment(control)
            one = count(core, mark, time.monotonic() - began)
            counts.append(one)
            print(
                f"{number:>6} {one.descriptors:>11} {one.processes:>9} {one.memory_kb:>10} "
                f"{one.seconds:>8.2f}",
                flush=True,
            )
    return counts


def main() -> int:
    """The whole measurement; gives the exit code."""
    parser = argparse.ArgumentParser(description="What stays of environments that are no more.")
    parser.add_argument("--environments", type=int, default=20)
    parser.add_argument("--from", dest="first", type=int, default=5)
    options = parser.parse_args()
    if not 1 <= options.first < options.environments:
        parser.error("--from has to be lower than --environments")
    counts = measure(options.environments)
    then, now = counts[options.first - 1], counts[-1]
    grown = Count(
        now.descriptors - then.descriptors,
        now.processes - then.processes,
        now.memory_kb - then.memory_kb,
        0.0,
    )
    print(
        f"over numbers {options.first} to {options.environments}: "
        f"{grown.descriptors:+d} descriptors, {grown.processes:+d} processes, "
        f"{grown.memory_kb:+d} KB of memory"
    )
    good = grown.descriptors <= 0 and grown.processes <= 0 and grown.memory_kb < MOST_MEMORY_KB
    print("nothing stays" if good else "SOMETHING STAYS")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
