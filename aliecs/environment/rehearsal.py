"""A creation rehearsed: where the tasks of a workflow that was looked at would go just now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from aliecs.environment.environment import detectors_of
from aliecs.environment.inspection import InspectedTask, Inspection
from aliecs.errors import TemplateError
from aliecs.task.placement import Placed, Placement, Refused, WantedTask
from aliecs.task.roster import Roster


@frozen
class Wishes:
    """What an inspected workflow wants: its tasks, by the paths of their roles, and its
    detectors."""

    tasks: Mapping[str, InspectedTask]
    wanted: Sequence[WantedTask]
    detectors: Sequence[str]


@frozen
class Rehearsal:
    """Where tasks would go, and what is wrong: `errors` would make the creation fail, `warnings`
    are about tasks that it can do without."""

    placed: Sequence[Placed]
    errors: Sequence[TemplateError]
    warnings: Sequence[TemplateError]


def wishes_of(inspection: Inspection) -> Wishes:
    """What a workflow wants. Runs in the loader thread that looked at it."""
    workflow = inspection.workflow
    detectors = workflow.root.variable("detectors") if workflow is not None else ""
    wanted = tuple(_wanted(path, task) for path, task in inspection.tasks.items())
    return Wishes(inspection.tasks, wanted, detectors_of(detectors))


async def rehearse(roster: Roster, wishes: Wishes) -> Rehearsal:
    """Place the tasks, and give everything back. Raises `Unavailable` where there is nobody to ask
    for room."""
    placement: Placement = await roster.rehearse(wishes.wanted)
    errors: list[TemplateError] = []
    warnings: list[TemplateError] = []
    for why, refusals in (
        ("no host can run it", placement.impossible),
        ("no room at present", placement.not_yet),
    ):
        for refused in refusals:
            task = wishes.tasks[_path(refused)]
            problem = TemplateError(f"{why}: {refused}", task.role.location, task.role.path)
            (errors if task.role.critical else warnings).append(problem)
    return Rehearsal(placement.placed, errors, warnings)


def _wanted(path: str, task: InspectedTask) -> WantedTask:
    wants = task.task_class.wants
    return WantedTask(
        key=path,
        constraints=task.constraints,
        cpus=wants.cpus,
        memory_mb=wants.memory_mb,
        static_ports=wants.ports,
        channel_ports=sum(1 for channel in task.inbound if channel.addressing == "tcp"),
        control_port=task.task_class.effective_mode(task.role.trigger).is_controllable,
    )


def _path(refused: Refused) -> str:
    path = refused.wanted.key
    assert isinstance(path, str)
    return path
