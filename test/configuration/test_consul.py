"""Consul, the real one: the contract of stores, and what only it can do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from aliecs.configuration import consul as client
from aliecs.configuration.consul import open_session
from aliecs.configuration.consulstore import ConsulStore
from aliecs.configuration.opening import open_configuration
from aliecs.errors import (
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    SettingsError,
    Unavailable,
)
from aliecs.interfaces import IConfigurationStore
from test.configuration.houses import House, local_house, served_house
from test.configuration.test_contract import HouseTestCase, of_house
from test.configuration.test_stores import StoreContract
from test.consul import ConsulServer, find_consul, shared_consul

find_consul()


class ConsulStoreTests(StoreContract, TestCase):
    def setUp(self) -> Deferred[None]:
        self.server = shared_consul()
        return super().setUp()

    def make_store(self) -> IConfigurationStore:
        return ConsulStore(open_session(self.server.address, reactor, {}), reactor)

    async def test_folders_that_people_made_are_seen_only_where_they_are_empty(self) -> None:
        for folder in ("o2/", "o2/components/", "o2/components/qc/", "o2/components/empty/"):
            self.server.put(folder, b"")
        await self.store.put("o2/components/qc/ANY/any/x", "1")
        listed = await self.store.list("o2/components")
        self.assertEqual(listed, ("o2/components/empty/", "o2/components/qc/ANY/any/x"))
        self.assertEqual(await self.store.get("o2/components/qc"), None)

    async def test_keys_and_values_are_seen_as_others_wrote_them(self) -> None:
        self.server.put("a%20b/%C3%BC", "ü€".encode())
        self.assertEqual(await self.store.get("a b/ü"), "ü€")
        await self.store.put("x?y/z#1/%41", "v")
        self.assertEqual(await self.store.list("x?y"), ("x?y/z#1/%41",))
        self.server.put("bytes", b"\xff\xfe")
        with self.assertRaisesRegex(InvalidInput, "no text"):
            await self.store.get("bytes")

    async def test_a_value_that_consul_does_not_take(self) -> None:
        with self.assertRaisesRegex(InvalidInput, "at most 524288"):
            await self.store.put("large", "x" * (512 * 1024 + 1))
        self.assertIsNone(await self.store.get("large"))
        await self.store.put("large", "x" * (300 * 1024))

    async def test_many_values_in_many_transactions(self) -> None:
        values = {f"many/{number % 7}/deep/{number:04}": str(number) for number in range(500)}
        await self.store.put_all(values)
        self.assertEqual(await self.store.items("many"), values)

    async def test_a_value_above_that_appears_meanwhile_is_not_passed_over(self) -> None:
        self.server.put("a/b", b"value")
        with self.assertRaisesRegex(Conflict, "no keys below a/b"):
            await self.store.compare_and_set("a/b/c", None, "x")
        self.assertIsNone(await self.store.get("a/b/c"))

    async def test_more_requests_than_consul_allows_connections(self) -> None:
        await self.store.put("n", "1")
        asked = [Deferred.fromCoroutine(self.store.get("n")) for _ in range(400)]
        results = await DeferredList(asked)
        self.assertEqual(set(results), {(True, "1")})


async def consul_house(test: TestCase, place: Path) -> House:
    """A service over Consul."""
    return await local_house(test, place, f"consul://{shared_consul().address}")


async def served_consul_house(test: TestCase, place: Path) -> House:
    """The client of a service over Consul."""
    return await served_house(test, place, await consul_house(test, place))


ConsulContractTests = of_house(consul_house)
ServedConsulContractTests = of_house(served_consul_house)


class ConsulServiceTests(HouseTestCase):
    build = staticmethod(consul_house)

    async def test_where_tasks_find_consul(self) -> None:
        defaults = await self.service.defaults()
        address = self.store.uri.removeprefix("consul://")
        self.assertEqual(defaults["consul_endpoint"], address)
        self.assertEqual(defaults["consul_hostname"], "127.0.0.1")
        self.assertEqual(defaults["consul_port"], address.partition(":")[2])
        self.assertEqual(defaults["consul_base_uri"], self.store.uri)


class Away(TestCase):
    timeout = 60

    def store(self, address: str, environment: Mapping[str, str] | None = None) -> ConsulStore:
        store = ConsulStore(open_session(address, reactor, environment or {}), reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(store.stop()))
        return store

    async def test_an_address_where_nobody_is(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            port = reserved.getsockname()[1]
        service = open_configuration(f"consul://127.0.0.1:{port}", Path("/"), reactor)
        with self.assertRaisesRegex(Unavailable, f"127.0.0.1:{port} cannot be reached"):
            await service.start()

    async def test_one_that_ends_and_comes_back(self) -> None:
        server = ConsulServer()
        server.start()
        self.addCleanup(server.stop)
        store = self.store(server.address)
        await store.start()
        await store.put("a", "1")
        server.stop()
        with self.assertRaises(Unavailable):
            await store.get("a")
        with self.assertRaises(Unavailable):
            await store.compare_and_set("n", None, "1")
        server.start()
        self.assertIsNone(await store.get("a"))
        self.assertTrue(await store.compare_and_set("n", None, "1"))

    async def test_one_that_says_nothing(self) -> None:
        self.patch(client, "REQUEST_TIMEOUT_S", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            address = f"127.0.0.1:{deaf.getsockname()[1]}"
            store = self.store(address)
            with self.assertRaisesRegex(DeadlineExceeded, "did not answer within 0.3 s"):
                await store.get("a")

    async def test_one_that_talks_nonsense(self) -> None:
        for answer, error in (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>", "something else"),
            (b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nNo leader", "500: No leader"),
            (b"garbage\r\n\r\n", "cannot be reached"),
        ):
            store = self.store(answering(answer))
            with self.assertRaisesRegex(Unavailable, error):
                await store.get("a")

    async def test_a_token_is_needed(self) -> None:
        server = ConsulServer(
            "-hcl",
            'acl { enabled = true default_policy = "deny" tokens { master = "secret" } }',
            "-hcl",
            'primary_datacenter = "dc1"',
        )
        server.token = "secret"
        server.start()
        self.addCleanup(server.stop)
        without = self.store(server.address)
        with self.assertRaisesRegex(Forbidden, "CONSUL_HTTP_TOKEN"):
            await without.put("a", "1")
        with_token = self.store(server.address, {"CONSUL_HTTP_TOKEN": "secret"})
        await with_token.put("a", "1")
        self.assertEqual(await with_token.get("a"), "1")


def answering(answer: bytes) -> str:
    """The address of a server that gives one answer to everybody, whatever is asked."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_certificates_that_are_not_there() -> None:
    environment = {"CONSUL_HTTP_SSL": "true", "CONSUL_CACERT": "/nowhere/ca.pem"}
    with pytest.raises(SettingsError, match="CONSUL_CACERT"):
        open_session("127.0.0.1:8501", reactor, environment)
    with pytest.raises(SettingsError, match="CONSUL_HTTP_TOKEN_FILE"):
        open_session("127.0.0.1:8500", reactor, {"CONSUL_HTTP_TOKEN_FILE": "/nowhere/token"})


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        (["CONSUL_CACERT"], "CONSUL_CACERT: this is not what a PEM file"),
        (["CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY"], "CONSUL_CLIENT_CERT with CONSUL_CLIENT_KEY"),
    ],
)
def test_certificates_that_are_none(variables: list[str], named: str, tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    file.write_text("not a certificate")
    environment = {"CONSUL_HTTP_SSL": "true", **dict.fromkeys(variables, str(file))}
    with pytest.raises(SettingsError, match=named):
        open_session("127.0.0.1:8501", reactor, environment)
