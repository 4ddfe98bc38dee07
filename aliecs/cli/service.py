"""The configuration service, for commands: whatever `config_endpoint` names, asked and waited for.

The service lives on Twisted's reactor, which a command line does not have: it is run here for as
long as one question takes.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from aliecs.cli.credentials import is_here, token_of
from aliecs.cli.option import DEFAULT_TIMEOUT_S, ClientSettings
from aliecs.errors import DeadlineExceeded, SettingsError, Unavailable
from aliecs.interfaces import IConfigurationService

CONNECT_DEADLINE_S = 3.0

T = TypeVar("T")


def ask_configuration(
    settings: ClientSettings, question: Callable[[IConfigurationService], Awaitable[T]]
) -> T:
    """Ask the configuration service that `settings` name; gives the answer.

    Raises `SettingsError` for an address that is none, `Unavailable` where nobody answers,
    `DeadlineExceeded` after the time that `settings` leave, and what the question raises.
    """
    timeout_s = settings.timeout_s or DEFAULT_TIMEOUT_S

    async def ask(reactor: Any) -> T:
        from twisted.internet.defer import Deferred, TimeoutError

        async def answer() -> T:
            service = _open(settings, timeout_s, reactor)
            try:
                await service.start()
                return await question(service)
            finally:
                await service.stop()

        try:
            given: Any = await Deferred.fromCoroutine(answer()).addTimeout(timeout_s, reactor)
        except TimeoutError:
            raise DeadlineExceeded(
                f"{settings.config_endpoint}: no answer within {timeout_s:g} s"
            ) from None
        result: T = given
        return result

    return run(ask)


def run(work: Callable[[Any], Awaitable[T]]) -> T:
    """Run the reactor until `work`, which is given it, is done; gives its result. In a thread
    beside a reactor that runs already, that one is used. Raises `KeyboardInterrupt` when
    interrupted."""
    if "twisted.internet.reactor" not in sys.modules:
        from twisted.internet import asyncioreactor

        asyncioreactor.install()
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred
    from twisted.internet.threads import blockingCallFromThread
    from twisted.python.failure import Failure

    reactor: Any = installed
    outcome: list[Any] = []

    async def doing() -> Any:
        return await work(reactor)

    if reactor.running:
        result: Any = blockingCallFromThread(reactor, lambda: Deferred.fromCoroutine(doing()))
        beside: T = result
        return beside

    def begin() -> None:
        done: Deferred[Any] = Deferred.fromCoroutine(doing())
        done.addBoth(outcome.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callLater(0, begin)
    reactor.run()
    if not outcome:
        raise KeyboardInterrupt
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    given: T = outcome[0]
    return given


def _open(settings: ClientSettings, timeout_s: float, reactor: Any) -> IConfigurationService:
    from aliecs.configuration.opening import is_remote, open_configuration, open_tree
    from aliecs.configuration.remote import RemoteConfigurationService
    from aliecs.configuration.sqlite import SqliteTree

    uri = settings.config_endpoint
    if is_remote(uri):
        # The configuration is served in the clear: a token stays on this machine.
        here_too = is_here(uri.partition("://")[2])
        return RemoteConfigurationService(
            uri,
            metadata=token_of(settings) if here_too else {},
            call_deadline_s=timeout_s,
            connect_deadline_s=min(timeout_s / 2, CONNECT_DEADLINE_S),
        )
    here = Path.cwd()
    try:
        if uri.startswith("sqlite:"):
            tree = open_tree(uri, here)
            if isinstance(tree, SqliteTree) and not tree.path.exists():
                raise Unavailable(f"there is no configuration store {tree.path}")
        return open_configuration(uri, here, reactor)
    except SettingsError as error:
        told = error.message.replace("configServiceUri", "config_endpoint")
        raise SettingsError(told) from None
