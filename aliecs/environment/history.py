"""What is remembered of an environment: its transitions, its runs, and what failed first.

The record that is made of it here is what the journal keeps after the environment has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from attrs import define, field

from aliecs.environment.result import NodeResult
from aliecs.task.task import Task

LOG_LINES = 10
WARNINGS = 100

FAILURES = 20
"""What failed after the cause, and is told with it."""

DETAILED = 200
"""The last transitions, of which steps and slowest tasks are kept."""
TRANSITIONS = 2000
"""Transitions of one environment that are kept at all."""
SLOWEST = 5
"""Tasks that are kept of a transition."""


class Cause(msgspec.Struct, frozen=True):
    """The first thing that went wrong, in the words to tell it in. `exit` is how the process of
    the task ended, empty while it lives."""

    line: str
    time_ms: int
    role: str = ""
    task_id: str = ""
    task_name: str = ""
    host: str = ""
    exit: str = ""
    last_log_lines: tuple[str, ...] = ()


class TransitionRecord(msgspec.Struct):
    """One transition as it went. `steps` are (name, Unix milliseconds of its end); where it failed,
    the last one is where. `slowest` are tasks in the step of the tasks. `roles` are those that it
    has excluded or included, or given other tasks; `variables` what it has set, None for what it
    has unset."""

    event: str
    from_state: str
    to_state: str
    started_ms: int
    ended_ms: int = 0
    requested_by: str = ""
    run_number: int = 0
    error: str = ""
    steps: list[tuple[str, int]] = msgspec.field(default_factory=list)
    roles: list[str] = msgspec.field(default_factory=list)
    variables: dict[str, str | None] = msgspec.field(default_factory=dict)
    slowest: list[NodeResult] = msgspec.field(default_factory=list)


@define(eq=False)
class History:
    """See the module."""

    environment_id: str
    workflow_template: str
    created_by: str
    created_ms: int
    repository: str = ""
    revision: str = ""
    cause: Cause | None = None
    transitions: list[TransitionRecord] = field(factory=list)
    run_numbers: list[int] = field(factory=list)
    warnings: list[str] = field(factory=list)
    failed_then: list[str] = field(factory=list)
    """What failed after the cause, in order of time."""
    failed_then_left_out: int = 0
    _failed: set[str] = field(init=False, factory=set)
    """Who is among those: tasks, and lines that are about none."""

    def begin(self, record: TransitionRecord) -> None:
        """A transition begins. An environment may live for months: of long ago less is kept."""
        self.transitions.append(record)
        if len(self.transitions) > DETAILED:
            old = self.transitions[-DETAILED - 1]
            old.steps, old.slowest = [], []
        del self.transitions[:-TRANSITIONS]

    def fail(self, cause: Cause) -> None:
        """Remember what failed: the cause if it is the first, each task once."""
        who = cause.task_id or cause.line
        if who in self._failed:
            return
        self._failed.add(who)
        if self.cause is None:
            self.cause = cause
        elif len(self.failed_then) < FAILURES:
            self.failed_then.append(cause.line)
        else:
            self.failed_then_left_out += 1

    def failure_lines(self) -> list[str]:
        """The cause, then the rest in the order in which it happened."""
        lines = [self.cause.line] if self.cause is not None else []
        lines += self.failed_then
        if self.failed_then_left_out:
            lines.append(f"and {self.failed_then_left_out} more")
        return lines

    def recover(self) -> None:
        """What failed is mended; it stays among the warnings."""
        if self.cause is not None:
            self.warn(f"recovered from: {self.cause.line}")
        self.cause = None
        self.failed_then, self.failed_then_left_out = [], 0
        self._failed.clear()

    def warn(self, text: str) -> None:
        """Remember what went wrong without consequence."""
        self.warnings.append(text)
        del self.warnings[:-WARNINGS]

    def complete(self, task_id: str, exit: str = "", last_log_lines: Sequence[str] = ()) -> None:
        """Add to the cause what became known of its task only later."""
        cause = self.cause
        if cause is not None and cause.task_id == task_id != "":
            self.cause = msgspec.structs.replace(
                cause,
                exit=cause.exit or exit,
                last_log_lines=tuple(last_log_lines) or cause.last_log_lines,
            )

    def record(self, state: str, ended_ms: int = 0) -> Mapping[str, Any]:
        """All of it, as JSON values."""
        made: Mapping[str, Any] = msgspec.to_builtins(
            {
                "id": self.environment_id,
                "workflow_template": self.workflow_template,
                "repository": self.repository,
                "revision": self.revision,
                "state": state,
                "created_by": self.created_by,
                "created_ms": self.created_ms,
                "ended_ms": ended_ms,
                "cause": self.cause,
                "transitions": self.transitions,
                "run_numbers": self.run_numbers,
                "warnings": self.warnings,
                "failed_then": self.failed_then,
                "failed_then_left_out": self.failed_then_left_out,
            }
        )
        return made


def cause_of_task(task: Task, reason: str, now_ms: int, doing: str = "", exit: str = "") -> Cause:
    """A cause that is a task: `doing` says what was going on, as in "CONFIGURE"; `exit` is how its
    process ended, where the task's own end does not tell."""
    prefix = f"{doing}: " if doing else ""
    first, *rest = reason.strip().splitlines() or [""]
    return Cause(
        line=f"{prefix}task {task.short_name} on host {task.host} ({task.id}): {first}",
        time_ms=now_ms,
        role=task.role_path,
        task_id=task.id,
        task_name=task.name,
        host=task.host,
        exit=exit or (task.end.exit if task.end is not None else ""),
        last_log_lines=tuple(rest[-LOG_LINES:]),
    )


def first_lines(texts: Sequence[str], limit: int = 3) -> str:
    """Up to `limit` texts joined, and how many more there are."""
    shown = "; ".join(texts[:limit])
    return shown if len(texts) <= limit else f"{shown}; and {len(texts) - limit} more"
