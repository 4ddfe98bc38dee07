"""The stand-ins for the reference's programs: do they see what the reference would stumble over?"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from aliecs.protocol.mesos_pb2 import TaskInfo
from test.standin.reference import executor
from test.standin.reference.message import Refused, check, strange_in_command, strange_in_task
from test.standin.reference.start import Unusable, read

RESPONSE = {
    "name": "MesosCommand_Transition", "id": "x", "environmentId": "e", "error": "",
    "_messageType": "MesosCommandResponse", "taskId": "t", "state": "RUNNING",
}  # fmt: skip
ORIGIN = {"agentId": {"value": "a"}, "executorId": {"value": "e"}, "taskId": {"value": "t"}}
EVENT = {
    "_messageType": "DeviceEvent", "timestamp": "1790000000.000001", "type": 1, "origin": ORIGIN,
    "labels": {"detector": "TPC", "environmentId": "e"},
}  # fmt: skip
COMMAND = json.loads(
    '{"name":"MesosCommand_Transition","id":"cq1k2s3d0cvg00abcde0","environmentId":"2oDvieFrVTi",'
    '"timeout":120000000000,"arguments":{"environment_id":"2oDvieFrVTi"},"targetList":[{"AgentId":'
    '{"value":"a-S1"},"ExecutorId":{"value":"2oE"},"TaskId":{"value":"2oF"}}],"labels":null,'
    '"source":"STANDBY","event":"CONFIGURE","destination":"CONFIGURED"}'
)
PAYLOAD = json.loads(
    '{"env":["OCC_CONTROL_PORT=30000","O2_ROLE=flp001","O2_SYSTEM=FLP"],"shell":true,"value":"exe",'
    '"user":"flp","arguments":["file:/x.cfg"],"stdout":"none","stderr":"none","controlPort":30000,'
    '"controlMode":"direct"}'
)


def test_messages_of_an_executor() -> None:
    for message in (RESPONSE, EVENT, {"_messageType": "AliecsSomething", "x": 1}):
        assert check(json.dumps(message).encode()) == message


@pytest.mark.parametrize(
    "message",
    [
        {**RESPONSE, "error": None}, {**RESPONSE, "name": "MesosCommand_Dance"},
        {**RESPONSE, "extra": 1}, {k: v for k, v in RESPONSE.items() if k != "taskId"},
        {**EVENT, "type": 0}, {**EVENT, "type": 2}, {**EVENT, "timestamp": 1.5},
        {**EVENT, "timestamp": "1790000000"}, {**EVENT, "labels": {"detector": "TPC"}},
        {**EVENT, "origin": {"TaskId": {"value": "t"}}}, {**EVENT, "_messageType": "Other"}, {},
    ],
)  # fmt: skip
def test_what_would_cost_a_core_its_subscription(message: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        check(json.dumps(message).encode())


def test_commands_of_a_core() -> None:
    assert strange_in_command(COMMAND) == ""
    for change in (
        {"labels": {}}, {"timeout": 120.0}, {"arguments": None}, {"arguments": {"a": 1}},
        {"targetList": [ORIGIN]}, {"id": "x"}, {"more": 1}, {"name": "MesosCommand_TriggerHook"},
    ):  # fmt: skip
        assert strange_in_command({**COMMAND, **change}), change
    start = {"runNumber": "1", "cleanup": "0", "run_type": "PHYSICS", "runType": "PHYSICS"}
    for event, arguments, is_strange in (
        ("START", start, False), ("START", {**start, "more": ""}, True), ("START", {}, True),
        ("START", {key: start[key] for key in ("runNumber", "cleanup", "run_type")}, True),
        ("STOP", {"run_end_time_ms": "1", "runEndTimeMs": "1"}, False), ("STOP", start, True),
        ("STOP", {"run_end_time_ms": "1"}, False), ("RESET", {}, False), ("RESET", start, True),
    ):  # fmt: skip
        told = strange_in_command({**COMMAND, "event": event, "arguments": arguments})
        assert bool(told) == is_strange, (event, arguments)


def test_tasks_of_a_core() -> None:
    info = TaskInfo(name="github.com/A/B/tasks/readout@0123abc#t")
    info.task_id.value = "t"
    for name in ("environmentId", "detector"):
        info.labels.labels.add(key=name, value="")
    for name in ("cpus", "mem"):
        info.limits[name].value = float("inf")
    assert strange_in_task(info, PAYLOAD) == ""
    for change in (
        {"controlPort": 0}, {"controlMode": "basic"}, {"timeout": 0}, {"stdout": "file"},
        {"env": ["O2_ROLE=x"]}, {"user": None}, {"arguments": [""]}, {"more": 1},
    ):  # fmt: skip
        assert strange_in_task(info, {**PAYLOAD, **change}), change
    del info.limits["mem"]
    assert strange_in_task(info, PAYLOAD)


def test_an_executor_needs_the_variables_of_an_agent() -> None:
    with pytest.raises(Unusable) as raised:
        read({"MESOS_CHECKPOINT": "1", "MESOS_RECOVERY_TIMEOUT": "soon"})
    for name in (
        "missing MESOS_FRAMEWORK_ID", "missing MESOS_EXECUTOR_ID", "missing MESOS_DIRECTORY",
        "missing MESOS_SANDBOX", "missing MESOS_AGENT_ENDPOINT", "bad duration MESOS_RECOVERY",
        "missing MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "missing MESOS_SUBSCRIPTION_BACKOFF_MAX",
    ):  # fmt: skip
        assert name in str(raised.value)
    done = subprocess.run(
        [sys.executable, str(executor.__file__)], capture_output=True, text=True, timeout=30,
        check=False, env={},
    )  # fmt: skip
    assert done.returncode == 1
    assert "missing MESOS_AGENT_ENDPOINT" in done.stderr
    assert "aliecs.executor" not in done.stderr


def test_nothing_of_our_executor_is_in_it() -> None:
    program = (
        f"import sys; sys.argv = ['x']; import {executor.__name__}, test.standin.reference.core;"
        " print([name for name in sys.modules if name.startswith('aliecs.executor')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "[]\n"
