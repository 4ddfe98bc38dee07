"""Roll-calls: waiting until tasks are up, at a cost that follows the news and not the tree.

A muster is told of each task whose status changed or that ended; it is over when every critical
task is up and the others are too, or have had their grace; it fails with the first critical one
that ended, or at its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from aliecs.language.state import Status
from aliecs.task.task import Task

NON_CRITICAL_GRACE_S = 3.0
"""How long tasks that the environment can do without are waited for, once all others are up."""


@define(eq=False)
class Muster:
    """One roll-call. Await `over`: it fires with None when all are there, with a task that ended,
    or with the list of critical tasks that are not up when the time is up."""

    clock: IReactorTime
    arrived: Callable[[Task], None] = lambda task: None
    """Told of each task that is up; `gone` of each that ended."""
    gone: Callable[[Task], None] = lambda task: None
    begun_s: float = field(init=False, default=0.0)
    over: Deferred[Task | list[Task] | None] = field(init=False, factory=Deferred)
    _critical: dict[str, Task] = field(init=False, factory=dict)
    _others: dict[str, Task] = field(init=False, factory=dict)
    _timers: list[IDelayedCall] = field(init=False, factory=list)
    _grace: bool = field(init=False, default=False)

    def begin(self, tasks: Iterable[Task], timeout_s: float) -> None:
        """Call the roll."""
        self.begun_s = self.clock.seconds()
        for task in tasks:
            expected = self._critical if task.critical else self._others
            expected[task.id] = task
        self._timers.append(self.clock.callLater(timeout_s, self._expire))
        for task in [*self._critical.values(), *self._others.values()]:
            self.look(task)
        self._look_whether_over()

    def look(self, task: Task) -> None:
        """Something about a task is different."""
        expected = self._critical if task.critical else self._others
        if task.id not in expected:
            return
        if not task.living:
            del expected[task.id]
            self.gone(task)
            if task.critical:
                self._end(task)
                return
        elif task.status is Status.ACTIVE:
            del expected[task.id]
            self.arrived(task)
        self._look_whether_over()

    def missing(self) -> Sequence[Task]:
        """Those that are not up yet."""
        return [*self._critical.values(), *self._others.values()]

    def give_up(self) -> None:
        """Nobody waits any more."""
        for timer in self._timers:
            if timer.active():
                timer.cancel()

    def _look_whether_over(self) -> None:
        if self._critical:
            return
        if not self._others:
            self._end(None)
        elif not self._grace:
            self._grace = True
            self._timers.append(self.clock.callLater(NON_CRITICAL_GRACE_S, self._end, None))

    def _expire(self) -> None:
        self._end(list(self._critical.values()) or None)

    def _end(self, result: Task | list[Task] | None) -> None:
        if not self.over.called:
            self.give_up()
            self.over.callback(result)
