"""A certificate authority for tests, and certificates that it signs."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


class Authority:
    """Signs certificates; `path` is its own, in PEM, in `folder`."""

    def __init__(self, folder: Path, name: str = "Authority of a test") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        certificate = _certificate(self.name, self.name, self.key.public_key(), [], 30, True)
        self.certificate = certificate.sign(self.key, hashes.SHA256())
        self.path = folder / "authority.pem"
        self.path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def sign(self, name: str, days: int = 30, file: str = "") -> tuple[Path, Path]:
        """A certificate for a server of this machine, or a client, called `name`, that ends in so
        many days; gives the paths of it and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        certificate = _certificate(
            _name(name), self.name, key.public_key(), alternatives, days, False
        ).sign(self.key, hashes.SHA256())
        paths = self.folder / f"{file or name}.pem", self.folder / f"{file or name}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    alternatives: list[x509.GeneralName],
    days: int,
    is_authority: bool,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder
