"""What the example tasks do with data: make it, or pass it on, and account for all of it.

STOP reaches all tasks of an environment at once, so nobody can know by it that no more data comes.
Therefore the source ends its run with a mark, and those behind it have stopped when the marks of
all their peers are through. A peer that is lost is not waited for, and a source that leaves the run
may come back into it: that is another part, with numbers from 1 and a mark of its own. Works on the
running asyncio loop, without OCC: whoever drives it calls `begin`, `step` again and again, then
`end`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Protocol

from aliecs.errors import InvalidInput, TransitionFailed
from aliecs.occ.example.block import Block, EndOfRun, Tally, decode
from aliecs.occ.example.channel import Channel, ChannelSettings, channel_settings

CONNECT_DEADLINE_S = 10.0
DRAIN_DEADLINE_S = 10.0
STEP_S = 0.1
# How long the end of a run waits for somebody to take data when nobody is connected.
LOST_PATIENCE_S = 0.3
UNFINISHED = "the run has not ended"
WENT_AWAY = "it went away without an end of the run, and came back"


class Flow(Protocol):
    """What `Source` and `Relay` have in common."""

    async def begin(self, run: int) -> None:
        """A run begins."""

    async def step(self) -> bool:
        """Some work, for at most about a tenth of a second; False when there is no more in this
        run."""

    async def end(self) -> list[Tally]:
        """The run ends: see the data through, and account for it, one tally for each source and
        each time that it took part."""


class Channels:
    """The channels of one task."""

    def __init__(self) -> None:
        self._open: dict[str, Channel] = {}

    def __getitem__(self, name: str) -> Channel:
        return self._open[name]

    async def open(self, properties: Mapping[str, str], method: str = "") -> None:
        """Open all channels that the properties describe, or only those of one method. Binds
        first: peers that are configured at the same time connect to it meanwhile. The property
        `connect_deadline_s` limits each wait for a peer (10)."""
        settings = list(channel_settings(properties).values())
        deadline_s = positive(properties, "connect_deadline_s", CONNECT_DEADLINE_S)
        listen_address = properties.get("listen_address", "127.0.0.1")
        for wanted in ("bind", "connect"):
            if method in ("", wanted):
                chosen = [one for one in settings if one.method == wanted]
                await asyncio.gather(
                    *(self._add(one, listen_address, deadline_s) for one in chosen)
                )

    async def _add(self, settings: ChannelSettings, listen_address: str, deadline_s: float) -> None:
        channel = Channel(settings, listen_address)
        await channel.open(deadline_s)
        self._open[settings.name] = channel

    async def close(self) -> None:
        """Close all channels."""
        channels, self._open = self._open, {}
        await asyncio.gather(*(channel.close() for channel in channels.values()))

    def only(self, direction: str) -> Channel:
        """The one channel of a direction; `InvalidInput` where there is none, or more."""
        found = [one for one in self._open.values() if one.settings.direction == direction]
        if len(found) != 1:
            names = ", ".join(sorted(one.settings.name for one in found)) or "none"
            raise InvalidInput(f"one {direction} channel is needed, there are: {names}")
        return found[0]

    def optional(self, direction: str) -> Channel | None:
        """Likewise, or None where there is none."""
        present = any(one.settings.direction == direction for one in self._open.values())
        return self.only(direction) if present else None


class Source:
    """Makes blocks of random bytes.

    `name` tells this source from all others of the environment, `block_size` is in bytes,
    `block_rate` in blocks per second, and after `blocks_per_run` blocks a run has no more data (0:
    no limit).
    """

    def __init__(
        self,
        output: Channel,
        name: str,
        block_size: int,
        block_rate: float,
        blocks_per_run: int = 0,
    ) -> None:
        self._output = output
        self._name = name
        self._block_size = block_size
        self._interval_s = 1 / block_rate
        self._blocks_per_run = blocks_per_run
        self._tally = Tally(name, 0)
        self._next_s = 0.0

    async def begin(self, run: int) -> None:
        """See `Flow`."""
        self._tally = Tally(self._name, run)
        self._next_s = asyncio.get_running_loop().time()

    async def step(self) -> bool:
        """See `Flow`."""
        tally = self._tally
        now_s = asyncio.get_running_loop().time()
        if now_s < self._next_s:
            await asyncio.sleep(min(self._next_s - now_s, STEP_S))
            return True
        block = Block(self._name, tally.run, tally.blocks + 1, os.urandom(self._block_size))
        if await self._output.send(block.encode(), STEP_S):
            tally.add(block)
            # A source that was held up does not make up for it.
            self._next_s = max(self._next_s + self._interval_s, now_s)
        return not self._blocks_per_run or tally.blocks < self._blocks_per_run

    async def end(self) -> list[Tally]:
        """See `Flow`."""
        tally = self._tally
        if not await _hand_over(self._output, tally.mark()):
            tally.missing = f"nobody takes channel {self._output.settings.name}"
        return [tally]


class Relay:
    """Takes blocks from all peers of one channel and, where there is an `output`, passes them on in
    the order in which they came."""

    def __init__(self, input: Channel, output: Channel | None) -> None:
        self._input = input
        self._output = output
        self._run = 0
        self._tallies: dict[str, Tally] = {}
        # Earlier parts of sources that have come back.
        self._parts: list[Tally] = []
        # The peer that brings a source, and the peers that have ended the run of some source.
        self._carrier: dict[str, int] = {}
        self._marked: set[int] = set()
        self._wrong: list[str] = []
        self._held: bytes | None = None

    async def begin(self, run: int) -> None:
        """See `Flow`."""
        self._run = run
        self._tallies = {}
        self._parts = []
        self._carrier = {}
        self._marked = set()
        self._wrong = []
        self._held = None

    async def step(self) -> bool:
        """See `Flow`."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + STEP_S
        while (left_s := until_s - loop.time()) > 0:
            await self._pass_on(left_s)
        return True

    async def end(self) -> list[Tally]:
        """See `Flow`. `TransitionFailed` where what came is not what its source has sent."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + DRAIN_DEADLINE_S
        lost_s = loop.time() + LOST_PATIENCE_S
        while not self._drained() and loop.time() < give_up_s:
            await self._pass_on(STEP_S)
            nobody = self._output is not None and not self._output.peers
            if nobody and loop.time() > lost_s:
                break
        tallies = [self._tallies[source] for source in sorted(self._tallies)]
        await self._close_run(tallies)
        if self._wrong:
            raise TransitionFailed(f"run {self._run}: {'; '.join(self._wrong)}")
        return sorted([*self._parts, *tallies], key=lambda tally: tally.source)

    async def _close_run(self, tallies: list[Tally]) -> None:
        """Tell people, and those behind, what will not come any more."""
        for tally in tallies:
            if tally.missing == UNFINISHED and self._held is None:
                tally.missing = f"channel {self._input.settings.name} brought no end of the run"
        if self._output is None:
            return
        marks = [tally.mark() for tally in tallies if tally.missing]
        if not tallies:
            marks = [EndOfRun("", self._run, 0, "", "nothing came")]
        delivered = self._held is None
        for mark in marks:
            delivered = delivered and await _hand_over(self._output, mark)
        for tally in tallies:
            if not delivered and tally.missing in ("", UNFINISHED):
                tally.missing = f"nobody takes channel {self._output.settings.name}"

    def _drained(self) -> bool:
        if self._input.waiting or self._held is not None:
            return False
        unfinished = {
            self._carrier[t.source] for t in self._tallies.values() if t.missing == UNFINISHED
        }
        # Of a peer that is gone nothing more will come.
        return self._input.peers <= self._marked and not unfinished & self._input.peers

    async def _pass_on(self, patience_s: float) -> None:
        """One message, if one comes and can be passed on within `patience_s` for each."""
        if self._held is None:
            received = await self._input.receive(patience_s)
            if received is None or not self._account(received.peer, decode(received.data)):
                return
            self._held = received.data
        if self._output is None or await self._output.send(self._held, patience_s):
            self._held = None

    def _account(self, peer: int, message: Block | EndOfRun) -> bool:
        """Count a message; False for one that goes no further: of another run, or of nobody."""
        if message.run != self._run:
            return False
        # A peer may have more to bring after the end of what it brought first.
        self._marked.discard(peer)
        if isinstance(message, EndOfRun):
            self._marked.add(peer)
            if not message.source:
                return False
        tally = self._tallies.get(message.source)
        if tally is not None and _begins_anew(tally, message):
            if tally.missing == UNFINISHED:
                tally.missing = WENT_AWAY
            self._parts.append(tally)
            tally = None
        if tally is None:
            tally = Tally(message.source, self._run, missing=UNFINISHED)
            self._tallies[message.source] = tally
            self._carrier[message.source] = peer
        if isinstance(message, Block):
            tally.add(message)
            return True
        tally.missing = message.missing
        if (tally.blocks, tally.sha256) != (message.blocks, message.sha256):
            self._wrong.append(
                f"{message.source} has sent {message.blocks} blocks with SHA-256 "
                f"{message.sha256}, but {tally.blocks} came with {tally.sha256}"
            )
        return True


def _begins_anew(tally: Tally, message: Block | EndOfRun) -> bool:
    """True where a source has left the run and come back."""
    if tally.missing != UNFINISHED:
        return True
    count = message.number - 1 if isinstance(message, Block) else message.blocks
    return count == 0 and tally.blocks > 0


async def _hand_over(output: Channel, mark: EndOfRun) -> bool:
    """Send a mark, waiting long for somebody slow and shortly for somebody absent."""
    patience_s = DRAIN_DEADLINE_S if output.peers else LOST_PATIENCE_S
    return await output.send(mark.encode(), patience_s)


def positive(properties: Mapping[str, str], key: str, default: float) -> float:
    """A property that is a positive number; `InvalidInput`, naming it, where it is none."""
    text = properties.get(key, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise InvalidInput(f"property {key} is {text!r}, not a positive number")
    return value
