"""Tasks written in Python as real processes, driven by the OCC client over real sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aliecs.occ.client import Codec, DeviceEventType, OccClient, OccError
from aliecs.occ.process import options
from test.folder import temporary_folder
from test.ports import free_port

PROGRAM = textwrap.dedent(
    """
    import sys, time
    from aliecs.occ import Task, run

    class Sample(Task):
        def configure(self, properties):
            if "hang" in properties:
                time.sleep(60)
            if "fail" in properties:
                raise ValueError("bad property 'fail': \u2603")

        def iterate_running(self):
            time.sleep(0.01)
            return "short" not in self.arguments

        def exit(self):
            print("exit from", self.state, "as", self.role)

    run(Sample("sample"))
    """
)


class ProcessTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.port = free_port()
        program = temporary_folder(self) / "sample.py"
        program.write_text(PROGRAM)
        self.process = subprocess.Popen(
            [sys.executable, str(program), "--control-port", str(self.port), "--mine", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "O2_ROLE": "flp001", "OCC_CONTROL_PORT": "1"},
        )
        self.client = OccClient(self.port, Codec.PROTOBUF)

    def tearDown(self) -> Any:
        self.process.kill()
        self.process.communicate(timeout=10)
        return ensureDeferred(self.client.close())

    async def ended(self) -> tuple[int, str, str]:
        for _ in range(500):
            if self.process.poll() is not None:
                output, errors = self.process.communicate(timeout=10)
                return self.process.returncode, output, errors
            await deferLater(reactor, 0.01, lambda: None)
        raise AssertionError("the process did not end within 5 s")

    async def test_a_whole_life(self) -> None:
        client = self.client
        await client.connect(deadline_s=10)
        state = await client.get_state(deadline_s=5)
        self.assertEqual((state.state, state.pid), ("STANDBY", self.process.pid))
        events, states = client.events(), client.states()
        self.assertTrue(await events.connected(5))
        self.assertTrue(await states.connected(5))
        steps = [("STANDBY", "CONFIGURE"), ("CONFIGURED", "START"), ("RUNNING", "STOP")]
        for source, event in steps:
            result = await client.transition(source, event, {"runNumber": "5"}, deadline_s=5)
            self.assertTrue(result.ok)
            self.assertEqual(result.event, event)
        await client.transition("CONFIGURED", "START", {"short": "1"}, deadline_s=5)
        self.assertEqual(await anext(events), DeviceEventType.END_OF_STREAM)
        await client.transition("RUNNING", "STOP", {}, deadline_s=5)
        result = await client.transition("CONFIGURED", "EXIT", {}, deadline_s=5)
        self.assertEqual((result.ok, result.state), (True, "DONE"))
        self.assertEqual([event async for event in events], [])
        self.assertEqual(
            [update.state async for update in states],
            ["CONFIGURED", "RUNNING", "CONFIGURED", "RUNNING", "CONFIGURED", "DONE"],
        )
        status, output, errors = await self.ended()
        self.assertEqual((status, output), (0, "exit from CONFIGURED as flp001\n"))
        self.assertEqual(errors, "")

    async def test_the_cause_of_a_failure_travels(self) -> None:
        await self.client.connect(deadline_s=10)
        result = await self.client.transition("STANDBY", "CONFIGURE", {"fail": "1"}, deadline_s=5)
        self.assertEqual((result.ok, result.state), (False, "ERROR"))
        self.assertEqual(result.reason, "ValueError: bad property 'fail': \N{SNOWMAN}")
        with pytest.raises(OccError) as caught:
            await self.client.transition("STANDBY", "CONFIGURE", {}, deadline_s=5)
        self.assertEqual(caught.value.status, "INVALID_ARGUMENT")
        self.assertIn("ERROR", caught.value.message)
        result = await self.client.transition("ERROR", "EXIT", {}, deadline_s=5)
        self.assertEqual((await self.ended())[0], 0)

    async def test_a_task_that_hangs_answers_and_can_be_ended(self) -> None:
        await self.client.connect(deadline_s=10)
        with pytest.raises(OccError) as caught:
            await self.client.transition("STANDBY", "CONFIGURE", {"hang": "1"}, deadline_s=0.3)
        self.assertEqual(caught.value.status, "DEADLINE_EXCEEDED")
        self.assertEqual((await self.client.get_state(deadline_s=5)).state, "STANDBY")
        self.process.send_signal(signal.SIGINT)
        self.assertEqual((await self.ended())[0], 130)

    async def test_sigterm_lets_it_clean_up(self) -> None:
        await self.client.connect(deadline_s=10)
        await self.client.transition("STANDBY", "CONFIGURE", {}, deadline_s=5)
        await self.client.transition("CONFIGURED", "START", {}, deadline_s=5)
        self.process.send_signal(signal.SIGTERM)
        status, output, _ = await self.ended()
        self.assertEqual((status, output), (143, "exit from RUNNING as flp001\n"))

    async def test_a_stream_of_a_task_that_is_killed(self) -> None:
        await self.client.connect(deadline_s=10)
        events = self.client.events()
        await events.connected(5)
        self.process.kill()
        with pytest.raises(OccError) as caught:
            await anext(events)
        self.assertEqual(caught.value.status, "UNAVAILABLE")

    async def test_a_second_task_on_its_port_says_so(self) -> None:
        await self.client.connect(deadline_s=10)
        second = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "--control-port", str(self.port)],
            stderr=subprocess.PIPE,
            text=True,
        )
        errors = second.communicate(timeout=20)[1]
        self.assertEqual(second.returncode, 1)
        self.assertIn(f"cannot listen on 127.0.0.1:{self.port}", errors)

    async def test_it_listens_on_loopback_only(self) -> None:
        await self.client.connect(deadline_s=10)
        listening = [
            line.split()[1]
            for line in Path("/proc/net/tcp").read_text().splitlines()
            if line.split()[1].endswith(f":{self.port:04X}") and line.split()[3] == "0A"
        ]
        mapped = [
            line.split()[1]
            for line in Path("/proc/net/tcp6").read_text().splitlines()
            if line.split()[1].endswith(f":{self.port:04X}") and line.split()[3] == "0A"
        ]
        self.assertEqual(len(listening + mapped), 1)
        self.assertIn("0100007F", (listening + mapped)[0])


@pytest.mark.parametrize(
    ("argument", "arguments", "environment", "port"),
    [
        (5, ["--control-port", "6"], {"OCC_CONTROL_PORT": "7"}, 5),
        (None, ["--control-port=6"], {"OCC_CONTROL_PORT": "7"}, 6),
        (None, ["--control", "6"], {"OCC_CONTROL_PORT": "7"}, 7),
        (None, [], {}, 47100),
    ],
)
def test_where_the_port_comes_from(
    argument: int | None, arguments: list[str], environment: dict[str, str], port: int
) -> None:
    assert options(arguments, environment, argument).port == port


@pytest.mark.parametrize("text", ["0", "65536", "x", "-1", "47_100", "٣"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(ValueError, match="--control-port"):
        options([f"--control-port={text}"], {})
    with pytest.raises(ValueError, match="OCC_CONTROL_PORT"):
        options([], {"OCC_CONTROL_PORT": text})


def test_where_the_role_comes_from() -> None:
    assert options(["--o2-role", "a"], {"O2_ROLE": "b"}).role == "a"
    assert options([], {"O2_ROLE": "b"}).role == "b"
    assert options([], {}).role == "default-role"
