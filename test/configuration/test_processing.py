"""Work in threads that asks the reactor back: templates, with an engine of another kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from aliecs.configuration import processing as module
from aliecs.configuration.processing import Processing
from aliecs.errors import DeadlineExceeded, NotFound, Unavailable
from aliecs.language.payload import PayloadError

NEVER = "(a payload that never comes)"


class Joining:
    """An engine whose templates are lines: `include X`, `variable X`, `wrong`, or text. It keeps
    what it has read."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.threads: set[str] = set()

    def render(
        self,
        path: str,
        variables: Mapping[str, str],
        read: Callable[[str], str],
        *,
        new_id: Callable[[], str],
        warn: Callable[[str], None],
    ) -> str:
        self.threads.add(threading.current_thread().name)
        if path not in self.kept:
            self.kept[path] = read(path)
        lines = []
        for line in self.kept[path].splitlines():
            word, _, rest = line.partition(" ")
            if word == "include":
                try:
                    line = self.render(rest, variables, read, new_id=new_id, warn=warn)
                except NotFound as error:
                    raise PayloadError(error.message, "fromfile", path) from None
            elif word == "variable":
                if rest not in variables:
                    raise PayloadError(f"no variable {rest}", "execution", path)
                line = variables[rest]
            elif word == "wrong":
                raise PayloadError("this is wrong", "parser", path)
            lines.append(line)
        return "\n".join(lines)


class ProcessingTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.payloads = {
            "a/b": "variable x\ninclude a/c",
            "a/c": "world",
        }
        self.processing = Processing(reactor, self.read, Joining)
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
            Deferred.fromCoroutine(self.processing.render("a/b", {"x": f"hello {n}"}))
            for n in range(20)
        ]
        texts = await gatherResults(asked)
        self.assertEqual(texts, [f"hello {n}\nworld" for n in range(20)])
        engine = self.processing._templates
        assert isinstance(engine, Joining)
        self.assertNotIn(threading.main_thread().name, engine.threads)

    async def test_what_was_made_ready_serves_until_it_is_forgotten(self) -> None:
        await self.processing.render("a/b", {"x": ""})
        self.payloads["a/c"] = "moon"
        self.assertEqual(await self.processing.render("a/b", {"x": ""}), "\nworld")
        self.processing.forget()
        self.assertEqual(await self.processing.render("a/b", {"x": ""}), "\nmoon")

    async def test_what_others_changed_is_seen_soon(self) -> None:
        self.patch(module, "FRESH_S", 0.05)
        await self.processing.render("a/c", {})
        self.payloads["a/c"] = "moon"
        while await self.processing.render("a/c", {}) != "moon":
            await self.turn()

    async def turn(self) -> None:
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.01, turn.callback, None)  # type: ignore[attr-defined]
        await turn

    async def test_errors_come_through(self) -> None:
        with self.assertRaisesRegex(NotFound, "no x/y"):
            await self.processing.render("x/y", {})
        with self.assertRaisesRegex(PayloadError, "no variable x"):
            await self.processing.render("a/b", {})

    async def test_a_payload_that_never_comes(self) -> None:
        self.patch(module, "DEADLINE_S", 0.1)
        self.payloads["a/c"] = NEVER
        with self.assertRaisesRegex(DeadlineExceeded, "longer than 0.1 s"):
            await self.processing.render("a/b", {"x": ""})

    async def test_stopping_waits_for_no_payload(self) -> None:
        self.payloads["a/c"] = NEVER
        asked = [Deferred.fromCoroutine(self.processing.render("a/b", {"x": ""})) for _ in range(2)]
        while len(self.processing._reads) < 2:
            await self.turn()
        await self.processing.stop()
        for one in asked:
            with self.assertRaisesRegex(Unavailable, "is stopping"):
                await one

    async def test_a_check_uses_what_is_only_tried(self) -> None:
        check = self.processing.check
        self.assertEqual(await check("a/c", "variable y"), [])
        self.assertEqual(await check("a/d", "include a/c"), [])
        (note,) = await check("a/d", "include a/none")
        self.assertIn("no a/none", note)
        with self.assertRaisesRegex(PayloadError, "this is wrong"):
            await check("a/d", "wrong")
        self.payloads["a/c"] = "wrong"
        (note,) = await check("a/d", "include a/c")
        self.assertIn("in a/c] this is wrong", note)
        self.payloads["a/c"] = "world"
        self.assertEqual(await self.processing.render("a/c", {}), "world")
