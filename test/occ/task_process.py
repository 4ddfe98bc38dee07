"""A task as a real process, and whoever drives it over a real socket."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.task import deferLater

from aliecs.occ.client import Codec, OccClient, TransitionResult
from test.ports import free_port

DEADLINE_S = 20.0


@define(eq=False)
class TaskProcess:
    """`python <words>` on a control port of its own."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(factory=dict)
    port: int = field(factory=free_port, init=False)
    process: subprocess.Popen[str] = field(init=False)
    client: OccClient = field(init=False)
    state: str = field(default="STANDBY", init=False)

    def __attrs_post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *self.words], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "OCC_CONTROL_PORT": str(self.port), **self.environment},
        )  # fmt: skip
        self.client = OccClient(self.port, Codec.PROTOBUF)

    async def ready(self) -> None:
        """Wait until it listens."""
        await self.client.connect(DEADLINE_S)

    async def move(self, event: str, **arguments: str) -> TransitionResult:
        """One step from where it is."""
        result = await self.client.transition(self.state, event, arguments, DEADLINE_S)
        self.state = result.state
        return result

    async def goes(self, event: str, state: str, **arguments: str) -> None:
        """One step that leads where it should."""
        result = await self.move(event, **arguments)
        assert (result.ok, result.state) == (True, state), result

    async def ended(self) -> tuple[int, str, str]:
        """Wait for its end: status, output, errors."""
        end: Any = reactor
        deadline_s = end.seconds() + DEADLINE_S
        while self.process.poll() is None:
            assert end.seconds() < deadline_s, "the process did not end"
            await deferLater(end, 0.01, lambda: None)
        output, errors = self.process.communicate(timeout=10)
        return self.process.returncode, output, errors

    async def close(self) -> None:
        """Leave nothing."""
        self.process.kill()
        self.process.communicate(timeout=10)
        await self.client.close()
