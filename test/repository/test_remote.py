"""Clones over a network: the real git as the server, and servers that misbehave."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pygit2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.protocols.policies import WrappingFactory
from twisted.trial.unittest import TestCase
from twisted.web.server import Site
from twisted.web.twcgi import CGIScript

from aliecs.errors import DeadlineExceeded, Unavailable
from aliecs.repository.git import Clone, Reach, limit_network_waits
from test.repository.gitting import WorkingCopy
from test.standin.gitssh import git_over_ssh, make_key

BACKEND = (
    subprocess.run(
        ["git", "--exec-path"], check=True, capture_output=True, text=True
    ).stdout.strip()
    + "/git-http-backend"
)


class GitHttp(CGIScript):
    """The real git, serving every repository below a folder over HTTP."""

    isLeaf = True

    def __init__(self, root: Path) -> None:
        super().__init__(BACKEND)
        self.root = root

    def render(self, request: Any) -> Any:
        # The base class stumbles over the rest of the path, which it has as bytes.
        request.postpath = []
        return super().render(request)

    def runProcess(self, env: dict[str, str], request: Any, qargs: Any = ()) -> None:
        env["GIT_PROJECT_ROOT"] = str(self.root)
        env["GIT_HTTP_EXPORT_ALL"] = "1"
        env["PATH_INFO"] = request.path.decode()
        env["PATH"] = os.environ["PATH"]
        super().runProcess(env, request, qargs)


class RemoteTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        limit_network_waits(4.0)
        self.addCleanup(limit_network_waits, 20.0)

    def clone(self, url: str, timeout_s: float = 20.0, ssh_key: str = "") -> Clone:
        self.closing = threading.Event()
        reach = Reach(url, ssh_key, timeout_s, self.closing)
        return Clone("host.tld/a/b", self.place / "clone.git", reach)

    def serve(self, root: Path) -> str:
        return f"http://127.0.0.1:{self.listen(Site(GitHttp(root)), None)}"

    def listen(self, served: Any, certificate: Any) -> int:
        factory = WrappingFactory(served)
        port: Any = (
            reactor.listenTCP(0, factory, interface="127.0.0.1")
            if certificate is None
            else reactor.listenSSL(0, factory, certificate.options(), interface="127.0.0.1")
        )

        async def stop() -> None:
            await port.stopListening()
            # A client that gives up in the middle leaves its connection to us.
            while factory.protocols:
                for protocol in list(factory.protocols):
                    protocol.transport.abortConnection()
                await deferLater(reactor, 0.01)

        self.addCleanup(lambda: Deferred.fromCoroutine(stop()))
        number: int = port.getHost().port
        return number

    async def test_over_http(self) -> None:
        remote = WorkingCopy(self.place / "served" / "flows")
        first = remote.commit(one="first")
        remote.git("tag", "v1")
        clone = self.clone(f"{self.serve(self.place / 'served')}/flows/.git")
        await deferToThread(clone.update)
        self.assertEqual(clone.read(clone.resolve("v1"), "workflows/one.yaml"), b"first")
        second = remote.commit(one="second")
        await deferToThread(clone.update)
        self.assertEqual(clone.resolve("main"), second)
        self.assertEqual(clone.resolve(first[:10]), first)

    async def test_over_https(self) -> None:
        remote = WorkingCopy(self.place / "served" / "flows")
        first = remote.commit(one="first")
        certificate = self_signed(self.place / "server.pem")
        port = self.listen(Site(GitHttp(self.place / "served")), certificate)
        url = f"https://127.0.0.1:{port}/flows/.git"
        with self.assertRaisesRegex(Unavailable, "certificate"):
            await deferToThread(self.clone(url).update)
        pygit2.settings.set_ssl_cert_locations(str(self.place / "server.pem"), None)
        clone = self.clone(url)
        await deferToThread(clone.update)
        self.assertEqual(clone.resolve("main"), first)

    async def test_over_ssh(self) -> None:
        remote = WorkingCopy(self.place / "served" / "flows")
        first = remote.commit(one="first")
        host_key = make_key(self.place / "host_key")
        user_key = make_key(self.place / "user_key")
        make_key(self.place / "other_key")
        port = self.listen(git_over_ssh(self.place / "served", host_key, user_key), None)
        url = f"ssh://git@127.0.0.1:{port}/flows/.git"
        self.addCleanup(setattr, pygit2.settings, "homedir", pygit2.settings.homedir)
        pygit2.settings.homedir = str(self.place)
        with self.assertRaisesRegex(Unavailable, "key of 127.0.0.1 is not known here"):
            await deferToThread(self.clone(url, ssh_key=str(self.place / "user_key")).update)
        (self.place / ".ssh").mkdir()
        line = host_key.public().toString("openssh").decode()
        (self.place / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {line}\n")
        for key in ("", str(self.place / "other_key"), str(self.place / "nowhere")):
            with self.assertRaisesRegex(Unavailable, "cannot be fetched"):
                await deferToThread(self.clone(url, ssh_key=key).update)
        clone = self.clone(url, ssh_key=str(self.place / "user_key"))
        await deferToThread(clone.update)
        self.assertEqual(clone.resolve("main"), first)
        second = remote.commit(one="second")
        await deferToThread(clone.update)
        self.assertEqual(clone.resolve("main"), second)

    async def test_a_repository_that_the_server_does_not_have(self) -> None:
        clone = self.clone(f"{self.serve(self.place)}/nothing.git")
        with self.assertRaisesRegex(Unavailable, "nothing.git cannot be fetched: .*404"):
            await deferToThread(clone.update)
        self.assertFalse(clone.exists)
        self.assertEqual(list(self.place.glob(".clone-*")), [])

    async def test_a_server_that_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            clone = self.clone(f"http://127.0.0.1:{silent.getsockname()[1]}/x.git")
            begin = time.monotonic()
            with self.assertRaisesRegex(Unavailable, "cannot be fetched"):
                await deferToThread(clone.update)
            self.assertLess(time.monotonic() - begin, 20)

    async def test_a_fetch_that_takes_too_long_or_is_given_up(self) -> None:
        remote = WorkingCopy(self.place / "served" / "flows")
        remote.commit(one="first")
        url = f"{self.serve(self.place / 'served')}/flows/.git"
        with self.assertRaisesRegex(DeadlineExceeded, "not fetched within 0 s"):
            await deferToThread(self.clone(url, timeout_s=0.0).update)
        clone = self.clone(url)
        self.closing.set()
        with self.assertRaises(DeadlineExceeded):
            await deferToThread(clone.update)
        self.assertFalse(clone.exists)


def self_signed(path: Path) -> PrivateCertificate:
    """A certificate for 127.0.0.1 that nobody vouches for but itself, written to `path`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return PrivateCertificate.loadPEM(private + pem)
