"""Executors as processes: started so that they belong to nobody, watched through a pidfd.

An executor must survive its core, so it is no child of it: the started command detaches itself and
tells who continues. With its start time a process id is certain, also for the core that comes next.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from aliecs.errors import Unavailable
from aliecs.protocol.local import process_start_time

START_DEADLINE_S = 20.0
MAXIMUM_OUTPUT_BYTES = 65536
CLAIM_DESCRIPTOR = 3
"""Under this number an executor finds the claim on the ports of its host."""


@frozen
class ProcessIdentity:
    """A process, for certain."""

    pid: int
    start_time: int
    """In clock ticks since boot."""

    @property
    def is_alive(self) -> bool:
        """True while exactly this process exists."""
        return self.start_time != 0 and process_start_time(self.pid) == self.start_time


@implementer(IReadDescriptor)
@define(eq=False)
class ProcessWatch:
    """Calls `ended` when a process that is nobody's child has ended, and can signal it until then.

    Raises `ProcessLookupError` where it has ended already.
    """

    reactor: Any
    identity: ProcessIdentity
    ended: Callable[[], None]
    _descriptor: int = field(default=-1, init=False)

    def __attrs_post_init__(self) -> None:
        self._descriptor = os.pidfd_open(self.identity.pid)
        if not self.identity.is_alive:
            os.close(self._descriptor)
            raise ProcessLookupError(f"process {self.identity.pid} has ended")
        self.reactor.addReader(self)

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens where the process has ended."""
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def close(self) -> None:
        """Watch no longer."""
        if self._descriptor >= 0:
            self.reactor.removeReader(self)
            os.close(self._descriptor)
            self._descriptor = -1

    def fileno(self) -> int:
        """Readable once the process has ended."""
        return self._descriptor

    def doRead(self) -> None:  # noqa: N802
        """The process has ended."""
        self.close()
        self.ended()

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """The reactor lets go of the descriptor."""
        self.close()

    def logPrefix(self) -> str:  # noqa: N802
        """For the reactor's own messages."""
        return "executor"


class _Starting(ProcessProtocol):
    """Reads what the started command says before it leaves its child alone."""

    def __init__(self) -> None:
        self.identity: Deferred[ProcessIdentity] = Deferred(self._give_up)
        self._output = b""
        self._complaint = b""

    def outReceived(self, data: bytes) -> None:  # noqa: N802
        self._output = (self._output + data)[:MAXIMUM_OUTPUT_BYTES]

    def errReceived(self, data: bytes) -> None:  # noqa: N802
        self._complaint = (self._complaint + data)[-MAXIMUM_OUTPUT_BYTES:]

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        if self.identity.called:
            return
        try:
            if not isinstance(reason.value, ProcessDone):
                raise ValueError(reason.getErrorMessage())
            told = json.loads(self._output)
            self.identity.callback(ProcessIdentity(told["pid"], told["start_time"]))
        except (ValueError, KeyError, TypeError) as error:
            said = self._complaint.decode(errors="replace").strip().rpartition("\n")[2]
            self.identity.errback(Unavailable(f"the executor did not start: {said or error}"))

    def _give_up(self, identity: Deferred[ProcessIdentity]) -> None:
        transport: Any = self.transport
        with contextlib.suppress(Exception):
            transport.signalProcess("KILL")


def start_detached(
    reactor: Any,
    command: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    claim: int,
) -> Deferred[ProcessIdentity]:
    """Start an executor with a command that detaches itself; fires with who it is. It gets the
    descriptor `claim` as its number `CLAIM_DESCRIPTOR`.

    Fails with `Unavailable` where it does not start, with what it said.
    """
    starting = _Starting()
    reactor.spawnProcess(
        starting,
        command[0],
        list(command),
        env=dict(environment),
        path=str(directory),
        childFDs={0: "w", 1: "r", 2: "r", CLAIM_DESCRIPTOR: claim},
    )
    return starting.identity.addTimeout(START_DEADLINE_S, reactor)
