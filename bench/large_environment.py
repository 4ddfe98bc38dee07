"""One large environment on simulated hosts: what each task costs the core.

    python -m bench.large_environment [--tasks 10000] [--tasks-per-host 100] [--kafka HOST:PORT]

Everything of the core but processes and faces: loading from a git repository, placement,
deployment, transitions, journal, events, with every message to and from a task as the bytes of the
wire. With `--kafka` the events are told to that broker too.
For each step it prints the time on the wall, the processor time for each task, and the longest time
for which the reactor did nothing else; then the memory for each task.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import asyncioreactor

asyncioreactor.install(asyncio.new_event_loop())

from twisted.internet import reactor as installed_reactor  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.internet.task import deferLater  # noqa: E402

from aliecs.backend.simulated import SimulatedBackend, SimulatedHost  # noqa: E402
from aliecs.configuration.opening import open_configuration  # noqa: E402
from aliecs.environment.facilities import Facilities, Options  # noqa: E402
from aliecs.environment.generation import Generator  # noqa: E402
from aliecs.environment.loading import Loaders  # noqa: E402
from aliecs.environment.machine import Event  # noqa: E402
from aliecs.environment.manager import CreationRequest, DestructionRequest, Manager  # noqa: E402
from aliecs.environment.operation import Operations  # noqa: E402
from aliecs.event.bus import Bus  # noqa: E402
from aliecs.event.kafka.sink import KafkaSink  # noqa: E402
from aliecs.event.measurement import Measurements  # noqa: E402
from aliecs.event.record import User  # noqa: E402
from aliecs.garbage import GarbageCollector  # noqa: E402
from aliecs.journal import Journal  # noqa: E402
from aliecs.protocol.identifier import IdentifierGenerator  # noqa: E402
from aliecs.repository.manager import Repositories  # noqa: E402
from aliecs.task.roster import Roster  # noqa: E402
from test.end_to_end.core import make_repository  # noqa: E402

TICK_S = 0.01
WORKFLOW = """\
name: large
roles:
  - name: "host{{{{ host }}}}"
    for: {{ begin: "1", end: "{hosts}", var: host }}
    constraints: [ {{ attribute: machine_id, value: "host{{{{ host }}}}" }} ]
    roles:
      - name: "task{{{{ number }}}}"
        for: {{ begin: "1", end: "{tasks_per_host}", var: number }}
        task: {{ load: process }}
"""
TASK = """\
name: process
control: { mode: direct }
wants: { cpu: 0.01, memory: 1 }
bind: [ { name: out, type: push } ]
command: { value: process, arguments: [ "{{ number }}" ] }
"""
reactor: Any = installed_reactor


def repository(folder: Path, hosts: int, tasks_per_host: int) -> Path:
    """A git repository with the workflow."""
    place = folder / "large"
    workflow = WORKFLOW.format(hosts=hosts, tasks_per_host=tasks_per_host)
    make_repository(place, {"workflows/large.yaml": workflow, "tasks/process.yaml": TASK})
    return place


def processor_s() -> float:
    """Processor time that this process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory_bytes() -> int:
    """Memory that is in use now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Steps:
    """Performs steps and prints what each took."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self.longest_s = 0.0
        self._last_s = time.monotonic()
        self._tick()

    def _tick(self) -> None:
        now_s = time.monotonic()
        self.longest_s = max(self.longest_s, now_s - self._last_s - TICK_S)
        self._last_s = now_s
        reactor.callLater(TICK_S, self._tick)

    async def take(self, name: str, step: Callable[[], Awaitable[Any]]) -> Any:
        """Perform one."""
        await deferLater(reactor, 2 * TICK_S)
        self.longest_s = 0.0
        began_s, processor = time.monotonic(), processor_s()
        result = await step()
        wall_s, each_s = time.monotonic() - began_s, (processor_s() - processor) / self.tasks
        print(
            f"{name:16} {wall_s:8.2f} s {each_s * 1e6:10.0f} us {self.longest_s * 1e3:8.0f} ms",
            flush=True,
        )
        return result


async def measure(folder: Path, hosts: int, tasks_per_host: int, kafka: str) -> None:
    """Create, take a run, destroy."""
    identifiers = IdentifierGenerator()
    configuration = open_configuration("sqlite://", folder, reactor)
    await configuration.start()
    journal = Journal(folder / "journal.db", reactor)
    journal.start()
    place = repository(folder, hosts, tasks_per_host)
    repositories = Repositories(configuration, folder, reactor, repositories=[str(place)])
    await repositories.start()
    generator = Generator(configuration, repositories)
    loaders = Loaders(reactor, configuration, repositories, identifiers, generator)
    loaders.start()
    bus = Bus()
    bus.add_sink(Measurements())
    sink = KafkaSink.make([kafka], folder / "kafka", 1 << 30, reactor)
    if kafka:
        sink.courier.start()
        bus.add_sink(sink)
    backend = SimulatedBackend(
        reactor, [SimulatedHost(f"host{number + 1}") for number in range(hosts)]
    )
    roster = Roster(
        backend=backend, bus=bus, journal=journal, clock=reactor, identifiers=identifiers
    )
    await backend.start(roster)
    operations = Operations(identifiers)
    manager = Manager(
        Facilities(
            roster=roster,
            configuration=configuration,
            integrations={},
            loaders=loaders,
            bus=bus,
            journal=journal,
            operations=operations,
            identifiers=identifiers,
            clock=reactor,
            options=Options(),
        )
    )
    garbage = GarbageCollector(
        reactor,
        is_busy=lambda: bool(operations.running()),
        environments=lambda: (one.id for one in manager.environments()),
    )
    garbage.start()
    me = User(name="bench")
    tasks = hosts * tasks_per_host
    steps = Steps(tasks)
    print(f"{tasks} tasks on {hosts} hosts")
    print(f"{'step':16} {'wall':>10} {'each task':>13} {'longest':>11}")
    before = memory_bytes()
    request = CreationRequest(f"{place}/workflows/large@main", {}, me)
    environment = await steps.take("create", lambda: manager.create(request).wait())
    each_bytes = (memory_bytes() - before) / tasks
    for event in (Event.START_ACTIVITY, Event.STOP_ACTIVITY, Event.RESET, Event.CONFIGURE):
        await steps.take(
            event.value, lambda event=event: manager.control(environment.id, event, me).wait()
        )
    await steps.take(
        "destroy", lambda: manager.destroy(environment.id, DestructionRequest(me)).wait()
    )
    print(f"memory: {each_bytes / 1024:.1f} KiB for each task")
    if kafka:
        await steps.take("Kafka has it all", lambda: sink.courier.stop(60.0))
        print(f"{sink.courier.sent} events told to Kafka")
    await loaders.stop()
    await repositories.stop()
    journal.stop()
    await configuration.stop()


def main() -> int:
    """The whole measurement; gives the exit code."""
    parser = argparse.ArgumentParser(description="What each task of a large environment costs.")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--tasks-per-host", type=int, default=100)
    parser.add_argument("--kafka", default="", help="a broker that events are told to")
    options = parser.parse_args()
    if not 1 <= options.tasks_per_host <= options.tasks:
        parser.error("--tasks-per-host has to be between 1 and --tasks")
    problems: list[str] = []

    def failed(failure: Any) -> None:
        problems.append(failure.getTraceback())

    with tempfile.TemporaryDirectory(prefix="aliecs-bench-") as folder:
        hosts = options.tasks // options.tasks_per_host

        def begin() -> None:
            done = Deferred.fromCoroutine(
                measure(Path(folder), hosts, options.tasks_per_host, options.kafka)
            )
            done.addErrback(failed)
            done.addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
