"""When the interpreter looks for garbage that reference counting does not find.

Left to itself it looks at every object of the process whenever their number has grown by a quarter:
with 10,000 tasks that holds the reactor for a tenth of a second, several times in each transition,
and makes a task dearer the more there are. Here young objects are looked at as ever, all of them
only while nobody waits: when an environment has gone, whose tree is a knot of parents and children.
What an environment is made of is set aside while it exists.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

LOOK_S = 5.0
YOUNG = 5_000
"""Objects made and not freed between two looks at the young ones."""
MIDDLE = 10
"""Looks at the young ones between two looks at those that outlived one."""
NEVER = 2**31 - 1
WORTHWHILE = 5
"""Looks at the middle ones, YOUNG x MIDDLE objects each, after which all that was made since is
looked at in a quiet moment."""
URGENT = 200
"""The same, in whatever moment: more than 250,000 tasks make."""


@define(eq=False)
class GarbageCollector:
    """Decides when all objects are looked at.

    `is_busy` tells whether somebody waits for the core; `environments` gives the ids of all that
    exist, by whose coming and going it is judged what is worth a look.
    """

    clock: Any
    is_busy: Callable[[], bool]
    environments: Callable[[], Iterable[str]]
    _known: frozenset[str] = field(init=False, default=frozenset())
    _thresholds: tuple[int, int, int] = field(init=False)
    _looking: LoopingCall = field(init=False)
    _log: Logger = field(init=False, factory=Logger)

    def start(self) -> None:
        """Take the decision from the interpreter."""
        self._thresholds = gc.get_threshold()
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        self._look_at_all()
        self._looking = LoopingCall(self.look)
        self._looking.clock = self.clock
        self._looking.start(LOOK_S, now=False)

    def stop(self) -> None:
        """Give it back."""
        self._looking.stop()
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)

    def look(self) -> None:
        """Do what is worth it in this moment."""
        pending = gc.get_count()[2]
        if self.is_busy() and pending < URGENT:
            return
        environments = frozenset(self.environments())
        if self._known - environments or pending >= URGENT:
            self._look_at_all()
        elif environments - self._known:
            gc.freeze()
        elif pending >= WORTHWHILE:
            gc.collect()
        self._known = environments

    def _look_at_all(self) -> None:
        began_s = time.perf_counter()
        gc.unfreeze()
        found = gc.collect()
        gc.freeze()
        self._log.debug(
            "looked for garbage: {found} objects in {milliseconds} ms",
            found=found,
            milliseconds=round((time.perf_counter() - began_s) * 1000),
        )
