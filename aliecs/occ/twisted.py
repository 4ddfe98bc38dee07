"""Tasks that are written for Twisted: the same as those of `aliecs.occ`, on the reactor.

    from aliecs.occ.twisted import Task, run    # before anything that imports the reactor
    from twisted.internet import reactor

    class Counter(Task):
        def start(self):
            self.counting = LoopingCall(self.count)
            self.counting.start(1)

        def stop(self):
            self.counting.stop()
            return self.report_to_somebody()    # a Deferred: the transition waits for it

    run(Counter("counter"))

Importing this module installs Twisted's reactor over asyncio, on whose loop the task's control port
is served too. All callbacks run in the reactor's thread: plain ones, which may give a Deferred, and
coroutines, which may await them.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from twisted.internet import asyncioreactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.process import reapAllProcesses

from aliecs.occ.process import end_process, run_until, serve
from aliecs.occ.properties import Properties
from aliecs.occ.task import Task

__all__ = ["Properties", "Task", "run"]

SHUTDOWN_DEADLINE_S = 2.0
_REACTOR = "twisted.internet.reactor"


def _install() -> None:
    """Make the reactor that of an asyncio loop. `ImportError` where another one is there."""
    present = sys.modules.get(_REACTOR)
    if present is None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        asyncioreactor.install(loop)
    elif not isinstance(present, asyncioreactor.AsyncioSelectorReactor):
        raise ImportError(
            "aliecs.occ.twisted has to be imported before twisted.internet.reactor: that has"
            f" installed a {type(present).__name__}, on which a task cannot be controlled"
        )


_install()


class ReactorCaller:
    """Runs callbacks in the reactor's thread, and waits for what they give; see `Worker`."""

    async def call(self, callback: Callable[..., Any], *arguments: Any) -> Any:
        """Run a callback; give its result, that of the Deferred or of the coroutine."""
        try:
            result = callback(*arguments)
            if inspect.iscoroutine(result):
                result = Deferred.fromCoroutine(result)
            if isinstance(result, Deferred):
                return await result.asFuture(asyncio.get_running_loop())
            return result
        except (SystemExit, KeyboardInterrupt, StopIteration) as error:
            # They would end the loop, or be lost.
            raise RuntimeError(repr(error)) from error

    def stop(self) -> None:
        """There is no thread to end."""


async def _live(task: Task, port: int, reactor: Any) -> int:
    """Serve until the end, which may be that of the reactor too; the exit status."""
    loop = asyncio.get_running_loop()
    # The loop has taken all signals from the reactor, which wants this one for `spawnProcess`.
    loop.add_signal_handler(signal.SIGCHLD, reapAllProcesses)
    serving = loop.create_task(serve(task, port, caller=ReactorCaller))

    def stopping() -> Deferred[Any] | None:
        """The reactor is stopped: if it was not the end of the task, that comes first."""
        if serving.done():
            return None
        if task.controller is None:
            serving.cancel()
            return None
        ending = asyncio.gather(task.controller.terminate(), serving, return_exceptions=True)
        return Deferred.fromFuture(ending)

    reactor.addSystemEventTrigger("before", "shutdown", stopping)
    return await serving


def run(task: Task, port: int | None = None, arguments: Sequence[str] | None = None) -> NoReturn:
    """See `aliecs.occ.run`. Runs the reactor, and stops it at the end, so that what waits for its
    shutdown happens. `reactor.stop()` ends the task as SIGTERM does, with exit status 0."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    loop = asyncio.get_event_loop()

    async def live(port: int) -> int:
        status = 1
        try:
            status = await _live(task, port, reactor)
            return status
        finally:
            # Threads of the reactor that hang would hold it back for ever.
            threading.Timer(SHUTDOWN_DEADLINE_S, end_process, [status]).start()
            with contextlib.suppress(ReactorNotRunning):
                reactor.stop()

    def until_the_end(port: int) -> int:
        living = loop.create_task(live(port))
        reactor.run(installSignalHandlers=False)
        return living.result() if living.done() and not living.cancelled() else 1

    run_until(until_the_end, task, port, arguments)
