"""`coconut environment modify`: exclude roles and detectors, and include them again."""

from __future__ import annotations

import click

from aliecs.api.mapping import to_value
from aliecs.cli.output import Output, local_time
from aliecs.cli.session import EXTENDED, Session, session, user_name
from aliecs.errors import InvalidInput
from aliecs.protocol import aliecs_v1_pb2
from aliecs.txgrpc.status import RpcError


@click.argument("environment_id", metavar="ID")
@click.option("--exclude", metavar="ROLE", multiple=True, help="exclude the role of that path")
@click.option("--exclude-detector", metavar="DET", multiple=True, help="exclude a detector")
@click.option("--include", metavar="ROLE", multiple=True, help="include the role again")
@click.option("--include-detector", metavar="DET", multiple=True, help="include the detector again")
@click.option("--reconfigure-all", is_flag=True, help="then reset and configure everything")
@click.option("-r", "--reason", default="", help="why, for the others")
def modify(
    environment_id: str,
    exclude: tuple[str, ...],
    exclude_detector: tuple[str, ...],
    include: tuple[str, ...],
    include_detector: tuple[str, ...],
    reconfigure_all: bool,
    reason: str,
) -> None:
    """Exclude parts of an environment and include them again, while the rest goes on.

    In RUNNING only roles can be modified whose variable `excludable` is `true`. Each option can be
    given several times; what is excluded comes first.
    """
    if not (exclude or exclude_detector or include or include_detector or reconfigure_all):
        raise InvalidInput("say what to --exclude, --exclude-detector, --include or so")
    with session() as here:
        if not here.has_extended():
            raise InvalidInput("this core cannot modify environments: create another one")
        request = aliecs_v1_pb2.ModifyEnvironmentRequest(
            environment_id=environment_id,
            exclude_roles=exclude,
            exclude_detectors=exclude_detector,
            include_roles=include,
            include_detectors=include_detector,
            reconfigure_all=reconfigure_all,
            reason=reason,
            requested_by=user_name(),
        )
        operation = here.move("ModifyEnvironment", request, "modifying", EXTENDED)
        if not here.output.is_text:
            here.output.value(to_value(operation))
            return
        here.output.line("modification complete")
        here.output.label("environment id", environment_id)
        print_exclusions(here.output, exclusions_of(here, environment_id))


def exclusions_of(here: Session, environment_id: str) -> aliecs_v1_pb2.ListExclusionsReply:
    """What is excluded from an environment; nothing where the core does not tell."""
    reply = aliecs_v1_pb2.ListExclusionsReply()
    if here.has_extended():
        request = aliecs_v1_pb2.ListExclusionsRequest(environment_id=environment_id)
        try:
            reply = here.ask_extended("ListExclusions", request)
        except RpcError as error:
            # An older core has our service without it.
            if error.status != "UNIMPLEMENTED":
                raise
    return reply


def print_exclusions(output: Output, reply: aliecs_v1_pb2.ListExclusionsReply) -> None:
    """What is excluded, each in one line."""
    for one in reply.exclusions:
        text = f"{one.role} by {one.requested_by or 'nobody named'}, {local_time(one.since_ms)}"
        if one.dead_tasks:
            text += f", {one.dead_tasks} of {one.tasks} tasks dead"
        if one.reason:
            text += f": {one.reason}"
        output.label("excluded", text)
    if not reply.exclusions:
        output.label("excluded", "none")
