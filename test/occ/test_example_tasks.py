"""The demo's tasks as real processes, driven over OCC as an executor drives them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aliecs.occ.client import Codec, DeviceEventType, OccClient, TransitionResult
from test.folder import temporary_folder
from test.ports import free_ports


def channel(name: str, address: str, method: str, direction: str) -> dict[str, str]:
    prefix = f"chans.{name}"
    return {
        f"{prefix}.numSockets": "1",
        f"{prefix}.0.address": address,
        f"{prefix}.0.method": method,
        f"{prefix}.0.type": direction,
        f"{prefix}.0.transport": "default",
        f"{prefix}.0.sndBufSize": "1000",
    }


class ExampleTask:
    """One process and the client that drives it."""

    def __init__(self, module: str, port: int, folder: Path, properties: Mapping[str, str]) -> None:
        self.properties = properties
        self.log = folder / f"{module}-{port}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"aliecs.occ.example.{module}"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OCC_CONTROL_PORT": str(port)},
            )
        self.client = OccClient(port, Codec.PROTOBUF)
        self.state = "STANDBY"

    async def go(self, event: str, **arguments: str) -> TransitionResult:
        if event == "CONFIGURE":
            arguments = {**self.properties, **arguments}
        result = await self.client.transition(self.state, event, arguments, deadline_s=20)
        self.state = result.state
        return result

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def reports(self, run: int) -> dict[str, str]:
        """Source to `blocks=... sha256=...`"""
        pattern = re.compile(rf"run={run} source=(\S+) (blocks=\d+ sha256=\w+)$")
        return {found[1]: found[2] for line in self.lines() if (found := pattern.match(line))}


class ExampleTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.tasks: list[ExampleTask] = []

    def tearDown(self) -> Any:
        for task in self.tasks:
            task.process.kill()
            task.process.wait(10)
        return gatherResults([ensureDeferred(task.client.close()) for task in self.tasks])

    async def chain(self, wrong: bool = False) -> list[ExampleTask]:
        folder = temporary_folder(self)
        self.wrong_port, first, second, collect, *control = free_ports(9)
        settings: list[tuple[str, dict[str, str]]] = []
        for name, port in (("flp001", first), ("flp002", second)):
            blocks = f"tcp://*:{port}"
            target = f"tcp://127.0.0.1:{self.wrong_port if wrong else port}"
            settings += [
                (
                    "readout",
                    {
                        **channel("blocks", blocks, "bind", "push"),
                        "source": name,
                        "block_rate": "200",
                        "block_size": "5000",
                    },
                ),
                (
                    "builder",
                    {
                        **channel("blocks", target, "connect", "pull"),
                        **channel("collect", f"tcp://127.0.0.1:{collect}", "connect", "push"),
                        "connect_deadline_s": "3",
                    },
                ),
            ]
        settings.append(("sender", channel("collect", f"tcp://*:{collect}", "bind", "pull")))
        self.tasks = [
            ExampleTask(module, port, folder, properties)
            for (module, properties), port in zip(settings, control, strict=True)
        ]
        await gatherResults([ensureDeferred(task.client.connect(15)) for task in self.tasks])
        return self.tasks

    async def all(self, event: str, **arguments: str) -> list[TransitionResult]:
        steps = [ensureDeferred(task.go(event, **arguments)) for task in self.tasks]
        return list(await gatherResults(steps, consumeErrors=True))

    async def test_two_runs_that_agree_from_end_to_end(self) -> None:
        tasks = await self.chain()
        for result in await self.all("CONFIGURE"):
            self.assertTrue(result.ok, result)
        digests = set()
        for run in (101, 102):
            for event in ("START", "STOP"):
                for result in await self.all(
                    event, **({"runNumber": str(run)} if event == "START" else {})
                ):
                    self.assertTrue(result.ok, result)
                await pause(0.5 if event == "START" else 0)
            readout1, builder1, readout2, builder2, sender = (task.reports(run) for task in tasks)
            self.assertEqual(list(readout1), ["flp001"])
            self.assertEqual(builder1, readout1)
            self.assertEqual(builder2, readout2)
            total = sender.pop("*")
            self.assertEqual(sender, {**readout1, **readout2})
            self.assertNotIn("blocks=0 ", total)
            digests |= {*sender.values(), total}
        self.assertEqual(len(digests), 6)
        for event in ("RESET", "CONFIGURE", "EXIT"):
            for result in await self.all(event):
                self.assertTrue(result.ok, result)
        self.assertEqual([task.process.wait(10) for task in tasks], [0] * 5)

    async def test_a_wrong_port_fails_the_configuration(self) -> None:
        tasks = await self.chain(wrong=True)
        target = f"tcp://127.0.0.1:{self.wrong_port}"
        results = await self.all("CONFIGURE")
        self.assertEqual([result.ok for result in results], [True, False, True, False, True])
        self.assertIn("channel blocks", results[1].reason)
        self.assertIn(target, results[1].reason)
        self.assertIn(target, tasks[1].lines()[-1])
        self.assertTrue((await tasks[1].go("RECOVER")).ok)

    async def test_a_killed_readout_ends_no_one_else(self) -> None:
        tasks = await self.chain()
        await self.all("CONFIGURE")
        await self.all("START", runNumber="5")
        await pause(0.3)
        killed = self.tasks[0]
        killed.process.kill()
        killed.process.wait(10)
        self.tasks = self.tasks[1:]
        for result in await self.all("STOP"):
            self.assertTrue(result.ok, result)
        self.tasks = tasks
        sender = tasks[4]
        self.assertEqual(sender.reports(5)["flp002"], tasks[2].reports(5)["flp002"])
        incomplete = [line for line in sender.lines() if "incomplete" in line]
        self.assertEqual(len(incomplete), 1)
        self.assertIn("source=flp001", incomplete[0])

    async def test_no_more_data(self) -> None:
        tasks = await self.chain()
        for task in tasks:
            task.properties = {**task.properties, "blocks_per_run": "10"}
        await self.all("CONFIGURE")
        events = tasks[0].client.events()
        await events.connected(5)
        await self.all("START", runNumber="6")
        self.assertEqual(await anext(events), DeviceEventType.END_OF_STREAM)
        await self.all("STOP")
        self.assertTrue(tasks[0].reports(6)["flp001"].startswith("blocks=10 "))
        events.cancel()

    async def test_bad_properties_are_named(self) -> None:
        readout = (await self.chain())[0]
        for key, value in (("block_rate", "0"), ("block_size", "x"), ("block_size", "1e9")):
            result = await readout.go("CONFIGURE", **{key: value})
            self.assertEqual((result.ok, result.state), (False, "ERROR"))
            self.assertIn(key, result.reason)
            await readout.go("RECOVER")


def pause(seconds: float) -> Deferred[None]:
    return deferLater(reactor, seconds, lambda: None)
