"""`coconut operation`: what the core is doing for whom, and what it did of late."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.text import Text

from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.output import local_time
from aliecs.cli.session import session
from aliecs.protocol import aliecs_v1_pb2

group = Group("operation", help="Look at what the core does, and did of late, and for whom.")

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
def show(operation_id: str) -> None:
    """Show one operation: how far it is, or how it ended."""
    with session() as here:
        one = here.ask_extended("GetOperation", aliecs_v1_pb2.GetOperationRequest(id=operation_id))
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
            ("error", one.error),
        ):
            if str(text):
                here.output.label(name, text)


def _state(one: Any) -> Text:
    name = aliecs_v1_pb2.OperationState.Name(one.state).removeprefix("OPERATION_STATE_")
    return Text(name, style=_STYLES.get(name, ""))


def _duration(one: Any) -> str:
    """How long it took, or takes until now."""
    ended_ms = one.ended_ms or time.time() * 1000
    return f"{max(0.0, ended_ms - one.started_ms) / 1000:.1f} s"


group.add(group.command("list")(list_), "ls", "l")
group.add(group.command("show")(show), "s", "get", "g")
