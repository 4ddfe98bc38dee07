"""The contract of `IConfigurationStore`, held by every store."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from aliecs.configuration.file import FileTree
from aliecs.configuration.sqlite import SqliteTree
from aliecs.configuration.store import ThreadedStore
from aliecs.errors import Conflict, InvalidInput, Unavailable
from aliecs.interfaces import IConfigurationStore


class StoreContract:
    """What holds for every store; `make_store` makes one at one and the same place each time."""

    timeout = 30

    def make_store(self) -> IConfigurationStore:
        raise NotImplementedError

    def setUp(self: Any) -> Deferred[None]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        self.store = self.make_store()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.store.stop()))
        return Deferred.fromCoroutine(self.store.start())

    async def other_store(self: Any) -> IConfigurationStore:
        """A second store at the same place, as another process would have."""
        store = self.make_store()
        await store.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(store.stop()))
        return store

    async def test_it_is_a_store(self: Any) -> None:
        verifyObject(IConfigurationStore, self.store)

    async def test_put_get_delete(self: Any) -> None:
        self.assertIsNone(await self.store.get("a/b"))
        await self.store.put("a/b", "one")
        await self.store.put("/a/b/", "two")
        self.assertEqual(await self.store.get("a/b"), "two")
        self.assertTrue(await self.store.delete("a/b"))
        self.assertFalse(await self.store.delete("a/b"))
        self.assertIsNone(await self.store.get("a/b"))

    async def test_texts_come_back_as_they_were(self: Any) -> None:
        texts = [
            "",
            " ",
            "true",
            "null",
            "~",
            "1.50",
            "a\nb\n",
            "a\r\nb\t",
            "# x",
            "ü€😀",
            "- a",
            '{"a": "b"}',
            "{{ a }}",
            "\x01\x00",
            "x" * 5000,
            "<<",
            "  lead\n  more",
            "\n",
        ]
        for number, text in enumerate(texts):
            await self.store.put(f"texts/{number}", text)
        fresh = await self.other_store()
        for number, text in enumerate(texts):
            self.assertEqual(await fresh.get(f"texts/{number}"), text)

    async def test_listing_goes_by_whole_segments_and_is_sorted(self: Any) -> None:
        for key in ("a/vars/b", "a/vars/a", "a/vars_old/c", "a/vars0", "a/vars/d/e", "z"):
            await self.store.put(key, key)
        inside = ("a/vars/a", "a/vars/b", "a/vars/d/e")
        self.assertEqual(tuple(await self.store.list("a/vars")), inside)
        self.assertEqual(tuple(await self.store.list("/a/vars/")), inside)
        self.assertEqual(await self.store.items("a/vars"), {key: key for key in inside})
        self.assertEqual(len(await self.store.list("")), 6)
        self.assertEqual(tuple(await self.store.list("nowhere")), ())

    async def test_empty_folders_are_seen_until_something_is_in_them(self: Any) -> None:
        await self.store.put_all({"a/b/": ""})
        self.assertEqual(tuple(await self.store.list("a")), ("a/b/",))
        await self.store.put("a/b/c", "x")
        self.assertEqual(tuple(await self.store.list("a")), ("a/b/c",))
        await self.store.put_all({"a/b/": ""})
        self.assertEqual(tuple(await self.store.list("a")), ("a/b/c",))

    async def test_a_key_has_a_value_or_keys_below_it(self: Any) -> None:
        await self.store.put("a/b", "x")
        with self.assertRaises(Conflict):
            await self.store.put("a/b/c", "y")
        with self.assertRaises(Conflict):
            await self.store.put("a", "y")
        self.assertEqual(await self.store.items(""), {"a/b": "x"})

    async def test_many_values_are_set_together_or_not_at_all(self: Any) -> None:
        with self.assertRaises(Conflict):
            await self.store.put_all({"a": "x", "b": "y", "b/c": "z"})
        self.assertEqual(await self.store.items(""), {})
        await self.store.put_all({"a": "x", "b/c": "z"})
        self.assertEqual(await self.store.items(""), {"a": "x", "b/c": "z"})

    async def test_bad_keys_never_reach_the_store(self: Any) -> None:
        for key in ("", "a/../b", "a//b"):
            with self.assertRaises(InvalidInput):
                await self.store.put(key, "x")
            with self.assertRaises(InvalidInput):
                await self.store.get(key)

    async def test_compare_and_set(self: Any) -> None:
        self.assertFalse(await self.store.compare_and_set("n", "0", "1"))
        self.assertTrue(await self.store.compare_and_set("n", None, "1"))
        self.assertFalse(await self.store.compare_and_set("n", None, "2"))
        self.assertTrue(await self.store.compare_and_set("n", "1", "2"))
        self.assertEqual(await self.store.get("n"), "2")

    async def test_compare_and_delete(self: Any) -> None:
        self.assertFalse(await self.store.compare_and_delete("a", "x"))
        await self.store.put("a", "x")
        self.assertFalse(await self.store.compare_and_delete("a", "y"))
        self.assertEqual(await self.store.get("a"), "x")
        self.assertTrue(await self.store.compare_and_delete("a", "x"))
        self.assertIsNone(await self.store.get("a"))

    async def test_compare_and_set_is_exact_between_stores(self: Any) -> None:
        stores = [self.store, *[await self.other_store() for _ in range(3)]]

        async def count(store: IConfigurationStore) -> None:
            for _ in range(10):
                while True:
                    value = await store.get("n")
                    if await store.compare_and_set("n", value, str(int(value or "0") + 1)):
                        break

        results = await DeferredList([Deferred.fromCoroutine(count(store)) for store in stores])
        self.assertTrue(all(success for success, _ in results), results)
        self.assertEqual(await self.store.get("n"), "40")

    async def test_what_was_put_survives_a_restart(self: Any) -> None:
        await self.store.put("a", "x")
        self.assertEqual(await (await self.other_store()).get("a"), "x")


class SqliteStoreTests(StoreContract, TestCase):
    def make_store(self) -> IConfigurationStore:
        return ThreadedStore(SqliteTree(self.place / "configuration.db"), reactor)

    async def test_only_the_owner_may_read_it(self) -> None:
        mode = (self.place / "configuration.db").stat().st_mode
        self.assertEqual(mode & 0o077, 0)

    async def test_a_folder_that_is_not_there(self) -> None:
        store = ThreadedStore(SqliteTree(self.place / "nowhere" / "x.db"), reactor)
        with self.assertRaisesRegex(Unavailable, "nowhere"):
            await store.start()

    async def test_a_file_that_is_no_store(self) -> None:
        path = self.place / "other.db"
        path.write_text("something else, long enough to be taken for a header" * 10)
        with self.assertRaisesRegex(Unavailable, "other.db"):
            await ThreadedStore(SqliteTree(path), reactor).start()

    async def test_a_fault_of_the_disk_is_not_told_as_a_missing_key(self) -> None:
        other = sqlite3.connect(self.place / "configuration.db")
        other.execute("DROP TABLE entry")
        other.commit()
        other.close()
        with self.assertRaisesRegex(Unavailable, "no such table"):
            await self.store.get("a")


class FileStoreTests(StoreContract, TestCase):
    suffix = ".yaml"

    def make_store(self) -> IConfigurationStore:
        path = self.place / f"tree{self.suffix}"
        path.touch()
        return ThreadedStore(FileTree(path), reactor)

    @property
    def path(self) -> Path:
        return self.place / f"tree{self.suffix}"

    async def test_an_edit_by_hand_is_seen(self) -> None:
        await self.store.put("a", "x")
        self.path.write_text(
            "a: {b: edited}\n" if self.suffix == ".yaml" else '{"a": {"b": "edited"}}'
        )
        self.assertEqual(await self.store.get("a/b"), "edited")

    async def test_a_file_that_cannot_be_understood(self) -> None:
        self.path.write_text("a: [\n")
        with self.assertRaisesRegex(InvalidInput, f"tree{self.suffix}:2"):
            await self.store.get("a")

    async def test_a_file_that_is_gone(self) -> None:
        self.path.unlink()
        with self.assertRaisesRegex(Unavailable, "make it first"):
            await self.store.get("a")

    async def test_a_write_keeps_the_mode_and_leaves_nothing_behind(self) -> None:
        self.path.chmod(0o640)
        await self.store.put("a", "x")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)
        names = sorted(path.name for path in self.place.iterdir())
        self.assertEqual(names, [self.path.name, f"{self.path.name}.lock"])

    async def test_a_disk_that_takes_nothing(self) -> None:
        if os.geteuid() == 0:
            broken = FileTree(Path("/dev/full/tree.yaml"))
        else:
            self.place.chmod(0o500)
            self.addCleanup(self.place.chmod, 0o700)
            broken = FileTree(self.path)
        with self.assertRaises(Unavailable):
            broken.change({"a": "x"}, None)


class JsonFileStoreTests(FileStoreTests):
    suffix = ".json"
