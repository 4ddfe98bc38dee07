"""Requests with keys: what is kept of them, and for how long."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.api import idempotency
from aliecs.api.idempotency import KEPT_MS, KEY, OPERATION_ID, Requests
from aliecs.errors import AliecsError, Conflict, InvalidInput, KeyReused
from aliecs.journal import Journal
from aliecs.protocol import aliecs_v1_pb2 as v1
from aliecs.txgrpc.route import ServerCall
from test.folder import temporary_folder


def call(key: str, port: int = 1) -> ServerCall:
    return ServerCall("/x", f"ipv4:127.0.0.1:{port}", {KEY: key}, None)


class RequestsTests(TestCase):
    def setUp(self) -> None:
        self.path = temporary_folder(self) / "journal.db"
        self.now_ms = 1_000_000_000_000
        self.done: list[str] = []
        self.journal = self.open()
        self.requests = Requests(self.journal, lambda: self.now_ms)

    def open(self) -> Journal:
        clock: Any = reactor
        journal = Journal(self.path, clock)
        journal.start()
        self.addCleanup(journal.stop)
        return journal

    async def ask(
        self, key: str, what: str = "a", gate: Deferred[None] | None = None, port: int = 1
    ) -> Any:
        """Begin an operation, once for each key."""
        request, asked = v1.RecoverRequest(environment_id=what), call(key, port)

        async def work() -> Any:
            self.done.append(what)
            asked.trailing[OPERATION_ID] = f"operation {len(self.done)}"
            if gate is not None:
                await gate
            if what == "fails":
                raise Conflict("not now")
            return v1.Operation(id=str(asked.trailing[OPERATION_ID]))

        try:
            return await self.requests.once("Recover", request, asked, work)
        finally:
            self.trailing = asked.trailing

    async def test_without_a_key_nothing_is_remembered(self) -> None:
        for _ in range(2):
            await self.ask("")
        self.assertEqual(self.done, ["a", "a"])

    async def test_whoever_comes_while_it_is_under_way_waits_for_it(self) -> None:
        gate: Deferred[None] = Deferred()
        first = Deferred.fromCoroutine(self.ask("k", gate=gate))
        second = Deferred.fromCoroutine(self.ask("k", port=2))
        # The first goes away; what it began goes on.
        first.cancel()
        self.failureResultOf(first)
        self.assertNoResult(second)
        gate.callback(None)
        self.assertEqual((await second).id, "operation 1")
        self.assertEqual(self.done, ["a"])

    async def test_another_request_is_refused(self) -> None:
        await self.ask("k")
        with self.assertRaisesRegex(KeyReused, r"'k' was used .* \(Recover\)"):
            await self.ask("k", "b")
        with self.assertRaises(InvalidInput):
            await self.ask("k" * 201)
        self.assertEqual(self.done, ["a"])

    async def test_an_error_is_an_answer_too(self) -> None:
        for _ in range(2):
            with self.assertRaises(AliecsError) as failed:
                await self.ask("k", "fails")
            error = failed.exception
            self.assertEqual((error.code, error.message), ("conflict", "not now"))
        self.assertEqual(self.done, ["fails"])

    async def test_after_a_day_it_is_a_new_request(self) -> None:
        await self.ask("k")
        self.now_ms += KEPT_MS + 1
        await self.ask("k")
        self.assertEqual(self.done, ["a", "a"])

    async def test_the_oldest_keys_are_forgotten_where_there_are_too_many(self) -> None:
        self.patch(idempotency, "MOST_KEYS", 3)
        for number in range(5):
            await self.ask(f"k{number}")
        await self.ask("k4")
        await self.ask("k0")
        self.assertEqual(len(self.done), 6)

    async def test_an_answer_that_is_not_kept_keeps_it_from_being_done_again(self) -> None:
        self.patch(idempotency, "ALL_ANSWERS", 10)
        await self.ask("k")
        with self.assertRaisesRegex(Conflict, r"'k' was begun \(operation operation 1\)"):
            await self.ask("k")
        self.assertEqual(self.done, ["a"])

    async def test_a_core_after_this_one_knows(self) -> None:
        reply = await self.ask("k")
        never: Deferred[None] = Deferred()
        waiting = Deferred.fromCoroutine(self.ask("under way", gate=never))
        self.journal.stop()
        self.journal = self.open()
        self.requests = Requests(self.journal, lambda: self.now_ms)
        await self.requests.load()
        self.assertEqual(await self.ask("k"), reply)
        self.assertEqual(self.trailing[OPERATION_ID], "operation 1")
        with self.assertRaisesRegex(Conflict, "the core ended meanwhile"):
            await self.ask("under way")
        self.assertEqual(self.done, ["a", "a"])
        waiting.cancel()
        self.failureResultOf(waiting)
        never.cancel()
        self.now_ms += KEPT_MS + 1
        await self.requests.load()
        self.assertEqual(await self.journal.requests(0, 10), [])
