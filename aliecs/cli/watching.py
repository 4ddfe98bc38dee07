"""`coconut environment watch` and `logs`: an environment as it changes, what its tasks write."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from aliecs.api.mapping import to_value
from aliecs.cli.output import local_time, state_text
from aliecs.cli.session import EXTENDED, Session, session
from aliecs.errors import InvalidInput, NotFound
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import RpcError

FOLLOW_S = 1.0
"""Between two looks at what a task wrote."""

ROWS_FOR_OTHERS = 6
"""Rows of the terminal that the tree leaves free."""


class _View:
    """What is known of an environment that is watched."""

    def __init__(self, environment_id: str) -> None:
        self.environment_id = environment_id
        self.roles: dict[str, Any] = {}
        self.last: Any = None

    def take(self, change: Any) -> None:
        """Something is different."""
        self.last = change
        for role in change.roles:
            self.roles[role.role] = role

    def head(self) -> Text:
        """The environment in a line."""
        line = Text(f"{self.environment_id} ")
        line.append(state_text(self.last.state))
        if self.last.run_number:
            line.append(f" run {self.last.run_number}")
        if self.last.transition:
            line.append(f" {self.last.transition} {self.last.step}".rstrip())
        return line

    def tree(self, rows: int) -> Tree:
        """The roles, as many as fit into these rows: those above others come first, and what is
        not as the rest is not left out for what is."""
        tree = Tree(self.head())
        if self.last.cause:
            tree.add(Text(self.last.cause, style="red"))
        shown = self._fitting(rows)
        branches: dict[str, Tree] = {}
        for path in self.roles:
            if path in shown:
                parent = path.rpartition(".")[0]
                branch = branches.get(parent, tree)
                name = path.removeprefix(f"{parent}.") if parent in branches else path
                branches[path] = branch.add(_role_text(self.roles[path], name))
        left = len(self.roles) - len(shown)
        if left:
            tree.add(Text(f"and {left} more roles", style="dim"))
        return tree

    def _fitting(self, rows: int) -> set[str]:
        paths = list(self.roles)
        if len(paths) <= rows:
            return set(paths)
        root = self.roles[paths[0]]
        alike = (root.state, root.status)

        def rank(path: str) -> tuple[bool, int]:
            role = self.roles[path]
            return (role.state, role.status) == alike, path.count(".")

        shown: set[str] = set()
        for path in sorted(paths, key=rank):
            # With all that stands above it, or it would hang in the air.
            lineage = {path, *_above(path, self.roles)}
            if len(shown | lineage) <= rows:
                shown |= lineage
        return shown


def _above(path: str, known: dict[str, Any]) -> Iterator[str]:
    while path := path.rpartition(".")[0]:
        if path in known:
            yield path


def _role_text(role: Any, name: str) -> Text:
    line = Text(f"{name} ")
    line.append(state_text(role.state))
    if role.status not in ("ACTIVE", "INVARIANT", ""):
        line.append(f" {role.status}", style="red")
    if role.excluded:
        line.append(" (excluded)", style="dim")
    if role.host:
        line.append(f" on {role.host}", style="dim")
    return line


@click.argument("environment_id", metavar="ID")
def watch(environment_id: str) -> None:
    """Show an environment as it changes, until it has ended.

    On a terminal a tree that is always up to date; elsewhere a line for each change. Ctrl-C ends
    the watching and nothing else.
    """
    with session() as here:
        if not here.has_extended():
            raise InvalidInput("this core cannot be watched: ask for the environment's state")
        request = aliecs_v1_pb2.WatchEnvironmentRequest(environment_id=environment_id)
        changes = here.stream("WatchEnvironment", request, EXTENDED)
        if not here.output.is_text:
            for change in changes:
                here.output.value(to_value(change))
        elif here.output.console.is_terminal:
            _watch_tree(here, environment_id, changes)
        else:
            _watch_lines(here, environment_id, changes)


def _watch_tree(here: Session, environment_id: str, changes: Iterator[Any]) -> None:
    console = here.output.console
    view = _View(environment_id)
    with Live(console=console, auto_refresh=False, transient=False) as live:
        for change in changes:
            view.take(change)
            rows = max(1, console.size.height - ROWS_FOR_OTHERS)
            live.update(view.tree(rows), refresh=True)
    here.output.line("the environment has ended")


def _watch_lines(here: Session, environment_id: str, changes: Iterator[Any]) -> None:
    told: dict[str, str] = {}
    head = cause = ""
    for change in changes:
        at = local_time(change.time_ms)
        line = " ".join(
            part
            for part in (
                f"environment {environment_id} {change.state}",
                f"run {change.run_number}" if change.run_number else "",
                change.transition,
                change.step,
            )
            if part
        )
        if line != head:
            here.output.line(f"{at} {line}")
            head = line
        if change.cause != cause:
            cause = change.cause
            here.output.line(f"{at} {f'cause: {cause}' if cause else 'recovered'}")
        for role in change.roles:
            text = f"{role.role} {role.state} {role.status}"
            text += " excluded" if role.excluded else ""
            if told.get(role.role) != text:
                told[role.role] = text
                here.output.line(f"{at} {text}")
        here.output.console.file.flush()


# --- what tasks write -----------------------------------------------------------------------------


@click.argument("environment_id", metavar="ID")
@click.argument("what", metavar="ROLE|TASK-ID")
@click.option("-f", "--follow", is_flag=True, help="go on as it writes more, until Ctrl-C")
@click.option("-s", "--stderr", is_flag=True, help="its standard error instead of its output")
@click.option("-n", "--lines", type=click.IntRange(1), default=None, help="how many from the end")
def logs(environment_id: str, what: str, follow: bool, stderr: bool, lines: int | None) -> None:
    """Show the last that a task of an environment wrote. The task is named by its id, or by the
    path of its role or the end of that path."""
    stream = aliecs_v1_pb2.TASK_STREAM_STDERR if stderr else aliecs_v1_pb2.TASK_STREAM_STDOUT
    with session() as here:
        task_id = _task_of(here, environment_id, what)
        request = aliecs_v1_pb2.GetTaskLogRequest(
            task_id=task_id, stream=stream, tail=0 if follow else lines or 0
        )
        reply = here.ask_extended("GetTaskLog", request)
        if not here.output.is_text and not follow:
            here.output.value(to_value(reply))
            return
        seen = list(reply.lines)
        for line in seen[-lines:] if lines else seen:
            here.output.line(line)
        while follow:
            here.output.console.file.flush()
            time.sleep(FOLLOW_S)
            now = _lines_of(here, request)
            if now is None:
                return
            for line in news(seen, now):
                here.output.line(line)
            seen = now


def _lines_of(here: Session, request: Any) -> list[str] | None:
    """What the task has written until now; None where it is gone."""
    with contextlib.suppress(RpcError):
        return list(here.ask_extended("GetTaskLog", request).lines)
    here.output.note("the task is gone")
    return None


def news(seen: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """The lines that are new in what a task wrote last; what was seen may have moved out of it."""
    if list(now[: len(seen)]) == list(seen):
        return now[len(seen) :]
    if seen and list(now[: len(seen) - 1]) == list(seen[:-1]) and len(now) >= len(seen):
        # The last line had not ended yet.
        rest = now[len(seen) - 1].removeprefix(seen[-1])
        return [rest, *now[len(seen) :]]
    for begin in range(1, len(seen)):
        left = list(seen[begin:])
        if list(now[: len(left)]) == left:
            return now[len(left) :]
    return now


def _task_of(here: Session, environment_id: str, what: str) -> str:
    """The id of a task that is named by its role or by itself."""
    for pattern in (what, f"**.{what}"):
        request = o2control_pb2.GetRolesRequest(envId=environment_id, pathSpec=pattern)
        roles = here.ask("GetRoles", request).roles
        leaves = {role.fullPath: str(role.taskIds[0]) for role in roles if _is_leaf(role)}
        if len(leaves) > 1:
            told = " or ".join(sorted(leaves)[:5])
            raise InvalidInput(f"{what} may be {told}: say more of its path")
        for task_id in leaves.values():
            return task_id
        if roles:
            told = ", ".join(child.fullPath for child in roles[0].roles[:5])
            raise InvalidInput(f"the role {roles[0].fullPath} is no task; below it are {told}")
    try:
        task = here.ask("GetTask", o2control_pb2.GetTaskRequest(taskId=what)).task
    except RpcError as error:
        if error.status != "NOT_FOUND":
            raise
        raise NotFound(
            f"environment {environment_id} has no role {what}, and there is no such task (see: "
            f"coconut environment show {environment_id} --workflow)"
        ) from None
    if task.envId != environment_id:
        raise NotFound(f"task {what} is none of environment {environment_id}")
    return what


def _is_leaf(role: Any) -> bool:
    return not role.roles and bool(role.taskIds)
