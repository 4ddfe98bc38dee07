"""`coconut configuration` against real configuration services."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tomllib
from typing import Any
from unittest import mock

import yaml
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.threads import deferToThread

from aliecs.cli.coconut import main
from aliecs.cli.toml import write_toml
from test.cli.test_coconut import Done
from test.configuration.houses import local_house, serve, sqlite_house
from test.configuration.test_contract import QC_ENTRIES, HouseTestCase

ENTRY = "qc/ANY/any/entry1"


class CommandTestCase(HouseTestCase):
    build = staticmethod(sqlite_house)
    plain = False

    async def make_house(self) -> None:
        patched = mock.patch.dict(os.environ, {"HOME": str(self.place), "TZ": "UTC"})
        patched.start()
        self.addCleanup(patched.stop)
        for name in ("ENDPOINT", "CONFIG_ENDPOINT", "VERBOSE", "NOSPINNER", "NOCOLOR", "TIMEOUT"):
            os.environ.pop(name, None)
        await super().make_house()
        self.endpoint = await serve(self, self.service, plain=self.plain)

    def file(self, name: str, text: str) -> str:
        path = self.place / name
        path.write_text(text)
        return str(path)

    async def run_(self, *arguments: str, stdin: str = "") -> Done:
        """Run a command in a thread, as its process would."""
        out, err = io.StringIO(), io.StringIO()

        def run() -> int:
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                mock.patch("sys.stdin", io.StringIO(stdin)),
            ):
                return main(["configuration", *arguments, "--config_endpoint", self.endpoint])

        code = await deferToThread(run)
        return Done(code, out.getvalue(), err.getvalue())

    async def good(self, *arguments: str, stdin: str = "") -> str:
        """What a command that works writes."""
        done = await self.run_(*arguments, stdin=stdin)
        self.assertEqual(done.code, 0, done.err)
        return done.out

    async def bad(self, code: int, *arguments: str) -> str:
        """What a command that does not work says."""
        done = await self.run_(*arguments)
        self.assertEqual((done.code, done.out), (code, ""), done.err)
        return done.err


class ReadingContract:
    """What works with every server."""

    async def test_lists(self: Any) -> None:
        out = await self.good("list")
        self.assertEqual(out, "- aliecs\n- qc\n- readoutcard\n")
        for form in ("yaml", "json"):
            out = await self.good("ls", "qc", "-t", "1", "-o", form)
            self.assertEqual(yaml.safe_load(out), QC_ENTRIES)
        self.assertIn("no keys found", await self.bad(4, "l", "nothing"))
        self.assertIn("has a slash", await self.bad(1, "l", "qc/ANY"))

    async def test_dumps(self: Any) -> None:
        tree = {"any": {"entry": "config"}}
        key = "o2/components/qc/TECHNICAL"
        self.assertEqual(await self.good("dump", key), "any:\n  entry: config\n")
        out = await self.good("d", key, "-f", "json")
        self.assertEqual(out, json.dumps(tree, indent=4) + "\n")
        self.assertEqual(await self.good("dump", key, "-f", "toml"), '[any]\nentry = "config"\n')
        self.assertEqual(json.loads(await self.good("dump", key, "-o", "json")), tree)
        leaf = f"{key}/any/entry"
        self.assertEqual(await self.good("dump", leaf), "config\n")
        self.assertIn("no folder", await self.bad(6, "dump", leaf, "-f", "toml"))
        self.assertIn("nothing at o2/none", await self.bad(4, "dump", "o2/none"))
        await self.bad(1, "dump", key, "-f", "xml")
        await self.bad(1, "dump")

    async def test_payloads(self: Any) -> None:
        for arguments, text in (
            ((ENTRY,), "entry1 config ANY any\n"),
            (("qc", "entry1"), "entry1 config ANY any\n"),
            (("qc", "entry1", "-r", "physics", "-l", "role1"), "entry1 config PHYSICS role1\n"),
            (("qc", "sub/entry12", "-s"), "world\n"),
            (("qc", "sub/entry12", "--simulate", "-e", "a=b"), "world\n"),
        ):
            self.assertEqual(await self.good("show", *arguments), text)
        out = await self.good("show", ENTRY, "-o", "json")
        self.assertEqual(json.loads(out), {"path": ENTRY, "payload": "entry1 config ANY any"})
        done = await self.run_("s", "qc", "entry10", "-e", "a=b")
        self.assertIn("{{ var1 }}", done.out)
        self.assertIn("ignoring --extra-vars", done.err)

    async def test_payloads_that_are_not_there(self: Any) -> None:
        self.assertIn("no payload", await self.bad(4, "show", "qc", "none"))
        await self.store.put("o2/components/qc/ANY/any/empty", "")
        self.assertIn("no data was found", await self.bad(4, "show", "qc", "empty"))

    async def test_arguments_that_cannot_be(self: Any) -> None:
        for arguments, told in (
            (("show", "qc"), "please provide entry name"),
            (("show", "qc/ANY/any"), "please provide entry name"),
            (("show", "qc", "entry1", "x"), "name an entry"),
            (("show", "qc", "entry1", "-r", "FOO"), "no run type FOO"),
            (("show", "qc", "sub/resolve"), "called resolve"),
            (("show", "qc", "entry1", "-s", "-e", " "), "variables are empty"),
            (("import", "qc", "x.json"), "please provide entry name"),
            (("import", ENTRY), "name an entry and a file"),
            (("import", ENTRY, "nowhere.json"), "nowhere.json"),
        ):
            self.assertIn(told, await self.bad(1, *arguments))

    async def test_an_import(self: Any) -> None:
        new = self.file("new.JSON", '{"a": 1}\n')
        out = await self.good("import", "qc", "my_resolve", new)
        self.assertEqual(
            out, "new entry: qc/ANY/any/my_resolve\nkey: o2/components/qc/ANY/any/my_resolve\n"
        )
        self.assertEqual(await self.store.get("o2/components/qc/ANY/any/my_resolve"), '{"a": 1}\n')
        out = await self.good("i", ENTRY, new)
        self.assertIn(f"entry updated: {ENTRY}\n", out)
        out = await self.good("imp", "reco/PHYSICS/any/x", new, "--new-component")
        self.assertTrue(out.startswith("new component: reco\nnew entry: reco/PHYSICS/any/x\n"))
        self.assertIn("exists already", await self.bad(6, "i", "reco", "y", new, "-n"))
        self.assertIn("- reco", await self.bad(6, "i", "gpu", "y", new))

    async def test_a_dry_run(self: Any) -> None:
        new = self.file("new.ini", "[a]\n")
        before = dict(await self.store.items(""))
        out = await self.good("import", ENTRY, new, "--dry-run")
        self.assertIn(f"entry updated: {ENTRY}\n", out)
        self.assertIn("nothing was changed", out)
        self.assertIn("\n-entry1 config ANY any\n+[a]\n", out)
        out = await self.good("import", ENTRY, new, "--dry-run", "-o", "json")
        value = json.loads(out)
        self.assertEqual((value["entryExisted"], value["changed"]), (True, True))
        self.assertEqual(dict(await self.store.items("")), before)

    async def test_forms_are_checked(self: Any) -> None:
        wrong = self.file("wrong.json", "{\n  'a'}")
        self.assertIn(f"{ENTRY}:2: not JSON", await self.bad(1, "i", ENTRY, wrong))
        self.assertIn("--format", await self.bad(1, "i", ENTRY, self.file("x.txt", "a")))
        self.assertIn("not YAML", await self.bad(1, "i", ENTRY, self.file("x.yml", "a: [")))
        done = await self.run_("i", ENTRY, wrong, "--format", "text")
        self.assertEqual(done.code, 0)
        self.assertIn("text is not known", done.err)
        done = await self.run_("i", ENTRY, "-", "--format", "yaml", stdin="a: b\n")
        self.assertEqual(await self.good("show", ENTRY), "a: b\n")

    async def test_nobody_answers(self: Any) -> None:
        self.endpoint = "apricot://127.0.0.1:1"
        told = await self.bad(3, "list", "--timeout", "1s")
        self.assertIn("no configuration service answers at apricot://127.0.0.1:1", told)
        self.endpoint = "http://127.0.0.1"
        self.assertIn("config_endpoint: ", await self.bad(1, "list"))


class OurServerTests(ReadingContract, CommandTestCase):
    async def test_history(self) -> None:
        self.assertIn("Nothing is known", await self.good("history", ENTRY))
        for number in range(3):
            file = self.file("x.ini", f"[{number}]\n")
            await self.good("import", ENTRY, file, "--comment", f"try {number}")
        head, _, *rows = (await self.good("history", "qc", "entry1")).splitlines()
        self.assertEqual(
            [cell.strip() for cell in head.split("|")],
            ["N", "UNTIL", "REPLACED BY", "BYTES", "WHY"],
        )
        cells = [[cell.strip() for cell in row.split("|")] for row in rows]
        self.assertEqual(
            [(c[0], c[4]) for c in cells], [("1", "try 2"), ("2", "try 1"), ("3", "try 0")]
        )
        self.assertEqual(await self.good("h", ENTRY, "--show", "1"), "[1]\n")
        self.assertEqual(await self.good("h", ENTRY, "--show", "3"), "entry1 config ANY any\n")
        self.assertIn("no number 4", await self.bad(4, "h", ENTRY, "--show", "4"))
        value = json.loads(await self.good("h", ENTRY, "-o", "json"))
        self.assertEqual(value[0]["comment"], "try 2")
        self.assertEqual(value[0]["sizeBytes"], 4)

    async def test_bringing_back_what_was(self) -> None:
        await self.good("import", ENTRY, self.file("x.ini", "[a]\n"))
        former = await self.good("history", ENTRY, "--show", "1")
        await self.good("import", ENTRY, "-", "--format", "text", stdin=former)
        self.assertEqual(await self.good("show", ENTRY), "entry1 config ANY any\n")

    async def test_deleting(self) -> None:
        out = await self.good("delete", ENTRY, "--comment", "old")
        self.assertEqual(out, f"entry deleted: o2/components/{ENTRY}\n")
        await self.bad(4, "show", ENTRY)
        await self.bad(4, "delete", ENTRY)
        self.assertIn("old", await self.good("history", ENTRY))


class PlainServerTests(ReadingContract, CommandTestCase):
    """A server that offers no more than the reference."""

    plain = True

    async def test_there_is_no_history(self) -> None:
        self.assertIn("has no history", await self.bad(6, "history", ENTRY))
        self.assertIn("has no history", await self.bad(6, "delete", ENTRY))
        done = await self.run_("import", ENTRY, self.file("x.ini", "[a]\n"))
        self.assertIn("keeps no history", done.err)


class SqliteEndpointTests(ReadingContract, CommandTestCase):
    """No server at all."""

    async def make_house(self) -> None:
        await super().make_house()
        self.endpoint = f"sqlite://{self.place}/configuration.db"

    async def test_a_store_that_is_not_there_is_not_made(self) -> None:
        self.endpoint = f"sqlite://{self.place}/other.db"
        self.assertIn("no configuration store", await self.bad(3, "list"))
        self.assertFalse((self.place / "other.db").exists())


class FileEndpointTests(ReadingContract, CommandTestCase):
    async def make_house(self) -> None:
        await super().make_house()
        path = self.place / "other.yaml"
        path.touch()
        self.endpoint = f"file://{path}"
        self.house = await local_house(self, self.place, self.endpoint)
        self.store = self.house.store


TEXTS = st.text("ab \"'\\\n\t\x7f=[]ü.", max_size=4)
TREES = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, TREES, max_size=4))
def test_trees_come_back_from_toml(tree: dict[str, Any]) -> None:
    assert tomllib.loads(write_toml(tree)) == tree
