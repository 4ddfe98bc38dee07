"""Loader threads, and what they ask the reactor."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.configuration.opening import open_configuration
from aliecs.environment.generation import Generator
from aliecs.environment.loading import Loaders
from aliecs.errors import Conflict, DeadlineExceeded, NotFound, Unavailable
from aliecs.interfaces import ILoaderSources
from aliecs.protocol.identifier import IdentifierGenerator
from aliecs.repository.manager import Repositories


class LoadersTests(TestCase):
    timeout = 60

    def setUp(self) -> Deferred[None]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return Deferred.fromCoroutine(self.begin(Path(folder.name)))

    async def begin(self, place: Path) -> None:
        self.configuration: Any = open_configuration("sqlite://", place, reactor)
        await self.configuration.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.configuration.stop()))
        repositories = Repositories(self.configuration, place, reactor)
        generator = Generator(self.configuration, repositories)
        self.loaders = Loaders(
            reactor, self.configuration, repositories, IdentifierGenerator(), generator
        )
        self.loaders.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.loaders.stop()))

    def hang(self) -> list[Deferred[str]]:
        """Have the configuration never answer; gives what it was asked."""
        asked: list[Deferred[str]] = []

        def never(component: str, key: str) -> Deferred[str]:
            asked.append(Deferred())
            return asked[-1]

        self.patch(self.configuration, "runtime_get", never)
        return asked

    async def test_questions_are_answered_on_the_reactor(self) -> None:
        await self.configuration.runtime_set("a", "b", "value")

        def work(sources: ILoaderSources) -> tuple[str, str]:
            return sources.runtime_get("a", "b"), threading.current_thread().name

        value, thread = await self.loaders.run(work)
        self.assertEqual(value, "value")
        self.assertIn("loader", thread)
        with self.assertRaises(NotFound):
            await self.loaders.run(lambda sources: sources.runtime_get("a", "c"))

    async def test_a_trial_writes_nothing(self) -> None:
        with self.assertRaisesRegex(Conflict, "only a trial"):
            await self.loaders.run(
                lambda sources: sources.runtime_set("a", "b", "x"), effects=False
            )

    async def test_a_question_without_an_answer_ends_with_the_load(self) -> None:
        self.hang()
        with self.assertRaisesRegex(DeadlineExceeded, "took too long"):
            await self.loaders.run(lambda sources: sources.runtime_get("a", "b"), deadline_s=0.2)

    async def test_stopping_waits_for_no_answer(self) -> None:
        asked = self.hang()
        loads = [
            Deferred.fromCoroutine(self.loaders.run(lambda sources: sources.runtime_get("a", "b")))
            for _ in range(2)
        ]
        while len(asked) < 2:
            turn: Deferred[None] = Deferred()
            reactor.callLater(0.01, turn.callback, None)  # type: ignore[attr-defined]
            await turn
        await self.loaders.stop()
        for load in loads:
            with self.assertRaisesRegex(Unavailable, "the core ends"):
                await load
