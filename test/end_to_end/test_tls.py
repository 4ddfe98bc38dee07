"""TLS, on real cores: certificates of both sides, replaced while the core runs, and programs that
are trusted by certificate or address."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aliecs.access.token import entry_for, new_token
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.blocking import BlockingChannel
from aliecs.txgrpc.option import ClientTls
from aliecs.txgrpc.status import RpcError
from aliecs.txgrpc.stub import Stub
from test.certificates import Authority
from test.end_to_end.core import RunningCore
from test.end_to_end.workflows import BASE

pytestmark = pytest.mark.end_to_end

SERVICE = aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"]
TOKEN = new_token()


class House:
    """A core with certificates of both sides, and the files of its clients."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.server = self.authority.sign("core.example", file="server")
        self.boss = self.authority.sign("boss.example")
        self.stranger = self.authority.sign("stranger.example")
        tokens = folder / "tokens.yaml"
        tokens.write_text(entry_for("alice", TOKEN, ["global"]))
        settings = {
            "tlsCertificate": str(self.server[0]),
            "tlsKey": str(self.server[1]),
            "tlsClientAuthorities": str(self.authority.path),
            "trustedClients": [{"certificate": "boss.example", "access": ["admin"]}],
            "tokenFile": str(tokens),
        }
        self.core = RunningCore(folder, ["one", "two"], settings, BASE)
        self.core.tls = self.tls(self.boss)
        self.core.https = self.https(self.boss)

    def tls(self, client: tuple[Path, Path] | None) -> ClientTls:
        own = [path.read_bytes() for path in client] if client else [None, None]
        return ClientTls(self.authority.path.read_bytes(), *own)

    def https(self, client: tuple[Path, Path] | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority.path)
        if client:
            context.load_cert_chain(*client)
        return context

    def session(
        self, client: tuple[Path, Path] | None, token: str = "", user: str = ""
    ) -> aliecs_v1_pb2.Session:
        """Who somebody with that certificate is."""
        metadata = {"authorization": f"Bearer {token}"} if token else {}
        options = {"grpc.use_local_subchannel_pool": 1}
        with BlockingChannel(self.core.addresses["grpc"], options, self.tls(client)) as channel:
            stub = Stub(channel, SERVICE)
            request = aliecs_v1_pb2.GetSessionRequest()
            return stub.GetSession(request, deadline_s=10, metadata=metadata)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("tls"))
    with made.core:
        yield made


def served_name(address: str, house: House) -> str:
    """The name in the certificate that a port shows now."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    context = house.https(house.boss)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
    ):
        subject: Any = wrapped.getpeercert()["subject"]
        return str(dict(pair for part in subject for pair in part)["commonName"])


def test_both_faces_speak_tls_only(house: House) -> None:
    assert house.core.addresses["rest"].startswith("https://")
    request = o2control_pb2.GetFrameworkInfoRequest()
    with BlockingChannel(house.core.addresses["grpc"]) as channel:
        stub = Stub(channel, o2control_pb2.DESCRIPTOR.services_by_name["Control"])
        with pytest.raises(RpcError) as caught:
            stub.GetFrameworkInfo(request, deadline_s=5)
    assert caught.value.status == "UNAVAILABLE"
    told = house.core.coconut("info", check=False).stderr
    assert "a core that speaks TLS takes --tls-authority" in told


def test_grpc_takes_a_certificate_of_every_client(house: House) -> None:
    with pytest.raises(RpcError) as caught:
        house.session(None, TOKEN)
    assert caught.value.status == "UNAVAILABLE"


def test_a_trusted_client_speaks_for_people(house: House) -> None:
    session = house.session(house.boss)
    assert (session.name, session.role, session.speaks_for_others) == (
        "boss.example",
        "ADMIN",
        True,
    )
    environment = house.core.create(house.core.template("duo"))
    entries = house.core.rest("GET", "/api/v1/audit?action=NewEnvironment")[1]["entries"]
    assert entries[0]["user"] == "tester"
    assert entries[0]["recognisedBy"] == "certificate boss.example"
    house.core.destroy(environment.id)


def test_a_certificate_without_access_may_look(house: House) -> None:
    session = house.session(house.stranger)
    assert (session.name, session.role) == ("stranger.example", "GUEST")
    assert house.session(house.stranger, TOKEN).role == "GLOBAL", "a token counts more"


def test_rest_asks_for_a_certificate_and_takes_a_token_as_well(house: House) -> None:
    core = house.core
    assert core.rest("GET", "/api/v1/session")[1]["name"] == "boss.example"
    core.https = house.https(None)
    try:
        assert core.rest("GET", "/api/v1/session")[0] == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert core.rest("GET", "/api/v1/session", headers=headers)[1]["name"] == "alice"
    finally:
        core.https = house.https(house.boss)


def test_somebody_elses_authority_does_not_count(house: House, tmp_path: Path) -> None:
    forged = Authority(tmp_path, "Another authority").sign("boss.example")
    with pytest.raises(RpcError):
        house.session(forged)
    core = house.core
    core.https = house.https(forged)
    try:
        with pytest.raises((ssl.SSLError, OSError)):
            core.rest("GET", "/api/v1/session")
    finally:
        core.https = house.https(house.boss)


def test_the_command_line_speaks_tls(house: House, tmp_path: Path) -> None:
    authority = ("--tls-authority", str(house.authority.path))
    own = ("--tls-certificate", str(house.boss[0]), "--tls-key", str(house.boss[1]))
    assert "boss.example" in house.core.coconut("whoami", *authority, *own).stdout
    half = house.core.coconut("whoami", *authority, *own[:2], check=False)
    assert "--tls-certificate and --tls-key go together" in half.stderr
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        json.dumps(
            {
                "tls_authority": authority[1],
                "tls_certificate": own[1],
                "tls_key": own[3],
            }
        )
    )
    assert "ADMIN" in house.core.coconut("whoami", "--config", str(settings)).stdout


def test_a_token_is_not_sent_in_the_clear(house: House, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    told = house.core.coconut(
        "--endpoint", "core.example:32102", "whoami", "--token-file", str(file), check=False
    )
    assert told.returncode == 1
    assert "not sent to core.example:32102 in the clear" in told.stderr


def test_certificates_are_replaced_while_it_runs(house: House) -> None:
    """A broken pair changes nothing; a whole one is served to new connections, and calls that run
    go on."""
    core = house.core
    request = o2control_pb2.SubscribeRequest(id="nobody begins it")
    stream = core.control_stub.Subscribe(request, deadline_s=120)
    before = core.log().count("a new certificate is in force")
    good = [path.read_bytes() for path in house.server]
    house.server[1].write_text("no key")
    core.wait_until(lambda: "no private key" in core.log(), 20.0, "the fault is told")
    assert served_name(core.addresses["grpc"], house) == "core.example"
    house.server[1].write_bytes(good[1])
    house.authority.sign("renewed.example", file="server")
    core.wait_until(
        lambda: core.log().count("a new certificate is in force") > before, 20.0, "it is read"
    )
    for face in ("grpc", "rest"):
        core.wait_until(
            lambda face=face: served_name(core.addresses[face], house) == "renewed.example",
            10.0,
            f"{face} shows it",
        )
    assert core.environments() == []
    stream.close()


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"listenAddress": "0.0.0.0"}, "nobody has said who may do what"),
        ({"tlsCertificate": "{server}"}, "tlsKey: a certificate and its key go together"),
        ({"tlsCertificate": "{server}", "tlsKey": "{other}"}, "is not the key of"),
        ({"tlsCertificate": "{old}", "tlsKey": "{oldkey}"}, "was valid until"),
        ({"tlsCertificate": "{key}", "tlsKey": "{key}"}, "has no certificate"),
        ({"tlsCertificate": "/nowhere", "tlsKey": "/nowhere"}, "No such file"),
        ({"tlsClientAuthorities": "{server}"}, "it takes tlsCertificate and tlsKey, too"),
        ({"tokenFile": "{server}"}, "tokenFile"),
        ({"openIdIssuer": "http://sso.example"}, "is no https:// address"),
        ({"trustedClients": [{"certificate": "x", "access": ["admin"]}]}, "tlsClientAuthorities"),
        ({"trustedClients": [{"address": "here", "access": ["admin"]}]}, "no address or network"),
        ({"trustedClients": [{"address": "10.0.0.1", "access": ["king"]}]}, "'king'"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(
    tmp_path: Path, settings: dict[str, Any], what: str
) -> None:
    authority = Authority(tmp_path)
    server, key = authority.sign("server")
    old, old_key = authority.sign("old", days=-1)
    names = {
        "server": server,
        "key": key,
        "other": authority.sign("other")[1],
        "old": old,
        "oldkey": old_key,
    }
    made = {
        name: value.format(**names) if isinstance(value, str) else value
        for name, value in settings.items()
    }
    core = RunningCore(tmp_path / "core", ["one"], made)
    process = core.launch()
    assert process.wait(60) != 0
    assert what in core.log()
    assert "Traceback" not in core.log()


def test_the_clients_of_the_reference_are_trusted_by_address(tmp_path: Path) -> None:
    """They show nothing and know no TLS."""
    settings = {
        "listenAddress": "0.0.0.0",
        "trustedClients": [{"address": "127.0.0.0/8", "access": ["global"]}],
    }
    core = RunningCore(tmp_path, ["one", "two"], settings, BASE)
    core.start()
    try:
        core.addresses = {
            name: str(address).replace("0.0.0.0", "127.0.0.1")
            for name, address in core.addresses.items()
        }
        session = json.loads(core.coconut("whoami", "-o", "json").stdout)
        assert (session["role"], session["speaksForOthers"]) == ("GLOBAL", True)
        environment = core.create(core.template("duo"), detectors='["ITS"]')
        assert "cross the network as text" in core.log()
        assert "a new environment without the lock of ITS (free)" in core.log()
        reply = core.control(environment.id, "START_ACTIVITY")
        assert reply.state == "RUNNING"
        core.destroy(environment.id, allowInRunningState=True)
        told = core.coconut("shutdown", check=False)
        assert "takes the role ADMIN; " in told.stderr
    finally:
        core.stop()
        core.settings["trustedClients"][0]["access"] = ["admin"]
        core.start()
        core.addresses["grpc"] = core.addresses["grpc"].replace("0.0.0.0", "127.0.0.1")
        core.teardown()
        assert core.end_processes() == []
