"""What is refused at once, in words that say why: transitions and modifications that are not
allowed now. Nothing has changed then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aliecs.environment.environment import Environment
from aliecs.environment.machine import MODIFICATIONS, EnvironmentState, Event, allowed_events
from aliecs.environment.modification import Modification
from aliecs.errors import Conflict
from aliecs.task.task import Task
from aliecs.workflow.role import Role

_FIRST = {EnvironmentState.CONFIGURED: Event.RESET, EnvironmentState.DEPLOYED: Event.CONFIGURE}
"""What a reconfiguration begins with."""


def refuse_if_busy(environment: Environment, event: Event) -> None:
    """A second transition is refused, naming the first, and one that the state does not allow."""
    now_ms = environment.facilities.now_ms()
    destruction = environment.destruction
    if destruction is not None:
        since_s = (now_ms - destruction.started_ms) / 1000
        raise Conflict(
            f"{event.value} refused: environment {environment.id} is being destroyed, asked "
            f"for by {destruction.user.name or 'nobody named'} {since_s:.1f} s ago"
        )
    if environment.current is not None:
        since_s = (now_ms - environment.current_since_ms) / 1000
        raise Conflict(
            f"{event.value} refused: environment {environment.id} is in the transition "
            f"{environment.current.value}, asked for by "
            f"{environment.current_user.name or 'nobody named'} {since_s:.1f} s ago"
        )
    if event in MODIFICATIONS:
        if environment.state not in MODIFICATIONS[event]:
            states = ", ".join(state.value for state in MODIFICATIONS[event])
            raise Conflict(
                f"{event.value} refused: environment {environment.id} is in "
                f"{environment.state.value}; roles are excluded and included in {states}"
            )
    elif event not in allowed_events(environment.state):
        allowed = ", ".join(sorted(e.value for e in allowed_events(environment.state)))
        raise Conflict(
            f"event {event.value} inappropriate in current state {environment.state.value} "
            f"(allowed now: {allowed or 'none'})"
        )


def refuse_kill(task: Task, environment: Environment | None, force: bool) -> None:
    """A task that has ended is not ended again; one that its environment cannot do without only
    where that is forced."""
    if not task.living:
        raise Conflict(f"task {task.describe()} cannot be killed: it has ended, {task.end}")
    if environment is None or force or environment.state is EnvironmentState.ERROR:
        return
    if environment.needs(task):
        raise Conflict(
            f"task {task.describe()} is not killed: it is critical, and environment "
            f"{environment.id}, which is in {environment.state.value}, would go to ERROR; exclude "
            "its role before, restart the task instead, or force it"
        )


def refuse_reconfiguration(environment: Environment) -> None:
    """A reconfiguration begins where tasks are configured, or could be."""
    state = environment.state
    if state not in _FIRST:
        raise Conflict(
            "reconfiguration refused: it is done in CONFIGURED and in DEPLOYED, not in "
            f"{state.value}"
        )
    refuse_if_busy(environment, _FIRST[state])


def find_modified(
    environment: Environment, modification: Modification, environments: Iterable[Environment]
) -> Sequence[Role]:
    """The roles that a modification is about; `environments` are all there are. Raises `NotFound`
    and `Conflict`."""
    event, exclusions = modification.event, environment.exclusions
    refuse_if_busy(environment, event)
    roles = exclusions.find(environment.root, event, modification.targets, environment.state)
    if event is Event.INCLUDE:
        returning = exclusions.returning(environment.root, roles)
        for other in environments:
            taken = sorted(returning & set(other.detectors()))
            if taken and other is not environment:
                raise Conflict(
                    f"INCLUDE refused: detector {taken[0]} is already in use by environment "
                    f"{other.id}"
                )
    return roles
