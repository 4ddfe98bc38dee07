"""Who a command line is for the core: its token and certificates, read from files."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

from aliecs.cli.option import ClientSettings
from aliecs.errors import InvalidInput
from aliecs.txgrpc.option import ClientTls


def tls_of(settings: ClientSettings) -> ClientTls | None:
    """How to speak TLS; None for in the clear. Raises `InvalidInput`."""
    if not settings.tls_authority and not settings.tls_certificate:
        return None
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise InvalidInput("--tls-certificate and --tls-key go together: one of them is missing")
    own = [
        _bytes("--tls-certificate", settings.tls_certificate),
        _bytes("--tls-key", settings.tls_key),
    ]
    authority = settings.tls_authority
    known = None if authority in ("", "system") else _bytes("--tls-authority", authority)
    return ClientTls(known, *own)


def metadata_of(settings: ClientSettings, tls: ClientTls | None) -> Mapping[str, str]:
    """Who asks, as every call to the core says it. Raises `InvalidInput`, also where the token
    would cross a network in the clear."""
    metadata = token_of(settings)
    if metadata and tls is None and not is_here(settings.endpoint):
        raise InvalidInput(
            f"the token is not sent to {settings.endpoint} in the clear: say with --tls-authority "
            "who signs the certificate of the core"
        )
    return metadata


def token_of(settings: ClientSettings) -> Mapping[str, str]:
    """The token as metadata; empty without one. Raises `InvalidInput`."""
    content = _bytes("--token-file", settings.token_file)
    if content is None:
        return {}
    token = content.decode("ascii", "replace").strip()
    if not token or not token.isprintable() or " " in token:
        raise InvalidInput(f"--token-file: {settings.token_file} is not a token in one line")
    return {"authorization": f"Bearer {token}"}


def is_here(endpoint: str) -> bool:
    """True for an endpoint of this machine."""
    host = endpoint.rpartition(":")[0].strip("[]")
    if host == "localhost" or endpoint.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bytes(option: str, path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{option}: {path} cannot be read: {error.strerror}") from None
