"""The core's end of the local socket: hellos, the calls of executors, and the events for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from google.protobuf.message import DecodeError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol as WireProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from aliecs.errors import InvalidInput, Unavailable
from aliecs.protocol.local import Hello, decode_hello
from aliecs.protocol.mesos_executor_pb2 import Call, Event
from aliecs.protocol.recordio import RecordReader, encode_record

HELLO_DEADLINE_S = 5.0
MAXIMUM_WAITING = 4096

log = Logger()


class ConnectionOwner(Protocol):
    """Whoever an executor's connection belongs to once it has said who it is."""

    def called(self, connection: ExecutorConnection, call: Call) -> None:
        """The executor made a call."""

    def disconnected(self, connection: ExecutorConnection, reason: str) -> None:
        """The connection is lost."""


Welcome = Callable[["ExecutorConnection", Hello], "ConnectionOwner | None"]
"""Looks at a hello: gives the owner of the connection, or None for a stranger."""


@implementer(IPushProducer)
class ExecutorConnection(WireProtocol):
    """One executor's connection. Events wait here, up to a bound, while it does not read."""

    transport: Any

    def __init__(
        self, reactor: Any, welcome: Welcome, ended: Callable[[ExecutorConnection], None]
    ) -> None:
        self._reactor = reactor
        self._welcome = welcome
        self._ended = ended
        self._reader = RecordReader()
        self._owner: ConnectionOwner | None = None
        self._impatience: Any = None
        self._waiting: deque[bytes] = deque()
        self._paused = False

    def send(self, event: Event) -> None:
        """Send one event. An executor that has not read for so long that no more is kept for it
        loses its connection, and this raises `Unavailable`."""
        record = encode_record(event.SerializeToString())
        if not self._paused:
            self.transport.write(record)
        elif len(self._waiting) < MAXIMUM_WAITING:
            self._waiting.append(record)
        else:
            reason = f"the executor has not read the last {MAXIMUM_WAITING} events sent to it"
            self._refuse(reason)
            raise Unavailable(reason)

    def close(self) -> None:
        """Flush and end."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def connectionMade(self) -> None:  # noqa: N802
        """Somebody connected: it has a moment to say who it is."""
        self.transport.registerProducer(self, True)
        self._impatience = self._reactor.callLater(HELLO_DEADLINE_S, self._refuse, "no hello")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """The next bytes of the stream."""
        try:
            for record in self._reader.feed(data):
                if self._owner is not None:
                    self._owner.called(self, Call.FromString(record))
                elif not self._greet(record):
                    return
        except (InvalidInput, DecodeError) as error:
            self._refuse(str(error))

    def _greet(self, record: bytes) -> bool:
        self._impatience.cancel()
        hello = decode_hello(record)
        self._owner = self._welcome(self, hello)
        if self._owner is None:
            self._refuse(f"nobody knows {hello!r}")
        return self._owner is not None

    def _refuse(self, reason: str) -> None:
        log.warn("a connection to the socket of the executors is cut: {reason}", reason=reason)
        self.transport.unregisterProducer()
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """The connection is gone."""
        if self._impatience is not None and self._impatience.active():
            self._impatience.cancel()
        self._ended(self)
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.disconnected(self, reason.getErrorMessage())

    def pauseProducing(self) -> None:  # noqa: N802
        """The executor does not read."""
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        """It reads again."""
        self._paused = False
        while self._waiting and not self._paused:
            self.transport.write(self._waiting.popleft())

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is ending."""
        self._waiting.clear()
