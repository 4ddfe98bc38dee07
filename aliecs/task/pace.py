"""Long work in short steps: the reactor is never held for more than a few milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

SLICE_S = 0.005
"""How long one step may take."""


@define(eq=False)
class Pace:
    """Call `await breathe()` in every round of a loop: it costs next to nothing until the slice is
    used up, and then lets everyone else go first."""

    clock: IReactorTime
    now_s: Callable[[], float] = time.perf_counter
    _began_s: float = field(init=False, default=0.0)

    async def breathe(self) -> None:
        """Give way where this step has lasted long enough."""
        if self.now_s() - self._began_s > SLICE_S:
            await deferLater(self.clock, 0)
            self._began_s = self.now_s()
