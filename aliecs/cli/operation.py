"""`coconut operation`: what the core is doing for whom, and what it did of late."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.text import Text

from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.output import Output, local_time
from aliecs.cli.session import EXTENDED, session, user_name, waiting_text
from aliecs.protocol import aliecs_v1_pb2

group = Group("operation", help="Look at what the core does, and did of late, and for whom.")

_MOST = 1000

_STYLES = {"RUNNING": "yellow", "SUCCEEDED": "green", "FAILED": "red", "ABORTED": "red"}


@click.option(
    "-e", "--environment", metavar="ID", default="", help="only those of this environment"
)
@click.option(
    "-n", "--limit", type=click.IntRange(0), default=20, show_default=True, help="0 for all"
)
def list_(environment: str, limit: int) -> None:
    """List operations, the newest first."""
    with session() as here:
        request = aliecs_v1_pb2.ListOperationsRequest(environment_id=environment, limit=limit)
        reply = here.ask_extended("ListOperations", request)
        if not here.output.is_text:
            here.output.value(to_value(reply))
        elif not reply.operations:
            here.output.line("no operations")
        else:
            here.output.table(
                ("id", "operation", "environment", "state", "asked for by", "began", "took"),
                [
                    (
                        one.id,
                        one.kind,
                        one.environment_id,
                        _state(one),
                        one.requested_by,
                        local_time(one.started_ms),
                        _duration(one),
                    )
                    for one in reply.operations
                ],
            )


@click.argument("operation_id", metavar="ID")
@click.option(
    "-n", "--limit", type=click.IntRange(0), default=10, show_default=True,
    help="so many failed tasks, slow ones and those that are waited for; 0 for all",
)
def show(operation_id: str, limit: int) -> None:
    """Show one operation: how far it is and whom it waits for, or how it ended; and what became of
    the tasks in each step."""
    with session() as here:
        request = aliecs_v1_pb2.GetOperationRequest(
            id=operation_id, with_results=True, waiting_limit=limit or _MOST
        )
        one = here.ask_extended("GetOperation", request)
        if not here.output.is_text:
            here.output.value(to_value(one))
            return
        for name, text in (
            ("operation", one.kind),
            ("environment", one.environment_id),
            ("state", _state(one)),
            ("asked for by", one.requested_by),
            ("began", local_time(one.started_ms)),
            ("took", _duration(one)),
            ("step", one.current_step),
            ("tasks", f"{one.done} of {one.total}" if one.total else ""),
            ("waiting", waiting_text(one).removeprefix("waiting for ")),
            ("aborted by", one.aborted_by),
            ("reason", one.abort_reason),
            ("error", one.error),
        ):
            if str(text):
                here.output.label(name, text)
        for result in one.results:
            _print_result(here.output, result, limit or _MOST)


def _print_result(output: Output, result: Any, limit: int) -> None:
    """What became of the tasks in a step: how many, who failed, who was slow."""
    output.line()
    counts = [f"{result.done} done", f"{result.failed} failed", f"{result.not_reached} not reached"]
    shown = [text for text in counts if not text.startswith("0 ")]
    if result.ended_ms:
        shown.append(f"{max(0, result.ended_ms - result.started_ms) / 1000:.3f} s")
    output.label(result.step, ", ".join(shown))
    for host in result.hosts[:limit]:
        where = f"{host.done} done, {host.failed} failed, {host.not_reached} not reached"
        output.label(f"  host {host.host}", where)
    if result.hosts and result.hosts_done:
        output.label("  other hosts", f"{result.hosts_done}, all done")
    rows = [*result.failures[:limit], *result.slowest[:limit]]
    if rows:
        output.table(
            ("role", "task id", "host", "outcome", "after", "reason"),
            [
                (
                    one.role,
                    one.task_id,
                    one.host,
                    _outcome(one),
                    f"{one.duration_ms / 1000:.3f} s",
                    one.reason,
                )
                for one in rows
            ],
        )
    more = len(result.failures) - len(result.failures[:limit]) + result.failures_left_out
    if more:
        output.line(f"and {more} more that failed")


def _outcome(one: Any) -> Text:
    name = aliecs_v1_pb2.NodeOutcome.Name(one.outcome).removeprefix("NODE_OUTCOME_").lower()
    return Text(name.replace("_", " "), style="red" if name == "failed" else "")


@click.argument("operation_id", metavar="ID")
@click.option("-r", "--reason", default="", help="why, for the others")
def abort(operation_id: str, reason: str) -> None:
    """Give up an operation that is under way.

    A creation is undone. A transition is cut off, and its environment goes to ERROR. An exclusion
    or inclusion leaves its environment in its state, and the roles excluded. A destruction cannot
    be aborted.
    """
    with session() as here:
        request = aliecs_v1_pb2.AbortOperationRequest(
            id=operation_id, reason=reason, requested_by=user_name()
        )
        one = here.move("AbortOperation", request, "aborting", EXTENDED)
        if not here.output.is_text:
            here.output.value(to_value(one))
            return
        here.output.label("operation", f"{one.kind} {one.id}")
        here.output.label("environment", one.environment_id)
        here.output.label("state", _state(one))
        if one.error:
            here.output.label("error", one.error)
    if one.state != aliecs_v1_pb2.OPERATION_STATE_ABORTED:
        raise click.exceptions.Exit(1)


def _state(one: Any) -> Text:
    name = aliecs_v1_pb2.OperationState.Name(one.state).removeprefix("OPERATION_STATE_")
    return Text(name, style=_STYLES.get(name, ""))


def _duration(one: Any) -> str:
    """How long it took, or takes until now."""
    ended_ms = one.ended_ms or time.time() * 1000
    return f"{max(0.0, ended_ms - one.started_ms) / 1000:.1f} s"


group.add(group.command("list")(list_), "ls", "l")
group.add(group.command("show")(show), "s", "get", "g")
group.add(group.command("abort")(abort), "a")
