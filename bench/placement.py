"""What it costs to find places for tasks, without a core.

    python -m bench.placement [--hosts 1000] [--tasks-per-host 100]

Tasks that name their host, tasks that go anywhere, tasks that ask for an attribute that one host in
ten has, and one time as many tasks as there is room for. Each task takes processors, memory, a
channel port and a control port. For each: the processor time for each task, at two sizes, so that
it shows whether the cost follows the work.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from aliecs.interfaces import HostInfo, Offer, PortRanges
from aliecs.language.declaration import Constraint
from aliecs.task.placement import MACHINE, WantedTask, place

PORTS: PortRanges = ((9000, 20000), (30000, 60000))
CPUS, MEMORY_MB = 0.01, 1.0
RACKS = 10

Make = Callable[[int, int], WantedTask]
"""Makes a task, given its number and the number of hosts."""


def cluster(hosts: int, room: int) -> tuple[Sequence[Offer], Sequence[HostInfo]]:
    """Hosts with room for so many tasks each."""
    offers, infos = [], []
    for number in range(hosts):
        name = f"host{number}"
        attributes = {MACHINE: name, "rack": str(number % RACKS)}
        cpus, memory_mb = CPUS * room, MEMORY_MB * room
        offers.append(
            Offer(name, name, name, name, attributes, cpus, memory_mb, PORTS, f"executor-{name}")
        )
        infos.append(
            HostInfo(
                name, name, name, f"executor-{name}", attributes, True, cpus, memory_mb, 0.0, 0.0,
                0, 0.0,
            )
        )
    return offers, infos


def _wanted(number: int, *constraints: Constraint) -> WantedTask:
    return WantedTask(number, constraints, CPUS, MEMORY_MB, channel_ports=1)


KINDS: dict[str, Make] = {
    "on a named host": lambda number, hosts: _wanted(
        number, Constraint(MACHINE, f"host{number % hosts}")
    ),
    "anywhere": lambda number, hosts: _wanted(number),
    "by attribute": lambda number, hosts: _wanted(number, Constraint("rack", str(number % RACKS))),
}


def measure(make: Make, hosts: int, tasks: int, room: int) -> tuple[float, int]:
    """Processor seconds of a placement, and how many tasks had a place."""
    offers, infos = cluster(hosts, room)
    wanted = [make(number, hosts) for number in range(tasks)]
    began = time.process_time()
    placement = place(wanted, offers, infos)
    return time.process_time() - began, len(placement.placed)


def main() -> int:
    """The whole measurement; gives the exit code."""
    parser = argparse.ArgumentParser(description="What it costs to find places for tasks.")
    parser.add_argument("--hosts", type=int, default=1000, help="at least 10")
    parser.add_argument("--tasks-per-host", type=int, default=100)
    options = parser.parse_args()
    each = options.tasks_per_host
    print(f"{'tasks':>8} {'hosts':>6} {'kind':24} {'each task':>10} {'all':>8} {'placed':>8}")
    for hosts in (max(RACKS, options.hosts // 100), options.hosts):
        for kind, make in KINDS.items():
            for room, how in ((each, ""), (each // 2, ", half of the room")):
                tasks = hosts * each
                seconds, placed = measure(make, hosts, tasks, room)
                if placed != min(tasks, hosts * room):
                    print(f"{placed} of {tasks} tasks were placed", file=sys.stderr)
                    return 1
                print(
                    f"{tasks:>8} {hosts:>6} {kind + how:24.34} {seconds / tasks * 1e6:>7.1f} us "
                    f"{seconds:>6.2f} s {placed:>8}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
