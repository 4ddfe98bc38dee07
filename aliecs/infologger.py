"""The log of a program, also for InfoLogger: to the daemon on this host, where there is one.

An observer of the log makes lines of what is logged and puts them into a bounded queue; a thread of
its own brings them to the daemon's socket. Where the daemon is away, or does not read, the oldest
lines go, nobody waits, and how many went is told when it is back.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
from collections import deque
from typing import Any

from attrs import define, field
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogPublisher,
)
from zope.interface import implementer

from aliecs.log import levels_for, message_text
from aliecs.protocol.infologger import (
    DEVELOPERS,
    OPERATIONS,
    InfoLoggerLine,
    socket_address,
)

BOUND = 10_000
"""Lines that wait for the daemon."""
RETRY_S = 5.0
WRITE_S = 5.0
"""How long a daemon may take to read something before it is taken for dead."""
FLUSH_S = 0.5

_SEVERITIES = {
    LogLevel.critical: "F",
    LogLevel.error: "E",
    LogLevel.warn: "W",
    LogLevel.info: "I",
    LogLevel.debug: "D",
}
_FACILITIES = {"environment": "env", "backend": "scheduler", "api": "rpcserver"}


@implementer(ILogObserver)
@define(eq=False)
class InfoLogger:
    """See the module. `address` is a path or a name with `@`; `levels` says what is sent; `base` is
    the program that speaks."""

    address: str
    levels: LogLevelFilterPredicate = field(factory=levels_for)
    base: str = "core"
    retry_s: float = RETRY_S
    lost: int = field(init=False, default=0)
    _lines: deque[bytes] = field(init=False, factory=lambda: deque(maxlen=BOUND))
    _awake: threading.Event = field(init=False, factory=threading.Event)
    _ending: threading.Event = field(init=False, factory=threading.Event)
    _observer: Any = field(init=False, default=None)
    _thread: threading.Thread | None = field(init=False, default=None)
    _host: str = field(init=False, factory=lambda: socket.gethostname().partition(".")[0])
    _user: str = field(init=False, factory=lambda: _user_name())

    def start(self) -> None:
        """Begin to listen to the log."""
        self._thread = threading.Thread(target=self._work, name="infologger", daemon=True)
        self._thread.start()
        self._observer = FilteringLogObserver(self, [self.levels])
        globalLogPublisher.addObserver(self._observer)

    def stop(self) -> None:
        """Listen no more; what waits has a moment to go."""
        globalLogPublisher.removeObserver(self._observer)
        self._ending.set()
        self._awake.set()
        if self._thread is not None:
            self._thread.join(FLUSH_S)
            self._thread = None

    def __call__(self, event: dict[str, Any]) -> None:
        """See `ILogObserver`. Called by whatever thread logs."""
        level = event.get("log_level", LogLevel.info)
        namespace = str(event.get("log_namespace", ""))
        line = InfoLoggerLine(
            severity=_SEVERITIES.get(level, "U"),
            level=DEVELOPERS if level is LogLevel.debug else OPERATIONS,
            time_s=event.get("log_time", 0.0),
            hostname=self._host,
            rolename=self._host,
            pid=os.getpid(),
            username=self._user,
            facility=f"{self.base}/{facility_of(namespace)}",
            partition=str(event.get("environment_id") or ""),
            run=str(event.get("run_number") or ""),
            message=message_text(event),
        )
        self._put(line.encode())

    # --- inside ----------------------------------------------------------------------------

    def _put(self, line: bytes) -> None:
        if len(self._lines) == BOUND:
            self.lost += 1
        self._lines.append(line)
        if not self._awake.is_set():
            self._awake.set()

    def _work(self) -> None:
        while not self._ending.is_set():
            connection = self._connect()
            if connection is None:
                self._ending.wait(self.retry_s)
                continue
            with connection:
                try:
                    self._send_until_the_end(connection)
                except OSError:
                    self._ending.wait(self.retry_s)

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(WRITE_S)
        try:
            connection.connect(socket_address(self.address))
        except OSError:
            connection.close()
            return None
        return connection

    def _send_until_the_end(self, connection: socket.socket) -> None:
        while True:
            self._awake.clear()
            while self._lines:
                line = self._lines.popleft()
                try:
                    connection.sendall(line)
                except OSError:
                    # Perhaps it has arrived in part: twice is better than never.
                    self._lines.appendleft(line)
                    raise
            self._tell_of_loss(connection)
            if self._ending.is_set():
                return
            self._awake.wait()

    def _tell_of_loss(self, connection: socket.socket) -> None:
        lost, self.lost = self.lost, 0
        if lost:
            line = InfoLoggerLine(
                severity="W",
                level=OPERATIONS,
                time_s=time.time(),
                hostname=self._host,
                rolename=self._host,
                pid=os.getpid(),
                username=self._user,
                facility=f"{self.base}/log",
                message=f"{lost} messages were lost while InfoLogger was away",
            )
            connection.sendall(line.encode())


def facility_of(namespace: str) -> str:
    """The part of a facility that says who speaks: `aliecs.integration.dcs` is `dcsclient`."""
    package, _, rest = namespace.partition(".")
    if package != "aliecs":
        return package or "core"
    room, _, module = rest.partition(".")
    if room == "integration":
        name = module.partition(".")[0]
        if name in ("", "factory", "guarded"):
            return room
        return name if name == "testplugin" else f"{name}client"
    return _FACILITIES.get(room, room)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
