"""A task that misbehaves when it is told to.

It writes down each transition that it makes. Its properties say how: `configure_s`, `start_s` and
`stop_s` are how long these transitions take, `fail_in` is the transition that fails, `on_start` is
what it does by itself as soon as it runs: it tells `end_of_stream` or `internal_error`, it begins a
`flood` of output or `leak`s memory and descriptors, it has `children` that go their own ways, or it
will `hang_up` on whoever controls it. Signals say it too: SIGUSR1 is an internal error, SIGUSR2 the
end of its stream, SIGHUP makes it end with exit code 0.

With `--die CODE` the program ends at once, after a last word; with `--deaf` it takes its control
port and never says a sensible thing on it; with `--mute` it takes it and says nothing at all; with
`--blocked` somebody else has taken that port; with `--late SECONDS` it takes its time to come up;
with `--stubborn` nothing but SIGKILL ends it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

from aliecs.occ import Task, run
from aliecs.occ.properties import Properties

LEAK_KB = 200 * 1024


class Puppet(Task):
    """See the module."""

    leaked = bytearray()

    def configure(self, properties: Properties) -> None:
        self._act("configure")

    def start(self) -> None:
        self._act("start")
        wish = self.properties.get("on_start", "")
        if wish == "end_of_stream":
            self.end_of_stream()
        elif wish == "internal_error":
            self.fail("the puppet has hurt itself")
        elif wish == "flood":
            subprocess.Popen(["yes", "a line of a flood " * 5])
        elif wish == "leak":
            self.leak()
        elif wish == "children":
            subprocess.Popen(["sleep", "7654"])
            subprocess.Popen(["sleep", "7654"], start_new_session=True)
        elif wish == "hang_up":
            threading.Timer(0.3, hang_up).start()

    def stop(self) -> None:
        self._act("stop")

    def leak(self) -> None:
        """Take memory, and all descriptors that there are."""
        self.leaked = bytearray(os.urandom(1024) * LEAK_KB)
        with contextlib.suppress(OSError):
            while True:
                os.dup(0)
        print("leaked", flush=True)

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


def hang_up() -> None:
    """End all connections, and take no other."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as one:
            if one.family in (socket.AF_INET, socket.AF_INET6):
                one.shutdown(socket.SHUT_RDWR)


def stay(status: int) -> NoReturn:
    """In the place of the end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1000)


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
    if "--mute" in sys.argv:
        listener = listen()
        while True:
            time.sleep(1000)
            assert listener
    if "--stubborn" in sys.argv:
        os._exit = stay
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
