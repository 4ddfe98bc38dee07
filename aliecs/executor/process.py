"""The executor's side of the launcher: processes as the tasks see them.

`Processes` owns the launcher: it starts it, gives it orders, hears from it, and starts another one
when it dies. Nothing outlives that death: the launcher's children get its parent-death signal, and
what they leave comes to the executor, which is a child subreaper as well, and is killed here.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IFileDescriptorReceiver
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from aliecs.errors import TransitionFailed, Unavailable
from aliecs.executor import launcher
from aliecs.executor.output import Captures, PipeReader
from aliecs.executor.waiting import Happening

DRAIN_S = 2.0
"""How long the outputs of an ended process may stay open in the hands of somebody else."""
STOP_DEADLINE_S = launcher.BURIAL_DEADLINE_S + 2.0
RESTART_S = 1.0
ORPHAN_INTERVAL_S = 0.05

_LENGTH = struct.Struct(">I")

log = Logger()


class LaunchRefused(TransitionFailed):
    """A process could not be started; the text says at which step and why."""

    code = "launch"


@frozen
class Account:
    """Whom a process runs as."""

    name: str
    user_id: int
    group_id: int
    groups: tuple[int, ...]


@frozen
class ProcessRequest:
    """What to start. `mark` is the id of the task, `account` None for the executor's own, `path`
    where to look for the program besides the PATH of `environment`."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    mark: str
    account: Account | None = None
    path: str = ""


@frozen
class ProcessEnd:
    """How a process ended. `status` is a wait status; `reason` is given instead of it where the
    launcher died with the process."""

    status: int
    reason: str = ""

    @property
    def exit_code(self) -> int:
        """The exit code, -1 where a signal or something else ended it."""
        if self.reason or not os.WIFEXITED(self.status):
            return -1
        return os.WEXITSTATUS(self.status)

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            try:
                return f"killed by {signal.Signals(number).name}"
            except ValueError:
                return f"killed by signal {number}"
        return f"exit code {self.exit_code}"


@define(eq=False)
class Process:
    """One running process, made by `Processes.launch`."""

    pid: int
    captures: Captures
    ended: Happening[ProcessEnd]
    """It has ended, and its outputs were read to their end."""
    _send: Callable[[int, int], None]

    def signal(self, number: int, pid: int = 0) -> None:
        """Send a signal to the whole group, or to the one process `pid` of it."""
        if not self.ended.happened:
            self._send(number, pid)


@define(eq=False)
class _Started:
    """What is kept of a process while the launcher has it."""

    process: Process
    readers: list[PipeReader]
    open_outputs: int = 2
    end: ProcessEnd | None = None
    drain: Any = None


@implementer(IFileDescriptorReceiver)
class _LauncherProtocol(Protocol):
    """Frames to and from the launcher, and the descriptors that come with them."""

    transport: Any

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    def fileDescriptorReceived(self, descriptor: int) -> None:  # noqa: N802
        self._descriptors.append(descriptor)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            frame = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            self._handle(json.loads(frame))

    def _handle(self, message: dict[str, Any]) -> None:
        if "started" in message:
            outputs = (self._descriptors.popleft(), self._descriptors.popleft())
            self._processes.started(message["started"], message["pid"], outputs)
        elif "refused" in message:
            self._processes.refused(message["refused"], message["reason"])
        else:
            self._processes.ended(message["ended"], message["status"])

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        self.transport.write(_LENGTH.pack(len(body)) + body)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()


class _LauncherWatch(ProcessProtocol):
    """Tells how the launcher ended."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        ended: Any = reason.value
        self._ended(str(ProcessEnd(ended.status)))


@define(eq=False)
class Processes:
    """All processes of one executor, and the launcher that has them.

    `log_descriptor` is where the launcher's own complaints go. `adopts_orphans` makes this process
    a child subreaper: only for a program that has no children but the launcher, since at the
    launcher's death it kills all others.
    """

    reactor: Any
    adopts_orphans: bool = False
    open_files: int = 0
    log_descriptor: int = 2
    _protocol: _LauncherProtocol | None = field(default=None, init=False)
    _transport: Any = field(default=None, init=False)
    _keys: int = field(default=0, init=False)
    _waiting: dict[int, tuple[Captures, Deferred[Process]]] = field(factory=dict, init=False)
    _running: dict[int, _Started] = field(factory=dict, init=False)
    _stopping: bool = field(default=False, init=False)
    _gone: Happening[None] = field(factory=Happening, init=False)
    _restart: Any = field(default=None, init=False)

    @property
    def launcher_pid(self) -> int | None:
        """Process id of the launcher, None while there is none."""
        return None if self._transport is None else self._transport.pid

    def start(self) -> None:
        """Start the launcher."""
        if self.adopts_orphans:
            _become_subreaper()
        self._start_launcher()

    async def stop(self) -> None:
        """Have the launcher kill everything and end; returns when it has, or after
        `STOP_DEADLINE_S`, when it is killed itself."""
        self._stopping = True
        if self._restart is not None and self._restart.active():
            self._restart.cancel()
        if self._protocol is None:
            return
        self._protocol.transport.loseConnection()
        if not await self._gone.within(STOP_DEADLINE_S, self.reactor):
            self._transport.signalProcess("KILL")
            await self._gone.within(STOP_DEADLINE_S, self.reactor)

    def launch(self, request: ProcessRequest, captures: Captures) -> Deferred[Process]:
        """Start a process; fires when it runs. Fails with `LaunchRefused` where it cannot be
        started, with `Unavailable` where there is no launcher. Cancelled, it kills what it began.
        """
        key = self._keys = self._keys + 1
        result: Deferred[Process] = Deferred(lambda _: self._signal(key, signal.SIGKILL, 0))
        if self._protocol is None:
            result.errback(Unavailable("the launcher of this host is being restarted"))
            return result
        account = request.account
        self._waiting[key] = (captures, result)
        self._protocol.send(
            {
                "launch": key,
                "arguments": list(request.arguments),
                "environment": dict(request.environment),
                "directory": str(request.directory),
                "mark": request.mark,
                "path": request.path,
                "account": account and [account.user_id, account.group_id, list(account.groups)],
            }
        )
        return result

    # --- what the launcher says ------------------------------------------------------------------

    def started(self, key: int, pid: int, outputs: tuple[int, int]) -> None:
        """A process runs."""
        captures, result = self._waiting.pop(key)
        process = Process(
            pid, captures, Happening(), lambda number, one: self._signal(key, number, one)
        )
        running = _Started(process, [])
        self._running[key] = running
        for descriptor, sink in zip(outputs, (captures.stdout, captures.stderr), strict=True):
            running.readers.append(
                PipeReader(self.reactor, descriptor, sink, lambda: self._output_ended(key))
            )
        if not result.called:
            result.callback(process)

    def refused(self, key: int, reason: str) -> None:
        """A process could not be started."""
        _, result = self._waiting.pop(key)
        if not result.called:
            result.errback(LaunchRefused(reason))

    def ended(self, key: int, status: int) -> None:
        """A process has ended; its outputs may still hold something."""
        self._end(key, ProcessEnd(status))

    def _end(self, key: int, end: ProcessEnd) -> None:
        running = self._running[key]
        running.end = end
        if running.open_outputs:
            running.drain = self.reactor.callLater(DRAIN_S, self._close_outputs, running)
        else:
            self._bury(key)

    def _close_outputs(self, running: _Started) -> None:
        for reader in running.readers:
            reader.close()

    def _output_ended(self, key: int) -> None:
        running = self._running[key]
        running.open_outputs -= 1
        if not running.open_outputs and running.end is not None:
            self._bury(key)

    def _bury(self, key: int) -> None:
        running = self._running.pop(key)
        if running.drain is not None and running.drain.active():
            running.drain.cancel()
        assert running.end is not None
        running.process.ended.happen(running.end)

    def _signal(self, key: int, number: int, pid: int) -> None:
        if self._protocol is not None:
            self._protocol.send({"signal": int(number), "key": key, "pid": pid})

    # --- the launcher's own life -----------------------------------------------------------------

    def _start_launcher(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs, ours:
            self._protocol = protocol = _LauncherProtocol(self)
            factory = Factory.forProtocol(lambda: protocol)
            self._transport = self.reactor.spawnProcess(
                _LauncherWatch(self._launcher_ended),
                sys.executable,
                [sys.executable, "-I", "-S", launcher.__file__, str(self.open_files)],
                env={"PATH": os.defpath},
                childFDs={
                    1: self.log_descriptor,
                    2: self.log_descriptor,
                    launcher.CONTROL_DESCRIPTOR: theirs.fileno(),
                },
            )
            self.reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)

    def _launcher_ended(self, how: str) -> None:
        protocol, self._protocol = self._protocol, None
        self._transport = None
        if protocol is not None:
            protocol.transport.loseConnection()
        reason = f"the launcher of this host ended ({how}), and its processes with it"
        self._kill_leftovers()
        waiting, self._waiting = self._waiting, {}
        for _, result in waiting.values():
            if not result.called:
                result.errback(Unavailable(reason))
        for key in list(self._running):
            if self._running[key].end is None:
                self._end(key, ProcessEnd(0, reason))
        if self._stopping:
            self._gone.happen(None)
        else:
            log.error("{reason}; starting another one", reason=reason)
            self._restart = self.reactor.callLater(RESTART_S, self._start_launcher)

    def _kill_leftovers(self) -> None:
        """Kill the groups that the launcher had, and whatever has come to us from it."""
        for running in self._running.values():
            if running.end is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(running.process.pid, signal.SIGKILL)
        if self.adopts_orphans:
            self._kill_orphans()

    def _kill_orphans(self) -> None:
        """Kill and bury our children, the launcher excepted, until there is none: one that ends
        may leave us its own."""
        orphans = [child for child in children(os.getpid()) if child != self.launcher_pid]
        for orphan in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(orphan, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan, os.WNOHANG)
        if orphans:
            self.reactor.callLater(ORPHAN_INTERVAL_S, self._kill_orphans)


def children(pid: int) -> list[int]:
    """The children of a process, of all its threads; none where it has gone."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += [int(text) for text in (thread / "children").read_text().split()]
    return found


def _become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(launcher.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
