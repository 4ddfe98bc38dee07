"""What a relay of the example tasks makes of sources that leave a run and come back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aliecs.errors import TransitionFailed
from aliecs.occ.example.block import Block, EndOfRun, Tally
from aliecs.occ.example.channel import Received
from aliecs.occ.example.flow import WENT_AWAY, Relay

RUN = 7


class Input:
    """The pull channel of a relay: all messages have come."""

    def __init__(self, messages: list[Received], peers: set[int]) -> None:
        self.messages = messages
        self.peers = frozenset(peers)

    @property
    def waiting(self) -> int:
        return len(self.messages)

    async def receive(self, patience_s: float) -> Received | None:
        return self.messages.pop(0) if self.messages else None


def part(peer: int, blocks: int, ends: bool = True, source: str = "a") -> list[Received]:
    """All that comes of a source while it takes part once."""
    tally = Tally(source, RUN)
    messages = []
    for number in range(1, blocks + 1):
        block = Block(source, RUN, number, b"data")
        tally.add(block)
        messages.append(Received(peer, block.encode()))
    if ends:
        messages.append(Received(peer, tally.mark().encode()))
    return messages


def ended(messages: list[Received], *peers: int) -> list[tuple[str, int, str]]:
    """What a relay says at the end of the run."""

    async def run() -> list[Tally]:
        channel: Any = Input(messages, set(peers))
        relay = Relay(channel, None)
        await relay.begin(RUN)
        return await relay.end()

    return [(one.source, one.blocks, one.missing) for one in asyncio.run(run())]


@pytest.mark.parametrize("second", [0, 1, 4])
@pytest.mark.parametrize("peer", [1, 3])
def test_each_part_is_accounted_for(second: int, peer: int) -> None:
    messages = [*part(1, 3), *part(2, 5, source="b"), *part(peer, second)]
    assert ended(messages, 2, peer) == [("a", 3, ""), ("a", second, ""), ("b", 5, "")]


@pytest.mark.parametrize("second", [0, 2])
def test_a_part_without_an_end_is_incomplete(second: int) -> None:
    messages = [*part(1, 3, ends=False), *part(2, second)]
    assert ended(messages, 2) == [("a", 3, WENT_AWAY), ("a", second, "")]


def test_what_is_missing_is_still_seen() -> None:
    mark = EndOfRun("a", RUN, 4, "0" * 64)
    messages = [*part(1, 3), *part(2, 2, ends=False), Received(2, mark.encode())]
    with pytest.raises(TransitionFailed, match=r"a has sent 4 blocks .* but 2 came"):
        ended(messages, 2)
