"""Tokens in a file: for scripts, and for people where there is no identity provider.

The file is YAML, a list of `{name, hash, access, expires}`. It has only hashes: whoever reads it
cannot call with what is in it. A token is 32 random bytes, so that one round of SHA-256 is enough;
there is nothing to guess that a slower hash would protect. The file is read again when it changes;
one that cannot be understood leaves the last good one in force and is told loudly.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from attrs import define, field
from twisted.logger import Logger
from zope.interface import implementer

from aliecs.errors import SettingsError, Unauthenticated
from aliecs.interfaces import Caller, Credentials, IAuthorizer, is_access_word, role_of

PREFIX = "aliecs_"
"""Tokens begin with it: they are told from those of an identity provider, and found by whoever
looks for secrets where none should be."""

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_FIELDS = {"name", "hash", "access", "expires"}


def new_token() -> str:
    """A token that nobody has."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What stands in the file for a token."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def read_tokens(text: str, where: str) -> Mapping[str, Caller]:
    """Whom the tokens are of, by their hashes. Raises `SettingsError` that names the entry and the
    fault."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"{where}: {' '.join(str(error).split())}") from None
    if value is None:
        return {}
    if not isinstance(value, list):
        raise SettingsError(f"{where}: a list of tokens is expected, each with name, hash, access")
    tokens: dict[str, Caller] = {}
    for number, entry in enumerate(value, start=1):
        try:
            hashed, caller = _token(entry)
        except ValueError as fault:
            raise SettingsError(f"{where}: token {number}: {fault}") from None
        if hashed in tokens:
            raise SettingsError(f"{where}: token {number}: its hash is there twice")
        tokens[hashed] = caller
    return tokens


def _token(entry: Any) -> tuple[str, Caller]:
    if not isinstance(entry, dict) or not set(entry) <= _FIELDS:
        raise ValueError(f"a token is a map with {', '.join(sorted(_FIELDS))}")
    name, hashed = entry.get("name"), entry.get("hash")
    if not isinstance(name, str) or not name.strip():
        raise ValueError("it has no name")
    if not isinstance(hashed, str) or _HASH.fullmatch(hashed) is None:
        raise ValueError(f"the hash of {name!r} is not `sha256:` and 64 hexadecimal digits")
    access = entry.get("access", [])
    access = access.split() if isinstance(access, str) else access
    if not isinstance(access, list) or not all(isinstance(word, str) for word in access):
        raise ValueError(f"the access of {name!r} is not a list of words")
    unknown = [word for word in access if not is_access_word(word)]
    if unknown:
        raise ValueError(
            f"the access of {name!r} has {unknown[0]!r}; it can be admin, global, guest, det-<name>"
        )
    role, detectors = role_of(access)
    ends_s = _end_of(entry.get("expires"))
    caller = Caller(name.strip(), role=role, detectors=detectors, way="token", ends_s=ends_s)
    return hashed, caller


def _end_of(expires: Any) -> float:
    if expires is None:
        return float("inf")
    if isinstance(expires, datetime):
        moment = expires if expires.tzinfo is not None else expires.replace(tzinfo=UTC)
        return moment.timestamp()
    if isinstance(expires, date):
        return datetime(expires.year, expires.month, expires.day, tzinfo=UTC).timestamp()
    raise ValueError("expires is not a date such as 2027-12-31, or a time with it")


@implementer(IAuthorizer)
@define(eq=False)
class TokenFile:
    """The tokens of one file."""

    path: Path
    now_s: Callable[[], float] = time.time
    name: str = field(default="token", init=False)
    _tokens: Mapping[str, Caller] = field(factory=dict, init=False)
    _seen: tuple[int, ...] = field(default=(), init=False)
    _log: Logger = field(factory=Logger, init=False)

    def load(self) -> None:
        """Read the file for the first time. Raises `SettingsError`."""
        self._seen = self._look()
        self._tokens = self._read()

    def refresh(self) -> None:
        """Read the file again where it changed."""
        try:
            seen = self._look()
            if seen == self._seen:
                return
            self._seen = seen
            self._tokens = self._read()
        except SettingsError as error:
            self._log.error("{reason}; the tokens read before stay valid", reason=error.message)
        else:
            self._log.info("{path}: {count} tokens", path=self.path, count=len(self._tokens))

    async def recognise(self, credentials: Credentials) -> Caller | None:
        """See `IAuthorizer`."""
        if not credentials.bearer.startswith(PREFIX):
            return None
        # Found by its hash: how long it takes says nothing about any other token.
        caller = self._tokens.get(hash_of(credentials.bearer))
        if caller is None:
            raise Unauthenticated("the token is not known here: it was mistyped, or taken back")
        if caller.ends_s <= self.now_s():
            raise Unauthenticated(f"the token of {caller.name} is too old: ask for another")
        return caller

    def _look(self) -> tuple[int, ...]:
        try:
            found = self.path.stat()
        except OSError as error:
            self._seen = ()
            raise SettingsError(
                f"tokenFile: {self.path} cannot be read: {error.strerror}"
            ) from error
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> Mapping[str, Caller]:
        try:
            text = self.path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            self._seen = ()
            raise SettingsError(f"tokenFile: {self.path} cannot be read: {error}") from error
        return read_tokens(text, f"tokenFile: {self.path}")


def entry_for(name: str, token: str, access: Sequence[str], expires: str = "") -> str:
    """The lines of the file that let a token in."""
    entry: dict[str, Any] = {"name": name, "hash": hash_of(token), "access": list(access)}
    if expires:
        entry["expires"] = date.fromisoformat(expires)
    return yaml.safe_dump([entry], sort_keys=False, default_flow_style=None, width=200)
