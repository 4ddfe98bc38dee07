"""What executors can do, as they say or as it shows, and what they are therefore asked."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from aliecs.errors import Unavailable
from aliecs.protocol.message import (
    CleanSharedMemoryCommand,
    CommandResponse,
    ExecutorAnnouncement,
    TaskLogCommand,
    decode_command,
    target,
)
from aliecs.task.ability import SILENCE_S, UNANNOUNCED_DEADLINE_S, Abilities
from aliecs.task.question import Questions

TASK_LOG = "AliecsCommand_TaskLog"


class Backend:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, agent_id: str, executor_id: str, message: bytes) -> None:
        self.sent.append(decode_command(message).id)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def questions(clock: Clock, backend: Backend) -> Questions:
    return Questions(backend, clock, Abilities(clock))  # type: ignore[arg-type]


def ask(questions: Questions, identifier: str) -> Deferred[Any]:
    command = TaskLogCommand(id=identifier, targets=(target("agent", "executor", "task"),))
    deadline_s = questions.abilities.deadline_s("executor")
    answer = Deferred.fromCoroutine(questions.ask("agent", "executor", command, deadline_s, "sing"))
    answer.addErrback(lambda failure: failure.value)
    return answer


def answer_to(asked: Deferred[Any]) -> Any:
    found: list[Any] = []
    asked.addCallback(lambda answer: found.append(answer) or answer)
    return found[0] if found else None


def announce(questions: Questions, *commands: str) -> None:
    questions.abilities.announced("executor", ExecutorAnnouncement(version=1, commands=commands))


def test_an_executor_that_announced_nothing_is_asked_and_then_left_alone(
    clock: Clock, backend: Backend, questions: Questions
) -> None:
    first = ask(questions, "1")
    clock.advance(UNANNOUNCED_DEADLINE_S)
    assert "executor cannot sing: it has not announced" in answer_to(first).message
    assert "executor cannot sing" in answer_to(ask(questions, "2")).message
    assert backend.sent == ["1"]
    clock.advance(SILENCE_S)
    ask(questions, "3")
    assert backend.sent == ["1", "3"]
    clock.advance(UNANNOUNCED_DEADLINE_S)


def test_an_answer_says_as_much_as_an_announcement(
    clock: Clock, backend: Backend, questions: Questions
) -> None:
    asked = ask(questions, "1")
    assert questions.answered(CommandResponse(name=TASK_LOG, id="1", output="words"))
    assert answer_to(asked).output == "words"
    assert not questions.answered(CommandResponse(name=TASK_LOG, id="1"))
    asked = ask(questions, "2")
    assert questions.answered(CommandResponse(name=TASK_LOG, id="2", error="no voice"))
    assert isinstance(answer_to(asked), Unavailable)
    assert backend.sent == ["1", "2"]
    assert not clock.getDelayedCalls()


def test_one_that_announced_is_waited_for_longer_and_asked_again(
    clock: Clock, backend: Backend, questions: Questions
) -> None:
    announce(questions, TASK_LOG)
    asked = ask(questions, "1")
    clock.advance(UNANNOUNCED_DEADLINE_S)
    assert answer_to(asked) is None
    clock.advance(60)
    assert answer_to(asked).message == "executor executor did not answer within 10 s"
    ask(questions, "2")
    assert backend.sent == ["1", "2"]
    clock.advance(60)


def test_nothing_long_is_waited_for_before_anybody_has_answered(
    clock: Clock, backend: Backend, questions: Questions
) -> None:
    def clean() -> Deferred[Any]:
        command = CleanSharedMemoryCommand(id="clean", targets=(target("agent", "executor", ""),))
        asked = Deferred.fromCoroutine(questions.ask("agent", "executor", command, 30, "clean"))
        return asked.addErrback(lambda failure: failure.value)

    asked = clean()
    (knock,) = backend.sent
    assert questions.answered(CommandResponse(id=knock, error="there is no such task"))
    assert backend.sent == [knock, "clean"]
    clock.advance(29)
    assert questions.answered(CommandResponse(id="clean", exit_code=3))
    assert answer_to(asked).exit_code == 3

    asked = clean()
    clock.advance(UNANNOUNCED_DEADLINE_S)
    assert "cannot clean" in answer_to(asked).message
    assert backend.sent.count("clean") == 1
    announce(questions, "AliecsCommand_ShmClean")
    asked = clean()
    assert backend.sent[-1] == "clean"
    clock.advance(30)
    assert "did not answer within 30 s" in answer_to(asked).message


def test_what_was_not_announced_is_not_asked(backend: Backend, questions: Questions) -> None:
    announce(questions, "AliecsCommand_ShmClean")
    assert "cannot sing" in answer_to(ask(questions, "1")).message
    assert backend.sent == []
    questions.abilities.forget("executor")
    ask(questions, "2")
    assert backend.sent == ["2"]


def test_whom_not_to_tell_to_kill_what_starts(clock: Clock) -> None:
    abilities = Abilities(clock)
    # It has nothing else that could be lost.
    assert abilities.can_end_launches("executor")
    abilities.has_run("executor")
    assert not abilities.can_end_launches("executor")
    abilities.announced("executor", ExecutorAnnouncement(version=1))
    assert abilities.can_end_launches("executor")
