"""Between the two kinds of await: Twisted's Deferreds and asyncio's futures, on one loop.

Nothing above this package meets an asyncio future: awaiting one inside a Twisted coroutine, or a
Deferred inside a native one, is an error both ways.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def reactor_loop() -> asyncio.AbstractEventLoop:
    """The loop under the running reactor. `RuntimeError` where the reactor is another one."""
    from twisted.internet import reactor

    if not isinstance(reactor, AsyncioSelectorReactor):
        raise RuntimeError(
            "gRPC needs the asyncio reactor: start with `twistd --reactor=asyncio`, or install "
            "twisted.internet.asyncioreactor before anything imports the reactor"
        )
    return reactor._asyncioEventloop


def in_loop(coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Run a native coroutine; gives a Deferred of its result. Cancelling the Deferred cancels the
    coroutine. What it raises arrives unchanged, its cancellation as Twisted's `CancelledError`."""
    task = reactor_loop().create_task(coroutine)

    def cancel(_: Deferred[T]) -> None:
        task.cancel()

    deferred: Deferred[T] = Deferred(cancel)

    def finish(task: asyncio.Task[T]) -> None:
        error = CancelledError() if task.cancelled() else task.exception()
        if deferred.called:
            # Whoever cancelled the Deferred has its failure already.
            return
        if error is not None:
            deferred.errback(error)
        else:
            deferred.callback(task.result())

    task.add_done_callback(finish)
    return deferred


def shield(deferred: Deferred[T]) -> Deferred[T]:
    """A Deferred that fires as `deferred` does; cancelling it ends only the waiting.

    Whoever waits for an operation on behalf of a client waits behind this. `deferred` keeps its
    result, and its owner stays the one who handles its failure.
    """
    waiting: Deferred[T] = Deferred()

    def pass_on(result: T | Failure) -> T | Failure:
        if not waiting.called:
            if isinstance(result, Failure):
                waiting.errback(result)
            else:
                waiting.callback(result)
        return result

    deferred.addBoth(pass_on)
    return waiting
