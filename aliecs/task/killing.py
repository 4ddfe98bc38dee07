"""Kills that are sent, and those that have to wait.

The reference's executor ends, and all tasks of its host with it, when it is told to kill a task
that is not up yet. Where that could cost others, the kill waits until the task is up or has failed.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from aliecs.errors import AliecsError
from aliecs.interfaces import ITaskBackend
from aliecs.task.ability import LAUNCH_PATIENCE_S, Abilities
from aliecs.task.task import Phase, Task

log = Logger()


@define(eq=False)
class Killer:
    """See the module."""

    backend: ITaskBackend
    clock: IReactorTime
    abilities: Abilities
    _held: dict[str, IDelayedCall] = field(factory=dict, init=False)
    """By task id: when each is sent whatever happens."""

    def begin(self, task: Task) -> None:
        """Have a task killed, unless it is being killed already or has ended."""
        if task.phase is Phase.PLACED:
            task.enter(Phase.ENDED)
        is_launching = task.phase is Phase.LAUNCHED and task.control_mode.is_controllable
        if not task.enter(Phase.KILLING):
            return
        if is_launching and not self.abilities.can_end_launches(task.executor_id):
            self._held[task.id] = self.clock.callLater(LAUNCH_PATIENCE_S, self._send, task)
        else:
            self._send(task)

    def is_up(self, task: Task) -> None:
        """A task that is to be killed is up."""
        if self._let_go(task):
            self._send(task)

    def ended(self, task: Task) -> None:
        """A task has ended: there is nothing to kill any more."""
        self._let_go(task)

    def stop(self) -> None:
        """What has waited until now is not sent."""
        for held in self._held.values():
            if held.active():
                held.cancel()
        self._held.clear()

    def _send(self, task: Task) -> None:
        self._let_go(task)
        try:
            self.backend.kill(task.id, task.agent_id)
        except AliecsError as error:
            log.warn(
                "task {task} cannot be killed now: {reason}",
                task=task.describe(),
                reason=error.message,
            )

    def _let_go(self, task: Task) -> bool:
        held = self._held.pop(task.id, None)
        if held is not None and held.active():
            held.cancel()
        return held is not None
