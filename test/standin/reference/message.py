"""What the reference's core reads of what an executor sends: names and types, key by key.

It takes JSON into fixed structures: a key of another type is an error that costs it the
subscription, and with that every task; keys that it has no name for are ignored. `check` is
stricter by one thing: keys nobody has a name for are a fault here, so that each one is meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

OURS = {"AliecsExecutor"}
"""Types of messages that the reference has no name for, and ignores."""

_ORIGIN = {"agentId", "executorId", "taskId"}
_EVENT: Mapping[str, type] = {"_messageType": str, "timestamp": str}
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
    kind = message.get("_messageType")
    if kind in OURS:
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
