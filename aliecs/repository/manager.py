"""All workflow repositories of the core: which there are, which is the default, what they hold.

Clones are brought up to date in the background when the core starts; whoever asks for something of
a repository meanwhile waits for that one alone, and a repository that cannot be reached is an error
about itself only. Which repository and which revisions are the defaults may have been chosen at run
time and is then found in upstream's runtime entries, which rank above the settings.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import Factory, define
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, TimeoutError
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from aliecs.errors import AliecsError, DeadlineExceeded, Exhausted, InvalidInput, NotFound
from aliecs.interfaces import (
    IConfigurationService,
    IRepositories,
    RepositoryInfo,
    TemplateInfo,
    TemplateText,
)
from aliecs.language.glob import compile_glob
from aliecs.repository.builtin import BuiltinFolder, BuiltinSource
from aliecs.repository.git import (
    Clone,
    GitFolder,
    Reach,
    is_hash,
    limit_network_waits,
    missing_file,
    remove_unfinished_clones,
)
from aliecs.repository.local import LocalFolder
from aliecs.repository.name import (
    BUILTIN,
    LOCAL_REVISION,
    Protocol,
    RepositoryName,
    TemplateName,
    checked_file_name,
    parse_repository,
    parse_task_class,
    parse_workflow,
)
from aliecs.repository.thread import in_own_thread

MOST_TEMPLATES = 5000
"""Templates of one listing; their texts are held in memory."""

_READING_TIMEOUT_S = 60.0
_NETWORK_WAIT_S = 20.0
_STOPPING_TIMEOUT_S = 2.0
_THREADS = 4

# Upstream's runtime entries.
_COMPONENT = "aliecs"
_DEFAULT_REPOSITORY = "default_repo"
_DEFAULT_REVISION = "default_revision"
_DEFAULT_REVISIONS = "default_revisions"

_FALLBACK_REVISIONS = ("master", "main")

T = TypeVar("T")
_log = Logger()


@define
class _Repository:
    """One repository. `preparing` is held while it is made, cloned or fetched; `problem` is why it
    cannot be read."""

    identifier: str
    folder: GitFolder | LocalFolder
    default_revision: str
    problem: AliecsError | None = None
    preparing: DeferredLock = Factory(DeferredLock)


@implementer(IRepositories)
class Repositories:
    """The repositories.

    `configuration` holds what was chosen at run time; `working_dir` is the core's folder, clones
    lie in `repos` below it; `default_repository`, `default_revision` and `repositories` are the
    settings of these names; `ssh_key` is a private key file, empty for none; `timeout_s` limits
    each clone and fetch. `builtin_source` replaces the installed templates in tests.
    """

    def __init__(
        self,
        configuration: IConfigurationService,
        working_dir: Path,
        reactor: Any,
        *,
        default_repository: str = BUILTIN,
        default_revision: str = "master",
        repositories: Sequence[str] = (),
        ssh_key: str = "",
        timeout_s: float = 120.0,
        builtin_source: BuiltinSource | None = None,
    ) -> None:
        self.default_identifier = ""
        self.global_default_revision = default_revision
        self._configuration = configuration
        self._root = working_dir / "repos"
        self._reactor = reactor
        self._default_setting = default_repository
        self._further = tuple(repositories)
        self._ssh_key = ssh_key
        self._timeout_s = timeout_s
        self._builtin_source = builtin_source
        self._threads = ThreadPool(minthreads=0, maxthreads=_THREADS, name="repositories")
        self._closing = threading.Event()
        self._repositories: dict[str, _Repository] = {}

    async def start(self) -> None:
        """See `IRepositories.start`. Raises `InvalidInput` where a setting or a runtime entry names
        no repository, `Unavailable` where the working folder cannot be written."""
        limit_network_waits(min(_NETWORK_WAIT_S, self._timeout_s))
        chosen = await self._chosen(_DEFAULT_REPOSITORY)
        default = parse_repository(chosen or self._default_setting)
        self.global_default_revision = (
            await self._chosen(_DEFAULT_REVISION) or self.global_default_revision
        )
        revisions = await self._chosen_revisions()
        for name in (parse_repository(BUILTIN), default, *map(parse_repository, self._further)):
            if name.identifier not in self._repositories:
                self._repositories[name.identifier] = self._known(name, revisions)
        self.default_identifier = default.identifier
        self._threads.start()
        try:
            await self._in_thread(lambda: remove_unfinished_clones(self._root))
            await self._prepare(self._repositories[BUILTIN])
        except BaseException:
            self._threads.stop()
            raise
        for repository in self._repositories.values():
            if isinstance(repository.folder, Clone):
                Deferred.fromCoroutine(self._prepare(repository)).addErrback(self._unexpected)

    async def stop(self) -> None:
        """See `IRepositories.stop`. A clone or fetch under way is given up; one that hangs in a
        connection is not waited for, and ends with the process."""
        if self._closing.is_set():
            return
        self._closing.set()
        waiting = [repository.preparing.acquire() for repository in self._repositories.values()]
        for turn in waiting:
            turn.addTimeout(_STOPPING_TIMEOUT_S, self._reactor)
        await DeferredList(waiting, consumeErrors=True)
        if self._threads.started:
            self._threads.stop()

    async def refresh(self, identifier: str = "") -> None:
        """Coroutine. Fetch what is new in one repository, or in all. Raises the first problem."""
        names = [identifier] if identifier else sorted(self._repositories)
        for repository in [self._named(name) for name in names]:
            problem = await self._prepare(repository)
            if problem is not None:
                raise problem

    # --- what IRepositories gives ----------------------------------------------------------------

    async def list(self, with_revisions: bool) -> Sequence[RepositoryInfo]:
        """See `IRepositories.list`. The revisions are the branches."""
        infos = []
        for identifier, repository in sorted(self._repositories.items()):
            branches: Sequence[str] = ()
            if with_revisions:
                try:
                    await self._readable(repository)
                    branches = await self._in_thread(repository.folder.branches)
                except AliecsError as error:
                    _log.warn("{error}", error=error.message)
            infos.append(
                RepositoryInfo(
                    identifier,
                    identifier == self.default_identifier,
                    repository.default_revision,
                    tuple(branches),
                )
            )
        return infos

    async def workflow(self, expression: str) -> TemplateText:
        """See `IRepositories.workflow`. Raises `InvalidInput` for what is no expression; `NotFound`
        for an unknown repository, revision or template, telling what there is; `Unavailable`."""
        return await self._template(parse_workflow(expression))

    async def task_class(self, identifier: str) -> TemplateText:
        """See `IRepositories.task_class`. Errors as for `workflow`."""
        return await self._template(parse_task_class(identifier))

    async def jit_file(self, repository: str, revision: str, name: str) -> str | None:
        """See `IRepositories.jit_file`."""
        path = f"jit/{checked_file_name(name, f'{repository}/jit/{name}')}"
        known = await self._readable(self._named(repository))
        commit = await self._commit(known, revision)
        content = await self._in_thread(lambda: known.folder.read(commit, path))
        return None if content is None else content.decode("utf-8", "replace")

    async def templates(
        self, repository_pattern: str, revision_pattern: str, all_branches: bool, all_tags: bool
    ) -> Sequence[TemplateInfo]:
        """See `IRepositories.templates`.

        `repository_pattern` is a glob over identifiers, a place in the sorted list, or empty for
        all; `revision_pattern` a full hash, a glob over branches and tags, or empty for each
        repository's default. Sorted by repository, revision and name. Repositories that cannot be
        read are left out, unless none can. Raises `InvalidInput` for patterns that cannot be, and
        `Exhausted` for more than 5000 templates.
        """
        if (all_branches or all_tags) and revision_pattern:
            raise InvalidInput(
                "a pattern of revisions cannot be combined with all branches or all tags"
            )
        found: list[TemplateInfo] = []
        problems: list[AliecsError] = []
        for repository in self._matching(repository_pattern):
            try:
                await self._readable(repository)
                for revision in await self._revisions(
                    repository, revision_pattern, all_branches, all_tags
                ):
                    found += await self._listed(repository, revision)
            except InvalidInput:
                raise
            except AliecsError as error:
                _log.warn("listing templates: {error}", error=error.message)
                problems.append(error)
            if len(found) > MOST_TEMPLATES:
                raise Exhausted(f"there are more than {MOST_TEMPLATES} templates; ask for fewer")
        if problems and not found:
            raise problems[0]
        return found

    # --- defaults --------------------------------------------------------------------------------

    async def set_default_repository(self, identifier: str) -> None:
        """Coroutine. Make a repository the default, for this core and those after it."""
        self._named(identifier)
        await self._configuration.runtime_set(_COMPONENT, _DEFAULT_REPOSITORY, identifier)
        self.default_identifier = identifier

    async def set_global_default_revision(self, revision: str) -> None:
        """Coroutine. Set the default revision of repositories that are added from now on."""
        await self._configuration.runtime_set(_COMPONENT, _DEFAULT_REVISION, revision)
        self.global_default_revision = revision

    async def set_default_revision(self, identifier: str, revision: str) -> None:
        """Coroutine. Set the default revision of a repository; `NotFound` where it has none such,
        telling what there is."""
        repository = await self._readable(self._named(identifier))
        await self._commit(repository, revision)
        chosen = {**await self._chosen_revisions(), identifier: revision}
        text = json.dumps(chosen, indent=4, sort_keys=True)
        await self._configuration.runtime_set(_COMPONENT, _DEFAULT_REVISIONS, text)
        repository.default_revision = revision

    async def _chosen(self, key: str) -> str:
        """A runtime entry, empty where nothing was chosen."""
        try:
            return (await self._configuration.runtime_get(_COMPONENT, key)).strip()
        except NotFound:
            return ""

    async def _chosen_revisions(self) -> dict[str, str]:
        """Default revisions by identifier."""
        text = await self._chosen(_DEFAULT_REVISIONS)
        try:
            chosen = json.loads(text or "{}")
            return {parse_repository(str(key)).identifier: str(chosen[key]) for key in chosen}
        except (ValueError, TypeError, InvalidInput) as error:
            raise InvalidInput(
                f"the runtime entry {_COMPONENT}/{_DEFAULT_REVISIONS} is no JSON object of "
                f"repositories and revisions: {error}"
            ) from None

    # --- finding and preparing repositories ------------------------------------------------------

    def _known(self, name: RepositoryName, revisions: dict[str, str]) -> _Repository:
        identifier = name.identifier
        folder: GitFolder | LocalFolder
        if name.protocol is Protocol.BUILTIN:
            folder = BuiltinFolder(self._root / BUILTIN, self._builtin_source)
        elif name.protocol is Protocol.LOCAL:
            folder = LocalFolder(identifier, Path(identifier))
        else:
            path = self._root / f"{identifier}.git"
            reach = Reach(name.url, self._ssh_key, self._timeout_s, self._closing)
            folder = Clone(identifier, path, reach)
        is_local = name.protocol is Protocol.LOCAL
        default = LOCAL_REVISION if is_local else self.global_default_revision
        chosen = revisions.get(identifier) or name.revision or default
        return _Repository(identifier, folder, chosen)

    def _named(self, identifier: str) -> _Repository:
        """The repository of that identifier, the default one for none."""
        identifier = identifier or self.default_identifier
        try:
            return self._repositories[identifier]
        except KeyError:
            known = ", ".join(sorted(self._repositories))
            raise NotFound(
                f"there is no repository {identifier!r}; there are {known} (others are added by "
                "the setting repositories)"
            ) from None

    async def _readable(self, repository: _Repository) -> _Repository:
        """The repository, when it can be read. One that could not be reached is tried again."""
        await repository.preparing.acquire()
        repository.preparing.release()
        if repository.problem is not None:
            await self._prepare(repository)
            if repository.problem is not None:
                raise repository.problem
        return repository

    async def _prepare(self, repository: _Repository) -> AliecsError | None:
        """Make, clone or fetch. Gives what went wrong; that is the repository's `problem` too,
        unless an earlier clone can serve."""
        folder = repository.folder
        async with repository.preparing:
            try:
                if isinstance(folder, BuiltinFolder):
                    await self._in_thread(folder.make)
                elif isinstance(folder, Clone):
                    await in_own_thread(self._reactor, folder.update)
            except AliecsError as error:
                _log.warn("{error}", error=error.message)
                can_serve = isinstance(folder, Clone) and folder.exists
                repository.problem = None if can_serve else error
                return error
        repository.problem = None
        return None

    def _unexpected(self, failure: Any) -> None:
        _log.failure("while preparing a repository", failure)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Read a repository away from the reactor's thread."""
        result: Deferred[T] = deferToThreadPool(self._reactor, self._threads, work)
        try:
            return await result.addTimeout(_READING_TIMEOUT_S, self._reactor)
        except TimeoutError:
            raise DeadlineExceeded(
                f"a repository below {self._root} was not read within {_READING_TIMEOUT_S:g} s"
            ) from None

    # --- reading ---------------------------------------------------------------------------------

    async def _template(self, named: TemplateName) -> TemplateText:
        repository = await self._readable(self._named(named.repository))
        commit = await self._commit(repository, named.revision)
        folder, path = repository.folder, named.path

        def read() -> bytes:
            content = folder.read(commit, path)
            if content is None:
                names = folder.names(commit, path.partition("/")[0])
                shown = named.revision or commit
                raise missing_file(repository.identifier, path, shown, names)
            return content

        return TemplateText(repository.identifier, commit, path, await self._in_thread(read))

    async def _commit(self, repository: _Repository, revision: str) -> str:
        """The commit of a revision, of the default one for none. A revision that a clone does not
        know may be new there: it is looked for once."""
        if not revision:
            return await self._default_commit(repository)
        folder = repository.folder
        try:
            return await self._in_thread(lambda: folder.resolve(revision))
        except NotFound:
            if not isinstance(folder, Clone):
                raise
        await self._prepare(repository)
        return await self._in_thread(lambda: folder.resolve(revision))

    async def _default_commit(self, repository: _Repository) -> str:
        """The commit of the default revision, or of upstream's fallbacks where there is none
        such."""
        folder = repository.folder
        chosen = repository.default_revision
        candidates = (chosen, self.global_default_revision, *_FALLBACK_REVISIONS)

        def resolve() -> str:
            for candidate in candidates[1:]:
                try:
                    return folder.resolve(candidate)
                except NotFound:
                    continue
            return folder.resolve(chosen)

        try:
            return await self._in_thread(lambda: folder.resolve(chosen))
        except NotFound:
            commit = await self._in_thread(resolve)
            _log.warn(
                "the repository {repository} has no revision {revision!r}; another is used",
                repository=repository.identifier,
                revision=chosen,
            )
            return commit

    def _matching(self, pattern: str) -> Sequence[_Repository]:
        known = [repository for _, repository in sorted(self._repositories.items())]
        if re.fullmatch(r"-?[0-9]+", pattern):
            index = int(pattern)
            if not 0 <= index < len(known):
                raise InvalidInput(f"there is no repository {index}; there are {len(known)}")
            return [known[index]]
        glob = compile_glob(pattern or "*")
        return [repository for repository in known if glob.matches(repository.identifier)]

    async def _revisions(
        self, repository: _Repository, pattern: str, all_branches: bool, all_tags: bool
    ) -> Sequence[str]:
        """The revisions of a listing."""
        folder = repository.folder
        if not pattern and not all_branches and not all_tags:
            return [repository.default_revision]
        if is_hash(pattern):
            return [pattern] if await self._exists(folder, pattern) else []
        glob = compile_glob(pattern or "*")
        names: list[str] = []
        if pattern or all_branches:
            names += await self._in_thread(folder.branches)
        if pattern or all_tags:
            names += await self._in_thread(folder.tags)
        return sorted({name for name in names if glob.matches(name)})

    async def _exists(self, folder: GitFolder | LocalFolder, revision: str) -> bool:
        try:
            await self._in_thread(lambda: folder.resolve(revision))
        except NotFound:
            return False
        return True

    async def _listed(self, repository: _Repository, revision: str) -> Sequence[TemplateInfo]:
        """The workflow templates of one revision."""
        is_default = revision == repository.default_revision
        commit = await self._commit(repository, "" if is_default else revision)
        folder = repository.folder

        def read() -> Sequence[TemplateInfo]:
            infos = []
            for name in folder.names(commit, "workflows"):
                path = f"workflows/{name}"
                content = folder.read(commit, path) if name.endswith(".yaml") else None
                if content is not None:
                    text = TemplateText(repository.identifier, commit, path, content)
                    template = name.removesuffix(".yaml")
                    infos.append(TemplateInfo(repository.identifier, template, revision, text))
            return infos

        return await self._in_thread(read)
