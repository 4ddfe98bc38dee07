"""The gate of a core, as its settings want it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

from aliecs.access.authorizers import AnonymousReaders, Chain, OpenAuthorizer, TrustedClients
from aliecs.access.gate import Gate
from aliecs.access.lock import Locks
from aliecs.access.login import Logins
from aliecs.access.openid import Claims, Provider
from aliecs.access.session import Sessions
from aliecs.access.token import TokenFile
from aliecs.errors import SettingsError
from aliecs.event.record import LockEvent
from aliecs.interfaces import IAuthorizer, Memory, Role
from aliecs.settings.core import Settings
from aliecs.tls import Certificates

SESSION_KEY = "session.key"


@define(eq=False)
class Access:
    """What lets callers in: the gate, the certificates, and how browsers log in. `logins` is None
    without a provider, `certificates` without TLS."""

    gate: Gate
    sessions: Sessions
    certificates: Certificates | None
    logins: Logins | None
    is_open: bool
    """No security is configured."""
    public_url: str
    _watched: list[Callable[[], object]] = field(factory=list)

    def is_own_name(self, host: str) -> bool:
        """True for what may stand before a port that only this machine can reach: an address, this
        machine's own name, or that of `publicUrl`."""
        if not host or host == urlsplit(self.public_url).netloc:
            return True
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in ("localhost", socket.gethostname().lower()):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def refresh(self) -> None:
        """Look whether a file changed; to be called every few seconds."""
        for look in self._watched:
            look()


async def open_access(
    settings: Settings,
    folder: Path,
    reactor: Any,
    memory: Memory,
    tell: Callable[[LockEvent], object],
) -> Access:
    """Make everything, and read all files. Raises `SettingsError` that names the setting, and
    `Unavailable`."""
    certificates = _certificates(settings)
    watched: list[Callable[[], object]] = [certificates.refresh] if certificates else []
    sessions = Sessions(folder / SESSION_KEY)
    logins = None
    authorizers: list[IAuthorizer] = []
    if settings.token_file:
        tokens = TokenFile(Path(settings.token_file))
        tokens.load()
        watched.append(tokens.refresh)
        authorizers.append(tokens)
    if settings.open_id_issuer:
        provider = _provider(settings, reactor)
        logins = Logins(provider, sessions, _secret(settings.open_id_secret_file))
        authorizers.append(provider)
    if settings.trusted_clients or settings.tls_client_authorities:
        authorizers.append(TrustedClients(settings.trusted_clients))
    is_open = not authorizers
    check_listening(settings, is_open)
    if is_open:
        authorizers.append(OpenAuthorizer())
    else:
        sessions.load()
        authorizers.insert(0, sessions)
    if settings.anonymous_reads and not is_open:
        authorizers.append(AnonymousReaders())
    locks = Locks(memory, tell)
    await locks.load()
    force = Role.GLOBAL if settings.force_locks_role == "global" else Role.ADMIN
    gate = Gate(Chain(authorizers), locks, settings.lock_policy, force)
    return Access(gate, sessions, certificates, logins, is_open, settings.public_url, watched)


def check_listening(settings: Settings, is_open: bool) -> None:
    """A core that does not know its callers is for its own machine only. Raises `SettingsError`."""
    if not is_open or is_loopback(settings.listen_address):
        return
    raise SettingsError(
        f"listenAddress: {settings.listen_address} lets other machines in, and nobody has said who "
        "may do what: name somebody with trustedClients, tokenFile or openIdIssuer, or listen on "
        "127.0.0.1"
    )


def is_loopback(address: str) -> bool:
    """True for addresses that only this machine can reach."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _certificates(settings: Settings) -> Certificates | None:
    if not settings.tls_certificate and not settings.tls_key:
        if settings.tls_client_authorities:
            raise SettingsError("tlsClientAuthorities: it takes tlsCertificate and tlsKey, too")
        if any(client.certificate for client in settings.trusted_clients):
            raise SettingsError(
                "trustedClients: clients show certificates only where tlsCertificate, tlsKey and "
                "tlsClientAuthorities are set"
            )
        return None
    if not settings.tls_certificate or not settings.tls_key:
        missing = "tlsKey" if settings.tls_certificate else "tlsCertificate"
        raise SettingsError(f"{missing}: a certificate and its key go together; this one is empty")
    authorities = settings.tls_client_authorities
    certificates = Certificates(
        Path(settings.tls_certificate),
        Path(settings.tls_key),
        Path(authorities) if authorities else None,
    )
    certificates.load()
    return certificates


def _provider(settings: Settings, reactor: Any) -> Provider:
    issuer = settings.open_id_issuer
    if not issuer.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise SettingsError(f"openIdIssuer: {issuer!r} is no https:// address")
    return Provider(
        issuer,
        settings.open_id_client,
        reactor,
        settings.open_id_audiences,
        Claims(
            settings.open_id_access_claim,
            settings.open_id_name_claim,
            settings.open_id_person_claim,
        ),
    )


def _secret(path: str) -> str:
    if not path:
        return ""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"openIdSecretFile: {path} cannot be read: {error}") from error
    if not lines or not lines[0].strip():
        raise SettingsError(f"openIdSecretFile: the first line of {path} is empty")
    return lines[0].strip()
