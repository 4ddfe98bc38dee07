"""What the programs that `twistd` runs have in common: their life, their ports, and what they tell
the service manager and whoever waits for them.

A program is a set of parts that is started and stopped by coroutines. It refuses to start in one
line, and tells the service manager when it is ready and that its reactor turns.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
from attrs import define, field
from twisted.application.service import Service
from twisted.internet import reactor as installed_reactor
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, Logger

from aliecs.errors import AliecsError, Unavailable
from aliecs.log import forward_standard_logging, make_observer


class Parts(Protocol):
    """All parts of a program."""

    async def start(self) -> None:
        """Start everything. Raises `AliecsError` where something cannot be."""

    async def stop(self) -> None:
        """Stop everything that was started."""


@define(eq=False)
class Stops:
    """How to stop what was started."""

    _stops: list[tuple[str, Callable[[], Any]]] = field(init=False, factory=list)
    _log: Logger = field(init=False, factory=Logger)

    def add(self, name: str, stop: Callable[[], Any]) -> None:
        """`stop` ends the part `name`; it may give something to await."""
        self._stops.append((name, stop))

    async def stop(self) -> None:
        """Stop everything, the last first. What fails to stop stops nobody else."""
        while self._stops:
            name, stop = self._stops.pop()
            try:
                result = stop()
                if result is not None:
                    await result
            except Exception:
                self._log.failure("{part} did not stop as it should", part=name)


class DaemonService(Service):
    """A program as a service of Twisted: `make_parts` makes its parts once the reactor runs; `what`
    it is, for people."""

    def __init__(
        self,
        what: str,
        make_parts: Callable[[], Parts],
        *,
        log_format: str,
        verbose: bool,
        very_verbose: bool = False,
    ) -> None:
        self.what = what
        self.parts: Parts | None = None
        self.log = Logger()
        self._make_parts = make_parts
        self._observer = make_observer(
            sys.stdout, log_format, verbose=verbose, very_verbose=very_verbose
        )
        self._starting: Deferred[None] | None = None

    def setServiceParent(self, parent: Any) -> None:  # noqa: N802
        """Also the moment to say where the log goes: twistd asks the application for it."""
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        parent.setComponent(ILogObserver, self._observer)

    def startService(self) -> None:  # noqa: N802
        """Begin to start the parts, once the reactor runs."""
        super().startService()  # type: ignore[no-untyped-call]
        forward_standard_logging()
        reactor: Any = installed_reactor
        reactor.callLater(0, self._start)

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Stop the parts."""
        super().stopService()  # type: ignore[no-untyped-call]
        notify("STOPPING=1")
        return Deferred.fromCoroutine(self._stop())

    def _start(self) -> None:
        async def start() -> None:
            try:
                self.parts = self._make_parts()
                await self.parts.start()
            except AliecsError as error:
                self._give_up(error.message)
            except Exception:
                if not self.running:
                    # Cancelled by `_stop`: whatever was awaited ended in the middle.
                    self.log.info("told to stop before {what} was up", what=self.what)
                    return
                self.log.failure("{what} cannot start", what=self.what)
                self._give_up("this is a fault of ours")

        self._starting = Deferred.fromCoroutine(start())

    def _give_up(self, reason: str) -> None:
        self.log.critical("{what} does not start: {reason}", what=self.what, reason=reason)
        reactor: Any = installed_reactor
        reactor.addSystemEventTrigger("after", "shutdown", _exit_with_failure)
        reactor.stop()

    async def _stop(self) -> None:
        if self._starting is not None and not self._starting.called:
            self._starting.cancel()
            await self._starting
        if self.parts is not None:
            await self.parts.stop()


def check_reactor(program: str) -> None:
    """End the process in one line where the reactor is not the one that `program` needs."""
    if not isinstance(installed_reactor, AsyncioSelectorReactor):
        raise SystemExit(
            f"{program}: only the asyncio reactor will do; start it as "
            f"`twistd --reactor=asyncio {program} ...`"
        )


def check_ports(address: str, ports: Mapping[str, int]) -> None:
    """See that `ports`, by their settings, can be had. Raises `Unavailable`, naming the setting."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for setting, port in ports.items():
        try:
            socket.create_server((address, port), family=family).close()
        except OSError as error:
            raise Unavailable(
                f"{setting}: {address}:{port} cannot be listened on: {error.strerror or error};"
                " stop what uses it, or choose another"
            ) from error


def write_addresses(path: Path, addresses: Mapping[str, str]) -> None:
    """Say in the file at `path` where this process can be reached."""
    # In one step: whoever waits for the file must not read half of it.
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode({"pid": os.getpid(), **addresses}))
    fresh.replace(path)


def begin_watchdog() -> Callable[[], None] | None:
    """Tell the service manager that the process is ready, and from time to time that its reactor
    turns; gives what ends the latter, None where nobody asked for it."""
    notify("READY=1")
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or not int(microseconds):
        return None
    call = LoopingCall(notify, "WATCHDOG=1")
    call.start(int(microseconds) / 1_000_000 / 2)
    return call.stop


def notify(message: str) -> None:
    """Tell the service manager, where there is one (the datagram protocol of sd_notify)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(message.encode(), address)
        except OSError as error:
            Logger().warn("sd_notify: {error}", error=str(error))


def _exit_with_failure() -> None:
    """twistd has no way to end with a status of ours."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
