"""The example tasks' channels and flows, on a loop of their own, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.errors import DeadlineExceeded, InvalidInput, TransitionFailed, Unavailable
from aliecs.occ.example.block import Block, EndOfRun, Tally, decode, total_line
from aliecs.occ.example.channel import (
    RECEIVE_BOUND,
    Channel,
    ChannelSettings,
    channel_settings,
)
from aliecs.occ.example.flow import Relay, Source

T = TypeVar("T")


def run(scenario: Awaitable[T]) -> T:
    async def within_a_deadline() -> T:
        return await asyncio.wait_for(scenario, 20)

    return asyncio.run(within_a_deadline())


def address(scheme: str) -> str:
    if scheme == "ipc":
        return f"ipc://@aliecs-test-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def push(where: str, method: str = "bind", name: str = "data") -> Channel:
    return Channel(ChannelSettings(name, where, method, "push"))


def pull(where: str, method: str = "connect", name: str = "data") -> Channel:
    return Channel(ChannelSettings(name, where, method, "pull"))


@contextlib.asynccontextmanager
async def opened(*channels: Channel, deadline_s: float = 5) -> AsyncIterator[None]:
    try:
        for channel in channels:
            await channel.open(deadline_s)
        yield
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


@pytest.mark.parametrize("scheme", ["tcp", "ipc"])
@pytest.mark.parametrize("binds", ["push", "pull"])
def test_messages_arrive_in_order_and_whole(scheme: str, binds: str) -> None:
    async def scenario() -> None:
        where = address(scheme)
        first, second = push(where, "bind"), pull(where, "connect")
        if binds == "pull":
            first, second = pull(where, "bind"), push(where, "connect")
        async with opened(first, second):
            sender, receiver = (first, second) if binds == "push" else (second, first)
            sent = [bytes([n % 256]) * (n * 997) for n in range(120)]

            async def send() -> None:
                for message in sent:
                    assert await sender.send(message, 5)

            sending = asyncio.create_task(send())
            came = [(await receiver.receive(5)) for _ in sent]
            await sending
            assert [message.data for message in came if message] == sent
            assert {message.peer for message in came if message} == receiver.peers

    run(scenario())


def test_a_puller_that_does_not_take_holds_the_pusher_up() -> None:
    async def scenario() -> None:
        where = address("tcp")
        source, sink = push(where), pull(where)
        async with opened(source, sink):
            taken = 0
            while await source.send(bytes(1_000_000), 0.3):
                taken += 1
            assert RECEIVE_BOUND <= taken < RECEIVE_BOUND + 30
            assert not await source.send(b"", 0.05)
            for _ in range(taken):
                assert await sink.receive(5) is not None
            assert await source.send(b"again", 5)

    run(scenario())


def test_nobody_there() -> None:
    async def scenario() -> None:
        where = address("tcp")
        with pytest.raises(DeadlineExceeded) as caught:
            await pull(where).open(0.3)
        assert "channel data" in caught.value.message
        assert where in caught.value.message
        assert "refused" in caught.value.message.lower()
        lonely = push(where)
        async with opened(lonely):
            assert not await lonely.send(b"", 0.05)

    run(scenario())


@pytest.mark.parametrize(
    ("name", "direction", "reason"),
    [
        ("other", "pull", "the push side of channel other, not the push side of channel data"),
        ("data", "push", "the pull side of channel data, not the push side of channel data"),
    ],
)
def test_the_wrong_channel_is_found_out(name: str, direction: str, reason: str) -> None:
    async def scenario() -> None:
        where = address("tcp")
        make = push if direction == "pull" else pull
        async with opened(make(where, "bind", name)):
            with pytest.raises(DeadlineExceeded, match=reason):
                await pull(where).open(0.5)

    run(scenario())


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n", b"\0\0\0\2{}", b"\0" * 50]
)
def test_what_is_no_channel_is_found_out(answer: bytes) -> None:
    async def scenario() -> None:
        where = address("tcp")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", int(where.rpartition(":")[2]))
        with pytest.raises(DeadlineExceeded, match=r"what (listens|answers) there"):
            await pull(where).open(0.5)
        server.close()

    run(scenario())


def test_a_stranger_does_not_disturb() -> None:
    async def scenario() -> None:
        where = address("tcp")
        source, sink = push(where), pull(where)
        async with opened(source, sink):
            _, writer = await asyncio.open_connection("127.0.0.1", int(where.rpartition(":")[2]))
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await source.send(b"hello", 5)
            message = await sink.receive(5)
            assert message is not None and message.data == b"hello"
            writer.close()

    run(scenario())


def test_a_peer_that_comes_back_is_found_again() -> None:
    async def scenario() -> None:
        where = address("tcp")
        sink = pull(where)
        first = push(where)
        async with opened(first, sink):
            pass_on = push(where)
            await first.close()
            while sink.peers:
                await asyncio.sleep(0.01)
            async with opened(pass_on):
                assert await pass_on.send(b"second life", 5)
                message = await sink.receive(5)
                assert message is not None and message.data == b"second life"

    run(scenario())


def test_a_taken_address_is_named() -> None:
    async def scenario() -> None:
        where = address("tcp")
        async with opened(push(where)):
            with pytest.raises(Unavailable) as caught:
                await push(where).open(1)
            assert where in caught.value.message
            assert "in use" in caught.value.message

    run(scenario())


def test_channels_come_from_properties() -> None:
    settings = channel_settings(
        {
            "chans.a.numSockets": "1",
            "chans.a.0.address": "tcp://*:9000",
            "chans.a.0.method": "bind",
            "chans.a.0.type": "push",
            "chans.b.0.address": "ipc://@x",
            "chans.b.0.method": "connect",
            "chans.b.0.type": "pull",
            "unrelated": "1",
        }
    )
    assert settings == {
        "a": ChannelSettings("a", "tcp://*:9000", "bind", "push"),
        "b": ChannelSettings("b", "ipc://@x", "connect", "pull"),
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", "tcp://nowhere"),
        ("address", "tcp://h:0"),
        ("address", "tcp://h:99999"),
        ("address", "ipc://"),
        ("address", "ipc://@"),
        ("address", "udp://h:1"),
        ("method", "dig"),
        ("type", "pub"),
    ],
)
def test_a_property_that_cannot_be_is_named(field: str, value: str) -> None:
    good = {"address": "tcp://h:1", "method": "bind", "type": "push"}
    properties = {f"chans.a.0.{key}": text for key, text in {**good, field: value}.items()}
    with pytest.raises(InvalidInput, match=rf"chans\.a\.0\.{field}"):
        channel_settings(properties)


@given(st.text(), st.integers(0, 2**32), st.integers(1, 2**40), st.binary())
def test_blocks_and_marks_survive_the_wire(source: str, run: int, number: int, data: bytes) -> None:
    block = Block(source, run, number, data)
    assert decode(block.encode()) == block
    mark = EndOfRun(source, run, number, "00ff", source)
    assert decode(mark.encode()) == mark


@pytest.mark.parametrize("message", [b"", b"\xff\n", b"[]\n", b"1", b"{}\n", b'{"number":1}\n'])
def test_what_is_no_block(message: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(message)


class Chain:
    """Two sources, each behind a relay of its own, and one sink."""

    async def __aenter__(self) -> Chain:
        where = [address("tcp") for _ in range(2)]
        collect = address("ipc")
        self.outputs = [push(one) for one in where]
        self.inputs = [pull(one) for one in where]
        self.forwards = [push(collect, "connect", "collect") for _ in where]
        self.sink_input = pull(collect, "bind", "collect")
        self.channels = [*self.outputs, self.sink_input, *self.inputs, *self.forwards]
        for channel in self.channels:
            await channel.open(5)
        self.sources = [
            Source(channel, f"flp{n}", block_size=1000, block_rate=500)
            for n, channel in enumerate(self.outputs)
        ]
        self.relays = [Relay(i, o) for i, o in zip(self.inputs, self.forwards, strict=True)]
        self.sink = Relay(self.sink_input, None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(channel.close() for channel in self.channels))

    async def take(self, run: int, seconds: float, meanwhile: Any = None) -> list[list[Tally]]:
        flows: list[Any] = [*self.sources, *self.relays, self.sink]
        for flow in flows:
            await flow.begin(run)
        until = time.monotonic() + seconds

        async def drive(flow: Any) -> None:
            while time.monotonic() < until:
                await flow.step()

        await asyncio.gather(*(drive(flow) for flow in flows), *([meanwhile] if meanwhile else []))
        # The order in which they stop is anybody's.
        return await asyncio.gather(*(flow.end() for flow in reversed(flows)))


def test_everything_that_was_made_is_accounted_for_end_to_end() -> None:
    async def scenario() -> None:
        async with Chain() as chain:
            for run_number in (7, 8):
                sink, *rest = await chain.take(run_number, 0.4)
                accounts = {
                    (tally.source, tally.run, tally.blocks, tally.sha256, tally.missing)
                    for tallies in [sink, *rest]
                    for tally in tallies
                }
                assert len(accounts) == 2
                assert {tally.source for tally in sink} == {"flp0", "flp1"}
                assert all(tally.blocks > 20 for tally in sink)
                assert total_line(run_number, sink).startswith(f"run={run_number} source=* ")

    run(scenario())


def test_a_lost_source_is_told_and_not_waited_for() -> None:
    async def scenario() -> None:
        async with Chain() as chain:

            async def lose() -> None:
                await asyncio.sleep(0.2)
                await chain.outputs[0].close()

            began = time.monotonic()
            sink, *_ = await chain.take(9, 0.4, lose())
            assert time.monotonic() - began < 5
            told = {tally.source: tally.missing for tally in sink}
            assert told["flp1"] == ""
            assert told["flp0"] == "channel data brought no end of the run"

    run(scenario())


def test_a_lost_sink_is_told_and_not_waited_for() -> None:
    async def scenario() -> None:
        async with Chain() as chain:

            async def lose() -> None:
                await asyncio.sleep(0.2)
                await chain.sink_input.close()

            began = time.monotonic()
            _, *relays, _, _ = await chain.take(9, 0.4, lose())
            assert time.monotonic() - began < 5
            for (tally,) in relays:
                assert tally.missing == "nobody takes channel collect"

    run(scenario())


def test_a_block_that_is_lost_on_the_way_is_found_out() -> None:
    async def scenario() -> None:
        where = address("tcp")
        output, input = push(where), pull(where)
        async with opened(output, input):
            relay = Relay(input, None)
            await relay.begin(3)
            tally = Tally("flp0", 3)
            for number in range(1, 5):
                block = Block("flp0", 3, number, b"x")
                tally.add(block)
                if number != 2:
                    await output.send(block.encode(), 1)
            await output.send(Block("flp0", 2, 9, b"of the last run").encode(), 1)
            await output.send(tally.mark().encode(), 1)
            with pytest.raises(TransitionFailed, match=r"run 3: flp0 has sent 4 .* but 3 came"):
                await relay.end()

    run(scenario())
