"""Tasks of either kind as real processes, for the tests of `peanut`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aliecs.occ.blocking import BlockingOccClient
from aliecs.occ.codec import Codec
from aliecs.txgrpc.blocking import BlockingChannel
from test.ports import free_ports
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
        print("run", self.run_number, flush=True)
        self.end_of_stream()

    def iterate_running(self):
        return False

run(Sample("sample"))
"""


MakeDevice = Callable[..., "Running"]


class Running:
    """A task that runs, and peanut pointed at it."""

    def __init__(self, command: list[str], folder: Path, fault: str = "") -> None:
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / "task.log"
        self._command = command
        self._fault = fault
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it listens."""
        environment = {"OCC_CONTROL_PORT": str(self.port), "STANDIN_FAULT": self._fault}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env={**os.environ, **environment}
            )
        with BlockingChannel(self.address) as channel:
            channel.ready(15)

    def state(self) -> str:
        """Where it is."""
        codec = Codec.JSON if "Stf" in self._command[0] else Codec.PROTOBUF
        with BlockingOccClient(self.address, codec) as client:
            return client.get_state(15).state

    def peanut(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*PEANUT, "-addr", self.address, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=20)

    def follow(self, *arguments: str) -> subprocess.Popen[str]:
        command = [*PEANUT, "-addr", self.address, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def direct(tmp_path: Path) -> Iterator[Running]:
    """A task with the OCC library."""
    running = Running([sys.executable, "-c", TASK], tmp_path)
    yield running
    running.end()


@pytest.fixture
def make_device(tmp_path: Path) -> Iterator[MakeDevice]:
    """Starts a FairMQ device, with a fault where one is told."""
    install(tmp_path)
    made: list[Running] = []

    def make(fault: str = "") -> Running:
        told = f"StfSender:{fault}" if fault else ""
        made.append(Running([str(tmp_path / "bin/StfSender")], tmp_path, told))
        return made[-1]

    yield make
    for running in made:
        running.end()


@pytest.fixture
def device(make_device: MakeDevice) -> Running:
    """A FairMQ device."""
    return make_device()


def channel_properties() -> list[str]:
    """What a device needs to be configured, as `key=value`."""
    prefix = "chans.data.0"
    address = f"ipc://@aliecs-peanut-{os.getpid()}"
    return [f"{prefix}.address={address}", f"{prefix}.method=bind", f"{prefix}.type=pull"]
