"""`coconut workflow`: look at a workflow before anything is deployed: check, show, graph."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.output import Output
from aliecs.cli.role import print_explained
from aliecs.cli.session import EXTENDED, Session, session, user_name
from aliecs.cli.variables import parse_variables
from aliecs.errors import InvalidInput
from aliecs.language.glob import compile_glob
from aliecs.protocol import aliecs_v1_pb2 as v1

group = Group("workflow", help="Look at a workflow before anything is deployed.")

_MOST_SHOWN = 50

_template = click.argument("template", metavar="WORKFLOW")
_variables = click.option(
    "-e", "--extra-vars", default=None, help="variables: key=value,key=value or a JSON object"
)


def _inspect(here: Session, template: str, extra_vars: str | None, **more: Any) -> Any:
    request = v1.InspectWorkflowRequest(
        workflow_template=template,
        variables=parse_variables(extra_vars) if extra_vars is not None else {},
        requested_by=user_name(),
        **more,
    )
    return here.move("InspectWorkflow", request, f"loading {template}", EXTENDED)


@_template
@_variables
def check(template: str, extra_vars: str | None) -> int:
    """Load WORKFLOW with the variables given, deploy nothing, and tell everything that is wrong
    with it, with file and line. Exit code 1 where there is an error."""
    with session() as here:
        reply = _inspect(here, template, extra_vars)
        if not here.output.is_text:
            here.output.value(to_value(reply))
        else:
            print_problems(here.output, reply)
            print_summary(here.output, template, reply)
        return 0 if reply.valid else 1


@_template
@_variables
@click.option("-r", "--role", default="**", help="only roles whose path fits this glob")
@click.option("-t", "--tasks", is_flag=True, help="only the tasks: commands, channels, constraints")
@click.option("-c", "--calls", is_flag=True, help="only calls and hooks, in their order")
@click.option("--variables", is_flag=True, help="only variables, with their origins")
@click.option("-n", "--name", multiple=True, help="with --variables: only this one")
def show(
    template: str,
    extra_vars: str | None,
    role: str,
    tasks: bool,
    calls: bool,
    variables: bool,
    name: tuple[str, ...],
) -> int:
    """Show what WORKFLOW would be: its tree of roles, its tasks with their command lines and
    channels, and its calls and hooks in the order in which they would run."""
    if name and not variables:
        raise InvalidInput("-n chooses among variables: give --variables too")
    with session() as here:
        reply = _inspect(
            here,
            template,
            extra_vars,
            with_tree=True,
            drawing=v1.DRAWING_TEXT,
            draw_all=role != "**",
            variables_of=role if variables else "",
            variable_names=name,
        )
        output = here.output
        if not output.is_text:
            output.value(to_value(reply))
            return 0 if reply.valid else 1
        chosen = tasks or calls or variables
        print_problems(output, reply)
        if not chosen:
            output.line(reply.drawing)
        if tasks or not chosen:
            _print_tasks(output, reply.root, compile_glob(role, separator=".").matches)
        if calls or not chosen:
            print_steps(output, reply.steps)
        if variables:
            print_explained(output, reply.explained)
        print_summary(output, template, reply)
        return 0 if reply.valid else 1


@_template
@_variables
@click.option("-f", "--file", "path", default=None, help="write a picture (SVG) to this file")
@click.option("-a", "--all", "everything", is_flag=True, help="draw all roles, however many")
def graph(template: str, extra_vars: str | None, path: str | None, everything: bool) -> int:
    """Draw the roles of WORKFLOW and the channels between its tasks: here as text, or as a picture
    into a file. Of many roles alike only the first are drawn."""
    with session() as here:
        drawing = v1.DRAWING_TEXT if path is None else v1.DRAWING_SVG
        reply = _inspect(here, template, extra_vars, drawing=drawing, draw_all=everything)
        print_problems(here.output, reply)
        if path is not None:
            try:
                Path(path).write_text(reply.drawing)
            except OSError as error:
                raise InvalidInput(f"{path} cannot be written: {error.strerror}") from None
            here.output.note(f"drawn into {path}")
        elif here.output.is_text:
            here.output.console.file.write(reply.drawing)
        if not here.output.is_text:
            here.output.value(to_value(reply))
        return 0 if reply.valid else 1


# --- for people ----------------------------------------------------------------------------------


def print_problems(output: Output, reply: Any) -> None:
    """What is wrong, and what is worth knowing."""
    if not output.is_text:
        return
    for kind, style, problems in (
        ("error", "red", reply.errors),
        ("warning", "yellow", reply.warnings),
    ):
        for problem in problems[:_MOST_SHOWN]:
            line = Text()
            if problem.file:
                line.append(f"{problem.file}:{problem.line}: " if problem.line else problem.file)
            line.append(f"{kind}: ", style=style)
            line.append(problem.text)
            if problem.role:
                line.append(f" (role {problem.role})", style="dim")
            output.line(line)
        if len(problems) > _MOST_SHOWN:
            output.line(f"... and {len(problems) - _MOST_SHOWN} more (--output json has all)")


def print_summary(output: Output, template: str, reply: Any) -> None:
    """What there is of everything, in a line."""
    if not reply.name:
        output.line(f"{template}: {count(len(reply.errors), 'error')}")
        return
    output.line(
        f"{reply.name} ({reply.repository}@{reply.revision[:12]}): "
        f"{count(reply.task_count, 'task')} on {count(reply.host_count, 'named host')}, "
        f"{count(reply.call_count, 'call')}, {count(reply.role_count, 'role')}; "
        f"{count(len(reply.errors), 'error')}, {count(len(reply.warnings), 'warning')}"
    )


def count(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _walk(role: Any) -> Iterator[Any]:
    yield role
    for child in role.roles:
        yield from _walk(child)


def _print_tasks(output: Output, root: Any, fits: Callable[[str], bool]) -> None:
    for role in _walk(root):
        if role.kind != "task" or not fits(role.path):
            continue
        task = role.task
        output.line(Text(role.path, style="bold"))
        output.label("  class", task.class_name)
        output.label("  mode", f"{task.control_mode}{'' if role.critical else ', not critical'}")
        if role.trigger:
            output.label("  trigger", f"{role.trigger}, within {role.timeout}")
        output.label("  host", task.host or "any")
        for constraint in task.constraints:
            output.label("  constraint", f"{constraint.attribute} = {constraint.value}")
        output.label("  command", _command_line(task))
        if task.user:
            output.label("  user", task.user)
        for item in task.environment:
            output.label("  environment", item)
        for what, channels in (("bind", task.bind), ("connect", task.connect)):
            for channel in channels:
                output.label(f"  {what}", _channel(channel))
        output.line()


def _command_line(task: Any) -> str:
    """As a shell would take it; a shell's own text is shown as it is."""
    if task.shell:
        return " ".join([task.command, *task.arguments])
    return shlex.join([task.command, *task.arguments])


def _channel(channel: Any) -> str:
    parts = [channel.name, channel.type or "(no type)", channel.transport]
    if channel.target:
        parts.append(f"-> {channel.target}")
    elif channel.addressing:
        parts.append(channel.addressing)
    if channel.global_alias:
        parts.append(f"as ::{channel.global_alias}")
    return " ".join(parts)


def print_steps(output: Output, steps: Sequence[Any]) -> None:
    """Calls and hooks in their order."""
    if not steps:
        return
    output.table(
        ("transition", "moment", "what", "role", "crit", "timeout"),
        [
            (
                step.transition,
                f"{step.moment}{step.weight:+}" if step.moment else "",
                _step(step),
                step.role,
                ("YES" if step.critical else "NO") if step.role else "",
                step.timeout,
            )
            for step in steps
        ],
    )
    output.line()


def _step(step: Any) -> str | Text:
    if step.kind == "tasks":
        return Text(f"all tasks: {step.transition}", style="bold")
    return f"{step.kind} {step.what}"


group.add(group.command("check")(check), "c")
group.add(group.command("show")(show), "s")
group.add(group.command("graph")(graph), "g")
