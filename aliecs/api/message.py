"""From environments, roles and tasks to the messages of the control API.

Large replies are built in slices of a few milliseconds: whoever iterates gives way in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from aliecs.api.budget import Budget
from aliecs.environment.environment import Environment
from aliecs.environment.operation import Operation, OperationState
from aliecs.environment.result import NodeResult, StepResult
from aliecs.interfaces import IIntegration
from aliecs.language.declaration import Channel
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.task.pace import Pace
from aliecs.task.task import Task
from aliecs.workflow.role import Role, TaskRole

UNKNOWN = "UNKNOWN"


def short_task_info(task: Task, framework_id: str) -> o2control_pb2.ShortTaskInfo:
    """A task as lists show it."""
    role = task.role if isinstance(task.role, TaskRole) else None
    return o2control_pb2.ShortTaskInfo(
        name=task.name,
        locked=task.locked,
        taskId=task.id,
        status=task.status.text if role is not None else UNKNOWN,
        state=role.state.text if role is not None else UNKNOWN,
        className=task.task_class.identifier,
        deploymentInfo=o2control_pb2.TaskDeploymentInfo(
            hostname=task.host,
            agentId=task.agent_id,
            offerId=task.offer_id,
            executorId=task.executor_id,
        ),
        pid=str(task.pid) if task.pid else "",
        sandboxStdout=(
            f"http://{task.host}:5051/files/download?path=/var/mesos/slaves/{task.agent_id}"
            f"/frameworks/{framework_id}/executors/{task.executor_id}/runs/latest/stdout"
        ),
        claimable=task.claimable,
        critical=task.critical,
    )


def task_info(task: Task, framework_id: str) -> o2control_pb2.TaskInfo:
    """A task in full."""
    info = o2control_pb2.TaskInfo(
        shortInfo=short_task_info(task, framework_id),
        inboundChannels=[_channel(channel, target="") for channel in task.inbound],
        outboundChannels=[_channel(channel, channel.target) for channel in task.outbound],
        taskPath=task.role_path,
        envId=task.environment_id,
        properties={name: text.text for name, text in task.task_class.properties},
    )
    command = task.command
    if command is not None:
        info.commandInfo.CopyFrom(
            o2control_pb2.CommandInfo(
                env=command.environment,
                shell=command.shell,
                value=command.value,
                arguments=command.arguments,
                user=command.user,
            )
        )
    return info


def _channel(channel: Channel, target: str) -> o2control_pb2.ChannelInfo:
    return o2control_pb2.ChannelInfo(name=channel.name, type=channel.type, target=target)


async def short_task_infos(
    tasks: Iterable[Task], framework_id: str, pace: Pace, budget: Budget | None = None
) -> list[o2control_pb2.ShortTaskInfo]:
    """Many tasks, in slices."""
    infos = []
    for task in tasks:
        info = short_task_info(task, framework_id)
        if budget is not None:
            budget.take(info)
        infos.append(info)
        await pace.breathe()
    return infos


async def environment_info(
    environment: Environment,
    integrations: Mapping[str, IIntegration],
    framework_id: str,
    pace: Pace,
    with_tasks: bool,
    detailed_integrations: bool,
    budget: Budget | None = None,
) -> o2control_pb2.EnvironmentInfo:
    """An environment with its counters; with its tasks where asked for."""
    # Many may ask at the same time, each for all environments.
    await pace.breathe()
    counts = await environment.census.take(pace)
    layers = environment.root.layers()
    info = o2control_pb2.EnvironmentInfo(
        id=environment.id,
        createdWhen=environment.created_ms,
        state=environment.state.value,
        rootRole=environment.root.name,
        currentRunNumber=environment.run_number,
        defaults=layers.defaults,
        vars=layers.variables,
        userVars=layers.user_variables,
        numberOfFlps=len(environment.list_variable("hosts")),
        includedDetectors=environment.detectors(),
        description=environment.info.description,
        numberOfHosts=counts.hosts,
        integratedServicesData=_integrations_data(
            integrations, environment.id, detailed_integrations
        ),
        numberOfTasks=counts.tasks,
        currentTransition=environment.current.value if environment.current is not None else "",
        numberOfActiveTasks=counts.active,
        numberOfInactiveTasks=counts.tasks - counts.active,
    )
    if budget is not None:
        budget.take(info)
    if with_tasks:
        info.tasks.extend(await short_task_infos(environment.tasks(), framework_id, pace, budget))
    return info


def _integrations_data(
    integrations: Mapping[str, IIntegration], environment_id: str, detailed: bool
) -> dict[str, str]:
    found = {
        name: integration.environment_data(environment_id, detailed)
        for name, integration in integrations.items()
    }
    return {name: data for name, data in found.items() if data}


async def role_info(
    role: Role, pace: Pace, budget: Budget | None = None, depth: int | None = None
) -> o2control_pb2.RoleInfo:
    """A role with all below it, or only as many levels as `depth`. `taskIds` of a role are those of
    all its leaves."""
    if depth == 0:
        children, task_ids = [], await _task_ids(role, pace)
    else:
        below = None if depth is None else depth - 1
        children = [await role_info(child, pace, budget, below) for child in role.roles]
        task_ids = [task_id for child in children for task_id in child.taskIds]
        if isinstance(role, TaskRole):
            task_ids = [role.task] if role.task else []
    await pace.breathe()
    info = o2control_pb2.RoleInfo(
        name=role.name,
        status=role.status.text,
        state=role.state.text,
        fullPath=role.path,
        taskIds=task_ids,
        defaults=role.defaults,
        vars=role.variables,
        userVars=role.user_variables,
        consolidatedStack=role.stack(),
    )
    if budget is not None:
        budget.take(info)
    info.roles.extend(children)
    return info


async def _task_ids(role: Role, pace: Pace) -> list[str]:
    found = []
    for one in role.walk():
        if isinstance(one, TaskRole) and one.task:
            found.append(one.task)
        await pace.breathe()
    return found


_OPERATION_STATES = {
    OperationState.RUNNING: aliecs_v1_pb2.OPERATION_STATE_RUNNING,
    OperationState.SUCCEEDED: aliecs_v1_pb2.OPERATION_STATE_SUCCEEDED,
    OperationState.FAILED: aliecs_v1_pb2.OPERATION_STATE_FAILED,
    OperationState.ABORTED: aliecs_v1_pb2.OPERATION_STATE_ABORTED,
}


def operation_message(
    operation: Operation, with_results: bool = False, waiting_limit: int = 0
) -> aliecs_v1_pb2.Operation:
    """An operation as clients see it; with what became of tasks, and who is waited for, where that
    is asked for."""
    running = operation.state is OperationState.RUNNING
    done, total = operation.progress() if operation.progress and running else (0, 0)
    message = aliecs_v1_pb2.Operation(
        id=operation.id,
        kind=operation.kind,
        state=_OPERATION_STATES[operation.state],
        environment_id=operation.environment_id,
        requested_by=operation.user.name,
        started_ms=operation.started_ms,
        ended_ms=operation.ended_ms,
        error=operation.error,
        current_step=operation.step,
        done=done,
        total=total,
    )
    if operation.abortion is not None:
        message.aborted_by = operation.abortion.user.name
        message.abort_reason = operation.abortion.reason
    if with_results:
        message.results.extend(
            _step_result(one) for one in operation.results if not one.is_empty
        )
    if waiting_limit and running and operation.waited_for is not None:
        waiting = operation.waited_for(waiting_limit)
        message.waiting.extend(
            aliecs_v1_pb2.WaitedNode(
                role=one.role,
                task_id=one.task_id,
                host=one.host,
                since_ms=one.since_ms,
                what=one.what,
            )
            for one in waiting.nodes
        )
        message.waiting_left_out = waiting.left_out
    return message


def _step_result(result: StepResult) -> aliecs_v1_pb2.StepResult:
    done, failed, not_reached = result.so_far()
    return aliecs_v1_pb2.StepResult(
        step=result.step,
        started_ms=result.started_ms,
        ended_ms=result.ended_ms,
        done=done,
        failed=failed,
        not_reached=not_reached,
        failures=[_node(one) for one in result.failures],
        failures_left_out=max(0, failed - len(result.failures)),
        slowest=[_node(one) for one in result.slowest],
        hosts=[
            aliecs_v1_pb2.HostResult(
                host=one.host, done=one.done, failed=one.failed, not_reached=one.not_reached
            )
            for one in result.hosts
        ],
        hosts_done=result.hosts_done,
    )


def _node(node: NodeResult) -> aliecs_v1_pb2.NodeResult:
    return node_message(msgspec.to_builtins(node))


def record_message(record: Mapping[str, Any]) -> aliecs_v1_pb2.EnvironmentRecord:
    """The record of an environment, from what the journal keeps."""
    message = aliecs_v1_pb2.EnvironmentRecord(
        id=record.get("id", ""),
        workflow_template=record.get("workflow_template", ""),
        repository=record.get("repository", ""),
        revision=record.get("revision", ""),
        state=record.get("state", ""),
        created_by=record.get("created_by", ""),
        created_ms=record.get("created_ms", 0),
        ended_ms=record.get("ended_ms", 0),
        transitions=[_transition(one) for one in record.get("transitions", ())],
        run_numbers=record.get("run_numbers", ()),
        warnings=record.get("warnings", ()),
        failed_then=record.get("failed_then", ()),
        failed_then_left_out=record.get("failed_then_left_out", 0),
    )
    cause = record.get("cause")
    if cause:
        message.cause.CopyFrom(_cause(cause))
    return message


def _cause(cause: Mapping[str, Any]) -> aliecs_v1_pb2.Cause:
    lines: Sequence[str] = cause.get("last_log_lines", ())
    return aliecs_v1_pb2.Cause(
        line=cause.get("line", ""),
        time_ms=cause.get("time_ms", 0),
        role=cause.get("role", ""),
        task_id=cause.get("task_id", ""),
        task_name=cause.get("task_name", ""),
        host=cause.get("host", ""),
        exit=cause.get("exit", ""),
        last_log_lines=lines,
    )


def _transition(one: Mapping[str, Any]) -> aliecs_v1_pb2.TransitionRecord:
    return aliecs_v1_pb2.TransitionRecord(
        event=one.get("event", ""),
        from_state=one.get("from_state", ""),
        to_state=one.get("to_state", ""),
        started_ms=one.get("started_ms", 0),
        ended_ms=one.get("ended_ms", 0),
        requested_by=one.get("requested_by", ""),
        run_number=one.get("run_number", 0),
        error=one.get("error", ""),
        roles=one.get("roles", ()),
        steps=_steps(one),
        slowest=[node_message(node) for node in one.get("slowest", ())],
        variables={k: v for k, v in one.get("variables", {}).items() if v is not None},
        unset_variables=[k for k, v in one.get("variables", {}).items() if v is None],
    )


def _steps(one: Mapping[str, Any]) -> list[aliecs_v1_pb2.StepRecord]:
    """Each step begins where the one before it ended."""
    steps = []
    begun_ms = one.get("started_ms", 0)
    for name, ended_ms in one.get("steps", ()):
        steps.append(
            aliecs_v1_pb2.StepRecord(name=name, started_ms=begun_ms, ended_ms=ended_ms)
        )
        begun_ms = ended_ms
    return steps


_OUTCOMES = {
    "done": aliecs_v1_pb2.NODE_OUTCOME_DONE,
    "failed": aliecs_v1_pb2.NODE_OUTCOME_FAILED,
    "not reached": aliecs_v1_pb2.NODE_OUTCOME_NOT_REACHED,
}


def node_message(node: Mapping[str, Any]) -> aliecs_v1_pb2.NodeResult:
    """What became of one task in a step."""
    return aliecs_v1_pb2.NodeResult(
        role=node.get("role", ""),
        task_id=node.get("task_id", ""),
        host=node.get("host", ""),
        outcome=_OUTCOMES.get(node.get("outcome", ""), aliecs_v1_pb2.NODE_OUTCOME_UNSPECIFIED),
        reason=node.get("reason", ""),
        duration_ms=node.get("duration_ms", 0),
    )
