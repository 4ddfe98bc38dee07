"""The executor's side of the Mesos executor API v1: subscription, acknowledgements, reconnection.

What the agent has not acknowledged is kept and told again with the next subscription, so that no
status update is lost and none counts twice. Messages are kept while there is no connection, up to a
bound. The `Transport` is how calls and events travel: here, over the core's local socket.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field, frozen
from google.protobuf.message import DecodeError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as WireProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from aliecs.errors import AliecsError, InvalidInput, Unavailable
from aliecs.executor.waiting import Happening
from aliecs.protocol import mesos_pb2
from aliecs.protocol.combined import COMBINED_BYTES, combine_messages, is_combined, separate
from aliecs.protocol.local import Hello, short_address
from aliecs.protocol.mesos_executor_pb2 import Call, Event
from aliecs.protocol.recordio import RecordReader, encode_record

MAXIMUM_UPDATES = 16384
MAXIMUM_MESSAGES = 1024
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 2.0
FAREWELL_S = 5.0
"""How long the last words may take."""
RETRY_FACTOR = 1.5

log = Logger()


class Connection(Protocol):
    """One connection to the agent."""

    lost: Happening[str]
    """It has ended, and why."""

    @property
    def is_writable(self) -> bool:
        """False while the other side does not take what was sent."""

    @property
    def unanswered(self) -> Call | None:
        """What was sent and may not have arrived, where calls are answered."""

    def send(self, call: Call) -> None:
        """Send one call."""

    def close(self) -> None:
        """End, when what was sent has gone."""


class Transport(Protocol):
    """How an executor gets at its agent."""

    async def subscribe(
        self, call: Call, receive: Callable[[Event], None], resume: Callable[[], None]
    ) -> Connection:
        """Connect and subscribe. `receive` gets every event, `resume` is called when the
        connection is writable again. Raises `Unavailable` where nobody is there."""


class AgentEvents(Protocol):
    """Who hears what the agent says."""

    def subscribed(self, event: Event.Subscribed) -> None:
        """The agent knows us."""

    def launch(self, task: mesos_pb2.TaskInfo) -> None:
        """Start a task."""

    def kill(self, task_id: str) -> None:
        """End a task."""

    def message(self, data: bytes) -> None:
        """A control message."""

    def asked_who(self) -> None:
        """The core wants to know what we can do."""

    def shutdown(self) -> None:
        """End everything."""

    def abandoned(self, seconds: float) -> None:
        """For so long there was no agent that we would have to wait for it no longer."""


@define(eq=False)
class AgentSession:
    """The conversation of one executor with its agent, over as many connections as it takes.

    `recovery_timeout_s` is how long to go on without an agent.
    """

    clock: Any
    transport: Transport
    executor_id: str
    framework_id: str
    recovery_timeout_s: float
    events: AgentEvents
    _tasks: dict[str, mesos_pb2.TaskInfo] = field(factory=dict, init=False)
    """Launched, nothing of them acknowledged yet."""
    _updates: dict[bytes, mesos_pb2.TaskStatus] = field(factory=dict, init=False)
    """Not acknowledged, in the order in which they were made."""
    _outgoing: deque[Call] = field(factory=deque, init=False)
    _connection: Connection | None = field(default=None, init=False)
    _subscribed: bool = field(default=False, init=False)
    _combines: bool = field(default=False, init=False)
    """The core takes combined messages: its last one was one."""
    _stopped: Happening[None] = field(factory=Happening, init=False)
    _running: Deferred[None] | None = field(default=None, init=False)
    _patience: Any = field(default=None, init=False)
    _all_said: Happening[None] = field(factory=Happening, init=False)
    """Once stopped: nothing is left to be told, or nobody to tell it to."""

    def start(self) -> None:
        """Begin to look for the agent."""
        self._await_agent()
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(lambda failure: log.failure("talking to the agent", failure))

    async def stop(self) -> None:
        """Say what is still to be said, and end the connection."""
        self._stopped.happen(None)
        self._cancel_patience()
        if self._connection is None:
            return
        self._flush()
        if self._subscribed:
            await self._all_said.within(FAREWELL_S, self.clock)
        if self._connection is not None:
            self._connection.close()

    @property
    def core_is_ours(self) -> bool:
        """True where the core is known to be of our kind: it combines its messages."""
        return self._combines

    @property
    def is_heard(self) -> bool:
        """True while what is sent goes out at once."""
        return self._subscribed and not self._outgoing

    def update(self, status: mesos_pb2.TaskStatus) -> None:
        """Send a status update, and keep it until it is acknowledged."""
        self._updates[status.uuid] = status
        if len(self._updates) > MAXIMUM_UPDATES:
            oldest = self._updates.pop(next(iter(self._updates)))
            log.error(
                "the agent acknowledges nothing; {state} of task {task} is given up",
                state=mesos_pb2.TaskState.Name(oldest.state),
                task=oldest.task_id.value,
            )
        if self._connection is not None:
            self._outgoing.append(self._update_call(status))
            self._flush()

    def message(self, data: bytes) -> None:
        """Send a message to the core, now or when there is one."""
        self._outgoing.append(self._call(Call.MESSAGE, message=Call.Message(data=data)))
        if len(self._outgoing) > MAXIMUM_MESSAGES:
            self._drop_oldest_message()
        self._flush()

    # --- connections -----------------------------------------------------------------------------

    async def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        while not self._stopped.happened:
            try:
                await self._converse()
                retry_s = FIRST_RETRY_S
            except AliecsError as error:
                log.debug("no agent: {error}", error=error.message)
            if await self._stopped.within(retry_s, self.clock):
                return
            retry_s = min(retry_s * RETRY_FACTOR, LAST_RETRY_S)

    async def _converse(self) -> None:
        """Hold one connection until it is lost."""
        call = self._call(
            Call.SUBSCRIBE,
            subscribe=Call.Subscribe(
                unacknowledged_tasks=self._tasks.values(),
                unacknowledged_updates=[
                    Call.Update(status=status) for status in self._updates.values()
                ],
            ),
        )
        told = set(self._updates)
        self._outgoing = deque(item for item in self._outgoing if item.type == Call.MESSAGE)
        self._connection = await self.transport.subscribe(call, self._receive, self._flush)
        for uuid, status in self._updates.items():
            if uuid not in told:  # made while the agent thought about it
                self._outgoing.append(self._update_call(status))
        reason = await self._connection.lost.wait()
        unanswered, self._connection = self._connection.unanswered, None
        if unanswered is not None and unanswered.type == Call.MESSAGE:
            self._outgoing.appendleft(unanswered)
        if self._stopped.happened:
            self._all_said.happen(None)
        if self._subscribed:
            self._subscribed = False
            log.info("the agent is gone ({reason})", reason=reason)
            if not self._stopped.happened:
                self._await_agent()

    def _await_agent(self) -> None:
        self._patience = self.clock.callLater(
            self.recovery_timeout_s, self.events.abandoned, self.recovery_timeout_s
        )

    def _cancel_patience(self) -> None:
        if self._patience is not None and self._patience.active():
            self._patience.cancel()

    def _flush(self) -> None:
        connection = self._connection
        while (
            connection is not None
            and self._subscribed
            and self._outgoing
            and connection.is_writable
        ):
            connection.send(self._next_call())
        if self._stopped.happened and not self._outgoing and self._is_idle(connection):
            self._all_said.happen(None)

    def _next_call(self) -> Call:
        """The first of what is to be sent, together with messages right behind it."""
        call = self._outgoing.popleft()
        if not self._can_be_combined(call):
            return call
        messages = [call.message.data]
        size = len(call.message.data)
        while self._outgoing and self._can_be_combined(self._outgoing[0]):
            size += len(self._outgoing[0].message.data)
            if size > COMBINED_BYTES:
                break
            messages.append(self._outgoing.popleft().message.data)
        if len(messages) == 1:
            return call
        return self._call(Call.MESSAGE, message=Call.Message(data=combine_messages(messages)))

    def _can_be_combined(self, call: Call) -> bool:
        return (
            self._combines and call.type == Call.MESSAGE and not is_combined(call.message.data)
        )

    @staticmethod
    def _is_idle(connection: Connection | None) -> bool:
        return connection is None or connection.unanswered is None

    def _drop_oldest_message(self) -> None:
        for index, call in enumerate(self._outgoing):
            if call.type == Call.MESSAGE:
                del self._outgoing[index]
                log.warn("too many messages for an absent agent: the oldest is dropped")
                return

    # --- events ----------------------------------------------------------------------------------

    def _receive(self, event: Event) -> None:
        kind = event.type
        if kind == Event.SUBSCRIBED:
            self._cancel_patience()
            self._subscribed = True
            self.events.subscribed(event.subscribed)
            self._flush()
        elif kind == Event.LAUNCH:
            self._launch(event.launch.task)
        elif kind == Event.LAUNCH_GROUP:
            for task in event.launch_group.task_group.tasks:
                self._launch(task)
        elif kind == Event.KILL:
            self.events.kill(event.kill.task_id.value)
        elif kind == Event.ACKNOWLEDGED:
            self._tasks.pop(event.acknowledged.task_id.value, None)
            self._updates.pop(event.acknowledged.uuid, None)
        elif kind == Event.MESSAGE:
            self._hear(event.message.data)
        elif kind == Event.SHUTDOWN:
            self.events.shutdown()
        elif kind == Event.ERROR:
            log.error("the agent reports: {message}", message=event.error.message)
            if self._connection is not None:
                self._connection.close()

    def _hear(self, data: bytes) -> None:
        self._combines = is_combined(data)
        try:
            messages = separate(data)
        except InvalidInput as error:
            log.error("{error}", error=error.message)
            return
        if not messages:
            self.events.asked_who()
        for message in messages:
            self.events.message(message)

    def _launch(self, task: mesos_pb2.TaskInfo) -> None:
        self._tasks[task.task_id.value] = task
        self.events.launch(task)

    def _update_call(self, status: mesos_pb2.TaskStatus) -> Call:
        return self._call(Call.UPDATE, update=Call.Update(status=status))

    def _call(self, kind: Call.Type, **content: Any) -> Call:
        return Call(
            executor_id=mesos_pb2.ExecutorID(value=self.executor_id),
            framework_id=mesos_pb2.FrameworkID(value=self.framework_id),
            type=kind,
            **content,
        )


# --- the local socket ----------------------------------------------------------------------------


@implementer(IPushProducer)
class _LocalConnection(WireProtocol):
    """One connection to the core's socket."""

    transport: Any
    unanswered: Call | None = None

    def __init__(self, receive: Callable[[Event], None], resume: Callable[[], None]) -> None:
        self.lost: Happening[str] = Happening()
        self.is_writable = True
        self._receive = receive
        self._resume = resume
        self._reader = RecordReader()

    def connectionMade(self) -> None:  # noqa: N802
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        try:
            for record in self._reader.feed(data):
                self._receive(Event.FromString(record))
        except (InvalidInput, DecodeError) as error:
            log.error("what the core sends cannot be read: {error}", error=error)
            self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self.lost.happen(reason.getErrorMessage())

    def send(self, call: Call) -> None:
        self.write(call.SerializeToString())

    def write(self, record: bytes) -> None:
        self.transport.write(encode_record(record))

    def close(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def pauseProducing(self) -> None:  # noqa: N802
        self.is_writable = False

    def resumeProducing(self) -> None:  # noqa: N802
        self.is_writable = True
        self._resume()

    def stopProducing(self) -> None:  # noqa: N802
        self.is_writable = False


@frozen
class LocalTransport:
    """The core's local socket at `path`, at which we say `hello` first."""

    reactor: Any
    path: Path
    hello: Hello

    async def subscribe(
        self, call: Call, receive: Callable[[Event], None], resume: Callable[[], None]
    ) -> Connection:
        """See `Transport`."""
        connection = _LocalConnection(receive, resume)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ours:
            ours.setblocking(False)
            try:
                with short_address(self.path) as address:
                    ours.connect(address)
            except OSError as error:
                raise Unavailable(f"cannot connect to {self.path}: {error.strerror}") from error
            self.reactor.adoptStreamConnection(
                ours.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: connection)
            )
        connection.write(self.hello.encode())
        connection.send(call)
        return connection
