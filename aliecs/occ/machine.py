"""The state machine of a task, on the task's asyncio loop: runs its callbacks, and tells what
happens to whoever listens.

`aliecs.occ.task` is what its author sees, `aliecs.occ.process` puts both behind gRPC.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from aliecs.errors import Conflict, Exhausted, InvalidInput
from aliecs.occ.properties import Properties
from aliecs.occ.task import Task
from aliecs.occ.worker import Caller, Worker
from aliecs.protocol.protos.occ_pb2 import (
    DEVICE_ERROR,
    DEVICE_INTENTIONAL,
    END_OF_STREAM,
    EXECUTOR,
    TASK_INTERNAL_ERROR,
    DeviceEventType,
    StateChangeTrigger,
)

# (state, event) -> (callback, state after it)
TRANSITIONS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("STANDBY", "CONFIGURE"): ("configure", "CONFIGURED"),
    ("STANDBY", "EXIT"): ("exit", "DONE"),
    ("CONFIGURED", "START"): ("start", "RUNNING"),
    ("CONFIGURED", "RESET"): ("reset", "STANDBY"),
    ("CONFIGURED", "EXIT"): ("exit", "DONE"),
    ("RUNNING", "STOP"): ("stop", "CONFIGURED"),
    ("RUNNING", "PAUSE"): ("pause", "PAUSED"),
    ("PAUSED", "RESUME"): ("resume", "RUNNING"),
    ("PAUSED", "STOP"): ("stop", "CONFIGURED"),
    ("ERROR", "RECOVER"): ("recover", "STANDBY"),
    ("ERROR", "EXIT"): ("exit", "DONE"),
}
# Where an event is meant to lead, from wherever it is sent.
GOALS: Mapping[str, str] = {
    "CONFIGURE": "CONFIGURED",
    "RESET": "STANDBY",
    "START": "RUNNING",
    "STOP": "CONFIGURED",
    "PAUSE": "PAUSED",
    "RESUME": "RUNNING",
    "EXIT": "DONE",
    "RECOVER": "STANDBY",
    "GO_ERROR": "ERROR",
}
LISTENER_BOUND = 1024
RUN_NUMBER_LIMIT = 2**32

T = TypeVar("T")


class UnknownEvent(InvalidInput):
    """There is no such event."""

    code = "occ_event"
    grpc_status = "UNKNOWN"


@frozen
class Outcome:
    """How a transition ended. `reason` is the cause of a failure, for people."""

    ok: bool
    state: str
    trigger: StateChangeTrigger
    event: str
    reason: str = ""


class Listeners(Generic[T]):
    """Everybody who wants to hear something, each with a bounded queue of its own."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[T | None]] = set()
        self._ended = False

    def tell(self, item: T) -> None:
        for waiting in self._queues:
            # One place is kept for the mark of the end.
            if waiting.qsize() < LISTENER_BOUND:
                waiting.put_nowait(item)

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        for waiting in self._queues:
            waiting.put_nowait(None)

    def listen(self) -> AsyncIterator[T]:
        """All that is told from this call on. `Exhausted` for one that did not keep up."""
        waiting: asyncio.Queue[T | None] = asyncio.Queue()
        if self._ended:
            waiting.put_nowait(None)
        self._queues.add(waiting)
        return self._items(waiting)

    async def _items(self, waiting: asyncio.Queue[T | None]) -> AsyncIterator[T]:
        try:
            while (item := await waiting.get()) is not None:
                if waiting.qsize() + 1 >= LISTENER_BOUND:
                    raise Exhausted("this listener is too slow and has missed something")
                yield item
        finally:
            self._queues.discard(waiting)


class Machine:
    """Drives one task.

    `states` and `events` tell every new state and what the task has to say by itself; `done` is set
    in DONE.
    """

    def __init__(self, task: Task, caller: Caller | None = None) -> None:
        self.states: Listeners[str] = Listeners()
        self.events: Listeners[DeviceEventType] = Listeners()
        self.done = asyncio.Event()
        self._task = task
        self._caller = caller or Worker()
        self._loop = asyncio.get_running_loop()
        # Held by whatever runs a callback.
        self._lock = asyncio.Lock()
        self._end_of_data = False
        self._starting = False
        self._loops: list[asyncio.Task[None]] = []
        self._iterating: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """The present state."""
        return self._task.state

    def start(self) -> None:
        """Be in STANDBY, and begin to check."""
        self._task.controller = self
        self._enter("STANDBY")
        if type(self._task).iterate_check is not Task.iterate_check:
            self._loops.append(self._loop.create_task(self._check()))

    def stop(self) -> None:
        """End the loops and the thread; a callback that hangs is left behind."""
        for loop in self._loops:
            loop.cancel()
        if self._iterating is not None:
            self._iterating.cancel()
        self._caller.stop()

    async def transition(self, source: str, event: str, arguments: Mapping[str, str]) -> Outcome:
        """Make one step, after whatever runs. It is made to its end even if nobody waits any more.

        `UnknownEvent` for an event that does not exist, `InvalidInput` for a `source` that is not
        the present state, `Conflict` in DONE: in this order, and with these codes, as the C++
        library.
        """
        return await asyncio.shield(self._loop.create_task(self._step(source, event, arguments)))

    async def terminate(self) -> None:
        """Run `exit` in whatever state, as someone from outside has asked this process to end."""
        try:
            async with self._lock:
                if self.state != "DONE":
                    await self._attempt("exit", "DONE")
        finally:
            self.done.set()

    # From any thread.

    def end_of_stream(self) -> None:
        """Tell that there is no more data in this run."""
        self._loop.call_soon_threadsafe(self._no_more_data)

    def fail(self, reason: str) -> None:
        """Go to ERROR and tell."""
        self._loop.call_soon_threadsafe(self._fail, reason)

    # On the loop.

    async def _step(self, source: str, event: str, arguments: Mapping[str, str]) -> Outcome:
        event = event.upper()
        goal = GOALS.get(event)
        if goal is None:
            raise UnknownEvent(f"there is no event {event!r}; there are {', '.join(GOALS)}")
        async with self._lock:
            if source.upper() != self.state:
                raise InvalidInput(f"{self._task.name} is in {self.state}, not in {source}")
            if self.state == "DONE":
                raise Conflict(f"{self._task.name} is in DONE and takes no more events")
            self._take(arguments)
            callback, target = TRANSITIONS.get((self.state, event), ("", ""))
            if not callback:
                reason = f"{event} leads nowhere from {self.state}"
            else:
                reason = await self._attempt(callback, target, event)
        ok = self.state == goal
        if self.state == "ERROR":
            trigger = DEVICE_ERROR
        else:
            trigger = EXECUTOR if ok else DEVICE_INTENTIONAL
        return Outcome(ok, self.state, trigger, event, "" if ok else reason)

    def _take(self, arguments: Mapping[str, str]) -> None:
        self._task.arguments = Properties(arguments)
        # STOP brings no number: the run that it ends keeps its own.
        text = arguments.get("runNumber", "")
        if text.isascii() and text.isdigit() and int(text) < RUN_NUMBER_LIMIT:
            self._task.run_number = int(text)

    async def _attempt(self, callback: str, target: str, event: str = "EXIT") -> str:
        """Run a callback and enter the state that follows; gives the reason of a failure."""
        method: Callable[..., Any] = getattr(self._task, callback)
        given: tuple[Any, ...] = ()
        if callback == "configure":
            own = self._task.own_configuration
            self._task.properties = self._task.arguments if own is None else own
            given = (self._task.properties,)
        before = self.state
        self._starting = event == "START"
        if self._starting:
            self._end_of_data = False
        try:
            await self._caller.call(method, *given)
        except Exception as error:
            _print(error)
            self._enter("ERROR")
            return _text(error)
        finally:
            self._starting = False
        if self.state != before:
            return "the task failed meanwhile"
        self._enter(target)
        if event == "START" and self._end_of_data:
            # It said so while it started.
            self.events.tell(END_OF_STREAM)
        return ""

    def _enter(self, state: str) -> None:
        self._task.state = state
        self.states.tell(state)
        if state == "RUNNING":
            self._begin_to_iterate()
        elif state == "DONE":
            self.states.end()
            self.events.end()
            self.done.set()

    def _begin_to_iterate(self) -> None:
        if type(self._task).iterate_running is Task.iterate_running:
            return
        if self._iterating is None or self._iterating.done():
            self._iterating = self._loop.create_task(self._iterate())

    async def _iterate(self) -> None:
        while True:
            # One that never waits must not keep everybody else from being heard.
            await asyncio.sleep(0)
            async with self._lock:
                if self.state != "RUNNING" or self._end_of_data:
                    return
                try:
                    more = await self._caller.call(self._task.iterate_running)
                except Exception as error:
                    _print(error)
                    self._fail("")
                    return
                if not more:
                    self._no_more_data()
                    return

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self._task.check_interval_s)
            async with self._lock:
                if self.state in ("ERROR", "DONE"):
                    continue
                try:
                    await self._caller.call(self._task.iterate_check)
                except Exception as error:
                    _print(error)
                    self._fail("")

    def _no_more_data(self) -> None:
        in_run = self.state == "RUNNING"
        if self._end_of_data or not (in_run or self._starting):
            return
        self._end_of_data = True
        if in_run:
            self.events.tell(END_OF_STREAM)

    def _fail(self, reason: str) -> None:
        if self.state in ("ERROR", "DONE"):
            return
        if reason:
            print(f"{self._task.name}: {reason}", file=sys.stderr, flush=True)
        self._enter("ERROR")
        self.events.tell(TASK_INTERNAL_ERROR)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _print(error: BaseException) -> None:
    traceback.print_exception(error)
    sys.stderr.flush()
