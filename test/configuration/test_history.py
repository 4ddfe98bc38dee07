"""The history in a real store: its order, its bounds, and records that are none."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.configuration.history import KEPT, History
from aliecs.configuration.query import parse_query
from aliecs.configuration.sqlite import SqliteTree
from aliecs.configuration.store import ThreadedStore
from aliecs.errors import Conflict, InvalidInput

QUERY = parse_query("qc/ANY/any/e")
FOLDER = "o2/history/components/qc/ANY/any/e"


class HistoryTests(TestCase):
    timeout = 30

    def setUp(self) -> Deferred[None]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = ThreadedStore(SqliteTree(Path(folder.name) / "x.db"), reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.store.stop()))
        self.now_s = 1_800_000_000.25
        self.history = History(self.store, lambda: self.now_s)
        return Deferred.fromCoroutine(self.store.start())

    async def keep(self, text: str) -> str:
        return await self.history.keep(QUERY, text, "me", "")

    async def test_a_clock_that_goes_back_does_not_change_the_order(self) -> None:
        self.assertEqual(await self.keep("one"), "2027-01-15T08:00:00.250000Z")
        self.assertEqual(await self.keep("two"), "2027-01-15T08:00:00.250001Z")
        self.now_s -= 3600
        self.assertEqual(await self.keep("three"), "2027-01-15T08:00:00.250002Z")
        versions = [about.version for about in await self.history.all(QUERY)]
        texts = [(await self.history.get(QUERY, version))[1] for version in versions]
        self.assertEqual(texts, ["three", "two", "one"])
        # The record has the time that the clock showed.
        self.assertEqual((await self.history.all(QUERY))[0].replaced_ms, 1_799_996_400_250)

    async def test_trimming_keeps_the_last(self) -> None:
        versions = [await self.keep(str(number)) for number in range(KEPT + 3)]
        await self.store.put(f"{FOLDER}/below/@{versions[0]}", "x")
        await self.history.trim(QUERY)
        kept = [about.version for about in await self.history.all(QUERY)]
        self.assertEqual(kept, versions[:2:-1])
        self.assertEqual(await self.store.get(f"{FOLDER}/below/@{versions[0]}"), "x")

    async def test_what_is_no_version_is_passed_over(self) -> None:
        version = await self.keep("one")
        await self.store.put(f"{FOLDER}/@note", "written by hand")
        await self.store.put(f"{FOLDER}/other", "x")
        self.assertEqual([about.version for about in await self.history.all(QUERY)], [version])
        await self.history.drop(QUERY, version)
        self.assertEqual(await self.history.all(QUERY), [])

    async def test_a_record_that_is_none(self) -> None:
        version = await self.keep("one")
        await self.store.put(f"{FOLDER}/@{version}", "not JSON")
        with self.assertRaisesRegex(Conflict, f"@{version} is no record"):
            await self.history.all(QUERY)

    async def test_a_payload_too_large_to_be_kept(self) -> None:
        with self.assertRaisesRegex(InvalidInput, "cannot be kept in the history"):
            await self.keep('"' * 3_000_000)
