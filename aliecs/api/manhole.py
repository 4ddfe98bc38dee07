"""The manhole: an operator's Python prompt inside the core, over ssh.

It is opened only where somebody is named who may enter, by public keys or by a password from a
file. The prompt knows the parts of the core by name; `help()` in it says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.checkers import InMemorySSHKeyDB, SSHPublicKeyChecker
from twisted.conch.manhole import ColoredManhole
from twisted.conch.manhole_ssh import ConchFactory, TerminalRealm
from twisted.conch.ssh.keys import BadKeyError, Key
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet.protocol import ServerFactory

from aliecs.errors import SettingsError


@frozen
class Access:
    """Who may enter: `keys_file` in the format of `authorized_keys`, `password_file` with the
    password in its first line; empty where it is not given."""

    user: str
    keys_file: str
    password_file: str

    @property
    def is_open(self) -> bool:
        """True where somebody may enter."""
        return bool(self.keys_file or self.password_file)


def manhole_factory(access: Access, host_key: Path, names: Mapping[str, Any]) -> ServerFactory:
    """The factory to listen with. Makes the host key where it is missing. Raises `SettingsError`
    for files that cannot be read."""
    realm: Any = TerminalRealm()
    realm.chainedProtocolFactory.protocolFactory = lambda _: ColoredManhole(dict(names))
    portal = Portal(realm)
    if access.keys_file:
        keys = _public_keys(Path(access.keys_file))
        portal.registerChecker(SSHPublicKeyChecker(InMemorySSHKeyDB({access.user.encode(): keys})))
    if access.password_file:
        password = _first_line(Path(access.password_file))
        portal.registerChecker(InMemoryUsernamePasswordDatabaseDontUse(**{access.user: password}))
    factory: Any = ConchFactory(portal)
    key = _host_key(host_key)
    factory.publicKeys = {key.sshType(): key.public()}
    factory.privateKeys = {key.sshType(): key}
    made: ServerFactory = factory
    return made


def _public_keys(path: Path) -> list[Key]:
    keys = []
    for number, line in enumerate(_read(path).splitlines(), 1):
        if line.strip() and not line.startswith(b"#"):
            try:
                keys.append(Key.fromString(line))
            except (BadKeyError, ValueError) as error:
                raise SettingsError(f"{path}:{number}: not a public key: {error}") from error
    if not keys:
        raise SettingsError(f"manholeKeys: {path} holds no public key")
    return keys


def _first_line(path: Path) -> bytes:
    lines = _read(path).splitlines()
    if not lines or not lines[0].strip():
        raise SettingsError(f"manholePasswordFile: {path} holds no password")
    return lines[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"manhole: {path} cannot be read: {error.strerror}") from error


def _host_key(path: Path) -> Key:
    if not path.exists():
        text = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        path.touch(mode=0o600)
        path.write_bytes(text)
    try:
        key: Key = Key.fromFile(str(path))
    except (BadKeyError, OSError, ValueError) as error:
        raise SettingsError(f"manholeHostKey: {path} is not a private key: {error}") from error
    return key
