"""When a run ends by itself: the data streams of its tasks, counted.

A task says that its stream has ended, or, if it is a plain process, ends. The run is over when all
tasks of each class of which one has said so have said so, and every plain process that the
environment cannot do without has ended; where the last to end is a plain process, the others of its
kind are waited for too. The cost of one such message does not depend on how many tasks there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attrs import define, field

from aliecs.protocol.message import ControlMode
from aliecs.task.task import Task


@define(eq=False)
class Streams:
    """The streams of one run."""

    _left: Counter[str] = field(init=False, factory=Counter)
    """Streams that have not ended, by class."""
    _ending: set[str] = field(init=False, factory=set)
    """Classes of which some stream has ended."""
    _critical_processes: int = field(init=False, default=0)
    _processes: int = field(init=False, default=0)
    _ended: set[str] = field(init=False, factory=set)
    _counted: set[str] = field(init=False, factory=set)

    def begin(self, tasks: Iterable[Task]) -> None:
        """A run begins with these tasks."""
        self._left.clear()
        self._ending.clear()
        self._ended.clear()
        self._counted.clear()
        self._critical_processes = self._processes = 0
        for task in tasks:
            self._counted.add(task.id)
            self._count(task, 1)

    def join(self, tasks: Iterable[Task]) -> None:
        """More tasks have data in this run."""
        for task in tasks:
            if task.id not in self._counted:
                self._counted.add(task.id)
                self._count(task, 1)

    def leave(self, tasks: Iterable[Task]) -> bool:
        """Tasks leave the run, and may join it again. True where the streams of others have ended
        and only those of these tasks were still waited for."""
        for task in tasks:
            if task.id in self._counted:
                self.lose(task)
                self._counted.discard(task.id)
                self._ended.discard(task.id)
        return bool(self._ending) and self.all_ended

    def end(self, task: Task) -> bool:
        """The stream of a task has ended. True where it was the last that is waited for."""
        if task.id not in self._counted or task.id in self._ended:
            return False
        self._ended.add(task.id)
        self._count(task, -1)
        if task.control_mode is ControlMode.BASIC:
            if self._processes:
                return False
        else:
            self._ending.add(task.task_class.identifier)
        return self.all_ended

    def lose(self, task: Task) -> None:
        """A task is no more: nothing is to come from it."""
        if task.id in self._counted and task.id not in self._ended:
            self._ended.add(task.id)
            self._count(task, -1)

    @property
    def all_ended(self) -> bool:
        """True where something has ended and nothing is waited for."""
        if not self._ended or self._critical_processes:
            return False
        return not any(self._left[identifier] for identifier in self._ending)

    def _count(self, task: Task, step: int) -> None:
        if task.control_mode is ControlMode.BASIC:
            self._processes += step
            self._critical_processes += step if task.critical else 0
        elif not task.is_hook:
            self._left[task.task_class.identifier] += step
