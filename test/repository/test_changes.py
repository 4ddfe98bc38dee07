"""Adding, removing and refreshing repositories while the core runs, over real git repositories."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred

from aliecs.errors import Conflict, InvalidInput, NotFound, Unavailable
from test.repository.gitting import WorkingCopy
from test.repository.test_manager import RepositoriesTestCase


class ChangesTestCase(RepositoriesTestCase):
    def setUp(self) -> Deferred[None]:
        done = super().setUp()
        self.remote = WorkingCopy(self.place / "remote" / "flows")
        self.remote.write("tasks/readout.yaml", "name: readout\n")
        self.first = self.remote.commit(one="first")
        self.identifier = f"file:{self.remote.path}"
        self.clone = self.working_dir / "repos" / f"{self.identifier}.git"
        return done

    async def chosen(self) -> dict[str, str]:
        text = await self.configuration.runtime_get("aliecs", "default_revisions")
        chosen: dict[str, str] = json.loads(text)
        return chosen


class AddingTests(ChangesTestCase):
    async def test_it_serves_at_once_and_after_a_restart(self) -> None:
        repositories = await self.repositories()
        added = await repositories.add(f"file://{self.remote.path}.git/")
        self.assertEqual(
            (added.identifier, added.is_default, added.default_revision),
            (self.identifier, False, "main"),
        )
        expression = f"{self.identifier}/workflows/one"
        self.assertEqual((await repositories.workflow(expression)).revision, self.first)
        self.assertEqual(await self.chosen(), {self.identifier: "main"})

        again = await self.repositories()
        self.assertEqual((await again.workflow(expression)).text, b"first")

    async def test_a_folder_of_the_users_own_stays_known_too(self) -> None:
        path = str(self.remote.path)
        repositories = await self.repositories()
        added = await repositories.add(path)
        self.assertEqual(added.default_revision, "local")
        again = await self.repositories()
        self.assertEqual((await again.workflow(f"{path}/workflows/one")).text, b"first")

    async def test_the_revision_that_it_gets(self) -> None:
        self.remote.git("branch", "v1")
        self.remote.git("branch", "global")
        repositories = await self.repositories(default_revision="global")
        for given, wanted, gets in (
            ("", "", "global"),
            ("", "v1", "v1"),
            ("@v1", "", "v1"),
            ("", "nope", "global"),
        ):
            added = await repositories.add(self.identifier + given, wanted)
            self.assertEqual(added.default_revision, gets)
            await repositories.remove(self.identifier)

    async def test_the_same_again(self) -> None:
        repositories = await self.repositories()
        await repositories.add(self.identifier)
        with self.assertRaisesRegex(Conflict, "^Repo already present$"):
            await repositories.add(f"file://{self.remote.path}/")
        with self.assertRaisesRegex(Conflict, "^Repo already present$"):
            await repositories.add("builtin")

    async def test_nothing_is_left_of_what_cannot_be_added(self) -> None:
        trunk = WorkingCopy(self.place / "trunk", branch="trunk")
        trunk.write("tasks/a.yaml", "")
        trunk.commit(one="first")
        bare = WorkingCopy(self.place / "no" / "tasks_here")
        bare.commit(one="first")
        repositories = await self.repositories()
        for text, error, words in (
            (f"file:{trunk.path}", NotFound, "no revision 'master'; it has the branches trunk"),
            (f"file:{bare.path}", InvalidInput, "has no folder tasks"),
            (f"file:{self.place}/nowhere/x", Unavailable, "cannot be fetched"),
            (f"{self.place}/nowhere/x", Unavailable, "no such folder"),
            ("nonsense", InvalidInput, "names no repository"),
        ):
            with self.assertRaisesRegex(error, words):
                await repositories.add(text)
        self.assertEqual(len(await repositories.list(False)), 1)
        left = [path.name for path in (self.working_dir / "repos").iterdir()]
        self.assertEqual(left, ["builtin"])
        with self.assertRaises(NotFound):
            await self.chosen()


class RemovingTests(ChangesTestCase):
    async def test_the_clone_goes_and_what_is_not_ours_stays(self) -> None:
        path = str(self.remote.path)
        repositories = await self.repositories()
        await repositories.add(self.identifier)
        await repositories.add(path)
        self.assertTrue(self.clone.exists())
        self.assertEqual(await repositories.remove(self.identifier), "")
        self.assertFalse((self.working_dir / "repos" / "file:").exists())
        self.assertEqual(await repositories.remove(path), "")
        self.assertEqual((self.remote.path / "workflows/one.yaml").read_text(), "first")
        self.assertEqual(await self.chosen(), {})
        with self.assertRaisesRegex(NotFound, "there are builtin"):
            await repositories.workflow(f"{self.identifier}/workflows/one")

    async def test_others_beside_it_stay(self) -> None:
        other = WorkingCopy(self.place / "remote" / "others")
        other.write("tasks/a.yaml", "")
        other.commit(one="other")
        repositories = await self.repositories()
        await repositories.add(self.identifier)
        await repositories.add(f"file:{other.path}")
        await repositories.remove(self.identifier)
        text = await repositories.workflow(f"file:{other.path}/workflows/one")
        self.assertEqual(text.text, b"other")

    async def test_the_default_passes_on(self) -> None:
        repositories = await self.repositories()
        await repositories.add(self.identifier)
        await repositories.set_default_repository(self.identifier)
        self.assertEqual(await repositories.remove(self.identifier), "builtin")
        self.assertEqual(repositories.default_identifier, "builtin")
        self.assertEqual(await self.configuration.runtime_get("aliecs", "default_repo"), "builtin")
        with self.assertRaisesRegex(Conflict, "part of the core"):
            await repositories.remove("builtin")
        with self.assertRaises(NotFound):
            await repositories.remove("github.com/A/B")


class RefreshingTests(ChangesTestCase):
    async def test_all_of_them_though_one_is_away(self) -> None:
        other = WorkingCopy(self.place / "others")
        other.write("tasks/a.yaml", "")
        other.commit(one="other")
        repositories = await self.repositories()
        await repositories.add(f"file:{other.path}")
        await repositories.add(self.identifier)
        other.path.rename(self.place / "away")
        second = self.remote.commit(one="second")
        with self.assertRaisesRegex(Unavailable, "others"):
            await repositories.refresh()
        text = await repositories.workflow(f"{self.identifier}/workflows/one")
        self.assertEqual(text.revision, second)
        text = await repositories.workflow(f"file:{other.path}/workflows/one")
        self.assertEqual(text.text, b"other")

    async def test_names_that_no_revision_has(self) -> None:
        repositories = await self.repositories()
        await repositories.add(self.identifier)
        for revision in ("", "v*", "a b", "x@y"):
            with self.assertRaisesRegex(InvalidInput, "not the name of a revision"):
                await repositories.set_default_revision(self.identifier, revision)
            with self.assertRaises(InvalidInput):
                await repositories.set_global_default_revision(revision)
        self.assertEqual(await repositories.revisions(self.identifier), ["main"])
