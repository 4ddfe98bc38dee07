"""Several control messages in one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.protocol.combined import (
    COMBINED_BYTES,
    COMMANDS,
    combine_commands,
    combine_messages,
    in_portions,
    is_combined,
    separate,
)
from aliecs.protocol.message import (
    CommandResponse,
    MessageError,
    TriggerHookCommand,
    decode_command,
    decode_executor_message,
    target,
)

ONE = TriggerHookCommand(id="a", targets=(target("agent", "executor", "task"),)).encode()
ANSWER = CommandResponse(name="MesosCommand_TriggerHook", id="a").encode()


def test_commands_come_out_as_they_went_in() -> None:
    data = combine_commands([ONE, ONE])
    assert is_combined(data)
    assert json.loads(data)["name"] == COMMANDS
    assert separate(data) == [ONE, ONE]
    assert decode_command(separate(data)[0]).id == "a"


def test_messages_come_out_as_they_went_in() -> None:
    data = combine_messages([ANSWER, ANSWER, ANSWER])
    assert is_combined(data)
    assert separate(data) == [ANSWER] * 3
    assert decode_executor_message(separate(data)[2]) == decode_executor_message(ANSWER)


def test_none_at_all_is_a_message_too() -> None:
    assert separate(combine_commands([])) == []


def test_what_is_not_combined_is_itself() -> None:
    for data in (ONE, ANSWER, b"", b"rubbish"):
        assert not is_combined(data)
        assert separate(data) == (data,)


def test_a_broken_one_is_told() -> None:
    with pytest.raises(MessageError):
        separate(combine_messages([ANSWER])[:-3])


def test_those_who_do_not_know_it_refuse_it() -> None:
    with pytest.raises(MessageError):
        decode_command(combine_commands([ONE]))
    with pytest.raises(MessageError):
        decode_executor_message(combine_messages([ANSWER]))


@given(st.lists(st.integers(0, COMBINED_BYTES + 10).map(lambda size: b"x" * size), max_size=8))
def test_portions_keep_all_in_order_and_are_small(messages: list[bytes]) -> None:
    portions = list(in_portions(messages))
    assert [one for portion in portions for one in portion] == messages
    for portion in portions:
        assert len(portion) == 1 or sum(map(len, portion)) <= COMBINED_BYTES
