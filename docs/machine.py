"""Draws the machine of an environment into `developers.md`, from the table that the core uses.

    python docs/machine.py

Replaces what stands between the marks; a test says when that has to be done. The drawings are
Mermaid text, which most viewers of Markdown show as a picture.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from aliecs.environment.machine import EDGES, INTERRUPTING, Event

PAGE = Path(__file__).with_name("developers.md")
MARKS = "<!-- machine: begin -->", "<!-- machine: end -->"
EXAMPLE = Event.CONFIGURE


def drawing() -> str:
    """The whole machine, the inside of one transition, and the table of all edges."""
    return "\n".join([*_machine(), "", *_inside(EXAMPLE), "", *_table(), ""])


def _machine() -> list[str]:
    """States as clients see them. What leads to ERROR and DONE from nearly everywhere is left to
    the table."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> STANDBY"]
    for event, edge in EDGES.items():
        if event not in INTERRUPTING:
            for source in edge.sources:
                lines.append(f"    {source.value} --> {edge.destination.value}: {event.value}")
    for event in sorted(INTERRUPTING, key=lambda event: event.value):
        edge = EDGES[event]
        lines.append(f'    state "any of {len(edge.sources)} states" as from_{event.value}')
        lines.append(f"    from_{event.value} --> {edge.destination.value}: {event.value}")
    return [*lines, "    DONE --> [*]", "```"]


def _inside(event: Event) -> list[str]:
    """The busy states of one transition."""
    edge = EDGES[event]
    source, destination = edge.sources[0].value, edge.destination.value
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        f'    state "{event.value} from {source}" as before',
        f'    state "{event.value}: {destination} reached" as reached_it',
        f"    {source} --> before: {event.value}",
        "    before --> reached_it: reached",
        f"    before --> {source}: cancelled",
        f"    reached_it --> {destination}: finished",
    ]
    for interruption in sorted(INTERRUPTING, key=lambda one: one.value):
        end = EDGES[interruption].destination.value
        for busy, seen in (("before", edge.sources[0]), ("reached_it", edge.destination)):
            if seen in EDGES[interruption].sources:
                lines.append(f"    {busy} --> {end}: {interruption.value}")
    return [*lines, "```"]


def _table() -> list[str]:
    lines = ["| event | from | to |", "| --- | --- | --- |"]
    for event, edge in EDGES.items():
        sources = ", ".join(source.value for source in edge.sources)
        lines.append(f"| {event.value} | {sources} | {edge.destination.value} |")
    return lines


def redrawn(page: str) -> str:
    """The page with a fresh drawing between the marks."""
    begin, end = (re.escape(mark) for mark in MARKS)
    fresh = f"{MARKS[0]}\n{drawing()}{MARKS[1]}"
    page, count = re.subn(f"{begin}.*?{end}", lambda _: fresh, page, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{PAGE}: there is no place for the drawing between {' and '.join(MARKS)}")
    return page


if __name__ == "__main__":
    PAGE.write_text(redrawn(PAGE.read_text()))
