"""The meter with plain methods: they run in a thread of their own, and may block for a moment."""

from __future__ import annotations

import socket

from aliecs.occ import Properties, Task, run

PATIENCE_S = 0.1
"""Transitions wait for `iterate_running`, so it waits no longer than this."""


class Meter(Task):
    """See the package."""

    socket: socket.socket | None = None

    def configure(self, properties: Properties) -> None:
        """Listen."""
        self.limit = int(properties.get("limit", "0"))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", int(properties["port"])))
        self.socket.settimeout(PATIENCE_S)

    def start(self) -> None:
        """Count from the beginning."""
        self.count = 0

    def iterate_running(self) -> bool:
        """Take one datagram, if one comes."""
        assert self.socket is not None
        try:
            data, sender = self.socket.recvfrom(2048)
        except TimeoutError:
            return True
        if data == b"stuck":
            raise RuntimeError("the device is stuck")
        self.count += 1
        self.socket.sendto(str(self.count).encode(), sender)
        return self.count != self.limit

    def stop(self) -> None:
        """Tell the sum."""
        print(f"run {self.run_number}: {self.count} datagrams", flush=True)

    def reset(self) -> None:
        """Listen no longer."""
        if self.socket is not None:
            self.socket.close()

    recover = exit = reset


def main() -> None:
    """The program."""
    run(Meter("meter"))


if __name__ == "__main__":
    main()
