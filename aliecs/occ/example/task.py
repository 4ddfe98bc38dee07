"""What the three example tasks share: channels at CONFIGURE, a flow while RUNNING, a report at
STOP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from aliecs.occ.example.block import Tally, total_line
from aliecs.occ.example.flow import Channels, Flow
from aliecs.occ.properties import Properties
from aliecs.occ.task import Task


class FlowTask(Task, ABC):
    """A task that moves data. What it does with it is `make_flow`'s affair."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.channels = Channels()
        self.flow: Flow | None = None

    @abstractmethod
    def make_flow(self, properties: Mapping[str, str]) -> Flow:
        """The flow over `self.channels`, which are open."""

    async def configure(self, properties: Properties) -> None:
        """Open the channels: returns when all that connect are connected."""
        try:
            await self.channels.open(properties)
            self.flow = self.make_flow(properties)
        except BaseException:
            await self.channels.close()
            raise

    async def start(self) -> None:
        """A run begins."""
        assert self.flow is not None
        await self.flow.begin(self.run_number)

    async def iterate_running(self) -> bool:
        """Move data."""
        assert self.flow is not None
        return await self.flow.step()

    async def stop(self) -> None:
        """See the data through and report it, one line for each source on standard output."""
        assert self.flow is not None
        self.report(await self.flow.end())

    def report(self, tallies: list[Tally]) -> None:
        """Print the account of a run."""
        for tally in tallies:
            print(tally.line(), flush=True)

    async def reset(self) -> None:
        """Close the channels."""
        await self.channels.close()

    async def recover(self) -> None:
        """Whatever failed, begin anew."""
        await self.channels.close()

    async def exit(self) -> None:
        """Close the channels."""
        await self.channels.close()


class TotalFlowTask(FlowTask):
    """One that collects from several sources, and adds a line over all of them."""

    def report(self, tallies: list[Tally]) -> None:
        """Print the account of a run and the total."""
        super().report(tallies)
        print(total_line(self.run_number, tallies), flush=True)
