"""Reconfiguring environments with other variables, as `aliecs.v1.Control` offers it."""

from __future__ import annotations

from aliecs.api.modification import reason_of
from aliecs.environment.modification import ModificationRequest
from aliecs.environment.reconfiguration import NewVariables, Plan
from aliecs.errors import InvalidInput
from aliecs.event.record import User
from aliecs.protocol import aliecs_v1_pb2
from aliecs.task.pace import Pace


def new_variables(request: aliecs_v1_pb2.ReconfigureEnvironmentRequest) -> NewVariables:
    """What shall be different. Raises `InvalidInput`."""
    variables = NewVariables(dict(request.variables), tuple(dict.fromkeys(request.unset)))
    if request.dry_run and not variables:
        raise InvalidInput("nothing would be different: name variables to set or to unset")
    return variables


def reconfiguration_request(
    request: aliecs_v1_pb2.ReconfigureEnvironmentRequest, by: str
) -> ModificationRequest:
    """What is asked for. Raises `InvalidInput`."""
    return ModificationRequest(
        modifications=(),
        user=User(name=by),
        reason=reason_of(request.reason),
        reconfigure=True,
        variables=new_variables(request),
    )


async def plan_reply(plan: Plan, pace: Pace) -> aliecs_v1_pb2.ReconfigureEnvironmentReply:
    """What would be done."""
    reply = aliecs_v1_pb2.ReconfigureEnvironmentReply(changed_variables=sorted(plan.names))
    for one in plan.replacements:
        reply.replaced.append(
            aliecs_v1_pb2.Replacement(
                role=one.role.path,
                task_id=one.task_id,
                host=one.host,
                why=one.why,
                values=[
                    aliecs_v1_pb2.ChangedValue(
                        name=value.name, before=value.before, after=value.after
                    )
                    for value in one.values
                ],
            )
        )
        await pace.breathe()
    for task in plan.kept:
        reply.kept.append(task.role_path)
        await pace.breathe()
    return reply
