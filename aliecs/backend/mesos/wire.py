"""Speaking HTTP to a master: a call and its answer, and the stream that answers a subscription.

The stream has a connection of its own, since a call on it would be answered in the middle of it.
Calls share a few that stay open. An answer that never came leaves it open whether the call arrived:
`Unanswered` says so, `Unavailable` says that it did not.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field, frozen
from OpenSSL import SSL, crypto
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Protocol as WireProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.ssl import (
    Certificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from aliecs.errors import SettingsError, Unavailable
from aliecs.protocol.http import NOT_ANSWERED, NOT_CONNECTED, reason_of

PROTOBUF = "application/x-protobuf"
STREAM_ID = "Mesos-Stream-Id"
CONNECTIONS = 16
"""Connections for calls."""
IDLE_S = 30.0
"""A connection that was not used for so long is not used again: the master may have closed it."""
TEXT_BYTES = 4096
"""Of what a master says about an error, so much is read."""


class Unanswered(Unavailable):
    """A call may have arrived or not."""


@frozen
class Reply:
    """The answer to a call."""

    status: int
    text: str = ""
    location: str = ""

    @property
    def is_good(self) -> bool:
        """True where the master has taken the call."""
        return 200 <= self.status < 300


class Stream(Protocol):
    """A stream that is open. `read` hands all that comes to the first function, and its end with
    the reason to the second, once; `close` ends it."""

    stream_id: str

    def read(self, received: Callable[[bytes], None], ended: Callable[[str], None]) -> None:
        """Begin to read."""

    def close(self) -> None:
        """End it from this side."""


class Wire(Protocol):
    """How masters are spoken to. Coroutines; both raise `Unavailable`."""

    async def open(self, url: str, body: bytes) -> tuple[Reply, Stream | None]:
        """Subscribe. Gives the stream where the master agrees."""

    async def call(self, url: str, stream_id: str, body: bytes) -> Reply:
        """Call. Raises `Unanswered` where it is not known whether the call arrived."""

    async def close(self) -> None:
        """Let go of connections."""


class _Reader(WireProtocol):
    """Hands a stream on, as it comes."""

    def __init__(self, received: Callable[[bytes], None], ended: Callable[[str], None]) -> None:
        self._received = received
        self._ended = ended

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self._ended(reason_of(reason.value))


@define(eq=False)
class HttpStream:
    """A stream over a connection of its own."""

    response: Any
    stream_id: str
    _reader: _Reader | None = field(default=None, init=False)

    def read(self, received: Callable[[bytes], None], ended: Callable[[str], None]) -> None:
        """See `Stream`."""
        self._reader = _Reader(received, ended)
        self.response.deliverBody(self._reader)

    def close(self) -> None:
        """See `Stream`."""
        if self._reader is None:
            self.read(lambda data: None, lambda reason: None)
        transport: Any = self._reader.transport if self._reader is not None else None
        if transport is not None:
            transport.loseConnection()


class HttpWire:
    """Speaks through treq. `user_name` is empty where nobody logs in; `authority` is the
    certificate of who signs masters, empty for whom this machine trusts."""

    def __init__(
        self,
        reactor: Any,
        timeout_s: float,
        user_name: str = "",
        password: str = "",
        authority: bytes = b"",
    ) -> None:
        self._reactor = reactor
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": [PROTOBUF], "Accept": [PROTOBUF]}
        if user_name:
            secret = base64.b64encode(f"{user_name}:{password}".encode()).decode()
            self._headers["Authorization"] = [f"Basic {secret}"]
        policy = _Policy(_trust(authority))
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = CONNECTIONS
        self._pool.cachedConnectionTimeout = int(IDLE_S)
        self._pool.retryAutomatically = False
        self._calls = HTTPClient(Agent(reactor, policy, timeout_s, pool=self._pool))
        once = HTTPConnectionPool(reactor, persistent=False)
        self._streams = HTTPClient(Agent(reactor, policy, timeout_s, pool=once))
        self._waiting: set[Deferred[Any]] = set()

    async def open(self, url: str, body: bytes) -> tuple[Reply, Stream | None]:
        """See `Wire`."""
        response = await self._post(self._streams, url, body, {})
        stream_id = (response.headers.getRawHeaders(STREAM_ID) or [""])[0]
        if response.code == 200 and stream_id:
            return Reply(200), HttpStream(response, stream_id)
        reply = await self._reply(response)
        if response.code == 200:
            return Reply(200, f"the answer has no {STREAM_ID}: is it a Mesos master?"), None
        return reply, None

    async def call(self, url: str, stream_id: str, body: bytes) -> Reply:
        """See `Wire`."""
        response = await self._post(self._calls, url, body, {STREAM_ID: [stream_id]})
        return await self._reply(response)

    async def close(self) -> None:
        """See `Wire`. Nobody waits any longer for what has not been answered."""
        for waiting in tuple(self._waiting):
            waiting.cancel()
        await self._pool.closeCachedConnections()

    async def _post(
        self, client: HTTPClient, url: str, body: bytes, headers: dict[str, list[str]]
    ) -> Any:
        posting = client.post(
            url,
            data=body,
            headers=Headers({**self._headers, **headers}),
            allow_redirects=False,
            unbuffered=True,
        )

        def too_late(result: object, seconds: float) -> Any:
            raise Unanswered(f"{url} did not answer within {seconds:g} s")

        self._waiting.add(posting)
        try:
            return await posting.addTimeout(self._timeout_s, self._reactor, too_late)
        except (ConnectingCancelledError, *NOT_CONNECTED) as error:
            raise Unavailable(f"{url} cannot be reached: {reason_of(error)}") from None
        except (CancelledError, *NOT_ANSWERED) as error:
            raise Unanswered(f"{url} did not answer: {reason_of(error)}") from None
        finally:
            self._waiting.discard(posting)

    async def _reply(self, response: Any) -> Reply:
        """The whole of a short answer; what is missing of a text does not matter."""
        pieces: list[bytes] = []
        done: Deferred[str] = Deferred()
        length = 0

        def received(piece: bytes) -> None:
            nonlocal length
            if length < TEXT_BYTES:
                pieces.append(piece)
            length += len(piece)

        stream = HttpStream(response, "")
        stream.read(received, lambda reason: None if done.called else done.callback(reason))
        self._waiting.add(done)
        try:
            await done.addTimeout(self._timeout_s, self._reactor)
        except (TimeoutError, CancelledError):
            stream.close()
        finally:
            self._waiting.discard(done)
        location = (response.headers.getRawHeaders("Location") or [""])[0]
        text = b"".join(pieces)[:TEXT_BYTES].decode(errors="replace").strip()
        return Reply(response.code, text, location)


def _trust(authority: bytes) -> Any:
    if not authority:
        return platformTrust()
    try:
        return trustRootFromCertificates([Certificate.loadPEM(authority)])
    except (crypto.Error, SSL.Error, ValueError):
        raise SettingsError("mesosCaFile: there is no certificate in it (PEM)") from None


@implementer(IPolicyForHTTPS)
class _Policy:
    """Whom we trust."""

    def __init__(self, trust: Any) -> None:
        self._trust = trust

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:  # noqa: N802
        return optionsForClientTLS(hostname.decode("ascii"), trustRoot=self._trust)
