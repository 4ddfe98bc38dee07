"""The executor API v1 of a Mesos agent, over HTTP.

The events of a subscription come on a connection of its own. Calls share another one, one at a
time: the agent passes on what an executor tells in the order in which it arrives, and states of a
task mean something only in their order. A call that nobody answered may have arrived: it is kept,
and told again after the next subscription.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from google.protobuf.message import DecodeError
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol as WireProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from aliecs.errors import InvalidInput, Unavailable
from aliecs.executor.agent import Connection
from aliecs.executor.start import MesosStart
from aliecs.executor.waiting import Happening
from aliecs.protocol.http import NOT_ANSWERED, NOT_CONNECTED, reason_of
from aliecs.protocol.mesos_executor_pb2 import Call, Event
from aliecs.protocol.recordio import RecordReader

PROTOBUF = "application/x-protobuf"
DEADLINE_S = 10.0
"""For a connection, and for the answer to a call."""
REASON_CHARACTERS = 300
_RETRY = frozenset({401, 403, 404, 408, 429})
"""Answers below 500 that are about our connection, not about the call."""
log = Logger()


@define(eq=False)
class _HttpConnection(WireProtocol):
    """One subscription, and the calls that belong to it."""

    transport: Any
    _post: Callable[[Call], Deferred[None]]
    _receive: Callable[[Event], None]
    _resume: Callable[[], None]
    lost: Happening[str] = field(factory=Happening, init=False)
    _calling: Call | None = field(default=None, init=False)
    _reader: RecordReader = field(factory=RecordReader, init=False)

    # --- events ----------------------------------------------------------------------------------

    def connectionMade(self) -> None:  # noqa: N802
        """See `twisted.internet.protocol.Protocol`."""
        if self.lost.happened:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """See `twisted.internet.protocol.Protocol`."""
        if self.lost.happened:
            return
        try:
            for record in self._reader.feed(data):
                self._receive(Event.FromString(record))
        except (InvalidInput, DecodeError) as error:
            log.error("what the agent sends cannot be read: {error}", error=error)
            self.close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """See `twisted.internet.protocol.Protocol`."""
        self.lost.happen(reason_of(reason.value))

    # --- calls -----------------------------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        """See `Connection`."""
        return self._calling is None and not self.lost.happened

    @property
    def unanswered(self) -> Call | None:
        """See `Connection`."""
        return self._calling

    def send(self, call: Call) -> None:
        """See `Connection`."""
        self._calling = call
        self._post(call).addCallbacks(self._answered, self._failed)

    def _answered(self, result: None) -> None:
        self._calling = None
        if not self.lost.happened:
            self._resume()

    def _failed(self, failure: Failure) -> None:
        if failure.check(Unavailable) is None:
            log.failure("a call of the agent", failure)
        self._end(str(failure.value))

    def close(self) -> None:
        """See `Connection`."""
        self._end("closed")

    def _end(self, reason: str) -> None:
        self.lost.happen(reason)
        if self.transport is not None:
            self.transport.loseConnection()


class AgentTransport:
    """The executor API of the agent at `start.url`."""

    def __init__(self, reactor: Any, start: MesosStart) -> None:
        self._reactor = reactor
        self._url = start.url
        self._headers = {"Content-Type": [PROTOBUF], "Accept": [PROTOBUF]}
        if start.token:
            self._headers["Authorization"] = [f"Bearer {start.token}"]
        calls = HTTPConnectionPool(reactor)
        calls.maxPersistentPerHost = 1
        calls.retryAutomatically = False
        self._calls = HTTPClient(Agent(reactor, connectTimeout=DEADLINE_S, pool=calls))
        streams = HTTPConnectionPool(reactor, persistent=False)
        self._streams = HTTPClient(Agent(reactor, connectTimeout=DEADLINE_S, pool=streams))

    async def subscribe(
        self, call: Call, receive: Callable[[Event], None], resume: Callable[[], None]
    ) -> Connection:
        """See `Transport`."""
        response = await self._ask(self._streams, call)
        if response.code != 200:
            raise Unavailable(await self._refusal(response))
        connection = _HttpConnection(
            None,  # Twisted's, when it delivers.
            lambda call: Deferred.fromCoroutine(self._call(call)),
            receive,
            resume,
        )
        # Not before our caller knows the connection that events belong to.
        self._reactor.callLater(0, response.deliverBody, connection)
        return connection

    async def _call(self, call: Call) -> None:
        """Make one call. Raises `Unavailable` where it has to be made again."""
        response = await self._ask(self._calls, call)
        if 200 <= response.code < 300:
            await self._text(response)
            return
        refusal = await self._refusal(response)
        if response.code >= 500 or response.code in _RETRY:
            raise Unavailable(refusal)
        log.error("{refusal}: {kind} is given up", refusal=refusal, kind=Call.Type.Name(call.type))

    async def _ask(self, client: HTTPClient, call: Call) -> Any:
        asking = client.post(
            self._url,
            data=call.SerializeToString(),
            headers=Headers(self._headers),
            allow_redirects=False,
            unbuffered=True,
        )

        def too_late(result: object, seconds: float) -> Any:
            raise Unavailable(f"{self._url} did not answer within {seconds:g} s")

        try:
            return await asking.addTimeout(DEADLINE_S, self._reactor, too_late)
        except (*NOT_CONNECTED, *NOT_ANSWERED) as error:
            raise Unavailable(f"{self._url} cannot be reached: {reason_of(error)}") from None

    async def _refusal(self, response: Any) -> str:
        text = await self._text(response)
        return f"{self._url} answers {response.code}: {text[:REASON_CHARACTERS]}"

    async def _text(self, response: Any) -> str:
        """The whole of an answer. It is read also where nobody wants it: the connection is used
        again only then."""
        reading = readBody(response)
        try:
            body: bytes = await reading.addTimeout(DEADLINE_S, self._reactor)
        except Exception as error:  # whatever broke the answer broke the connection
            return reason_of(error)
        return body.decode(errors="replace").strip()
