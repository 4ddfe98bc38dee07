"""Excluding and including roles, as the two control services offer it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from aliecs.api.core import OPERATION_ID, Core
from aliecs.api.permission import LONGEST_REASON, user_of
from aliecs.environment.environment import Environment
from aliecs.environment.exclusion import Target, task_roles
from aliecs.environment.machine import Event
from aliecs.environment.modification import Modification, ModificationRequest
from aliecs.environment.operation import Operation
from aliecs.errors import AliecsError, InvalidInput
from aliecs.event.record import User
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.route import ServerCall
from aliecs.txgrpc.status import ERROR_CODE

_EVENTS: dict[int, Event] = {
    o2control_pb2.EnvironmentOperation.REMOVE_ROLE: Event.EXCLUDE,
    o2control_pb2.EnvironmentOperation.ADD_ROLE: Event.INCLUDE,
}


async def modify_in_order(
    core: Core,
    environment: Environment,
    request: o2control_pb2.ModifyEnvironmentRequest,
    call: ServerCall,
) -> o2control_pb2.ModifyEnvironmentReply:
    """The operations of a request, one after the other. Those that failed are in the reply; where
    none could even be begun, the first refusal is raised."""
    reply = o2control_pb2.ModifyEnvironmentReply(id=environment.id)
    user = user_of(call)
    refusals: list[AliecsError] = []
    noop = o2control_pb2.EnvironmentOperation.NOOP
    operations = [one for one in request.operations if one.type != noop]
    for one in operations:
        try:
            event = _event(one.type)
            wanted = Modification(event, (Target(role=one.roleName),))
            asked = ModificationRequest((wanted,), user)
            operation = core.manager.alterations.modify(environment.id, asked)
        except AliecsError as problem:
            refusals.append(problem)
            reply.failedOperations.append(one)
            call.trailing[ERROR_CODE] = problem.code
            continue
        if not await _over(operation, call):
            reply.failedOperations.append(one)
    if refusals and len(refusals) == len(operations):
        raise refusals[0]
    if request.reconfigureAll:
        asked = ModificationRequest((), user, reconfigure=True)
        await _over(core.manager.alterations.modify(environment.id, asked), call)
    elif not operations:
        raise InvalidInput("nothing is to be modified: there are no operations")
    reply.state = environment.state.value
    return reply


async def _over(operation: Operation, call: ServerCall) -> bool:
    """Wait for an operation; False where it failed."""
    call.trailing[OPERATION_ID] = operation.id
    try:
        await operation.wait()
    except AliecsError as problem:
        call.trailing[ERROR_CODE] = problem.code
        return False
    return True


def _event(kind: int) -> Event:
    if kind not in _EVENTS:
        raise InvalidInput(f"operation {kind} is neither REMOVE_ROLE nor ADD_ROLE")
    return _EVENTS[kind]


def reason_of(text: str) -> str:
    """A reason, in one line. Raises `InvalidInput` for one that is too long."""
    if len(text) > LONGEST_REASON:
        raise InvalidInput(f"the reason is longer than {LONGEST_REASON} characters")
    return " ".join(text.split())


def modification_request(
    request: aliecs_v1_pb2.ModifyEnvironmentRequest, by: str
) -> ModificationRequest:
    """What is asked for. Raises `InvalidInput`."""
    wanted = (
        Modification(event, tuple(_targets(roles, detectors)))
        for event, roles, detectors in (
            (Event.EXCLUDE, request.exclude_roles, request.exclude_detectors),
            (Event.INCLUDE, request.include_roles, request.include_detectors),
        )
    )
    return ModificationRequest(
        modifications=tuple(one for one in wanted if one.targets),
        user=User(name=by),
        reason=reason_of(request.reason),
        reconfigure=request.reconfigure_all,
    )


def _targets(roles: Sequence[str], detectors: Sequence[str]) -> Iterator[Target]:
    if "" in (*roles, *detectors):
        raise InvalidInput("the name of a role or detector is empty")
    for role in roles:
        yield Target(role=role)
    for detector in detectors:
        yield Target(detector=detector)


def exclusions_reply(environments: Iterable[Environment]) -> aliecs_v1_pb2.ListExclusionsReply:
    """What is excluded from environments, in the order in which it happened."""
    reply = aliecs_v1_pb2.ListExclusionsReply()
    for environment in environments:
        for one in environment.exclusions.all():
            found = (environment.task_of(leaf) for leaf in task_roles([one.role], [one.role]))
            tasks = [task for task in found if task is not None]
            reply.exclusions.append(
                aliecs_v1_pb2.Exclusion(
                    environment_id=environment.id,
                    role=one.role.path,
                    requested_by=one.user.name,
                    since_ms=one.since_ms,
                    reason=one.reason,
                    tasks=len(tasks),
                    dead_tasks=sum(1 for task in tasks if not task.living),
                )
            )
    return reply
