"""How many tasks an environment has, on how many hosts, and how many of them are active.

Clients that list environments ask for it every few seconds, all of them for all environments. The
tasks are walked again only where something was told since, or tasks have come or gone: no task
changes its status without an event.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from attrs import define, field, frozen

from aliecs.language.state import Status
from aliecs.task.pace import Pace
from aliecs.task.task import Task

AT_ONCE = 1_000
"""Tasks that are counted before others may have a turn: less than a millisecond."""


@frozen
class Counts:
    """See the module."""

    tasks: int = 0
    active: int = 0
    hosts: int = 0


@define(eq=False)
class Census:
    """Counts the tasks of one environment. `moment` is different after whatever may change the
    counts."""

    tasks: Callable[[], Sequence[Task]]
    moment: Callable[[], Hashable]
    _as_of: Hashable = field(init=False, default=None)
    _counts: Counts = field(init=False, factory=Counts)

    async def take(self, pace: Pace) -> Counts:
        """The counts as of now."""
        as_of = self.moment()
        if as_of == self._as_of:
            return self._counts
        tasks = self.tasks()
        active = 0
        hosts: set[str] = set()
        for begin in range(0, len(tasks), AT_ONCE):
            some = tasks[begin : begin + AT_ONCE]
            active += sum(1 for task in some if task.status is Status.ACTIVE)
            hosts.update([task.host for task in some])
            await pace.breathe()
        counts = Counts(len(tasks), active, len(hosts))
        if as_of == self.moment():
            self._as_of, self._counts = as_of, counts
        return counts
