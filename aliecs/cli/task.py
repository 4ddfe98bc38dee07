"""`coconut task`: tasks of the core, what they wrote and use; ending and restarting them."""

from __future__ import annotations

import time

import click

from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.output import state_text
from aliecs.cli.session import EXTENDED, session, user_name
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2

group = Group("task", help="Look at tasks, end them, and restart them.")

_STREAMS = {
    "stdout": aliecs_v1_pb2.TASK_STREAM_STDOUT,
    "stderr": aliecs_v1_pb2.TASK_STREAM_STDERR,
}
_ORDERS = {
    "processors": aliecs_v1_pb2.TASK_USAGE_ORDER_PROCESSORS,
    "memory": aliecs_v1_pb2.TASK_USAGE_ORDER_MEMORY,
    "files": aliecs_v1_pb2.TASK_USAGE_ORDER_OPEN_FILES,
}


def _yes_or_no(value: bool) -> str:
    return "YES" if value else "NO"


def list_() -> None:
    """List all tasks of the core."""
    with session() as here:
        reply = here.ask("GetTasks", o2control_pb2.GetTasksRequest())
        if not here.output.is_text:
            here.output.value(to_value(reply))
        elif not reply.tasks:
            here.output.line("no tasks running")
        else:
            here.output.table(
                (
                    f"task id ({len(reply.tasks)})",
                    "class name",
                    "hostname",
                    "locked",
                    "claimable",
                    "crit",
                    "status",
                    "state",
                    "PID",
                ),
                [
                    (
                        task.taskId,
                        task.className,
                        task.deploymentInfo.hostname,
                        _yes_or_no(task.locked),
                        _yes_or_no(task.claimable),
                        _yes_or_no(task.critical),
                        task.status,
                        state_text(task.state),
                        task.pid,
                    )
                    for task in reply.tasks
                ],
            )


@click.argument("task_ids", metavar="[TASK-ID]...", nargs=-1)
def clean(task_ids: tuple[str, ...]) -> None:
    """End tasks that no environment holds: all of them, or those named."""
    with session() as here:
        request = o2control_pb2.CleanupTasksRequest(taskIds=task_ids)
        reply = here.move("CleanupTasks", request, "ending tasks")
        if not here.output.is_text:
            here.output.value(to_value(reply))
            return
        killed = reply.killedTasks
        if killed:
            here.output.table(
                (f"task id ({len(killed)} killed)", "class name", "hostname"),
                [(task.taskId, task.className, task.deploymentInfo.hostname) for task in killed],
            )
        else:
            here.output.line("0 tasks killed")
        here.output.line(f"{len(reply.runningTasks)} tasks running")


@click.argument("task_id", metavar="TASK-ID")
@click.option("-s", "--stream", type=click.Choice(list(_STREAMS)), default="stdout")
@click.option("-n", "--lines", type=click.IntRange(1), default=None, help="how many from the end")
def log(task_id: str, stream: str, lines: int | None) -> None:
    """Show the last that a task wrote."""
    with session() as here:
        request = aliecs_v1_pb2.GetTaskLogRequest(
            task_id=task_id, stream=_STREAMS[stream], tail=lines or 0
        )
        reply = here.ask_extended("GetTaskLog", request)
        if not here.output.is_text:
            here.output.value(to_value(reply))
            return
        for line in reply.lines:
            here.output.line(line)


@click.argument("task_ids", metavar="TASK-ID...", nargs=-1, required=True)
@click.option("-f", "--force", is_flag=True, help="also where an environment goes to ERROR for it")
@click.option("-r", "--reason", default="", help="why, for the others")
def kill(task_ids: tuple[str, ...], force: bool, reason: str) -> None:
    """End tasks, whoever has them: asked nicely at first, then hard.

    To its environment this is as any other end of a task. A critical one of an environment that is
    not in ERROR is only ended by force.
    """
    with session() as here:
        request = aliecs_v1_pb2.KillTasksRequest(
            task_ids=task_ids, force=force, reason=reason, requested_by=user_name()
        )
        reply = here.move("KillTasks", request, "ending tasks", EXTENDED)
        if not here.output.is_text:
            here.output.value(to_value(reply))
        else:
            here.output.table(
                ("task id", "role", "hostname", "ended"),
                [
                    (one.task_id, one.role, one.host, " ".join(one.end.split()) or "not yet")
                    for one in (*reply.killed, *reply.left)
                ],
            )
    if reply.left:
        raise click.exceptions.Exit(1)


@click.argument("task_id", metavar="TASK-ID")
@click.option("-r", "--reason", default="", help="why, for the others")
def restart(task_id: str, reason: str) -> None:
    """Give the role of a task another process, on the same host, and bring it to the state that its
    environment is in.

    In RUNNING only where the variable `excludable` of the role is `true`. Where it fails, the role
    stays excluded.
    """
    with session() as here:
        request = aliecs_v1_pb2.RestartTaskRequest(
            task_id=task_id, reason=reason, requested_by=user_name()
        )
        operation = here.move("RestartTask", request, "restarting", EXTENDED)
        if not here.output.is_text:
            here.output.value(to_value(operation))
            return
        here.output.line("task restarted")
        here.output.label("environment", operation.environment_id)
        took_s = (operation.ended_ms - operation.started_ms) / 1000
        here.output.label("took", f"{took_s:.3f} s")


@click.option(
    "-e", "--environment", metavar="ID", default="", help="only tasks of this environment"
)
@click.option(
    "-s",
    "--sort",
    type=click.Choice(list(_ORDERS)),
    default="memory",
    show_default=True,
    help="the task with the most of it comes first",
)
@click.option(
    "-n", "--limit", type=click.IntRange(0), default=20, show_default=True, help="0 for all"
)
@click.argument("task_ids", metavar="[TASK-ID]...", nargs=-1)
def usage(environment: str, sort: str, limit: int, task_ids: tuple[str, ...]) -> None:
    """Show what tasks use of their hosts: processors, memory, open files. Executors tell it every
    so often (the core's setting taskUsageInterval); the column AGE says how long ago."""
    with session() as here:
        reply = here.ask_extended(
            "GetTaskUsage",
            aliecs_v1_pb2.GetTaskUsageRequest(
                environment_id=environment, task_ids=task_ids, order=_ORDERS[sort], limit=limit
            ),
        )
        if not here.output.is_text:
            here.output.value(to_value(reply))
        elif not reply.tasks:
            here.output.line("nothing is known yet of what tasks use")
        else:
            now_s = time.time()
            here.output.table(
                (
                    "task id",
                    "role",
                    "hostname",
                    "processors",
                    "memory",
                    "files",
                    "processes",
                    "age",
                ),
                [
                    (
                        task.task_id,
                        task.role,
                        task.host,
                        f"{task.processors:.2f}",
                        _bytes(task.memory_bytes),
                        str(task.open_files),
                        str(task.processes),
                        f"{max(0.0, now_s - task.time_ms / 1000):.0f} s",
                    )
                    for task in reply.tasks
                ],
            )


def _bytes(number: int) -> str:
    return f"{number / 2**30:.2f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"


group.add(group.command("list")(list_), "ls", "l")
group.add(group.command("clean")(clean), "cleanup", "cl")
group.add(group.command("kill")(kill), "k")
group.add(group.command("restart")(restart))
group.add(group.command("log")(log))
group.add(group.command("usage")(usage))
