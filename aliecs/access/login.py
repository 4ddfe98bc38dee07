"""Logging in by browser: the authorization code flow of OpenID Connect, with PKCE.

What belongs to one login (its state, nonce and verifier) is kept here for ten minutes, and bound to
the browser by a cookie with the state, so that nobody can be logged in as somebody else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlencode

from attrs import define, field, frozen

from aliecs.access.openid import Provider
from aliecs.access.session import Sessions
from aliecs.errors import Unauthenticated
from aliecs.interfaces import Caller

LASTS_S = 600.0
MOST = 1000


@frozen
class _Login:
    verifier: str
    nonce: str
    redirect: str
    back: str
    ends_s: float


@frozen
class Begun:
    """Where the browser is sent, and what it is to bring back in a cookie."""

    url: str
    state: str


@frozen
class LoggedIn:
    """Somebody is known: the cookie of the session, and where the browser wanted to go."""

    caller: Caller
    cookie: str
    back: str


@define(eq=False)
class Logins:
    """The logins that are under way."""

    provider: Provider
    sessions: Sessions
    secret: str = field(default="", repr=False)
    now_s: Callable[[], float] = time.time
    _logins: OrderedDict[str, _Login] = field(factory=OrderedDict, init=False)

    async def begin(self, redirect: str, back: str) -> Begun:
        """A login; `redirect` is where the provider sends the browser, `back` the page that is
        wanted after it, of this server. Raises `Unavailable`."""
        address = await self.provider.endpoint("authorization_endpoint")
        login = _Login(
            verifier=secrets.token_urlsafe(48),
            nonce=secrets.token_urlsafe(16),
            redirect=redirect,
            back=local_path(back),
            ends_s=self.now_s() + LASTS_S,
        )
        state = secrets.token_urlsafe(24)
        self._logins[state] = login
        while len(self._logins) > MOST:
            self._logins.popitem(last=False)
        digest = hashlib.sha256(login.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.provider.client,
            "redirect_uri": redirect,
            "scope": "openid",
            "state": state,
            "nonce": login.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        mark = "&" if "?" in address else "?"
        return Begun(f"{address}{mark}{urlencode(query)}", state)

    async def finish(self, code: str, state: str, cookie_state: str) -> LoggedIn:
        """The provider has sent the browser back. Raises `Unauthenticated`, and `Unavailable`."""
        login = self._logins.pop(state, None)
        if login is None or login.ends_s <= self.now_s():
            raise Unauthenticated("this login is not known, or took too long: log in again")
        if not hmac.compare_digest(state.encode(), cookie_state.encode()):
            raise Unauthenticated("this login was begun in another browser: log in again")
        answer = await self.provider.post(
            "token_endpoint",
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": login.redirect,
                "code_verifier": login.verifier,
            },
            self.secret,
        )
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Unauthenticated("the identity provider gave no ID token")
        value = await self.provider.verify(token, login.nonce)
        caller = self.provider.claims.caller(value)
        return LoggedIn(caller, self.sessions.begin(caller), login.back)


def local_path(back: str) -> str:
    """A path of this server: a browser is never sent elsewhere."""
    is_local = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    return back if is_local else "/"
