"""Calls on their way to the master, in order where order matters.

A lane is a queue whose calls are made one after the other; all that concerns one agent goes by one
lane, so that a task is launched before it is killed. Calls that a master could not take are made
again as long as the subscription lasts; those that may have arrived are not.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aliecs.backend.mesos.wire import CONNECTIONS, Reply, Unanswered, Wire
from aliecs.errors import AliecsError, Exhausted, InvalidInput, Unavailable
from aliecs.protocol.mesos_scheduler_pb2 import Call

MOST_WAITING = 300_000
PAUSES_S = (0.2, 0.5, 1.0, 2.0)
"""Before a call is made again that a master could not take."""

log = Logger()


class Refused(InvalidInput):
    """The master does not accept a call: it is wrong, and was not carried out."""

    code = "mesos_refused"


@frozen
class Route:
    """Where calls go while one subscription lasts."""

    url: str
    stream_id: str


@define(eq=False)
class _Entry:
    body: bytes
    kind: str
    done: Deferred[None]


@define(eq=False)
class _Lane:
    entries: deque[_Entry] = field(factory=deque)
    is_busy: bool = False


@define(eq=False)
class CallQueue:
    """All lanes. `lost` is called when the answer to a call shows that the subscription is over."""

    reactor: Any
    wire: Wire
    lost: Callable[[str], None]
    _route: Route | None = field(default=None, init=False)
    _lanes: list[_Lane] = field(init=False)
    _waiting: int = field(default=0, init=False)
    _sleeps: set[Deferred[None]] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._lanes = [_Lane() for _ in range(CONNECTIONS)]

    def open(self, route: Route) -> None:
        """A subscription has begun."""
        self._route = route

    def close(self, reason: str) -> None:
        """The subscription is over, and with it what was not sent yet. Calls of the next one do not
        wait for answers to those of this one."""
        self._route = None
        entries = [entry for lane in self._lanes for entry in lane.entries]
        for lane in self._lanes:
            lane.entries.clear()
        self._lanes = [_Lane() for _ in range(CONNECTIONS)]
        self._waiting = 0
        for sleep in tuple(self._sleeps):
            sleep.cancel()
        for entry in entries:
            entry.done.errback(Unavailable(f"{entry.kind} was not sent: {reason}"))

    async def send(self, call: Call, framework_id: str, subject: str = "") -> None:
        """Make a call, after those before it with the same subject. Raises `Unavailable` where it
        was not carried out, its kind `Unanswered` where that is not known, `Refused`."""
        if self._route is None:
            raise Unavailable("there is no connection to a Mesos master")
        if self._waiting >= MOST_WAITING:
            raise Exhausted(f"{self._waiting} calls to the Mesos master wait to be sent")
        if framework_id:
            call.framework_id.value = framework_id
        number = zlib.crc32(subject.encode()) % len(self._lanes)
        entry = _Entry(call.SerializeToString(), Call.Type.Name(call.type), Deferred())
        lane = self._lanes[number]
        lane.entries.append(entry)
        self._waiting += 1
        if not lane.is_busy:
            lane.is_busy = True
            Deferred.fromCoroutine(self._drive(lane)).addErrback(self._failed, lane)
        await entry.done

    def _failed(self, failure: Any, lane: _Lane) -> None:
        lane.is_busy = False
        log.failure("calls to the Mesos master", failure)

    async def _drive(self, lane: _Lane) -> None:
        while lane.entries:
            entry = lane.entries.popleft()
            self._waiting -= 1
            try:
                await self._make(entry)
            except AliecsError as error:
                entry.done.errback(error)
            except Exception as error:
                log.failure("{kind} to the Mesos master", kind=entry.kind)
                entry.done.errback(Unanswered(f"{entry.kind}: {error}"))
            else:
                entry.done.callback(None)
        lane.is_busy = False

    async def _make(self, entry: _Entry) -> None:
        route = self._route
        if route is None:
            raise Unavailable(f"{entry.kind} was not sent: the subscription is over")
        for pause_s in (*PAUSES_S, None):
            if route is not self._route:
                raise Unavailable(f"{entry.kind} was not sent: the subscription is over")
            try:
                reply = await self.wire.call(route.url, route.stream_id, entry.body)
            except Unanswered as error:
                self._lose(route, error.message)
                raise
            except Unavailable as error:
                trouble = error.message
            else:
                if reply.is_good:
                    return
                trouble = f"{route.url} answers {reply.status}: {reply.text}"
                self._check(entry, route, reply, trouble)
            if pause_s is not None and route is self._route:
                await self._sleep(pause_s)
        self._lose(route, trouble)
        raise Unavailable(f"{entry.kind} was not sent: {trouble}")

    async def _sleep(self, pause_s: float) -> None:
        """Wait, unless the subscription ends."""
        sleep = deferLater(self.reactor, pause_s, lambda: None)
        self._sleeps.add(sleep)
        try:
            await sleep
        except CancelledError:
            pass
        finally:
            self._sleeps.discard(sleep)

    def _check(self, entry: _Entry, route: Route, reply: Reply, trouble: str) -> None:
        """Tell what is wrong with us from what is wrong with the call. Returns where the call
        should be made again."""
        if reply.status == 503 or reply.status == 429:
            return
        if _means_not_subscribed(reply):
            self._lose(route, trouble)
            raise Unavailable(f"{entry.kind} was not taken: {trouble}")
        raise Refused(f"the Mesos master refuses {entry.kind}: {trouble}")

    def _lose(self, route: Route, reason: str) -> None:
        if route is self._route:
            self.lost(reason)


def _means_not_subscribed(reply: Reply) -> bool:
    if reply.status in (307, 401, 403):
        return True
    words = ("Framework cannot be found", "is not subscribed", "stream ID")
    return reply.status == 400 and any(word in reply.text for word in words)
