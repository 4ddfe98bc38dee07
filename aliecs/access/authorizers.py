"""Callers recognised without asking anybody: by nothing at all, by a certificate or an address.

A chain of authorizers is asked in turn; the first that knows the caller decides. Credentials that
are meant for one of them and wrong end the search: who shows a bad token is not let in by address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from attrs import define, field, frozen
from zope.interface import implementer

from aliecs.errors import Unauthenticated
from aliecs.interfaces import Caller, Credentials, IAuthorizer, Role, role_of
from aliecs.settings.value import TrustedClient


@implementer(IAuthorizer)
@frozen
class OpenAuthorizer:
    """Everybody may do everything: a core on its own machine, for which nobody configured anything.
    Whom a request names is the person."""

    name: str = "no security"

    async def recognise(self, credentials: Credentials) -> Caller | None:
        """See `IAuthorizer`."""
        return Caller(
            name=credentials.address or "local",
            role=Role.ADMIN,
            way="no security is configured",
            speaks_for_others=True,
            unbound=True,
        )


@implementer(IAuthorizer)
@define(eq=False)
class TrustedClients:
    """Programs such as the web interface of the reference, which know their people themselves: whom
    a request names is the person, and the client's role is what that person may do."""

    clients: Sequence[TrustedClient]
    name: str = field(default="trusted clients", init=False)

    async def recognise(self, credentials: Credentials) -> Caller | None:
        """See `IAuthorizer`. A certificate counts more than an address; neither helps whoever shows
        a token that nobody knows."""
        if credentials.bearer:
            return None
        for client in self.clients:
            if client.certificate and client.certificate in credentials.certificate:
                return _trusted(client, client.certificate, f"certificate {client.certificate}")
        address = _address(credentials.address)
        for client in self.clients:
            if client.network is not None and address is not None and address in client.network:
                return _trusted(client, credentials.address, f"address {client.network}")
        if credentials.certificate:
            # Signed by an authority that we trust, and nobody gave it a role.
            name = credentials.certificate[0]
            return Caller(name, way=f"certificate {name}")
        return None


def _trusted(client: TrustedClient, name: str, way: str) -> Caller:
    role, detectors = role_of(client.access)
    return Caller(name, role=role, detectors=detectors, way=way, speaks_for_others=True)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


@implementer(IAuthorizer)
@frozen
class AnonymousReaders:
    """Whoever shows nothing may look, where that is wanted."""

    name: str = "anonymous"

    async def recognise(self, credentials: Credentials) -> Caller | None:
        """See `IAuthorizer`."""
        if credentials.bearer:
            return None
        return Caller("anonymous", way="nothing was shown")


@define(eq=False)
class Chain:
    """All authorizers of a core, in the order in which they are asked."""

    authorizers: Sequence[IAuthorizer]

    async def recognise(self, credentials: Credentials) -> Caller:
        """The caller. Raises `Unauthenticated` where nobody knows who it is."""
        for authorizer in self.authorizers:
            caller = await authorizer.recognise(credentials)
            if caller is not None:
                return caller
        known = ", ".join(authorizer.name for authorizer in self.authorizers)
        raise Unauthenticated(f"who are you? This core knows its callers by: {known}")
