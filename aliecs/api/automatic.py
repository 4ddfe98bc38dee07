"""Environments that run by themselves, and the streams that tell of each of them.

The client names the stream before it knows the environment. What happens is kept, up to a bound,
from the first moment on: it does not matter whether the client asks for the stream or for the
environment first. The messages are those that the reference sends, one for each change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger

from aliecs.environment.manager import CreationRequest, Manager
from aliecs.environment.operation import Operation
from aliecs.errors import AliecsError, Exhausted
from aliecs.event.bus import Bus, Subscription
from aliecs.event.record import EnvironmentEvent, Event, OpStatus, RoleEvent, TaskEvent
from aliecs.protocol.protos import events_pb2

EVENTS_KEPT = 20_000
"""Events of one environment that may wait for somebody who reads them."""
STREAMS_KEPT = 50
"""Streams that nobody reads; of more, the oldest is given up."""
MOST_WAITING = 200
"""Readers that may wait for streams which are not there yet."""

# What the reference calls the state that the tasks of a transition have reached.
_REACHED = {
    "tasks_DEPLOY": "DEPLOYED",
    "tasks_CONFIGURE": "CONFIGURED",
    "tasks_START_ACTIVITY": "RUNNING",
    "tasks_STOP_ACTIVITY": "CONFIGURED",
    "tasks_RESET": "RESET",
}


@define(eq=False)
class Translator:
    """Makes the stream's messages of what the bus tells of one environment."""

    is_over: bool = field(default=False, init=False)
    """The last message was made."""
    _tasks: dict[str, tuple[str, str]] = field(factory=dict, init=False)
    """State and status of tasks, as they were told last."""

    def messages(self, event: Event) -> Iterator[events_pb2.Event]:
        """The messages of one event; most often one, or none."""
        payload = event.payload
        if isinstance(payload, EnvironmentEvent):
            made = self._environment(payload)
        elif isinstance(payload, TaskEvent):
            made = self._task(payload)
        elif isinstance(payload, RoleEvent):
            made = iter((_role(payload),))
        else:
            return
        for message in made:
            message.timestamp = event.time_ms
            yield message

    def _environment(self, told: EnvironmentEvent) -> Iterator[events_pb2.Event]:
        status = told.transitionStatus
        reached = _REACHED.get(told.transitionStep)
        if reached and status is OpStatus.ONGOING and told.message.endswith("finished"):
            if not told.error:
                run = told.runNumber if reached == "RUNNING" else 0
                yield _environment(told, state=reached, runNumber=run)
        elif status is OpStatus.NULL and told.error:
            yield _environment(
                told,
                error=told.error,
                message=f"environment is in {told.state}, handling ERROR",
            )
        elif told.transition == "DESTROY" and status is OpStatus.DONE_OK:
            yield _environment(told, state="DONE", message="teardown complete")
            yield _environment(told, state="DONE", message="environment teardown complete")
            self.is_over = True
        elif told.transition == "DESTROY" and status is OpStatus.DONE_ERROR:
            yield _environment(told, error=told.error, message="teardown failed, handling")
        elif told.transition == "CREATE" and status is OpStatus.DONE_ERROR:
            # It never came to be: there is nothing to tear down.
            yield _environment(told, error=told.error)
            self.is_over = True

    def _task(self, told: TaskEvent) -> Iterator[events_pb2.Event]:
        state, status = self._tasks.get(told.taskid, ("", ""))
        self._tasks[told.taskid] = told.state, told.status
        if told.state != state:
            yield _task(told, state=told.state)
        elif told.status != status:
            yield _task(told, status=told.status)


def _environment(told: EnvironmentEvent, **content: str | int) -> events_pb2.Event:
    payload = events_pb2.Ev_EnvironmentEvent(environmentId=told.environmentId)
    for name, value in content.items():
        setattr(payload, name, value)
    return events_pb2.Event(environmentEvent=payload)


def _task(told: TaskEvent, state: str = "", status: str = "") -> events_pb2.Event:
    return events_pb2.Event(
        taskEvent=events_pb2.Ev_TaskEvent(
            name=told.name,
            taskid=told.taskid,
            state=state,
            status=status,
            hostname=told.hostname,
            className=told.className,
        )
    )


def _role(told: RoleEvent) -> events_pb2.Event:
    return events_pb2.Event(
        roleEvent=events_pb2.Ev_RoleEvent(
            name=told.name, status=told.status, state=told.state, rolePath=told.rolePath
        )
    )


@define(eq=False)
class _Stream:
    """What is told of one environment. Readers share it: each message goes to one of them."""

    subscription: Subscription
    translator: Translator = field(factory=Translator)
    readers: int = 0
    _turn: DeferredLock = field(factory=DeferredLock)
    _made: list[events_pb2.Event] = field(factory=list)

    async def next(self) -> events_pb2.Event | None:
        """The next message; None at the end."""
        await self._turn.acquire()
        try:
            while not self._made and not self.translator.is_over:
                event = await self.subscription.next()
                if event is None:
                    break
                self._made = list(self.translator.messages(event))
            return self._made.pop(0) if self._made else None
        finally:
            self._turn.release()


@define(eq=False)
class AutomaticEnvironments:
    """Begins environments that run by themselves, and hands out their streams."""

    manager: Manager
    bus: Bus
    _streams: OrderedDict[str, _Stream] = field(factory=OrderedDict, init=False)
    _waiting: dict[str, list[Deferred[None]]] = field(factory=dict, init=False)
    _log: Logger = field(factory=Logger, init=False)

    def begin(self, name: str, request: CreationRequest) -> Operation:
        """Begin to create one; the stream `name` tells of it, and replaces another of that name."""
        before = self.bus.sequence
        operation = self.manager.create(request)
        if name:
            wanted = operation.environment_id
            subscription = self.bus.subscribe(
                lambda event: event.environment_id == wanted, before, EVENTS_KEPT
            )
            self._close(name)
            self._streams[name] = _Stream(subscription)
            self._make_room()
            for waiting in self._waiting.pop(name, []):
                waiting.callback(None)
        Deferred.fromCoroutine(self._follow(operation))
        return operation

    async def _follow(self, operation: Operation) -> None:
        """Nobody waits for it: what went wrong is in the stream, and in the record."""
        try:
            await operation.wait()
        except AliecsError as error:
            self._log.warn(
                "automatic environment {environment}: {error}",
                environment=operation.environment_id,
                error=error.message,
            )

    async def read(self, name: str) -> AsyncIterator[events_pb2.Event]:
        """The messages of the stream `name`, from the first that nobody has read; waits until it
        is there. Ends when the environment has. Raises `Exhausted` where too many wait already, or
        where nobody has read for too long."""
        while name not in self._streams:
            await self._wait_for(name)
        stream = self._streams[name]
        stream.readers += 1
        try:
            while (message := await stream.next()) is not None:
                yield message
        finally:
            stream.readers -= 1
        if self._streams.get(name) is stream:
            self._close(name)

    async def _wait_for(self, name: str) -> None:
        if sum(map(len, self._waiting.values())) >= MOST_WAITING:
            raise Exhausted(f"{MOST_WAITING} clients wait for environments that were not begun")
        begun: Deferred[None] = Deferred()
        self._waiting.setdefault(name, []).append(begun)
        try:
            await begun
        except CancelledError:
            waiting = self._waiting.get(name, [])
            if begun in waiting:
                waiting.remove(begun)
            if not waiting:
                self._waiting.pop(name, None)
            raise

    def _make_room(self) -> None:
        idle = [name for name, stream in self._streams.items() if not stream.readers]
        for name in idle[: max(0, len(idle) - STREAMS_KEPT)]:
            self._close(name)

    def _close(self, name: str) -> None:
        stream = self._streams.pop(name, None)
        if stream is not None:
            stream.subscription.close()
