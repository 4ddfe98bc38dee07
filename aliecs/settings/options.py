"""Command lines made from tables of settings: that of the core, and what all have in common.

`twistd aliecs` takes every setting as `--name value` or `--name=value`, upper and lower case alike,
and `--config FILE`. A boolean may stand alone. Unknown options are refused with the closest name.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import os
from collections.abc import Mapping, Sequence

from twisted.python import usage

from aliecs.settings.core import CORE
from aliecs.settings.layer import Sources, closest
from aliecs.settings.table import Setting, Table, fold

# What Twisted parses itself; everything else that begins with "--" is a setting.
_PLAIN_OPTIONS = frozenset({"", "config", "help", "version"})


def _help(setting: Setting) -> str:
    default = setting.show(setting.default)
    return f"{setting.meaning} [{default}]" if default else setting.meaning


def parameters(table: Table) -> list[list[str | None]]:
    """The options of a table, as Twisted wants them for its help. Names of the reference that have
    no effect are accepted and not listed."""
    return [[row.key, None, None, _help(row)] for row in table.rows if row.used]


class TableOptions(usage.Options):
    """Options for a twistd plugin: every setting of `table`. After parsing, `given` has what was
    said, by key."""

    table: Table

    def __init__(self) -> None:
        self.given: dict[str, str] = {}
        super().__init__()  # type: ignore[no-untyped-call]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802
        """Parse the arguments. Raises `usage.UsageError`."""
        super().parseOptions(self._take_settings(options or []))  # type: ignore[no-untyped-call]

    def parseArgs(self, *arguments: str) -> None:  # noqa: N802
        """Refuse what is no option."""
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r}: settings are given as --name value")

    def opt_version(self) -> None:
        """Show the version and end."""
        print(f"AliECS {importlib.metadata.version('aliecs')}")  # noqa: T201
        raise SystemExit(0)

    def _take_settings(self, arguments: Sequence[str]) -> list[str]:
        """Take the settings out of `arguments`; gives what is left for Twisted to parse."""
        left: list[str] = []
        rest = iter(arguments)
        for argument in rest:
            name, equals, value = argument.removeprefix("--").partition("=")
            if not argument.startswith("--") or name in _PLAIN_OPTIONS:
                left.append(argument)
                if argument in ("-c", "--config"):
                    left.extend(itertools.islice(rest, 1))
                continue
            setting = self.table.by_name.get(fold(name))
            if setting is None:
                suggestion = closest(name, self.table)
                hint = f"; did you mean --{suggestion.key}?" if suggestion else ""
                raise usage.UsageError(f"there is no option --{name}{hint}")
            if not equals and setting.kind.is_flag:
                value = "true"
            elif not equals:
                value = next(rest, "--")
                if value.startswith("--"):
                    raise usage.UsageError(f"option --{name} needs a value")
            self.given[setting.key] = value
        return left


class SettingsOptions(TableOptions):
    """The command line of the core. After parsing, `sources` gives what was said."""

    table = CORE
    synopsis = "[--config FILE] [--SETTING VALUE ...]"
    longdesc = (
        "Settings come from defaults, the file, the configuration tree, ALIECS_* variables and "
        "these options, each ranking above the one before. Names of the reference that have no "
        "effect here are accepted and not listed."
    )
    optParameters = [  # noqa: N815
        ["config", "c", None, "settings file (YAML)"],
        *parameters(CORE),
    ]

    def sources(self, environment: Mapping[str, str] | None = None) -> Sources:
        """All sources of the settings, with the variables of this process unless others are given.
        Raises `SettingsError`."""
        return Sources.gather(
            config=self["config"] or "",
            options=self.given,
            environment=os.environ if environment is None else environment,
        )
