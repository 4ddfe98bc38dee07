"""Sessions of browsers: a signed cookie, and one-time tickets for streams.

A session is a JWT that the core signs for itself with a key in its working folder, so that a
restart of the core logs nobody out. Whoever logs out is remembered until the session would have
ended; that much a restart forgets, and the browser has forgotten the cookie by then.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from attrs import define, field
from zope.interface import implementer

from aliecs.errors import Unauthenticated, Unavailable
from aliecs.interfaces import Caller, Credentials, IAuthorizer, Role

LASTS_S = 12 * 3600.0
"""A shift and its hand-over."""
TICKET_LASTS_S = 30.0
MOST = 10_000
KEY_BYTES = 32
ALGORITHM = "HS256"


@implementer(IAuthorizer)
@define(eq=False)
class Sessions:
    """The sessions of one core; `path` is the file of its key."""

    path: Path
    now_s: Callable[[], float] = time.time
    name: str = field(default="session", init=False)
    _key: bytes = field(default=b"", init=False, repr=False)
    _ended: OrderedDict[str, float] = field(factory=OrderedDict, init=False)
    _tickets: OrderedDict[str, tuple[Caller, float]] = field(factory=OrderedDict, init=False)

    def load(self) -> None:
        """Read the key, or make one. Raises `Unavailable`."""
        try:
            self._key = self.path.read_bytes()
        except FileNotFoundError:
            self._key = b""
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be read: {error.strerror}") from error
        if len(self._key) == KEY_BYTES:
            return
        self._key = secrets.token_bytes(KEY_BYTES)
        draft = self.path.with_suffix(".new")
        try:
            # Nobody else may ever read it, not for a moment.
            draft.unlink(missing_ok=True)
            number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(number, "wb") as file:
                file.write(self._key)
            draft.replace(self.path)
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be written: {error.strerror}") from error

    def begin(self, caller: Caller) -> str:
        """A session for somebody who was recognised; the text of the cookie."""
        value = {
            "jti": secrets.token_urlsafe(12),
            "exp": int(self.now_s() + LASTS_S),
            "sub": caller.name,
            "person": caller.person,
            "role": int(caller.role),
            "detectors": sorted(caller.detectors),
            "way": caller.way,
        }
        return jwt.encode(value, self._key, ALGORITHM)

    def end(self, cookie: str) -> None:
        """It is over, whoever still has the cookie."""
        try:
            value = self._read(cookie)
        except Unauthenticated:
            return
        self._ended[str(value["jti"])] = float(value["exp"])
        self._forget(self._ended, lambda ends_s: ends_s)

    def ticket(self, caller: Caller) -> str:
        """A text that stands for the caller once, within half a minute: a browser cannot send a
        header with the request that opens a stream."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = caller, self.now_s() + TICKET_LASTS_S
        self._forget(self._tickets, lambda kept: kept[1])
        return ticket

    async def recognise(self, credentials: Credentials) -> Caller | None:
        """See `IAuthorizer`."""
        if credentials.ticket:
            caller, ends_s = self._tickets.pop(credentials.ticket, (None, 0.0))
            if caller is None or ends_s <= self.now_s():
                raise Unauthenticated("the ticket was used, or is too old: ask for another")
            return caller
        if not credentials.session or credentials.bearer:
            return None
        value = self._read(credentials.session)
        if str(value["jti"]) in self._ended:
            raise Unauthenticated("you have logged out: log in again")
        return Caller(
            name=str(value["sub"]),
            person=str(value["person"]),
            role=Role(value["role"]),
            detectors=frozenset(value["detectors"]),
            way=str(value["way"]),
            ends_s=float(value["exp"]),
        )

    def _read(self, cookie: str) -> dict[str, Any]:
        try:
            value: dict[str, Any] = jwt.decode(
                cookie,
                self._key,
                algorithms=[ALGORITHM],
                options={"require": ["exp", "jti", "sub"], "verify_exp": False},
            )
        except jwt.PyJWTError:
            raise Unauthenticated("the session is not one of this core: log in again") from None
        if value["exp"] <= self.now_s():
            raise Unauthenticated("the session is over: log in again")
        return value

    def _forget(self, kept: OrderedDict[str, Any], ends_s: Callable[[Any], float]) -> None:
        """Drop what is over anyway, and the oldest of too many."""
        while kept and (len(kept) > MOST or ends_s(next(iter(kept.values()))) <= self.now_s()):
            kept.popitem(last=False)
