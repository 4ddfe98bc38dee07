"""Questions to executors that are no commands to tasks, and their answers.

What is asked here only our own executors understand, see `ability`.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from aliecs.errors import Unavailable
from aliecs.interfaces import ITaskBackend
from aliecs.protocol.message import CleanSharedMemoryCommand, CommandResponse, TaskLogCommand
from aliecs.task.ability import Abilities, unable


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
            raise Unavailable(f"executor {executor_id}: {response.error}")
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
