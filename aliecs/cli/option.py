"""What all commands of `coconut` have in common: options, settings, aliases, help.

The common options may stand before or after the name of a command. Settings come from a file, the
environment and the command line, each ranking above the one before.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml
from attrs import field, frozen

from aliecs.cli.output import FORMATS
from aliecs.errors import InvalidInput
from aliecs.language.duration import parse_duration

DEFAULT_ENDPOINT = "127.0.0.1:32102"
DEFAULT_CONFIG_ENDPOINT = "apricot://127.0.0.1:32101"
DEFAULT_TIMEOUT_S = 55.0

_FILES = ("token_file", "tls_authority", "tls_certificate", "tls_key")
_SETTINGS = (
    *("endpoint", "config_endpoint", "verbose", "nospinner", "nocolor", "timeout"),
    *_FILES,
)
_SUFFIXES = (".yaml", ".yml", ".json", ".toml")
_TRUTHS = frozenset({"1", "t", "true", "yes", "on"})

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@frozen
class ClientSettings:
    """How this command works. `timeout_s` is None where nothing was said about it; `file` is the
    settings file in use, empty for none. The files of the token and of TLS are empty for none; with
    `tls_authority` or `tls_certificate` the core is spoken to in TLS."""

    endpoint: str = DEFAULT_ENDPOINT
    config_endpoint: str = DEFAULT_CONFIG_ENDPOINT
    verbose: bool = False
    nospinner: bool = False
    nocolor: bool = False
    timeout_s: float | None = None
    output: str = "text"
    file: str = field(default="")
    token_file: str = ""
    tls_authority: str = ""
    tls_certificate: str = ""
    tls_key: str = ""


def make_settings(given: Mapping[str, Any], environment: Mapping[str, str]) -> ClientSettings:
    """Settings from what was given on the command line and the environment. Raises `InvalidInput`
    where a file or a value cannot be understood."""
    path = _settings_file(str(given.get("config") or ""), environment)
    values: dict[str, Any] = {}
    for source in (_read(path) if path else {}, _from_environment(environment), given):
        values |= {key: source[key] for key in _SETTINGS if source.get(key) is not None}
    timeout = values.get("timeout")
    return ClientSettings(
        endpoint=str(values.get("endpoint", DEFAULT_ENDPOINT)),
        config_endpoint=str(values.get("config_endpoint", DEFAULT_CONFIG_ENDPOINT)),
        verbose=_is_true(values.get("verbose")),
        nospinner=_is_true(values.get("nospinner")),
        nocolor=_is_true(values.get("nocolor")),
        timeout_s=None if timeout is None else _timeout(str(timeout)),
        output=str(given.get("output") or "text"),
        file=str(path or ""),
        **{
            name: str(Path(str(values.get(name) or "")).expanduser())
            for name in _FILES
            if values.get(name)
        },
    )


def _settings_file(named: str, environment: Mapping[str, str]) -> Path | None:
    if named:
        return Path(named)
    folder = Path(environment.get("HOME", "/nonexistent")) / ".config" / "coconut"
    candidates = [folder / f"settings{suffix}" for suffix in _SUFFIXES]
    return next((path for path in candidates if path.is_file()), None)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text()
        value = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except OSError as error:
        raise InvalidInput(f"{path}: the settings cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: {' '.join(str(error).split())}") from None
    if value is not None and not isinstance(value, dict):
        raise InvalidInput(f"{path}: settings are a map of names to values")
    return {str(key).lower(): item for key, item in (value or {}).items()}


def _from_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {key: environment[key.upper()] for key in _SETTINGS if environment.get(key.upper())}


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() in _TRUTHS


def _timeout(text: str) -> float:
    seconds = parse_duration(text if not text.isdecimal() else f"{text}s")
    if seconds <= 0:
        raise InvalidInput(f"the timeout {text!r} leaves no time")
    return seconds


# Options that every command takes, before or after its name.
_COMMON: Sequence[Callable[[], click.Option]] = (
    lambda: _common(["--endpoint"], metavar="HOST:PORT", help="the core's control API"),
    lambda: _common(["--config_endpoint"], metavar="URI", help="the configuration service"),
    lambda: _common(["--config"], metavar="FILE", help="settings file of this program"),
    lambda: _common(
        ["--timeout"],
        metavar="DURATION",
        help="limit of a request, such as 30s [55s; create, control and others that move "
        "something wait without limit]",
    ),
    lambda: _common(
        ["--token-file"], metavar="FILE", help="file with the token that says who you are"
    ),
    lambda: _common(
        ["--tls-authority"],
        metavar="FILE",
        help="speak TLS; who signs the core's certificate (PEM), or `system`: whom this machine "
        "trusts",
    ),
    lambda: _common(["--tls-certificate"], metavar="FILE", help="your own certificate (PEM)"),
    lambda: _common(["--tls-key"], metavar="FILE", help="its private key (PEM)"),
    lambda: _common(["-v", "--verbose"], is_flag=True, default=None, help="say what is asked"),
    lambda: _common(["--nospinner"], is_flag=True, default=None, help="show no progress"),
    lambda: _common(["--nocolor"], is_flag=True, default=None, help="use no colours"),
    lambda: _common(
        ["-o", "--output"], type=click.Choice(FORMATS), help="for people, or for programs"
    ),
)


def _common(names: Sequence[str], **attributes: Any) -> click.Option:
    return click.Option(names, expose_value=False, callback=_remember, **attributes)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value is not None:
        context.find_root().ensure_object(dict)[parameter.name] = value
    return value


class Command(click.Command):
    """A command with the common options."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        attributes.setdefault("context_settings", CONTEXT)
        super().__init__(*arguments, **attributes)
        self.params.extend(make() for make in _COMMON)


def _help_without_command() -> None:
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


class Group(click.Group):
    """Commands under one name, each with aliases. Without a command it prints its help."""

    command_class = Command

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        attributes.setdefault("context_settings", CONTEXT)
        attributes |= {"invoke_without_command": True, "callback": _help_without_command}
        super().__init__(*arguments, **attributes)
        self.params.extend(make() for make in _COMMON)
        self._names: dict[str, str] = {}
        self._aliases: dict[str, Sequence[str]] = {}

    def add(self, command: click.Command, *aliases: str) -> None:
        """Add a command under its name and others."""
        assert command.name is not None
        self.add_command(command)
        self._aliases[command.name] = aliases
        self._names |= dict.fromkeys(aliases, command.name)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of a name or an alias."""
        return super().get_command(context, self._names.get(name, name))

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but usage lines show the command's own name."""
        _, command, rest = super().resolve_command(context, arguments)
        return command.name if command else None, command, rest

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands with their aliases."""
        rows = []
        for name in self.list_commands(context):
            command = self.commands[name]
            names = ", ".join((name, *self._aliases.get(name, ())))
            rows.append((names, command.get_short_help_str(limit=70)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def settings_of(context: click.Context) -> ClientSettings:
    """The settings of the command that runs."""
    return make_settings(context.find_root().ensure_object(dict), os.environ)
