"""Metrics: numbers about the core, for who watches it.

`/metrics` has them in the exposition format of Prometheus, on the REST port and on a port of its
own. Nearly all of it is read off the parts when somebody asks; between two questions it costs next
to nothing. The reference's other endpoint, lines for InfluxDB, is in `event.line`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter

from attrs import define, field
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import Request

from aliecs.api.audience import Audience
from aliecs.api.core import Core
from aliecs.api.scheduler_metrics import scheduler_metrics
from aliecs.event.kafka.courier import Courier
from aliecs.event.measurement import Distribution, Measurements

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
REACTOR_INTERVAL_S = 0.2
REACTOR_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

Values = Mapping[tuple[str, ...], float]
"""Numbers, by the values of their labels."""

_LINES_ENDPOINT = re.compile(r"([0-9]{4,5})/([A-Za-z]+)")


@define(eq=False)
class ReactorDelay:
    """By how much the reactor is late: a call that is due every `REACTOR_INTERVAL_S` says so."""

    clock: IReactorTime
    delays: Distribution = field(init=False, factory=lambda: Distribution(REACTOR_BOUNDS_S))
    largest_s: float = field(init=False, default=0.0)
    """Since somebody asked last."""
    _due_s: float = field(init=False, default=0.0)
    _call: LoopingCall | None = field(init=False, default=None)

    def start(self) -> None:
        """Begin to look."""
        self._due_s = self.clock.seconds() + REACTOR_INTERVAL_S
        call = LoopingCall(self._look)
        call.clock = self.clock
        call.start(REACTOR_INTERVAL_S, now=False)
        self._call = call

    def stop(self) -> None:
        """Look no more."""
        if self._call is not None and self._call.running:
            self._call.stop()

    def take_largest_s(self) -> float:
        """The largest delay since this was asked last."""
        largest_s, self.largest_s = self.largest_s, 0.0
        return largest_s

    def _look(self) -> None:
        now_s = self.clock.seconds()
        delay_s = max(0.0, now_s - self._due_s)
        # A call that came late is followed by the next at the next whole interval.
        self._due_s = now_s + REACTOR_INTERVAL_S - delay_s % REACTOR_INTERVAL_S
        self.delays.add(delay_s)
        self.largest_s = max(self.largest_s, delay_s)


@define(eq=False)
class Metrics(Collector):
    """All metrics of a core. `queues` are lengths of queues, by name, asked for when needed."""

    core: Core
    measurements: Measurements
    delay: ReactorDelay
    audience: Audience
    queues: Mapping[str, Callable[[], int]]
    couriers: Mapping[str, Courier] = field(factory=dict)
    """What brings things to Kafka, by what it brings."""
    summaries: bool = False
    by_resource: bool = False
    registry: CollectorRegistry = field(init=False, factory=lambda: CollectorRegistry())

    def __attrs_post_init__(self) -> None:
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

    def describe(self) -> list[Metric]:
        """See `CollectorRegistry.register`: names are not looked up in advance."""
        return []

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        yield from self._state()
        yield from self._durations()
        yield from self._queues()
        yield from self._kafka()
        traffic, wanted = self.core.backend.traffic, self.summaries
        yield from scheduler_metrics(traffic, self.measurements, wanted, self.by_resource)

    def _state(self) -> Iterator[Metric]:
        core = self.core
        version = ".".join(map(str, core.version))
        yield _gauge("aliecs_info", "The core that runs", {(version,): 1.0}, "version")
        # There may be hundreds of thousands: states are counted as they are, and named after that.
        states = Counter(map(attrgetter("state"), core.roster.tasks()))
        tasks = {state.text: count for state, count in states.items()}
        yield _gauge("aliecs_tasks", "Tasks, by state", _by_label(tasks), "state")
        environments = Counter(one.state.value for one in core.manager.environments())
        yield _gauge(
            "aliecs_environments", "Environments, by state", _by_label(environments), "state"
        )
        events = CounterMetricFamily("aliecs_events", "Events told, by topic", labels=["topic"])
        for topic, count in sorted(self.measurements.told.items()):
            events.add_metric([topic], count)
        yield events

    def _durations(self) -> Iterator[Metric]:
        transitions = HistogramMetricFamily(
            "aliecs_transition_seconds",
            "How long transitions took, and each of their steps (step `all` is all of it)",
            labels=["transition", "step", "result"],
        )
        for transition, times in sorted(self.measurements.transitions.items()):
            transitions.add_metric(transition, times.cumulative(), times.total)
        yield transitions
        calls = HistogramMetricFamily(
            "aliecs_call_seconds",
            "How long calls into outside services took",
            labels=["function", "result"],
        )
        for call, times in sorted(self.measurements.calls.items()):
            calls.add_metric(call, times.cumulative(), times.total)
        yield calls
        delays = HistogramMetricFamily(
            "aliecs_reactor_delay_seconds", "By how much the core's event loop was late"
        )
        delays.add_metric([], self.delay.delays.cumulative(), self.delay.delays.total)
        yield delays
        largest: Values = {(): self.delay.take_largest_s()}
        yield _gauge(
            "aliecs_reactor_delay_largest_seconds",
            "The longest that the event loop was late since this was asked last",
            largest,
        )

    def _queues(self) -> Iterator[Metric]:
        lengths: dict[tuple[str, ...], float]
        lengths = {(name,): float(length()) for name, length in self.queues.items()}
        subscriptions = self.core.bus.subscriptions
        lengths[("automatic_environments",)] = float(sum(one.waiting for one in subscriptions))
        for name, courier in self.couriers.items():
            lengths[(name,)] = float(courier.queued)
        yield _gauge("aliecs_queue_length", "What waits, by queue", lengths, "queue")
        number: Values = {(): float(self.audience.listeners)}
        yield _gauge("aliecs_event_readers", "Who reads the event stream", number)
        together, slowest = self.audience.waiting()
        waiting: Values = {("all",): float(together), ("slowest",): float(slowest)}
        yield _gauge(
            "aliecs_event_waiting_bytes",
            "What readers of the event stream were not sent yet, of all and of the slowest",
            waiting,
            "readers",
        )
        cut_off = CounterMetricFamily(
            "aliecs_event_readers_cut_off", "Readers of the event stream that did not read"
        )
        cut_off.add_metric([], self.audience.cut_off)
        yield cut_off

    def _kafka(self) -> Iterator[Metric]:
        if not self.couriers:
            return
        couriers = self.couriers.items()
        sent = CounterMetricFamily("aliecs_kafka_sent", "What Kafka has taken", labels=["what"])
        lost = CounterMetricFamily(
            "aliecs_kafka_lost",
            "What Kafka will never have: refused by it, or the spool was full",
            labels=["what", "reason"],
        )
        for name, courier in couriers:
            sent.add_metric([name], courier.sent)
            lost.add_metric([name, "refused"], courier.refused)
            lost.add_metric([name, "spool"], courier.spool.lost)
            lost.add_metric([name, "queue"], courier.overrun)
        yield sent
        yield lost
        for name, text, values in (
            ("waiting", "What Kafka does not have yet", [c.waiting for _, c in couriers]),
            ("spool_bytes", "The spool on disk", [c.spool.size for _, c in couriers]),
            ("away", "1 while Kafka takes nothing", [int(c.away) for _, c in couriers]),
        ):
            by_name: Values = {(n,): float(v) for (n, _), v in zip(couriers, values, strict=True)}
            yield _gauge(f"aliecs_kafka_{name}", text, by_name, "what")


class TextResource(Resource):
    """A page of plain text that is made anew for everyone who asks."""

    isLeaf = True  # noqa: N815

    def __init__(self, make: Callable[[], bytes], content_type: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._make = make
        self._content_type = content_type

    def render_GET(self, request: Request) -> bytes:  # noqa: N802
        """The page."""
        request.setHeader(b"Content-Type", self._content_type)
        request.setHeader(b"Cache-Control", b"no-store")
        return self._make()


def page_at(path: str, page: Resource) -> Resource:
    """A tree of resources with `page` at `path` and nothing else."""
    root = node = Resource()
    *folders, last = [part.encode() for part in path.split("/") if part] or [b"metrics"]
    for part in folders:
        inner = Resource()
        node.putChild(part, inner)
        node = inner
    node.putChild(last, page)
    return root


def parse_lines_endpoint(text: str) -> tuple[int, str] | None:
    """Port and name of the setting `metricsEndpoint`; None where it cannot be read. Of the name
    only the letters that it begins with count, as in the reference."""
    found = _LINES_ENDPOINT.match(text)
    if found is None or int(found[1]) > 65535:
        return None
    return int(found[1]), found[2]


def _by_label(counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(label,): float(count) for label, count in sorted(counts.items())}


def _gauge(name: str, text: str, values: Values, *labels: str) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        gauge.add_metric(key, value)
    return gauge
