"""Work that may wait for somebody else's machine, in a thread that nobody has to wait for.

A thread of a pool is joined when the pool stops; one that hangs in a connection would hold up the
whole core then. These threads end with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def in_own_thread(reactor: Any, work: Callable[[], T]) -> Deferred[T]:
    """Do `work` in a new thread; the result fires on the reactor's."""
    result: Deferred[T] = Deferred()

    def run() -> None:
        try:
            value = work()
        except BaseException:
            reactor.callFromThread(result.errback, Failure())
        else:
            reactor.callFromThread(result.callback, value)

    threading.Thread(target=run, name="repository", daemon=True).start()
    return result
