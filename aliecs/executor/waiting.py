"""Waiting with a deadline for what happens once: shared by the coroutines of the executor."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

T = TypeVar("T")


@define(eq=False)
class Happening(Generic[T]):
    """Something that happens once, and that any number of others wait for.

    A waiter that is cancelled, or that gives up at its deadline, disturbs no other.
    """

    happened: bool = field(default=False, init=False)
    _value: T | None = field(default=None, init=False)
    _waiters: list[Deferred[T]] = field(factory=list, init=False)

    def happen(self, value: T) -> None:
        """It has happened now, with this value; a second time changes nothing."""
        if self.happened:
            return
        self.happened = True
        self._value = value
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(value)

    @property
    def value(self) -> T:
        """What it happened with; only once it has happened."""
        assert self.happened
        return self._value  # type: ignore[return-value]

    def wait(self) -> Deferred[T]:
        """Fires with the value when it has happened, at once where it already has."""
        waiter: Deferred[T] = Deferred(self._forget)
        if self.happened:
            waiter.callback(self.value)
        else:
            self._waiters.append(waiter)
        return waiter

    async def within(self, deadline_s: float, clock: Any) -> bool:
        """Wait at most `deadline_s` seconds; True where it has happened."""
        if self.happened:
            return True
        waiter = self.wait()
        timer = clock.callLater(max(0.0, deadline_s), waiter.callback, None)
        try:
            await waiter
        finally:
            if timer.active():
                timer.cancel()
            self._forget(waiter)
        return self.happened

    def _forget(self, waiter: Deferred[Any]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)


def pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Fires after `seconds`."""
    return deferLater(clock, seconds, lambda: None)
