"""The command line that is made from the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.python import usage

from aliecs.settings import Settings, SettingsOptions


def parse(*arguments: str) -> Settings:
    options = SettingsOptions()
    options.parseOptions(list(arguments))
    return options.sources({}).settings()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--controlPort", "1"],
        ["--controlPort=1"],
        ["--controlport", "1"],
        ["--control-port=1"],
        ["--controlPort=2", "--controlPort=1"],
    ],
)
def test_spellings(arguments: list[str]) -> None:
    assert parse(*arguments).control_port == 1


def test_a_boolean_stands_alone_or_has_a_value() -> None:
    assert parse("--verbose").verbose is True
    assert parse("--verbose", "--restPort=5").rest_port == 5
    assert parse("--mesosCheckpoint=false").mesos_checkpoint is False


def test_a_file_and_options(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("controlPort: 1\nrestPort: 2\n")
    for arguments in (["--config", str(path)], [f"--config={path}"], ["-c", str(path)]):
        settings = parse(*arguments, "--restPort", "3")
        assert (settings.control_port, settings.rest_port) == (1, 3)


def test_nothing_given() -> None:
    assert parse() == Settings()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--controlprot", "1"], r"no option --controlprot; did you mean --controlPort\?"),
        (["--zzz"], "no option --zzz$"),
        (["--controlPort"], "--controlPort needs a value"),
        (["--controlPort", "--verbose"], "--controlPort needs a value"),
        (["stray"], "'stray': settings are given as --name value"),
    ],
)
def test_faults(arguments: list[str], told: str) -> None:
    with pytest.raises(usage.UsageError, match=told):
        parse(*arguments)


def test_the_help_lists_what_has_an_effect() -> None:
    text = str(SettingsOptions())
    assert "--controlPort=" in text
    assert "--config=" in text
    assert "--mesosCompression" not in text
