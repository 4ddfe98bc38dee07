"""Who calls, and what that person or program may do.

The roles are those of the control room (spec of the reference's web interface): an access list is a
list of words such as `admin`, `global`, `det-its`, as the identity provider of the experiment has
them.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Iterable, Sequence

from attrs import field, frozen
from zope.interface import Attribute, Interface

_DETECTOR = "det-"


class Role(enum.IntEnum):
    """What a caller may do, the mightier the larger."""

    GUEST = 0
    """Look at everything."""
    DETECTOR = 1
    """Act on environments that have the caller's own detectors only."""
    GLOBAL = 2
    """Act on every environment."""
    ADMIN = 3
    """Act on the installation too, and on what belongs to others."""


@frozen
class Caller:
    """Who calls.

    `name` is a login name or what a program is called, `person` the number or subject by which the
    identity provider knows a person for life (empty where nobody knows it), `way` how the caller
    was recognised, for people. A caller that `speaks_for_others` is a program in front of people,
    such as the web interface: whom a request names is the person. What an `unbound` caller may do
    is not looked at: nobody has configured who may what.
    """

    name: str
    person: str = ""
    role: Role = Role.GUEST
    detectors: frozenset[str] = frozenset()
    way: str = ""
    speaks_for_others: bool = False
    unbound: bool = False
    ends_s: float = field(default=float("inf"), eq=False)
    """Unix time from which on the credentials are worth nothing: streams end then."""

    def is_same_person(self, name: str, person: str) -> bool:
        """Names alone are compared only where one of the two has no more."""
        if self.person and person:
            return self.person == person
        return self.name.casefold() == name.casefold()


def role_of(access: Iterable[str]) -> tuple[Role, frozenset[str]]:
    """The role that an access list gives, and its detectors in capitals. Words that nobody knows
    give nothing."""
    words = {word.strip().lower() for word in access}
    detectors = frozenset(
        word.removeprefix(_DETECTOR).upper()
        for word in words
        if word.startswith(_DETECTOR) and len(word) > len(_DETECTOR)
    )
    if "admin" in words:
        return Role.ADMIN, detectors
    if "global" in words:
        return Role.GLOBAL, detectors
    return (Role.DETECTOR if detectors else Role.GUEST), detectors


def is_access_word(word: str) -> bool:
    """True for the words that an access list can have."""
    word = word.strip().lower()
    return word in ("admin", "global", "guest") or (
        word.startswith(_DETECTOR) and word.removeprefix(_DETECTOR).isalnum()
    )


@frozen
class Credentials:
    """What a call brings along to be recognised by.

    `address` is the IP address of the other side, empty for a local socket; `certificate` the names
    in its verified certificate; `bearer` the token of `Authorization: Bearer`, `session` that of a
    browser's cookie, `ticket` the one for a single stream. What is not there is empty.
    """

    address: str = ""
    certificate: Sequence[str] = ()
    bearer: str = ""
    session: str = ""
    ticket: str = ""

    def __repr__(self) -> str:
        # Tokens are never to be read in a log.
        return f"Credentials(address={self.address!r}, certificate={self.certificate!r})"


class IAuthorizer(Interface):
    """Recognises callers by one kind of credentials."""

    name: str = Attribute("what it is called, for people")

    def recognise(credentials: Credentials) -> Awaitable[Caller | None]:
        """Coroutine. The caller; None where these credentials have nothing for this authorizer.
        Raises `Unauthenticated` for credentials that are meant for it and wrong."""
