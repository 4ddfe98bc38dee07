"""Work in threads that asks the reactor back: payload templates."""

from __future__ import annotations

import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from aliecs.configuration import processing as module
from aliecs.configuration.processing import Processing
from aliecs.errors import DeadlineExceeded, NotFound, Unavailable
from aliecs.language.payload import PayloadError

NEVER = "(a payload that never comes)"
B, C, D = (f"qc/ANY/any/{name}" for name in "bcd")


class ProcessingTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.payloads = {
            B: "{{ x }} {% include 'c' %}",
            C: "world",
        }
        self.processing = Processing(reactor, self.read)
        self.processing.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.processing.stop()))

    async def read(self, path: str) -> str:
        assert threading.current_thread() is threading.main_thread()
        found = self.payloads.get(path)
        if found is None:
            raise NotFound(f"no {path}")
        if found == NEVER:
            await Deferred()
        return found

    async def test_the_engine_runs_in_threads_and_reads_on_the_reactor(self) -> None:
        asked = [
            Deferred.fromCoroutine(self.processing.render(B, {"x": f"hello {n}"}))
            for n in range(20)
        ]
        texts = await gatherResults(asked)
        self.assertEqual(texts, [f"hello {n} world" for n in range(20)])

    async def test_what_is_stored_now_is_what_counts(self) -> None:
        self.assertEqual(await self.processing.render(B, {"x": "1"}), "1 world")
        self.payloads[C] = "moon"
        self.assertEqual(await self.processing.render(B, {"x": "1"}), "1 moon")
        self.processing.forget()
        self.assertEqual(await self.processing.render(B, {"x": "1"}), "1 moon")

    async def turn(self) -> None:
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.01, turn.callback, None)  # type: ignore[attr-defined]
        await turn

    async def test_errors_come_through(self) -> None:
        with self.assertRaisesRegex(NotFound, "no qc/ANY/any/y"):
            await self.processing.render("qc/ANY/any/y", {})
        self.payloads[B] = "{{ strings.ToUpper(x) }}"
        with self.assertRaises(PayloadError):
            await self.processing.render(B, {})

    async def test_a_payload_that_never_comes(self) -> None:
        self.patch(module, "DEADLINE_S", 0.1)
        self.payloads[C] = NEVER
        with self.assertRaisesRegex(DeadlineExceeded, "longer than 0.1 s"):
            await self.processing.render(B, {"x": ""})

    async def test_stopping_waits_for_no_payload(self) -> None:
        self.payloads[C] = NEVER
        asked = [Deferred.fromCoroutine(self.processing.render(B, {"x": ""})) for _ in range(2)]
        while len(self.processing._reads) < 2:
            await self.turn()
        await self.processing.stop()
        for one in asked:
            with self.assertRaisesRegex(Unavailable, "is stopping"):
                await one

    async def test_a_check_uses_what_is_only_tried(self) -> None:
        check = self.processing.check
        self.assertEqual(await check(C, "{{ strings.ToUpper(y) }}"), [])
        self.assertEqual(await check(D, "{% include 'c' %}"), [])
        (note,) = await check(D, "{% include 'none' %}")
        self.assertIn("no qc/ANY/any/none", note)
        with self.assertRaises(PayloadError):
            await check(D, "{% if %}")
        self.payloads[C] = "{% if %}"
        (note,) = await check(D, "{% include 'c' %}")
        self.assertIn("qc/ANY/any/c", note)
        self.payloads[C] = "world"
        self.assertEqual(await self.processing.render(C, {}), "world")
