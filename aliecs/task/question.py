"""Questions to executors that are no commands to tasks, and their answers.

What is asked here only our own executors understand, see `ability`.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from aliecs.errors import Unavailable
from aliecs.interfaces import ITaskBackend
from aliecs.protocol.identifier import new_xid
from aliecs.protocol.message import (
    CleanSharedMemoryCommand,
    CommandResponse,
    TaskLogCommand,
    target,
)
from aliecs.task.ability import UNANNOUNCED_DEADLINE_S, Abilities, unable


class Refused(Unavailable):
    """The executor has answered that it could not."""


@define(eq=False)
class Questions:
    """All that wait for an answer."""

    backend: ITaskBackend
    clock: IReactorTime
    abilities: Abilities
    _waiting: dict[str, Deferred[CommandResponse]] = field(factory=dict, init=False)

    async def ask(
        self,
        agent_id: str,
        executor_id: str,
        question: TaskLogCommand | CleanSharedMemoryCommand,
        deadline_s: float,
        what: str,
    ) -> CommandResponse:
        """Ask an executor to do something, in words `what`, and wait for the answer. Raises
        `Unavailable` where it cannot, or says that it went wrong."""
        self.abilities.check(executor_id, question.name, what)
        if deadline_s > UNANNOUNCED_DEADLINE_S and not self.abilities.has_announced(executor_id):
            await self._knock(agent_id, executor_id, what)
        return await self._ask(agent_id, executor_id, question, deadline_s, what)

    async def _knock(self, agent_id: str, executor_id: str, what: str) -> None:
        """Find out whether anybody answers at all, before something is waited for that may well
        take long. Raises `Unavailable` where nobody does."""
        nothing = TaskLogCommand(
            id=new_xid(), targets=(target(agent_id, executor_id, ""),), tail_bytes=0
        )
        try:
            await self._ask(agent_id, executor_id, nothing, UNANNOUNCED_DEADLINE_S, what)
        except Refused:
            # There is no such task; but that is an answer.
            return

    async def _ask(
        self,
        agent_id: str,
        executor_id: str,
        question: TaskLogCommand | CleanSharedMemoryCommand,
        deadline_s: float,
        what: str,
    ) -> CommandResponse:
        answer: Deferred[CommandResponse] = Deferred()
        self._waiting[question.id] = answer
        late = self.clock.callLater(
            deadline_s, self._is_late, answer, executor_id, deadline_s, what
        )
        try:
            self.backend.send(agent_id, executor_id, question.encode())
            response = await answer
        finally:
            self._waiting.pop(question.id, None)
            if late.active():
                late.cancel()
        self.abilities.answered(executor_id)
        if response.error:
            raise Refused(f"executor {executor_id}: {response.error}")
        return response

    def answered(self, response: CommandResponse) -> bool:
        """An executor answers; True where that was asked here."""
        answer = self._waiting.pop(response.id, None)
        if answer is not None:
            answer.callback(response)
        return answer is not None

    def _is_late(
        self, answer: Deferred[CommandResponse], executor_id: str, seconds: float, what: str
    ) -> None:
        self.abilities.was_silent(executor_id)
        if self.abilities.has_announced(executor_id):
            error = Unavailable(f"executor {executor_id} did not answer within {seconds:g} s")
        else:
            error = unable(executor_id, what)
        answer.errback(error)
