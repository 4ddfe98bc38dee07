"""Long work in short steps: the reactor is never held for more than a few milliseconds.

All who work share one pace, however many they are: together they take a slice, then everyone else
has a turn, and they go on one after the other.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

SLICE_S = 0.005
"""How long one step may take, of all who work together."""


@define(eq=False)
class Pace:
    """Call `await breathe()` in every round of a loop: it costs next to nothing until the slice is
    used up, and then lets everyone else go first."""

    clock: IReactorTime
    now_s: Callable[[], float] = time.perf_counter
    _began_s: float = field(init=False, default=0.0)
    _waiting: deque[Deferred[None]] = field(init=False, factory=deque)
    _next: IDelayedCall | None = field(init=False, default=None)

    async def breathe(self) -> None:
        """Give way where this step has lasted long enough."""
        if self.now_s() - self._began_s > SLICE_S:
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            if self._next is None:
                self._next = self.clock.callLater(0, self._go_on)
            await turn

    def _go_on(self) -> None:
        """The next slice: for who has waited longest, and for others while there is time."""
        self._next = None
        self._began_s = self.now_s()
        while self._waiting and self.now_s() - self._began_s <= SLICE_S:
            turn = self._waiting.popleft()
            if not turn.called:  # who was cancelled has gone on already
                turn.callback(None)
        if self._waiting and self._next is None:
            self._next = self.clock.callLater(0, self._go_on)
