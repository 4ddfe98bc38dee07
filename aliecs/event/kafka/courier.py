"""The courier: takes what is told, spools it, and brings it to Kafka, in a thread of its own.

Whoever tells something puts it into a queue and is done. The thread makes letters of what it finds
there, appends them to the spool, and hands the oldest of the spool to librdkafka's idempotent
producer, so many at a time that memory stays small. Within a partition letters arrive in the order
in which they were told, each once: also when brokers go and come back, for whom the producer waits
as long as it takes. Only where a core is killed, or the brokers forget the producer, those on their
way are sent again.

What the brokers refuse for good (too large, no right to the topic) is lost, and said.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, TimeoutError
from twisted.logger import Logger

from aliecs.errors import SettingsError, Unavailable
from aliecs.event.kafka.spool import Content, Letter, Spool
from aliecs.event.timing import Timings

QUEUE_BOUND = 200_000
"""What may wait for the thread. It falls behind so far only where its disk hangs."""
BATCH = 1_000
GROUP_INTERVAL_S = 0.003
"""How long the thread waits for company before it writes."""

WINDOW = 10_000
WINDOW_BYTES = 16 * 1024 * 1024
"""Letters, and their bytes, that may be on their way at once."""

AWAY_S = 10.0
"""Brokers that take nothing for so long are away."""
REMIND_S = 60.0
FLUSH_S = 2.0
"""How long the end of the core waits for what is on its way."""
STUCK_S = 5.0
"""How long beyond it for a thread whose disk may hang."""
LARGEST_MESSAGE = 8 * 1024 * 1024
"""Above every limit that a broker has: it is for the broker to refuse."""


@define(eq=False, slots=True)
class _Sent:
    """A letter on its way; called by the producer when it arrived or was refused."""

    letter: Letter
    courier: Courier
    done: bool = False
    since_ns: int = field(factory=time.perf_counter_ns)

    def __call__(self, error: Any, message: Any) -> None:
        self.courier._reported(self, error)


@define(eq=False)
class Courier:
    """Brings letters to the brokers at `endpoints`. `content_of` makes a letter of what `send` was
    given; it runs in the thread."""

    endpoints: Sequence[str]
    spool: Spool
    reactor: Any
    content_of: Callable[[Any], Content]
    away_s: float = AWAY_S
    remind_s: float = REMIND_S
    timings: Timings | None = field(init=False, default=None)
    """Where it is noted how long letters took, if somebody wants to know."""
    sent: int = field(init=False, default=0)
    """Letters that the brokers have."""
    sent_of: Counter[str] = field(init=False, factory=Counter)
    """The same, by topic."""
    refused: int = field(init=False, default=0)
    """Letters that the brokers do not take, and what no letter can be made of."""
    refused_of: Counter[str] = field(init=False, factory=Counter)
    overrun: int = field(init=False, default=0)
    """What the queue had no room for."""
    away: bool = field(init=False, default=False)
    trouble: str = field(init=False, default="")
    """What the producer said last of its connections."""
    _queue: deque[Any] = field(init=False, factory=deque)
    _awake: threading.Event = field(init=False, factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)
    _ending: bool = field(init=False, default=False)
    _flush_s: float = field(init=False, default=FLUSH_S)
    _ended: Deferred[None] = field(init=False, factory=Deferred)
    _producer: Any = field(init=False, default=None)
    _under_way: deque[_Sent] = field(init=False, factory=deque)
    _under_way_bytes: int = field(init=False, default=0)
    _unreported: int = field(init=False, default=0)
    _broken: bool = field(init=False, default=False)
    _progress_at_s: float = field(init=False, default=0.0)
    _sent_before: int = field(init=False, default=0)
    _said_away_at_s: float = field(init=False, default=float("-inf"))
    _said_lost: int = field(init=False, default=0)
    _said_lost_at_s: float = field(init=False, default=float("-inf"))
    _why_refused: str = field(init=False, default="")
    _log: Logger = field(init=False, factory=Logger)

    def start(self) -> None:
        """Take up the spool and begin. Raises `Unavailable` where the spool cannot be used, and
        `SettingsError` where Kafka cannot be spoken to from here at all."""
        self._producer = _make_producer(self.endpoints, self._heard_of_trouble)
        try:
            self.spool.open()
        except OSError as error:
            folder = self.spool.folder
            raise Unavailable(
                f"the spool {folder} of what is told to Kafka cannot be used: {error}"
            ) from error
        if self.spool.waiting:
            self._log.info(
                "{count} events for Kafka are left from a core before this one: they go first",
                count=self.spool.waiting,
            )
        self._thread = threading.Thread(target=self._work, name="kafka", daemon=True)
        self._thread.start()

    def send(self, item: Any) -> None:
        """Take something to be brought; never waits."""
        if len(self._queue) >= QUEUE_BOUND:
            self.overrun += 1
            return
        self._queue.append(item)
        if not self._awake.is_set():
            self._awake.set()

    async def stop(self, flush_s: float = FLUSH_S) -> None:
        """Bring what can be brought within `flush_s`; the rest stays in the spool."""
        if self._thread is None:
            return
        self._flush_s = flush_s
        self._ending = True
        self._awake.set()
        try:
            await self._ended.addTimeout(flush_s + STUCK_S, self.reactor)
        except TimeoutError:
            self._log.error("what tells Kafka does not end: it is left behind")
        self._thread = None

    @property
    def queued(self) -> int:
        """What waits for the thread."""
        return len(self._queue)

    @property
    def waiting(self) -> int:
        """All that the brokers do not have yet."""
        return len(self._queue) + self.spool.waiting

    @property
    def lost(self) -> int:
        """All that the brokers will never have."""
        return self.spool.lost + self.refused + self.overrun

    # --- in the thread ---------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while not self._ending:
                try:
                    self._turn()
                except Exception:
                    self._log.failure("a fault of ours in what tells Kafka; it goes on")
                    time.sleep(1.0)
            self._finish()
        except Exception:
            self._log.failure("what tells Kafka did not end as it should")
        finally:
            self._producer = None
            self.reactor.callFromThread(self._ended.callback, None)

    def _turn(self) -> None:
        """Once around: wait, write, hand over, hear what arrived."""
        if not (self._queue or self._under_way or self.spool.has_more):
            self._awake.wait(REMIND_S)
        self._awake.clear()
        if self._under_way:
            # The answers are waited for; what is told meanwhile is company for the next letters.
            self._producer.poll(0.1 if self.away else GROUP_INTERVAL_S)
        else:
            time.sleep(GROUP_INTERVAL_S)
        self._write()
        self._hand_over()
        self._take_stock()

    def _write(self) -> None:
        for _ in range(0, QUEUE_BOUND, BATCH):
            count = min(BATCH, len(self._queue))
            if not count:
                return
            items = [self._queue.popleft() for _ in range(count)]
            self.spool.append(list(self._contents(items)))

    def _contents(self, items: Iterable[Any]) -> Iterable[Content]:
        for item in items:
            began_ns = time.perf_counter_ns()
            try:
                content = self.content_of(item)
            except Exception as error:
                self.refused += 1
                self._why_refused = f"{type(error).__name__}: {error}"
                self._log.failure("this cannot be told to Kafka: {item!r}", item=item)
            else:
                self._took("kafka_prepare", content.topic, began_ns)
                yield content

    def _took(self, what: str, topic: str, began_ns: int) -> None:
        if self.timings is not None:
            self.timings.add(what, topic, time.perf_counter_ns() - began_ns)

    def _hand_over(self) -> None:
        if self._broken:
            self._begin_anew()
        while len(self._under_way) < WINDOW and self._under_way_bytes < WINDOW_BYTES:
            letter = self.spool.take()
            if letter is None:
                return
            sent = _Sent(letter, self)
            if not self._produce(sent):
                self.spool.give_back(letter)
                return
            if not self._under_way:
                self._progress_at_s = time.monotonic()
            self._under_way.append(sent)
            self._under_way_bytes += len(letter.value)

    def _produce(self, sent: _Sent) -> bool:
        """Give a letter to the producer; False where it takes no more for now."""
        _, topic, key, value = sent.letter
        try:
            self._producer.produce(topic, value, key=key, on_delivery=sent)
        except BufferError:
            return False
        except Exception as error:
            self._refuse(sent, error)
        return True

    def _reported(self, sent: _Sent, error: Any) -> None:
        """The producer says what became of a letter."""
        if sent.done:
            return
        if error is None:
            sent.done = True
            self.sent += 1
            self.sent_of[sent.letter.topic] += 1
            self._took("kafka_writer", sent.letter.topic, sent.since_ns)
        elif error.fatal() or error.name().startswith(("_PURGE", "_FATAL", "_MSG_TIMED_OUT")):
            self._broken = True
        else:
            self._refuse(sent, error)

    def _refuse(self, sent: _Sent, error: Any) -> None:
        sent.done = True
        self.refused += 1
        self.refused_of[sent.letter.topic] += 1
        self._why_refused = f"{sent.letter.topic}: {error}"

    def _begin_anew(self) -> None:
        """The brokers have forgotten this producer: another one sends what was on its way."""
        self._broken = False
        self._log.error("Kafka has to be begun with anew: {reason}", reason=self.trouble)
        self._producer = _make_producer(self.endpoints, self._heard_of_trouble)
        for sent in self._under_way:
            while not sent.done and not self._produce(sent):
                self._producer.poll(GROUP_INTERVAL_S)

    def _take_stock(self) -> None:
        """Forget what arrived; say what has to be said."""
        under_way = self._under_way
        count = 0
        while under_way and under_way[0].done:
            letter = under_way.popleft().letter
            self._under_way_bytes -= len(letter.value)
            count += 1
        if count:
            self.spool.acknowledge(letter.number, count)
        now_s = time.monotonic()
        if self.sent != self._sent_before or (count and not under_way):
            self._sent_before = self.sent
            self._progress_at_s = now_s
            self._arrived()
        elif under_way and now_s - self._progress_at_s > self.away_s:
            self._still_away(now_s)
        self._complain_of_loss(now_s)

    def _arrived(self) -> None:
        self.trouble = ""
        if self.away:
            self.away = False
            self._said_away_at_s = float("-inf")
            self._log.info(
                "Kafka takes events again; {count} waited for it", count=self.spool.waiting
            )

    def _still_away(self, now_s: float) -> None:
        self.away = True
        if now_s - self._said_away_at_s < self.remind_s:
            return
        self._said_away_at_s = now_s
        self.spool.sync()
        self._log.error(
            "Kafka at {endpoints} has taken nothing for {seconds:.0f} s ({trouble}): {count} "
            "events wait in {folder}, {used:.1f} of at most {bound:.1f} MB, the oldest for {topic}",
            endpoints=",".join(self.endpoints),
            seconds=now_s - self._progress_at_s,
            trouble=self.trouble or "no answer",
            count=self.waiting,
            folder=self.spool.folder,
            used=self.spool.size / 1e6,
            bound=self.spool.bound_bytes / 1e6,
            topic=self._under_way[0].letter.topic,
        )

    def _complain_of_loss(self, now_s: float) -> None:
        lost = self.lost
        if lost == self._said_lost or now_s - self._said_lost_at_s < self.remind_s:
            return
        reasons = {
            f"Kafka does not take them, the last one for {self._why_refused}": self.refused,
            "the disk of the spool hangs": self.overrun,
            self.spool.fault or "the spool is full, the oldest go first": self.spool.lost,
        }
        self._log.critical(
            "{count} events are LOST for Kafka, {all} in all: {reasons}",
            count=lost - self._said_lost,
            all=lost,
            reasons="; ".join(reason for reason, number in reasons.items() if number),
        )
        self._said_lost, self._said_lost_at_s = lost, now_s

    def _finish(self) -> None:
        """The end: what can be brought is brought, the rest is on disk."""
        deadline = time.monotonic() + (0.0 if self.away else self._flush_s)
        self._write()
        self._hand_over()
        while self._under_way and time.monotonic() < deadline:
            self._producer.poll(GROUP_INTERVAL_S)
            self._take_stock()
            self._hand_over()
        self._take_stock()
        self._said_lost_at_s = float("-inf")
        self._complain_of_loss(time.monotonic())
        left = self.spool.waiting
        if left:
            self._log.warn(
                "{count} events for Kafka wait in {folder} for the next core",
                count=left,
                folder=self.spool.folder,
            )
        self.spool.close()
        # What it has not sent, it is not to send any more: the next core does.
        self._producer.purge()
        self._producer.poll(0)

    def _heard_of_trouble(self, error: Any) -> None:
        self.trouble = error.str()


def _make_producer(endpoints: Sequence[str], on_trouble: Callable[[Any], None]) -> Any:
    try:
        from confluent_kafka import KafkaException, Producer
    except ImportError as error:
        raise SettingsError(
            "kafkaEndpoints: events go to Kafka by the package confluent-kafka, which is not "
            "installed: install aliecs[kafka], or set enableKafka to false"
        ) from error
    try:
        return Producer(
            {
                "bootstrap.servers": ",".join(endpoints),
                "client.id": "aliecs",
                "enable.idempotence": True,
                "acks": "all",
                # It waits for brokers as long as it takes: what cannot be sent is in the spool.
                "message.timeout.ms": 0,
                # The hash that other producers of this experiment use for keys.
                "partitioner": "fnv1a_random",
                "linger.ms": 2,
                "queue.buffering.max.messages": 2 * WINDOW,
                "queue.buffering.max.kbytes": 2 * WINDOW_BYTES // 1024,
                "message.max.bytes": LARGEST_MESSAGE,
                "socket.timeout.ms": 10_000,
                "socket.keepalive.enable": True,
                "reconnect.backoff.max.ms": 2_000,
                "allow.auto.create.topics": True,
                # We say ourselves what is wrong, once, and not for each try.
                "log_level": 2,
                "error_cb": on_trouble,
            }
        )
    except KafkaException as error:
        raise SettingsError(f"kafkaEndpoints: {error.args[0].str()}") from error
