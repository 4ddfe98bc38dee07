"""What tasks use, as `GetTaskUsage` tells it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter

from aliecs.protocol import aliecs_v1_pb2
from aliecs.task.roster import Roster
from aliecs.task.task import Task
from aliecs.task.usage import Usage

_ORDERS: Mapping[int, Callable[[Usage], float]] = {
    aliecs_v1_pb2.TASK_USAGE_ORDER_PROCESSORS: attrgetter("processors"),
    aliecs_v1_pb2.TASK_USAGE_ORDER_MEMORY: attrgetter("memory_bytes"),
    aliecs_v1_pb2.TASK_USAGE_ORDER_OPEN_FILES: attrgetter("open_files"),
}


async def usage_reply(
    roster: Roster, request: aliecs_v1_pb2.GetTaskUsageRequest
) -> aliecs_v1_pb2.GetTaskUsageReply:
    """The tasks that the request asks for, in its order, as many as it wants."""
    found = list(_asked_for(roster, request))
    key = _ORDERS.get(request.order)
    limit = request.limit or len(found)
    if key is not None:
        found = heapq.nlargest(limit, found, key=lambda one: key(one[1]))
    reply = aliecs_v1_pb2.GetTaskUsageReply()
    for task, usage in found[:limit]:
        reply.tasks.append(_message(task, usage))
        await roster.pace.breathe()
    return reply


def _asked_for(
    roster: Roster, request: aliecs_v1_pb2.GetTaskUsageRequest
) -> Iterator[tuple[Task, Usage]]:
    wanted = frozenset(request.task_ids)
    for task in roster.tasks():
        if task.usage is None or not task.living:
            continue
        if request.environment_id not in ("", task.environment_id):
            continue
        if not wanted or task.id in wanted:
            yield task, task.usage


def _message(task: Task, usage: Usage) -> aliecs_v1_pb2.TaskUsage:
    return aliecs_v1_pb2.TaskUsage(
        task_id=task.id,
        role=task.role_path,
        environment_id=task.environment_id,
        host=task.host,
        time_ms=int(usage.time_s * 1000),
        processor_s=usage.processor_s,
        processors=usage.processors,
        memory_bytes=usage.memory_bytes,
        open_files=usage.open_files,
        processes=usage.processes,
    )
