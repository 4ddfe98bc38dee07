"""Scripts of `peanut`, against real tasks."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from test.cli.conftest import PEANUT, MakeDevice, Running, channel_properties

RUN = """
# A run, from nothing.
get-state
transition STANDBY CONFIGURED 'text=two words' a=b=c   # and a comment
direct-step CONFIGURED START runNumber=12
wait running 5s

sleep 10ms
transition RUNNING CONFIGURED
direct-step CONFIGURED RESET
"""


def test_a_run(direct: Running, tmp_path: Path) -> None:
    path = tmp_path / "run.script"
    path.write_text(RUN)
    done = direct.peanut("-mode", "direct", "script", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "STANDBY",
        "ok  state=CONFIGURED trigger=EXECUTOR",
        "ok  state=RUNNING trigger=EXECUTOR",
        "RUNNING",
        "ok  state=CONFIGURED trigger=EXECUTOR",
        "ok  state=STANDBY trigger=EXECUTOR",
    ]
    assert "{'a': 'b=c', 'text': 'two words'}\nrun 12\n" in direct.log.read_text()


def test_the_first_failure_ends_it(direct: Running, tmp_path: Path) -> None:
    for line, told in (
        ("transition CONFIGURED STANDBY", "INVALID_ARGUMENT: sample is in STANDBY"),
        ("transition STANDBY CONFIGURED fail=1", "CONFIGURE from STANDBY led to ERROR"),
        ("wait CONFIGURED 10s", "the task is in ERROR; CONFIGURED was waited for"),
        ("fly", "No such command 'fly'"),
        ("event-stream", "No such command 'event-stream'"),
        ("sleep long", "'long' is not a duration"),
        ("get-state 'and", "No closing quotation"),
        ("transition STANDBY", "Missing argument 'TO'"),
    ):
        path = tmp_path / "wrong.script"
        path.write_text(f"# first\nget-state\n{line}\nget-state\n")
        done = direct.peanut("-mode=direct", "script", str(path))
        assert done.returncode == 1, line
        assert len(done.stdout.splitlines()) == 1, line
        assert done.stderr.startswith(f"peanut: {path}:3: ")
        assert told in done.stderr


def test_from_standard_input_with_a_device(make_device: MakeDevice, tmp_path: Path) -> None:
    device = make_device()
    config = tmp_path / "config.yaml"
    config.write_text("\n".join(pair.replace("=", ": ", 1) for pair in channel_properties()))
    done = subprocess.run(
        [*PEANUT, "-addr", device.address, "-config", str(config), "script", "-"],
        input="fmq-step IDLE 'INIT DEVICE'\nfmq-step 'INITIALIZING DEVICE' 'COMPLETE INIT'\n"
        "fmq-step INITIALIZED 'RESET DEVICE'\ntransition STANDBY CONFIGURED\nwait CONFIGURED\n"
        "wait RUNNING 1ms\n",
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stdout.splitlines() == [
        "ok  fmq-state=INITIALIZING DEVICE  occ-state=STANDBY",
        "ok  fmq-state=INITIALIZED  occ-state=STANDBY",
        "ok  fmq-state=IDLE  occ-state=STANDBY",
        "ok  state=CONFIGURED",
        "READY",
    ]
    assert done.returncode == 1
    assert "peanut: <stdin>:6: the task is still in READY; RUNNING was waited for" in done.stderr


def test_waiting_for_a_task_that_is_not_there_yet(direct: Running) -> None:
    direct.end()
    waiting = subprocess.Popen(
        [*PEANUT, "-addr", direct.address, "-mode", "direct", "wait", "STANDBY", "20s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    direct.start()
    assert waiting.communicate(timeout=20) == ("STANDBY\n", "")
    direct.end()
    done = direct.peanut("-mode", "direct", "wait", "STANDBY", "100ms")
    assert done.returncode == 1
    assert "nothing listens" in done.stderr


def test_lines_are_run_as_they_come_and_can_be_interrupted(direct: Running) -> None:
    running = subprocess.Popen(
        [*PEANUT, "-addr", direct.address, "-mode", "direct", "script", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdin is not None and running.stdout is not None
    running.stdin.write("get-state\n")
    running.stdin.flush()
    assert running.stdout.readline() == "STANDBY\n"
    running.stdin.write("sleep 1h\n")
    running.stdin.flush()
    running.send_signal(signal.SIGINT)
    output, told = running.communicate(timeout=20)
    assert (output, told.strip(), running.returncode) == ("", "", 130)
