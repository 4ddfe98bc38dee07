"""Operations: who waits, who gives up, and what is kept of those that are over."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from aliecs.environment.operation import Operation, Operations, OperationState
from aliecs.errors import Conflict, NotFound
from aliecs.event.record import User
from aliecs.protocol.identifier import IdentifierGenerator

ME = User(name="tester")


class Large:
    """What nobody may keep."""


class OperationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.operations = Operations(IdentifierGenerator(), lambda: 5)

    def start(self, work: Any) -> Operation:
        return self.operations.start("CREATE", ME, "environment", work)

    def wait(self, operation: Operation) -> Deferred[Any]:
        return Deferred.fromCoroutine(operation.wait())

    def test_everyone_who_waits_gets_the_result(self) -> None:
        gate: Deferred[str] = Deferred()

        async def work(operation: Operation) -> str:
            return await gate

        operation = self.start(work)
        waiting = [self.wait(operation) for _ in range(3)]
        waiting[0].cancel()
        self.failureResultOf(waiting[0])
        self.assertIs(operation.state, OperationState.RUNNING)
        gate.callback("done")
        self.assertEqual([self.successResultOf(one) for one in waiting[1:]], ["done", "done"])
        self.assertEqual(operation.ended_ms, 5)

    def test_one_who_starts_the_next_takes_nothing_from_the_others(self) -> None:
        gate: Deferred[str] = Deferred()

        async def work(operation: Operation) -> str:
            return await gate

        async def eager() -> None:
            await operation.wait()
            self.start(work)

        operation = self.start(work)
        first, second = Deferred.fromCoroutine(eager()), self.wait(operation)
        gate.callback("done")
        self.successResultOf(first)
        self.assertEqual(self.successResultOf(second), "done")

    def test_one_that_is_over_at_once_can_be_waited_for(self) -> None:
        async def work(operation: Operation) -> str:
            return "done"

        self.assertEqual(self.successResultOf(self.wait(self.start(work))), "done")

    def test_nothing_large_is_kept_of_a_result(self) -> None:
        async def work(operation: Operation) -> Large:
            large = Large()
            operation.progress = lambda: (id(large), 1)
            return large

        operation = self.start(work)
        seen = weakref.ref(self.successResultOf(self.wait(operation)))
        self.start(work)
        gc.collect()
        self.assertIsNone(seen())
        self.assertIs(self.operations.get(operation.id).state, OperationState.SUCCEEDED)

    def test_nothing_large_is_kept_of_a_failure(self) -> None:
        seen: list[weakref.ref[Large]] = []

        async def deeper(large: Large) -> None:
            try:
                raise ValueError(large)
            except ValueError as error:
                raise Conflict("not now") from error

        async def work(operation: Operation) -> None:
            large = Large()
            seen.append(weakref.ref(large))
            await deeper(large)

        operation = self.start(work)
        self.failureResultOf(self.wait(operation), Conflict)

        async def another(operation: Operation) -> None:
            """Something else."""

        self.start(another)
        gc.collect()
        self.assertIsNone(seen[0]())
        self.assertEqual(operation.error, "not now")
        self.assertIsInstance(self.operations.error(operation.id), Conflict)
        self.failureResultOf(self.wait(operation), Conflict)

    def test_unknown_ones_are_not_found(self) -> None:
        with self.assertRaisesRegex(NotFound, "no operation with id x"):
            self.operations.get("x")
