"""How many tasks an environment has: counted anew only where something was told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aliecs.environment.census import AT_ONCE, Census, Counts
from aliecs.language.state import Status
from aliecs.task.pace import SLICE_S, Pace


@define
class OneTask:
    host: str
    status: Status = Status.ACTIVE


class CensusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.now_s = 0.0
        self.pace = Pace(self.clock, lambda: self.now_s)
        self.tasks: list[Any] = [OneTask("a"), OneTask("b", Status.INACTIVE), OneTask("b")]
        self.moment = 1
        self.walks = 0
        self.census = Census(self.walk, lambda: self.moment)

    def walk(self) -> Sequence[Any]:
        self.walks += 1
        return list(self.tasks)

    def begin(self) -> Deferred[Counts]:
        return Deferred.fromCoroutine(self.census.take(self.pace))

    def test_tasks_are_walked_once(self) -> None:
        for _ in range(3):
            self.assertEqual(self.successResultOf(self.begin()), Counts(3, 2, 2))
        self.assertEqual(self.walks, 1)

    def test_and_again_after_something_was_told(self) -> None:
        self.successResultOf(self.begin())
        self.tasks[1].status = Status.ACTIVE
        self.moment = 2
        self.assertEqual(self.successResultOf(self.begin()), Counts(3, 3, 2))

    def test_what_changes_while_it_is_counted_is_counted_again(self) -> None:
        self.tasks = [OneTask("a") for _ in range(2 * AT_ONCE)]
        self.now_s += 2 * SLICE_S
        counting = self.begin()
        self.assertNoResult(counting)
        self.tasks[-1].status = Status.INACTIVE
        self.moment = 2
        self.clock.advance(0)
        self.successResultOf(counting)
        self.now_s -= 2 * SLICE_S
        self.assertEqual(self.successResultOf(self.begin()), Counts(2000, 1999, 1))
