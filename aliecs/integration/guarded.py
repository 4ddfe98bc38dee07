"""A wall around an integration: what breaks in one reaches neither the core nor another plugin.

Plugins are written by many and run inside the core. What their functions raise when a workflow
calls them is told as the failure of that call, which `environment.call` does; everything else that
the core asks of a plugin goes through here: an exception is logged with the plugin's name, and the
answer is the one of a service that has nothing to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.logger import Logger
from zope.interface import implementer

from aliecs.interfaces import CallFunction, IIntegration

DEADLINE_S = 10.0
"""Seconds that a plugin may take to start, and to stop."""

T = TypeVar("T")


@implementer(IIntegration)
@define(eq=False)
class GuardedIntegration:
    """`inner`, behind the wall. `clock` is the reactor."""

    inner: IIntegration
    clock: Any
    name: str = field(init=False)
    pretty_name: str = field(init=False)
    endpoint: str = field(init=False)
    _complaints: set[str] = field(init=False, factory=set)
    _log: Logger = field(init=False, factory=Logger)

    def __attrs_post_init__(self) -> None:
        self.name = self.inner.name
        self.pretty_name = self.inner.pretty_name
        self.endpoint = self.inner.endpoint

    async def start(self) -> None:
        """See `IIntegration`. The core goes on without a plugin that does not start: calls into it
        fail, each by its own traits."""
        await self._in_time("start", self.inner.start)

    async def stop(self) -> None:
        """See `IIntegration`."""
        await self._in_time("stop", self.inner.stop)

    def connection_state(self) -> str:
        """See `IIntegration`."""
        return self._answer("connection_state", self.inner.connection_state, "UNKNOWN")

    def data(self) -> str:
        """See `IIntegration`."""
        return self._answer("data", self.inner.data, "")

    def environment_data(self, environment_id: str, detailed: bool) -> str:
        """See `IIntegration`."""
        return self._answer(
            "environment_data", lambda: self.inner.environment_data(environment_id, detailed), ""
        )

    def functions(self) -> Mapping[str, CallFunction]:
        """See `IIntegration`."""
        return self._answer("functions", self.inner.functions, {})

    def load_functions(self, variables: Mapping[str, str]) -> Mapping[str, Callable[..., Any]]:
        """See `IIntegration`."""
        return self._answer("load_functions", lambda: self.inner.load_functions(variables), {})

    async def _in_time(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        async def do() -> None:
            await work()

        try:
            await Deferred.fromCoroutine(do()).addTimeout(DEADLINE_S, self.clock)
        except TimeoutError:
            self._log.critical(
                "the plugin {name} did not {what} within {seconds:g} s",
                name=self.name,
                what=what,
                seconds=DEADLINE_S,
            )
        except CancelledError:
            # The core itself is told to stop while it starts.
            raise
        except Exception:
            self._log.failure("the plugin {name} did not {what}", name=self.name, what=what)

    def _answer(self, what: str, ask: Callable[[], T], nothing: T) -> T:
        kind = str if isinstance(nothing, str) else Mapping
        try:
            answer = ask()
            if not isinstance(answer, kind):
                raise TypeError(f"it gave {type(answer).__name__}")
        except Exception as error:
            # Clients ask every few seconds; the same complaint once is enough.
            complaint = f"{what}: {type(error).__name__}: {error}"
            if complaint not in self._complaints and len(self._complaints) < 100:
                self._complaints.add(complaint)
                self._log.failure("the plugin {name} broke in {what}", name=self.name, what=what)
            return nothing
        return answer
