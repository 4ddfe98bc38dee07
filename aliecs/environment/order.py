"""In which order the hooks of a workflow will run, told before anything is deployed.

One whole life: deployed, configured, one run, reset, and then what an error, the exclusion and the
inclusion of roles, and the end would add.
Within a moment weights ascend; of one weight the calls start, what is awaited there is awaited, and
then the hook tasks run. `hook` does the same with a living environment.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

from attrs import frozen

from aliecs.environment.machine import EDGES, MODIFICATIONS, EnvironmentState, Event
from aliecs.workflow.moment import parse_trigger
from aliecs.workflow.role import CallRole, LeafRole
from aliecs.workflow.workflow import Workflow

_LIFE = (
    (Event.DEPLOY, EnvironmentState.STANDBY),
    (Event.CONFIGURE, EnvironmentState.DEPLOYED),
    (Event.START_ACTIVITY, EnvironmentState.CONFIGURED),
    (Event.STOP_ACTIVITY, EnvironmentState.RUNNING),
    (Event.RESET, EnvironmentState.CONFIGURED),
    (Event.GO_ERROR, EnvironmentState.RUNNING),
)


class StepKind(enum.Enum):
    """What happens in a step."""

    CALL = "call"
    """A call into an outside service begins."""
    AWAIT = "await"
    """A call that began earlier has to have ended."""
    HOOK = "hook"
    """The process of a task runs from its begin to its end."""
    TASKS = "tasks"
    """All tasks go through the transition."""


@frozen
class Step:
    """One thing in the order."""

    transition: str
    moment: str
    weight: int
    kind: StepKind
    role: LeafRole | None = None
    """None for the transition of the tasks."""


def steps_of(workflow: Workflow) -> Iterator[Step]:
    """The steps of a life; see the module."""
    pending: dict[tuple[str, int], list[CallRole]] = {}
    for event, source in _LIFE:
        name, target = event.value, EDGES[event].destination.value
        for moment in (f"before_{name}", f"leave_{source.value}"):
            yield from _moment(workflow, name, moment, pending)
        yield Step(name, "", 0, StepKind.TASKS)
        for moment in (f"enter_{target}", f"after_{name}"):
            yield from _moment(workflow, name, moment, pending)
    for modification in MODIFICATIONS:
        name = modification.value
        for moment in (f"before_{name}", f"after_{name}"):
            yield from _moment(workflow, name, moment, {})
    for moment in ("DESTROY", "after_DESTROY"):
        yield from _moment(workflow, "DESTROY", moment, {})


def _moment(
    workflow: Workflow, transition: str, moment: str, pending: dict[tuple[str, int], list[CallRole]]
) -> Iterator[Step]:
    visited: int | None = None
    while True:
        weights = set(workflow.hooks.at(moment)) | {w for name, w in pending if name == moment}
        left = [weight for weight in weights if visited is None or weight > visited]
        if not left:
            return
        visited = weight = min(left)
        calls, hooks = workflow.hooks.at(moment).get(weight, ((), ()))
        for role in calls:
            yield Step(transition, moment, weight, StepKind.CALL, role)
            awaited = parse_trigger(role.await_ or role.trigger)
            if awaited != (moment, weight):
                pending.setdefault(awaited, []).append(role)
        for role in pending.pop((moment, weight), ()):
            yield Step(transition, moment, weight, StepKind.AWAIT, role)
        for hook in hooks:
            yield Step(transition, moment, weight, StepKind.HOOK, hook)
