"""The service over a store: what is not the same across a connection, and its paths and addresses.
What is the same everywhere is in `test_contract`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet import reactor

from aliecs.configuration.opening import open_configuration, open_store, open_tree
from aliecs.configuration.query import (
    ComponentQuery,
    component_names,
    entries_of,
    parse_entries_path,
    parse_query,
    parse_stored_query,
    select_entries,
)
from aliecs.configuration.remote import RemoteConfigurationService, target_of
from aliecs.errors import InvalidInput, SettingsError
from test.configuration.houses import TREE, sqlite_house, started
from test.configuration.test_contract import HouseTestCase


class LocalTests(HouseTestCase):
    build = staticmethod(sqlite_house)

    async def test_a_store_that_is_no_server_may_name_one(self) -> None:
        for name in ("consul_endpoint", "consul_base_uri"):
            await self.store.put(f"o2/runtime/aliecs/defaults/{name}", "consul:8500")
        defaults = await self.service.defaults()
        self.assertEqual(defaults["consul_endpoint"], "consul:8500")
        self.assertEqual(defaults["consul_base_uri"], self.store.uri)

    async def test_blanks_around_values_may_be_kept(self) -> None:
        service = await started(
            self, open_configuration("sqlite://", self.place, reactor, trim_space=False)
        )
        self.assertEqual((await service.defaults())["blank"], "  value  ")


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


def test_stored_paths_have_no_slashes_that_lead_nowhere() -> None:
    assert str(parse_stored_query("qc/ANY/any/e/")) == "qc/ANY/any/e"
    with pytest.raises(InvalidInput):
        parse_stored_query("qc/ANY/any/a//b")


def test_paths_of_entries() -> None:
    assert parse_entries_path("qc/PHYSICS/pp") == ("qc", "PHYSICS", "pp")
    assert parse_entries_path("aAzZ09-_/ANY/aAzZ09-_") == ("aAzZ09-_", "ANY", "aAzZ09-_")
    for path in ("", "qc/ANY", "qc/ANY/", "qc/FOO/any", "qc/any/any", "qc/ANY/any/x"):
        with pytest.raises(InvalidInput):
            parse_entries_path(path)


def test_components_of_keys() -> None:
    keys = ["o2/components/b/k1", "o2/components/a/k1", "o2/components/a/k2"]
    assert component_names(keys) == ["a", "b"]
    assert component_names(["o2/components//k", "o2/components/", "o2/hardware/k"]) == []
    assert component_names([]) == []


def test_entries_of_keys() -> None:
    prefix = "o2/components/qc/PHYSICS/testRole"
    keys = [f"{prefix}/entry2", f"{prefix}/entry1", f"{prefix}/sub/entry3"]
    others = [prefix, f"{prefix}/", "o2/components/qcd/PHYSICS/testRole/entry1", "o2/components/qc"]
    assert entries_of("qc", [*keys, *others]) == [
        "PHYSICS/testRole/entry1",
        "PHYSICS/testRole/entry2",
        "PHYSICS/testRole/sub/entry3",
    ]


def test_selected_entries_come_once() -> None:
    entries = ["ANY/any/x", "ANY/an/x", "PHYSICS/any/x", "PHYSICS/any_more/x"]
    assert list(select_entries(entries, "ANY", "any", False)) == ["ANY/any/x"]
    assert list(select_entries(entries, "PHYSICS", "", True)) == entries[2:]
    assert list(select_entries(entries, "", "", True)) == entries


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("consul://127.0.0.1", "write consul://host:port"),
        ("apricot://127.0.0.1:32101", "is a service, and not the place"),
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


def test_addresses_of_other_processes() -> None:
    assert target_of("apricot://flp001:47") == "flp001:47"
    assert target_of("apricot://127.0.0.1") == "127.0.0.1:32101"
    assert target_of("apricot://[::1]:5/") == "[::1]:5"
    service = open_configuration("apricot://a:1", Path("/w"), reactor)
    assert isinstance(service, RemoteConfigurationService)
    assert service.uri == "apricot://a:1"
    for uri in ("apricot://", "apricot://a:b", "apricot://a:1/x", "apricot://me:secret@a", "x://a"):
        with pytest.raises(SettingsError, match="apricot://host:port"):
            target_of(uri)


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
