"""All repositories together, over real git repositories."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from aliecs.configuration.opening import open_configuration
from aliecs.errors import Conflict, InvalidInput, NotFound, Unavailable
from aliecs.interfaces import IRepositories
from aliecs.repository.builtin import BuiltinFolder, BuiltinSource
from aliecs.repository.manager import Repositories
from test.repository.gitting import WorkingCopy


class RepositoriesTestCase(TestCase):
    timeout = 60

    def setUp(self) -> Deferred[None]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        self.working_dir = self.place / "working"
        self.working_dir.mkdir()
        source = BuiltinSource(self.place / "templates", self.place / "tasks")
        source.workflows.mkdir()
        source.tasks.mkdir()
        (source.workflows / "demo.yaml").write_text("name: demo\n")
        (source.tasks / "readout.yaml").write_text("name: readout\n")
        self.source = source
        self.configuration = open_configuration("sqlite://", self.working_dir, reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.configuration.stop()))
        return Deferred.fromCoroutine(self.configuration.start())

    async def repositories(self, *further: str, **settings: Any) -> Repositories:
        repositories = Repositories(
            self.configuration,
            self.working_dir,
            reactor,
            repositories=further,
            builtin_source=self.source,
            **{"timeout_s": 20.0, **settings},
        )
        await repositories.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(repositories.stop()))
        return repositories


class BuiltinTests(RepositoriesTestCase):
    async def test_it_is_there_on_its_own_and_the_default(self) -> None:
        repositories = await self.repositories()
        verifyObject(IRepositories, repositories)
        (info,) = await repositories.list(True)
        self.assertEqual(
            (info.identifier, info.is_default, info.default_revision, info.revisions),
            ("builtin", True, "master", ("main", "master")),
        )
        text = await repositories.workflow("demo")
        self.assertEqual((text.path, text.text), ("workflows/demo.yaml", b"name: demo\n"))
        self.assertRegex(text.revision, "^[0-9a-f]{40}$")
        for expression in (
            "demo@main",
            "demo.yaml",
            "builtin/workflows/demo",
            f"builtin/workflows/demo@{text.revision}",
            f"demo@{text.revision[:8]}",
        ):
            self.assertEqual(await repositories.workflow(expression), text)
        task_class = await repositories.task_class(f"builtin/tasks/readout@{text.revision}")
        self.assertEqual(task_class.text, b"name: readout\n")

    async def test_the_same_templates_have_the_same_hash_and_old_ones_stay(self) -> None:
        first = BuiltinFolder(self.place / "one", self.source).make()
        second = BuiltinFolder(self.place / "two", self.source)
        self.assertEqual(second.make(), first)
        self.assertEqual(second.make(), first)
        (self.source.workflows / "demo.yaml").write_text("name: demo # changed\n")
        third = second.make()
        self.assertNotEqual(third, first)
        self.assertEqual(second.resolve("master"), third)
        self.assertEqual(second.read(first, "workflows/demo.yaml"), b"name: demo\n")

    async def test_the_installed_templates_are_found(self) -> None:
        folder = BuiltinFolder(self.place / "installed")
        commit = folder.make()
        self.assertIn("demo.yaml", folder.names(commit, "workflows"))

    async def test_missing_templates_are_told(self) -> None:
        missing = BuiltinSource(self.place / "nowhere", self.place / "nowhere")
        self.source = missing
        repositories = await self.repositories()
        with self.assertRaisesRegex(NotFound, r"no workflow template 'demo'.*\(none\)"):
            await repositories.workflow("demo")

    async def test_what_does_not_exist_is_told_with_what_does(self) -> None:
        repositories = await self.repositories()
        with self.assertRaisesRegex(NotFound, "no workflow template 'nope'.*it has demo$"):
            await repositories.workflow("nope")
        with self.assertRaisesRegex(NotFound, "no task template 'nope'.*it has readout$"):
            await repositories.task_class("builtin/tasks/nope@main")
        with self.assertRaisesRegex(NotFound, "no revision 'v9'.*branches main, master and"):
            await repositories.workflow("demo@v9")
        with self.assertRaisesRegex(NotFound, "no repository 'github.com/A/B'; there are builtin"):
            await repositories.workflow("github.com/A/B/workflows/demo")
        with self.assertRaises(InvalidInput):
            await repositories.workflow("../../etc/passwd")


class LocalTests(RepositoriesTestCase):
    async def test_commits_are_read_in_place_and_nothing_is_written(self) -> None:
        copy = WorkingCopy(self.place / "my.dir" / "flows")
        first = copy.commit(one="first")
        copy.git("tag", "v1")
        copy.git("tag", "--annotate", "--message", "x", "v2")
        second = copy.commit(one="second")
        copy.write("workflows/one.yaml", "edited")
        before = sorted(str(path) for path in copy.path.rglob("*"))
        identifier = str(copy.path)

        repositories = await self.repositories(identifier)
        for revision, text, commit in (
            ("main", b"second", second),
            ("v1", b"first", first),
            ("v2", b"first", first),
            (first, b"first", first),
            (first[:7], b"first", first),
        ):
            found = await repositories.workflow(f"{identifier}/workflows/one@{revision}")
            self.assertEqual((found.text, found.revision), (text, commit))
        self.assertEqual(sorted(str(path) for path in copy.path.rglob("*")), before)
        self.assertEqual((copy.path / "workflows/one.yaml").read_text(), "edited")

    async def test_the_folder_as_it_is_now(self) -> None:
        copy = WorkingCopy(self.place / "flows")
        copy.commit(one="committed")
        copy.write("workflows/one.yaml", "edited")
        copy.write("tasks/readout.yaml", "task")
        copy.write("jit/qc", "command")
        identifier = str(copy.path)
        repositories = await self.repositories(default_repository=identifier)
        local = next(info for info in await repositories.list(True) if info.is_default)
        self.assertEqual((local.default_revision, local.revisions), ("local", ("local", "main")))

        text = await repositories.workflow("one")
        self.assertEqual(text.text, b"edited")
        self.assertRegex(text.revision, "^local-[0-9a-f]{40}$")
        task_class = f"{identifier}/tasks/readout@{text.revision}"
        self.assertEqual((await repositories.task_class(task_class)).text, b"task")
        jit = await repositories.jit_file(identifier, text.revision, "qc")
        self.assertEqual(jit, "command")
        self.assertIsNone(await repositories.jit_file(identifier, text.revision, "none"))

        self.assertEqual((await repositories.workflow("one@local")).revision, text.revision)
        copy.write("tasks/readout.yaml", "edited too")
        self.assertNotEqual((await repositories.workflow("one")).revision, text.revision)
        with self.assertRaisesRegex(Conflict, "were changed while"):
            await repositories.task_class(task_class)

    async def test_a_folder_without_git(self) -> None:
        folder = self.place / "plain"
        (folder / "workflows").mkdir(parents=True)
        (folder / "workflows" / "one.yaml").write_text("plain")
        repositories = await self.repositories(str(folder))
        text = await repositories.workflow(f"{folder}/workflows/one")
        self.assertEqual(text.text, b"plain")
        with self.assertRaisesRegex(NotFound, "is no git repository"):
            await repositories.workflow(f"{folder}/workflows/one@main")

    async def test_a_link_leads_nowhere_outside(self) -> None:
        folder = self.place / "plain"
        (folder / "workflows").mkdir(parents=True)
        (self.place / "secret.yaml").write_text("secret")
        (folder / "workflows" / "one.yaml").symlink_to(self.place / "secret.yaml")
        repositories = await self.repositories(str(folder))
        with self.assertRaisesRegex(InvalidInput, "leads out of its repository"):
            await repositories.workflow(f"{folder}/workflows/one")

    async def test_a_folder_that_is_not_there(self) -> None:
        repositories = await self.repositories("/nowhere/flows")
        with self.assertRaisesRegex(Unavailable, "/nowhere/flows"):
            await repositories.workflow("/nowhere/flows/workflows/one")
        self.assertEqual((await repositories.workflow("demo")).text, b"name: demo\n")

    async def test_a_repository_of_another_user_is_refused_with_the_remedy(self) -> None:
        copy = WorkingCopy(self.place / "flows")
        copy.commit(one="x")
        if os.geteuid() == 0:
            for path in (copy.path, copy.path / ".git"):
                os.chown(path, 12345, 12345)
            repositories = await self.repositories(str(copy.path))
            with self.assertRaisesRegex(Unavailable, "belongs to another user.*safe.directory"):
                await repositories.workflow(f"{copy.path}/workflows/one@main")
        else:
            problem = BuiltinFolder(copy.path)._problem(
                ValueError("x is not owned by current user")
            )
            self.assertIn("safe.directory", problem.message)


class CloneTests(RepositoriesTestCase):
    def setUp(self) -> Deferred[None]:
        done = super().setUp()
        self.remote = WorkingCopy(self.place / "remote" / "flows")
        self.first = self.remote.commit(one="first")
        self.identifier = f"file:{self.remote.path}"
        return done

    async def test_a_clone_is_bare_and_below_the_working_folder(self) -> None:
        repositories = await self.repositories(f"file://{self.remote.path}")
        text = await repositories.workflow(f"{self.identifier}/workflows/one")
        self.assertEqual((text.text, text.revision), (b"first", self.first))
        clone = self.working_dir / "repos" / f"{self.identifier}.git"
        self.assertTrue((clone / "objects").is_dir())
        self.assertFalse((clone / "workflows").exists())
        self.assertEqual([p.name for p in clone.parent.iterdir()], [clone.name])

    async def test_branches_with_slashes_tags_that_move_and_names_that_go(self) -> None:
        self.remote.git("branch", "feature/x")
        self.remote.git("tag", "v1")
        self.remote.git("tag", "gone")
        repositories = await self.repositories(self.identifier)
        (_, info) = await repositories.list(True)
        self.assertEqual(info.revisions, ("feature/x", "main"))

        second = self.remote.commit(one="second")
        self.remote.git("tag", "--force", "v1")
        self.remote.git("tag", "--delete", "gone")
        self.remote.git("branch", "--delete", "--force", "feature/x")
        await repositories.refresh()
        for revision in ("main", "v1"):
            text = await repositories.workflow(f"{self.identifier}/workflows/one@{revision}")
            self.assertEqual(text.revision, second)
        for revision in ("gone", "feature/x"):
            with self.assertRaisesRegex(NotFound, "branches main and the tags v1$"):
                await repositories.workflow(f"{self.identifier}/workflows/one@{revision}")
        old = await repositories.workflow(f"{self.identifier}/workflows/one@{self.first}")
        self.assertEqual(old.text, b"first")

    async def test_a_revision_that_is_new_is_found(self) -> None:
        repositories = await self.repositories(self.identifier)
        await repositories.workflow(f"{self.identifier}/workflows/one")
        self.remote.git("checkout", "--quiet", "-b", "new")
        second = self.remote.commit(one="second")
        text = await repositories.workflow(f"{self.identifier}/workflows/one@new")
        self.assertEqual(text.revision, second)

    async def test_a_restart_fetches(self) -> None:
        first = await self.repositories(self.identifier)
        await first.workflow(f"{self.identifier}/workflows/one")
        second = self.remote.commit(one="second")
        again = await self.repositories(self.identifier)
        text = await again.workflow(f"{self.identifier}/workflows/one")
        self.assertEqual(text.revision, second)

    async def test_a_remote_that_is_away_is_an_error_about_itself_only(self) -> None:
        away = self.place / "away"
        self.remote.path.rename(away)
        repositories = await self.repositories(self.identifier)
        with self.assertRaisesRegex(Unavailable, "cannot be fetched"):
            await repositories.workflow(f"{self.identifier}/workflows/one")
        self.assertEqual((await repositories.workflow("demo")).text, b"name: demo\n")
        self.assertEqual(len(await repositories.list(True)), 2)
        self.assertEqual(list((self.working_dir / "repos").rglob(".clone-*")), [])

        away.rename(self.remote.path)
        text = await repositories.workflow(f"{self.identifier}/workflows/one")
        self.assertEqual(text.revision, self.first)

        self.remote.path.rename(away)
        with self.assertRaises(Unavailable):
            await repositories.refresh(self.identifier)
        text = await repositories.workflow(f"{self.identifier}/workflows/one")
        self.assertEqual(text.revision, self.first)

    async def test_leftovers_of_a_killed_core_are_removed(self) -> None:
        leftover = self.working_dir / "repos" / "x.y" / ".clone-abc"
        leftover.mkdir(parents=True)
        await self.repositories()
        self.assertFalse(leftover.exists())

    async def test_a_commit_hash_that_is_too_short(self) -> None:
        repositories = await self.repositories(self.identifier)
        with self.assertRaises(NotFound):
            await repositories.workflow(f"{self.identifier}/workflows/one@{self.first[:3]}")


class DefaultTests(RepositoriesTestCase):
    async def test_what_was_chosen_at_run_time_ranks_above_the_settings(self) -> None:
        copy = WorkingCopy(self.place / "flows", branch="trunk")
        first = copy.commit(one="first")
        identifier = f"file:{copy.path}"
        repositories = await self.repositories(identifier)
        await repositories.set_default_repository(identifier)
        await repositories.set_default_revision(identifier, "trunk")
        await repositories.set_global_default_revision("trunk")
        stored = await self.configuration.runtime_get("aliecs", "default_revisions")
        self.assertEqual(json.loads(stored), {identifier: "trunk"})

        again = await self.repositories(identifier, default_revision="other")
        self.assertEqual(again.default_identifier, identifier)
        self.assertEqual(again.global_default_revision, "trunk")
        self.assertEqual((await again.workflow("one")).revision, first)

        with self.assertRaisesRegex(NotFound, "no revision 'nope'"):
            await again.set_default_revision(identifier, "nope")
        with self.assertRaises(NotFound):
            await again.set_default_repository("github.com/A/B")

    async def test_upstreams_entries_are_understood(self) -> None:
        copy = WorkingCopy(self.place / "flows", branch="trunk")
        copy.commit(one="first")
        path = str(copy.path)
        set_ = self.configuration.runtime_set
        await set_("aliecs", "default_repo", f"{path}/")
        await set_("aliecs", "default_revisions", json.dumps({f"{path}/": "trunk"}))
        repositories = await self.repositories()
        self.assertEqual((await repositories.workflow("one")).text, b"first")

        await set_("aliecs", "default_revisions", "[1")
        with self.assertRaisesRegex(InvalidInput, "aliecs/default_revisions"):
            await self.repositories()

    async def test_a_default_revision_that_is_not_there_falls_back(self) -> None:
        copy = WorkingCopy(self.place / "flows", branch="main")
        commit = copy.commit(one="first")
        repositories = await self.repositories(
            default_repository=f"file:{copy.path}@nope", default_revision="nope2"
        )
        self.assertEqual((await repositories.workflow("one")).revision, commit)

    async def test_a_default_revision_without_any_fallback(self) -> None:
        copy = WorkingCopy(self.place / "flows", branch="trunk")
        copy.commit(one="first")
        repositories = await self.repositories(default_repository=f"file:{copy.path}")
        with self.assertRaisesRegex(NotFound, "no revision 'master'; it has the branches trunk"):
            await repositories.workflow("one")

    async def test_a_setting_that_names_no_repository(self) -> None:
        with self.assertRaisesRegex(InvalidInput, "'nonsense' names no repository"):
            await self.repositories("nonsense")


class ListingTests(RepositoriesTestCase):
    def setUp(self) -> Deferred[None]:
        done = super().setUp()
        self.remote = WorkingCopy(self.place / "flows")
        self.first = self.remote.commit(one="first")
        self.remote.git("tag", "v1")
        self.remote.git("branch", "feature/x")
        self.remote.write("workflows/notes.txt", "no template")
        self.remote.write("workflows/sub/nested.yaml", "not listed")
        self.second = self.remote.commit(two="second")
        self.identifier = f"file:{self.remote.path}"
        return done

    async def listing(self, *arguments: Any, **settings: Any) -> list[tuple[str, str, str]]:
        repositories = await self.repositories(self.identifier, **settings)
        try:
            found = await repositories.templates(*arguments)
        finally:
            await repositories.stop()
        return [(info.repository, info.revision, info.template) for info in found]

    async def test_the_default_revision_of_every_repository(self) -> None:
        self.assertEqual(
            await self.listing("", "", False, False),
            [
                ("builtin", "master", "demo"),
                (self.identifier, "master", "one"),
                (self.identifier, "master", "two"),
            ],
        )

    async def test_patterns(self) -> None:
        x, main = (self.identifier, "feature/x", "one"), (self.identifier, "main", "two")
        self.assertEqual(await self.listing("file:*", "feature*", False, False), [x])
        self.assertIn(main, await self.listing("1", "*", False, False))
        self.assertEqual(await self.listing("nothing*", "", False, False), [])
        self.assertEqual(await self.listing("", "nothing*", False, False), [])

    async def test_branches_and_tags(self) -> None:
        def revisions(found: list[tuple[str, str, str]]) -> set[str]:
            return {revision for repository, revision, _ in found if repository == self.identifier}

        self.assertEqual(revisions(await self.listing("", "", True, False)), {"main", "feature/x"})
        self.assertEqual(revisions(await self.listing("", "", False, True)), {"v1"})
        self.assertEqual(
            revisions(await self.listing("", "", True, True)), {"main", "feature/x", "v1"}
        )

    async def test_a_hash(self) -> None:
        self.assertEqual(
            await self.listing("", self.first, False, False), [(self.identifier, self.first, "one")]
        )
        self.assertEqual(await self.listing("", "0" * 40, False, False), [])

    async def test_texts_come_with_it(self) -> None:
        repositories = await self.repositories(self.identifier)
        found = await repositories.templates("1", "main", False, False)
        self.assertEqual([info.text.text for info in found], [b"first", b"second"])
        self.assertEqual({info.text.revision for info in found}, {self.second})

    async def test_patterns_that_cannot_be(self) -> None:
        for arguments in (
            ("", "main", True, False),
            ("[", "", False, False),
            ("", "[", False, False),
            ("-1", "", False, False),
            ("2", "", False, False),
        ):
            with self.assertRaises(InvalidInput):
                await self.listing(*arguments)

    async def test_repositories_that_cannot_be_read_are_left_out_unless_none_can(self) -> None:
        self.remote.path.rename(self.place / "away")
        found = await self.listing("", "", False, False)
        self.assertEqual(found, [("builtin", "master", "demo")])
        with self.assertRaises(Unavailable):
            await self.listing("1", "", False, False)
