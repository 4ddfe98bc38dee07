"""Certificates of our servers: read from files, and again when the files change.

New connections get what is in force at their time, old ones go on. Files that do not go together,
as between the two steps of replacing them, leave the last good ones in force; that is told once for
each fault, and looked at again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.internet.ssl import CertificateOptions, TLSVersion, trustRootFromCertificates
from twisted.logger import Logger
from zope.interface import implementer

from aliecs.errors import SettingsError

LOOK_S = 5.0
"""How often somebody is to call `refresh`."""


@frozen
class Pem:
    """One state of the files, checked. `authorities` is None where clients are not asked."""

    certificate: bytes
    key: bytes
    authorities: bytes | None
    ends: datetime


@define(eq=False)
class Certificates:
    """The files of one server, in PEM; without `authorities` no client is asked for a
    certificate."""

    certificate: Path
    key: Path
    authorities: Path | None = None
    _pem: Pem | None = field(default=None, init=False)
    _seen: Sequence[Any] = field(default=(), init=False)
    _fault: str = field(default="", init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _log: Logger = field(factory=Logger, init=False)

    def load(self) -> None:
        """Read them for the first time. Raises `SettingsError`."""
        seen = self._look()
        pem = self._read()
        self._seen = seen
        self._pem = pem

    @property
    def pem(self) -> Pem:
        """What is in force. From any thread."""
        if self._pem is None:
            raise AssertionError("the certificates were not read")
        return self._pem

    def refresh(self) -> bool:
        """Read them again where they changed; True where others are in force now."""
        try:
            seen = self._look()
            if seen == self._seen:
                return False
            pem = self._read()
        except SettingsError as error:
            if error.message != self._fault:
                self._fault = error.message
                self._log.error(
                    "{reason}; the certificate read before stays in force", reason=error.message
                )
            return False
        self._seen, self._pem, self._fault = seen, pem, ""
        self._log.info("a new certificate is in force, until {ends}", ends=pem.ends)
        return True

    def _paths(self) -> Sequence[tuple[str, Path]]:
        paths = [("tlsCertificate", self.certificate), ("tlsKey", self.key)]
        if self.authorities is not None:
            paths.append(("tlsClientAuthorities", self.authorities))
        return paths

    def _look(self) -> Sequence[Any]:
        seen = []
        for setting, path in self._paths():
            try:
                found = path.stat()
            except OSError as error:
                raise SettingsError(f"{setting}: {path}: {error.strerror}") from error
            seen.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return seen

    def _read(self) -> Pem:
        texts = {}
        for setting, path in self._paths():
            try:
                texts[setting] = path.read_bytes()
            except OSError as error:
                raise SettingsError(f"{setting}: {path}: {error.strerror}") from error
        certificate = _certificates("tlsCertificate", self.certificate, texts["tlsCertificate"])[0]
        try:
            key = load_pem_private_key(texts["tlsKey"], None)
        except (ValueError, TypeError) as error:
            raise SettingsError(f"tlsKey: {self.key} has no private key: {error}") from None
        if _public(certificate) != _public(key):
            raise SettingsError(f"tlsKey: {self.key} is not the key of {self.certificate}")
        ends = certificate.not_valid_after_utc
        if ends <= datetime.now(UTC):
            raise SettingsError(f"tlsCertificate: {self.certificate} was valid until {ends}")
        authorities = texts.get("tlsClientAuthorities")
        if authorities is not None and self.authorities is not None:
            _certificates("tlsClientAuthorities", self.authorities, authorities)
        return Pem(texts["tlsCertificate"], texts["tlsKey"], authorities, ends)


@implementer(IOpenSSLContextFactory)
class ContextFactory:
    """What Twisted takes for a port with TLS: every connection gets what is in force."""

    def __init__(self, certificates: Certificates, needs_client_certificate: bool) -> None:
        self._certificates = certificates
        self._needs_client_certificate = needs_client_certificate
        self._made: tuple[Pem, SSL.Context] | None = None

    def getContext(self) -> SSL.Context:  # noqa: N802
        """See `IOpenSSLContextFactory`."""
        pem = self._certificates.pem
        if self._made is None or self._made[0] is not pem:
            self._made = (pem, self._context(pem))
        return self._made[1]

    def _context(self, pem: Pem) -> SSL.Context:
        chain = [
            crypto.X509.from_cryptography(one)
            for one in x509.load_pem_x509_certificates(pem.certificate)
        ]
        client: dict[str, Any] = {}
        if pem.authorities is not None:
            roots = [
                TwistedCertificate(crypto.X509.from_cryptography(one))
                for one in x509.load_pem_x509_certificates(pem.authorities)
            ]
            client = {"trustRoot": trustRootFromCertificates(roots)}
        options = CertificateOptions(
            privateKey=crypto.PKey.from_cryptography_key(load_pem_private_key(pem.key, None)),  # type: ignore[arg-type]
            certificate=chain[0],
            extraCertChain=chain[1:],
            raiseMinimumTo=TLSVersion.TLSv1_2,
            **client,
        )
        context: SSL.Context = options.getContext()
        if pem.authorities is not None and not self._needs_client_certificate:
            # Twisted's options know only clients that have to show one.
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE)
        # Sessions are told apart by it where clients show certificates.
        context.set_session_id(b"aliecs")
        return context


def names_in(certificate: x509.Certificate) -> Sequence[str]:
    """The names that a certificate gives its holder: its common name, then the alternatives."""
    names = [
        str(one.value)
        for one in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    ]
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return names
    return [*names, *(str(one.value) for one in found.value)]


def _certificates(setting: str, path: Path, text: bytes) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError as error:
        raise SettingsError(f"{setting}: {path} has no certificate: {error}") from None


def _public(holder: Any) -> bytes:
    public: bytes = holder.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return public
