"""What a line of the log says, and what it never says."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from aliecs.log import _Forward, environment_logger, make_observer, mask_secrets


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def text_log(**options: Any) -> tuple[io.StringIO, ILogObserver]:
    stream = io.StringIO()
    return stream, make_observer(stream, **options)


def json_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_for_people() -> None:
    stream, observer = text_log()
    verifyObject(ILogObserver, observer)
    Logger("aliecs.test", observer=observer).info("hello {name}", name="there")
    line = stream.getvalue()
    assert line.endswith("info     hello there\n")
    assert line[4] == line[7] == "-"
    assert "\x1b" not in line


def test_a_line_for_machines() -> None:
    stream, observer = text_log(log_format="json")
    Logger("aliecs.test", observer=observer).warn("hello {name}", name="there")
    (line,) = json_lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {"level": "warn", "module": "aliecs.test", "message": "hello there"}


def test_lines_about_an_environment_carry_its_id_and_its_run() -> None:
    stream, observer = text_log()
    json_stream, json_observer = text_log(log_format="json")
    run = [0]
    for target in (observer, json_observer):
        logger = environment_logger("2rvUhqKFcLZ", lambda: run[0], observer=target)
        run[0] = 0
        logger.info("created")
        run[0] = 7
        logger.error("failed")
        logger.failure("worse", Failure(ValueError("bad")))
    text = stream.getvalue()
    assert "info     [2rvUhqKFcLZ] created\n" in text
    assert "error    [2rvUhqKFcLZ run 7] failed\n" in text
    assert "critical [2rvUhqKFcLZ run 7] worse\n" in text
    created, failed, worse = json_lines(json_stream)
    assert created["environment"] == "2rvUhqKFcLZ"
    assert "run" not in created
    assert failed["run"] == worse["run"] == 7
    assert "ValueError: bad" in worse["traceback"]


@pytest.mark.parametrize(
    ("verbosity", "seen"),
    [
        ({}, ["ours info", "theirs info"]),
        ({"verbose": True}, ["ours info", "ours debug", "theirs info"]),
        ({"very_verbose": True}, ["ours info", "ours debug", "theirs info", "theirs debug"]),
    ],
)
def test_details(verbosity: dict[str, bool], seen: list[str]) -> None:
    stream, observer = text_log(log_format="json", **verbosity)
    for namespace, name in (("aliecs.task", "ours"), ("twisted.web", "theirs")):
        logger = Logger(namespace, observer=observer)
        logger.info(f"{name} info")
        logger.debug(f"{name} debug")
    assert [line["message"] for line in json_lines(stream)] == seen


def test_colours_on_a_terminal_only() -> None:
    terminal = Terminal()
    Logger("aliecs", observer=make_observer(terminal)).error("bad")
    assert terminal.getvalue().startswith("\x1b[31m")
    assert terminal.getvalue().endswith("bad\x1b[0m\n")


def test_a_message_cannot_pass_for_another_line() -> None:
    stream, observer = text_log()
    forged = "a\n2026-01-01 critical forged\r\x1b[2J"
    Logger("aliecs", observer=observer).info("{text}", text=forged)
    _, second = stream.getvalue().splitlines()
    assert second == "    2026-01-01 critical forged\\x0d\\x1b[2J"


@given(st.text())
def test_every_event_is_one_json_line(text: str) -> None:
    stream, observer = text_log(log_format="json")
    Logger("aliecs", observer=observer).info("{text}", text=text)
    assert len(stream.getvalue().split("\n")) == 2
    assert json_lines(stream)[0]["message"] == mask_secrets(text)


def test_tracebacks_are_indented() -> None:
    stream, observer = text_log()
    try:
        raise ValueError("bad")
    except ValueError:
        Logger("aliecs", observer=observer).failure("while trying")
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("critical while trying")
    assert all(line.startswith("    ") for line in lines[1:])
    assert lines[-1].endswith("ValueError: bad")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("at http://me:hush@host/x", "at http://me:***@host/x"),
        ("token=hush next", "token=*** next"),
        ("bookkeeping_token: hush", "bookkeeping_token: ***"),
        ("Password=hush", "Password=***"),
        ("http://host:80/x and a:b@c", "http://host:80/x and a:b@c"),
        ("no tokens here", "no tokens here"),
    ],
)
def test_secrets_are_masked(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked
    stream, observer = text_log()
    Logger("aliecs", observer=observer).info("{text}", text=text)
    assert masked in stream.getvalue()


def test_the_standard_library_s_log_comes_out_here(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, observer = text_log(log_format="json")
    monkeypatch.setattr("aliecs.log.Logger", lambda namespace: Logger(namespace, observer=observer))
    forward = _Forward()
    record = logging.LogRecord("asyncio", logging.ERROR, "", 1, "lost %s", ("task",), None)
    forward.emit(record)
    try:
        raise ValueError("bad")
    except ValueError as error:
        cause = (ValueError, error, error.__traceback__)
        forward.emit(logging.LogRecord("grpc", logging.WARNING, "", 1, "odd", (), cause))
    lost, odd = json_lines(stream)
    assert (lost["level"], lost["module"], lost["message"]) == ("error", "asyncio", "lost task")
    assert (odd["level"], odd["message"]) == ("warn", "odd")
    assert "ValueError: bad" in odd["traceback"]
