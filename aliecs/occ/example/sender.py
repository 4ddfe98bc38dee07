"""A sender: collects the blocks of all builders.

Properties: one pull channel. Its report has a line for each source, whose digest is that of the
readout, and a total over them.
"""

from __future__ import annotations

from collections.abc import Mapping

from aliecs.occ.example.flow import Relay
from aliecs.occ.example.task import TotalFlowTask
from aliecs.occ.process import run


class Sender(TotalFlowTask):
    """The last task of the chain."""

    def make_flow(self, properties: Mapping[str, str]) -> Relay:
        """A relay that ends here."""
        return Relay(self.channels.only("pull"), None)


def main() -> None:
    """The program."""
    run(Sender("sender"))


if __name__ == "__main__":
    main()
