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
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.threads import (
    blockingCallFromThread,
    deferToThread,
    deferToThreadPool,
)
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from aliecs.environment.generation import Generator
from aliecs.errors import Conflict, DeadlineExceeded, Unavailable
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
    _questions: _Questions = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pool = ThreadPool(1, THREADS, "loader")
        self._questions = _Questions()

    def start(self) -> None:
        """Start the threads."""
        self._pool.start()

    async def stop(self) -> None:
        """End the threads, after what they are doing. That may need the reactor meanwhile, so it is
        not waited for on its thread; what they ask is answered that the core ends."""
        self._questions.close()
        if self._pool.started:
            await deferToThread(self._pool.stop)

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
            self._questions,
        )
        result: _T = await deferToThreadPool(self.reactor, self._pool, work, sources)
        return result


@define(eq=False)
class _Questions:
    """What loader threads wait for, so that it can be given up."""

    _waiting: set[Deferred[Any]] = field(init=False, factory=set)
    _is_closed: bool = field(init=False, default=False)

    def add(self, question: Deferred[Any]) -> Deferred[Any]:
        """Take note of a question until it is answered."""
        self._waiting.add(question)
        question.addBoth(self._answered, question)
        if self._is_closed:
            question.cancel()
        return question

    def close(self) -> None:
        """Give up all questions, and those that are still to come."""
        self._is_closed = True
        for question in tuple(self._waiting):
            question.cancel()

    def _answered(self, result: Any, question: Deferred[Any]) -> Any:
        self._waiting.discard(question)
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
    _questions: _Questions

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
            asked: Deferred[Any] = Deferred.fromCoroutine(answer())
            return self._questions.add(asked).addTimeout(left_s, self._reactor)

        try:
            given: Any = blockingCallFromThread(self._reactor, ask)
        except TimeoutError:
            raise DeadlineExceeded("loading took too long and was given up") from None
        except CancelledError:
            raise Unavailable("the core ends") from None
        result: _T = given
        return result
