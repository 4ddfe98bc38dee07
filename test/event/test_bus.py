"""The bus: order, bounds, replay, and listeners that fail alone."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from aliecs.errors import Exhausted
from aliecs.event.bus import Bus
from aliecs.event.record import (
    CallEvent,
    CoreStart,
    EnvironmentEvent,
    Event,
    IntegratedServiceEvent,
    OpStatus,
    RoleEvent,
    RunEvent,
    TaskEvent,
    Traits,
    User,
)
from aliecs.interfaces import IEventSink
from aliecs.protocol.protos import events_pb2


def role(number: int) -> RoleEvent:
    return RoleEvent(name=f"role{number}", rolePath=f"root.role{number}", environmentId="env")


@implementer(IEventSink)
class Sink:
    def __init__(self, fails: bool = False) -> None:
        self.events: list[Event] = []
        self.fails = fails

    def deliver(self, event: Any) -> None:
        if self.fails:
            raise RuntimeError("broken sink")
        self.events.append(event)


class BusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bus = Bus(now_ns=lambda: 1_700_000_000_123_456_789)

    def read(self, subscription: Any) -> Event | None:
        return self.successResultOf(Deferred.fromCoroutine(subscription.next()))

    def test_events_come_in_order_and_are_counted(self) -> None:
        subscription = self.bus.subscribe()
        for number in range(3):
            self.bus.tell(role(number))
        seen = [self.read(subscription) for _ in range(3)]
        self.assertEqual([e.sequence for e in seen if e], [1, 2, 3])

    def test_a_waiting_reader_is_woken(self) -> None:
        subscription = self.bus.subscribe(wanted=lambda e: isinstance(e.payload, RunEvent))
        waiting = Deferred.fromCoroutine(subscription.next())
        self.bus.tell(role(1))
        self.assertNoResult(waiting)
        self.bus.tell(RunEvent("env", 7, "RUNNING"))
        event = self.successResultOf(waiting)
        assert event is not None
        self.assertEqual(event.sequence, 2)

    def test_a_reader_goes_on_where_it_stopped(self) -> None:
        for number in range(5):
            self.bus.tell(role(number))
        subscription = self.bus.subscribe(after=3)
        self.assertEqual([self.read(subscription).sequence for _ in range(2)], [4, 5])  # type: ignore[union-attr]

    def test_a_slow_reader_is_cut_off_and_others_are_not(self) -> None:
        slow = self.bus.subscribe(bound=2)
        quick = self.bus.subscribe()
        for number in range(3):
            self.bus.tell(role(number))
        self.failureResultOf(Deferred.fromCoroutine(slow.next()), Exhausted)
        self.assertEqual(self.read(quick).sequence, 1)  # type: ignore[union-attr]

    def test_a_broken_sink_breaks_nobody_else(self) -> None:
        sink = Sink()
        verifyObject(IEventSink, sink)
        self.bus.add_sink(Sink(fails=True))
        self.bus.add_sink(sink)
        self.bus.tell(role(1))
        self.assertEqual(len(sink.events), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_closing_ends_readers(self) -> None:
        subscription = self.bus.subscribe()
        waiting = Deferred.fromCoroutine(subscription.next())
        self.bus.close()
        self.assertIsNone(self.successResultOf(waiting))
        self.assertIsNone(self.read(subscription))

    def test_a_cancelled_reader_loses_nothing(self) -> None:
        subscription = self.bus.subscribe()
        waiting = Deferred.fromCoroutine(subscription.next())
        waiting.cancel()
        self.failureResultOf(waiting)
        self.bus.tell(role(1))
        self.assertEqual(self.read(subscription).sequence, 1)  # type: ignore[union-attr]

    def test_an_event_is_encoded_once(self) -> None:
        event = self.bus.tell(role(1))
        self.assertIs(event.message(), event.message())
        self.assertIs(event.json(), event.json())


def test_records_agree_with_the_wire() -> None:
    """The JSON names are those of the protocol, and the bytes those of its test vector."""
    payload = EnvironmentEvent(
        environmentId="2oDvieFrVTi",
        state="RUNNING",
        runNumber=42,
        message="transition starting",
        transition="STOP_ACTIVITY",
        transitionStatus=OpStatus.STARTED,
        lastRequestUser=User(externalId=60, name="LHC"),
    )
    event = Event(1, 1_700_000_000_123_456_789, payload)
    assert event.message().hex() == (
        "08fbd095ffbc3110959a97ece39fe7cb175a470a0b326f44766965467256546912075255"
        "4e4e494e47182a2a137472616e736974696f6e207374617274696e67320d53544f505f41"
        "4354495649545940015207083c1a034c4843"
    )
    data = json.loads(event.json())
    assert data["seq"] == 1
    assert data["time"] == 1_700_000_000_123
    assert data["data"]["lastRequestUser"]["externalId"] == 60


def test_every_record_has_its_place_in_the_wrapper() -> None:
    traits = Traits("before_CONFIGURE", "after_CONFIGURE", "30s", True)
    payloads = [
        EnvironmentEvent("env", "RUNNING"),
        RunEvent("env", 1, "RUNNING"),
        TaskEvent("c#t", "t", "STANDBY", "ACTIVE", traits=traits),
        role(1),
        CallEvent("f()", OpStatus.DONE_OK, return_="result", traits=traits),
        IntegratedServiceEvent("dcs", "root.dcs", operationStatus=OpStatus.ONGOING),
        CoreStart("framework"),
    ]
    for payload in payloads:
        message = events_pb2.Event.FromString(Event(1, 1_000_000, payload).message())
        assert message.WhichOneof("Payload") == payload.field
        names = {f.name for f in getattr(message, payload.field).DESCRIPTOR.fields}
        encoded = json.loads(Event(1, 1, payload).json())["data"]
        # The service is in the topic, not in the message.
        assert set(encoded) - {"service"} <= names


def test_users_as_a_variable() -> None:
    assert User(externalId=0, name="x").to_variable() == '{"externalId":0,"name":"x"}'
    assert User().to_variable() == "{}"
    assert User.from_message(User(externalId=0, name="x").to_message()) == User(0, None, "x")
