"""The courier and a real broker: what is told arrives, in order, once, whatever the broker does."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from aliecs.errors import SettingsError, Unavailable
from aliecs.event.bus import Bus
from aliecs.event.kafka import courier as courier_module
from aliecs.event.kafka.courier import Courier
from aliecs.event.kafka.sink import KafkaSink, content_of
from aliecs.event.kafka.spool import Content, Spool
from aliecs.event.record import CoreStart, EnvironmentEvent, OpStatus, RunEvent
from test.kafka import KafkaServer, find_kafka, prefix, shared_kafka

find_kafka()

MB = 1024 * 1024


class Reactor:
    """Calls at once what it is told to call, in whatever thread that is."""

    def callFromThread(self, work: Callable[..., Any], *arguments: Any) -> None:
        work(*arguments)

    def callLater(self, delay_s: float, work: Callable[..., Any], *arguments: Any) -> Any:
        return Mock(active=lambda: False)


@pytest.fixture
def broker() -> Iterator[KafkaServer]:
    broker = shared_kafka()
    yield broker
    if not broker.running:
        broker.start()


@pytest.fixture
def topic() -> str:
    return f"test.{prefix()}"


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What was logged, at warning and above."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_level"].name in ("warn", "error", "critical"):
            lines.append((event.get("log_format") or "").format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def courier_to(address: str, folder: Path, bound_bytes: int = 64 * MB, **options: float) -> Courier:
    spool = Spool(folder, bound_bytes)
    made = Courier([address], spool, Reactor(), lambda item: Content(*item), **options)
    made.start()
    return made


def end(courier: Courier, flush_s: float = 10.0) -> float:
    """Stop it and wait for its end; gives how long that took."""
    began_s = time.monotonic()
    with pytest.raises(StopIteration):
        courier.stop(flush_s).send(None)
        assert courier._thread is not None
        courier._thread.join(30.0)
        raise StopIteration
    assert courier._thread is None or not courier._thread.is_alive()
    return time.monotonic() - began_s


def wait_until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def tell(courier: Courier, topic: str, begin: int, count: int) -> None:
    for number in range(begin, begin + count):
        courier.send(Content(topic, b"key-%d" % (number % 5), b"%d" % number))


def read_by_key(broker: KafkaServer, topic: str) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for message in broker.read([topic]):
        assert message.key is not None
        found.setdefault(message.key, []).append(int(message.value))
    return found


def all_of(count: int) -> dict[bytes, list[int]]:
    return {b"key-%d" % key: list(range(key, count, 5)) for key in range(5)}


# --- on the wire -----------------------------------------------------------------------------


def test_keys_go_to_the_partitions_of_the_sheet(
    broker: KafkaServer, topic: str, tmp_path: Path
) -> None:
    courier = courier_to(broker.address, tmp_path)
    wanted = {b"2oDvieFrVTi": 1, b"2rRm96N9k7E": 2, b"2sP21PjpfCQ": 0}
    for key in wanted:
        courier.send(Content(topic, key, b"value"))
    courier.send(Content(topic, None, b"to anybody"))
    end(courier)
    found = broker.read([topic])
    assert {m.key: m.partition for m in found if m.key is not None} == wanted
    assert [m.value for m in found if m.key is None] == [b"to anybody"]


def test_events_are_the_messages_of_the_sheet() -> None:
    bus = Bus(now_ns=lambda: 1_700_000_000_123_456_789)
    event = bus.tell(EnvironmentEvent("2oDvieFrVTi", "RUNNING", message="transition starting"))
    made = content_of(event)
    assert (made.topic, made.key) == ("aliecs.environment", b"2oDvieFrVTi")
    assert made.value is event.message()
    start = content_of(bus.tell(CoreStart("z"), 2_000_000))
    assert (start.topic, start.key) == ("aliecs.core", None)
    assert start.value.hex() == "08021080897aba06030a017a"
    assert content_of(bus.tell(RunEvent("2oDvieFrVTi", 7, "RUNNING"))).topic == "aliecs.run"


def test_the_sink_takes_what_the_bus_tells(broker: KafkaServer, tmp_path: Path) -> None:
    bus = Bus()
    sink = KafkaSink.make([broker.address], tmp_path, MB, Reactor())
    sink.courier.start()
    bus.add_sink(sink)
    environment = prefix()
    for step in range(20):
        bus.tell(
            EnvironmentEvent(
                environment, "RUNNING", runNumber=step, transitionStatus=OpStatus.STARTED
            )
        )
    end(sink.courier)
    found = [m for m in broker.read(["aliecs.environment"]) if m.key == environment.encode()]
    assert [m.event.environmentEvent.runNumber for m in found] == list(range(20))
    assert {m.partition for m in found} == {found[0].partition}
    assert all(m.event.timestampNano // 1_000_000 == m.event.timestamp for m in found)
    assert list(tmp_path.iterdir()) == []


# --- brokers that come and go ----------------------------------------------------------------


def test_a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing(
    broker: KafkaServer, topic: str, tmp_path: Path, said: list[str]
) -> None:
    courier = courier_to(broker.address, tmp_path)
    tell(courier, topic, 0, 2_000)
    wait_until(lambda: courier.sent > 500)
    broker.kill()
    courier.away_s = 0.5
    tell(courier, topic, 2_000, 20_000)
    wait_until(lambda: courier.away and courier.waiting >= 20_000)
    wait_until(lambda: any("has taken nothing" in one and "events wait in" in one for one in said))
    broker.start()
    tell(courier, topic, 22_000, 1_000)
    wait_until(lambda: courier.waiting == 0)
    end(courier)
    assert read_by_key(broker, topic) == all_of(23_000)
    assert (courier.sent, courier.lost, courier.away) == (23_000, 0, False)
    assert list(tmp_path.iterdir()) == []


def test_a_broker_that_is_away_at_the_start_and_a_core_that_ends_meanwhile(
    broker: KafkaServer, topic: str, tmp_path: Path, said: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
    first = courier_to(address, tmp_path)
    tell(first, topic, 0, 3_000)
    assert end(first, flush_s=0.5) < 5.0
    assert any("3000 events for Kafka wait in" in line for line in said)
    second = courier_to(broker.address, tmp_path)
    tell(second, topic, 3_000, 500)
    end(second)
    assert read_by_key(broker, topic) == all_of(3_500)


def test_a_black_hole_holds_up_nobody(broker: KafkaServer, topic: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as hole:
        taken: list[socket.socket] = []

        def swallow() -> None:
            while True:
                try:
                    taken.append(hole.accept()[0])
                except OSError:
                    return

        threading.Thread(target=swallow, daemon=True).start()
        courier = courier_to(f"127.0.0.1:{hole.getsockname()[1]}", tmp_path)
        wait_until(lambda: bool(taken))
        began_s = time.thread_time()
        tell(courier, topic, 0, 10_000)
        assert time.thread_time() - began_s < 5.0
        assert end(courier, flush_s=0.3) < 8.0
    second = courier_to(broker.address, tmp_path)
    end(second)
    assert read_by_key(broker, topic) == all_of(10_000)


def test_a_broker_that_stands_still_gets_everything_when_it_goes_on(
    broker: KafkaServer, topic: str, tmp_path: Path
) -> None:
    courier = courier_to(broker.address, tmp_path)
    tell(courier, topic, 0, 1_000)
    wait_until(lambda: courier.sent == 1_000)
    broker.hold(True)
    try:
        courier.away_s = 0.5
        tell(courier, topic, 1_000, 15_000)
        wait_until(lambda: courier.away)
    finally:
        broker.hold(False)
    wait_until(lambda: courier.waiting == 0)
    end(courier)
    assert read_by_key(broker, topic) == all_of(16_000)


def test_the_spool_is_bounded_and_loss_is_said(topic: str, tmp_path: Path, said: list[str]) -> None:
    courier = courier_to("127.0.0.1:1", tmp_path, bound_bytes=2 * MB, away_s=0.2, remind_s=0.2)
    value = b"x" * 1_000
    for _ in range(80):
        for _ in range(1_000):
            courier.send(Content(topic, b"key", value))
        wait_until(lambda: courier.queued < 5_000)
    wait_until(lambda: courier.queued == 0)
    assert courier.spool.size <= 2 * MB
    assert courier.lost > 10_000
    wait_until(lambda: any("are LOST for Kafka" in line for line in said))
    assert courier.lost + courier.waiting == 80_000
    end(courier, flush_s=0.1)


def test_what_the_broker_refuses_is_said_and_holds_up_nothing(
    broker: KafkaServer, topic: str, tmp_path: Path, said: list[str]
) -> None:
    courier = courier_to(broker.address, tmp_path)
    courier.send(Content(topic, b"key-0", b"0"))
    courier.send(Content(topic, b"key-0", b"z" * (2 * MB)))
    courier.send("no letter at all")
    courier.send(Content(topic, b"key-0", b"5"))
    end(courier)
    assert read_by_key(broker, topic) == {b"key-0": [0, 5]}
    assert (courier.sent, courier.refused) == (2, 2)
    assert any("Kafka does not take them" in line and topic in line for line in said)


class Forgetful:
    """A producer that its brokers forget after three letters; the next ones they do not."""

    made: list[Forgetful] = []

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Any]] = []
        self.taken: list[bytes] = []
        self.forgotten = not self.made
        self.made.append(self)

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Any) -> None:
        self.waiting.append((value, on_delivery))

    def poll(self, timeout_s: float) -> None:
        time.sleep(timeout_s)
        waiting, self.waiting = self.waiting, []
        for value, report in waiting:
            if self.forgotten and len(self.taken) == 3:
                report(Fatal(), None)
            else:
                self.taken.append(value)
                report(None, None)

    def purge(self) -> None:
        pass


class Fatal:
    def fatal(self) -> bool:
        return True


def test_brokers_that_forget_the_producer_get_the_rest_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Forgetful, "made", [])
    monkeypatch.setattr(courier_module, "_make_producer", lambda *arguments: Forgetful())
    courier = courier_to("", tmp_path)
    tell(courier, "topic", 0, 100)
    end(courier)
    first, second = (one.taken for one in Forgetful.made)
    assert [int(value) for value in first + second] == list(range(100))
    assert (courier.sent, courier.lost) == (100, 0)


def test_a_thread_that_does_not_end_is_left_behind(tmp_path: Path, said: list[str]) -> None:
    clock = Clock()
    made = Courier([""], Spool(tmp_path, MB), clock, lambda item: item)
    made._thread = Mock()
    stopping = Deferred.fromCoroutine(made.stop())
    assert not stopping.called
    clock.advance(10.0)
    assert stopping.called
    assert said == ["what tells Kafka does not end: it is left behind"]


# --- what cannot be --------------------------------------------------------------------------


def test_a_spool_that_cannot_be_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="spool"):
        courier_to("127.0.0.1:1", tmp_path / "file" / "spool")


def test_without_the_library_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(
        SettingsError, match=r"install aliecs\[kafka\], or set enableKafka to false"
    ):
        courier_to("127.0.0.1:1", tmp_path)
