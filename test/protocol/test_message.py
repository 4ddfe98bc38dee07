"""Control messages: the exact bytes of upstream's wire, tolerance for what others send."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.protocol.message import (
    AnnounceTaskPid,
    BasicTaskTerminated,
    CleanSharedMemoryCommand,
    CommandPayload,
    CommandResponse,
    ControlMode,
    DeviceEvent,
    ExecutorAnnouncement,
    MessageError,
    TaskLogCommand,
    TransitionCommand,
    TriggerHookCommand,
    decode_command,
    decode_command_header,
    decode_executor_message,
    decode_payload,
    origin,
    target,
    timestamp,
)

# Both texts are what upstream's core sends, key for key.
TRANSITION = (
    b'{"name":"MesosCommand_Transition","id":"cq1k2s3d0cvg00abcdeg","environmentId":"2oDvieFrVTi",'
    b'"timeout":120000000000,"arguments":{"environment_id":"2oDvieFrVTi",'
    b'"chans.readout.numSockets":"1"},"targetList":[{"AgentId":{"value":"a-S1"},"ExecutorId":'
    b'{"value":"2oE"},"TaskId":{"value":"2oF"}}],"labels":null,"source":"STANDBY",'
    b'"event":"CONFIGURE","destination":"CONFIGURED"}'
)
PAYLOAD = (
    b'{"env":["O2_DETECTOR=TPC","OCC_CONTROL_PORT=30000","O2_ROLE=flp001","O2_SYSTEM=FLP"],'
    b'"shell":true,"value":"readout-exe","user":"flp","arguments":["file:/x.cfg"],'
    b'"stdout":"none","stderr":"none","controlPort":30000,"controlMode":"direct"}'
)


def test_a_transition_command_is_upstreams() -> None:
    command = TransitionCommand(
        id="cq1k2s3d0cvg00abcdeg",
        environment_id="2oDvieFrVTi",
        timeout_ns=120_000_000_000,
        arguments={"environment_id": "2oDvieFrVTi", "chans.readout.numSockets": "1"},
        targets=(target("a-S1", "2oE", "2oF"),),
        source="STANDBY",
        event="CONFIGURE",
        destination="CONFIGURED",
    )
    assert command.encode() == TRANSITION
    assert decode_command(TRANSITION) == command
    assert (command.name, command.task_id, command.timeout_s) == (
        "MesosCommand_Transition",
        "2oF",
        120.0,
    )


def test_a_payload_is_upstreams() -> None:
    payload = decode_payload(PAYLOAD)
    assert payload.encode() == PAYLOAD
    assert payload.control_mode is ControlMode.DIRECT
    assert payload.environment[0] == "O2_DETECTOR=TPC"


def test_a_payload_leaves_out_what_is_empty_and_no_more() -> None:
    assert json.loads(CommandPayload(control_mode=ControlMode.HOOK).encode()) == {
        "shell": False,
        "value": "",
        "user": "",
        "stdout": "",
        "stderr": "",
        "controlPort": 0,
        "controlMode": "hook",
    }
    assert json.loads(CommandPayload(timeout_ns=5_000_000_000).encode())["timeout"] == 5_000_000_000


@pytest.mark.parametrize(
    ("text", "mode"),
    [("fairmq", "FAIRMQ"), ("FairMQ", "FAIRMQ"), ("HOOK", "HOOK"), ("no-such", "DIRECT"),
     ("", "DIRECT"), ("kubernetes_fairmq", "KUBERNETES_FAIRMQ")],
)  # fmt: skip
def test_control_modes_ignore_case_and_default_to_direct(text: str, mode: str) -> None:
    payload = decode_payload(json.dumps({"controlMode": text}).encode())
    assert payload.control_mode is ControlMode[mode]


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"value": 5}', b'{"env": "A=1"}',
     b'{"controlPort": 70000}', b'{"shell": "yes"}'],
)  # fmt: skip
def test_a_payload_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError, match="payload"):
        decode_payload(data)


def test_unknown_keys_are_ignored_and_missing_ones_are_empty() -> None:
    command = decode_command(
        b'{"name":"MesosCommand_TriggerHook","id":"x","new":[1],"arguments":null,'
        b'"targetList":[{"TaskId":{"value":"t","more":1}}]}'
    )
    assert isinstance(command, TriggerHookCommand)
    assert (command.task_id, command.environment_id, command.arguments) == ("t", "", None)


def test_a_command_that_is_refused_can_still_be_answered() -> None:
    unknown = b'{"name":"MesosCommand_Dance","id":"x1","targetList":[{"TaskId":{"value":"t"}}]}'
    with pytest.raises(MessageError, match="MesosCommand_Dance"):
        decode_command(unknown)
    header = decode_command_header(unknown)
    assert header is not None
    assert (header.name, header.id, header.task_id) == ("MesosCommand_Dance", "x1", "t")


@pytest.mark.parametrize("count", [0, 2])
def test_a_command_has_one_target(count: int) -> None:
    command = TriggerHookCommand(id="x", targets=(target("a", "e", "t"),) * count)
    with pytest.raises(MessageError, match=f"exactly one target, not {count}"):
        decode_command(command.encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b'{"id": 5}', b"\xff"])
def test_without_an_id_there_is_nobody_to_answer(data: bytes) -> None:
    assert decode_command_header(data) is None


def test_responses_and_events_are_upstreams() -> None:
    response = CommandResponse(
        name="MesosCommand_Transition", id="x", environment_id="e", task_id="t", state="RUNNING"
    )
    assert json.loads(response.encode()) == {
        "_messageType": "MesosCommandResponse", "name": "MesosCommand_Transition", "id": "x",
        "environmentId": "e", "error": "", "taskId": "t", "state": "RUNNING",
    }  # fmt: skip
    pid = AnnounceTaskPid(timestamp=timestamp(1.25), task_id="t", pid=4711)
    assert json.loads(pid.encode()) == {
        "_messageType": "AnnounceTaskPIDEvent",
        "timestamp": "1.250000",
        "taskId": "t",
        "pid": 4711,
    }
    labels = {"detector": "TPC", "environmentId": "e"}
    event = DeviceEvent(timestamp=timestamp(0), labels=labels, type=1, origin=origin("a", "e", "t"))
    assert json.loads(event.encode()) == {
        "_messageType": "DeviceEvent", "timestamp": "0.000000", "labels": labels, "type": 1,
        "origin": {"agentId": {"value": "a"}, "executorId": {"value": "e"},
                   "taskId": {"value": "t"}},
    }  # fmt: skip
    assert event.task_id == "t"


def test_the_end_of_a_basic_task_always_carries_everything() -> None:
    event = BasicTaskTerminated(timestamp="1.000000", type=2, final_mesos_state="TASK_FINISHED")
    plain = json.loads(event.encode())
    assert {"exitCode", "stdout", "stderr", "voluntaryTermination"} <= plain.keys()
    assert decode_executor_message(event.encode()) == event


def test_messages_are_told_apart_by_their_type() -> None:
    for message in (
        CommandResponse(name="MesosCommand_TriggerHook", id="x", error="no such hook"),
        AnnounceTaskPid(task_id="t", pid=1),
        DeviceEvent(type=77),
        ExecutorAnnouncement(version=1, commands=("AliecsCommand_TaskLog",)),
    ):
        assert decode_executor_message(message.encode()) == message


@pytest.mark.parametrize("data", [b"", b"{}", b'{"_messageType":"Weather"}', b"\x00"])
def test_what_no_executor_sends_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError, match="not a message of an executor"):
        decode_executor_message(data)


_texts = st.text(max_size=20)


@given(
    st.dictionaries(_texts, _texts, max_size=4),
    _texts,
    st.sampled_from([TransitionCommand, TriggerHookCommand, TaskLogCommand,
                     CleanSharedMemoryCommand]),
)  # fmt: skip
def test_commands_there_and_back(
    arguments: dict[str, str], environment_id: str, kind: type[TransitionCommand]
) -> None:
    command = kind(
        id="x",
        environment_id=environment_id,
        arguments=arguments,
        targets=(target("a", "e", "t"),),
    )
    assert decode_command(command.encode()) == command


@given(
    st.builds(
        CommandPayload,
        environment=st.lists(_texts, max_size=3).map(tuple),
        shell=st.booleans(),
        value=_texts,
        user=_texts,
        arguments=st.lists(_texts, max_size=3).map(tuple),
        stdout=_texts,
        stderr=_texts,
        control_port=st.integers(0, 65535),
        control_mode=st.sampled_from(ControlMode),
        timeout_ns=st.integers(0, 2**62),
    )
)
def test_payloads_there_and_back(payload: CommandPayload) -> None:
    assert decode_payload(payload.encode()) == payload
