"""What an executor remembers of commands: each is done once, its answer can be given again."""

from __future__ import annotations

from aliecs.executor.memory import MOST_ANSWERS, CommandMemory
from aliecs.protocol.message import CommandResponse

KEY = ("order", "task")


def test_a_command_is_done_once_for_each_task() -> None:
    memory = CommandMemory()
    assert memory.begin(KEY)
    assert not memory.begin(KEY)
    assert memory.begin(("order", "another task"))
    assert memory.is_under_way(KEY)
    memory.keep(KEY, CommandResponse(id="order", state="CONFIGURED"))
    assert not memory.is_under_way(KEY)
    assert not memory.begin(KEY)
    answer = memory.answer(KEY)
    assert answer is not None
    assert answer.state == "CONFIGURED"


def test_what_never_came_is_not_known() -> None:
    memory = CommandMemory()
    memory.keep(KEY, CommandResponse(id="order"))
    assert memory.answer(KEY) is None
    assert not memory.is_under_way(KEY)


def test_old_answers_are_forgotten_and_what_is_under_way_is_not() -> None:
    memory = CommandMemory()
    assert memory.begin(KEY)
    for number in range(MOST_ANSWERS + 1):
        key = (str(number), "task")
        memory.begin(key)
        memory.keep(key, CommandResponse(id=str(number)))
    assert memory.is_under_way(KEY)
    assert memory.answer(("0", "task")) is None
    assert memory.answer(("1", "task")) is not None
