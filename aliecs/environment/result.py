"""What became of the tasks in a step of an operation: how many did it, who did not, who was slow.

While a step runs it is known of each task how it stands; of a step that is over only what people
ask for is kept: counts, failures in the order in which they happened, the slowest tasks, and hosts
that had trouble. All of it is bounded, however large the environment is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec
from attrs import define, field, frozen

from aliecs.task.task import Task

DONE = "done"
FAILED = "failed"
NOT_REACHED = "not reached"

MOST_FAILURES = 1000
"""Failures kept of a step."""
MOST_SLOWEST = 10
MOST_HOSTS = 200
"""Hosts with trouble that are kept of a step."""
LONGEST_REASON = 300


class NodeResult(msgspec.Struct, frozen=True):
    """What became of one task. `task_id` is empty where it never had a place; the duration is from
    the beginning of the step."""

    role: str
    task_id: str
    host: str
    outcome: str
    duration_ms: int
    reason: str = ""


@frozen
class HostResult:
    """What became of the tasks of a host."""

    host: str
    done: int
    failed: int
    not_reached: int


@define(eq=False)
class StepResult:
    """See the module. Times are Unix milliseconds."""

    step: str
    started_ms: int
    ended_ms: int = 0
    done: int = 0
    failed: int = 0
    not_reached: int = 0
    failures: list[NodeResult] = field(factory=list)
    hosts: list[HostResult] = field(factory=list)
    """Those on which something failed or was not reached."""
    hosts_done: int = 0
    """All others."""
    _last: OrderedDict[str, NodeResult] = field(init=False, factory=OrderedDict)
    """The last that did it: all began together, so they are the slowest."""
    _outcomes: dict[str, tuple[str, str]] = field(init=False, factory=dict)
    """Of each task how it stands, and its host; only while the step runs."""

    @property
    def is_empty(self) -> bool:
        """No task took part."""
        return not (self._outcomes or self.done or self.failed or self.not_reached)

    @property
    def slowest(self) -> Sequence[NodeResult]:
        """The slowest first."""
        return list(reversed(self._last.values()))

    def so_far(self) -> tuple[int, int, int]:
        """How many have done it, have failed, and were not reached; while the step runs nobody
        counts as not reached."""
        if self.ended_ms:
            return self.done, self.failed, self.not_reached
        outcomes = [outcome for outcome, _ in self._outcomes.values()]
        return outcomes.count(DONE), outcomes.count(FAILED), 0

    @property
    def nodes_kept(self) -> int:
        """How much memory it takes, about."""
        return len(self.failures) + len(self._last) + len(self.hosts)

    def expect(self, tasks: Iterable[Task]) -> None:
        """Tasks are to do something, and count as not reached until they have."""
        for task in tasks:
            self._outcomes[task.id] = (NOT_REACHED, task.host)

    def succeeded(self, task: Task, now_ms: int) -> None:
        """A task did it, or a part of it."""
        self._outcomes[task.id] = (DONE, task.host)
        self._last.pop(task.id, None)
        self._last[task.id] = NodeResult(
            task.role_path, task.id, task.host, DONE, now_ms - self.started_ms
        )
        if len(self._last) > MOST_SLOWEST:
            self._last.popitem(last=False)

    def did_not(self, task: Task, reason: str, now_ms: int) -> None:
        """A task failed."""
        self._fail(task.role_path, task.id, task.host, reason, now_ms)

    def has_no_place(self, role: str, reason: str, now_ms: int) -> None:
        """A task could not be launched at all."""
        self._fail(role, "", "", reason, now_ms)

    def finish(self, now_ms: int) -> None:
        """The step is over."""
        self.ended_ms = now_ms
        hosts: dict[str, dict[str, int]] = {}
        for outcome, host in self._outcomes.values():
            counts = hosts.setdefault(host, dict.fromkeys((DONE, FAILED, NOT_REACHED), 0))
            counts[outcome] += 1
        for counts in hosts.values():
            self.done += counts[DONE]
            self.failed += counts[FAILED]
            self.not_reached += counts[NOT_REACHED]
        troubled = [
            HostResult(host, counts[DONE], counts[FAILED], counts[NOT_REACHED])
            for host, counts in hosts.items()
            if host and (counts[FAILED] or counts[NOT_REACHED])
        ]
        self.hosts_done = sum(1 for host in hosts if host) - len(troubled)
        troubled.sort(key=lambda one: (-one.failed, -one.not_reached, one.host))
        self.hosts = troubled[:MOST_HOSTS]
        self._outcomes.clear()

    def shorten(self) -> None:
        """Keep little of it: it was long ago."""
        del self.failures[MOST_SLOWEST:]
        del self.hosts[MOST_SLOWEST:]

    def _fail(self, role: str, task_id: str, host: str, reason: str, now_ms: int) -> None:
        key = task_id or role
        if self._outcomes.get(key, ("", ""))[0] == FAILED:
            return
        self._outcomes[key] = (FAILED, host)
        self._last.pop(key, None)
        if len(self.failures) < MOST_FAILURES:
            text = " ".join(reason.split())[:LONGEST_REASON]
            self.failures.append(
                NodeResult(role, task_id, host, FAILED, now_ms - self.started_ms, text)
            )


@frozen
class Waited:
    """Somebody who has not answered yet. `task_id` is empty for a call."""

    role: str
    task_id: str
    host: str
    what: str
    since_ms: int


@frozen
class Waiting:
    """Those that are waited for, the longest first, and how many more there are."""

    nodes: Sequence[Waited] = ()
    left_out: int = 0
