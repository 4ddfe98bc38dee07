"""`o2-readout-exe`: a readout that is controlled directly, makes blocks and pushes them.

    python readout.py consul-ini://...

Its configuration file is not looked at. See `fault` for how it can misbehave and `report` for what
it tells of a run.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Run by its path, the folder of the stand-ins hides the package that they are in.
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from aliecs.occ import Properties, run
from aliecs.occ.example.block import Tally
from aliecs.occ.example.readout import Readout
from test.standin.fault import fault_of
from test.standin.report import report

PROGRAM = "o2-readout-exe"


class StandInReadout(Readout):
    """A readout that can misbehave at CONFIGURE, START and STOP."""

    async def configure(self, properties: Properties) -> None:
        await self.misbehave("CONFIGURE")
        await super().configure(properties)

    async def start(self) -> None:
        await self.misbehave("START")
        await super().start()

    async def stop(self) -> None:
        await self.misbehave("STOP")
        await super().stop()

    def report(self, tallies: list[Tally]) -> None:
        report(PROGRAM, tallies)

    async def misbehave(self, step: str) -> None:
        fault = fault_of(PROGRAM)
        match fault.at(step):
            case "die":
                os._exit(3)
            case "hang":
                await asyncio.Event().wait()
            case "slow":
                await asyncio.sleep(fault.seconds)
            case "error" | "stick":
                raise RuntimeError(f"told to fail at {step}")


if __name__ == "__main__":
    run(StandInReadout(PROGRAM))
