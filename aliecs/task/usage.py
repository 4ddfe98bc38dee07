"""What a task uses of its host, as its executor told it last."""

from __future__ import annotations

from attrs import frozen

from aliecs.protocol.message import TaskUsage


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
