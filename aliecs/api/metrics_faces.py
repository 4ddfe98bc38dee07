"""Where metrics are asked for beside REST: the two ports of the reference.

Metrics are for whoever watches, and no reason not to start: a port that somebody else has is said,
and the core goes on without it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from attrs import define, field
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from aliecs.api.metrics import (
    CONTENT_TYPE,
    Metrics,
    TextResource,
    page_at,
    parse_lines_endpoint,
)
from aliecs.api.site import QuietSite
from aliecs.event.kafka.courier import Courier
from aliecs.event.line import Lines
from aliecs.event.timing import Timings
from aliecs.settings.core import Settings

LONGEST_BODY = 1024


@define(eq=False)
class MetricsFaces:
    """Opens the ports; `addresses` says which ones, by name."""

    metrics: Metrics
    lines: Lines
    settings: Settings
    reactor: Any
    addresses: dict[str, str] = field(init=False, factory=dict)
    _listening: list[Any] = field(init=False, factory=list)
    _counted: dict[str, Counter[str]] = field(init=False, factory=dict)
    _log: Logger = field(init=False, factory=Logger)

    def open(self) -> None:
        """Open what can be opened."""
        settings = self.settings
        page = TextResource(self.metrics.text, CONTENT_TYPE)
        self._listen(
            "metrics",
            settings.metrics_address,
            settings.metrics_port,
            settings.metrics_path,
            page,
            "metrics.port",
        )
        if not settings.metrics_endpoint:
            return
        endpoint = parse_lines_endpoint(settings.metrics_endpoint)
        if endpoint is None:
            self._log.error(
                "metricsEndpoint: {text!r} is not a port of four or five digits, '/', and a name: "
                "there are no metrics for InfluxDB",
                text=settings.metrics_endpoint,
            )
            return
        for courier in self.metrics.couriers.values():
            courier.timings = Timings()
        port, name = endpoint
        lines = TextResource(self._take_lines, b"text/plain; charset=utf-8")
        self._listen(
            "ecsmetrics", settings.listen_address, port, f"/{name}", lines, "metricsEndpoint"
        )

    def close(self) -> None:
        """Close everything."""
        for port in self._listening:
            port.stopListening()

    def _listen(
        self, what: str, address: str, port: int, path: str, page: TextResource, setting: str
    ) -> None:
        site = QuietSite(page_at(path, page), LONGEST_BODY)
        try:
            listening: Any = self.reactor.listenTCP(port, site, interface=address)
        except CannotListenError as error:
            self._log.warn(
                "{setting}: there are no metrics on {address}:{port}: {reason}",
                setting=setting,
                address=address,
                port=port,
                reason=error.socketError,
            )
            return
        self._listening.append(listening)
        self.addresses[what] = f"http://{address}:{listening.getHost().port}{path}"

    def _take_lines(self) -> bytes:
        for courier in self.metrics.couriers.values():
            self._count(courier)
            for timing in courier.timings.take() if courier.timings is not None else ():
                self.lines.put(timing)
        return self.lines.take()

    def _count(self, courier: Courier) -> None:
        """What went to Kafka since this was counted last."""
        for name, now in (
            ("messages_sent", courier.sent_of),
            ("messages_failed", courier.refused_of),
        ):
            before = self._counted.setdefault(f"{id(courier)} {name}", Counter())
            for topic, count in tuple(now.items()):
                if count != before[topic]:
                    self.lines.add("kafka_writer", {"topic": topic}, {name: count - before[topic]})
                    before[topic] = count
