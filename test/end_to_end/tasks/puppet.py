"""A task that misbehaves when it is told to.

It writes down each transition that it makes. Its properties say how: `configure_s`, `start_s` and
`stop_s` are how long these transitions take, `fail_in` is the transition that fails, `on_start` is
what it tells by itself as soon as it runs
(`end_of_stream` or `internal_error`). Signals say it too: SIGUSR1 is an internal error, SIGUSR2 the
end of its stream, SIGHUP makes it end with exit code 0. With `--die CODE` the program ends at
once, after a last word; with `--deaf` it takes its control port and never says a sensible thing on
it; with `--blocked` somebody else has taken that port; with `--late SECONDS` it takes its time to
come up.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from aliecs.occ import Task, run
from aliecs.occ.properties import Properties


class Puppet(Task):
    """See the module."""

    def configure(self, properties: Properties) -> None:
        self._act("configure")

    def start(self) -> None:
        self._act("start")
        wish = self.properties.get("on_start", "")
        if wish == "end_of_stream":
            self.end_of_stream()
        elif wish == "internal_error":
            self.fail("the puppet has hurt itself")

    def stop(self) -> None:
        self._act("stop")

    def _act(self, what: str) -> None:
        print(what, flush=True)
        time.sleep(float(self.properties.get(f"{what}_s") or 0))
        if self.properties.get("fail_in") == what:
            raise ValueError(f"the puppet does not {what}")


def listen() -> socket.socket:
    """Take the control port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(os.environ["OCC_CONTROL_PORT"])))
    listener.listen()
    return listener


def talk_rubbish() -> None:
    """Answer everybody with what no protocol knows."""
    listener = listen()
    while True:
        connection, _ = listener.accept()
        connection.sendall(b"rubbish, not HTTP/2\r\n" * 10)
        connection.close()


def main() -> None:
    """The program."""
    if "--die" in sys.argv:
        print("the puppet's last word", file=sys.stderr, flush=True)
        sys.exit(int(sys.argv[sys.argv.index("--die") + 1]))
    if "--late" in sys.argv:
        time.sleep(float(sys.argv[sys.argv.index("--late") + 1]))
    if "--deaf" in sys.argv:
        talk_rubbish()
    stranger = listen() if "--blocked" in sys.argv else None
    puppet = Puppet("puppet")
    signal.signal(signal.SIGUSR1, lambda number, frame: puppet.fail("a signal told it to fail"))
    signal.signal(signal.SIGUSR2, lambda number, frame: puppet.end_of_stream())
    signal.signal(signal.SIGHUP, lambda number, frame: os._exit(0))
    run(puppet)
    assert stranger is None


if __name__ == "__main__":
    main()
