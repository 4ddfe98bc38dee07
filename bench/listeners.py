"""Clients of the event stream, many in one process, that cost as little as can be.

    python -m bench.listeners HOST:PORT TOPIC WEBSOCKETS SERVER_SENT

Prints `ready` when all are greeted. For each line on standard input it prints what has arrived
since the last one, as JSON: the frames, each once, and for each the times of its arrivals with how
many clients it arrived at, in Unix milliseconds; the clients that were cut off; and the processor
time that this process has used. Of a frame only its beginning is looked at, except at the first
arrival.
"""

from __future__ import annotations

import json
import re
import resource
import selectors
import socket
import sys
import time
from collections import Counter
from typing import Any

SEQUENCE = re.compile(rb'\{"seq":(\d+),.*?"type":"([a-z_.]+)"')
BEGINNING = 100
AT_ONCE = 256 * 1024
MASK = b"\0\0\0\0"
PING, PONG = 0x89, b"\x8a\x80" + MASK


class Arrivals:
    """What has arrived at all clients of the process."""

    def __init__(self) -> None:
        self.times: dict[str, Counter[int]] = {}
        self.frames: dict[str, str] = {}
        self.bytes = 0
        self.lost = 0

    def add(self, data: bytes | bytearray, begin: int, end: int, now_ms: int) -> None:
        """A frame at one client."""
        found = SEQUENCE.match(data, begin, min(end, begin + BEGINNING))
        if found is None:
            return
        key = f"{found[1].decode()} {found[2].decode()} {end - begin}"
        times = self.times.get(key)
        if times is None:
            times = self.times[key] = Counter()
            self.frames[key] = bytes(data[begin:end]).decode()
        times[now_ms] += 1

    def report(self) -> str:
        """All of it, and begin anew."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        text = json.dumps(
            {
                "frames": self.frames,
                "times": self.times,
                "bytes": self.bytes,
                "lost": self.lost,
                "processor_s": usage.ru_utime + usage.ru_stime,
            }
        )
        self.times, self.frames, self.bytes = {}, {}, 0
        return text


class Client:
    """One connection. `greeted` when the first frame is there."""

    def __init__(self, address: tuple[str, int], request: bytes, after: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.sendall(request)
        self.socket.setblocking(False)
        self.after = after
        self.data = bytearray()
        self.in_body = False
        self.greetings = 0

    def received(self, arrivals: Arrivals) -> bool:
        """Read what is there. False at the end of the connection."""
        data = self.socket.recv(AT_ONCE)
        now_ms = time.time_ns() // 1_000_000
        arrivals.bytes += len(data)
        self.data += data
        if not self.in_body:
            _, separator, rest = self.data.partition(b"\r\n\r\n")
            if separator:
                self.in_body = True
                self.data = rest
                if self.after:
                    self.socket.sendall(self.after)
        if self.in_body:
            del self.data[: self.take(arrivals, now_ms)]
        return bool(data)

    def take(self, arrivals: Arrivals, now_ms: int) -> int:
        """Take whole frames off the data; gives how many bytes they were."""
        raise NotImplementedError


class WebSocketClient(Client):
    """Frames by their lengths."""

    def take(self, arrivals: Arrivals, now_ms: int) -> int:
        """See `Client`."""
        data, place = self.data, 0
        while len(data) - place >= 2:
            length, begin = data[place + 1], place + 2
            if length == 126:
                length, begin = int.from_bytes(data[place + 2 : place + 4], "big"), place + 4
            elif length == 127:
                length, begin = int.from_bytes(data[place + 2 : place + 10], "big"), place + 10
            if len(data) < begin + length:
                break
            if data[place] == PING:
                self.socket.sendall(PONG)
            else:
                self.greetings += 1
                arrivals.add(data, begin, begin + length, now_ms)
            place = begin + length
        return place


class ServerSentClient(Client):
    """Frames by their empty lines. Chunks of HTTP are passed over: their lengths are no data."""

    def take(self, arrivals: Arrivals, now_ms: int) -> int:
        """See `Client`."""
        data, place = self.data, 0
        while (end := data.find(b"\n\n", place)) >= 0:
            begin = data.find(b"data: ", place, end)
            self.greetings += 1
            if begin >= 0:
                arrivals.add(data, begin + 6, end, now_ms)
            place = end + 2
        return place


def connect(address: str, topic: str, sockets: int, server_sent: int) -> list[Client]:
    """All clients."""
    host, _, port = address.partition(":")
    where = (host, int(port))
    common = f"Host: {address}\r\n"
    upgrade = (
        f"GET /api/v1/events HTTP/1.1\r\n{common}Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    message = json.dumps({"op": "subscribe", "topics": [topic]}).encode()
    subscribe = b"\x81" + bytes([0x80 | len(message)]) + MASK + message
    events = f"GET /api/v1/events?topic={topic} HTTP/1.1\r\n{common}\r\n".encode()
    made: list[Client] = [WebSocketClient(where, upgrade, subscribe) for _ in range(sockets)]
    made += [ServerSentClient(where, events, b"") for _ in range(server_sent)]
    return made


def main() -> None:
    """Connect, listen, report."""
    address, topic, sockets, server_sent = sys.argv[1:]
    arrivals = Arrivals()
    selector = selectors.DefaultSelector()
    clients = connect(address, topic, int(sockets), int(server_sent))
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    ready = False
    while True:
        for key, _ in selector.select():
            client: Any = key.data
            if client is None:
                if not sys.stdin.readline():
                    return
                print(arrivals.report(), flush=True)
                continue
            try:
                alive = client.received(arrivals)
            except ConnectionError:
                alive = False
            if not alive:
                selector.unregister(client.socket)
                arrivals.lost += 1
        if not ready:
            # A WebSocket is greeted twice: when it comes, and when it has said what it wants.
            ready = all(c.greetings >= (2 if c.after else 1) for c in clients)
            if ready:
                arrivals.report()
                print("ready", flush=True)


if __name__ == "__main__":
    main()
