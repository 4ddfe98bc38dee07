"""All workflow repositories of the core: which there are, which is the default, what they hold.

Clones are brought up to date in the background when the core starts; whoever asks for something of
a repository meanwhile waits for that one alone, and a repository that cannot be reached is an error
about itself only. Which repository and which revisions are the defaults may have been chosen at run
time and is then found in upstream's runtime entries, which rank above the settings.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import (
    Deferred,
    DeferredList,
    DeferredLock,
    gatherResults,
)
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from aliecs.errors import (
    AliecsError,
    Conflict,
    Exhausted,
    InvalidInput,
    NotFound,
    Unavailable,
)
from aliecs.interfaces import (
    IConfigurationService,
    IRepositories,
    RepositoryInfo,
    TemplateInfo,
    TemplateText,
)
from aliecs.language.glob import compile_glob
from aliecs.repository.builtin import BuiltinFolder, BuiltinSource
from aliecs.repository.choice import Choices
from aliecs.repository.generated import Generated
from aliecs.repository.git import (
    Clone,
    GitFolder,
    Reach,
    limit_network_waits,
    remove_unfinished_clones,
)
from aliecs.repository.known import FALLBACK_REVISIONS, KnownRepository, Readers
from aliecs.repository.local import LocalFolder
from aliecs.repository.name import (
    BUILTIN,
    LOCAL_REVISION,
    Protocol,
    RepositoryName,
    TemplateName,
    checked_file_name,
    checked_revision,
    parse_repository,
    parse_task_class,
    parse_workflow,
)

MOST_TEMPLATES = 5000
"""Templates of one listing; their texts are held in memory."""

_NETWORK_WAIT_S = 20.0
_STOPPING_TIMEOUT_S = 2.0
_THREADS = 4

_log = Logger()


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
        self._choices = Choices(configuration)
        self._changing = DeferredLock()
        self._root = working_dir / "repos"
        self._reactor = reactor
        self._default_setting = default_repository
        self._further = tuple(repositories)
        self._ssh_key = ssh_key
        self._timeout_s = timeout_s
        self._builtin_source = builtin_source
        self._threads = ThreadPool(minthreads=0, maxthreads=_THREADS, name="repositories")
        self._readers = Readers(reactor, self._threads)
        self._closing = threading.Event()
        self._repositories: dict[str, KnownRepository] = {}
        self._generated = Generated(working_dir / "jit", reactor)

    async def start(self) -> None:
        """See `IRepositories.start`. Raises `InvalidInput` where a setting or a runtime entry names
        no repository, `Unavailable` where the working folder cannot be written."""
        limit_network_waits(min(_NETWORK_WAIT_S, self._timeout_s))
        chosen = await self._choices.default_repository()
        default = parse_repository(chosen or self._default_setting)
        self.global_default_revision = (
            await self._choices.default_revision() or self.global_default_revision
        )
        revisions = await self._choices.revisions()
        further = map(parse_repository, (*self._further, *revisions))
        for name in (parse_repository(BUILTIN), default, *further):
            if name.identifier not in self._repositories:
                self._repositories[name.identifier] = self._known(name, revisions)
        self.default_identifier = default.identifier
        self._threads.start()
        try:
            await self._readers.run(lambda: remove_unfinished_clones(self._root))
            await self._readers.run(self._generated.remove_old)
            await self._repositories[BUILTIN].prepare()
        except BaseException:
            self._threads.stop()
            raise
        for repository in self._repositories.values():
            if isinstance(repository.folder, Clone):
                Deferred.fromCoroutine(repository.prepare()).addErrback(self._unexpected)

    async def stop(self) -> None:
        """See `IRepositories.stop`. A clone or fetch under way is given up; one that hangs in a
        connection is not waited for, and ends with the process."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._generated.close()
        waiting = [repository.preparing.acquire() for repository in self._repositories.values()]
        for turn in waiting:
            turn.addTimeout(_STOPPING_TIMEOUT_S, self._reactor)
        await DeferredList(waiting, consumeErrors=True)
        if self._threads.started:
            self._threads.stop()

    # --- what IRepositories gives ----------------------------------------------------------------

    async def list(self, with_revisions: bool) -> Sequence[RepositoryInfo]:
        """See `IRepositories.list`. The revisions are the branches."""
        infos = []
        for identifier, repository in sorted(self._repositories.items()):
            branches: Sequence[str] = ()
            if with_revisions:
                try:
                    branches = await repository.branches()
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
        known = self._named(repository)
        commit = await known.commit(revision, self.global_default_revision)
        content = await known.file(path, commit)
        return None if content is None else content.decode("utf-8", "replace")

    async def generate(self, name: str, command: str, timeout_s: float) -> None:
        """See `IRepositories.generate`."""
        await self._generated.generate(name, command, timeout_s)

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
                await repository.readable()
                for revision in await repository.matching(revision_pattern, all_branches, all_tags):
                    found += await repository.templates(revision, self.global_default_revision)
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

    # --- changes -------------------------------------------------------------------------------

    async def add(self, text: str, default_revision: str = "") -> RepositoryInfo:
        """See `IRepositories.add`."""
        name = parse_repository(text)
        identifier = name.identifier
        async with self._changing:
            if identifier in self._repositories:
                raise Conflict("Repo already present")
            wanted = default_revision or name.revision or self.global_default_revision
            if name.protocol is Protocol.LOCAL:
                wanted = default_revision or name.revision or LOCAL_REVISION
            repository = self._known(name, {identifier: wanted})
            folder = repository.folder
            is_fresh = isinstance(folder, Clone) and not folder.exists
            try:
                problem = await repository.prepare()
                if problem is not None:
                    raise problem
                repository.default_revision = await self._fitting_revision(repository)
                await self._check_content(repository)
                revisions = await self._choices.revisions()
                revisions[identifier] = repository.default_revision
                await self._choices.set_revisions(revisions)
            except BaseException:
                if is_fresh and isinstance(folder, Clone):
                    await self._readers.run(lambda: folder.remove(self._root))
                raise
            self._repositories[identifier] = repository
        return RepositoryInfo(
            identifier, identifier == self.default_identifier, repository.default_revision
        )

    async def remove(self, identifier: str) -> str:
        """See `IRepositories.remove`."""
        async with self._changing:
            repository = self._named(identifier)
            folder = repository.folder
            if isinstance(folder, BuiltinFolder):
                raise Conflict("the built-in repository is part of the core and stays")
            revisions = await self._choices.revisions()
            revisions.pop(identifier, None)
            following = ""
            if identifier == self.default_identifier:
                following = min(name for name in self._repositories if name != identifier)
                await self._choices.set_default_repository(following)
                self.default_identifier = following
            await self._choices.set_revisions(revisions)
            async with repository.preparing:
                del self._repositories[identifier]
                if isinstance(folder, Clone):
                    await self._readers.run(lambda: folder.remove(self._root))
        return following

    async def refresh(self, identifier: str = "") -> None:
        """See `IRepositories.refresh`."""
        names = [identifier] if identifier else sorted(self._repositories)
        preparing = [Deferred.fromCoroutine(self._named(name).prepare()) for name in names]
        problems = [problem for problem in await gatherResults(preparing) if problem is not None]
        if len(problems) > 1:
            raise Unavailable("; ".join(problem.message for problem in problems))
        if problems:
            raise problems[0]

    async def set_default_repository(self, identifier: str) -> None:
        """See `IRepositories.set_default_repository`."""
        if self._named(identifier).identifier == self.default_identifier:
            raise Conflict(f"{identifier} is already the default repository")
        await self._choices.set_default_repository(identifier)
        self.default_identifier = identifier

    async def set_global_default_revision(self, revision: str) -> None:
        """See `IRepositories.set_global_default_revision`."""
        await self._choices.set_default_revision(checked_revision(revision))
        self.global_default_revision = revision

    async def set_default_revision(self, identifier: str, revision: str) -> None:
        """See `IRepositories.set_default_revision`."""
        repository = self._named(identifier)
        await repository.commit(checked_revision(revision))
        async with self._changing:
            revisions = await self._choices.revisions()
            await self._choices.set_revisions({**revisions, identifier: revision})
            repository.default_revision = revision

    async def revisions(self, identifier: str) -> Sequence[str]:
        """See `IRepositories.revisions`."""
        repository = self._named(identifier)
        return [*await repository.branches(), *await repository.tags()]

    async def _fitting_revision(self, repository: KnownRepository) -> str:
        """The default revision that a new repository gets: the one wanted, or upstream's
        fallbacks. Raises `NotFound`, which tells what there is."""
        wanted = repository.default_revision
        for candidate in (wanted, self.global_default_revision, *FALLBACK_REVISIONS):
            with contextlib.suppress(NotFound):
                await repository.commit(candidate)
                return candidate
        await repository.commit(wanted)
        return wanted

    async def _check_content(self, repository: KnownRepository) -> None:
        commit = await repository.commit(repository.default_revision)
        for name in ("workflows", "tasks"):
            if not await repository.has_folder(name, commit):
                raise InvalidInput(
                    f"{repository.identifier} is no repository of workflows: at revision "
                    f"{repository.default_revision} it has no folder {name}"
                )

    # --- finding and preparing repositories ------------------------------------------------------

    def _known(self, name: RepositoryName, revisions: dict[str, str]) -> KnownRepository:
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
        return KnownRepository(identifier, folder, chosen, self._readers)

    def _named(self, identifier: str) -> KnownRepository:
        """The repository of that identifier, the default one for none."""
        identifier = identifier or self.default_identifier
        try:
            return self._repositories[identifier]
        except KeyError:
            known = ", ".join(sorted(self._repositories))
            raise NotFound(
                f"there is no repository {identifier!r}; there are {known} (others are added "
                "with coconut repository add, or by the setting repositories)"
            ) from None

    def _unexpected(self, failure: Any) -> None:
        _log.failure("while preparing a repository", failure)

    async def _template(self, named: TemplateName) -> TemplateText:
        repository = self._named(named.repository)
        commit = await repository.commit(named.revision, self.global_default_revision)
        if self._generated.may_have(named.path):
            generated = await self._readers.run(lambda: self._generated.read(named.path))
            if generated is not None:
                return TemplateText(repository.identifier, commit, named.path, generated)
        return await repository.template(named.path, commit, named.revision)

    def _matching(self, pattern: str) -> Sequence[KnownRepository]:
        known = [repository for _, repository in sorted(self._repositories.items())]
        if re.fullmatch(r"-?[0-9]+", pattern):
            index = int(pattern)
            if not 0 <= index < len(known):
                raise InvalidInput(f"there is no repository {index}; there are {len(known)}")
            return [known[index]]
        glob = compile_glob(pattern or "*")
        return [repository for repository in known if glob.matches(repository.identifier)]
