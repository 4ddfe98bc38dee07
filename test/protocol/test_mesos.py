"""Our executor API against recorded conversations with real Mesos agents.

The recordings are found through `ALIECS_MESOS_FIXTURES`, else beside the checkout; where neither is
there, the records kept in this file still stand for them.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, unknown_fields

from aliecs.interfaces import MesosState
from aliecs.protocol import mesos_executor_pb2, mesos_pb2

FIXTURES = Path(
    os.environ.get("ALIECS_MESOS_FIXTURES")
    or Path(__file__).parents[3] / "shared" / "fixtures" / "mesos"
)

SUBSCRIBE = "CgwKCmV4ZWN1dG9yLTESKwopZDQ0Nzg4ZDQtNDhlMS00Yzg5LTk4NGItN2ZmOWEzYTA3NGM2LTAwMDAYASIA"
UPDATE = (
    "CgwKCmV4ZWN1dG9yLTESKwopZDQ0Nzg4ZDQtNDhlMS00Yzg5LTk4NGItN2ZmOWEzYTA3NGM2LTAwMDAYAipjCmEKCAoG"
    "dGFzay0xEAEaCHBpZCA0NzExIgp0YXNrIGlzIHVwMQsx7HGYwNpBOgwKCmV4ZWN1dG9yLTFIAloQl+0r/JHsSmKjx+o8"
    "m69nemISChAKBXN0YXRlEgdTVEFOREJZ"
)
ACKNOWLEDGED = "CAQaHAoICgZ0YXNrLTESEJftK/yR7Epio8fqPJuvZ3o="


def conversations() -> Iterator[tuple[str, dict[str, Any]]]:
    """All protobuf bodies between executors and agents: the folder's name and the line."""
    for path in sorted(FIXTURES.glob("*-protobuf/conversation.jsonl")):
        for text in path.read_text().splitlines():
            line = json.loads(text)
            body = line.get("body")
            between = {line["from"], line.get("to")} == {"executor", "agent"}
            whole = isinstance(body, dict) and "base64" in body and "body_elided" not in line
            if between and whole:
                yield path.parent.name, line


def missing_fields(recorded: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Where the recording says something that our reading does not, or something else."""
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
    elif isinstance(recorded, int) and not isinstance(recorded, bool) and isinstance(ours, str):
        if str(recorded) != ours:
            yield path
    elif recorded != ours:
        yield path


def test_recorded_conversations_are_read_in_full() -> None:
    wrong: dict[str, str] = {}
    count = 0
    for name, line in conversations():
        if isinstance(line["body"].get("decoded"), dict):
            is_call = line["from"] == "executor"
            kind = mesos_executor_pb2.Call if is_call else mesos_executor_pb2.Event
            data = base64.b64decode(line["body"]["base64"])
            message = kind.FromString(data)
            ours = json_format.MessageToDict(message, preserving_proto_field_name=True)
            for field in missing_fields(line["body"]["decoded"], ours):
                wrong[field] = f"{name} at {line['t_ms']} ms"
            # A second writing keeps every byte of what the recording holds, known to us or not.
            assert kind.FromString(message.SerializeToString()) == message
            count += 1
    assert not wrong
    assert count > 100 or not FIXTURES.exists()


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
