"""What a rendering runs in: its budget, its outputs, and the frames of names.

A `Render` lives for one rendering and bounds it: steps, output, depth. A `Frame` is what a piece
of a template sees; loops, `with`, macros and includes get frames of their own. Statements write
into an `Output`. Nothing here knows the grammar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Protocol

from attrs import define, field

from aliecs.language.payload.error import PayloadError
from aliecs.language.payload.lexing import Token
from aliecs.language.payload.value import joined

MOST_STEPS = 4_000_000
"""Steps of a rendering: statements, their words, filters, and one more for every 16 characters that
are made or walked through."""
LARGEST_OUTPUT = 16 * 1024 * 1024
"""Characters that a rendering, or a part of it that is put aside, may have."""
LONGEST_TEXT = 4 * 1024 * 1024
"""Characters of a value."""
DEEPEST_CALL = 24
"""Macros, includes and parents' blocks inside each other."""


MOST_WARNINGS = 20


class ILinked(Protocol):
    """A template with everything that it names; see `linking`."""

    @property
    def path(self) -> str: ...

    @property
    def document(self) -> Any: ...

    @property
    def parent(self) -> ILinked | None: ...

    @property
    def references(self) -> Mapping[Any, Any]: ...


@define
class Render:
    """One rendering."""

    variables: Mapping[str, str]
    tell: Callable[[str], None]
    """Hears warnings."""
    new_id: Callable[[], str]
    load: Callable[[str], ILinked]
    """A template by the name that an include gives it; raises `PayloadError`."""
    random: Random
    steps: int = 0
    depth: int = 0
    warnings: int = 0
    dump: None = None
    """`util.Dump` has no place to write to."""

    def warn(self, text: str) -> None:
        """Tell of something that a function could not use; not without end."""
        self.warnings += 1
        if self.warnings <= MOST_WARNINGS:
            self.tell(text)
        elif self.warnings == MOST_WARNINGS + 1:
            self.tell("further warnings of this rendering are left away")

    def ask(self, function: str) -> Render:
        """The one who answers the functions; here that is the rendering itself."""
        return self

    def spend(self, steps: int) -> None:
        """Account for work. Raises `PayloadError` when too much has been done."""
        self.steps += steps
        if self.steps > MOST_STEPS:
            raise PayloadError(
                f"the rendering takes more than {MOST_STEPS} steps; are there loops in loops?"
            )

    def spend_on(self, value: Any) -> None:
        """Account for a value that was made, and refuse texts that are too long."""
        if isinstance(value, str):
            size = len(value)
            if size > LONGEST_TEXT:
                raise PayloadError(f"a text of more than {LONGEST_TEXT} characters")
            if size >= 16:
                self.spend(size >> 4)
        elif isinstance(value, (list, dict)):
            self.spend(len(value))


@define
class Output:
    """Text that is being written."""

    parts: list[str] = field(factory=list)
    size: int = 0

    def write(self, text: str) -> None:
        """Add text. Raises `PayloadError` where it becomes too much."""
        self.size += len(text)
        if self.size > LARGEST_OUTPUT:
            raise PayloadError(f"the output is longer than {LARGEST_OUTPUT} characters")
        self.parts.append(text)

    def text(self) -> str:
        """All that was written."""
        return joined("".join(self.parts))


@define(eq=False)
class Frame:
    """The names that a piece of a template sees."""

    render: Render
    public: Mapping[str, Any]
    """Variables and functions."""
    private: dict[str, Any]
    """What the template itself defines: set, with, loop variables, macros. Hides the public."""
    linked: ILinked
    """The template whose statements run, for the places in errors and for what it includes."""
    lineage: tuple[ILinked, ...]
    """From the template that was asked for to the last that it extends: who may define a block."""
    state: dict[Any, Any]
    """What `cycle` and `ifchanged` remember between passes, by statement."""
    autoescape: bool = True

    def child(self) -> Frame:
        """A frame that sees the same and keeps its own definitions to itself."""
        self.render.spend(1 + (len(self.private) >> 2))
        return Frame(
            self.render,
            self.public,
            dict(self.private),
            self.linked,
            self.lineage,
            self.state,
            self.autoescape,
        )

    def error(self, reason: str, token: Token | None = None) -> PayloadError:
        """An error in the running template, at a token."""
        line, column, text = (token.line, token.column, token.text) if token else (0, 0, "")
        return PayloadError(reason, "execution", self.linked.path, line, column, text)

    def enter(self, what: str, token: Token) -> None:
        """Go one level deeper; `leave` must follow. Raises `PayloadError` at the bottom."""
        if self.render.depth >= DEEPEST_CALL:
            raise self.error(f"{what}: more than {DEEPEST_CALL} inside each other", token)
        self.render.depth += 1

    def leave(self) -> None:
        """Come up again."""
        self.render.depth -= 1


class Statement(Protocol):
    """A piece of a template that writes."""

    weight: int
    """Steps that it costs to run once."""

    def run(self, frame: Frame, output: Output) -> None:
        """Write. Raises `PayloadError`."""


class Expression(Protocol):
    """A piece of a template that has a value."""

    token: Token

    def evaluate(self, frame: Frame) -> Any:
        """The value. Raises `PayloadError`."""

    def applies(self, name: str) -> bool:
        """Whether all operands went through a filter of this name."""


@define(eq=False)
class Body:
    """Statements in order."""

    statements: list[Statement] = field(factory=list)

    def run(self, frame: Frame, output: Output) -> None:
        """Run all of them."""
        render = frame.render
        for statement in self.statements:
            render.steps += statement.weight
            statement.run(frame, output)
        render.spend(1)

    def captured(self, frame: Frame) -> str:
        """Run all of them and give what they wrote."""
        output = Output()
        self.run(frame, output)
        return output.text()
