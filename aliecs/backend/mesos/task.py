"""The tasks that were launched or heard of, and what an update about one of them means.

Not every update is the truth about a process. A master that was started again says of running
tasks that it does not know them, and one that has no contact to an agent says so in the name of its
tasks. Only what comes from an agent or an executor, or what a master knows for sure, is an end.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from collections.abc import Iterator

from attrs import define, field

from aliecs.interfaces import MesosState
from aliecs.protocol.mesos_pb2 import TaskStatus

REMEMBERED_ENDS = 20_000
"""Tasks that have ended, of which late updates are recognised."""
REMEMBERED_UPDATES = 8
"""Updates of one task that are recognised when they come again."""

_ORDER = {
    MesosState.TASK_STAGING: 0,
    MesosState.TASK_STARTING: 1,
    MesosState.TASK_RUNNING: 2,
    MesosState.TASK_KILLING: 3,
}
_AWAY = frozenset({MesosState.TASK_UNREACHABLE, MesosState.TASK_UNKNOWN})
_ENDED_FOR_SURE = frozenset(
    {
        MesosState.TASK_FINISHED,
        MesosState.TASK_FAILED,
        MesosState.TASK_KILLED,
        MesosState.TASK_ERROR,
        MesosState.TASK_GONE_BY_OPERATOR,
    }
)
_NO_CONTACT = frozenset(
    {
        TaskStatus.REASON_RECONCILIATION,
        TaskStatus.REASON_AGENT_DISCONNECTED,
        TaskStatus.REASON_AGENT_REMOVED,
        TaskStatus.REASON_AGENT_UNKNOWN,
        TaskStatus.REASON_MASTER_DISCONNECTED,
    }
)
"""Reasons of a master's TASK_LOST that say nothing of the process."""


class Meaning(enum.Enum):
    """What is to be done about an update."""

    TELL = "the state of the process has changed"
    AWAY = "nobody has contact to the task's agent"
    NOTHING = "known, or older than what is known"


@define(eq=False)
class KnownTask:
    """One task until its end. `is_launching` while the master has not answered its launch."""

    task_id: str
    agent_id: str
    executor_id: str = ""
    state: MesosState = MesosState.TASK_STAGING
    cpus: float = 0.0
    memory_mb: float = 0.0
    since_s: float = 0.0
    is_launching: bool = False
    is_asked: bool = False
    """Somebody waits to hear of it, also what was told before."""
    updates: deque[bytes] = field(factory=lambda: deque(maxlen=REMEMBERED_UPDATES), init=False)


@define
class Use:
    """What tasks have of one agent."""

    tasks: int = 0
    cpus: float = 0.0
    memory_mb: float = 0.0


@define(eq=False)
class TaskBook:
    """All tasks that have not ended."""

    _tasks: dict[str, KnownTask] = field(factory=dict, init=False)
    _of_agent: dict[str, dict[str, KnownTask]] = field(factory=dict, init=False)
    _ends: OrderedDict[str, MesosState] = field(factory=OrderedDict, init=False)

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[KnownTask]:
        return iter(tuple(self._tasks.values()))

    def get(self, task_id: str) -> KnownTask | None:
        """The task of that id; None where it has ended or was never heard of."""
        return self._tasks.get(task_id)

    def add(self, task: KnownTask) -> None:
        """A task is launched, or heard of."""
        self._ends.pop(task.task_id, None)
        self._tasks[task.task_id] = task
        self._of_agent.setdefault(task.agent_id, {})[task.task_id] = task

    def end(self, task_id: str, state: MesosState) -> None:
        """A task is over."""
        task = self._tasks.pop(task_id, None)
        if task is not None:
            here = self._of_agent[task.agent_id]
            del here[task_id]
            if not here:
                del self._of_agent[task.agent_id]
        self._ends[task_id] = state
        while len(self._ends) > REMEMBERED_ENDS:
            self._ends.popitem(last=False)

    def end_of(self, task_id: str) -> MesosState | None:
        """How a task has ended; None where it has not, or was never heard of, or long ago."""
        return self._ends.get(task_id)

    def of_agent(self, agent_id: str) -> list[KnownTask]:
        """The tasks of an agent."""
        return list(self._of_agent.get(agent_id, {}).values())

    def has_executor(self, agent_id: str, executor_id: str) -> bool:
        """True where an executor has tasks; those whose executor is not known count."""
        here = self._of_agent.get(agent_id, {}).values()
        return any(task.executor_id in ("", executor_id) for task in here)

    def use(self, agent_id: str) -> Use:
        """What the tasks of an agent have."""
        here = self._of_agent.get(agent_id, {}).values()
        return Use(len(here), sum(task.cpus for task in here), sum(task.memory_mb for task in here))

    def meaning(self, status: TaskStatus) -> Meaning:
        """What an update means, in the light of those before it. Changes nothing."""
        state = MesosState(status.state)
        task = self._tasks.get(status.task_id.value)
        if task is None:
            return self._meaning_of_unknown(status, state)
        if status.uuid and status.uuid in task.updates:
            return Meaning.NOTHING
        if is_away(status, state):
            return Meaning.AWAY
        if state.is_terminal:
            # What the master says of a launch on its way is older than the launch.
            stale = task.is_launching and status.reason == TaskStatus.REASON_RECONCILIATION
            return Meaning.NOTHING if stale else Meaning.TELL
        if _ORDER[state] < _ORDER[task.state]:
            return Meaning.NOTHING
        if task.is_asked:
            return Meaning.TELL
        is_heard_of = task.state is not MesosState.TASK_STAGING or bool(task.updates)
        return Meaning.NOTHING if state is task.state and is_heard_of else Meaning.TELL

    def note(self, status: TaskStatus, now_s: float) -> None:
        """An update that means something was told."""
        state = MesosState(status.state)
        task_id = status.task_id.value
        if state.is_terminal:
            self.end(task_id, state)
            return
        task = self._tasks.get(task_id)
        if task is None:
            task = KnownTask(task_id, status.agent_id.value, status.executor_id.value)
            self.add(task)
        if status.executor_id.value:
            task.executor_id = status.executor_id.value
        task.is_launching = task.is_asked = False
        task.state = state
        task.since_s = now_s
        if status.uuid:
            task.updates.append(status.uuid)

    def _meaning_of_unknown(self, status: TaskStatus, state: MesosState) -> Meaning:
        end = self._ends.get(status.task_id.value)
        if is_away(status, state) or (end is not None and state.is_terminal):
            return Meaning.NOTHING
        if end in _ENDED_FOR_SURE:
            return Meaning.NOTHING
        return Meaning.TELL


def is_away(status: TaskStatus, state: MesosState) -> bool:
    """True for an update that says only that somebody has no contact."""
    if state in _AWAY:
        return True
    return state is MesosState.TASK_LOST and not status.uuid and status.reason in _NO_CONTACT
