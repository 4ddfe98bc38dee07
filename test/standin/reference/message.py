"""What the reference's programs read of each other: names and types, key by key.

It takes JSON into fixed structures: a key of another type is an error that costs it the
subscription, and with that every task; keys that it has no name for are ignored. `check` is
stricter by one thing: keys nobody has a name for are a fault here, so that each one is meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

OURS = "Aliecs"
"""Types of messages that begin so the reference has no name for, and ignores."""

_ORIGIN = {"agentId", "executorId", "taskId"}
_EVENT: Mapping[str, type] = {"_messageType": str, "timestamp": str}
_COMMAND: Mapping[str, Any] = {
    "name": str, "id": str, "environmentId": str, "timeout": int, "arguments": dict,
    "targetList": list, "labels": type(None),
}  # fmt: skip
_TRANSITION: Mapping[str, Any] = {"source": str, "event": str, "destination": str}
_PAYLOAD: Mapping[str, Any] = {
    "shell": bool, "value": str, "user": str, "stdout": str, "stderr": str, "controlPort": int,
    "controlMode": str,
}  # fmt: skip
_PAYLOAD_MORE: Mapping[str, Any] = {"env": list, "arguments": list, "timeout": int}
_SHAPES: Mapping[str, tuple[Mapping[str, type], Mapping[str, type]]] = {
    "response": (
        {"_messageType": str, "name": str, "id": str, "environmentId": str, "error": str,
         "taskId": str},
        {"state": str},
    ),
    "pid": ({**_EVENT, "taskId": str, "pid": int}, {"labels": dict}),
    "event": ({**_EVENT, "type": int, "origin": dict}, {"labels": dict}),
    "terminated": (
        {**_EVENT, "type": int, "origin": dict, "exitCode": int, "stdout": str, "stderr": str,
         "voluntaryTermination": bool, "finalMesosState": str},
        {"labels": dict},
    ),
}  # fmt: skip
NAMES = ("MesosCommand_Transition", "MesosCommand_TriggerHook")


class Refused(AssertionError):
    """The reference would tear its subscription down over this, or could not use it."""


def check(data: bytes) -> dict[str, Any]:
    """Read a message as the reference does. Raises `Refused`."""
    try:
        message = json.loads(data)
    except ValueError as error:
        raise Refused(f"no JSON: {data!r}: {error}") from None
    kind = message.get("_messageType", "")
    if str(kind).startswith(OURS):
        return dict(message)
    if kind == "MesosCommandResponse":
        _check_shape("response", message)
        if message["name"] not in NAMES:
            raise Refused(f"a response of an unknown name: {message}")
    elif kind == "AnnounceTaskPIDEvent":
        _check_shape("pid", message)
        _check_event(message, {"detector", "environmentId"})
    elif kind == "DeviceEvent" and message.get("type") == 2:
        _check_shape("terminated", message)
        _check_event(message, {"environmentId"})
        if message["finalMesosState"] not in ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED"):
            raise Refused(f"{message}")
    elif kind == "DeviceEvent":
        _check_shape("event", message)
        _check_event(message, {"detector", "environmentId"})
        if message["type"] not in (1, 3):
            raise Refused(f"an event of no use: {message}")
    else:
        raise Refused(f"an unknown type: {message}")
    return dict(message)


def _check_shape(name: str, message: Mapping[str, Any]) -> None:
    needed, possible = _SHAPES[name]
    keys = set(message)
    if not keys >= set(needed) or not keys <= {*needed, *possible}:
        raise Refused(f"{name}: {sorted(keys)}")
    for key, kind in {**needed, **possible}.items():
        if key in message and type(message[key]) is not kind:
            raise Refused(f"{name}: {key} is {message[key]!r}")


def _check_event(message: Mapping[str, Any], labels: set[str]) -> None:
    if not re.fullmatch(r"\d+\.\d{6}", message["timestamp"]):
        raise Refused(f"timestamp {message['timestamp']}")
    if set(message.get("labels", labels)) != labels:
        raise Refused(f"labels {message['labels']}")
    origin = message.get("origin")
    if origin is not None:
        if set(origin) != _ORIGIN or any(set(one) != {"value"} for one in origin.values()):
            raise Refused(f"origin {origin}")
        if not all(one["value"] for one in origin.values()):
            raise Refused(f"origin {origin}")


# --- what a core sends ----------------------------------------------------------------------------


def strange_in_command(command: Mapping[str, Any]) -> str:
    """What the reference's core would not have sent so; empty for nothing."""
    if command.get("name", "").startswith(OURS):
        return ""
    shape = dict(_COMMAND)
    if command.get("name") == NAMES[0]:
        shape.update(_TRANSITION)
    strange = _strange(command, shape, {})
    if strange:
        return strange
    if not re.fullmatch(r"[0-9a-v]{19}[0g]", command["id"]):
        return f"id {command['id']}"
    texts = [*command["arguments"], *command["arguments"].values()]
    if not all(isinstance(text, str) for text in texts):
        return f"arguments {command['arguments']}"
    strange = _strange_arguments(command.get("event", ""), set(command["arguments"]))
    if strange:
        return strange
    for target in command["targetList"]:
        if set(target) != {"AgentId", "ExecutorId", "TaskId"}:
            return f"target {target}"
        if not all(set(one) == {"value"} and one["value"] for one in target.values()):
            return f"target {target}"
    return ""


_RUN = (
    "fill_info_fill_number", "fill_info_filling_scheme", "fill_info_beam_type",
    "fill_info_stable_beams_start_ms", "fill_info_stable_beams_end_ms", "run_number", "run_type",
    "run_start_time_ms", "run_end_time_ms", "lhc_period", "pdp_beam_type",
    "pdp_override_run_start_time", "original_run_number",
)  # fmt: skip
_END = (*_RUN[:5], "run_end_time_ms")


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _strange_arguments(event: str, keys: set[str]) -> str:
    possible = {
        "START": {*_RUN, *map(_camel, _RUN), "runNumber", "cleanup"},
        "STOP": {*_END, *map(_camel, _END)},
        "RESET": set[str](),
    }.get(event, keys)
    needed = {"runNumber", "cleanup"} if event == "START" else set[str]()
    if not needed <= keys <= possible:
        return f"{event} with {sorted(keys)}"
    if event == "START" and any(_camel(key) not in keys for key in keys & set(_RUN)):
        return f"{event} with {sorted(keys)}"
    return ""


def strange_in_task(info: Any, payload: Mapping[str, Any]) -> str:
    """Likewise, in the TaskInfo of a task and in its data."""
    strange = _strange(payload, _PAYLOAD, _PAYLOAD_MORE)
    if strange:
        return strange
    mode, port = payload["controlMode"], payload["controlPort"]
    environment = [entry.partition("=")[0] for entry in payload.get("env", [])]
    if not {"O2_ROLE", "O2_SYSTEM"} <= set(environment):
        return f"env {environment}"
    is_controlled = mode in ("direct", "fairmq")
    if is_controlled != bool(port) or is_controlled != ("OCC_CONTROL_PORT" in environment):
        return f"control port {port} and env {environment} in mode {mode}"
    if mode not in ("direct", "fairmq", "basic", "hook") or "" in payload.get("arguments", ["-"]):
        return f"mode {mode}, arguments {payload.get('arguments')}"
    if payload["stdout"] not in ("none", "stdout", "all") or payload.get("timeout") == 0:
        return f"{payload}"
    if not re.fullmatch(r".+/tasks/[^/@]+@[0-9a-f]+#" + info.task_id.value, info.name):
        return f"name {info.name}"
    if {label.key for label in info.labels.labels} != {"environmentId", "detector"}:
        return f"labels {info.labels}"
    if set(info.limits) != {"cpus", "mem"} or info.HasField("command"):
        return f"limits {info.limits}"
    return ""


def _strange(
    message: Mapping[str, Any], needed: Mapping[str, Any], possible: Mapping[str, Any]
) -> str:
    keys = set(message)
    if not set(needed) <= keys <= {*needed, *possible}:
        return f"keys {sorted(keys)}"
    for key, kind in {**needed, **possible}.items():
        if key in message and type(message[key]) is not kind:
            return f"{key} is {message[key]!r}"
    return ""
