"""From a workflow that was looked at to the messages of `aliecs.v1.Control`. Runs in the loader
thread that looked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aliecs.api.budget import MOST_BYTES
from aliecs.environment.inspection import ANY_HOST, InspectedTask, Inspection
from aliecs.environment.order import Step
from aliecs.errors import Exhausted, TemplateError
from aliecs.language.declaration import Channel, Constraint
from aliecs.protocol import aliecs_v1_pb2 as v1
from aliecs.workflow.drawing import draw_svg, draw_text, rows_of
from aliecs.workflow.origin import Explanation, Origin, Origins
from aliecs.workflow.role import CallRole, LeafRole, Role, TaskRole

MOST_EXPLAINED = 1000
"""Roles of one reply whose variables are explained."""


def inspection_reply(
    request: v1.InspectWorkflowRequest, inspection: Inspection
) -> v1.InspectWorkflowReply:
    """What a client asked to see of a workflow. Raises `InvalidInput` for a glob that is none, and
    `Exhausted` where it is too much for one reply."""
    reply = v1.InspectWorkflowReply(
        valid=not inspection.errors,
        errors=[problem_message(error) for error in inspection.errors],
        warnings=[problem_message(warning) for warning in inspection.warnings],
        steps=[step_message(step) for step in inspection.steps],
    )
    workflow = inspection.workflow
    if workflow is None:
        return reply
    reply.name, reply.description = workflow.name, workflow.description
    reply.repository, reply.revision = workflow.template.repository, workflow.template.revision
    reply.role_count = sum(1 for _ in workflow.root.walk())
    reply.task_count, reply.call_count = len(workflow.task_roles), len(workflow.call_roles)
    reply.host_count = len({task.host for task in inspection.tasks.values()} - {ANY_HOST})
    if request.with_tree:
        reply.root.CopyFrom(_role(workflow.root, inspection))
    if request.variables_of:
        roles = workflow.root.query(request.variables_of)
        if len(roles) > MOST_EXPLAINED:
            raise too_many_explained(len(roles))
        reply.explained.extend(
            explained_role(inspection.origins, role, request.variable_names) for role in roles
        )
    if request.drawing:
        rows = rows_of(workflow.root, complete=request.draw_all)
        is_svg = request.drawing == v1.DRAWING_SVG
        reply.drawing = (
            draw_svg(_title(reply), rows, inspection.links)
            if is_svg
            else draw_text(rows, inspection.links)
        )
    check_size(reply)
    return reply


def check_size(reply: v1.InspectWorkflowReply) -> None:
    """Raises `Exhausted` where clients would not take it."""
    if reply.ByteSize() > MOST_BYTES:
        raise Exhausted(
            "the reply would be too large; ask for less: fewer hosts, no tree, not all roles drawn"
        )


def _title(reply: v1.InspectWorkflowReply) -> str:
    return (
        f"{reply.name} ({reply.repository}@{reply.revision[:12]}), tasks: {reply.task_count}, "
        f"calls: {reply.call_count}"
    )


def problem_message(error: TemplateError) -> v1.Problem:
    """Something wrong, or worth knowing."""
    location = error.location
    return v1.Problem(
        text=error.reason,
        file=location.file if location is not None else "",
        line=location.line if location is not None else 0,
        role=error.role_path,
    )


# --- the tree ------------------------------------------------------------------------------------


def _role(role: Role, inspection: Inspection) -> v1.InspectedRole:
    message = v1.InspectedRole(
        name=role.name,
        path=role.path,
        kind="aggregator",
        file=role.location.file,
        line=role.location.line,
        defaults=role.defaults,
        variables=role.variables,
        user_variables=role.user_variables,
        constraints=_constraints(role.constraints),
        critical=role.critical,
        roles=[_role(child, inspection) for child in role.roles],
    )
    if isinstance(role, LeafRole):
        message.trigger, message.timeout = role.trigger, role.timeout
        setattr(message, "await", role.await_)
    if isinstance(role, CallRole):
        message.kind = "call"
        message.func, message.return_variable = role.func, role.return_
    elif isinstance(role, TaskRole):
        message.kind = "task"
        task = inspection.tasks.get(role.path)
        if task is not None:
            message.task.CopyFrom(_task(task))
    return message


def _task(task: InspectedTask) -> v1.InspectedTask:
    task_class = task.task_class
    message = v1.InspectedTask(
        class_name=task_class.identifier,
        control_mode=task_class.effective_mode(task.role.trigger).value,
        host="" if task.host == ANY_HOST else task.host,
        wants_cpus=task_class.wants.cpus,
        wants_memory_mb=task_class.wants.memory_mb,
        constraints=_constraints(task.constraints),
        bind=_channels(task.inbound),
        connect=_channels(task.outbound),
        properties=task.properties,
    )
    command = task.command
    if command is not None:
        message.command, message.shell, message.user = command.value, command.shell, command.user
        message.arguments.extend(command.arguments)
        message.environment.extend(command.environment)
        message.stdout, message.stderr = command.stdout, command.stderr
    return message


def _constraints(constraints: Iterable[Constraint]) -> list[v1.InspectedConstraint]:
    return [v1.InspectedConstraint(attribute=one.attribute, value=one.value) for one in constraints]


def _channels(channels: Iterable[Channel]) -> list[v1.InspectedChannel]:
    return [
        v1.InspectedChannel(
            name=channel.name,
            type=channel.type,
            transport=channel.transport,
            addressing=channel.addressing,
            target=channel.target,
            global_alias=channel.global_alias,
            send_buffer_size=max(channel.send_buffer_size, 0),
            receive_buffer_size=max(channel.receive_buffer_size, 0),
            rate_logging=channel.rate_logging,
        )
        for channel in channels
    ]


def step_message(step: Step) -> v1.HookStep:
    """One thing in the order of hooks."""
    message = v1.HookStep(
        transition=step.transition, moment=step.moment, weight=step.weight, kind=step.kind.value
    )
    role = step.role
    if role is not None:
        message.role, message.timeout, message.critical = role.path, role.timeout, role.critical
    if isinstance(role, CallRole):
        message.what = role.func
    elif isinstance(role, TaskRole):
        message.what = role.class_identifier.rsplit("/tasks/", 1)[-1].partition("@")[0]
    return message


# --- variables -----------------------------------------------------------------------------------


def too_many_explained(count: int) -> Exhausted:
    """The error about more roles than are explained at once."""
    return Exhausted(f"{count} roles fit; at most {MOST_EXPLAINED} are explained at once")


def explained_role(origins: Origins, role: Role, names: Sequence[str]) -> v1.ExplainedRole:
    """Where the variables of one role come from."""
    variables = [_explained(one) for one in origins.explain(role, frozenset(names))]
    return v1.ExplainedRole(role=role.path, variables=variables)


def _explained(explanation: Explanation) -> v1.ExplainedVariable:
    return v1.ExplainedVariable(
        name=explanation.name,
        value=explanation.value,
        origin=_origin(explanation.origin),
        overrides=[
            v1.OverriddenValue(value=value, origin=_origin(origin))
            for value, origin in explanation.overrides
        ],
    )


def _origin(origin: Origin) -> v1.VariableOrigin:
    location = origin.location
    return v1.VariableOrigin(
        layer=origin.layer.value,
        role=origin.role,
        source=origin.source.value,
        file=location.file if location is not None else "",
        line=location.line if location is not None else 0,
    )
