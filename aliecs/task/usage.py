"""What tasks use of their hosts, as executors tell it.

They tell it to a core that asks, and at its pace; those of the reference do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import define, frozen
from twisted.logger import Logger

from aliecs.errors import Unavailable
from aliecs.interfaces import ITaskBackend
from aliecs.protocol.identifier import new_xid
from aliecs.protocol.message import (
    NANOSECONDS,
    ExecutorAnnouncement,
    ReportUsageCommand,
    TaskUsage,
    TaskUsageMessage,
    target,
)

if TYPE_CHECKING:
    from aliecs.task.task import Task

log = Logger()


@frozen
class Usage:
    """All processes of a task together, at `time_s` (Unix time)."""

    time_s: float
    processor_s: float
    """Processor time since the task began."""
    processors: float
    """How many processors it kept busy since it was looked at before."""
    memory_bytes: int
    """Resident memory."""
    open_files: int
    processes: int

    @classmethod
    def after(cls, before: Usage | None, used: TaskUsage, time_s: float) -> Usage:
        """What an executor told, after what it told before."""
        processors = 0.0
        if before is not None and time_s > before.time_s:
            # A process that ends takes its time along unless somebody has waited for it.
            processors = max(0.0, used.processor_s - before.processor_s) / (time_s - before.time_s)
        return cls(
            time_s,
            used.processor_s,
            processors,
            used.memory_bytes,
            used.open_files,
            used.processes,
        )


@define(eq=False)
class UsageWatch:
    """Asks executors, every `interval_s` seconds or with 0 never, and notes what they tell."""

    backend: ITaskBackend
    tasks: Mapping[str, Task]
    interval_s: float

    def announced(
        self, agent_id: str, executor_id: str, announcement: ExecutorAnnouncement
    ) -> None:
        """An executor has said what it can do."""
        command = ReportUsageCommand(
            id=new_xid(),
            targets=(target(agent_id, executor_id, ""),),
            interval_ns=int(self.interval_s * NANOSECONDS),
        )
        if command.name not in announcement.commands:
            return
        try:
            self.backend.send(agent_id, executor_id, command.encode())
        except Unavailable as error:
            # It announces itself again when it is back.
            log.debug("what tasks use is not asked for: {reason}", reason=error.message)

    def told(self, message: TaskUsageMessage) -> None:
        """An executor tells."""
        for task_id, used in message.tasks.items():
            task = self.tasks.get(task_id)
            if task is not None:
                task.usage = Usage.after(task.usage, used, message.time_s)
