"""Orders whose messages do not arrive: held back, asked after, sent again, and bounded in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from aliecs.errors import AliecsError, OutOfReach, Unavailable
from aliecs.event.record import Traits
from aliecs.interfaces import MesosState
from aliecs.language.state import State
from aliecs.protocol.message import (
    AnyCommand,
    AskAgainCommand,
    CommandResponse,
    ControlMode,
    ExecutorAnnouncement,
    TransitionCommand,
    TriggerHookCommand,
    decode_command,
)
from aliecs.task.ability import Abilities
from aliecs.task.command import ASK_AGAIN, HOLD_S, START, Commander, Outcome
from aliecs.task.pace import Pace
from aliecs.task.task import Phase, Task, TaskEnd

TIMEOUT_S = 60.0


class Backend:
    """Takes messages, or not."""

    def __init__(self) -> None:
        self.sent: list[AnyCommand] = []
        self.trouble: AliecsError | None = None
        self.tried = 0

    def send(self, agent_id: str, executor_id: str, message: bytes) -> None:
        self.tried += 1
        if self.trouble is not None:
            raise self.trouble
        self.sent.append(decode_command(message))

    def kinds(self) -> list[str]:
        return [command.name for command in self.sent]


def make_task(name: str, critical: bool = True, executor: str = "executor") -> Task:
    made = Task(
        id=name,
        task_class=None,  # type: ignore[arg-type]
        control_mode=ControlMode.DIRECT,
        host="one",
        address="one",
        agent_id="agent",
        executor_id=executor,
        offer_id="",
        cpus=1,
        memory_mb=1,
        ports=(),
        control_port=1,
        inbound=(),
        endpoints={},
        role_path=f"w.{name}",
        traits=Traits(critical=critical),
    )
    made.phase = Phase.ACTIVE
    return made


class House:
    """A commander, its clock, and whoever waits for it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.backend = Backend()
        backend: Any = self.backend
        self.abilities = Abilities(self.clock)
        pace = Pace(self.clock, lambda: 0.0)
        self.commander = Commander(backend, self.clock, pace, self.abilities)
        self.outcomes: list[Outcome] = []

    def start(self, *tasks: Task) -> House:
        order = self.commander.transition(tasks, START, lambda task: {}, TIMEOUT_S, "environment")
        Deferred.fromCoroutine(order).addCallback(self.outcomes.append)
        return self

    def trigger(self, *tasks: Task) -> House:
        order = self.commander.trigger(tasks, lambda task: TIMEOUT_S, "environment")
        Deferred.fromCoroutine(order).addCallback(self.outcomes.append)
        return self

    def announced(self, *commands: str) -> None:
        self.abilities.announced("executor", ExecutorAnnouncement(commands=commands))

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)

    def answer(self, task: Task, command: AnyCommand, **content: Any) -> None:
        response = CommandResponse(name=command.name, id=command.id, task_id=task.id, **content)
        ask: Callable[[Task, CommandResponse], None] = self.commander.answered
        if isinstance(command, AskAgainCommand):
            ask = self.commander.asked
        ask(task, response)

    @property
    def failures(self) -> list[str]:
        (outcome,) = self.outcomes
        return [failure.reason for failure in outcome.failures]


def test_a_command_is_held_back_until_there_is_a_way() -> None:
    house, task = House(), make_task("a")
    house.backend.trouble = OutOfReach("no master")
    house.start(task)
    house.pass_time(HOLD_S - 1)
    assert not house.outcomes
    house.backend.trouble = None
    house.pass_time(1)
    (command,) = house.backend.sent
    assert isinstance(command, TransitionCommand)
    house.answer(task, command, state="RUNNING")
    assert house.failures == []
    assert not house.clock.getDelayedCalls()


def test_a_command_is_not_held_back_for_ever() -> None:
    house, task = House(), make_task("a")
    house.backend.trouble = OutOfReach("no master")
    house.start(task)
    house.pass_time(HOLD_S + 1)
    assert house.failures == ["cannot be told, it was tried for 15 s: no master"]
    house.backend.trouble = None
    house.pass_time(TIMEOUT_S)
    assert not house.backend.sent
    assert not house.clock.getDelayedCalls()


def test_what_will_never_arrive_fails_at_once() -> None:
    house, task = House(), make_task("a")
    house.backend.trouble = Unavailable("the executor has ended")
    house.start(task)
    assert house.failures == ["cannot be told: the executor has ended"]


def test_a_host_that_was_given_up_is_not_waited_for() -> None:
    house, task = House(), make_task("a")
    task.given_up = True
    house.backend.trouble = OutOfReach("the host is away")
    house.start(task)
    assert house.failures == ["cannot be told: the host is away"]


def test_one_look_for_each_executor_that_cannot_be_reached() -> None:
    house = House()
    house.backend.trouble = OutOfReach("no master")
    house.start(*(make_task(str(number)) for number in range(100)), make_task("x", executor="b"))
    before = house.backend.tried
    house.pass_time(1)
    assert house.backend.tried <= before + 2 * 2
    house.backend.trouble = None
    house.pass_time(1)
    assert len(house.backend.sent) == 101
    house.pass_time(TIMEOUT_S)


def test_a_task_that_ends_while_its_command_is_held_back_fails() -> None:
    house, task = House(), make_task("a")
    house.backend.trouble = OutOfReach("no master")
    house.start(task)
    task.phase, task.end = Phase.ENDED, TaskEnd(MesosState.TASK_FAILED, "exit code 1", False)
    house.backend.trouble = None
    house.pass_time(1)
    assert house.failures == ["has ended: exit code 1"]
    assert not house.backend.sent


def test_what_did_not_leave_is_held_back_too() -> None:
    house, task = House(), make_task("a")
    house.start(task)
    (command,) = house.backend.sent
    house.commander.not_sent(command.id, task.id, "the master went away")
    house.commander.not_sent("another order", task.id, "the master went away")
    house.pass_time(1)
    assert [command.id, command.id] == [one.id for one in house.backend.sent]
    house.pass_time(TIMEOUT_S)


def test_an_executor_that_can_is_asked_after_what_it_does_not_answer() -> None:
    house, task = House(), make_task("a")
    house.announced(ASK_AGAIN)
    house.start(task)
    house.pass_time(4.5)
    assert len(house.backend.sent) == 1
    house.pass_time(1)
    command, question = house.backend.sent
    assert (question.name, question.id, question.task_id) == (ASK_AGAIN, command.id, task.id)
    house.answer(task, question, output=AskAgainCommand.UNDER_WAY)
    house.pass_time(TIMEOUT_S)
    assert house.failures == [
        "START timed out: no answer within 60 s of the task; its executor answers"
    ]
    # Ever more seldom.
    assert house.backend.kinds().count(ASK_AGAIN) == 4


def test_an_executor_that_does_not_answer_either_is_told() -> None:
    house, task = House(), make_task("a")
    house.announced(ASK_AGAIN)
    house.start(task)
    house.pass_time(TIMEOUT_S + 1)
    assert house.failures == [
        "START timed out: no answer within 60 s, nor does its executor answer"
    ]


@pytest.mark.parametrize("announced", [[], ["AliecsCommand_TaskLog"]])
def test_other_executors_are_not_asked(announced: list[str]) -> None:
    house, task = House(), make_task("a")
    house.announced(*announced)
    house.start(task)
    house.pass_time(TIMEOUT_S + 1)
    assert len(house.backend.sent) == 1
    assert house.failures == ["START timed out: no answer within 60 s"]


def test_a_command_that_never_arrived_is_sent_again() -> None:
    house, task = House(), make_task("a")
    house.announced(ASK_AGAIN)
    house.start(task)
    house.pass_time(5.5)
    command, question = house.backend.sent
    house.answer(task, question, output=AskAgainCommand.UNKNOWN)
    assert house.backend.sent[2] == command
    house.answer(task, command, state="RUNNING")
    assert house.failures == []
    # An answer that comes twice, or a question's that comes late, changes nothing.
    house.answer(task, command, state="RUNNING")
    house.answer(task, question, output=AskAgainCommand.UNKNOWN)
    assert len(house.backend.sent) == 3


def test_an_executor_that_was_lost_is_not_asked() -> None:
    house, task = House(), make_task("a", critical=False)
    house.announced(ASK_AGAIN)
    house.abilities.forget("executor")
    house.start(task)
    house.pass_time(TIMEOUT_S + 1)
    assert len(house.backend.sent) == 1


def test_hooks_are_held_back_and_asked_after_as_well() -> None:
    house, task = House(), make_task("a")
    house.announced(ASK_AGAIN)
    house.backend.trouble = OutOfReach("no master")
    house.trigger(task)
    house.pass_time(1)
    house.backend.trouble = None
    house.pass_time(10)
    assert isinstance(house.backend.sent[0], TriggerHookCommand)
    assert house.backend.kinds()[1] == ASK_AGAIN
    house.pass_time(TIMEOUT_S)


def test_an_order_that_nobody_waits_for_any_more_is_over() -> None:
    house, task = House(), make_task("a")
    order = house.commander.transition([task], START, lambda one: {}, TIMEOUT_S, "environment")
    waiting = Deferred.fromCoroutine(order)
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    waiting.cancel()
    assert house.clock.getDelayedCalls() == []
    # What the task answers all the same is nobody's.
    house.answer(task, house.backend.sent[0], state=State.RUNNING.text)


def test_the_last_order_of_a_task_is_known() -> None:
    house, task = House(), make_task("a")
    house.start(task)
    first = task.order_id
    assert first == house.backend.sent[0].id
    house.answer(task, house.backend.sent[0], state=State.RUNNING.text)
    house.start(task)
    assert task.order_id not in ("", first)
    house.pass_time(TIMEOUT_S)
