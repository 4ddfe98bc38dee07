"""The bus: everything that happens is told here once, in order, and never blocks who tells it.

Sinks (Kafka, InfoLogger) are handed every event; subscriptions (gRPC, REST and WebSocket streams)
have a bounded queue each and are ended when their reader falls behind. The last events are kept in
a ring, so that a reader who was cut off goes on where it stopped.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from aliecs.errors import Exhausted
from aliecs.event.record import Event, Payload
from aliecs.interfaces import IEventSink

RING = 10_000
"""Events that can be replayed to a reader who comes back: a connection that broke for a moment. Who
was away for longer is told of the gap and reads the state anew; about 5 MB, and no more."""

SUBSCRIPTION_BOUND = 50_000
"""Events that may wait for one reader."""


@define(eq=False)
class Subscription:
    """A reader of the bus. Iterate with `await next()`; it ends with None.

    `wanted` says which events the reader gets. When the reader falls `bound` events behind, the
    subscription ends with `Exhausted`, and the reader may subscribe again from `last_sequence`.
    """

    wanted: Callable[[Event], bool]
    bound: int
    _ended: Callable[[Subscription], None]
    last_sequence: int = 0
    _waiting: deque[Event] = field(factory=deque)
    _reader: Deferred[Event | None] | None = None
    _failure: Exhausted | None = None
    _closed: bool = False

    def offer(self, event: Event) -> None:
        """Take an event, if it is wanted."""
        if self._closed or not self.wanted(event):
            return
        if self._reader is not None:
            reader, self._reader = self._reader, None
            self.last_sequence = event.sequence
            reader.callback(event)
        elif len(self._waiting) >= self.bound:
            self._failure = Exhausted(
                f"the reader is {self.bound} events behind and was cut off; "
                f"subscribe again after event {self.last_sequence}"
            )
            self.close()
        else:
            self._waiting.append(event)

    @property
    def waiting(self) -> int:
        """How many events wait for the reader."""
        return len(self._waiting)

    async def next(self) -> Event | None:
        """The next event, None at the end. Raises `Exhausted` where the reader was too slow."""
        if self._waiting:
            event = self._waiting.popleft()
            self.last_sequence = event.sequence
            return event
        if self._failure is not None:
            raise self._failure
        if self._closed:
            return None
        self._reader = Deferred(lambda _: self._forget_reader())
        return await self._reader

    def close(self) -> None:
        """End it; what waits can still be read, unless the reader was too slow."""
        if self._closed:
            return
        self._closed = True
        if self._failure is not None:
            self._waiting.clear()
        self._ended(self)
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.callback(None)

    def _forget_reader(self) -> None:
        self._reader = None


@define(eq=False)
class Bus:
    """All events of one core."""

    now_ns: Callable[[], int] = time.time_ns
    _sequence: int = field(init=False, default=0)
    _ring: deque[Event] = field(init=False, factory=lambda: deque(maxlen=RING))
    _sinks: list[IEventSink] = field(init=False, factory=list)
    _subscriptions: list[Subscription] = field(init=False, factory=list)
    _log: Logger = field(init=False, factory=Logger)

    @property
    def sequence(self) -> int:
        """The number of the last event."""
        return self._sequence

    @property
    def subscriptions(self) -> Sequence[Subscription]:
        """Everybody who reads."""
        return tuple(self._subscriptions)

    def add_sink(self, sink: IEventSink) -> None:
        """Hand every event from now on to `sink`."""
        self._sinks.append(sink)

    def tell(self, payload: Payload, time_ns: int | None = None) -> Event:
        """Tell an event; `time_ns` where it did not happen now. An error of a listener is the
        listener's own."""
        self._sequence += 1
        event = Event(self._sequence, self.now_ns() if time_ns is None else time_ns, payload)
        self._ring.append(event)
        for sink in self._sinks:
            try:
                sink.deliver(event)
            except Exception:
                self._log.failure("an event sink failed; the event is lost for it alone")
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)
        return event

    def subscribe(
        self,
        wanted: Callable[[Event], bool] = lambda event: True,
        after: int | None = None,
        bound: int = SUBSCRIPTION_BOUND,
    ) -> Subscription:
        """Read events from now on, or all after sequence number `after` that the ring holds."""
        subscription = Subscription(wanted, bound, self._forget)
        for event in self.kept(after):
            subscription.offer(event)
        self._subscriptions.append(subscription)
        return subscription

    def kept(self, after: int | None) -> Iterator[Event]:
        """The kept events after sequence number `after`, none where it is None."""
        if after is None:
            return
        for event in tuple(self._ring):
            if event.sequence > after:
                yield event

    def close(self) -> None:
        """End every subscription."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def _forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
