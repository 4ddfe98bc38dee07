"""A client of Consul: its key-value part, over treq, for whoever is used to consulate.

`Consul.kv` knows `get`, `set`, `delete`, `find`, `keys` and `commit`, Consul's transaction. Missing
keys and errors are never taken for each other: whatever is not an answer raises. At most 64
requests are under way, because Consul cuts off who opens more connections than it likes, and each
has one deadline. How to log in is taken from Consul's own environment variables.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import treq
from attrs import frozen
from OpenSSL import SSL, crypto
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from aliecs.errors import DeadlineExceeded, Forbidden, InvalidInput, SettingsError, Unavailable
from aliecs.protocol.http import NOT_ANSWERED, NOT_CONNECTED, reason_of

REQUEST_TIMEOUT_S = 10.0
MOST_REQUESTS = 64
MOST_OPERATIONS = 64
"""Operations of one transaction; Consul's own bound."""
LARGEST_VALUE = 512 * 1024
"""Bytes of one value; Consul's own bound."""

_LARGEST_ANSWER = 512 * 1024 * 1024
_READ_IN_THREAD = 200_000
"""Bytes of an answer above which it is taken apart away from the reactor."""

T = TypeVar("T")


class Pair(msgspec.Struct, frozen=True):
    """One key as Consul gives it. A folder that somebody made has a key with a slash at its end."""

    Key: str
    Value: bytes | None
    ModifyIndex: int

    @property
    def text(self) -> str:
        """The value. Raises `InvalidInput` where it is no text."""
        try:
            return (self.Value or b"").decode()
        except UnicodeDecodeError:
            raise InvalidInput(f"{self.Key} in Consul holds bytes that are no text") from None


class TransactionProblem(msgspec.Struct, frozen=True):
    """Why a transaction was refused: the operation, by its place, and Consul's words."""

    OpIndex: int
    What: str


class _Refusal(msgspec.Struct):
    Errors: list[TransactionProblem]


@frozen
class Session:
    """How a Consul is spoken to."""

    address: str
    """`host:port`, as it is shown to people."""
    url: str
    client: HTTPClient
    headers: Headers
    pool: HTTPConnectionPool


class Consul:
    """The Consul that `session` leads to; see the module."""

    def __init__(self, session: Session, reactor: Any) -> None:
        self.session = session
        self.kv = KeyValues(self)
        self._reactor = reactor
        self._turns = DeferredSemaphore(MOST_REQUESTS)

    async def request(
        self, method: str, path: str, parameters: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """One request below `/v1/`. Raises `Unavailable` where Consul cannot be reached or says
        that it cannot answer, `DeadlineExceeded`, `Forbidden`, `InvalidInput` for what is too
        large; any other status is an answer."""

        async def exchange() -> Answer:
            response = await self.session.client.request(
                method,
                f"{self.session.url}/v1/{path}",
                params=dict(parameters),
                data=body,
                headers=self.session.headers,
            )
            return Answer(response.code, response.headers, await _content(response))

        def too_late(result: object, seconds: float) -> Any:
            raise DeadlineExceeded(
                f"Consul at {self.session.address} did not answer within {seconds:g} s"
            )

        started = self._turns.run(lambda: Deferred.fromCoroutine(exchange()))
        try:
            answer: Answer = await started.addTimeout(REQUEST_TIMEOUT_S, self._reactor, too_late)
        except (*NOT_CONNECTED, *NOT_ANSWERED) as error:
            raise Unavailable(
                f"Consul at {self.session.address} cannot be reached: {reason_of(error)}"
            ) from None
        self._check(answer, path)
        return answer

    def _check(self, answer: Answer, path: str) -> None:
        code, words = answer.code, answer.body.decode(errors="replace").strip()[:300]
        if code in (200, 404, 409):
            return
        if code == 413:
            raise InvalidInput(f"{path}: Consul takes at most {LARGEST_VALUE} bytes ({words})")
        if code in (401, 403):
            raise self.forbidden(words or str(code))
        raise Unavailable(f"Consul at {self.session.address} answered {code}: {words}")

    def forbidden(self, words: str) -> Forbidden:
        """The error about something that Consul's rules do not allow."""
        return Forbidden(
            f"Consul at {self.session.address} does not allow it: {words} (the token is taken "
            "from CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE)"
        )

    async def close(self) -> None:
        """Let go of idle connections."""
        await self.session.pool.closeCachedConnections()

    async def parsed(self, body: bytes, kind: type[T]) -> T:
        """An answer's JSON; a large one is taken apart in a thread."""
        decoder = msgspec.json.Decoder(kind)
        try:
            if len(body) > _READ_IN_THREAD:
                return await deferToThread(decoder.decode, body)
            return decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise Unavailable(
                f"Consul at {self.session.address} answered something else: {error}"
            ) from None


@frozen
class Answer:
    """What came back."""

    code: int
    headers: Any
    body: bytes


class KeyValues:
    """The keys and values of a Consul. Keys have no slash at their start."""

    def __init__(self, consul: Consul) -> None:
        self._consul = consul

    async def get(self, key: str, *, consistent: bool = False) -> Pair | None:
        """One key, None where it does not exist. `consistent` asks the whole cluster."""
        answer = await self._get(key, {"consistent": ""} if consistent else {})
        if answer is None:
            return None
        pairs = await self._consul.parsed(answer.body, list[Pair])
        return pairs[0] if pairs else None

    async def get_with_index(self, key: str) -> tuple[Pair | None, int]:
        """One key, None where it does not exist, with the number of Consul's last change to it, or
        of the last change to anything where it does not exist."""
        answer = await self._consul.request("GET", _path(key), {})
        index = int((answer.headers.getRawHeaders("X-Consul-Index") or ["0"])[0])
        if answer.code == 404:
            return None, index
        pairs = await self._consul.parsed(answer.body, list[Pair])
        return (pairs[0] if pairs else None), index

    async def find(self, prefix: str) -> Sequence[Pair]:
        """All keys that begin with `prefix`, as text: mind the slash. Sorted by bytes."""
        answer = await self._get(prefix, {"recurse": ""})
        return () if answer is None else await self._consul.parsed(answer.body, list[Pair])

    async def keys(self, prefix: str, separator: str = "") -> Sequence[str]:
        """The keys alone. With `separator` each is cut behind the first one after `prefix`."""
        parameters = {"keys": "", **({"separator": separator} if separator else {})}
        answer = await self._get(prefix, parameters)
        return () if answer is None else await self._consul.parsed(answer.body, list[str])

    async def set(self, key: str, value: str) -> None:
        """Set a value."""
        await self._consul.request("PUT", _path(key), {}, _bytes(key, value))

    async def delete(self, key: str, index: int) -> bool:
        """Remove a key if it was not changed since `index`; True where it was not."""
        answer = await self._consul.request("DELETE", _path(key), {"cas": str(index)})
        return answer.body.strip() == b"true"

    async def commit(self, operations: Sequence[Operation]) -> TransactionProblem | None:
        """Do all operations or none; gives what was against it. At most `MOST_OPERATIONS`."""
        body = json.dumps([operation.document() for operation in operations]).encode()
        answer = await self._consul.request("PUT", "txn", {}, body)
        if answer.code == 200:
            return None
        problem = (await self._consul.parsed(answer.body, _Refusal)).Errors[0]
        if "ermission denied" in problem.What:
            raise self._consul.forbidden(problem.What)
        return problem

    async def _get(self, key: str, parameters: Mapping[str, str]) -> Answer | None:
        answer = await self._consul.request("GET", _path(key), parameters)
        return None if answer.code == 404 else answer


@frozen
class Operation:
    """One operation of a transaction: `set`, `cas` (with the index that the key must have, 0 for a
    new one) or `check-not-exists`."""

    verb: str
    key: str
    value: str = ""
    index: int | None = None

    def document(self) -> dict[str, Any]:
        """As Consul reads it."""
        inner: dict[str, Any] = {"Verb": self.verb, "Key": self.key}
        if self.verb in ("set", "cas"):
            inner["Value"] = base64.b64encode(_bytes(self.key, self.value)).decode()
        if self.index is not None:
            inner["Index"] = self.index
        return {"KV": inner}


def _path(key: str) -> str:
    return f"kv/{quote(key, safe='/')}"


def _bytes(key: str, value: str) -> bytes:
    content = value.encode()
    if len(content) > LARGEST_VALUE:
        raise InvalidInput(
            f"the value of {key} has {len(content)} bytes; Consul takes at most {LARGEST_VALUE}"
        )
    return content


async def _content(response: Any) -> bytes:
    pieces: list[bytes] = []
    size = 0

    def take(piece: bytes) -> None:
        nonlocal size
        size += len(piece)
        if size > _LARGEST_ANSWER:
            raise InvalidInput(f"an answer of Consul has more than {_LARGEST_ANSWER} bytes")
        pieces.append(piece)

    await treq.collect(response, take)
    return b"".join(pieces)


# --- how to log in -------------------------------------------------------------------------------


def open_session(address: str, reactor: Any, environment: Mapping[str, str]) -> Session:
    """The session with the Consul at `address` (`host:port`).

    `environment` may have Consul's own variables: CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE,
    CONSUL_HTTP_SSL, CONSUL_CACERT, CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY. Raises `SettingsError`
    where a file of theirs cannot be read.
    """
    secure = environment.get("CONSUL_HTTP_SSL", "").lower() in ("1", "t", "true")
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = MOST_REQUESTS
    policy = _Policy(_client_options(environment)) if secure else None
    more = {} if policy is None else {"contextFactory": policy}
    agent = Agent(reactor, connectTimeout=REQUEST_TIMEOUT_S, pool=pool, **more)
    token = environment.get("CONSUL_HTTP_TOKEN", "")
    if file := environment.get("CONSUL_HTTP_TOKEN_FILE", ""):
        token = _file("CONSUL_HTTP_TOKEN_FILE", file).decode().strip()
    return Session(
        address,
        f"{'https' if secure else 'http'}://{address}",
        HTTPClient(agent),
        Headers({"X-Consul-Token": [token]} if token else {}),
        pool,
    )


def _client_options(environment: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    at_fault = "CONSUL_CACERT"
    try:
        if file := environment.get("CONSUL_CACERT", ""):
            authority = Certificate.loadPEM(_file("CONSUL_CACERT", file))
            options["trustRoot"] = trustRootFromCertificates([authority])
        if file := environment.get("CONSUL_CLIENT_CERT", ""):
            key = environment.get("CONSUL_CLIENT_KEY", "")
            at_fault = "CONSUL_CLIENT_CERT with CONSUL_CLIENT_KEY"
            pem = _file("CONSUL_CLIENT_KEY", key) + b"\n" + _file("CONSUL_CLIENT_CERT", file)
            options["clientCertificate"] = PrivateCertificate.loadPEM(pem)
    except (crypto.Error, SSL.Error, ValueError) as error:
        raise SettingsError(f"{at_fault}: this is not what a PEM file has in it: {error}") from None
    return options


def _file(variable: str, name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise SettingsError(f"{variable}: {name!r} cannot be read: {error.strerror}") from None


@implementer(IPolicyForHTTPS)
class _Policy:
    """Whom we trust, and who we are."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:  # noqa: N802
        return optionsForClientTLS(hostname.decode("ascii"), **self._options)
