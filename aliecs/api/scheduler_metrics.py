"""What the reference counts of its scheduler, under the reference's names, word for word.

Names of counters end there as they end in the reference, without the suffix that Prometheus
advises: what is drawn of it stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import Metric, SummaryMetricFamily

from aliecs.event.measurement import Measurements
from aliecs.interfaces import Sum, Traffic

PREFIX = "o2control_scheduler_"


def scheduler_metrics(
    traffic: Traffic, measurements: Measurements, summaries: bool, by_resource: bool
) -> Iterator[Metric]:
    """All of them; the summaries where they are wanted, those of resources only with the others."""
    for name, text, count in (
        ("tasks_launched", "Tasks launched", measurements.tasks_launched),
        ("tasks_finished", "Tasks that ended by themselves", measurements.tasks_finished),
        ("offers_received", "Offers received", traffic.offers_received),
        ("offers_declined", "Offers declined", traffic.offers_declined),
    ):
        yield _counter(name, text, {"": count})
    for name, text, counts in (
        ("call_count", "Calls to the master, by type", traffic.calls),
        ("call_error_count", "Calls to the master that failed, by type", traffic.call_errors),
        ("event_received_count", "Events of the master, by type", traffic.events),
        ("event_error_count", "Events that could not be dealt with", traffic.event_errors),
    ):
        yield _counter(name, text, counts, "type")
    if summaries:
        yield _summary(
            "tasks_launched_per_cycle",
            "Tasks launched with one acceptance of offers",
            {"": traffic.launches},
        )
        times = "how long they took, in seconds"
        yield _summary("call_latency", f"Calls to the master: {times}", traffic.call_times, "type")
        yield _summary(
            "event_received_latency", f"Events of the master: {times}", traffic.event_times, "type"
        )
        if by_resource:
            text = "What an offer had of a kind of resource"
            yield _summary("offered_resources", text, traffic.resources, "type")


def _counter(name: str, text: str, counts: Mapping[str, int], *labels: str) -> Metric:
    metric = Metric(PREFIX + name, text, "unknown")
    for value, count in sorted(counts.items()):
        metric.add_sample(PREFIX + name, dict(zip(labels, (value,), strict=False)), float(count))
    return metric


def _summary(name: str, text: str, sums: Mapping[str, Sum], *labels: str) -> Metric:
    metric = SummaryMetricFamily(PREFIX + name, text, labels=labels)
    for value, one in sorted(sums.items()):
        metric.add_metric((value,)[: len(labels)], one.count, one.total)
    return metric
