"""The dialog that asks for a file with the configuration: completes paths, and reads the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from attrs import frozen
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from aliecs.cli.peanut.flattening import flatten
from aliecs.errors import InvalidInput

SHOWN_NAMES = 8


@frozen
class Loaded:
    """A file as it was read."""

    path: str
    properties: Mapping[str, str]


def matches(text: str) -> list[str]:
    """The paths that a text can become, in the way it is written; folders end in a slash."""
    folder, slash, beginning = text.rpartition("/")
    prefix = folder + slash
    place = Path(prefix or ".").expanduser()
    if text == "~":
        return ["~/"]
    try:
        entries = sorted(os.scandir(place), key=lambda entry: entry.name)
    except OSError:
        return []
    return [
        f"{prefix}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if entry.name.startswith(beginning)
        # As shells do: hidden ones for those who ask for them.
        and (beginning or not entry.name.startswith("."))
    ]


def completed(text: str) -> str:
    """A text with all added that every path it can become begins with."""
    # By characters, not by components: that is what is wanted.
    return os.path.commonprefix(matches(text)) or text  # noqa: RUF071


def load(text: str) -> Loaded:
    """Read a file. `InvalidInput` where it cannot be read or is no mapping."""
    path = Path(text).expanduser()
    try:
        return Loaded(text, flatten(path.read_bytes(), text))
    except OSError as error:
        raise InvalidInput(f"{text}: {error.strerror}") from None


class PathInput(Input):
    """A line in which Tab completes. It sees Tab as it sees letters, in their order: what is typed
    or pasted at once is not completed before it is all there."""

    def on_key(self, event: Key) -> None:
        """Add what is certain."""
        if event.key == "tab":
            event.stop()
            event.prevent_default()
            self.value = completed(self.value)
            self.cursor_position = len(self.value)


class LoadDialog(ModalScreen[Loaded | None]):
    """Asks for a path; the answer is the file, read, or None."""

    CSS = """
    LoadDialog { align: center middle; }
    LoadDialog Vertical { width: 80%; height: auto; border: round ansi_cyan; padding: 0 1; }
    LoadDialog Input { border: none; padding: 0; height: 1; }
    LoadDialog #names { color: ansi_bright_black; }
    LoadDialog #problem { color: ansi_red; display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", priority=True),
        Binding("ctrl+c", "cancel", priority=True),
    ]

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:
        """A line for the path, what it can become, and what is wrong with it."""
        with Vertical() as box:
            box.border_title = "load configuration: file (YAML, JSON)"
            box.border_subtitle = "Enter load   Tab complete   Esc leave"
            yield PathInput(self._path, select_on_focus=False)
            yield Static(id="names")
            yield Static(id="problem")

    def on_input_changed(self) -> None:
        """Show what the path can become."""
        found = matches(self.query_one(Input).value)
        names = [Path(path).name + path[len(path.rstrip("/")) :] for path in found[:SHOWN_NAMES]]
        more = len(found) - len(names)
        text = "  ".join(names) + (f"  and {more} more" if more else "")
        self.query_one("#names", Static).update(Content(text))
        self._show_problem("")

    def on_input_submitted(self) -> None:
        """Read the file and close, or tell why not."""
        text = self.query_one(Input).value
        if not text:
            self.dismiss(None)
            return
        try:
            self.dismiss(load(text))
        except InvalidInput as error:
            self._show_problem(error.message)

    def action_cancel(self) -> None:
        """Close without a file."""
        self.dismiss(None)

    def _show_problem(self, text: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update(Content(text))
        problem.display = bool(text)
