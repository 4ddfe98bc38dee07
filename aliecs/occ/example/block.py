"""What travels over the channels of the example tasks: blocks, and the mark that ends a run.

Each message is one line of JSON, then the bytes of the block. A mark tells how much its source has
sent in the run, so that everybody who passed it on can prove that nothing is missing.
"""

from __future__ import annotations

import hashlib
import json

from attrs import define, field, frozen

from aliecs.errors import InvalidInput


@frozen
class Block:
    """A numbered block of one source in one run. Numbers begin with 1 in each run."""

    source: str
    run: int
    number: int
    data: bytes

    def encode(self) -> bytes:
        """The message."""
        head = {"source": self.source, "run": self.run, "number": self.number}
        return json.dumps(head).encode() + b"\n" + self.data


@frozen
class EndOfRun:
    """The mark after the last block of a source in a run.

    `missing` tells why it is not the source's own, but that of a task which has lost the source; a
    `source` of no name says that its sender knows of none.
    """

    source: str
    run: int
    blocks: int
    sha256: str
    missing: str = ""

    def encode(self) -> bytes:
        """The message."""
        head = {
            "source": self.source,
            "run": self.run,
            "blocks": self.blocks,
            "sha256": self.sha256,
            "missing": self.missing,
        }
        return json.dumps(head).encode() + b"\n"


def decode(message: bytes) -> Block | EndOfRun:
    """The block or mark of a message; `InvalidInput` for what is neither."""
    head, _, data = message.partition(b"\n")
    try:
        fields = json.loads(head)
        if "number" in fields:
            return Block(fields["source"], fields["run"], fields["number"], data)
        return EndOfRun(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput(f"a message of {len(message)} bytes is no block: {error!r}") from None


@define
class Tally:
    """What has passed of one source in one run: the number of blocks, and a SHA-256 over each
    block's number (8 bytes, big-endian) and data, in the order in which they came."""

    source: str
    run: int
    blocks: int = 0
    missing: str = ""
    """Why this tally is not the whole run; empty where it is."""
    _digest: hashlib._Hash = field(factory=hashlib.sha256, init=False, repr=False)

    def add(self, block: Block) -> None:
        """Count a block."""
        self.blocks += 1
        self._digest.update(block.number.to_bytes(8, "big"))
        self._digest.update(block.data)

    @property
    def sha256(self) -> str:
        """The digest so far, in hexadecimal."""
        return self._digest.hexdigest()

    def mark(self) -> EndOfRun:
        """The mark that accounts for it."""
        return EndOfRun(self.source, self.run, self.blocks, self.sha256, self.missing)

    def line(self) -> str:
        """What a task prints at the end of a run."""
        text = f"run={self.run} source={self.source} blocks={self.blocks} sha256={self.sha256}"
        return f"{text} incomplete: {self.missing}" if self.missing else text


def total_line(run: int, tallies: list[Tally]) -> str:
    """The line over several sources: the sum of their blocks, and the SHA-256 over their digests
    (in hexadecimal, one per line, sources in alphabetical order)."""
    digest = hashlib.sha256()
    for tally in sorted(tallies, key=lambda tally: tally.source):
        digest.update(f"{tally.sha256}\n".encode())
    blocks = sum(tally.blocks for tally in tallies)
    return f"run={run} source=* blocks={blocks} sha256={digest.hexdigest()}"
