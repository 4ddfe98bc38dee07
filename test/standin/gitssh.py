"""A git server over ssh: Twisted's own ssh, behind it the real git, for whoever has the key."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.conch.avatar import ConchUser
from twisted.conch.checkers import InMemorySSHKeyDB, SSHPublicKeyChecker
from twisted.conch.interfaces import IConchUser, ISession
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.session import SSHSession
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from twisted.python.components import registerAdapter
from zope.interface import implementer


@implementer(ISession)
class GitSession:
    """Runs `git-upload-pack` and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process: Any = None

    def execCommand(self, protocol: Any, command: bytes) -> None:
        program, path = shlex.split(command.decode())
        assert program == "git-upload-pack", program
        place = self.root / path.lstrip("/")
        arguments = ["git", "upload-pack", str(place)]
        self.process = reactor.spawnProcess(protocol, "git", arguments, env=None)  # type: ignore[attr-defined]

    def getPty(self, term: bytes, size: Any, modes: Any) -> None:
        raise NotImplementedError

    def openShell(self, protocol: Any) -> None:
        raise NotImplementedError

    def windowChanged(self, size: Any) -> None: ...

    def eofReceived(self) -> None:
        if self.process is not None:
            self.process.closeStdin()

    def closed(self) -> None: ...


class GitUser(ConchUser):
    """Whoever has the key."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.channelLookup[b"session"] = SSHSession


@implementer(IRealm)
class GitRealm:
    def __init__(self, root: Path) -> None:
        self.root = root

    def requestAvatar(self, name: bytes, mind: Any, *interfaces: Any) -> Any:
        return IConchUser, GitUser(self.root), lambda: None


def make_key(path: Path) -> Key:
    """A new key pair, its private part in a file as `reposSshKey` names one."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    path.with_suffix(".pub").write_bytes(Key(private).public().toString("openssh"))
    return Key(private)


def git_over_ssh(root: Path, host_key: Key, user_key: Key) -> SSHFactory:
    """The factory to listen with: the repositories below `root`, for the user `git`."""
    if ISession(GitUser(root), None) is None:
        registerAdapter(lambda user: GitSession(user.root), GitUser, ISession)
    portal = Portal(GitRealm(root))
    portal.registerChecker(SSHPublicKeyChecker(InMemorySSHKeyDB({b"git": [user_key.public()]})))
    factory = SSHFactory()
    factory.portal = portal
    factory.publicKeys = {b"ssh-rsa": host_key.public()}
    factory.privateKeys = {b"ssh-rsa": host_key}
    return factory
