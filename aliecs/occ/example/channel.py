"""Push and pull channels between tasks, over TCP and Unix sockets.

A channel is what the properties `chans.<name>.0.*` describe: one side binds, any number of others
connect; a push side hands each message to one of its peers in turn, a pull side takes from all of
them. Messages have a length in front (4 bytes, big-endian). The first message of either side tells
its channel's name and direction, so that a channel which reached the wrong place knows it.

A connecting channel connects again whenever its peer goes and comes back. Everything is bounded:
the size of a message, what waits to be taken, what waits to be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import Coroutine, Mapping
from typing import Any

from attrs import frozen

from aliecs.errors import DeadlineExceeded, InvalidInput, Unavailable

PROTOCOL = "aliecs-example-channel/1"
MESSAGE_LIMIT_BYTES = 64 * 1024 * 1024
RECEIVE_BOUND = 16
HANDSHAKE_LIMIT_BYTES = 4096
HANDSHAKE_DEADLINE_S = 2.0
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 0.5

OPPOSITE = {"push": "pull", "pull": "push"}


@frozen
class ChannelSettings:
    """A channel, as its properties describe it. `address` is `tcp://<host or *>:<port>`,
    `ipc://@<abstract name>` or `ipc://<path>`; `method` is `bind` or `connect`, `direction` is
    `push` or `pull`."""

    name: str
    address: str
    method: str
    direction: str


def channel_settings(properties: Mapping[str, str]) -> dict[str, ChannelSettings]:
    """All channels that flat properties describe, by name. `InvalidInput`, naming the property,
    for what these channels cannot be."""
    found = {}
    for key in properties:
        parts = key.split(".")
        if len(parts) == 4 and parts[0] == "chans" and parts[2:] == ["0", "address"]:
            found[parts[1]] = _settings(parts[1], properties)
    return found


def _settings(name: str, properties: Mapping[str, str]) -> ChannelSettings:
    prefix = f"chans.{name}.0"
    settings = ChannelSettings(
        name=name,
        address=properties[f"{prefix}.address"],
        method=properties.get(f"{prefix}.method", ""),
        direction=properties.get(f"{prefix}.type", ""),
    )
    if settings.method not in ("bind", "connect"):
        raise InvalidInput(f"{prefix}.method is {settings.method!r}, not bind or connect")
    if settings.direction not in OPPOSITE:
        raise InvalidInput(f"{prefix}.type is {settings.direction!r}, not push or pull")
    if not _split(settings.address):
        raise InvalidInput(
            f"{prefix}.address is {settings.address!r}, not tcp://<host>:<port> or ipc://<path>"
        )
    return settings


def _split(address: str) -> tuple[str, int] | tuple[str] | None:
    """Host and port, or the path of a Unix socket; None for anything else."""
    scheme, _, rest = address.partition("://")
    if scheme == "ipc" and rest.strip("@"):
        return ("\0" + rest[1:],) if rest.startswith("@") else (rest,)
    host, _, port = rest.rpartition(":")
    if scheme == "tcp" and host and port.isdigit() and 0 < int(port) < 65536:
        return host, int(port)
    return None


@frozen
class Received:
    """A message, and the connection that it came over."""

    peer: int
    data: bytes


class _Peer:
    """One connection, after its handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read(self, limit_bytes: int = MESSAGE_LIMIT_BYTES) -> bytes:
        """The next message; `IncompleteReadError` at the end, `ValueError` for what is none."""
        length = int.from_bytes(await self.reader.readexactly(4), "big")
        if length > limit_bytes:
            raise ValueError(f"a message of {length} bytes is announced")
        return await self.reader.readexactly(length)

    def write(self, data: bytes) -> None:
        self.writer.write(len(data).to_bytes(4, "big"))
        self.writer.write(data)


class Channel:
    """One channel of a task, on the running asyncio loop.

    `listen_address` stands in for `*` in an address to bind to: loopback unless somebody decides
    otherwise.
    """

    def __init__(self, settings: ChannelSettings, listen_address: str = "127.0.0.1") -> None:
        self.settings = settings
        self._listen_address = listen_address
        self._peers: dict[int, _Peer] = {}
        self._numbers = itertools.count(1)
        self._turn = itertools.count()
        self._inbox: asyncio.Queue[Received] = asyncio.Queue(RECEIVE_BOUND)
        self._changed = asyncio.Event()
        self._trouble = "nobody answers"
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def peers(self) -> frozenset[int]:
        """The connections that stand at this moment."""
        return frozenset(self._peers)

    @property
    def waiting(self) -> int:
        """How many messages have come and were not taken yet."""
        return self._inbox.qsize()

    async def open(self, deadline_s: float) -> None:
        """Bind, or connect and wait for the peer. `Unavailable` where the address cannot be bound,
        `DeadlineExceeded` where no right peer answers within `deadline_s`; both name channel and
        address."""
        if self.settings.method == "bind":
            await self._bind()
            return
        self._begin(self._keep_connected())
        try:
            async with asyncio.timeout(deadline_s):
                await self._until_connected()
        except TimeoutError:
            await self.close()
            raise DeadlineExceeded(
                f"channel {self.settings.name}: no connection to {self.settings.address} within "
                f"{deadline_s:g} s: {self._trouble}"
            ) from None

    async def close(self) -> None:
        """Let go of all connections, after handing over what was sent to peers that take it."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for peer in list(self._peers.values()):
            peer.writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(HANDSHAKE_DEADLINE_S):
                    await peer.writer.wait_closed()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def receive(self, patience_s: float) -> Received | None:
        """The next message of any peer, None where none comes within `patience_s`."""
        if not self._inbox.empty():
            return self._inbox.get_nowait()
        try:
            async with asyncio.timeout(patience_s):
                return await self._inbox.get()
        except TimeoutError:
            return None

    async def send(self, data: bytes, patience_s: float) -> bool:
        """Hand a message to the next peer. False, and nothing is sent, where no peer can take it
        within `patience_s`."""
        try:
            async with asyncio.timeout(patience_s):
                peer = await self._ready_peer()
        except TimeoutError:
            return False
        peer.write(data)
        return True

    async def _ready_peer(self) -> _Peer:
        while True:
            await self._until_connected()
            peers = list(self._peers.values())
            peer = peers[next(self._turn) % len(peers)]
            try:
                # Returns when little enough waits to be sent.
                await peer.writer.drain()
            except OSError:
                await asyncio.sleep(FIRST_PAUSE_S)
                continue
            return peer

    async def _until_connected(self) -> None:
        while not self._peers:
            self._changed.clear()
            await self._changed.wait()

    # The binding side.

    async def _bind(self) -> None:
        place = _split(self.settings.address)
        assert place is not None
        try:
            if len(place) == 2:
                host = self._listen_address if place[0] == "*" else place[0]
                self._server = await asyncio.start_server(
                    self._accept, None if host == "*" else host, place[1]
                )
            else:
                self._server = await asyncio.start_unix_server(self._accept, place[0])
        except OSError as error:
            raise Unavailable(
                f"channel {self.settings.name}: cannot bind {self.settings.address}: "
                f"{os.strerror(error.errno) if error.errno else error}"
            ) from None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._begin(self._serve_stranger(reader, writer))

    async def _serve_stranger(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # Whoever fails the handshake is told by its own side; here it is only let go.
        with contextlib.suppress(OSError, ValueError, TimeoutError, EOFError):
            await self._serve(_Peer(reader, writer))

    # The connecting side.

    async def _keep_connected(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with asyncio.timeout(HANDSHAKE_DEADLINE_S):
                    peer = await self._connect()
                await self._serve(peer)
                pause_s = FIRST_PAUSE_S
                self._trouble = "the peer closed the connection"
            except TimeoutError:
                self._trouble = "what listens there does not answer as a channel"
            except (EOFError, ConnectionResetError):
                self._trouble = "what listens there closed the connection"
            except (OSError, ValueError) as error:
                number = getattr(error, "errno", None)
                self._trouble = os.strerror(number) if number else str(error)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LAST_PAUSE_S)

    async def _connect(self) -> _Peer:
        place = _split(self.settings.address)
        assert place is not None
        if len(place) == 2:
            return _Peer(*await asyncio.open_connection(place[0], place[1]))
        return _Peer(*await asyncio.open_unix_connection(place[0]))

    # Both.

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, peer: _Peer) -> None:
        """Greet, then take what comes until the connection ends."""
        number = next(self._numbers)
        try:
            async with asyncio.timeout(HANDSHAKE_DEADLINE_S):
                await self._greet(peer)
            self._peers[number] = peer
            self._changed.set()
            with contextlib.suppress(EOFError, ConnectionError):
                while True:
                    await self._inbox.put(Received(number, await peer.read()))
        finally:
            self._peers.pop(number, None)
            peer.writer.close()

    async def _greet(self, peer: _Peer) -> None:
        mine = self.settings
        hello = {"protocol": PROTOCOL, "channel": mine.name, "direction": mine.direction}
        peer.write(json.dumps(hello).encode())
        try:
            theirs = json.loads(await peer.read(HANDSHAKE_LIMIT_BYTES))
            matches = theirs["protocol"] == PROTOCOL
            name, direction = theirs["channel"], theirs["direction"]
        except (ValueError, TypeError, KeyError):
            matches = False
        if not matches:
            raise ValueError("what answers there is no channel of this kind")
        if (name, direction) != (mine.name, OPPOSITE[mine.direction]):
            raise ValueError(
                f"there is the {direction} side of channel {name}, not the "
                f"{OPPOSITE[mine.direction]} side of channel {mine.name}"
            )
