"""Our scheduler and executor API against recorded conversations with a real master and agents."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format, unknown_fields
from google.protobuf.message import Message

from aliecs.interfaces import MesosState
from aliecs.protocol import mesos_executor_pb2, mesos_pb2, mesos_scheduler_pb2
from test.mesos_recording import Line, lines

SUBSCRIBE = "CgwKCmV4ZWN1dG9yLTESKwopZDQ0Nzg4ZDQtNDhlMS00Yzg5LTk4NGItN2ZmOWEzYTA3NGM2LTAwMDAYASIA"
UPDATE = (
    "CgwKCmV4ZWN1dG9yLTESKwopZDQ0Nzg4ZDQtNDhlMS00Yzg5LTk4NGItN2ZmOWEzYTA3NGM2LTAwMDAYAipjCmEKCAoG"
    "dGFzay0xEAEaCHBpZCA0NzExIgp0YXNrIGlzIHVwMQsx7HGYwNpBOgwKCmV4ZWN1dG9yLTFIAloQl+0r/JHsSmKjx+o8"
    "m69nemISChAKBXN0YXRlEgdTVEFOREJZ"
)
ACKNOWLEDGED = "CAQaHAoICgZ0YXNrLTESEJftK/yR7Epio8fqPJuvZ3o="


def type_of(line: Line) -> type[Message] | None:
    """What kind of message a line carries; None for what is not of these interfaces."""
    is_call = line.kind == "request" and str(line.get("path")).startswith("/api/v1/")
    is_event = line.kind == "record"
    document = line.document()
    if line.binary() is None or not isinstance(document, dict):
        return None
    if line.is_between_executor_and_agent and (is_call or is_event):
        return mesos_executor_pb2.Call if is_call else mesos_executor_pb2.Event
    # A subscription under a wrong path is one to the operator API.
    if "get_state" in document.get("subscribed", {}) or not line.is_with_scheduler:
        return None
    if is_call or is_event:
        return mesos_scheduler_pb2.Call if is_call else mesos_scheduler_pb2.Event
    return None


def missing_fields(recorded: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Where the first says something that the second does not, or something else."""
    if isinstance(recorded, dict):
        for key, value in recorded.items():
            if not isinstance(ours, dict) or key not in ours:
                yield f"{path}.{key}"
            else:
                yield from missing_fields(value, ours[key], f"{path}.{key}")
    elif isinstance(recorded, list):
        if not isinstance(ours, list) or len(ours) != len(recorded):
            yield path
        else:
            for index, (left, right) in enumerate(zip(recorded, ours, strict=True)):
                yield from missing_fields(left, right, f"{path}[{index}]")
    elif {type(recorded), type(ours)} == {int, str}:
        # Integers of 64 bits are text in the one notation and numbers in the other.
        if str(recorded) != str(ours):
            yield path
    elif recorded != ours:
        yield path


def test_recorded_conversations_are_read_in_full() -> None:
    wrong: dict[str, str] = {}
    unknown: dict[str, str] = {}
    count: Counter[type[Message]] = Counter()
    for line in lines("protobuf"):
        kind = type_of(line)
        if kind is not None:
            data = line.binary()
            assert data is not None
            message = kind.FromString(data)
            ours = json_format.MessageToDict(message, preserving_proto_field_name=True)
            for field in missing_fields(line.document(), ours):
                wrong[field] = line.where
            for field in missing_fields(ours, line.document()):
                unknown[field] = line.where
            # A second writing keeps every byte of what the recording holds, known to us or not.
            assert kind.FromString(message.SerializeToString()) == message
            count[kind] += 1
    assert not wrong
    assert not unknown
    assert count[mesos_executor_pb2.Call] + count[mesos_executor_pb2.Event] > 350
    assert count[mesos_scheduler_pb2.Call] + count[mesos_scheduler_pb2.Event] > 700


@pytest.mark.parametrize("text", [SUBSCRIBE, UPDATE])
def test_calls_are_written_byte_for_byte(text: str) -> None:
    data = base64.b64decode(text)
    call = mesos_executor_pb2.Call.FromString(data)
    assert call.SerializeToString() == data
    assert len(unknown_fields.UnknownFieldSet(call)) == 0
    assert call.executor_id.value == "executor-1"


def test_an_update_and_its_acknowledgement_have_one_uuid() -> None:
    update = mesos_executor_pb2.Call.FromString(base64.b64decode(UPDATE)).update.status
    event = mesos_executor_pb2.Event.FromString(base64.b64decode(ACKNOWLEDGED))
    assert event.type == mesos_executor_pb2.Event.ACKNOWLEDGED
    assert event.acknowledged.uuid == update.uuid
    assert update.source == mesos_pb2.TaskStatus.SOURCE_EXECUTOR


def test_states_have_the_numbers_of_the_wire() -> None:
    wire = {value.name: value.number for value in mesos_pb2.TaskState.DESCRIPTOR.values}
    assert wire == {state.name: state.value for state in MesosState}
