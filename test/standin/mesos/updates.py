"""The updates of an agent's tasks, each kept until it is acknowledged, sent one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field

from aliecs.protocol.mesos_pb2 import TaskStatus
from test.standin.mesos.framework import TERMINAL
from test.standin.mesos.pace import Pace, cancel


@define(eq=False)
class UpdateStream:
    """The updates of one task; `send` tells the master."""

    pace: Pace
    send: Callable[[TaskStatus], None]
    _waiting: deque[TaskStatus] = field(factory=deque, init=False)
    _known: set[bytes] = field(factory=set, init=False)
    _retry_s: float = field(default=0.0, init=False)
    _timer: Any = field(default=None, init=False)
    is_done: bool = field(default=False, init=False)
    """The terminal update was acknowledged."""

    def add(self, status: TaskStatus) -> bool:
        """Take an update; False for one that was here already."""
        if status.uuid in self._known:
            return False
        self._known.add(status.uuid)
        self._waiting.append(status)
        if len(self._waiting) == 1:
            self.flush()
        return True

    def flush(self) -> None:
        """Send the oldest now, and begin anew with the times of repetition."""
        self._retry_s = self.pace.times.retry_s
        self._send()

    def _send(self) -> None:
        cancel(self._timer)
        if self._waiting:
            self._timer = self.pace.later(self._retry_s, self._send)
            self._retry_s = min(2 * self._retry_s, self.pace.times.longest_retry_s)
            self.send(self._waiting[0])

    def acknowledge(self, uuid: bytes) -> None:
        """Only what was sent last can be acknowledged."""
        if self._waiting and self._waiting[0].uuid == uuid:
            status = self._waiting.popleft()
            cancel(self._timer)
            self.is_done = status.state in TERMINAL
            self.flush()

    def pause(self) -> None:
        """Send nothing until `flush`."""
        cancel(self._timer)
