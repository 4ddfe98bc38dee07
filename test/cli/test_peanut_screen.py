"""The full screen of `peanut` as a real program in a real terminal, with real tasks behind it."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aliecs.cli.peanut.board import printable
from aliecs.cli.peanut.dialog import completed, matches
from test.cli.conftest import MakeDevice, Running, channel_properties
from test.cli.terminal import Terminal

Open = Callable[..., Terminal]

DIMMED = "brightblack"


@pytest.fixture(name="open_screen")
def make_screens() -> Iterator[Open]:
    opened: list[Terminal] = []

    def make(*arguments: str, **options: object) -> Terminal:
        opened.append(Terminal(*arguments, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for screen in opened:
        screen.close()


@pytest.fixture(name="configuration")
def write_configuration(tmp_path: Path) -> Path:
    """A file with what a device needs."""
    path = tmp_path / "channels.yaml"
    address, method, direction = (pair.partition("=")[2] for pair in channel_properties())
    path.write_text(
        f"chans: {{data: {{0: {{address: '{address}', method: {method}, type: {direction}}}}}}}\n"
    )
    return path


def quit_and_check(screen: Terminal) -> None:
    screen.type("q")
    assert screen.end() == 0
    screen.assert_sane()


def test_a_run_of_a_task_that_is_killed_and_comes_back(
    direct: Running, open_screen: Open, tmp_path: Path
) -> None:
    (tmp_path / "sizes.yaml").write_text("sizes: [1000000, 2]\n")
    (tmp_path / "wrong.yaml").write_text("- 1\n")
    home = {"HOME": str(tmp_path), "OCC_CONTROL_PORT": str(direct.port)}
    screen = open_screen(environment=home)
    screen.see_state("STANDBY")
    assert direct.address in screen.text
    assert screen.box("control").splitlines() == [
        "c  CONFIGURE", "r  RESET", "s  START", "t  STOP", "v  RECOVER", "x  EXIT",
    ]  # fmt: skip
    screen.see("runtime configuration (EMPTY)")
    screen.wait(lambda: screen.colour("c  CONFIGURE") != DIMMED, "commands to be chosen")

    screen.type("l")
    screen.see("Tab complete")
    screen.type("~/wr\t\r")
    screen.see("~/wrong.yaml:1: the document must be a mapping")
    screen.type("\x15")
    screen.wait(lambda: "~/wrong" not in screen.text, "an empty line")
    screen.type("~/s\t")
    screen.see("~/sizes.yaml")
    screen.type("\r")
    screen.see("runtime configuration (NOT PUSHED)")
    screen.see("sizes.0 = 1000000")

    screen.type("c")
    screen.see_state("CONFIGURED")
    screen.see("runtime configuration (PUSHED)")
    screen.see("STANDBY --CONFIGURE--> CONFIGURED")
    screen.type("s")
    screen.see_state("RUNNING")
    screen.see("event END_OF_STREAM")
    properties, run = direct.log.read_text().splitlines()
    assert eval(properties) == {"sizes.0": "1000000", "sizes.1": "2"}
    assert re.fullmatch(r"run \d{9,10}", run)
    screen.type("t")
    screen.see("RUNNING --STOP--> CONFIGURED")
    screen.see_state("CONFIGURED")

    direct.end()
    screen.see_state("UNREACHABLE")
    screen.see("nothing listens at")
    assert screen.colour("c  CONFIGURE") == DIMMED
    screen.type("n")
    screen.wait(lambda: screen.text.count("UNREACHABLE") == 3, "in the box, and twice below")
    direct.start()
    screen.type("n")
    screen.see_state("STANDBY")
    screen.see("runtime configuration (NOT PUSHED)")
    screen.type("c")
    screen.see_state("CONFIGURED")
    quit_and_check(screen)
    assert direct.state() == "CONFIGURED"


def test_what_goes_wrong_is_told_until_something_goes_well(
    direct: Running, open_screen: Open, tmp_path: Path
) -> None:
    config = tmp_path / "fail.yaml"
    config.write_text("fail: yes\n")
    screen = open_screen("-addr", direct.address, "-config", str(config))
    screen.see_state("STANDBY")
    screen.type("c")
    screen.see_state("ERROR")
    assert screen.colour("ERROR") == "red"
    screen.see("NOT PUSHED")
    told = "led to ERROR (trigger DEVICE_ERROR): ValueError:"
    screen.see(told)
    screen.type("v")
    screen.see_state("STANDBY")
    screen.wait(lambda: told not in screen.text, "no problem any more")
    # The list can be walked as well: down to the last entry, and chosen.
    screen.type("\x1b[F\r")
    screen.see("STANDBY --EXIT--> DONE")
    screen.see_state("UNREACHABLE")
    assert direct.process.wait(10) == 0
    quit_and_check(screen)


def test_what_others_do_is_seen(direct: Running, open_screen: Open) -> None:
    screen = open_screen("-addr", direct.address, rows=30)
    screen.see_state("STANDBY")
    assert direct.peanut("-mode", "direct", "transition", "STANDBY", "CONFIGURED").returncode == 0
    screen.see_state("CONFIGURED")
    screen.resize(110, 40)
    screen.wait(
        lambda: screen.text.splitlines()[-1].startswith(" n reconnect")
        and max(map(len, screen.text.splitlines())) == 110,
        "the new size",
    )
    screen.see_state("CONFIGURED")
    screen.process.send_signal(signal.SIGTERM)
    assert screen.end() == 128 + signal.SIGTERM
    screen.assert_sane()
    assert direct.state() == "CONFIGURED"


def test_a_fairmq_device(device: Running, open_screen: Open, configuration: Path) -> None:
    screen = open_screen("-addr", device.address, "-mode", "fmq", "-config", str(configuration))
    screen.see_state("STANDBY (IDLE)")
    screen.type("s")
    screen.see("START begins in READY, the device is in IDLE")
    screen.type("c")
    screen.see_state("CONFIGURED (READY)")
    screen.see("DEVICE READY --INIT TASK--> READY")
    screen.see("(PUSHED)")
    screen.type("s")
    screen.see_state("RUNNING")
    screen.type("t")
    screen.see("RUNNING --STOP--> READY")
    screen.see_state("CONFIGURED (READY)")
    screen.type("x")
    screen.see("IDLE --END--> EXITING")
    screen.see_state("UNREACHABLE")
    assert device.process.wait(10) == 0
    quit_and_check(screen)


def test_a_fairmq_device_that_sticks(
    make_device: MakeDevice, open_screen: Open, configuration: Path
) -> None:
    device = make_device("stick:CONNECT")
    screen = open_screen("-addr", device.address, "-mode=fmq", "-config", str(configuration))
    screen.see_state("STANDBY (IDLE)")
    screen.type("c")
    screen.see("BOUND --RESET DEVICE--> IDLE")
    screen.see("CONFIGURE: CONNECT from BOUND led to BOUND")
    screen.see_state("STANDBY (IDLE)")
    assert "NOT PUSHED" in screen.text
    quit_and_check(screen)
    assert device.state() == "IDLE"


def test_a_fairmq_device_in_single_steps(
    make_device: MakeDevice, open_screen: Open, configuration: Path
) -> None:
    device = make_device("hang:RUN")
    screen = open_screen(
        "-addr", device.address, "-mode", "fmq-step", "-timeout", "2s",
        "-config", str(configuration),
    )  # fmt: skip
    screen.see_state("IDLE")
    assert len(screen.box("control").splitlines()) == 10
    screen.type("3")
    screen.see("BIND from IDLE led to IDLE")
    for key, state in (
        ("1", "INITIALIZING DEVICE"),
        ("2", "INITIALIZED"),
        ("3", "BOUND"),
        ("4", "DEVICE READY"),
        ("5", "READY"),
        ("8", "DEVICE READY"),
        ("5", "READY"),
    ):
        screen.type(key)
        screen.see_state(state)
    # The order hangs, and takes the time that it has; whoever does not want to wait reconnects.
    screen.type("6")
    screen.see("RUN: DEADLINE_EXCEEDED")
    screen.type("6")
    screen.see("─ RUN ─")
    screen.type("8n")
    screen.see_state("READY")
    screen.wait(lambda: "─ RUN ─" not in screen.text, "no order any more")
    quit_and_check(screen)
    assert device.state() == "READY"


@pytest.mark.parametrize(("mode", "kind"), [("fmq-step", "direct"), ("direct", "device")])
def test_a_wrong_mode(
    mode: str, kind: str, open_screen: Open, request: pytest.FixtureRequest
) -> None:
    task: Running = request.getfixturevalue(kind)
    screen = open_screen("-addr", task.address, "-mode", mode)
    screen.see_state("WRONG MODE")
    screen.see(f"try -mode {'direct' if kind == 'direct' else 'fmq'}")
    first = screen.box("control").splitlines()[0]
    assert screen.colour(first) == DIMMED
    screen.type(first[0])
    screen.type("\x03")
    assert screen.end() == 0
    screen.assert_sane()
    assert task.state() == {"direct": "STANDBY", "device": "IDLE"}[kind]


def test_somebody_who_says_nothing(open_screen: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        screen = open_screen("-addr", address, "-timeout", "500ms")
        screen.see("did not answer in time")
        assert screen.box("state") == "UNREACHABLE"
        waiting = open_screen("-addr", address, "-timeout", "1h")
        waiting.see_state("CONNECTING")
        quit_and_check(waiting)


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        ((), {}, "OCC_CONTROL_PORT is not set"),
        ((), {"OCC_CONTROL_PORT": "http"}, "OCC_CONTROL_PORT is 'http', which is no port"),
        (("-mode", "fmq"), {"OCC_CONTROL_PORT": "1"}, "-mode fmq needs the address"),
    ],
)
def test_nobody_to_attach_to(
    arguments: tuple[str, ...], environment: dict[str, str], told: str, open_screen: Open
) -> None:
    screen = open_screen(*arguments, environment=environment)
    assert screen.end() == 1
    assert screen.raw.startswith(b"peanut: ")
    assert told in screen.raw.decode()


def test_what_a_task_says_cannot_move_the_cursor() -> None:
    assert printable("no\x1b[2J such\nfile é") == "no [2J such file é"


def test_paths_are_completed(tmp_path: Path) -> None:
    for name in ("run one.yaml", "run two.yaml", ".hidden"):
        (tmp_path / name).write_text("")
    (tmp_path / "rest").mkdir()
    here = f"{tmp_path}/"
    assert completed(here) == f"{here}r"
    assert completed(f"{here}ru") == f"{here}run "
    assert completed(f"{here}re") == f"{here}rest/"
    assert completed(f"{here}.") == f"{here}.hidden"
    assert completed(f"{here}none") == f"{here}none"
    assert matches(f"{here}nowhere/") == []
    assert completed("~") == "~/"
    assert all(path.startswith("~/") for path in matches("~/"))
