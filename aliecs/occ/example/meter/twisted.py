"""The meter for Twisted: everything happens in the reactor's thread, callbacks may give Deferreds.

`aliecs.occ.twisted` comes before whatever else imports the reactor, since it installs it.
"""

from __future__ import annotations

from typing import Any

from aliecs.occ.twisted import Properties, Task, run  # isort: skip

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import DatagramProtocol

reactor: Any = installed_reactor


class Inbox(DatagramProtocol):
    """Hands over what comes, as it comes."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def datagramReceived(self, data: bytes, address: tuple[str, int]) -> None:  # noqa: N802
        """See `DatagramProtocol`."""
        assert self.transport is not None
        answer = self.meter.measure(data)
        if answer:
            self.transport.write(answer, address)


class Meter(Task):
    """See the package."""

    port: Any = None
    count = 0

    def configure(self, properties: Properties) -> None:
        """Listen."""
        self.limit = int(properties.get("limit", "0"))
        number = int(properties["port"])
        self.port = reactor.listenUDP(number, Inbox(self), interface="127.0.0.1")

    def start(self) -> None:
        """Count from the beginning."""
        self.count = 0

    def measure(self, data: bytes) -> bytes:
        """A datagram has come: what to answer, if anything. There is no `iterate_running`, hence
        the end of the data and a fault are told."""
        if self.state != "RUNNING" or self.count == self.limit > 0:
            return b""
        if data == b"stuck":
            self.fail("the device is stuck")
            return b""
        self.count += 1
        if self.count == self.limit:
            self.end_of_stream()
        return str(self.count).encode()

    def stop(self) -> None:
        """Tell the sum."""
        print(f"run {self.run_number}: {self.count} datagrams", flush=True)

    def reset(self) -> Deferred[Any] | None:
        """Listen no longer; the transition waits until that is so."""
        port, self.port = self.port, None
        return None if port is None else maybeDeferred(port.stopListening)

    recover = exit = reset


def main() -> None:
    """The program."""
    run(Meter("meter"))


if __name__ == "__main__":
    main()
