"""The journal: committed before it is acted on, read again after a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from aliecs.errors import Unavailable
from aliecs.journal import Journal

DAY_MS = 86_400_000


class JournalTests(TestCase):
    timeout = 20

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "journal.sqlite"
        self.journal = self.open()

    def open(self, **arguments: Any) -> Journal:
        journal = Journal(self.path, reactor, **arguments)
        journal.start()
        self.addCleanup(journal.stop)
        return journal

    async def test_an_intent_is_on_disk_when_it_returns(self) -> None:
        await self.journal.intend("transition_begun", "env", {"event": "DEPLOY"})
        rows = sqlite3.connect(self.path).execute("SELECT kind, body FROM entry").fetchall()
        self.assertEqual(rows, [("transition_begun", '{"event":"DEPLOY"}')])

    async def test_order_is_kept_between_intents_and_observations(self) -> None:
        for number in range(50):
            self.journal.observe("seen", "env", {"n": number})
        await self.journal.intend("meant", "env", {"n": 50})
        self.journal.observe("seen", "other", {"n": 0})
        entries = await self.journal.entries("env")
        self.assertEqual([entry.body["n"] for entry in entries], list(range(51)))

    async def test_many_intents_share_few_commits(self) -> None:
        await gatherResults(
            [Deferred.fromCoroutine(self.journal.intend("k", "env", {"n": n})) for n in range(500)]
        )
        self.assertEqual(len(await self.journal.entries("env")), 500)

    async def test_the_record_of_an_environment_outlives_the_core(self) -> None:
        await self.journal.environment_created("a", {"state": "STANDBY"})
        await self.journal.environment_created("b", {"state": "STANDBY"})
        await self.journal.environment_ended("a", {"state": "DONE"})
        self.journal.stop()
        again = self.open()
        self.assertEqual([r.environment_id for r in await again.living()], ["b"])
        ended = await again.ended()
        self.assertEqual([(r.environment_id, r.record) for r in ended], [("a", {"state": "DONE"})])
        record = await again.environment("b")
        assert record is not None
        self.assertIsNone(record.ended_ms)
        self.assertIsNone(await again.environment("nobody"))

    async def test_what_ended_long_ago_goes(self) -> None:
        await self.journal.environment_created("old", {})
        await self.journal.intend("k", "old", {})
        await self.journal.environment_ended("old", {})
        await self.journal.environment_created("alive", {})
        self.journal.stop()
        import time

        later = int(time.time() * 1000) + 91 * DAY_MS
        again = self.open(now_ms=lambda: later)
        self.assertIsNone(await again.environment("old"))
        self.assertEqual(await again.entries("old"), [])
        self.assertIsNotNone(await again.environment("alive"))

    async def test_a_closed_journal_refuses(self) -> None:
        self.journal.stop()
        await self.refused(lambda: self.journal.intend("k", "env", {}))

    async def test_a_file_that_cannot_be_written_refuses_the_intent(self) -> None:
        sqlite3.connect(self.path).executescript(
            "CREATE TRIGGER full BEFORE INSERT ON entry "
            "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        with self.assertLogs_critical():
            await self.refused(lambda: self.journal.intend("k", "env", {}))
        sqlite3.connect(self.path).execute("DROP TRIGGER full")
        await self.journal.intend("k", "env", {})

    def test_a_path_that_is_no_file_is_told(self) -> None:
        with self.assertRaisesRegex(Unavailable, "cannot be opened"):
            Journal(self.path.parent, reactor).start()

    async def refused(self, act: Callable[[], Coroutine[Any, Any, Any] | Awaitable[Any]]) -> None:
        with self.assertRaises(Unavailable):
            await act()

    def assertLogs_critical(self) -> Any:
        from contextlib import contextmanager

        from twisted.logger import globalLogPublisher

        @contextmanager
        def watch() -> Any:
            seen: list[str] = []
            observer = lambda event: seen.append(event["log_level"].name)  # noqa: E731
            globalLogPublisher.addObserver(observer)
            try:
                yield
            finally:
                globalLogPublisher.removeObserver(observer)
            self.assertIn("critical", seen)

        return watch()


KILLED = """
import os, sys
from pathlib import Path
from twisted.internet import asyncioreactor
asyncioreactor.install()
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from aliecs.journal import Journal
async def main():
    journal = Journal(Path(sys.argv[1]), reactor)
    journal.start()
    await journal.environment_created("env", {})
    await journal.intend("run_number", "env", {"run": 1})
    print("committed", flush=True)
reactor.callWhenRunning(lambda: Deferred.fromCoroutine(main()))
reactor.run()
"""


def test_a_killed_core_leaves_its_intents(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "committed\n"
        os.kill(process.pid, signal.SIGKILL)
    rows = sqlite3.connect(path).execute("SELECT kind FROM entry").fetchall()
    assert rows == [("run_number",)]
