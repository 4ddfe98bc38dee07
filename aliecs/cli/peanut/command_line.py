"""The command line of `peanut`: its options, its commands, and what they print.

Without a command it opens the full screen, whose modules are loaded only then. A line of a script
runs the same commands (see `script`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from aliecs.cli.peanut.command import (
    COMMAND_CONTEXT,
    CONTEXT,
    Duration,
    Explaining,
    Session,
    direct_step,
    event_stream,
    fmq_step,
    get_state,
    state_stream,
    transition,
    wait,
)
from aliecs.cli.peanut.flattening import flatten
from aliecs.cli.peanut.mode import Mode
from aliecs.cli.peanut.script import run_script
from aliecs.errors import AliecsError, InvalidInput
from aliecs.occ.blocking import BlockingOccClient

DEFAULT_ADDRESS = "localhost:47100"
ADDRESS = re.compile(r"unix:.+|.+:\d{1,5}")
PORT_VARIABLE = "OCC_CONTROL_PORT"


def _checked_address(context: click.Context, option: click.Parameter, text: str | None) -> Any:
    if text and not ADDRESS.fullmatch(text):
        raise click.BadParameter(f"{text!r} is no HOST:PORT")
    return text


@click.group(
    cls=Explaining,
    context_settings=CONTEXT,
    invoke_without_command=True,
    epilog="Without a command: the full screen. There -mode is direct unless given, and without"
    f" -addr the port is that of the variable {PORT_VARIABLE}, on this machine (-mode direct"
    " only).",
)
@click.option(
    "-addr",
    "--addr",
    callback=_checked_address,
    metavar="HOST:PORT",
    help=f"The control port of the task.  [default: {DEFAULT_ADDRESS}]",
)
@click.option(
    "-mode",
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    help="fmq: a FairMQ device (JSON); direct: a task with the OCC library (protobuf); fmq-step: a"
    " FairMQ device in its own words, on the full screen.  [default: fmq]",
)
@click.option(
    "-timeout",
    "--timeout",
    type=Duration(),
    metavar="DURATION",
    default="30s",
    show_default=True,
    help="Limit of a command as a whole; streams have none.",
)
@click.option(
    "-config",
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML or JSON file to flatten and send as arguments; key=value arguments win.",
)
@click.pass_context
def peanut(
    context: click.Context, addr: str | None, mode: str | None, timeout: float, config: Path | None
) -> None:
    """Look at one task and move it by hand, through its control port."""
    if context.invoked_subcommand is None:
        context.exit(_open_screen(context, addr or "", Mode(mode or "direct"), timeout, config))
    if addr == "":
        raise click.UsageError("the option -addr is empty", context)
    client = BlockingOccClient(addr or DEFAULT_ADDRESS, Mode(mode or "fmq").codec)
    context.with_resource(client)
    context.obj = Session(client, timeout, _configuration(config))


def _configuration(path: Path | None) -> dict[str, str]:
    return flatten(path.read_bytes(), str(path)) if path else {}


def _open_screen(
    context: click.Context, address: str, mode: Mode, timeout_s: float, config: Path | None
) -> int:
    # The library of the screen writes to standard error.
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream.isatty() for stream in streams) or os.environ.get("TERM", "") == "dumb":
        raise click.UsageError(
            "without a command there is a full screen, and that needs a terminal on standard"
            " input, output and error; else give a command",
            context,
        )
    if not address:
        address = _local_address(mode)
    from aliecs.cli.peanut.screen import show

    return show(address, mode, timeout_s, _configuration(config))


def _local_address(mode: Mode) -> str:
    if mode is not Mode.DIRECT:
        raise InvalidInput(f"-mode {mode.value} needs the address of the device: -addr HOST:PORT")
    port = os.environ.get(PORT_VARIABLE, "")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        told = f"is {port!r}, which is no port" if port else "is not set"
        raise InvalidInput(f"give the address of the task, -addr HOST:PORT: {PORT_VARIABLE} {told}")
    return f"127.0.0.1:{int(port)}"


for command in (
    get_state, transition, direct_step, fmq_step, wait, state_stream, event_stream
):  # fmt: skip
    peanut.add_command(command)


@peanut.command(
    "script", context_settings=COMMAND_CONTEXT, short_help="Run the commands of a file."
)
@click.argument("file", type=click.File(errors="replace"))
@click.pass_obj
def script(session: Session, file: TextIO) -> None:
    """Run the commands of FILE, or of standard input (-), until one of them fails: get-state,
    transition, direct-step, fmq-step, wait, and sleep DURATION, one on each line. # begins a
    comment, quotes hold what belongs together, -timeout is for each line."""
    run_script(file, session)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script. Exit status: 0; 1 with `peanut: <what went wrong>` on standard error; 2
    for a command line that cannot be."""
    try:
        status = peanut.main(arguments, prog_name="peanut", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = 130
    except AliecsError as error:
        click.echo(f"peanut: {error}", err=True)
        status = 1
    sys.exit(status or 0)
