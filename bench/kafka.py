"""What an event costs the core: without anybody who listens, with Kafka, with Kafka away.

    python -m bench.kafka [--events 100000] [--rate 10000]

Events of tasks, each made and told on its own, as the roster does it, at a steady rate and as fast
as it goes. For each way it prints the processor time for each event on the thread that tells (the
reactor's), in the thread that writes and sends, and in the whole process with librdkafka's own
threads; and how long after the last event everything had arrived, or was on disk. The broker is a
process of its own and not counted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from attrs import define, field

from aliecs.event.bus import Bus
from aliecs.event.kafka.sink import KafkaSink
from aliecs.event.measurement import Measurements
from aliecs.event.record import TaskEvent, Traits
from test import tools
from test.kafka import KafkaServer

SPOOL_BYTES = 1 << 30
SLICE = 100
TRAITS = Traits(trigger="", timeout="30s", critical=True)


class Reactor:
    """Calls from other threads, made at once: nothing else happens in this process."""

    def callFromThread(self, work: Callable[..., Any], *arguments: Any) -> None:  # noqa: N802
        work(*arguments)

    def callLater(self, delay_s: float, work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: N802
        return Mock(active=lambda: False)


@define
class Cost:
    """Where the processor time goes, from now to `told` and to `end`, in seconds."""

    _began_s: float = field(init=False, factory=time.monotonic)
    _process_s: float = field(init=False, factory=time.process_time)
    _thread_s: float = field(init=False, factory=time.thread_time)
    _told_at_s: float = field(init=False, default=0.0)
    _told_thread_s: float = field(init=False, default=0.0)

    def told(self) -> None:
        """Everything is told."""
        self._told_at_s = time.monotonic()
        self._told_thread_s = time.thread_time() - self._thread_s

    def end(self, what: str, events: int) -> None:
        """Print what it took."""
        waited_s = time.monotonic() - self._told_at_s
        process_s = time.process_time() - self._process_s
        micro = 1e6 / events
        print(
            f"{what:<42} {events / (self._told_at_s - self._began_s):>9,.0f} events/s told   "
            f"{self._told_thread_s * micro:>5.1f} us where told   "
            f"{process_s * micro:>5.1f} us in all   last one done after {waited_s * 1000:>6.0f} ms"
        )


def tell(bus: Bus, count: int, rate: float) -> None:
    """Tell so many events, so many in a second; 0 is as fast as it goes."""
    began_s = time.monotonic()
    for begin in range(0, count, SLICE):
        for number in range(begin, min(begin + SLICE, count)):
            bus.tell(
                TaskEvent(
                    name=f"builtin/tasks/readout@main#2oDvieF{number % 5000}",
                    taskid=f"2oDvieF{number % 5000}",
                    state="RUNNING",
                    status="ACTIVE",
                    hostname="flp001.internal.example.org",
                    className="builtin/tasks/readout@main",
                    traits=TRAITS,
                    environmentId="2oDvieFrVTi",
                    path=f"readout-dataflow.host-flp001.readout{number % 5000}",
                )
            )
        if rate:
            time.sleep(max(0.0, began_s + (begin + SLICE) / rate - time.monotonic()))


def measure(what: str, events: int, rate: float, endpoint: str = "", away: bool = False) -> None:
    """One way of telling, measured."""
    bus = Bus()
    bus.add_sink(Measurements())
    with tempfile.TemporaryDirectory() as folder:
        sink = None
        if endpoint:
            sink = KafkaSink.make([endpoint], Path(folder), SPOOL_BYTES, Reactor())
            sink.courier.start()
            bus.add_sink(sink)
            tell(bus, 1_000, 0)
            wait(lambda: away or sink.courier.sent == 1_000)
        cost = Cost()
        tell(bus, events, rate)
        cost.told()
        if sink is not None:
            courier = sink.courier
            done = 1_000 + events
            wait(lambda: (courier.spool.waiting if away else courier.sent) == done)
        cost.end(what, events)
        if sink is not None:
            sink.courier.stop(0.0).send(None)
            thread = sink.courier._thread
            assert thread is not None
            thread.join()


def wait(holds: Callable[[], bool]) -> None:
    """Wait without using the processor for it."""
    while not holds():
        threading.Event().wait(0.01)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=10_000.0)
    options = parser.parse_args()
    if tools.kafka() is None:
        sys.exit("Kafka cannot be had on this machine (make test-tools)")
    broker = KafkaServer()
    broker.start()
    events, rate = options.events, options.rate
    try:
        for pace, name in ((rate, f"{rate:,.0f}/s"), (0.0, "as fast as it goes")):
            measure(f"nobody listens, {name}", events, pace)
            measure(f"Kafka, {name}", events, pace, broker.address)
        broker.kill()
        measure("Kafka away, as fast as it goes", events, 0.0, broker.address, away=True)
    finally:
        broker.kill()


if __name__ == "__main__":
    main()
