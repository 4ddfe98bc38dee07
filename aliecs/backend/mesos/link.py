"""The subscription: found, kept, watched, and begun again for ever.

Whoever listens hears the events of one subscription between `subscribed` and `disconnected`.
Nothing that happens here ends a task: losing a master means to look for one again.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from attrs import define, field
from google.protobuf.message import DecodeError
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from aliecs.backend.mesos import call
from aliecs.backend.mesos.address import Masters
from aliecs.backend.mesos.queue import CallQueue, Route
from aliecs.backend.mesos.wire import Reply, Stream, Wire
from aliecs.errors import InvalidInput, Unavailable
from aliecs.interfaces import Traffic
from aliecs.protocol.mesos_pb2 import FrameworkInfo
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from aliecs.protocol.recordio import RecordReader

T = TypeVar("T")

FIRST_PAUSE_S = 0.5
LAST_PAUSE_S = 5.0
"""Well below what a command may wait for a master."""
STEADY_S = 3.0
"""A subscription that lasted so long was a good one; the pause before the next is short."""
SILENCES = 3.0
"""Heartbeats that may be missing."""
HEARTBEAT_S = 15.0
"""Where the master does not say."""

log = Logger()


class LinkListener(Protocol):
    """Whoever the subscription is for."""

    def framework(self) -> FrameworkInfo:
        """What the next subscription says of us."""

    def subscribed(self, event: Event.Subscribed) -> None:
        """A master has taken us."""

    def event(self, event: Event) -> None:
        """Anything but subscriptions, heartbeats and errors."""

    def disconnected(self, reason: str) -> None:
        """The subscription is over; another one follows."""

    def removed(self, reason: str) -> None:
        """The master has ended our framework: the next subscription has to be that of a new one."""

    def taken_over(self, reason: str) -> None:
        """Another scheduler has taken our framework: no subscription follows."""


@define(eq=False)
class MasterLink:
    """See the module. `spread` makes pauses of many cores differ: it gives 0 to 1."""

    reactor: Any
    wire: Wire
    masters: Masters
    listener: LinkListener
    timeout_s: float
    spread: Callable[[], float] = random.random
    traffic: Traffic = field(factory=Traffic)
    calls: CallQueue = field(init=False)
    is_subscribed: bool = field(default=False, init=False)
    is_leaving: bool = field(default=False, init=False)
    """The framework is being ended: the stream ends too, and no other is wanted."""
    _is_stopped: bool = field(default=False, init=False)
    _stream: Stream | None = field(default=None, init=False)
    _ended: Deferred[str] | None = field(default=None, init=False)
    _reader: RecordReader = field(factory=RecordReader, init=False)
    _loop: Deferred[None] | None = field(default=None, init=False)
    _pause: Deferred[None] | None = field(default=None, init=False)
    _watch: Any = field(default=None, init=False)
    _heard_s: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False)
    _faults: int = field(default=0, init=False)
    """Of who listens."""
    _told: str = field(default="", init=False)
    """The trouble that was told last; the same is not told twice."""

    def __attrs_post_init__(self) -> None:
        self.calls = CallQueue(self.reactor, self.wire, self.drop)

    def start(self) -> None:
        """Begin to subscribe."""
        self._loop = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """End the subscription."""
        self._is_stopped = True
        self.drop("this core stops")
        if self._pause is not None:
            self._pause.callback(None)
        await self.wire.close()
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.addErrback(lambda failure: log.failure("the link to Mesos", failure))
            loop.addTimeout(self.timeout_s, self.reactor)
            loop.addErrback(lambda failure: None)
            await loop

    def drop(self, reason: str) -> None:
        """The subscription is of no use any more; another one is begun."""
        ended, self._ended = self._ended, None
        if ended is not None:
            if self._stream is not None:
                self._stream.close()
            ended.callback(reason)

    # --- the loop --------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._is_stopped:
            if self.is_leaving:
                await self._wait(FIRST_PAUSE_S)
                continue
            try:
                is_redirected = await self._subscribe_once()
            except Exception:
                log.failure("the subscription with the Mesos master")
                self._close("a fault of this core")
                is_redirected = False
            if not is_redirected:
                self._failures += 1
                await self._wait(min(FIRST_PAUSE_S * 2.0**self._failures / 2, LAST_PAUSE_S))

    async def _wait(self, pause_s: float) -> None:
        if self._is_stopped:
            return
        pause = self._pause = Deferred()
        seconds = pause_s * (0.5 + 0.5 * self.spread())
        timer = self.reactor.callLater(seconds, pause.callback, None)
        await pause
        self._pause = None
        if timer.active():
            timer.cancel()

    async def _subscribe_once(self) -> bool:
        """One subscription from its begin to its end. True where it is to be tried elsewhere at
        once."""
        address = self.masters.current
        body = call.subscribe(self.listener.framework()).SerializeToString()
        try:
            reply, stream = await self._counted(Call.SUBSCRIBE, self.wire.open(address.url, body))
        except Unavailable as error:
            self.masters.failed()
            self._tell(error.message)
            return False
        if stream is None:
            return self._refused(address.url, reply)
        if self._is_stopped:
            stream.close()
            return False
        begun_s = self.reactor.seconds()
        reason = await self._follow(address.url, stream)
        if self.is_subscribed and self.reactor.seconds() >= begun_s + STEADY_S:
            self._failures = 0
        self._close(reason)
        self.masters.failed()
        return False

    def _refused(self, url: str, reply: Reply) -> bool:
        if reply.status == 307:
            if self.masters.redirect(reply.location):
                return True
            self._tell(f"{url} leads on to {reply.location!r}, which leads nowhere")
            return False
        self.masters.failed()
        self._tell(f"{url} does not take our subscription ({reply.status}): {reply.text}"
                   + _advice(reply.status))  # fmt: skip
        return False

    def _tell(self, trouble: str) -> None:
        """Say what is wrong, once for the same thing."""
        if trouble != self._told and not self.is_leaving:
            self._told = trouble
            log.error("no connection to a Mesos master: {trouble}; it is tried again and again, and"
                      " running tasks are not touched", trouble=trouble)  # fmt: skip

    # --- one stream ------------------------------------------------------------------------------

    async def _follow(self, url: str, stream: Stream) -> str:
        """Read a stream to its end; gives the reason."""
        ended: Deferred[str] = Deferred()
        self._ended, self._stream, self._reader = ended, stream, RecordReader()
        self._heard_s = self.reactor.seconds()
        self._watch_for(self.timeout_s)
        self.calls.close("there is no subscription")
        route = Route(url, stream.stream_id)

        def received(data: bytes) -> None:
            if self._ended is ended:
                self._received(data, route)

        def closed(reason: str) -> None:
            if self._ended is ended:
                self._stream = None
                torn = "" if self._reader.is_between_records else ", in the middle of an event"
                self.drop(f"the stream ended{torn} ({reason})")

        stream.read(received, closed)
        return await ended

    def _received(self, data: bytes, route: Route) -> None:
        self._heard_s = self.reactor.seconds()
        ended = self._ended
        try:
            records = self._reader.feed(data)
        except InvalidInput as error:
            self.drop(error.message)
            return
        for record in records:
            try:
                event = Event.FromString(record)
            except DecodeError as error:
                self.drop(f"an event cannot be read: {error}")
                return
            self._handle(event, route)
            if self._ended is not ended:
                return

    def _handle(self, event: Event, route: Route) -> None:
        began_s, faults = self.reactor.seconds(), self._faults
        self._deal_with(event, route)
        name = Event.Type.Name(event.type).lower()
        self.traffic.heard(name, self.reactor.seconds() - began_s, self._faults > faults)

    def _deal_with(self, event: Event, route: Route) -> None:
        if event.type == Event.SUBSCRIBED:
            self._subscribed(event.subscribed, route)
        elif event.type == Event.ERROR:
            self._error(event.error.message)
        elif not self.is_subscribed:
            self.drop("the master sends events before it has taken the subscription")
        elif event.type != Event.HEARTBEAT:
            self._hear(self.listener.event, event)

    def _hear(self, listen: Callable[[Any], None], what: Any) -> None:
        """A fault of who listens must not cost the subscription."""
        try:
            listen(what)
        except Exception:
            self._faults += 1
            log.failure("something of the Mesos master was not taken")

    def _subscribed(self, event: Event.Subscribed, route: Route) -> None:
        self.is_subscribed = True
        self._told = ""
        self.masters.served()
        self.calls.open(route)
        interval_s = event.heartbeat_interval_seconds or HEARTBEAT_S
        self._watch_for(max(SILENCES * interval_s, 1.0))
        log.info("subscribed with the Mesos master at {url} as {framework}",
                 url=route.url, framework=event.framework_id.value)  # fmt: skip
        self._hear(self.listener.subscribed, event)

    def _error(self, message: str) -> None:
        lowered = message.lower()
        if "failed over" in lowered:
            self._is_stopped = True
            self._hear(self.listener.taken_over, message)
        elif "removed" in lowered or "completed framework" in lowered:
            self._hear(self.listener.removed, message)
        self.drop(f"the master says: {message}")

    def _close(self, reason: str) -> None:
        was_subscribed, self.is_subscribed = self.is_subscribed, False
        self._stream = None
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        self._watch = None
        self.calls.close(reason)
        if not self._is_stopped:
            self._tell(reason)
        if was_subscribed:
            self._hear(self.listener.disconnected, reason)

    # --- silence ---------------------------------------------------------------------------------

    def _watch_for(self, silence_s: float) -> None:
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        left_s = self._heard_s + silence_s - self.reactor.seconds()
        if left_s > 0:
            self._watch = self.reactor.callLater(left_s, self._watch_for, silence_s)
        else:
            self._watch = None
            self.drop(f"nothing was heard of the master for {silence_s:g} s")

    async def send(self, message: Call, framework_id: str, subject: str = "") -> None:
        """See `CallQueue.send`."""
        await self._counted(message.type, self.calls.send(message, framework_id, subject))

    async def _counted(self, kind: Any, answer: Awaitable[T]) -> T:
        began_s, failed = self.reactor.seconds(), True
        try:
            result = await answer
            failed = False
        finally:
            name = Call.Type.Name(kind).lower()
            self.traffic.called(name, self.reactor.seconds() - began_s, failed)
        return result


def _advice(status: int) -> str:
    if status in (401, 403):
        return " (look at mesosAuthMode, mesosCredentials and mesosPrincipal)"
    if status == 404:
        return " (look at the path of mesosUrl: /api/v1/scheduler)"
    return ""
