"""Where blocking work of environments runs: two loader threads.

Loading a workflow, building commands and building properties may ask the configuration service, the
repositories and a generator of workflows. That code is synchronous and runs here; its questions
cross to the reactor and back. A load has one deadline, after which its next question fails.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.threads import blockingCallFromThread, deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from aliecs.environment.generation import Generator
from aliecs.errors import Conflict, DeadlineExceeded
from aliecs.interfaces import (
    IConfigurationService,
    ILoaderSources,
    IRepositories,
    TemplateText,
)
from aliecs.protocol.identifier import IdentifierGenerator

THREADS = 2
LOAD_DEADLINE_S = 60.0

_T = TypeVar("_T")


@define(eq=False)
class Loaders:
    """The loader threads, and the sources that code in them may ask."""

    reactor: Any
    """The reactor: `IReactorThreads` and `IReactorTime`, which no type can say together."""
    configuration: IConfigurationService
    repositories: IRepositories
    identifiers: IdentifierGenerator
    generator: Generator
    _pool: ThreadPool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pool = ThreadPool(1, THREADS, "loader")

    def start(self) -> None:
        """Start the threads."""
        self._pool.start()

    def stop(self) -> None:
        """End the threads, after what they are doing."""
        self._pool.stop()

    async def run(
        self,
        work: Callable[[ILoaderSources], _T],
        effects: bool = True,
        deadline_s: float = LOAD_DEADLINE_S,
    ) -> _T:
        """Run `work` in a loader thread, with sources whose time is up after `deadline_s`.

        `effects` False refuses everything that would be written.
        """
        sources = LoaderSources(
            self.reactor,
            self.configuration,
            self.repositories,
            self.identifiers,
            self.generator,
            effects,
            time.monotonic() + deadline_s,
        )
        result: _T = await deferToThreadPool(self.reactor, self._pool, work, sources)
        return result


@implementer(ILoaderSources)
@define(eq=False)
class LoaderSources:
    """What one load may ask for; every call blocks the loader thread it is made in."""

    _reactor: Any
    _configuration: IConfigurationService
    _repositories: IRepositories
    _identifiers: IdentifierGenerator
    _generator: Generator
    _effects: bool
    _deadline: float

    def workflow(self, expression: str) -> TemplateText:
        """See `ILoaderSources`."""
        return self._ask(lambda: self._repositories.workflow(expression))

    def task_class(self, identifier: str) -> TemplateText:
        """See `ILoaderSources`."""
        return self._ask(lambda: self._repositories.task_class(identifier))

    def new_id(self) -> str:
        """See `ILoaderSources`."""
        return self._identifiers.new()

    def configuration_payload(self, path: str, variables: Mapping[str, str] | None) -> str:
        """See `ILoaderSources`."""
        return self._ask(lambda: self._configuration.component_payload(path, variables))

    def resolve_component(self, path: str) -> str:
        """See `ILoaderSources`."""
        return self._ask(lambda: self._configuration.resolve_component(path))

    def runtime_get(self, component: str, key: str) -> str:
        """See `ILoaderSources`."""
        return self._ask(lambda: self._configuration.runtime_get(component, key))

    def runtime_set(self, component: str, key: str, value: str) -> None:
        """See `ILoaderSources`."""
        if not self._effects:
            raise Conflict(f"runtime entry {component}/{key} is not written: this is only a trial")
        self._ask(lambda: self._configuration.runtime_set(component, key, value))

    def detector_for_host(self, host: str) -> str:
        """See `ILoaderSources`."""
        return self._ask(lambda: self._configuration.detector_for_host(host))

    def cards_for_host(self, host: str) -> Sequence[str]:
        """See `ILoaderSources`."""
        return self._ask(lambda: self._configuration.cards_for_host(host))

    def endpoints_for_card(self, host: str, serial: str) -> Sequence[str]:
        """See `ILoaderSources`."""
        return self._ask(lambda: self._configuration.endpoints_for_card(host, serial))

    def jit_file(self, repository: str, revision: str, name: str) -> str | None:
        """See `ILoaderSources`."""
        return self._ask(lambda: self._repositories.jit_file(repository, revision, name))

    def generate_dpl(self, command: str, environment: str) -> str:
        """See `ILoaderSources`. What is generated is kept, but has no effect on anything."""
        return self._ask(lambda: self._generator.generate(command, environment))

    def _ask(self, question: Callable[[], Awaitable[_T]]) -> _T:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded("loading took too long and was given up")

        async def answer() -> Any:
            return await question()

        def ask() -> Deferred[Any]:
            return Deferred.fromCoroutine(answer()).addTimeout(left_s, self._reactor)

        try:
            given: Any = blockingCallFromThread(self._reactor, ask)
        except TimeoutError:
            raise DeadlineExceeded("loading took too long and was given up") from None
        result: _T = given
        return result
