"""The sink of the bus: every event becomes a letter to the topic of its kind.

The topic is `aliecs.` and the kind, the key is the id of the environment (for events of tasks: of
the task), so that all of one environment are in one partition, in order. The value is the message
`events.Event` as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define
from zope.interface import implementer

from aliecs.event.kafka.courier import Courier
from aliecs.event.kafka.spool import Content, Spool
from aliecs.event.record import Event
from aliecs.interfaces import IEventSink
from aliecs.settings.core import Settings

ROOT_TOPIC = "aliecs"


def content_of(event: Event) -> Content:
    """The letter of an event. An event is encoded here at the earliest, and never on the reactor's
    thread for Kafka's sake."""
    payload = event.payload
    key = payload.key()
    return Content(f"{ROOT_TOPIC}.{payload.topic}", key.encode() if key else None, event.message())


@implementer(IEventSink)
@define(eq=False)
class KafkaSink:
    """Hands events to its courier."""

    courier: Courier

    @classmethod
    def make(
        cls,
        endpoints: Sequence[str],
        folder: Path,
        bound_bytes: int,
        reactor: Any,
    ) -> KafkaSink:
        """A sink for the brokers at `endpoints`, with its spool in `folder`."""
        return cls(Courier(endpoints, Spool(folder, bound_bytes), reactor, content_of))

    @classmethod
    def of_settings(cls, settings: Settings, folder: Path, reactor: Any) -> KafkaSink | None:
        """The one that the settings want, None where they name no brokers."""
        if not settings.kafka_endpoints or not settings.enable_kafka:
            return None
        bound_bytes = settings.kafka_spool_mb * 1024 * 1024
        return cls.make(settings.kafka_endpoints, folder, bound_bytes, reactor)

    def deliver(self, event: Event) -> None:
        """See `IEventSink`."""
        if event.has_message:
            self.courier.send(event)
