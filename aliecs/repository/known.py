"""One workflow repository of the core: made ready in the background, then read in threads.

Whoever asks for something while it is being cloned or fetched waits for that. One that could not be
reached is tried again at the next question; one that was cloned before goes on to serve.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import Factory, define, field
from twisted.internet.defer import Deferred, DeferredLock, TimeoutError
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from aliecs.errors import AliecsError, DeadlineExceeded, NotFound
from aliecs.interfaces import TemplateInfo, TemplateText
from aliecs.language.glob import compile_glob
from aliecs.repository.builtin import BuiltinFolder
from aliecs.repository.git import Clone, GitFolder, is_hash, missing_file
from aliecs.repository.local import LocalFolder
from aliecs.repository.thread import in_own_thread

READING_TIMEOUT_S = 60.0
FALLBACK_REVISIONS = ("master", "main")
"""Default revisions that are tried where the wanted one does not exist; upstream's."""

T = TypeVar("T")
_log = Logger()


@define
class Readers:
    """The threads in which repositories are read."""

    reactor: Any
    pool: ThreadPool

    async def run(self, work: Callable[[], T]) -> T:
        """Read away from the reactor's thread. Raises `DeadlineExceeded`."""
        result: Deferred[T] = deferToThreadPool(self.reactor, self.pool, work)
        try:
            return await result.addTimeout(READING_TIMEOUT_S, self.reactor)
        except TimeoutError:
            raise DeadlineExceeded(
                f"a repository was not read within {READING_TIMEOUT_S:g} s"
            ) from None


@define(eq=False)
class KnownRepository:
    """See the module. `preparing` is held while it is made, cloned or fetched."""

    identifier: str
    folder: GitFolder | LocalFolder
    default_revision: str
    readers: Readers = field(repr=False)
    preparing: DeferredLock = Factory(DeferredLock)
    _problem: AliecsError | None = None
    """Why it cannot be read."""

    async def prepare(self) -> AliecsError | None:
        """Make, clone or fetch. Gives what went wrong."""
        folder = self.folder
        async with self.preparing:
            try:
                if isinstance(folder, BuiltinFolder):
                    await self.readers.run(folder.make)
                elif isinstance(folder, Clone):
                    await in_own_thread(self.readers.reactor, folder.update)
            except AliecsError as error:
                _log.warn("{error}", error=error.message)
                can_serve = isinstance(folder, Clone) and folder.exists
                self._problem = None if can_serve else error
                return error
        self._problem = None
        return None

    async def readable(self) -> None:
        """Wait until it can be read. Raises why it cannot."""
        await self.preparing.acquire()
        self.preparing.release()
        if self._problem is not None:
            await self.prepare()
            if self._problem is not None:
                raise self._problem

    async def branches(self) -> Sequence[str]:
        """The names of all branches."""
        await self.readable()
        return await self.readers.run(self.folder.branches)

    async def tags(self) -> Sequence[str]:
        """The names of all tags."""
        await self.readable()
        return await self.readers.run(self.folder.tags)

    async def commit(self, revision: str, fallback: str = "") -> str:
        """The commit of a revision; for none that of the default revision, or where there is no
        such of `fallback` and upstream's fallbacks. A revision that a clone does not know may be
        new there: it is looked for once. Raises `NotFound`."""
        await self.readable()
        if not revision:
            return await self._default_commit(fallback)
        folder = self.folder
        try:
            return await self.readers.run(lambda: folder.resolve(revision))
        except NotFound:
            if not isinstance(folder, Clone):
                raise
        await self.prepare()
        return await self.readers.run(lambda: folder.resolve(revision))

    async def _default_commit(self, fallback: str) -> str:
        folder, chosen = self.folder, self.default_revision

        def resolve() -> str:
            for candidate in (chosen, fallback, *FALLBACK_REVISIONS):
                with contextlib.suppress(NotFound):
                    commit = folder.resolve(candidate)
                    if candidate != chosen:
                        _log.warn(
                            "the repository {repository} has no revision {chosen!r}; "
                            "{candidate!r} is used",
                            repository=self.identifier,
                            chosen=chosen,
                            candidate=candidate,
                        )
                    return commit
            return folder.resolve(chosen)

        return await self.readers.run(resolve)

    async def template(self, path: str, commit: str, shown: str) -> TemplateText:
        """A file. `shown` is what people call the commit. Raises `NotFound`, which tells what
        there is."""
        folder = self.folder

        def read() -> bytes:
            content = folder.read(commit, path)
            if content is None:
                names = folder.names(commit, path.partition("/")[0])
                raise missing_file(self.identifier, path, shown or commit, names)
            return content

        return TemplateText(self.identifier, commit, path, await self.readers.run(read))

    async def file(self, path: str, commit: str) -> bytes | None:
        """The content of a file, None where there is none."""
        folder = self.folder
        return await self.readers.run(lambda: folder.read(commit, path))

    async def has_folder(self, name: str, commit: str) -> bool:
        """True where there is such a folder."""
        folder = self.folder
        return await self.readers.run(lambda: folder.has_folder(commit, name))

    async def matching(self, pattern: str, all_branches: bool, all_tags: bool) -> Sequence[str]:
        """The revisions of a listing: those that fit `pattern`, a full hash or a glob over branches
        and tags; the default one where nothing is asked for."""
        if not pattern and not all_branches and not all_tags:
            return [self.default_revision]
        if is_hash(pattern):
            return [pattern] if await self._exists(pattern) else []
        glob = compile_glob(pattern or "*")
        names: list[str] = []
        if pattern or all_branches:
            names += await self.branches()
        if pattern or all_tags:
            names += await self.tags()
        return sorted({name for name in names if glob.matches(name)})

    async def _exists(self, revision: str) -> bool:
        folder = self.folder
        try:
            await self.readers.run(lambda: folder.resolve(revision))
        except NotFound:
            return False
        return True

    async def templates(self, revision: str, fallback: str) -> Sequence[TemplateInfo]:
        """The workflow templates of one revision of a listing."""
        is_default = revision == self.default_revision
        commit = await self.commit("" if is_default else revision, fallback)
        folder = self.folder

        def read() -> Sequence[TemplateInfo]:
            infos = []
            for name in folder.names(commit, "workflows"):
                path = f"workflows/{name}"
                content = folder.read(commit, path) if name.endswith(".yaml") else None
                if content is not None:
                    text = TemplateText(self.identifier, commit, path, content)
                    template = name.removesuffix(".yaml")
                    infos.append(TemplateInfo(self.identifier, template, revision, text))
            return infos

        return await self.readers.run(read)
