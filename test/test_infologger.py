"""The log for InfoLogger, with a daemon that can be away, stand still, and come back."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from twisted.logger import Logger, LogLevel

from aliecs import infologger as module
from aliecs.infologger import InfoLogger, facility_of
from aliecs.log import environment_logger
from aliecs.protocol.infologger import InfoLoggerLine, socket_address


class Daemon:
    """What listens, to any number of programs: gives the lines that arrived."""

    def __init__(self, address: str) -> None:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(socket_address(address))
        self._listening.listen()
        self._listening.settimeout(10.0)
        self._connections: dict[socket.socket, bytes] = {}
        self._lines: list[bytes] = []

    def line(self) -> list[str]:
        """The fields of the next one."""
        while not self._lines:
            ready, _, _ = select.select([self._listening, *self._connections], (), (), 10.0)
            assert ready, "nothing arrives"
            for one in ready:
                if one is self._listening:
                    self._connections[one.accept()[0]] = b""
                elif data := one.recv(65536):
                    *lines, rest = (self._connections[one] + data).split(b"\n")
                    self._lines += lines
                    self._connections[one] = rest
                else:
                    del self._connections[one]
                    one.close()
        line = self._lines.pop(0)
        version, *fields = line.decode().split("#", 16)
        assert version == "*1.4"
        assert len(fields) == 16
        return fields

    def close(self) -> None:
        self._listening.close()
        for connection in self._connections:
            connection.close()


@pytest.fixture(params=["file", "name"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "socket") if request.param == "file" else f"@infologger-{uuid4().hex}"


@pytest.fixture
def daemon(address: str) -> Iterator[Daemon]:
    made = Daemon(address)
    yield made
    made.close()


@pytest.fixture
def infologger(address: str) -> Iterator[InfoLogger]:
    made = InfoLogger(address, retry_s=0.05)
    made.start()
    yield made
    made.stop()


def test_a_line_is_the_one_of_the_sheet() -> None:
    line = InfoLoggerLine(
        severity="I",
        level=1,
        time_s=1714550400.123456,
        hostname="alio2-cr1-hv-ecs",
        rolename="alio2-cr1-hv-ecs",
        pid=4242,
        username="aliecs",
        facility="core/env",
        partition="2oDvieFrVTi",
        run="500123",
        message="START_ACTIVITY transition starting",
    )
    assert line.encode() == (
        b"*1.4#I#1#1714550400.123456#alio2-cr1-hv-ecs#alio2-cr1-hv-ecs#4242#aliecs#ECS#core/env##"
        b"2oDvieFrVTi#500123####START_ACTIVITY transition starting\n"
    )


def test_what_would_break_a_line_does_not() -> None:
    line = InfoLoggerLine("E", 1, 1.0, "h#st", "role\nname", 1, "me", "core/env", "")
    text = "one\r\ntwo#three" + "\u00fc" * 600
    encoded = line.__class__("E", 1, 1.0, "h#st", "role\nname", 1, "me", "core/env", text).encode()
    assert encoded.count(b"\n") == 1
    fields = encoded.decode().rstrip("\n").split("#", 16)
    assert fields[4:6] == ["h st", "role name"]
    assert fields[16].startswith("one two#three\u00fc")
    assert 1000 < len(fields[16].encode()) <= 1024


def test_the_name_of_the_daemon_has_all_its_zeros() -> None:
    assert socket_address("@infoLoggerD") == b"\0infoLoggerD" + b"\0" * 96
    assert socket_address("/tmp/infoLoggerD.socket") == "/tmp/infoLoggerD.socket"


def test_what_is_logged_arrives(daemon: Daemon, infologger: InfoLogger) -> None:
    environment_logger("2oDvieFrVTi", lambda: 42).error("first failure: {what}", what="a task")
    Logger(namespace="aliecs.api.rest").debug("a detail")
    Logger(namespace="aliecs.integration.dcs").critical("it is\nbad")
    severity, level, time_s, host, role, pid, user, *rest = daemon.line()
    assert (severity, level, pid) == ("E", "1", str(os.getpid()))
    assert abs(float(time_s) - time.time()) < 60
    assert host == role == socket.gethostname().partition(".")[0]
    assert user
    assert rest == ["ECS", "core/env", "", "2oDvieFrVTi", "42", "", "", "", "first failure: a task"]
    second = daemon.line()
    assert (second[0], second[8], second[15]) == ("F", "core/dcsclient", "it is bad")


@pytest.mark.parametrize(
    ("namespace", "facility"),
    [
        ("aliecs.environment.manager", "env"),
        ("aliecs.backend.mesos.desk", "scheduler"),
        ("aliecs.api.control", "rpcserver"),
        ("aliecs.integration.testplugin", "testplugin"),
        ("aliecs.integration.guarded", "integration"),
        ("aliecs.journal", "journal"),
        ("asyncio", "asyncio"),
        ("", "core"),
    ],
)
def test_who_speaks(namespace: str, facility: str) -> None:
    assert facility_of(namespace) == facility


def test_a_daemon_that_comes_later_gets_what_waits(address: str, infologger: InfoLogger) -> None:
    log = Logger(namespace="aliecs.environment")
    log.info("before it was there")
    time.sleep(0.1)
    daemon = Daemon(address)
    assert daemon.line()[15] == "before it was there"
    daemon.close()
    if not address.startswith("@"):
        Path(address).unlink()
    again = Daemon(address)
    for number in range(50):
        # The first ones may be the last that went into the old connection.
        log.info("after it came back {number}", number=number)
        time.sleep(0.01)
    assert again.line()[15].startswith("after it came back")
    again.close()


def test_a_daemon_that_does_not_read_holds_nobody_up(
    daemon: Daemon, infologger: InfoLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    began_s = time.monotonic()
    for number in range(module.BOUND + 8_000):
        infologger({"log_level": LogLevel.info, "log_format": "x" * 500 + str(number)})
    assert time.monotonic() - began_s < 10.0
    assert infologger.lost > 0
    infologger.stop()
    assert time.monotonic() - began_s < 15.0
