"""What the processes of tasks use: processor, memory, open files.

Only told to a core that has asked for it, at the pace that it wants. One look costs one pass over
/proc, in a thread; each task is the leader of a session, and what belongs to a session belongs to
its task.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from aliecs.executor.waiting import Happening
from aliecs.protocol.message import TaskUsage, TaskUsageMessage

SHORTEST_INTERVAL_S = 0.1
TOLD_TOGETHER = 500
"""Tasks in one message."""

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# Places in /proc/<pid>/stat, counted from behind the name of the program (proc(5)).
_SESSION = 3
_TIMES = slice(11, 15)
"""Of the process, and of children that it has waited for; user and system."""
_RESIDENT_PAGES = 21

log = Logger()


@define
class _Sum:
    processor_ticks: int = 0
    memory_pages: int = 0
    open_files: int = 0
    processes: int = 0


def usage_of_sessions(leaders: Iterable[int]) -> Mapping[int, TaskUsage]:
    """What the processes of each session use, by the process id of its leader. Sessions that are
    gone are left out; a process that ends meanwhile is no fault. Takes some 10 us for each process
    of this machine."""
    sums: dict[int, _Sum] = {}
    wanted = frozenset(leaders)
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                # The name of the program may have spaces and brackets in it.
                words = file.read().rpartition(b")")[2].split()
            session = int(words[_SESSION])
            if session not in wanted:
                continue
            open_files = len(os.listdir(f"/proc/{name}/fd"))  # noqa: PTH208
        except OSError:
            continue
        total = sums.setdefault(session, _Sum())
        total.processor_ticks += sum(int(word) for word in words[_TIMES])
        total.memory_pages += int(words[_RESIDENT_PAGES])
        total.open_files += open_files
        total.processes += 1
    return {
        session: TaskUsage(
            processor_s=total.processor_ticks / _TICKS_A_SECOND,
            memory_bytes=total.memory_pages * _PAGE_BYTES,
            open_files=total.open_files,
            processes=total.processes,
        )
        for session, total in sums.items()
    }


@define(eq=False)
class UsageReporter:
    """Tells the core what tasks use.

    `leaders` gives the process id of each task that has a process, `send` takes what is to be told,
    and `is_heard` is False while it would only lie about.
    """

    clock: Any
    leaders: Callable[[], Mapping[str, int]]
    send: Callable[[TaskUsageMessage], None]
    is_heard: Callable[[], bool]
    _interval_s: float = field(default=0.0, init=False)
    _timer: Any = field(default=None, init=False)
    _looking: Happening[None] | None = field(default=None, init=False)

    def report_every(self, interval_s: float) -> None:
        """Tell it every `interval_s` seconds from now on, or with 0 no more."""
        self._interval_s = max(interval_s, SHORTEST_INTERVAL_S) if interval_s > 0 else 0.0
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._looking is None:
            self._begin_to_wait()

    async def stop(self) -> None:
        """Tell nothing more; returns when nobody looks any more."""
        self.report_every(0.0)
        if self._looking is not None:
            await self._looking.wait()

    def _begin_to_wait(self) -> None:
        if self._interval_s > 0:
            self._timer = self.clock.callLater(self._interval_s, self._begin_to_look)

    def _begin_to_look(self) -> None:
        self._looking = Happening()
        looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(lambda failure: log.failure("looking at what tasks use", failure))
        looking.addBoth(self._looked)

    def _looked(self, result: object) -> None:
        looking, self._looking = self._looking, None
        self._begin_to_wait()
        if looking is not None:
            looking.happen(None)

    async def _look(self) -> None:
        leaders = self.leaders()
        if not leaders or not self.is_heard():
            return
        found = await deferToThread(usage_of_sessions, leaders.values())
        told = {task: found[pid] for task, pid in leaders.items() if pid in found}
        if not self.is_heard() or self._interval_s == 0:
            return
        now_s = time.time()
        names = list(told)
        for begin in range(0, len(names), TOLD_TOGETHER):
            together = names[begin : begin + TOLD_TOGETHER]
            self.send(TaskUsageMessage(time_s=now_s, tasks={name: told[name] for name in together}))
