"""What an executor leaves behind when it and its launcher are killed at once.

Usually each of the two ends the tasks when the other is gone. Without either, the process of a task
is ended by the kernel, but not what it started itself. The core, on the same machine, ends that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Set
from pathlib import Path

from aliecs.protocol.local import task_of_process

INTERVAL_S = 0.05
DEADLINE_S = 5.0


def end_processes_of(task_ids: Set[str]) -> int:
    """Kill every process that descends from one of the tasks, until there is none; gives how many
    there were. Reads `/proc` and waits: for a thread.

    What may not be killed, or does not end (a process stuck in the kernel), is left after
    `DEADLINE_S`.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + DEADLINE_S
    empty_looks = 0
    # A process in the middle of exec cannot be recognised: nothing has to be found twice.
    while empty_looks < 2 and time.monotonic() < deadline:
        found = _processes_of(task_ids)
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(found)
        empty_looks = 0 if found else empty_looks + 1
        time.sleep(INTERVAL_S)
    return len(killed)


def _processes_of(task_ids: Set[str]) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if task_of_process(pid) in task_ids]
