"""Whether a caller could have an environment just now: `InspectWorkflow` with a placement."""

from __future__ import annotations

from aliecs.api.core import Core
from aliecs.api.inspection import check_size, problem_message
from aliecs.api.permission import WARNING, check_detectors
from aliecs.environment.rehearsal import Rehearsal, Wishes, rehearse
from aliecs.errors import AliecsError, Forbidden
from aliecs.protocol import aliecs_v1_pb2 as v1
from aliecs.txgrpc.route import ServerCall


async def add_rehearsal(
    core: Core, reply: v1.InspectWorkflowReply, wishes: Wishes, call: ServerCall
) -> None:
    """Add where the tasks would go, and all that would make the creation fail. Raises `Exhausted`
    where that is too much for one reply."""
    reply.detectors.extend(wishes.detectors)
    _check_detectors(core, reply, wishes, call)
    try:
        rehearsal = await rehearse(core.roster, wishes)
    except AliecsError as problem:
        # Nobody can be asked for room: the creation would fail as well.
        reply.errors.add(text=problem.message)
    else:
        reply.errors.extend(problem_message(error) for error in rehearsal.errors)
        reply.warnings.extend(problem_message(warning) for warning in rehearsal.warnings)
        await _add_hosts(core, reply, rehearsal, wishes)
    reply.valid = not reply.errors
    check_size(reply)


def _check_detectors(
    core: Core, reply: v1.InspectWorkflowReply, wishes: Wishes, call: ServerCall
) -> None:
    for environment in core.manager.environments():
        for detector in sorted(set(wishes.detectors) & set(environment.detectors())):
            reply.errors.add(text=f"detector {detector} is in use by environment {environment.id}")
    try:
        check_detectors(core.gate, call, wishes.detectors, "a new environment")
    except Forbidden as refusal:
        reply.errors.add(text=refusal.message)
    if warning := call.trailing.get(WARNING):
        reply.warnings.add(text=str(warning))


async def _add_hosts(
    core: Core, reply: v1.InspectWorkflowReply, rehearsal: Rehearsal, wishes: Wishes
) -> None:
    hosts: dict[str, v1.PlannedHost] = {}
    for placed in rehearsal.placed:
        name = placed.offer.host
        if name not in hosts:
            hosts[name] = v1.PlannedHost(host=name)
        host = hosts[name]
        host.cpus += placed.wanted.cpus
        host.memory_mb += placed.wanted.memory_mb
        path = str(placed.wanted.key)
        host.tasks.add(
            role=path,
            class_name=wishes.tasks[path].task_class.identifier,
            control_port=placed.control_port,
            channel_ports=placed.channel_ports,
        )
        await core.roster.pace.breathe()
    reply.hosts.extend(hosts[name] for name in sorted(hosts))
