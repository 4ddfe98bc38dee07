"""What executors can do beyond the reference's.

Ours announce it when they subscribe. One that has announced nothing may be the reference's, which
never answers what it does not know, or ours from before this core was started: it is asked, with
less patience, and left alone for a while where it says nothing.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from aliecs.errors import Unavailable
from aliecs.protocol.message import ExecutorAnnouncement

ANSWER_DEADLINE_S = 10.0
"""How long an executor may take to answer a question."""
UNANNOUNCED_DEADLINE_S = 3.0
"""The same, of one that may not know it."""
LAUNCH_PATIENCE_S = 80.0
"""The reference's executor gives a task up that has not come up after 75 s."""
SILENCE_S = 300.0
"""One that did not answer is asked again after so long."""


@define(eq=False)
class Abilities:
    """See the module."""

    clock: IReactorTime
    _announced: dict[str, frozenset[str]] = field(factory=dict, init=False)
    """Names of commands, by executor id."""
    _has_run: set[str] = field(factory=set, init=False)
    """Executors that have tasks, or had."""
    _silent_since_s: dict[str, float] = field(factory=dict, init=False)

    def announced(self, executor_id: str, announcement: ExecutorAnnouncement) -> None:
        """An executor has said what it can do."""
        self._announced[executor_id] = frozenset(announcement.commands)
        self._silent_since_s.pop(executor_id, None)

    def answered(self, executor_id: str) -> None:
        """It has answered a question."""
        self._silent_since_s.pop(executor_id, None)

    def was_silent(self, executor_id: str) -> None:
        """It has not answered a question in time."""
        if executor_id not in self._announced:
            self._silent_since_s[executor_id] = self.clock.seconds()

    def forget(self, executor_id: str) -> None:
        """It has ended."""
        self._announced.pop(executor_id, None)
        self._has_run.discard(executor_id)
        self._silent_since_s.pop(executor_id, None)

    def has_run(self, executor_id: str) -> None:
        """A task of it runs."""
        self._has_run.add(executor_id)

    def can_end_launches(self, executor_id: str) -> bool:
        """False where an executor may end with all of its tasks when it is told to kill one that
        is not up yet, as the reference's does: one with other tasks that has announced nothing."""
        return executor_id in self._announced or executor_id not in self._has_run

    def has_announced(self, executor_id: str) -> bool:
        """True where it has said what it can do."""
        return executor_id in self._announced

    def has(self, executor_id: str, command: str) -> bool:
        """True where it has said that it understands a command."""
        return command in self._announced.get(executor_id, ())

    def deadline_s(self, executor_id: str) -> float:
        """How long to wait for a short answer."""
        is_known = self.has_announced(executor_id)
        return ANSWER_DEADLINE_S if is_known else UNANNOUNCED_DEADLINE_S

    def check(self, executor_id: str, command: str, what: str) -> None:
        """Raises `Unavailable` where it is known that an executor cannot do `what`."""
        commands = self._announced.get(executor_id)
        silent_s = self._silent_since_s.get(executor_id)
        is_silent = silent_s is not None and self.clock.seconds() < silent_s + SILENCE_S
        if is_silent or (commands is not None and command not in commands):
            raise unable(executor_id, what)


def unable(executor_id: str, what: str) -> Unavailable:
    """The error of an executor that cannot do something."""
    return Unavailable(
        f"executor {executor_id} cannot {what}: it has not announced that it could, and is that of"
        " the reference, or an older one"
    )
