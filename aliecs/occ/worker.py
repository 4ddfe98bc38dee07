"""The thread in which a task's plain callbacks run, one after the other.

A daemon, unlike the threads of `concurrent.futures`: a callback that hangs must not keep a process
alive that was told to end.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol


class Caller(Protocol):
    """Who runs the callbacks of a task."""

    async def call(self, callback: Callable[..., Any], *arguments: Any) -> Any:
        """Run one, and give its result."""

    def stop(self) -> None:
        """No more will come."""


class Worker:
    """Runs callbacks for the running asyncio loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._work, name="callbacks", daemon=True).start()

    async def call(self, callback: Callable[..., Any], *arguments: Any) -> Any:
        """Run a callback: a coroutine function here on the loop, a plain one in the thread."""
        if inspect.iscoroutinefunction(callback):
            return await callback(*arguments)
        result: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put((lambda: callback(*arguments), result))
        value = await result
        if inspect.iscoroutine(value):
            return await value
        if inspect.isawaitable(value):
            # Taken for a result it would go unnoticed.
            raise TypeError(
                f"{callback.__name__} gave a {type(value).__name__}, which nobody here waits for;"
                " for Twisted take Task and run from aliecs.occ.twisted"
            )
        return value

    def stop(self) -> None:
        """End the thread after the callback that runs."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            callback, result = job
            try:
                value = callback()
            except BaseException as error:
                self._tell(result, error, failed=True)
            else:
                self._tell(result, value, failed=False)

    def _tell(self, result: asyncio.Future[Any], value: Any, failed: bool) -> None:
        def settle() -> None:
            if result.cancelled():
                return
            if not failed:
                result.set_result(value)
            elif isinstance(value, Exception) and not isinstance(value, StopIteration):
                result.set_exception(value)
            else:
                # A future refuses StopIteration, and SystemExit would end the loop.
                result.set_exception(RuntimeError(repr(value)))

        try:
            self._loop.call_soon_threadsafe(settle)
        except RuntimeError:
            return  # the loop has ended: nobody waits any more
