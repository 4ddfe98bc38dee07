"""`coconut configuration`: payloads of components, their history, and the tree as it is.

Works with every configuration service that `config_endpoint` can name, also the reference's. Exit
codes: 1 for arguments that cannot be, 3 where the service cannot be reached, 4 where there is
nothing, 6 where what was asked does not fit what is there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml
from attrs import asdict, frozen

from aliecs.cli.option import ClientSettings, Group, settings_of
from aliecs.cli.output import Output, local_time
from aliecs.cli.service import ask_configuration
from aliecs.cli.session import user_name
from aliecs.cli.toml import write_toml
from aliecs.cli.variables import parse_variables
from aliecs.configuration.format import FORMATS, SUFFIXES, format_of
from aliecs.configuration.query import (
    ANY_ROLE,
    ANY_RUN_TYPE,
    RUN_TYPES,
    ComponentQuery,
    parse_stored_query,
)
from aliecs.errors import (
    AliecsError,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    Unavailable,
)
from aliecs.interfaces import HistoricPayload, IConfigurationService, PayloadChange, PayloadImport
from aliecs.txgrpc.status import RpcError

BAD_ARGUMENTS = 1
NO_CONNECTION = 3
NOTHING_THERE = 4
DOES_NOT_FIT = 6

_EXIT_CODES: Sequence[tuple[type[AliecsError], int]] = (
    (InvalidInput, BAD_ARGUMENTS),
    (Unavailable, NO_CONNECTION),
    (DeadlineExceeded, NO_CONNECTION),
    (RpcError, NO_CONNECTION),
    (NotFound, NOTHING_THERE),
)

T = TypeVar("T")

group = Group(
    "configuration",
    help="Look at and change the configuration of components.",
    epilog="Exit codes: 0 done, 1 wrong arguments, 3 no connection, 4 nothing there, 6 it does not "
    "fit what is there.",
)


class ConfigurationFailed(AliecsError):
    """A command of this group failed; `exit_code` is what the program ends with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@frozen
class _Here:
    """One run of a command."""

    settings: ClientSettings
    output: Output

    @classmethod
    def open(cls) -> _Here:
        settings = settings_of(click.get_current_context())
        return cls(settings, Output.open(settings.output, settings.nocolor))

    def ask(self, question: Callable[[IConfigurationService], Awaitable[T]]) -> T:
        """Ask the configuration service. Raises `ConfigurationFailed`."""
        if self.settings.verbose:
            self.output.note(f"asking {self.settings.config_endpoint}")
        try:
            return ask_configuration(self.settings, question)
        except AliecsError as error:
            code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), None)
            raise ConfigurationFailed(str(error), code or DOES_NOT_FIT) from error


# --- what several commands take -----------------------------------------------------------------


def _of_entry(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say where an entry is."""
    for option in (
        click.option("-l", "--role", default=ANY_ROLE, help="role of an entry [any]"),
        click.option(
            "-r",
            "--runtype",
            default=ANY_RUN_TYPE,
            help="run type of an entry, such as PHYSICS [ANY]",
        ),
    ):
        command = option(command)
    return command


# Names from when payloads had versions of another kind.
_timestamp = click.option("-t", "--timestamp", default="", hidden=True)


def _query(names: Sequence[str], run_type: str, role: str) -> ComponentQuery:
    """The entry that `COMPONENT ENTRY` or a full path names."""
    if len(names) == 1:
        if names[0].count("/") < 3:
            raise InvalidInput(
                f"please provide entry name: {names[0]} is no path component/RUNTYPE/role/entry"
            )
        return parse_stored_query(names[0])
    if len(names) != 2:
        raise InvalidInput("name an entry: COMPONENT ENTRY, or its full path")
    component, entry = names
    if run_type.upper() not in RUN_TYPES:
        raise InvalidInput(f"there is no run type {run_type}; there are {', '.join(RUN_TYPES)}")
    if entry.rpartition("/")[2] == "resolve":
        raise InvalidInput(
            f"{entry}: no entry is called resolve, which HTTP has for something else"
        )
    return parse_stored_query(f"{component}/{run_type.upper()}/{role}/{entry}")


# --- the tree as it is --------------------------------------------------------------------------


@click.argument("key")
@click.option(
    "-f", "--format", type=click.Choice(("yaml", "json", "toml")), default="yaml", help="[yaml]"
)
def dump(key: str, format: str) -> None:
    """Print all that is below KEY, such as o2/components/qc."""
    here = _Here.open()
    tree = json.loads(here.ask(lambda service: service.raw_recursive(key)))
    if not here.output.is_text:
        here.output.value(tree)
    elif format == "json":
        here.output.line(json.dumps(tree, indent=4, ensure_ascii=False))
    elif format == "yaml":
        here.output.line(_as_yaml(tree))
    elif not isinstance(tree, dict):
        raise ConfigurationFailed(f"{key} is no folder, and TOML has nothing else", DOES_NOT_FIT)
    else:
        here.output.line(write_toml(tree).rstrip("\n"))


@click.argument("component", default="")
@_timestamp
def list_(component: str, timestamp: str) -> None:
    """List all components, or the entries of one."""
    here = _Here.open()
    if "/" in component:
        raise InvalidInput(f"{component} is not the name of a component: it has a slash")
    if component:
        names = here.ask(lambda service: service.component_entries(component))
    else:
        names = here.ask(lambda service: service.components())
    if here.output.is_text:
        here.output.line(_as_yaml(list(names)))
    else:
        here.output.value(list(names))


# --- payloads -----------------------------------------------------------------------------------


@click.argument("names", nargs=-1, required=True, metavar="COMPONENT ENTRY | PATH")
@_of_entry
@click.option("-s", "--simulate", is_flag=True, help="process it as a template")
@click.option("-e", "--extra-vars", help="variables for -s: key=value,... or a JSON object")
@_timestamp
def show(
    names: Sequence[str],
    runtype: str,
    role: str,
    simulate: bool,
    extra_vars: str | None,
    timestamp: str,
) -> None:
    """Print a payload, exactly the one that is named."""
    here = _Here.open()
    query = _query(names, runtype, role)
    variables = None if extra_vars is None else parse_variables(extra_vars)
    if variables and not simulate:
        here.output.note("ignoring --extra-vars: the payload is not processed without --simulate")
    given = (variables or {}) if simulate else None
    payload = here.ask(lambda service: service.component_payload(str(query), given))
    if not payload:
        raise ConfigurationFailed(f"no data was found: {query} is empty", NOTHING_THERE)
    _print_payload(here, query, payload)


@click.argument("names", nargs=-1, required=True, metavar="COMPONENT ENTRY | PATH")
@_of_entry
@click.option("--show", "number", type=click.IntRange(1), help="print number N of the list")
def history(names: Sequence[str], runtype: str, role: str, number: int | None) -> None:
    """List what a payload was before, the newest first, or print one of these."""
    here = _Here.open()
    query = _query(names, runtype, role)
    path = str(query)
    if number is not None:
        _show_historic(here, query, number)
        return
    found = here.ask(lambda service: service.payload_history(path))
    if not here.output.is_text:
        here.output.value([_history_value(about) for about in found])
    elif not found:
        here.output.line(f"Nothing is known of what {path} was before.")
    else:
        here.output.table(
            ("n", "until", "replaced by", "bytes", "why"),
            [
                (
                    str(index),
                    local_time(about.replaced_ms),
                    about.replaced_by,
                    str(about.size_bytes),
                    about.comment,
                )
                for index, about in enumerate(found, 1)
            ],
        )


def _show_historic(here: _Here, query: ComponentQuery, number: int) -> None:
    async def historic(service: IConfigurationService) -> str:
        found = await service.payload_history(str(query))
        if len(found) < number:
            raise NotFound(f"{query} has {len(found)} former payloads: there is no number {number}")
        return (await service.historic_payload(str(query), found[number - 1].version))[1]

    _print_payload(here, query, here.ask(historic))


@click.argument("arguments", nargs=-1, required=True, metavar="(COMPONENT ENTRY | PATH) FILE")
@click.option("-n", "--new-component", is_flag=True, help="the component is not there yet")
@click.option("-f", "--format", default="", help="json, yaml, ini or toml [as the file is called]")
@_of_entry
@click.option("--dry-run", is_flag=True, help="only show what would change")
@click.option("--comment", default="", help="why, for the history")
def import_(
    arguments: Sequence[str],
    new_component: bool,
    format: str,
    runtype: str,
    role: str,
    dry_run: bool,
    comment: str,
) -> None:
    """Set a payload to what a file has. What was there before is kept in the history."""
    here = _Here.open()
    if len(arguments) < 2:
        raise InvalidInput("name an entry and a file")
    *names, file = arguments
    query = _query(names, runtype, role)
    order = PayloadImport(
        path=str(query),
        payload=_read(file),
        new_component=new_component,
        dry_run=dry_run,
        format=_checked_format(here, file, format),
        user=user_name(),
        comment=comment,
    )
    change = here.ask(lambda service: service.import_payload(order))
    if here.output.is_text:
        _print_change(here.output, query, order, change)
    else:
        value = {"path": order.path, "key": query.key, "dryRun": dry_run}
        here.output.value({**value, **_camel(asdict(change))})


@click.argument("names", nargs=-1, required=True, metavar="COMPONENT ENTRY | PATH")
@_of_entry
@click.option("--comment", default="", help="why, for the history")
def delete(names: Sequence[str], runtype: str, role: str, comment: str) -> None:
    """Remove a payload. It is kept in the history."""
    here = _Here.open()
    query = _query(names, runtype, role)
    here.ask(lambda service: service.delete_payload(str(query), user_name(), comment))
    if here.output.is_text:
        here.output.line(f"entry deleted: {query.key}")
    else:
        here.output.value({"path": str(query), "key": query.key})


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_bytes().decode()
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is no text: {error}") from None


def _checked_format(here: _Here, file: str, format: str) -> str:
    """What to check a payload as."""
    if not format:
        found = format_of(file)
        if not found:
            raise InvalidInput(
                f"{file}: the file's name ends in none of {', '.join(SUFFIXES)}; say what it is "
                "with --format"
            )
        return found
    if format.lower() not in (*FORMATS, "yml"):
        here.output.note(f"{format} is not known here: the form of the payload is not checked")
        return ""
    return format


def _print_change(
    output: Output, query: ComponentQuery, order: PayloadImport, change: PayloadChange
) -> None:
    for note in change.notes:
        output.note(f"note: {note}")
    if not change.component_existed:
        output.line(f"new component: {query.component}")
    if not change.entry_existed:
        output.line(f"new entry: {query}")
    elif change.changed:
        output.line(f"entry updated: {query}")
    else:
        output.line(f"entry is so already: {query}")
    output.line(f"key: {query.key}")
    if order.dry_run:
        output.line("only tried: nothing was changed")
        output.line(change.difference.rstrip("\n"))


def _print_payload(here: _Here, query: ComponentQuery, payload: str) -> None:
    if here.output.is_text:
        here.output.line(payload.removesuffix("\n"))
    else:
        here.output.value({"path": str(query), "payload": payload})


def _history_value(about: HistoricPayload) -> dict[str, Any]:
    return _camel(asdict(about))


def _camel(values: dict[str, Any]) -> dict[str, Any]:
    """Names as the other commands write them for programs."""

    def named(name: str) -> str:
        first, *others = name.split("_")
        return first + "".join(word.capitalize() for word in others)

    return {named(name): value for name, value in values.items()}


def _as_yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, allow_unicode=True, width=100_000)
    return text.removesuffix("...\n").rstrip("\n")


group.add(group.command("dump")(dump), "d")
group.add(group.command("list")(list_), "l", "ls")
group.add(group.command("show")(show), "s")
group.add(group.command("history")(history), "h")
group.add(group.command("import")(import_), "i", "imp")
group.add(group.command("delete")(delete), "del")
