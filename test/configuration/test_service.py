"""The meaning of the tree: the same answers over every store."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from aliecs.configuration.importing import import_text
from aliecs.configuration.opening import open_configuration, open_store, open_tree
from aliecs.configuration.query import ComponentQuery, parse_query
from aliecs.configuration.service import LocalConfigurationService
from aliecs.errors import (
    Conflict,
    Exhausted,
    InvalidInput,
    NotFound,
    NotImplementedYet,
    SettingsError,
)
from aliecs.interfaces import IConfigurationService

TREE = Path(__file__).parent / "tree.yaml"


class ServiceContract:
    timeout = 30
    uri = ""

    def setUp(self: Any) -> Deferred[None]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        (self.place / "tree.yaml").touch()
        self.address = self.uri.format(place=self.place)
        self.service: LocalConfigurationService = open_configuration(
            self.address, self.place, reactor
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(self.service.stop()))
        return Deferred.fromCoroutine(self.fill())

    async def fill(self: Any) -> None:
        await self.service.start()
        await import_text(self.service.store, TREE.read_bytes(), "tree.yaml")

    async def test_it_is_a_service(self: Any) -> None:
        verifyObject(IConfigurationService, self.service)

    async def test_run_numbers_start_at_one_and_go_on(self: Any) -> None:
        self.assertEqual(await self.service.new_run_number(), 1)
        self.assertEqual(await self.service.new_run_number(), 2)
        self.assertEqual(await self.service.store.get("o2/runtime/run_number"), "2")
        await self.service.store.put("o2/runtime/run_number", "500000")
        self.assertEqual(await self.service.new_run_number(), 500001)

    async def test_run_numbers_are_given_once_to_many_askers(self: Any) -> None:
        other = open_configuration(self.address, self.place, reactor)
        await other.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(other.stop()))
        askers = [self.service, other] * 8
        asked = [Deferred.fromCoroutine(asker.new_run_number()) for asker in askers]
        self.assertEqual(sorted(await gatherResults(asked)), list(range(1, 17)))

    async def test_a_run_number_that_is_none(self: Any) -> None:
        await self.service.store.put("o2/runtime/run_number", "12\n")
        with self.assertRaisesRegex(Conflict, "no run number"):
            await self.service.new_run_number()
        await self.service.store.put("o2/runtime/run_number", str(2**32 - 1))
        with self.assertRaisesRegex(Exhausted, "no run numbers left"):
            await self.service.new_run_number()
        self.assertEqual(await self.service.store.get("o2/runtime/run_number"), str(2**32 - 1))

    async def test_defaults_and_variables(self: Any) -> None:
        defaults = await self.service.defaults()
        self.assertEqual(defaults["key1"], "value1")
        self.assertEqual(defaults["blank"], "value")
        self.assertNotIn("nested", defaults)
        self.assertTrue(defaults["core_hostname"])
        self.assertEqual(defaults["framework_id"], "")
        self.assertEqual(defaults["consul_base_uri"], self.service.store.uri)
        self.assertEqual(await self.service.variables(), {"key2": "value2"})

    async def test_runtime_entries(self: Any) -> None:
        self.assertEqual(await self.service.runtime_get("COG-v1", "some"), "{}")
        await self.service.runtime_set("trg/ltu", "file", "x")
        self.assertEqual(await self.service.runtime_get("trg", "ltu/file"), "x")
        self.assertEqual(await self.service.runtime_list("trg"), ["ltu/file"])
        await self.service.runtime_set("", "flp_suite_version", "1")
        self.assertEqual(await self.service.runtime_get("", "flp_suite_version"), "1")
        self.assertIn("COG-v1/some", await self.service.runtime_list(""))
        self.assertEqual(await self.service.runtime_list("nothing"), [])
        with self.assertRaisesRegex(NotFound, "o2/runtime/a/b"):
            await self.service.runtime_get("a", "b")

    async def test_no_runtime_entry_lies_outside(self: Any) -> None:
        with self.assertRaises(InvalidInput):
            await self.service.runtime_set("a", "../../components/qc/ANY/any/x", "y")
        with self.assertRaises(InvalidInput):
            await self.service.runtime_get("..", "components")

    async def test_payloads(self: Any) -> None:
        for path, payload in (
            ("qc/PHYSICS/role1/entry1", "entry1 config PHYSICS role1"),
            ("qc/ANY/any/entry1", "entry1 config ANY any"),
            (" qc/ANY/any/sub/entry12 ", "world"),
        ):
            self.assertEqual(await self.service.component_payload(path, None), payload)
            self.assertEqual(await self.service.component_payload(path, {"a": "b"}), payload)

    async def test_payloads_are_found_by_their_exact_path_only(self: Any) -> None:
        with self.assertRaisesRegex(NotFound, "o2/components/qc/PHYSICS/any/entry1"):
            await self.service.component_payload("qc/PHYSICS/any/entry1", None)

    async def test_a_template_is_given_as_it_is_stored_or_refused(self: Any) -> None:
        raw = await self.service.component_payload("qc/ANY/any/entry10", None)
        self.assertIn("{{ var1 }}", raw)
        with self.assertRaisesRegex(NotImplementedYet, r"is a template \(\{\{ in line 2\)"):
            await self.service.component_payload("qc/ANY/any/entry10", {"var1": "hello"})

    async def test_fallbacks(self: Any) -> None:
        for asked, found in (
            ("qc/ANY/any/entry1", "qc/ANY/any/entry1"),
            ("qc/PHYSICS/role1/entry1", "qc/PHYSICS/role1/entry1"),
            ("qc/COSMICS/role1/entry1", "qc/ANY/role1/entry1"),
            ("qc/TECHNICAL/role1/entry", "qc/TECHNICAL/any/entry"),
            ("qc/PHYSICS/role1/entry11", "qc/ANY/any/entry11"),
            ("qc/ANY/any/sub/entry12", "qc/ANY/any/sub/entry12"),
        ):
            self.assertEqual(await self.service.resolve_component(asked), found)
        with self.assertRaisesRegex(NotFound, "could not resolve"):
            await self.service.resolve_component("qc/ANY/any/entry2")

    async def test_inventory(self: Any) -> None:
        service = self.service
        self.assertEqual(list(await service.detectors(True)), ["ABC", "DEF", "TRG", "XYZ"])
        self.assertEqual(list(await service.detectors(False)), ["ABC", "DEF", "XYZ"])
        self.assertEqual(
            list(await service.host_inventory("")),
            ["flp001", "flp002", "flp003", "flp100", "flp500"],
        )
        self.assertEqual(list(await service.host_inventory("DEF")), ["flp002", "flp003"])
        self.assertEqual(list(await service.host_inventory("XYZ")), [])
        self.assertEqual(list(await service.host_inventory("NOPE")), [])
        self.assertEqual(await service.detector_for_host("flp001"), "ABC")
        self.assertEqual(await service.detector_for_host("flp003"), "DEF")
        for host in ("NOPE", "abc", "flp00"):
            with self.assertRaisesRegex(NotFound, "detector not found"):
                await service.detector_for_host(host)

    async def test_cards(self: Any) -> None:
        service = self.service
        self.assertEqual(await service.cards_for_host("flp001"), ["0228", "0229"])
        self.assertEqual(await service.endpoints_for_card("flp001", "0228"), ["0", "1"])
        self.assertEqual(await service.endpoints_for_card("flp001", "NOPE"), [])
        self.assertEqual(await service.cards_for_host("flp002"), [])
        for host, error in (("NOPE", NotFound), ("flp500", InvalidInput), ("flp003", InvalidInput)):
            with self.assertRaisesRegex(error, host):
                await service.cards_for_host(host)

    async def test_names_of_hosts_and_detectors_are_no_paths(self: Any) -> None:
        for call in (
            self.service.detector_for_host("a/b"),
            self.service.host_inventory("../flps"),
            self.service.cards_for_host(".."),
            self.service.endpoints_for_card("", "x"),
        ):
            with self.assertRaises(InvalidInput):
                await call


class EmbeddedContract(ServiceContract):
    """What holds besides where the store is no server."""

    async def test_a_store_that_is_no_server_may_name_one(self: Any) -> None:
        self.assertEqual((await self.service.defaults())["consul_endpoint"], "")
        for name in ("consul_endpoint", "consul_base_uri"):
            await self.service.store.put(f"o2/runtime/aliecs/defaults/{name}", "consul:8500")
        defaults = await self.service.defaults()
        self.assertEqual(defaults["consul_endpoint"], "consul:8500")
        self.assertEqual(defaults["consul_base_uri"], self.service.store.uri)


class SqliteServiceTests(EmbeddedContract, TestCase):
    uri = "sqlite://"


class FileServiceTests(EmbeddedContract, TestCase):
    uri = "file://{place}/tree.yaml"


@pytest.mark.parametrize(
    "path",
    ["qc/PHYSICS/pp/ctp-raw-qc", "aAzZ09-_/ANY/aAzZ09-_/aAzZ09-_", "qc/ANY/any/e/", "a/NULL/b/c"],
)
def test_paths(path: str) -> None:
    query = parse_query(path)
    assert str(query) == path
    assert query.key == f"o2/components/{path}"


def test_parts_of_a_path() -> None:
    assert parse_query("qc/ANY/any/tpc/clusters") == ComponentQuery(
        "qc", "ANY", "any", "tpc/clusters"
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        "qc/ANY/any",
        "qc/ANY/any/",
        "qc/ANY//e",
        "/qc/ANY/any/e",
        "qc/physics/any/e",
        "qc/FOO/any/e",
        "qc/ANY/any/e.json",
        "qc/ANY/a.b/e",
        "qc/ANY/any/a b",
        "qc/ANY/any/e@123",
    ],
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(InvalidInput):
        parse_query(path)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("consul://127.0.0.1", "write consul://host:port"),
        ("apricot://127.0.0.1:32101", "apricot:// is not available in this version"),
        ("file:///x.toml", "ends in .yaml"),
        ("http://x", "is no address of a configuration service"),
        ("sqlite", "is no address"),
    ],
)
def test_addresses_that_lead_nowhere(uri: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        open_store(uri, Path("/tmp"), reactor)


def test_addresses() -> None:
    assert open_tree("sqlite://", Path("/w")).uri == "sqlite:///w/configuration.db"
    assert open_tree("sqlite:///a/b.db", Path("/w")).uri == "sqlite:///a/b.db"
    assert open_tree("file:///a/b.yaml", Path("/w")).uri == "file:///a/b.yaml"
    assert open_tree("file://b.yaml", Path("/w")).uri == f"file://{Path.cwd()}/b.yaml"


def run_import(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aliecs.configuration.importing", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_importing_program(tmp_path: Path) -> None:
    uri = f"sqlite://{tmp_path}/store.db"
    done = run_import(uri, str(TREE))
    assert (done.returncode, done.stderr) == (0, "")
    assert "values set in sqlite://" in done.stdout
    tree = open_tree(uri, tmp_path)
    tree.open()
    assert tree.get("o2/runtime/aliecs/vars/key2") == "value2"

    bad = tmp_path / "bad.yaml"
    bad.write_text("o2:\n  runtime:\n    aliecs: { vars: text }\n")
    done = run_import(uri, str(bad))
    assert done.returncode == 1
    assert "o2/runtime/aliecs/vars cannot have a value" in done.stderr
    assert tree.get("o2/runtime/aliecs/vars/key2") == "value2"
    tree.close()

    done = run_import(uri, str(tmp_path / "nowhere.yaml"))
    assert done.returncode == 1
    assert "nowhere.yaml" in done.stderr
    assert run_import().returncode == 2
