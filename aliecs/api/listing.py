"""Environments, tasks, roles and detectors by what they are, in pages: `ListEnvironments`,
`ListTasks`, `ListRoles` and `ListDetectors`.

A page ends where the next one begins: the cursor says after which element, so that what comes and
goes between two pages neither repeats nor hides anything else.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

from aliecs.api.budget import Budget
from aliecs.api.core import Core
from aliecs.api.message import environment_info, role_info, short_task_info
from aliecs.environment.environment import Environment
from aliecs.errors import AliecsError, InvalidInput, NotFound
from aliecs.language.glob import Glob, compile_glob
from aliecs.protocol import aliecs_v1_pb2 as v1
from aliecs.task.pace import Pace
from aliecs.task.task import Task
from aliecs.workflow.role import Role, TaskRole

_T = TypeVar("_T")

MOST_GLOBS = 100
"""Of one request: each is tried with every task."""
SMALLER_PAGE = "ask for smaller pages with limit"


# --- environments --------------------------------------------------------------------------------


async def environments_reply(
    core: Core, request: v1.ListEnvironmentsRequest
) -> v1.ListEnvironmentsReply:
    """Environments, oldest first."""
    found = [one for one in core.manager.environments() if _is_wanted(one, request)]
    if request.cursor:
        last = _place_of(request.cursor)
        found = [one for one in found if (one.created_ms, one.id) > last]
    page = found[: request.limit or None]
    reply = v1.ListEnvironmentsReply(framework_id=core.backend.framework_id)
    budget = Budget(SMALLER_PAGE)
    for environment in page:
        reply.environments.append(
            await environment_info(
                environment,
                core.integrations,
                core.backend.framework_id,
                core.roster.pace,
                request.with_tasks,
                False,
                budget,
            )
        )
    if len(page) < len(found):
        reply.next_cursor = f"{page[-1].created_ms}-{page[-1].id}"
    reply.timestamp = core.now_ms()
    return reply


def _is_wanted(environment: Environment, request: v1.ListEnvironmentsRequest) -> bool:
    if request.public_only and not environment.info.public:
        return False
    if request.states and environment.state.value not in _upper(request.states):
        return False
    if request.detectors and not set(environment.detectors()) & _upper(request.detectors):
        return False
    run_type = environment.root.variable("run_type") if request.run_types else ""
    return not request.run_types or (run_type or "").upper() in _upper(request.run_types)


def _place_of(cursor: str) -> tuple[int, str]:
    time, _, environment_id = cursor.partition("-")
    if not (time.isascii() and time.isdecimal() and len(time) < 20):
        raise bad_cursor(cursor)
    return int(time), environment_id


def bad_cursor(cursor: str) -> InvalidInput:
    """The error about a cursor that no reply has given."""
    return InvalidInput(
        f"{cursor[:40]!r} is no cursor of this list: take next_cursor of the page before"
    )


# --- tasks ---------------------------------------------------------------------------------------


async def tasks_reply(core: Core, request: v1.ListTasksRequest) -> v1.ListTasksReply:
    """Tasks in the order of their ids. Raises `NotFound` for an environment that is not there, and
    `Unavailable` where the inventory is needed and cannot be read."""
    if request.environment_id:
        core.environment(request.environment_id)
    detector_of = await _detectors_of_hosts(core, request)
    pace = core.roster.pace
    wanted = _task_filter(request, detector_of)
    found = await _chosen(core.roster.tasks(), wanted, pace)
    found = [task for task in found if task.id > request.cursor]
    if request.limit and request.limit < len(found):
        page = heapq.nsmallest(request.limit, found, key=attrgetter("id"))
    else:
        page = sorted(found, key=attrgetter("id"))
    reply = v1.ListTasksReply()
    groups: dict[str, v1.TaskGroup] = {}
    budget = Budget(SMALLER_PAGE)
    for task in page:
        info = short_task_info(task, core.backend.framework_id)
        budget.take(info)
        reply.tasks.append(info)
        if request.group_by:
            _gather(groups, task, info.state, request.group_by, detector_of)
        await pace.breathe()
    reply.groups.extend(groups[name] for name in sorted(groups))
    if len(page) < len(found):
        reply.next_cursor = page[-1].id
    reply.timestamp = core.now_ms()
    return reply


async def _chosen(
    tasks: Sequence[Task], wanted: Callable[[Task], bool], pace: Pace
) -> Sequence[Task]:
    found = []
    for task in tasks:
        if wanted(task):
            found.append(task)
        await pace.breathe()
    return found


def _task_filter(
    request: v1.ListTasksRequest, detector_of: Mapping[str, str]
) -> Callable[[Task], bool]:
    ids, hosts = frozenset(request.task_ids), frozenset(request.hosts)
    states, detectors = _upper(request.states), _upper(request.detectors)
    if len(request.names) > MOST_GLOBS:
        raise InvalidInput(f"{len(request.names)} names are given; at most {MOST_GLOBS} at once")
    globs = [compile_glob(name, separator=".") for name in request.names]

    def wanted(task: Task) -> bool:
        return (
            request.environment_id in ("", task.environment_id)
            and (not ids or task.id in ids)
            and (not request.HasField("locked") or task.locked is request.locked)
            and (not hosts or task.host in hosts)
            and (not detectors or detector_of.get(task.host, "") in detectors)
            and (not states or _state_of(task) in states)
            and (not globs or _is_named(task, globs))
        )

    return wanted


def _state_of(task: Task) -> str:
    return task.role.state.text if isinstance(task.role, TaskRole) else "UNKNOWN"


def _is_named(task: Task, globs: Sequence[Glob]) -> bool:
    names = (task.role_path, task.task_class.name)
    return any(glob.matches(name) for glob in globs for name in names)


async def _detectors_of_hosts(core: Core, request: v1.ListTasksRequest) -> Mapping[str, str]:
    """Host to detector, as far as the request needs to know it."""
    if not request.detectors and not request.group_by:
        return {}
    try:
        inventory = await core.configuration.detectors_inventory()
    except AliecsError:
        # Hosts can be told apart without it; what was asked of detectors cannot be answered.
        if request.detectors or request.group_by == v1.TASK_GROUPING_DETECTOR:
            raise
        return {}
    return {host: detector.upper() for detector, hosts in inventory.items() for host in hosts}


def _gather(
    groups: dict[str, v1.TaskGroup],
    task: Task,
    state: str,
    grouping: int,
    detector_of: Mapping[str, str],
) -> None:
    detector = detector_of.get(task.host, "")
    name = task.host if grouping == v1.TASK_GROUPING_HOST else detector
    group = groups.setdefault(name, v1.TaskGroup(name=name, detector=detector))
    group.task_ids.append(task.id)
    group.states[state] += 1


# --- roles ---------------------------------------------------------------------------------------


async def roles_reply(core: Core, request: v1.ListRolesRequest) -> v1.ListRolesReply:
    """Roles in the order of the tree."""
    environment = core.environment(request.environment_id)
    pace = core.roster.pace
    depth = request.depth if request.HasField("depth") else None
    budget = Budget("ask for fewer levels with depth, or for smaller pages with limit")
    reply = v1.ListRolesReply()
    last = ""
    for role in _after(environment.root, request):
        if request.limit and len(reply.roles) == request.limit:
            reply.next_cursor = last
            break
        reply.roles.append(await role_info(role, pace, budget, depth))
        last = role.path
    reply.timestamp = core.now_ms()
    return reply


def _after(root: Role, request: v1.ListRolesRequest) -> Iterator[Role]:
    """The roles that are asked for, after the cursor's."""
    roles = iter(root.query(request.path)) if request.path else iter([root])
    if request.cursor:
        for role in roles:
            if role.path == request.cursor:
                break
        else:
            raise bad_cursor(request.cursor)
    return roles


# --- detectors -----------------------------------------------------------------------------------


async def detectors_reply(core: Core, request: v1.ListDetectorsRequest) -> v1.ListDetectorsReply:
    """Detectors of the inventory, and those that environments use without it. Raises `NotFound`."""
    users = {
        detector: environment.id
        for environment in core.manager.environments()
        for detector in environment.detectors()
    }
    names = {name.upper() for name in await core.configuration.detectors(True)} | set(users)
    inventory = await core.configuration.detectors_inventory()
    hosts = {detector.upper(): sorted(found) for detector, found in inventory.items()}
    if missing := sorted(_upper(request.names) - names):
        raise NotFound(
            f"there is no detector {missing[0][:40]!r}; there are {', '.join(sorted(names))}"
        )
    wanted = _upper(request.names) or names
    return v1.ListDetectorsReply(
        detectors=[
            v1.Detector(name=name, environment_id=users.get(name, ""), hosts=hosts.get(name, ()))
            for name in sorted(wanted)
        ],
        timestamp=core.now_ms(),
    )


def _upper(names: Sequence[str]) -> frozenset[str]:
    return frozenset(name.upper() for name in names)
