"""A tree of roles and its channels as a picture: SVG for a page, lines of text for a terminal.

Every role is a row, the tree on the left; every channel is an arc on the right, from the end that
binds to the end that connects. Siblings that come from one iterator are alike: of more than a few
only the first are drawn and the rest are counted, unless everything is wanted.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from attrs import frozen

from aliecs.workflow.role import AggregatorRole, CallRole, Role, TaskRole

DRAWN_ALIKE = 2
"""Siblings of one iterator that are drawn where there are more than `FOLDED_FROM`."""
FOLDED_FROM = 3

_ROW = 22
_INDENT = 18
_CHARACTER = 7.2
"""Width of a character at the size in use, in pixels."""
_LANE = 14
_COLOURS = {"shmem": "#c2410c", "zeromq": "#1d4ed8"}
_OTHER_COLOUR = "#6b7280"
_FILLS = {"aggregator": "#e5e7eb", "task": "#bfdbfe", "hook": "#fde68a", "call": "#bbf7d0"}
_FONT = "font-family='ui-monospace, DejaVu Sans Mono, monospace' font-size='12'"


@frozen
class Link:
    """A channel between two tasks, by the paths of their roles."""

    binding: str
    connecting: str
    name: str
    transport: str


@frozen
class Row:
    """One line of the picture."""

    path: str
    """Of the role; empty for a line that counts roles left out."""
    depth: int
    kind: str
    """aggregator, task, hook, call, or empty."""
    name: str
    detail: str
    is_last: tuple[bool, ...]
    """For each level, the outermost first, whether nothing follows in it."""


def rows_of(root: Role, complete: bool = False) -> list[Row]:
    """The rows of a tree, folded unless `complete`."""
    return list(_rows(root, (), complete))


def _rows(role: Role, is_last: tuple[bool, ...], complete: bool) -> Iterator[Row]:
    kind, detail = _described(role)
    yield Row(role.path, len(is_last), kind, role.name, detail, is_last)
    shown = _shown(role.roles, complete)
    for position, (child, left_out) in enumerate(shown):
        last = position == len(shown) - 1
        yield from _rows(child, (*is_last, last and not left_out), complete)
        if left_out:
            text = f"... {left_out} more like it"
            yield Row("", len(is_last) + 1, "", text, "", (*is_last, last))


def _shown(children: Sequence[Role], complete: bool) -> list[tuple[Role, int]]:
    """The children that are drawn, each with the number of those left out after it."""
    if complete:
        return [(child, 0) for child in children]
    groups: list[list[Role]] = []
    for child in children:
        if groups and groups[-1][0].location == child.location:
            groups[-1].append(child)
        else:
            groups.append([child])
    shown: list[tuple[Role, int]] = []
    for group in groups:
        kept = group if len(group) <= FOLDED_FROM else group[:DRAWN_ALIKE]
        shown += [(child, 0) for child in kept[:-1]]
        shown.append((kept[-1], len(group) - len(kept)))
    return shown


def _described(role: Role) -> tuple[str, str]:
    if isinstance(role, TaskRole):
        name = role.class_identifier.rsplit("/tasks/", 1)[-1].partition("@")[0]
        where = f"{name} at {role.trigger}" if role.trigger else name
        return ("hook" if role.trigger else "task"), where
    if isinstance(role, CallRole):
        return "call", f"{role.func} at {role.trigger}" if role.trigger else role.func
    assert isinstance(role, AggregatorRole)
    return "aggregator", ""


# --- text ----------------------------------------------------------------------------------------


def draw_text(rows: Sequence[Row], links: Sequence[Link]) -> str:
    """Lines for a terminal: the tree, and at each task what it connects to."""
    connected: dict[str, list[Link]] = {}
    for link in links:
        connected.setdefault(link.connecting, []).append(link)
    lines = []
    for row in rows:
        stem = "".join("    " if last else "|   " for last in row.is_last[:-1])
        branch = ("`-- " if row.is_last[-1] else "|-- ") if row.is_last else ""
        detail = f"  [{row.kind}: {row.detail}]" if row.detail else ""
        lines.append(f"{stem}{branch}{row.name}{detail}")
        below = stem + (("    " if row.is_last[-1] else "|   ") if row.is_last else "")
        for link in connected.get(row.path, ()) if row.path else ():
            lines.append(f"{below}    <- {link.binding}:{link.name}")
    return "\n".join(lines) + "\n"


# --- SVG -----------------------------------------------------------------------------------------


def draw_svg(title: str, rows: Sequence[Row], links: Sequence[Link]) -> str:
    """An SVG document. Links to roles that are not drawn are left out."""
    places = {row.path: number for number, row in enumerate(rows) if row.path}
    drawn = [link for link in links if link.binding in places and link.connecting in places]
    lanes = _lanes([(places[link.binding], places[link.connecting]) for link in drawn])
    widest = max((_right_edge(row) for row in rows), default=0.0)
    arcs_at = widest + 16
    names: dict[int, list[str]] = {}
    for link in drawn:
        names.setdefault(places[link.connecting], []).append(link.name)
    names_at = arcs_at + _LANE * (max(lanes, default=0) + 2)
    longest = max((len(", ".join(together)) for together in names.values()), default=0)
    width = max(names_at + longest * _CHARACTER + 24, 24 + len(title) * _CHARACTER * 1.1)
    height = _ROW * (len(rows) + 3)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0f}' height='{height}' "
        f"viewBox='0 0 {width:.0f} {height}' {_FONT}>",
        f"<title>{_text(title)}</title>",
        "<rect width='100%' height='100%' fill='#ffffff'/>",
        f"<text x='8' y='18' font-weight='bold'>{_text(title)}</text>",
    ]
    parts += _stems(rows)
    parts += [_row(number, row) for number, row in enumerate(rows)]
    parts += [
        _arc(places[link.binding], places[link.connecting], lane, arcs_at, link)
        for link, lane in zip(drawn, lanes, strict=True)
    ]
    parts += _names(names, names_at)
    parts.append(_legend(len(rows), drawn))
    parts.append("</svg>\n")
    return "\n".join(parts)


def _text(text: str) -> str:
    """`text` as XML may hold it."""
    return escape("".join(one if one >= " " else "\N{REPLACEMENT CHARACTER}" for one in text))


def _middle(number: int) -> float:
    return _ROW * (number + 1) + _ROW / 2 + 4


def _left_edge(row: Row) -> float:
    return 10 + _INDENT * row.depth


def _right_edge(row: Row) -> float:
    return _left_edge(row) + 12 + _CHARACTER * (len(row.name) + len(row.detail) + 4)


def _stems(rows: Sequence[Row]) -> Iterator[str]:
    """Lines from each role down to its children."""
    above: dict[int, int] = {}
    for number, row in enumerate(rows):
        if row.depth and row.depth - 1 in above:
            x = 10 + _INDENT * (row.depth - 1) + 5
            y = _middle(number)
            top = _middle(above[row.depth - 1]) + 6
            yield (f"<path d='M{x} {top} V{y} H{_left_edge(row)}' fill='none' stroke='#d1d5db'/>")
        above[row.depth] = number


def _row(number: int, row: Row) -> str:
    x, y = _left_edge(row), _middle(number)
    if not row.kind:
        return f"<text x='{x}' y='{y + 4}' fill='#6b7280'>{_text(row.name)}</text>"
    fill = _FILLS[row.kind]
    mark = (
        f"<rect x='{x}' y='{y - 5}' width='10' height='10' rx='2' fill='{fill}' stroke='#6b7280'/>"
    )
    detail = f" <tspan fill='#6b7280'>{_text(row.detail)}</tspan>" if row.detail else ""
    text = f"<text x='{x + 16}' y='{y + 4}'>{_text(row.name)}{detail}</text>"
    return f"<g><title>{_text(row.path)}</title>{mark}{text}</g>"


def _lanes(spans: Sequence[tuple[int, int]]) -> list[int]:
    """For each span of rows a lane in which no other one is in its way, the shortest innermost."""
    lanes = [0] * len(spans)
    taken: list[list[tuple[int, int]]] = []
    for index in sorted(
        range(len(spans)), key=lambda index: abs(spans[index][0] - spans[index][1])
    ):
        low, high = sorted(spans[index])
        lane = next((number for number, lane in enumerate(taken) if _is_free(lane, low, high)), -1)
        if lane < 0:
            lane = len(taken)
            taken.append([])
        bisect.insort(taken[lane], (low, high))
        lanes[index] = lane
    return lanes


def _is_free(lane: Sequence[tuple[int, int]], low: int, high: int) -> bool:
    """True where no span of a lane, which are sorted and apart, meets this one."""
    position = bisect.bisect_left(lane, (low, high))
    before = position == 0 or lane[position - 1][1] < low
    return before and (position == len(lane) or lane[position][0] > high)


def _arc(binding: int, connecting: int, lane: int, x: float, link: Link) -> str:
    colour = _COLOURS.get(link.transport, _OTHER_COLOUR)
    start, end = _middle(binding), _middle(connecting)
    turn = x + _LANE * (lane + 1)
    middle = (start + end) / 2
    told = _text(f"{link.binding}:{link.name} -> {link.connecting} ({link.transport})")
    return (
        f"<g><title>{told}</title>"
        f"<path d='M{x} {start} H{turn - 6} Q{turn} {start} {turn} {(start + middle) / 2:.1f} "
        f"V{(end + middle) / 2:.1f} Q{turn} {end} {turn - 6} {end} H{x}' fill='none' "
        f"stroke='{colour}' stroke-width='1.5'/>"
        f"<circle cx='{x}' cy='{start}' r='3' fill='{colour}'/>"
        f"<path d='M{x} {end} l6 -4 v8 z' fill='{colour}'/></g>"
    )


def _names(names: Mapping[int, Sequence[str]], x: float) -> Iterator[str]:
    """The channels that lead to a row, beside it."""
    for number, together in names.items():
        told = _text(", ".join(together))
        yield f"<text x='{x}' y='{_middle(number) + 4}' fill='{_OTHER_COLOUR}'>{told}</text>"


def _legend(count: int, drawn: Sequence[Link]) -> str:
    y = _middle(count) + 8
    items: Mapping[str, str] = {
        **_FILLS,
        **{name: colour for name, colour in _COLOURS.items() if drawn},
    }
    parts, x = [], 10.0
    for name, colour in items.items():
        parts.append(f"<rect x='{x}' y='{y - 9}' width='10' height='10' fill='{colour}'/>")
        parts.append(f"<text x='{x + 14}' y='{y}' fill='#6b7280'>{name}</text>")
        x += 28 + _CHARACTER * len(name)
    return "".join(parts)
