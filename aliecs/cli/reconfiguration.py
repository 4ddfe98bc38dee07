"""`coconut environment reconfigure`: other variables for an environment, without restarting it."""

from __future__ import annotations

from typing import Any

import click

from aliecs.api.mapping import to_value
from aliecs.cli.output import Output
from aliecs.cli.session import EXTENDED, session, user_name
from aliecs.cli.variables import parse_variables
from aliecs.errors import InvalidInput
from aliecs.protocol import aliecs_v1_pb2

MOST_VALUES = 3
"""Values told of each task that is replaced."""


@click.argument("environment_id", metavar="ID")
@click.option(
    "-e",
    "--extra-vars",
    metavar="KEY=VALUE",
    multiple=True,
    help="variables to set: key=value,key=value or a JSON object; can be given several times",
)
@click.option("-u", "--unset", metavar="KEY", multiple=True, help="unset one of the creation")
@click.option("--dry-run", is_flag=True, help="only say which tasks would be replaced, and why")
@click.option("-r", "--reason", default="", help="why, for the others")
def reconfigure(
    environment_id: str,
    extra_vars: tuple[str, ...],
    unset: tuple[str, ...],
    dry_run: bool,
    reason: str,
) -> None:
    """Reset an environment and configure it again, with other variables.

    Processes go on. Only tasks whose command line is another one with the new variables are
    replaced. Variables that would make other roles, or have them run elsewhere, are refused.
    """
    variables: dict[str, str] = {}
    for text in extra_vars:
        variables |= parse_variables(text)
    with session() as here:
        if not here.has_extended():
            raise InvalidInput("this core cannot reconfigure environments: create another one")
        request = aliecs_v1_pb2.ReconfigureEnvironmentRequest(
            environment_id=environment_id,
            variables=variables,
            unset=unset,
            reason=reason,
            requested_by=user_name(),
            dry_run=dry_run,
        )
        reply = here.move("ReconfigureEnvironment", request, "reconfiguring", EXTENDED)
        if not here.output.is_text:
            here.output.value(to_value(reply))
        elif dry_run:
            _print_plan(here.output, reply)
        else:
            operation = reply.operation
            here.output.line("reconfiguration complete")
            here.output.label("environment id", environment_id)
            took_s = (operation.ended_ms - operation.started_ms) / 1000
            here.output.label("took", f"{took_s:.3f} s")


def _print_plan(output: Output, reply: Any) -> None:
    names = " ".join(reply.changed_variables)
    output.label("changed variables", names or "none")
    output.label("processes kept", len(reply.kept))
    output.label("tasks replaced", len(reply.replaced))
    if reply.replaced:
        output.table(
            ("role", "task id", "host", "why"),
            [(one.role, one.task_id, one.host, _why(one)) for one in reply.replaced],
        )


def _why(one: Any) -> str:
    told = [f"{v.name}: {v.before!r} -> {v.after!r}" for v in one.values[:MOST_VALUES]]
    if len(one.values) > MOST_VALUES:
        told.append(f"and {len(one.values) - MOST_VALUES} more")
    return f"{one.why} ({', '.join(told)})" if told else str(one.why)
