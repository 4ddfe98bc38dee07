"""What the full screen shows: boxes for the state, the controls, the configuration and what
happened. Knows nothing of tasks; `screen` tells it what to show."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList, RichLog, Static
from textual.widgets.option_list import Option

CALM, GOOD, BAD, BETWEEN = "ansi_cyan", "ansi_green", "ansi_red", "ansi_yellow"
STATE_COLOURS: Mapping[str, str] = {
    "STANDBY": CALM,
    "IDLE": CALM,
    "CONFIGURED": "ansi_blue",
    "READY": "ansi_blue",
    "RUNNING": GOOD,
    "ERROR": BAD,
    "UNREACHABLE": BAD,
    "WRONG MODE": BAD,
    "UNKNOWN": "ansi_default",
    "DONE": "ansi_default",
    "EXITING": "ansi_default",
}
HELP = " n reconnect   l load configuration   q quit   Tab ↑ ↓ Enter choose, scroll"


def printable(text: str) -> str:
    """What a task says, without anything that would move the cursor or worse."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


class Board(Widget):
    """All boxes. They are filled through its methods."""

    DEFAULT_CSS = """
    Board { layout: vertical; height: 1fr; background: ansi_default; color: ansi_default; }
    Board #title { height: 1; text-style: reverse; padding: 0 1; }
    Board #upper { height: 1fr; }
    Board #left { width: 1fr; }
    Board .box { border: round ansi_bright_black; padding: 0 1; background: ansi_default;
                 color: ansi_default; scrollbar-size-vertical: 1; }
    Board .box:focus { border: round ansi_cyan; }
    Board #state { height: 3; text-style: bold; }
    Board #control { height: 1fr; }
    Board #control > .option-list--option { color: ansi_default; }
    Board #control > .option-list--option-disabled { color: ansi_bright_black; text-style: dim; }
    Board #control > .option-list--option-highlighted { background: ansi_default; color:
                 ansi_default; text-style: none; }
    Board #control:focus > .option-list--option-highlighted { text-style: reverse; }
    Board #configuration { width: 2fr; height: 1fr; }
    Board #past { height: 25%; min-height: 3; max-height: 16; }
    Board #problem { height: auto; max-height: 4; padding: 0 1; color: ansi_red; display: none; }
    Board #help { height: 1; }
    """

    def __init__(self, title: str, controls: Mapping[str, str]) -> None:
        super().__init__()
        self._title = title
        self._controls = controls

    def compose(self) -> ComposeResult:
        """The boxes at their places."""
        yield Static(Content(self._title), id="title")
        with Horizontal(id="upper"):
            with Vertical(id="left"):
                state = Static(id="state", classes="box")
                state.border_title = "state"
                yield state
                control = OptionList(
                    *[
                        Option(Content(f"{key}  {event}"), id=event, disabled=True)
                        for key, event in self._controls.items()
                    ],
                    id="control",
                    classes="box",
                )
                control.border_title = "control"
                yield control
            with VerticalScroll(id="configuration", classes="box"):
                yield Static()
        past = RichLog(id="past", classes="box", wrap=True, min_width=1)
        past.border_title = "steps and events"
        yield past
        yield Static(id="problem")
        yield Static(Content(HELP), id="help")

    def show_state(self, state: str, raw: str = "") -> None:
        """The state of the task with, where it is another, the task's own word for it; or what is
        wrong with the task."""
        colour = STATE_COLOURS.get(raw or state, BETWEEN)
        text = printable(f"{state} ({raw})" if raw else state)
        self.query_one("#state", Static).update(Content.styled(text, colour))

    def show_activity(self, text: str) -> None:
        """What is going on: an order under way, an answer that is late."""
        self.query_one("#state").border_subtitle = Content(text)

    def enable_controls(self, enabled: bool) -> None:
        """Whether an event can be sent at all."""
        control = self.query_one("#control", OptionList)
        for event in self._controls.values():
            if enabled:
                control.enable_option(event)
            else:
                control.disable_option(event)

    def show_configuration(self, properties: Mapping[str, str], word: str) -> None:
        """The properties that go with every event, and how far they have gone."""
        box = self.query_one("#configuration")
        box.border_title = f"runtime configuration ({word})"
        lines = [printable(f"{key} = {value}") for key, value in properties.items()]
        box.query_one(Static).update(Content("\n".join(lines)))

    def show_problem(self, text: str) -> None:
        """The last thing that went wrong; nothing, where that is over."""
        problem = self.query_one("#problem", Static)
        problem.update(Content(printable(text)))
        problem.display = bool(text)

    def note(self, text: str, colour: str = "") -> None:
        """Add a line to what happened."""
        line = f"{time.strftime('%H:%M:%S')}  {printable(text)}"
        self.query_one("#past", RichLog).write(Text(line, style=colour.removeprefix("ansi_")))
