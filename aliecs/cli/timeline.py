"""The time line of an environment: its transitions, what each step of them took, and the slowest
tasks. Bars on a terminal; elsewhere a line for each, without any."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from aliecs.cli.history import print_cause, print_warnings
from aliecs.cli.output import Output, local_time, local_time_exact, state_text
from aliecs.protocol import aliecs_v1_pb2

BAR = 40
"""Columns of a bar: the whole of a transition."""
_FULL = "█"
_PARTS = " ▏▎▍▌▋▊▉"


def print_timeline(output: Output, record: aliecs_v1_pb2.EnvironmentRecord) -> None:
    """An environment and all its transitions, the oldest first."""
    output.label("environment id", record.id)
    output.label("workflow template", record.workflow_template)
    output.label("created", f"{local_time(record.created_ms)} by {record.created_by or 'unknown'}")
    if record.ended_ms:
        output.label("ended", local_time(record.ended_ms))
    output.label("state", state_text(record.state))
    print_cause(output, record)
    if record.run_numbers:
        output.label("runs", " ".join(str(number) for number in record.run_numbers))
    draws = output.console.is_terminal
    for transition in record.transitions:
        output.line()
        output.line(_head(transition))
        for step in transition.steps:
            output.line(_step(transition, step, draws))
            if step.name.startswith("tasks_"):
                for node in transition.slowest:
                    took_s = node.duration_ms / 1000
                    output.line(f"      {took_s:8.3f} s  {node.role} on {node.host}")
        if transition.error:
            output.line(Text(f"  failed: {transition.error.splitlines()[0]}", style="red"))
    print_warnings(output, record)


def _head(transition: Any) -> Text:
    """What it was, when, for whom, and how long it took."""
    line = Text(transition.event, style="bold")
    line.append(f"  {local_time_exact(transition.started_ms)}")
    if transition.ended_ms:
        line.append(f"  {(transition.ended_ms - transition.started_ms) / 1000:.3f} s")
    else:
        line.append("  under way")
    if transition.from_state != transition.to_state:
        line.append(f"  {transition.from_state} -> {transition.to_state}")
    line.append(f"  by {transition.requested_by or 'nobody named'}")
    if transition.run_number:
        line.append(f"  run {transition.run_number}")
    if transition.roles:
        line.append(f"  {' '.join(transition.roles)}")
    told = [f"{name}={value}" for name, value in sorted(transition.variables.items())]
    told += [f"{name} unset" for name in transition.unset_variables]
    if told:
        line.append(f"  {', '.join(told)}")
    return line


def _step(transition: Any, step: Any, draws: bool) -> Text:
    """What it took, and where in the transition it was."""
    took_s = max(0, step.ended_ms - step.started_ms) / 1000
    line = Text(f"  {took_s:8.3f} s  {step.name:<24}")
    if draws:
        whole_ms = max(1, (transition.ended_ms or step.ended_ms) - transition.started_ms)
        begin = (step.started_ms - transition.started_ms) / whole_ms
        length = (step.ended_ms - step.started_ms) / whole_ms
        line.append(" ")
        line.append(bar(begin, length), style="green" if step.name.startswith("tasks_") else "blue")
    line.rstrip()
    return line


def bar(begin: float, length: float) -> str:
    """A bar from one part of the whole on, both from 0 to 1. Of what lasted at all there is
    something to see."""
    first = min(BAR - 1, int(begin * BAR))
    eighths = max(1, round(min(length, 1.0) * BAR * 8))
    full, part = divmod(eighths, 8)
    full = min(full, BAR - first)
    text = " " * first + _FULL * full
    if part and first + full < BAR:
        text += _PARTS[part]
    return text
