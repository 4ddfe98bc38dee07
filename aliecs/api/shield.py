"""Work of a call that goes on when the client is gone."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred


async def shielded(work: Awaitable[Any]) -> Any:
    """Wait for work that nobody owns but this call, and that goes on when the waiting is
    cancelled."""
    running: Deferred[Any] = Deferred.fromCoroutine(_awaited(work))
    waiting: Deferred[Any] = Deferred()

    def pass_on(result: Any) -> None:
        # Deferred.callback takes a Failure for what it is.
        if not waiting.called:
            waiting.callback(result)

    running.addBoth(pass_on)
    return await waiting


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work
