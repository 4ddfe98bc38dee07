"""What `coconut` writes: labels, tables, maps, trees for people; JSON and YAML for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import yaml
from attrs import frozen
from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

FORMATS = ("text", "json", "yaml")

# Wide enough that a program that reads our output never meets a wrapped line.
_UNWRAPPED = 100_000

# Columns parted by bars, a rule below the head, nothing around it.
_BOX = Box("    \n  | \n -+ \n  | \n    \n    \n  | \n    \n", ascii=True)

_STATE_STYLES = {
    "STANDBY": "blue",
    "DONE": "blue",
    "RUNNING": "green",
    "CONFIGURED": "yellow",
    "CONNECTED": "green",
    "INITIAL": "yellow",
    "FINAL": "yellow",
}


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state, style=_STATE_STYLES.get(state, "red"))


def local_time(milliseconds: int) -> str:
    """A Unix time in milliseconds as people here read it."""
    if not milliseconds:
        return "never"
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(milliseconds / 1000))


def local_time_exact(milliseconds: int) -> str:
    """The same with the milliseconds that clocks are compared by."""
    whole, rest = divmod(milliseconds, 1000)
    moment = time.localtime(whole)
    return time.strftime(f"%Y-%m-%d %H:%M:%S.{rest:03d} %Z", moment)


@frozen
class Output:
    """Where a command's result goes. `format` is one of `FORMATS`."""

    format: str
    console: Console
    errors: Console

    @classmethod
    def open(
        cls,
        format: str,
        no_colour: bool,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> Output:
        """An output over the process's own streams, or those given."""
        return cls(
            format,
            _console(stdout or sys.stdout, no_colour),
            _console(stderr or sys.stderr, no_colour),
        )

    @property
    def is_text(self) -> bool:
        """True when people read it."""
        return self.format == "text"

    def value(self, value: Any) -> None:
        """Write a result for programs."""
        if self.format == "yaml":
            text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=_UNWRAPPED)
        else:
            text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        self.console.file.write(text)

    def line(self, text: str | Text = "") -> None:
        """Write one line."""
        if isinstance(text, Text):
            self.console.print(text, soft_wrap=True)
        else:
            # As it is: a console would make blanks of tabs.
            self.console.file.write(f"{text}\n")

    def label(self, name: str, value: Any, column: int = 20) -> None:
        """Write `name:` and, from `column` on, a value."""
        head = f"{name}:".ljust(column)
        if len(head) > column:
            head += " "
        line = Text(head)
        line.append(value if isinstance(value, Text) else str(value))
        self.line(line)

    def map(self, title: str, entries: Mapping[str, str]) -> None:
        """Write a map under its title, one entry a line; nothing where it is empty."""
        if entries:
            self.line(f"{title}:")
            for key in sorted(entries):
                self.line(f"\t{key}: {entries[key] or '<empty>'}")

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
        """Write a table. Numbers stand to the right."""
        table = Table(box=_BOX, show_edge=False, header_style="", pad_edge=False)
        cells = [list(row) for row in rows]
        for index, head in enumerate(heads):
            numbers = [str(row[index]) for row in cells]
            right = bool(numbers) and all(number.isdecimal() for number in numbers)
            table.add_column(
                Text(head.upper(), justify="center"),
                justify="right" if right else "left",
                overflow="fold",
            )
        for row in cells:
            table.add_row(*row)
        self.console.print(table, markup=False, highlight=False)

    def tree(self, tree: Tree) -> None:
        """Write a tree."""
        self.console.print(tree, markup=False, highlight=False)

    def note(self, text: str) -> None:
        """Write a line beside the result, for people."""
        self.errors.print(text, markup=False, highlight=False, soft_wrap=True)


def _console(stream: TextIO, no_colour: bool) -> Console:
    return Console(
        file=stream,
        no_color=True if no_colour else None,
        width=None if stream.isatty() else _UNWRAPPED,
    )
