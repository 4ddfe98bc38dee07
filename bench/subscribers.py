"""Many clients of one core: who listen to one large environment, and who list many.

    python -m bench.subscribers [--tasks 10000] [--clients 1000] [--environments 50]
                                [--listers 100]

The real service with simulated hosts. First one environment goes through RESET, CONFIGURE,
START_ACTIVITY and STOP_ACTIVITY while the clients listen to it: WebSockets, and server-sent events
for every fourth. For each step: how long after a task's change the clients knew it (a client that
hears each change for itself has the moment), the processor time of the core, for each change and
client too, the clients' own, the longest time for which the core's reactor was held, and how many
clients were cut off. Then other clients list environments, over gRPC and over REST, as fast as they
are answered. The clients are processes of their own and share this machine with the core.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from attrs import define, field

from aliecs.protocol.protos import o2control_pb2
from bench.core import MARK, addresses, running_core
from bench.large_environment import repository

DEADLINE_S = 300.0
SETTLE_S = 3.0
TASKS_PER_HOST = 100
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@define
class Crowd:
    """Processes with clients in them."""

    processes: list[subprocess.Popen[str]] = field(factory=list)
    _used_s: float = 0.0

    def start(self, mark: str, arguments: Sequence[str]) -> None:
        """One more process, ready before this returns."""
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: mark},
        )
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            sys.exit("the clients did not start")
        self.processes.append(process)

    def reports(self) -> list[Any]:
        """What each process has seen since the last time."""
        found = []
        for process in self.processes:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            found.append(json.loads(process.stdout.readline()))
        return found

    def used_s(self, reports: Sequence[Any]) -> float:
        """Processor time since the last time."""
        before, self._used_s = self._used_s, sum(report["processor_s"] for report in reports)
        return self._used_s - before

    def end(self) -> None:
        """All of them go."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(DEADLINE_S)


def used_s(pid: int) -> float:
    """Processor time of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def memory_mb(pid: int) -> float:
    """Memory that a process has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def longest_hold_ms(holds: Path, since: float) -> float:
    """The longest time for which the reactor did nothing else, since a moment."""
    found = [line.split() for line in holds.read_text().splitlines()]
    return max((float(hold) for at, hold in found if float(at) >= since), default=0.0) * 1e3


def changes(report: Any) -> dict[tuple[str, str, str], int]:
    """When each task changed, from the events of a client that hears them one by one."""
    found = {}
    for text in report["frames"].values():
        frame = json.loads(text)
        if frame["type"] == "task.event":
            data = frame["data"]
            found[data["taskid"], data["state"], data["status"]] = frame["time"]
    return found


def delays(reports: Sequence[Any], moments: Mapping[tuple[str, str, str], int]) -> Counter[int]:
    """How many milliseconds after a task's change each client knew of it, and how often."""
    counted: Counter[int] = Counter()
    for report in reports:
        for key, text in report["frames"].items():
            frame = json.loads(text)
            told: Counter[int] = Counter()
            if frame["type"] == "task.event":
                told[frame["time"]] += 1
            elif frame["type"] == "task.updated":
                for group in frame["data"]["tasks"]:
                    for one in group["ids"]:
                        moment = moments.get((one, group["state"], group["status"]))
                        if moment is not None:
                            told[moment] += 1
            for at, clients in report["times"][key].items():
                for moment, tasks in told.items():
                    counted[int(at) - moment] += clients * tasks
    return counted


def share(counted: Counter[int], part: float) -> int:
    """The value that this part of them does not exceed."""
    left = part * sum(counted.values())
    for value in sorted(counted):
        left -= counted[value]
        if left <= 0:
            return value
    return 0


def listen(folder: Path, template: str, mark: str, core: int, control: Any, options: Any) -> None:
    """The clients who listen."""
    environment_id = control.NewEnvironment(
        o2control_pb2.NewEnvironmentRequest(workflowTemplate=template),
        deadline_s=DEADLINE_S,
    ).environment.id
    address = addresses(folder)["rest"].removeprefix("http://")
    witness, crowd = Crowd(), Crowd()
    before_mb = memory_mb(core)
    witness.start(mark, ["bench.listeners", address, "task", "1", "0"])
    server_sent = options.clients // 4
    sockets = options.clients - server_sent
    topic = f"env:{environment_id}"
    for number in range(options.processes):
        some = [
            str(count // options.processes + (number < count % options.processes))
            for count in (sockets, server_sent)
        ]
        crowd.start(mark, ["bench.listeners", address, topic, *some])
    each_kb = (memory_mb(core) - before_mb) * 1000 / options.clients
    print(
        f"{options.tasks} tasks; {sockets} WebSockets and {server_sent} with server-sent events, "
        f"{each_kb:.0f} KB of the core's memory each"
    )
    print(
        f"{'step':16} {'wall':>7} {'changes':>8} {'median':>9} {'99 %':>9} {'worst':>9} "
        f"{'core':>8} {'a change and client':>20} {'bytes a client':>15} {'hold':>8} "
        f"{'memory':>8} {'clients took':>13} {'cut off':>8}"
    )
    crowd.used_s(crowd.reports())
    for event in ("idle", "RESET", "CONFIGURE", "START_ACTIVITY", "STOP_ACTIVITY"):
        began, began_s, core_s = time.time(), time.monotonic(), used_s(core)
        if event != "idle":
            request = o2control_pb2.ControlEnvironmentRequest(
                id=environment_id,
                type=o2control_pb2.ControlEnvironmentRequest.Optype.Value(event),
            )
            if control.ControlEnvironment(request, deadline_s=DEADLINE_S).state == "ERROR":
                sys.exit(f"{event} failed")
        wall_s = time.monotonic() - began_s
        settle(core)
        core_s = used_s(core) - core_s
        moments = changes(witness.reports()[0])
        reports = crowd.reports()
        counted = delays(reports, moments)
        each_us = core_s * 1e6 / max(1, len(moments) * options.clients)
        told_bytes = sum(report["bytes"] for report in reports) / options.clients
        print(
            f"{event:16} {wall_s:5.1f} s {len(moments):>8} {share(counted, 0.5):>6} ms "
            f"{share(counted, 0.99):>6} ms {max(counted, default=0):>6} ms {core_s:>6.2f} s "
            f"{each_us:>17.3f} us {told_bytes / 1000:>12.0f} KB "
            f"{longest_hold_ms(folder / 'holds', began):>5.0f} ms {memory_mb(core):>5.0f} MB "
            f"{crowd.used_s(reports):>11.2f} s {sum(report['lost'] for report in reports):>8}",
            flush=True,
        )
    witness.end()
    crowd.end()
    control.DestroyEnvironment(
        o2control_pb2.DestroyEnvironmentRequest(id=environment_id), deadline_s=DEADLINE_S
    )


def settle(core: int) -> None:
    """Wait until the core has nothing more to send."""
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        before_s = used_s(core)
        time.sleep(SETTLE_S)
        if used_s(core) - before_s < 0.1 * SETTLE_S:
            return


def list_environments(
    folder: Path, template: str, mark: str, core: int, control: Any, options: Any
) -> None:
    """The clients who list."""
    for _ in range(options.environments):
        control.NewEnvironment(
            o2control_pb2.NewEnvironmentRequest(workflowTemplate=template),
            deadline_s=DEADLINE_S,
        )
    print(f"{options.environments} environments of {options.tasks_each} tasks")
    print(
        f"{'asked':24} {'answers':>8} {'a second':>9} {'median':>9} {'99 %':>9} {'worst':>9} "
        f"{'core, an answer':>16} {'hold':>8} {'clients took':>13}"
    )
    where = addresses(folder)
    for what in ("grpc-list", "grpc-one", "rest-list"):
        crowd = Crowd()
        for number in range(options.processes):
            some = options.listers // options.processes + (
                number < options.listers % options.processes
            )
            crowd.start(mark, ["bench.listers", where["grpc"], where["rest"], what, str(some)])
        crowd.used_s(crowd.reports())
        began, core_s = time.time(), used_s(core)
        time.sleep(options.seconds)
        core_s = used_s(core) - core_s
        reports = crowd.reports()
        counted: Counter[int] = Counter()
        for report in reports:
            counted.update({int(ms): count for ms, count in report["times"].items()})
        answers = sum(counted.values())
        print(
            f"{what:24} {answers:>8} {answers / options.seconds:>9.0f} "
            f"{share(counted, 0.5):>6} ms {share(counted, 0.99):>6} ms "
            f"{max(counted, default=0):>6} ms {core_s * 1e3 / max(1, answers):>13.2f} ms "
            f"{longest_hold_ms(folder / 'holds', began):>5.0f} ms "
            f"{crowd.used_s(reports):>11.2f} s",
            flush=True,
        )
        crowd.end()


def main() -> int:
    """The whole measurement; gives the exit code."""
    parser = argparse.ArgumentParser(description="What many clients cost.")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=1_000)
    parser.add_argument("--processes", type=int, default=2, help="of the clients")
    parser.add_argument("--environments", type=int, default=50)
    parser.add_argument("--tasks-each", type=int, default=100)
    parser.add_argument("--listers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0, help="of listing")
    parser.add_argument("--only", choices=("listen", "list"))
    options = parser.parse_args()
    parts: dict[str, Callable[..., None]] = {"listen": listen, "list": list_environments}
    sizes = {
        "listen": (max(1, options.tasks // TASKS_PER_HOST), TASKS_PER_HOST),
        "list": (10, options.tasks_each // 10),
    }
    for name, part in parts.items():
        if options.only in (None, name):
            measure(part, *sizes[name], options)
    return 0


def measure(part: Callable[..., None], hosts: int, tasks_per_host: int, options: Any) -> None:
    """One part, with a core of its own."""
    mark = uuid4().hex
    there = [
        {"name": f"host{number + 1}", "cpus": 1000, "memory": 1_000_000} for number in range(hosts)
    ]
    with tempfile.TemporaryDirectory(prefix="aliecs-bench-") as name:
        folder = Path(name)
        place = repository(folder, hosts, tasks_per_host)
        with running_core(
            folder,
            mark,
            there,
            holds=folder / "holds",
            backend="simulated",
            repositories=[str(place)],
            deployTimeout="300s",
        ) as (core, control):
            part(folder, f"{place}/workflows/large@main", mark, core, control, options)


if __name__ == "__main__":
    sys.exit(main())
