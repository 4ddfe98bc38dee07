"""What a transition or a destruction would do: `PreviewTransition`. It is refused as the transition
itself would be, and says which steps it has and whom they concern; what outside parties will answer
then, nobody knows now."""

from __future__ import annotations

from aliecs.api.core import Core
from aliecs.api.inspection import step_message
from aliecs.environment.environment import Environment
from aliecs.environment.machine import Event, parse_event
from aliecs.environment.manager import CONTROLLABLE, DestructionRequest, winding_down
from aliecs.environment.order import steps_of
from aliecs.environment.refusal import refuse_if_busy
from aliecs.errors import InvalidInput
from aliecs.event.record import User
from aliecs.protocol import aliecs_v1_pb2 as v1


async def preview_reply(
    core: Core, request: v1.PreviewTransitionRequest
) -> v1.PreviewTransitionReply:
    """What would be done. Raises `InvalidInput`, `NotFound`, `Conflict`."""
    environment = core.environment(request.environment_id)
    event = parse_event(request.event)
    keeps_tasks = True
    if event is Event.DESTROY:
        _refuse_second_destruction(environment, request)
        before, keeps_tasks = winding_down(
            environment.state,
            DestructionRequest(
                User(), request.keep_tasks, request.allow_in_running_state, request.force
            ),
        )
        transitions = [*before, event]
    elif event in CONTROLLABLE or event is Event.RECOVER:
        refuse_if_busy(environment, event)
        transitions = [event]
    else:
        raise InvalidInput(f"cannot prepare invalid transition {event.value}")
    taking_part = [
        task
        for role in environment.roles_in_part()
        if (task := environment.task_of(role)) is not None
    ]
    everyone = environment.tasks()
    current = environment.current
    reply = v1.PreviewTransitionReply(
        transitions=[one.value for one in transitions],
        tasks=len(taking_part),
        excluded_tasks=len(everyone) - len(taking_part),
        hosts=sorted({task.host for task in taking_part}),
        aborts=current.value if event is Event.DESTROY and current is not None else "",
    )
    if not keeps_tasks:
        reply.ended_tasks = sum(1 for task in everyone if task.living)
    names = {one.value for one in transitions}
    for step in steps_of(environment.workflow):
        in_part = step.role is None or environment.takes_part(step.role)
        if step.transition in names and in_part:
            reply.steps.append(step_message(step))
        await core.roster.pace.breathe()
    return reply


def _refuse_second_destruction(
    environment: Environment, request: v1.PreviewTransitionRequest
) -> None:
    if environment.destruction is not None and (
        not request.force or environment.current is Event.DESTROY
    ):
        refuse_if_busy(environment, Event.DESTROY)
