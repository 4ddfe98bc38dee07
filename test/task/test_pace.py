"""Long work in short steps, of one and of many."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aliecs.task.pace import SLICE_S, Pace


class PaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.now_s = 100.0
        self.pace = Pace(self.clock, lambda: self.now_s)
        self.done: list[str] = []

    async def work(self, name: str, steps: int, step_s: float) -> None:
        for number in range(steps):
            self.now_s += step_s
            self.done.append(f"{name}{number}")
            await self.pace.breathe()

    def begin(self, name: str, steps: int, step_s: float) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.work(name, steps, step_s))

    def turn(self) -> float:
        """One turn of the reactor, which what is due after it is not part of; how long it was
        held."""
        began_s = self.now_s
        for call in self.clock.getDelayedCalls():
            work = call.func
            call.cancel()
            work()
        return self.now_s - began_s

    def test_nobody_gives_way_within_a_slice(self) -> None:
        self.begin("a", 1, SLICE_S)
        self.turn()
        self.successResultOf(self.begin("b", 10, SLICE_S / 20))

    def test_work_goes_on_after_the_others(self) -> None:
        working = self.begin("a", 3, 2 * SLICE_S)
        self.assertEqual(self.done, ["a0"])
        self.turn()
        self.assertEqual(self.done, ["a0", "a1"])
        self.turn()
        self.turn()
        self.successResultOf(working)

    def test_many_together_hold_the_reactor_no_longer_than_one(self) -> None:
        working = [self.begin(name, 3, SLICE_S) for name in "abcdefghij"]
        while not all(one.called for one in working):
            self.assertLessEqual(self.turn(), 2.01 * SLICE_S)
        self.assertEqual(len(self.done), 30)

    def test_who_has_waited_longest_goes_first(self) -> None:
        self.begin("a", 2, 2 * SLICE_S)
        self.begin("b", 2, 2 * SLICE_S)
        self.turn()
        self.assertEqual(self.done, ["a0", "b0", "a1"])
        self.turn()
        self.assertEqual(self.done, ["a0", "b0", "a1", "b1"])

    def test_who_is_cancelled_is_passed_over(self) -> None:
        gone, other = self.begin("a", 2, 2 * SLICE_S), self.begin("b", 2, SLICE_S / 10)
        gone.cancel()
        self.turn()
        self.failureResultOf(gone, CancelledError)
        self.successResultOf(other)
