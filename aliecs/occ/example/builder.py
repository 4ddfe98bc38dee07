"""A builder: takes the blocks of the readout of its host and pushes them on.

Properties: one pull channel, one push channel.
"""

from __future__ import annotations

from collections.abc import Mapping

from aliecs.occ.example.flow import Relay
from aliecs.occ.example.task import FlowTask
from aliecs.occ.process import run


class Builder(FlowTask):
    """The task in the middle of the chain."""

    def make_flow(self, properties: Mapping[str, str]) -> Relay:
        """A relay from the pull channel to the push channel."""
        return Relay(self.channels.only("pull"), self.channels.only("push"))


def main() -> None:
    """The program."""
    run(Builder("builder"))


if __name__ == "__main__":
    main()
