"""`coconut role`: roles of an environment by their paths, and where their variables come from."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import click
from rich.text import Text
from rich.tree import Tree

from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.output import Output, state_text
from aliecs.cli.session import session
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2

group = Group("role", help="Look at the roles of an environment.")


def role_tree(role: Any, excluded: Container[str] = ()) -> Tree:
    """A role and all below it, with their states; `excluded` are paths of excluded roles."""
    tree = Tree(_role_label(role, excluded))
    _add_children(tree, role, excluded)
    return tree


def _add_children(tree: Tree, role: Any, excluded: Container[str]) -> None:
    for child in role.roles:
        _add_children(tree.add(_role_label(child, excluded)), child, excluded)


def _role_label(role: Any, excluded: Container[str]) -> Text:
    label = Text("[") + state_text(role.state) + Text(f"]  {role.name}")
    if role.fullPath in excluded:
        label.append(" (excluded)", style="yellow")
    if not role.roles and len(role.taskIds) == 1:
        label.append(f" --> task {role.taskIds[0]}")
    return label


@click.argument("environment_id", metavar="ID")
@click.argument("path", metavar="PATH")
def query(environment_id: str, path: str) -> None:
    """Show roles whose path fits the glob PATH (`*` within a name, `**` across dots)."""
    with session() as here:
        request = o2control_pb2.GetRolesRequest(envId=environment_id, pathSpec=path)
        reply = here.ask("GetRoles", request)
        output = here.output
        if not output.is_text:
            output.value(to_value(reply))
            return
        if not reply.roles:
            output.line("no roles found")
        for number, role in enumerate(reply.roles):
            output.line(f"({number})")
            output.label("role path", role.fullPath)
            output.label("status", role.status)
            output.label("state", state_text(role.state))
            output.map("role defaults", role.defaults)
            output.map("role variables", role.vars)
            output.map("user-provided variables", role.userVars)
            output.map("consolidated stack", role.consolidatedStack)
            output.line("subtree:")
            output.tree(role_tree(role))


@click.argument("environment_id", metavar="ID")
@click.argument("path", metavar="[PATH]", default="")
@click.option("-n", "--name", multiple=True, help="only the variable of this name")
def variables(environment_id: str, path: str, name: tuple[str, ...]) -> None:
    """Show the variables that roles see, where each value comes from, and what it overrides: of the
    roles whose path fits the glob PATH, or of the root role."""
    with session() as here:
        request = aliecs_v1_pb2.ExplainVariablesRequest(
            environment_id=environment_id, role=path, names=name
        )
        reply = here.ask_extended("ExplainVariables", request)
        if here.output.is_text:
            print_explained(here.output, reply.roles)
        else:
            here.output.value(to_value(reply))


def print_explained(output: Output, roles: Sequence[Any]) -> None:
    """Write variables with their origins."""
    if not roles:
        output.line("no roles found")
    for role in roles:
        output.line(Text(role.role, style="bold"))
        for variable in role.variables:
            line = Text(f"  {variable.name} = {variable.value or '<empty>'}")
            line.append(f"  {_origin(variable.origin)}", style="dim")
            output.line(line)
            for other in variable.overrides:
                text = f"      not {other.value or '<empty>'}  {_origin(other.origin)}"
                output.line(Text(text, style="dim"))


def _origin(origin: Any) -> str:
    owner = f" of {origin.role}" if origin.role else ""
    place = f", {origin.file}:{origin.line}" if origin.file else ""
    return f"({origin.layer}{owner}, {origin.source}{place})"


group.add(group.command("query")(query), "q")
group.add(group.command("variables")(variables), "v", "vars")
