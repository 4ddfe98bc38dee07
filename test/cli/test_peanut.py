"""`peanut` against real tasks: one made with the OCC library, and a stand-in FairMQ device."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.cli.peanut.flattening import flatten
from aliecs.errors import InvalidInput
from aliecs.txgrpc.blocking import BlockingChannel
from test.occ.test_example_tasks import free_ports
from test.standin.install import install

PEANUT = [sys.executable, "-c", "from aliecs.cli.peanut import main; main()"]
TASK = """
from aliecs.occ import Task, run

class Sample(Task):
    def configure(self, properties):
        if "fail" in properties:
            raise ValueError("no such file")
        print(dict(sorted(properties.items())), flush=True)

    def start(self):
        self.end_of_stream()

    def iterate_running(self):
        return False

run(Sample("sample"))
"""


class Running:
    """A task that runs, and peanut pointed at it."""

    def __init__(self, command: list[str], folder: Path, fault: str = "") -> None:
        (port,) = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        self.log = folder / "task.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env={**os.environ, "OCC_CONTROL_PORT": str(port), "STANDIN_FAULT": fault},
            )
        with BlockingChannel(self.address) as channel:
            channel.ready(15)

    def peanut(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*PEANUT, "-addr", self.address, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=20)

    def follow(self, *arguments: str) -> subprocess.Popen[str]:
        command = [*PEANUT, "-addr", self.address, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[Running]:
    running = Running([sys.executable, "-c", TASK], tmp_path)
    yield running
    running.end()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Running]:
    install(tmp_path)
    running = Running([str(tmp_path / "bin/StfSender")], tmp_path)
    yield running
    running.end()


def test_a_task_of_the_library_step_by_step(direct: Running, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("chans: {data: {numSockets: 1, 0: {address: 'ipc://@x', size: 1000000}}}\n")
    assert direct.peanut("-mode", "direct", "get-state").stdout == "STANDBY\n"
    done = direct.peanut(
        "-mode=direct", "--timeout", "5s", "-config", str(config),
        "transition", "standby", "configured", "chans.data.numSockets=2=3", "ignored",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "ok  state=CONFIGURED trigger=EXECUTOR\n")
    assert eval(direct.log.read_text()) == {
        "chans.data.0.address": "ipc://@x",
        "chans.data.0.size": "1000000",
        "chans.data.numSockets": "2=3",
    }
    done = direct.peanut("--mode", "direct", "direct-step", "CONFIGURED", "START", "runNumber=5")
    assert done.stdout == "ok  state=RUNNING trigger=EXECUTOR\n"
    done = direct.peanut("-mode", "direct", "transition", "STANDBY", "CONFIGURED")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("peanut: INVALID_ARGUMENT: ")
    assert "RUNNING" in done.stderr


def test_the_reason_of_a_failure_is_shown(direct: Running) -> None:
    done = direct.peanut("-mode", "direct", "transition", "STANDBY", "CONFIGURED", "fail=1")
    assert done.returncode == 1
    assert done.stderr == (
        "peanut: CONFIGURE from STANDBY led to ERROR (trigger DEVICE_ERROR): "
        "ValueError: no such file\n"
    )
    done = direct.peanut("-mode", "direct", "transition", "ERROR", "EXIT")
    assert done.stdout == "ok  state=DONE trigger=EXECUTOR\n"
    assert direct.process.wait(10) == 0


def test_streams_are_followed(direct: Running) -> None:
    def go(source: str, event: str) -> None:
        assert direct.peanut("-mode", "direct", "direct-step", source, event).returncode == 0

    def there_and_back(*steps: tuple[str, str]) -> Callable[[], None]:
        return lambda: [go(*step) for step in steps] and None

    states = direct.follow("-mode", "direct", "state-stream")
    line = first_line(states, there_and_back(("STANDBY", "CONFIGURE"), ("CONFIGURED", "RESET")))
    assert re.fullmatch(r"type=STATE_STABLE  state=(CONFIGURED|STANDBY)\n", line)
    go("STANDBY", "CONFIGURE")
    events = direct.follow("-mode", "direct", "event-stream")
    line = first_line(events, there_and_back(("CONFIGURED", "START"), ("RUNNING", "STOP")))
    assert line == "event=END_OF_STREAM\n"
    states.send_signal(signal.SIGINT)
    events.send_signal(signal.SIGTERM)
    for following in (states, events):
        following.communicate(timeout=10)
        assert following.returncode == 0


def first_line(following: subprocess.Popen[str], poke: Callable[[], None]) -> str:
    """What a follower prints first; `poke` makes something happen until it has come to listen."""
    assert following.stdout is not None
    for _ in range(20):
        poke()
        if select.select([following.stdout], [], [], 0.1)[0]:
            return following.stdout.readline()
    raise AssertionError("nothing came")


def test_a_fairmq_device_in_single_steps(device: Running) -> None:
    assert device.peanut("get-state").stdout == "IDLE\n"
    done = device.peanut("fmq-step", "IDLE", "INIT DEVICE", "key=value")
    assert done.stdout == "ok  fmq-state=INITIALIZING DEVICE  occ-state=STANDBY\n"
    assert "INIT DEVICE" in done.stderr
    done = device.peanut("fmq-step", "IDLE", "INIT DEVICE")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "peanut: CANCELLED")


def test_a_fairmq_device_that_has_no_channel_is_told_on_the_way(device: Running) -> None:
    done = device.peanut("transition", "STANDBY", "CONFIGURED")
    assert done.returncode == 1
    assert "--BIND-->" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "peanut: INIT TASK from DEVICE READY led to ERROR (trigger DEVICE_ERROR); "
        "READY was expected"
    )


def test_a_fairmq_device_through_all_steps(device: Running) -> None:
    name = f"ipc://@aliecs-peanut-{os.getpid()}"
    prefix = "chans.data.0"
    pairs = [f"{prefix}.address={name}", f"{prefix}.method=bind", f"{prefix}.type=pull"]
    for source, target in (
        ("STANDBY", "CONFIGURED"),
        ("CONFIGURED", "RUNNING"),
        ("RUNNING", "CONFIGURED"),
        ("CONFIGURED", "STANDBY"),
    ):
        done = device.peanut("transition", source, target, *pairs, "runNumber=7")
        assert (done.returncode, done.stdout) == (0, f"ok  state={target}\n"), done.stderr
    done = device.peanut("transition", "ERROR", "STANDBY")
    assert done.returncode == 1
    assert "STANDBY to CONFIGURED" in done.stderr
    done = device.peanut("state-stream")
    assert (done.returncode, done.stderr[:23]) == (1, "peanut: UNIMPLEMENTED: ")


def test_nobody_there() -> None:
    command = [*PEANUT, "-addr", "127.0.0.1:1", "-timeout", "2s", "get-state"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr.startswith("peanut: UNAVAILABLE: ")
    assert "127.0.0.1:1" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-nonsense", "get-state"],
        ["-mode", "tcp", "get-state"],
        ["-timeout", "soon", "get-state"],
        ["-timeout", "0", "get-state"],
        ["-config", "/nowhere.yaml", "get-state"],
        ["transition", "STANDBY"],
        ["fly"],
    ],
)
def test_a_command_line_that_cannot_be(arguments: list[str]) -> None:
    done = subprocess.run([*PEANUT, *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "Usage: peanut" in done.stderr
    assert done.stdout == ""


def test_flattening() -> None:
    text = b"""
    chans: {data: {numSockets: 1, 0: {address: "ipc://@x", sndBufSize: 1000}}}
    big: 1000000
    bigger: 123456789012345678901
    half: 1.50
    thousand: 1e3
    small: 0.00001
    hex: 0x10
    yes: [true, no, ~, 'true', "1.50", text with spaces]
    empty: {}
    none: []
    """
    assert flatten(text, "x.yaml") == {
        "chans.data.numSockets": "1",
        "chans.data.0.address": "ipc://@x",
        "chans.data.0.sndBufSize": "1000",
        "big": "1000000",
        "bigger": "123456789012345678901",
        "half": "1.5",
        "thousand": "1000",
        "small": "1e-05",
        "hex": "16",
        "yes.0": "true",
        "yes.1": "no",
        "yes.2": "<nil>",
        "yes.3": "true",
        "yes.4": "1.50",
        "yes.5": "text with spaces",
    }


@given(st.integers())
def test_whole_numbers_are_exact(number: int) -> None:
    assert flatten(f"a: {number}".encode(), "x") == {"a": str(number)}


@pytest.mark.parametrize("text", [b"- 1", b"text", b"a: [", b"a: 1\na: 2"])
def test_what_cannot_be_flattened(text: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"x\.yaml"):
        flatten(text, "x.yaml")
