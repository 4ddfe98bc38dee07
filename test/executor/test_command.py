"""From payloads to processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aliecs.executor.command import build_request, codec_of
from aliecs.executor.process import LaunchRefused, ProcessRequest
from aliecs.occ.codec import Codec
from aliecs.protocol.message import CommandPayload


def build(**payload: Any) -> ProcessRequest:
    inherited = {"PATH": "/bin", "A": "inherited"}
    return build_request(
        CommandPayload(**payload), "task", "/bin/bash", inherited, Path("/sandbox"), None
    )


def test_a_shell_gets_one_line() -> None:
    request = build(value="source x && run", arguments=("--a", "b c"), shell=True)
    assert request.arguments == ("/bin/bash", "-c", "source x && run --a b c")
    assert (request.directory, request.mark, request.path) == (Path("/sandbox"), "task", "/bin")


def test_without_a_shell_arguments_stay_apart() -> None:
    assert build(value="run", arguments=("--a", "b c")).arguments == ("run", "--a", "b c")


def test_the_payloads_environment_goes_over_the_executors() -> None:
    request = build(value="x", environment=("A=1", "B=x=y", "A=2", "EMPTY="))
    assert request.environment == {"PATH": "/bin", "A": "2", "B": "x=y", "EMPTY": ""}


@pytest.mark.parametrize("entry", ["NOTHING", "=value", ""])
def test_an_entry_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(LaunchRefused, match="not NAME=value in the environment"):
        build(value="x", environment=(entry,))


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_command_is_refused(value: str) -> None:
    with pytest.raises(LaunchRefused, match="the command is empty"):
        build(value=value)


@pytest.mark.parametrize("shell", [True, False])
@pytest.mark.parametrize(
    ("arguments", "codec"),
    [
        (("-P", "OCClite", "--color", "false"), Codec.JSON),
        (("-P", "OCC", "--color", "false"), Codec.PROTOBUF),
        (("-S", "OCClite"), Codec.PROTOBUF),
        ((), Codec.PROTOBUF),
    ],
)
def test_the_codec_is_that_of_the_plugin(
    shell: bool, arguments: tuple[str, ...], codec: Codec
) -> None:
    assert codec_of(build(value="StfBuilder", arguments=arguments, shell=shell)) is codec
