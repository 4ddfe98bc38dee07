"""`peanut` against real tasks: one made with the OCC library, and a stand-in FairMQ device."""

from __future__ import annotations

import contextlib
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.cli.peanut.flattening import flatten
from aliecs.cli.peanut.target import Target
from aliecs.errors import InvalidInput, TransitionFailed
from aliecs.executor.transitioner import Transition
from aliecs.occ.call import DeviceState, OccError, TransitionResult, word
from aliecs.protocol.protos.occ_pb2 import EXECUTOR, DeviceEventType
from test.cli.conftest import PEANUT, MakeDevice, Running, channel_properties
from test.standin.fairmq import TRANSITIONS


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
    pairs = channel_properties()
    for source, target in (
        ("STANDBY", "CONFIGURED"),
        ("CONFIGURED", "RUNNING"),
        ("RUNNING", "CONFIGURED"),
        ("CONFIGURED", "STANDBY"),
    ):
        done = device.peanut("transition", source, target, *pairs, "runNumber=7")
        assert (done.returncode, done.stdout) == (0, f"ok  state={target}\n"), done.stderr
    assert re.findall("--(.*)-->", done.stderr) == ["RESET TASK", "RESET DEVICE"]
    done = device.peanut("transition", "ERROR", "STANDBY")
    assert done.returncode == 1
    assert "STANDBY to CONFIGURED" in done.stderr
    done = device.peanut("state-stream")
    assert (done.returncode, done.stderr[:23]) == (1, "peanut: UNIMPLEMENTED: ")


@pytest.mark.parametrize("step", ["BIND", "CONNECT", "INIT TASK"])
def test_a_fairmq_device_that_sticks_is_taken_back(step: str, make_device: MakeDevice) -> None:
    device = make_device(f"stick:{step}")
    done = device.peanut("transition", "STANDBY", "CONFIGURED", *channel_properties())
    assert (done.returncode, done.stdout) == (1, "")
    steps = re.findall("--(.*)-->", done.stderr)
    assert steps[-2:] == [step, "RESET DEVICE"]
    assert re.search(rf"^peanut: {step} from (.+) led to \1 .*was expected$", done.stderr, re.M)
    assert device.state() == "IDLE"


class Refusing:
    """A client of a device that refuses one step as the plugin does: without a reason."""

    target = "nowhere:1"

    def __init__(self, refused: str) -> None:
        self._refused = refused
        self._state = "IDLE"
        self.sent: list[tuple[str, str]] = []

    def get_state(self, deadline_s: float) -> DeviceState:
        return DeviceState(self._state, 1)

    def transition(
        self, source: str, event: str, arguments: Mapping[str, str], deadline_s: float
    ) -> TransitionResult:
        self.sent.append((source, event))
        if event == self._refused:
            raise OccError("CANCELLED", "")
        self._state = TRANSITIONS[event][2]
        return TransitionResult(True, self._state, EXECUTOR, event)


def test_a_refused_step_is_undone() -> None:
    client = Refusing("CONNECT")
    target = Target(client, 5)  # type: ignore[arg-type]
    with pytest.raises(TransitionFailed) as caught:
        target.sequence(Transition("STANDBY", "CONFIGURE", "CONFIGURED"))
    assert client.sent[-2:] == [("BOUND", "CONNECT"), ("BOUND", "RESET DEVICE")]
    assert caught.value.message == (
        "CONNECT from BOUND: CANCELLED; DEVICE READY was expected, it is in BOUND"
    )


def test_the_limit_is_that_of_all_steps(make_device: MakeDevice) -> None:
    device = make_device("hang:CONNECT")
    done = device.peanut(
        "-timeout=1s", "transition", "STANDBY", "CONFIGURED", *channel_properties()
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "peanut: CONNECT from BOUND: DEADLINE_EXCEEDED"
    )


def test_what_begins_with_a_dash_behind_the_states_is_an_argument(direct: Running) -> None:
    done = direct.peanut("-mode", "direct", "transition", "STANDBY", "CONFIGURED", "-x=1", "-y")
    assert done.returncode == 0
    assert done.stderr == "'-y' is ignored: it has no '='\n"
    assert eval(direct.log.read_text()) == {"-x": "1"}


def test_nobody_there() -> None:
    command = [*PEANUT, "-addr", "127.0.0.1:1", "-timeout", "2s", "get-state"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr.startswith("peanut: UNAVAILABLE: nothing listens at 127.0.0.1:1: ")
    assert "OCC_CONTROL_PORT" in done.stderr


def test_somebody_else_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(100)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [*PEANUT, "-addr", address, "-timeout", "2s", "get-state"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert f"what listens at {address} is no task" in done.stderr


@pytest.mark.parametrize(
    "command", [("get-state",), ("transition", "STANDBY", "CONFIGURED"), ("event-stream",)]
)
def test_the_wrong_mode_is_told(command: tuple[str, ...], direct: Running) -> None:
    done = direct.peanut("-mode", "fmq", *command)
    assert done.returncode == 1
    assert "speaks protobuf, not the JSON dialect" in done.stderr
    assert done.stderr.endswith(": try -mode direct\n")


def test_the_other_wrong_mode_is_told(device: Running) -> None:
    done = device.peanut("-mode", "direct", "get-state")
    assert done.returncode == 1
    assert done.stderr.endswith(": try -mode fmq\n")


def test_the_screen_is_not_loaded_for_a_command() -> None:
    code = (
        "import sys, aliecs.cli.peanut;"
        " print([name for name in ('textual', 'rich', 'twisted') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-nonsense", "get-state"],
        ["-mode", "tcp", "get-state"],
        ["-timeout", "soon", "get-state"],
        ["-timeout", "0", "get-state"],
        ["-config", "/nowhere.yaml", "get-state"],
        ["-addr", "localhost", "get-state"],
        ["-addr", "", "get-state"],
        ["get-state", "-timeout", "5s"],
        ["transition", "STANDBY"],
        ["wait", "RUNNING", "soon"],
        ["script", "/nowhere.script"],
        ["fly"],
    ],
)
def test_a_command_line_that_cannot_be(arguments: list[str]) -> None:
    done = subprocess.run([*PEANUT, *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "Usage: peanut" in done.stderr
    assert done.stdout == ""


def test_words_of_a_newer_task() -> None:
    assert word(DeviceEventType, 1) == "END_OF_STREAM"
    assert word(DeviceEventType, 99) == "99"


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
