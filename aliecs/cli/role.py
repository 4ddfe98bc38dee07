"""`coconut role`: roles of an environment by their paths."""

from __future__ import annotations

from typing import Any

import click
from rich.text import Text
from rich.tree import Tree

from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.output import state_text
from aliecs.cli.session import session
from aliecs.protocol.protos import o2control_pb2

group = Group("role", help="Look at the roles of an environment.")


def role_tree(role: Any) -> Tree:
    """A role and all below it, with their states."""
    tree = Tree(_role_label(role))
    _add_children(tree, role)
    return tree


def _add_children(tree: Tree, role: Any) -> None:
    for child in role.roles:
        _add_children(tree.add(_role_label(child)), child)


def _role_label(role: Any) -> Text:
    label = Text("[") + state_text(role.state) + Text(f"]  {role.name}")
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


group.add(group.command("query")(query), "q")
