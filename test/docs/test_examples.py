"""The files in `etc/` and `tox.ini` are what they claim to be."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest
import yaml

from aliecs.settings import Settings, SettingsOptions
from aliecs.settings.apricot import ApricotOptions
from aliecs.settings.core import BY_NAME, TABLE
from aliecs.settings.table import fold
from test.docs.documents import ROOT

ETC = ROOT / "etc"
EXAMPLE = ETC / "aliecs.yaml"


def read_settings(path: Path) -> Settings:
    options = SettingsOptions()
    options.parseOptions(["--config", str(path)])
    return options.sources({}).settings()


def test_the_example_of_the_settings() -> None:
    settings = read_settings(EXAMPLE)
    assert [host.name for host in settings.hosts] == ["flp001", "flp002", "epn001"]
    assert settings.hosts[0].attributes == {"detector": "TST"}
    assert settings.listen_address == "127.0.0.1"


def test_what_it_has_commented_out_are_the_defaults(tmp_path: Path) -> None:
    """So whoever takes the mark away changes nothing."""
    lines = re.findall(r"^# (\w+): *(.*?)(?: {2,}#.*)?$", EXAMPLE.read_text(), re.M)
    optional = {key: text for key, text in lines if fold(key) in BY_NAME and text}
    assert len(optional) > 12
    assert [key for key, _ in lines if fold(key) not in BY_NAME] == []
    # Their values are examples.
    without = {"manholeKeys", "tokenFile", "tlsCertificate", "tlsKey", "openIdIssuer"}
    path = tmp_path / "settings.yaml"
    for key, text in optional.items():
        assert BY_NAME[fold(key)].key == key
        if key not in without:
            path.write_text(f"{key}: {text}\n")
            assert read_settings(path) == Settings(), key


def test_the_example_names_nothing_without_effect() -> None:
    unused = {setting.key for setting in TABLE if not setting.used}
    assert not unused & set(yaml.safe_load(EXAMPLE.read_text()))


def test_the_unit_of_the_configuration_service() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ETC / "apricot.service")
    service = parser["Service"]
    assert (service["Type"], service["SuccessExitStatus"]) == ("notify", "143")
    program, *arguments = shlex.split(service["ExecStart"])
    assert program.endswith("/bin/twistd")
    assert arguments == ["--nodaemon", "--pidfile=", "--reactor=asyncio", "apricot"]
    name, _, value = service["Environment"].partition("=")
    settings = ApricotOptions().apricot_settings({name: value})
    assert settings.backend_uri == "sqlite://"
    assert f"/var/lib/{service['StateDirectory']}" == settings.working_dir


@pytest.fixture(name="unit")
def read_unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ETC / "aliecs.service")
    return parser


def test_the_unit(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert {key: service[key] for key in ("Type", "KillMode", "SuccessExitStatus")} == {
        "Type": "notify",
        "KillMode": "process",
        "SuccessExitStatus": "143",
    }
    assert service["Restart"] == "on-failure"
    assert int(service["WatchdogSec"]) > 0
    # The folder that systemd makes is the one that the core works in.
    assert f"/var/lib/{service['StateDirectory']}" == Settings().core_working_dir


def test_its_command(unit: configparser.ConfigParser) -> None:
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/bin/twistd")
    cut = arguments.index("aliecs")
    assert arguments[:cut] == ["--nodaemon", "--pidfile=", "--reactor=asyncio"]
    options = SettingsOptions()
    options.parseOptions(arguments[cut + 1 :])
    assert options["config"] == "/etc/aliecs/aliecs.yaml"


def test_tox_has_what_is_supported() -> None:
    tox, setup = configparser.ConfigParser(), configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    setup.read(ROOT / "setup.cfg")
    environments = re.split(r",\s*", tox["tox"]["env_list"])
    versions = re.findall(r"Python :: 3\.(\d+)", setup["metadata"]["classifiers"])
    assert [f"py3{minor}" for minor in versions] == environments[: len(versions)]
    assert environments[len(versions) :] == ["lint", "types", "docs"]
