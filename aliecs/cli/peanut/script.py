"""A script: the commands of the command line, one on each line, until one of them fails."""

from __future__ import annotations

import shlex
import time
from typing import TextIO

import click

from aliecs.cli.peanut.command import (
    COMMAND_CONTEXT,
    Duration,
    Explaining,
    Session,
    direct_step,
    fmq_step,
    get_state,
    transition,
    wait,
)
from aliecs.errors import AliecsError, InvalidInput, Location, TransitionFailed


@click.group(cls=Explaining, context_settings=COMMAND_CONTEXT, add_help_option=False)
def line() -> None:
    """One line of a script."""


for command in (get_state, transition, direct_step, fmq_step, wait):
    line.add_command(command)


@line.command("sleep", context_settings=COMMAND_CONTEXT)
@click.argument("duration", type=Duration())
def sleep(duration: float) -> None:
    """Do nothing for a while."""
    time.sleep(duration)


def run_script(file: TextIO, session: Session) -> None:
    """Run the lines of a file, as they come. The first one that fails is told with its place and
    ends it: `TransitionFailed`, or `InvalidInput` for what is no command."""
    for number, text in enumerate(file, start=1):
        place = Location(file.name, number)
        try:
            if words := shlex.split(text, comments=True):
                line.main(words, prog_name="", standalone_mode=False, obj=session)
        except click.ClickException as error:
            raise InvalidInput(f"{place}: {error.format_message()}") from None
        except ValueError as error:
            raise InvalidInput(f"{place}: {error}") from None
        except AliecsError as error:
            raise TransitionFailed(f"{place}: {error}", error) from None
