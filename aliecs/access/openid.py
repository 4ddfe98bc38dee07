"""People known by an OpenID Connect provider, such as the single sign-on of CERN.

A caller shows a token that the provider signed (an access token or an ID token, as a JWT); it is
verified here with the provider's published keys, so that the provider is asked only when it signs
with a key that we have not seen. Whoever was verified stays known until the token ends, also while
the provider is away. What a person may do is in one claim of the token, a list of roles.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt
import treq
from attrs import define, field, frozen
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger
from zope.interface import implementer

from aliecs.access.token import PREFIX
from aliecs.errors import Unauthenticated, Unavailable
from aliecs.interfaces import Caller, Credentials, IAuthorizer, role_of

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures with a public key only: with a shared secret whoever can verify could sign."""

ANSWER_S = 10.0
"""How long the provider has for an answer."""
LOOK_AGAIN_S = 30.0
"""How often its keys are fetched at most."""
LEEWAY_S = 30.0
KEPT = 1000
"""Verified tokens that are remembered."""
MOST_BYTES = 1024 * 1024
LONGEST_TOKEN = 16_384


@frozen
class Claims:
    """Which claims of a token say who somebody is."""

    access: str = "cern_roles"
    name: str = "cern_upn"
    person: str = "cern_person_id"

    def caller(self, token: Mapping[str, Any]) -> Caller:
        """The person of a verified token. A token without these claims still has a subject."""
        subject = str(token.get("sub", ""))
        name = str(token.get(self.name) or token.get("preferred_username") or subject)
        if not name:
            raise Unauthenticated(f"the token says nothing of who it is for ({self.name}, sub)")
        access = token.get(self.access, [])
        words = access.split() if isinstance(access, str) else access
        words = [str(word) for word in words] if isinstance(words, list) else []
        role, detectors = role_of(words)
        person = str(token.get(self.person) or subject)
        ends_s = float(token["exp"]) + LEEWAY_S
        return Caller(name, person, role, detectors, way="OpenID Connect", ends_s=ends_s)


@implementer(IAuthorizer)
@define(eq=False)
class Provider:
    """One provider. `client` is what the core is called there, `audiences` who else may be meant by
    a token that is shown."""

    issuer: str
    client: str
    clock: Any
    audiences: Sequence[str] = ()
    claims: Claims = field(factory=Claims)
    now_s: Callable[[], float] = time.time
    name: str = field(default="OpenID Connect", init=False)
    _document: Mapping[str, Any] | None = field(default=None, init=False)
    _keys: Mapping[str, jwt.PyJWK] = field(factory=dict, init=False)
    _fetched_s: float = field(default=-LOOK_AGAIN_S, init=False)
    _turn: DeferredLock = field(factory=DeferredLock, init=False)
    _known: OrderedDict[bytes, Caller] = field(factory=OrderedDict, init=False)
    _log: Logger = field(factory=Logger, init=False)

    async def recognise(self, credentials: Credentials) -> Caller | None:
        """See `IAuthorizer`. Raises `Unavailable` where the provider's keys cannot be had."""
        token = credentials.bearer
        if not token or token.startswith(PREFIX) or token.count(".") != 2:
            return None
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated(f"the token is longer than {LONGEST_TOKEN} characters")
        key = hashlib.sha256(token.encode()).digest()
        known = self._known.get(key)
        if known is not None and known.ends_s > self.now_s():
            return known
        value = await self.verify(token)
        caller = self.claims.caller(value)
        self._known[key] = caller
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return caller

    async def verify(self, token: str, nonce: str = "") -> Mapping[str, Any]:
        """What a token says, verified. Raises `Unauthenticated`, and `Unavailable`."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token cannot be read: {error}") from None
        key = await self._key(str(header.get("kid", "")))
        try:
            value: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=[self.client, *self.audiences],
                issuer=self.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token is too old: log in again") from None
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token is not valid here: {error}") from None
        if nonce and value.get("nonce") != nonce:
            raise Unauthenticated("the token was made for another login")
        return value

    async def endpoint(self, name: str) -> str:
        """An address of the provider, by its name in the discovery document."""
        if self._document is None:
            url = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
            document = await self._fetch(url)
            if document.get("issuer") != self.issuer:
                raise Unavailable(
                    f"openIdIssuer: {url} is the document of {document.get('issuer')!r}, not of "
                    f"{self.issuer!r}"
                )
            self._document = document
        address = self._document.get(name)
        if not isinstance(address, str):
            raise Unavailable(f"{self.issuer} has no {name}")
        return address

    async def post(self, name: str, values: Mapping[str, str], secret: str) -> Mapping[str, Any]:
        """Ask an endpoint of the provider for something, as the client that we are."""
        url = await self.endpoint(name)
        data = dict(values)
        options: dict[str, Any] = {}
        if secret:
            options["auth"] = (self.client, secret)
        else:
            data["client_id"] = self.client
        return await self._read(
            url, treq.post(url, data=data, timeout=ANSWER_S, reactor=self.clock, **options)
        )

    async def _key(self, name: str) -> jwt.PyJWK:
        """The key of that name; of a provider with one key, that."""
        found = self._find(name)
        if found is not None:
            return found
        await self._turn.acquire()
        try:
            found = self._find(name)
            if found is None and self.clock.seconds() - self._fetched_s >= LOOK_AGAIN_S:
                await self._fetch_keys()
                found = self._find(name)
        finally:
            self._turn.release()
        if found is None:
            raise Unauthenticated("the token was signed with a key that its provider does not have")
        return found

    def _find(self, name: str) -> jwt.PyJWK | None:
        if not name and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(name)

    async def _fetch_keys(self) -> None:
        document = await self._fetch(await self.endpoint("jwks_uri"))
        # Only an answer counts: while the provider is away everybody may try again.
        self._fetched_s = self.clock.seconds()
        keys = {}
        for value in document.get("keys", []):
            if not isinstance(value, dict) or value.get("use", "sig") != "sig":
                continue
            try:
                key = jwt.PyJWK.from_dict(value)
            except jwt.PyJWTError as error:
                self._log.warn("a key of {issuer}: {error}", issuer=self.issuer, error=error)
                continue
            keys[str(value.get("kid", ""))] = key
        self._keys = keys

    async def _fetch(self, url: str) -> Mapping[str, Any]:
        return await self._read(url, treq.get(url, timeout=ANSWER_S, reactor=self.clock))

    async def _read(self, url: str, asking: Any) -> Mapping[str, Any]:
        try:
            response = await asking
            body = await treq.content(response)
            value = await treq.json_content(response) if len(body) <= MOST_BYTES else None
        except Exception as error:
            # treq and Twisted raise many kinds; for a caller they are one.
            raise Unavailable(f"{url} does not answer: {error or type(error).__name__}") from error
        if response.code >= 400 and isinstance(value, dict) and "error" in value:
            reason = value.get("error_description") or value["error"]
            raise Unauthenticated(f"the identity provider refuses: {reason}")
        if response.code >= 300 or not isinstance(value, dict):
            raise Unavailable(f"{url} answers with status {response.code}, and no JSON object")
        return value
