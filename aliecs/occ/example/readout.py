"""A readout: makes numbered blocks of random bytes and pushes them.

Properties: one push channel; `source` (its name, by default that of its role), `block_size` in
bytes (65536), `block_rate` in blocks per second (20), `blocks_per_run` (0: no limit).
"""

from __future__ import annotations

from collections.abc import Mapping

from aliecs.errors import InvalidInput
from aliecs.occ.example.flow import Source, positive
from aliecs.occ.example.task import FlowTask
from aliecs.occ.process import run

BLOCK_SIZE_LIMIT_BYTES = 16 * 1024 * 1024
BLOCK_RATE_LIMIT = 10_000


class Readout(FlowTask):
    """The first task of the chain."""

    def make_flow(self, properties: Mapping[str, str]) -> Source:
        """A source over the only push channel."""
        block_size = positive(properties, "block_size", 65536)
        if block_size > BLOCK_SIZE_LIMIT_BYTES:
            raise InvalidInput(f"property block_size is over {BLOCK_SIZE_LIMIT_BYTES} bytes")
        block_rate = positive(properties, "block_rate", 20)
        if not 0 < block_rate <= BLOCK_RATE_LIMIT:
            raise InvalidInput(f"property block_rate is not within 0 and {BLOCK_RATE_LIMIT}")
        return Source(
            self.channels.only("push"),
            name=properties.get("source") or self.role,
            block_size=int(block_size),
            block_rate=block_rate,
            blocks_per_run=int(positive(properties, "blocks_per_run", 0)),
        )


def main() -> None:
    """The program."""
    run(Readout("readout"))


if __name__ == "__main__":
    main()
