"""What a master and an agent refuse, with Mesos' own words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.protobuf import text_format

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_executor_pb2 import Call as ExecutorCall
from aliecs.protocol.mesos_pb2 import ExecutorInfo, FrameworkInfo, TaskInfo, TaskStatus
from aliecs.protocol.mesos_scheduler_pb2 import Call as SchedulerCall
from test.standin.mesos.resources import ROLE, Resources, describe

UUID_BYTES = 16
_RULER = "-" * 60


def scheduler_call_fault(call: SchedulerCall, principal: str | None) -> str:
    """What is wrong with a call of a framework; empty where nothing is."""
    if not call.HasField("type") or call.type == SchedulerCall.UNKNOWN:
        return "Expecting 'type' to be present"
    if call.type == SchedulerCall.SUBSCRIBE:
        return _subscribe_fault(call, principal)
    if not call.HasField("framework_id"):
        return "Expecting 'framework_id' to be present"
    part = SchedulerCall.Type.Name(call.type).lower()
    optional = ("teardown", "revive", "suppress")
    if part in call.DESCRIPTOR.fields_by_name and part not in optional and not call.HasField(part):
        return f"Expecting '{part}' to be present"
    if call.type == SchedulerCall.ACKNOWLEDGE and len(call.acknowledge.uuid) != UUID_BYTES:
        return "Not a valid UUID"
    return ""


def _subscribe_fault(call: SchedulerCall, principal: str | None) -> str:
    if not call.HasField("subscribe"):
        return "Expecting 'subscribe' to be present"
    info = call.subscribe.framework_info
    if info.id.value != call.framework_id.value:
        return "'framework_id' differs from 'subscribe.framework_info.id'"
    if principal is not None and info.principal not in ("", principal):
        return (
            f"Authenticated principal '{principal}' does not match principal"
            f" '{info.principal}' set in `FrameworkInfo`"
        )
    return ""


def capable(info: FrameworkInfo, kind: FrameworkInfo.Capability.Type) -> bool:
    """True for a framework with that capability."""
    return any(capability.type == kind for capability in info.capabilities)


def roles_of(info: FrameworkInfo) -> list[str]:
    """The roles of a framework, however it tells them."""
    if capable(info, FrameworkInfo.Capability.MULTI_ROLE):
        return list(info.roles)
    return [info.role or ROLE]


def framework_fault(info: FrameworkInfo) -> str:
    """What is wrong with a framework that would subscribe; told on the stream."""
    if info.roles and not capable(info, FrameworkInfo.Capability.MULTI_ROLE):
        return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
    for role in roles_of(info):
        for part in role.split("/"):
            if re.search(r"\s|\x08", part):
                return (
                    "'FrameworkInfo.roles' contains invalid role: Role component"
                    f" '{part}' is invalid because it contains backspace or whitespace"
                )
    return ""


def executor_call_fault(call: ExecutorCall) -> str:
    """What is wrong with a call of an executor; empty where nothing is."""
    if not call.HasField("type") or call.type == ExecutorCall.UNKNOWN:
        return "Expecting 'type' to be present"
    part = ExecutorCall.Type.Name(call.type).lower()
    if part != "heartbeat" and not call.HasField(part):
        return f"Expecting '{part}' to be present"
    if call.type == ExecutorCall.UPDATE:
        return _status_fault(call, call.update.status)
    return ""


def _status_fault(call: ExecutorCall, status: TaskStatus) -> str:
    if not status.HasField("uuid"):
        return "Expecting 'uuid' to be present"
    if len(status.uuid) != UUID_BYTES:
        return "Not a valid UUID"
    executor = call.executor_id.value
    if status.HasField("executor_id") and status.executor_id.value != executor:
        return (
            f"ExecutorID in Call: {executor} does not match ExecutorID in TaskStatus:"
            f" {status.executor_id.value}"
        )
    whose = f"executor {executor} of framework {call.framework_id.value}"
    if not status.HasField("source") or status.source != TaskStatus.SOURCE_EXECUTOR:
        return f"Received Call from {whose} with invalid source, expecting 'SOURCE_EXECUTOR'"
    if status.state == mesos_pb2.TASK_STAGING:
        return f"Received TASK_STAGING from {whose} which is not allowed"
    return ""


def complete(task: TaskInfo, framework_id: str, role: str) -> None:
    """Fill in what a framework may leave out."""
    resources = [*task.resources]
    if task.HasField("executor"):
        resources += task.executor.resources
        if not task.executor.HasField("framework_id"):
            task.executor.framework_id.value = framework_id
    for resource in resources:
        if not resource.HasField("allocation_info"):
            resource.allocation_info.role = role


def _identifier_fault(identifier: str) -> str:
    if not identifier:
        return "ID must not be empty"
    if identifier in (".", ".."):
        return f"'{identifier}' is disallowed"
    if re.search(r"[/\\\x00-\x1f\x7f]", identifier):
        return f"'{identifier}' contains invalid characters"
    return ""


def task_fault(
    task: TaskInfo,
    agent_id: str,
    framework_id: str,
    known_tasks: Iterable[str],
    executors: dict[str, ExecutorInfo],
    available: Resources,
    offered: list[mesos_pb2.Resource],
) -> str:
    """What is wrong with a task that would be launched; `executors` are those that the agent has,
    `available` is what is left of the offers, `offered` the same in their order."""
    identifier = task.task_id.value
    trouble = _identifier_fault(identifier)
    if trouble:
        return trouble
    if identifier in known_tasks:
        return f"Task has duplicate ID: {identifier}"
    if task.agent_id.value != agent_id:
        return f"Task uses invalid agent {task.agent_id.value} while agent {agent_id} is expected"
    if task.HasField("executor") == task.HasField("command"):
        return "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
    if not Resources.of(task.resources):
        return "Task uses no resources"
    existing = executors.get(task.executor.executor_id.value)
    trouble = _executor_fault(task.executor, framework_id, existing)
    if trouble:
        return trouble
    wanted = list(task.resources)
    if existing is None:
        wanted += task.executor.resources
    if not available.contains(Resources.of(wanted)):
        return (
            f"Total resources {describe(wanted)} required by task and its executor is more than"
            f" available {describe(offered)}"
        )
    return ""


def _comparable(info: ExecutorInfo) -> ExecutorInfo:
    """To Mesos a resource without a role has the role `*`."""
    copy = ExecutorInfo()
    copy.CopyFrom(info)
    for resource in copy.resources:
        if resource.role == "*":
            resource.ClearField("role")
    return copy


def _executor_fault(info: ExecutorInfo, framework_id: str, existing: ExecutorInfo | None) -> str:
    trouble = _identifier_fault(info.executor_id.value)
    if trouble:
        return trouble
    if info.framework_id.value != framework_id:
        return (
            f"ExecutorInfo has an invalid FrameworkID (Actual: {info.framework_id.value} vs"
            f" Expected: {framework_id})"
        )
    if info.type == ExecutorInfo.CUSTOM and not info.HasField("command"):
        return "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
    if existing is not None and _comparable(existing) != _comparable(info):
        return (
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n"
            f"{_RULER}\nExisting ExecutorInfo:\n{_printed(existing)}\n"
            f"{_RULER}\nExecutorInfo:\n{_printed(info)}\n{_RULER}\n"
        )
    return ""


def _printed(info: ExecutorInfo) -> str:
    """As protobuf prints it in C++: without `.0`."""
    return re.sub(r"(: -?\d+)\.0$", r"\1", text_format.MessageToString(info), flags=re.MULTILINE)
