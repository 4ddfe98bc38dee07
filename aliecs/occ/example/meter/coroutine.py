"""The meter with coroutines: they run on the asyncio loop of the process, and must not block."""

from __future__ import annotations

import asyncio

from aliecs.occ import Properties, Task, run

PATIENCE_S = 0.1
"""Transitions wait for `iterate_running`, so it waits no longer than this."""


class Inbox(asyncio.DatagramProtocol):
    """What has come and was not looked at."""

    def __init__(self) -> None:
        self.datagrams: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue(1000)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """One has come; too many at once are dropped."""
        if not self.datagrams.full():
            self.datagrams.put_nowait((data, address))


class Meter(Task):
    """See the package."""

    transport: asyncio.DatagramTransport | None = None

    async def configure(self, properties: Properties) -> None:
        """Listen."""
        self.limit = int(properties.get("limit", "0"))
        address = ("127.0.0.1", int(properties["port"]))
        loop = asyncio.get_running_loop()
        self.transport, self.inbox = await loop.create_datagram_endpoint(Inbox, address)

    async def start(self) -> None:
        """Count from the beginning."""
        self.count = 0

    async def iterate_running(self) -> bool:
        """Take one datagram, if one comes."""
        try:
            data, sender = await asyncio.wait_for(self.inbox.datagrams.get(), PATIENCE_S)
        except TimeoutError:
            return True
        if data == b"stuck":
            raise RuntimeError("the device is stuck")
        self.count += 1
        assert self.transport is not None
        self.transport.sendto(str(self.count).encode(), sender)
        return self.count != self.limit

    async def stop(self) -> None:
        """Tell the sum."""
        print(f"run {self.run_number}: {self.count} datagrams", flush=True)

    async def reset(self) -> None:
        """Listen no longer."""
        if self.transport is not None:
            self.transport.close()

    recover = exit = reset


def main() -> None:
    """The program."""
    run(Meter("meter"))


if __name__ == "__main__":
    main()
