"""What `coconut` tells of the past of an environment, where the core offers it
(`aliecs.v1.Control`): what failed first, how its transitions went, and what it was warned of."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from aliecs.api.mapping import to_value
from aliecs.cli.output import Output, local_time, state_text
from aliecs.cli.session import Session
from aliecs.protocol import aliecs_v1_pb2
from aliecs.txgrpc.status import RpcError


def record_of(here: Session, environment_id: str) -> aliecs_v1_pb2.EnvironmentRecord | None:
    """The core's record of an environment; None where it has none, or none of such things."""
    if not here.has_extended():
        return None
    request = aliecs_v1_pb2.GetEnvironmentHistoryRequest(id=environment_id)
    try:
        reply = here.ask_extended("GetEnvironmentHistory", request)
    except RpcError as error:
        here.output.note(f"the core's record of {environment_id}: {error}")
        return None
    record: aliecs_v1_pb2.EnvironmentRecord | None = next(iter(reply.environments), None)
    return record


def cause_line(cause: aliecs_v1_pb2.Cause) -> str:
    """The cause in one line: what, where, and how it ended."""
    parts = [" ".join(cause.line.split())]
    if cause.task_name and cause.task_id not in cause.line:
        parts.append(f"task {cause.task_name}")
    if cause.host and cause.host not in cause.line:
        parts.append(f"on host {cause.host}")
    if cause.exit and cause.exit not in cause.line:
        parts.append(f"({cause.exit})")
    return " ".join(parts)


def print_cause(output: Output, record: aliecs_v1_pb2.EnvironmentRecord, column: int = 20) -> None:
    """One line with the cause, and the last that the task wrote."""
    if not record.HasField("cause"):
        return
    output.label("cause", Text(cause_line(record.cause), style="red"), column)
    for line in record.cause.last_log_lines:
        output.line(" " * column + line)
    for line in record.failed_then:
        output.label("failed then", " ".join(line.split()), column)
    if record.failed_then_left_out:
        output.label("failed then", f"and {record.failed_then_left_out} more", column)


def print_warnings(
    output: Output, record: aliecs_v1_pb2.EnvironmentRecord, column: int = 20
) -> None:
    """What went wrong without consequence, each in one line."""
    for warning in record.warnings:
        output.label("warning", Text(" ".join(warning.split()), style="yellow"), column)


def print_record(output: Output, record: aliecs_v1_pb2.EnvironmentRecord) -> None:
    """An environment that is no more."""
    if not output.is_text:
        output.value(history_value(record))
        return
    output.label("environment id", record.id)
    output.label("workflow template", record.workflow_template)
    if record.repository:
        output.label("read from", f"{record.repository}@{record.revision}")
    output.label("created", f"{local_time(record.created_ms)} by {record.created_by or 'unknown'}")
    output.label("ended", local_time(record.ended_ms))
    output.label("state", state_text(record.state))
    print_cause(output, record)
    if record.run_numbers:
        output.label("runs", " ".join(str(number) for number in record.run_numbers))
    for transition in record.transitions:
        took_s = (transition.ended_ms - transition.started_ms) / 1000
        line = f"{transition.from_state} -> {transition.to_state}"
        if transition.roles:
            line = f"{' '.join(transition.roles)} in {transition.from_state}"
        if transition.ended_ms:
            line += f", {took_s:.3f} s"
        if transition.error:
            line += f": {' '.join(transition.error.split())}"
        output.label(transition.event, line)
    print_warnings(output, record)


def history_value(record: aliecs_v1_pb2.EnvironmentRecord) -> dict[str, Any]:
    """The record for programs."""
    return to_value(record)
