"""Processing of payload templates, and other work on payloads that takes its time: in threads.

The template engine is synchronous. It runs here, and what it reads crosses to the reactor, where
the store is, and back. What one payload may take is bounded by a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.threads import blockingCallFromThread, deferToThread, deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from aliecs.errors import DeadlineExceeded, Unavailable
from aliecs.language.payload import PayloadError, PayloadTemplates
from aliecs.protocol.identifier import IdentifierGenerator

THREADS = 2
DEADLINE_S = 30.0

# Where faults are found (`PayloadError.stage`): in the text of a template, and in the names of what
# it includes.
_WRONG = ("lexer", "parser")
_LACKING = "fromfile"

T = TypeVar("T")


@define(eq=False)
class Processing:
    """The threads, and the engine that runs in them. `read` gives a payload as it is stored."""

    reactor: Any
    """`IReactorThreads` and `IReactorTime`, which no type can say together."""
    read: Callable[[str], Awaitable[str]]
    _templates: PayloadTemplates = field(init=False, factory=PayloadTemplates)
    _identifiers: IdentifierGenerator = field(init=False, factory=IdentifierGenerator)
    _pool: ThreadPool = field(init=False)
    _reads: set[Deferred[Any]] = field(init=False, factory=set)
    _log: Logger = field(init=False, factory=Logger)

    def __attrs_post_init__(self) -> None:
        self._pool = ThreadPool(0, THREADS, "payloads")

    def start(self) -> None:
        """Be ready."""
        self._pool.start()

    async def stop(self) -> None:
        """End the threads, after what they are doing, which may need the reactor meanwhile; what
        they wait for is given up."""
        for read in tuple(self._reads):
            read.cancel()
        if self._pool.started:
            await deferToThread(self._pool.stop)

    async def render(self, path: str, variables: Mapping[str, str]) -> str:
        """The payload of `path`, processed with `variables`."""
        read = self._reader()
        return await self.in_thread(
            lambda: self._templates.render(
                path,
                variables,
                read,
                new_id=self._identifiers.new,
                warn=lambda text: self._log.warn("{path}: {text}", path=path, text=text),
            )
        )

    async def check(self, path: str, payload: str) -> list[str]:
        """Check the template in `payload`, which is to be stored under `path`.

        Gives notes for a person about what may still be wrong with it. Raises `PayloadError` where
        it is no template. It is tried without variables: what only they would show is not found.
        """
        stored = self._reader()

        def read(name: str) -> str:
            return payload if name == path else stored(name)

        def check() -> list[str]:
            try:
                self._templates.render(
                    path, {}, read, new_id=self._identifiers.new, warn=lambda text: None
                )
            except PayloadError as error:
                if error.stage in _WRONG and error.path == path:
                    raise
                return [error.message] if error.stage in (*_WRONG, _LACKING) else []
            return []

        return await self.in_thread(check)

    def forget(self) -> None:
        """Drop the templates that were made ready. They are made from what is stored at the moment,
        so nothing becomes newer by it."""
        self._templates.forget()

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do `work` in one of the threads."""
        result: T = await deferToThreadPool(self.reactor, self._pool, work)
        return result

    def _reader(self) -> Callable[[str], str]:
        """What an engine reads with, within one deadline for all."""
        deadline = time.monotonic() + DEADLINE_S
        return lambda name: self._read(name, deadline - time.monotonic())

    def _read(self, path: str, left_s: float) -> str:
        """Read for the engine, whose thread this is."""
        late = DeadlineExceeded(f"{path}: processing took longer than {DEADLINE_S:g} s")
        if left_s <= 0:
            raise late

        async def read() -> str:
            return await self.read(path)

        def ask() -> Deferred[Any]:
            reading: Deferred[Any] = Deferred.fromCoroutine(read())
            self._reads.add(reading)
            reading.addBoth(self._done, reading)
            return reading.addTimeout(left_s, self.reactor)

        try:
            answer: Any = blockingCallFromThread(self.reactor, ask)
        except TimeoutError:
            raise late from None
        except CancelledError:
            raise Unavailable(f"{path}: the configuration service is stopping") from None
        payload: str = answer
        return payload

    def _done(self, result: T, reading: Deferred[Any]) -> T:
        self._reads.discard(reading)
        return result
