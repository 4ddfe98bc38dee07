"""Ending tasks and restarting them, as `aliecs.v1.Control` offers it."""

from __future__ import annotations

from collections.abc import Sequence

from aliecs.api.core import Core
from aliecs.errors import InvalidInput, NotFound
from aliecs.protocol import aliecs_v1_pb2
from aliecs.task.task import Task

MOST_KILLED = 10_000
"""Tasks of one request."""


def task_of(core: Core, task_id: str) -> Task:
    """The task that a request names. Raises `NotFound`."""
    task = core.roster.task(task_id)
    if task is None:
        raise NotFound(f"task not found: no task with id {task_id[:40]!r}")
    return task


def tasks_of(core: Core, request: aliecs_v1_pb2.KillTasksRequest) -> Sequence[Task]:
    """The tasks that are to be ended. Raises `InvalidInput` and `NotFound`."""
    ids = dict.fromkeys(request.task_ids)
    if not ids:
        raise InvalidInput("no task is named: give the ids of those to end")
    if len(ids) > MOST_KILLED:
        raise InvalidInput(f"more than {MOST_KILLED} tasks are named")
    return [task_of(core, task_id) for task_id in ids]


def told(task: Task) -> aliecs_v1_pb2.KilledTask:
    """A task before it is ended; afterwards it is nobody's."""
    return aliecs_v1_pb2.KilledTask(
        task_id=task.id,
        role=task.role_path,
        environment_id=task.environment_id,
        host=task.host,
    )


def kill_reply(
    killed: Sequence[Task], left: Sequence[Task], before: Sequence[aliecs_v1_pb2.KilledTask]
) -> aliecs_v1_pb2.KillTasksReply:
    """What became of them."""
    known = {one.task_id: one for one in before}
    reply = aliecs_v1_pb2.KillTasksReply()
    for task in killed:
        one = known[task.id]
        one.end = str(task.end) if task.end is not None else "was never launched"
        reply.killed.append(one)
    reply.left.extend(known[task.id] for task in left)
    return reply
