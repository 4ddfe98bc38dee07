"""What the core makes of what executors tell it."""

from __future__ import annotations

from aliecs.protocol.message import TaskUsage
from aliecs.task.usage import Usage


def used(processor_s: float) -> TaskUsage:
    return TaskUsage(processor_s=processor_s, memory_bytes=5, open_files=3, processes=1)


def test_processors_are_those_between_two_looks() -> None:
    first = Usage.after(None, used(10.0), 1000.0)
    assert (first.processors, first.processor_s, first.memory_bytes) == (0.0, 10.0, 5)
    second = Usage.after(first, used(25.0), 1010.0)
    assert second.processors == 1.5


def test_time_that_went_with_a_process_counts_for_nothing() -> None:
    first = Usage.after(None, used(10.0), 1000.0)
    assert Usage.after(first, used(4.0), 1010.0).processors == 0.0
    assert Usage.after(first, used(11.0), 1000.0).processors == 0.0
