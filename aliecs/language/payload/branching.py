"""The tags that choose and repeat: if, ifequal, ifnotequal, ifchanged, for, cycle, firstof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define

from aliecs.language.payload.evaluation import Body, Expression, Frame, Output, Statement
from aliecs.language.payload.lexing import IDENTIFIER, KEYWORD, SYMBOL, Token
from aliecs.language.payload.parsing import Cursor, Parser, Tag
from aliecs.language.payload.text import escape
from aliecs.language.payload.value import (
    CycleValue,
    Loop,
    ValueFault,
    equal,
    from_bytes,
    is_true,
    text_bytes,
    to_text,
)
from aliecs.language.value import Namespace, TextList

_NO_ARGUMENTS = "Arguments not allowed here."


def _expressions(arguments: Cursor) -> Iterator[Expression]:
    while arguments.remaining:
        yield arguments.expression()


@define(eq=False)
class _If:
    conditions: list[Expression]
    bodies: list[Body]
    """One for each condition, and one more for `else`."""
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        for condition, body in zip(self.conditions, self.bodies, strict=False):
            if is_true(condition.evaluate(frame)):
                body.run(frame, output)
                return
        if len(self.bodies) > len(self.conditions):
            self.bodies[len(self.conditions)].run(frame, output)


def _parse_if(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    conditions = [arguments.expression()]
    arguments.finish("If-condition is malformed.")
    bodies = []
    weight = len(arguments.tokens)
    while True:
        body, end, rest = parser.until("elif", "else", "endif")
        bodies.append(body)
        if end == "elif":
            conditions.append(rest.expression())
            weight += len(rest.tokens)
            rest.finish("Elif-condition is malformed.")
        else:
            rest.finish(_NO_ARGUMENTS)
        if end == "endif":
            return _If(conditions, bodies, weight)


def _either(parser: Parser, end_name: str) -> tuple[Body, Body | None]:
    """The statements up to the end tag, and those after an `else` in between."""
    body, end, rest = parser.until("else", end_name)
    rest.finish(_NO_ARGUMENTS)
    if end == end_name:
        return body, None
    otherwise, _, rest = parser.until(end_name)
    rest.finish(_NO_ARGUMENTS)
    return body, otherwise


@define(eq=False)
class _IfEqual:
    token: Token
    left: Expression
    right: Expression
    wants_equal: bool
    body: Body
    otherwise: Body | None
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        left, right = self.left.evaluate(frame), self.right.evaluate(frame)
        try:
            same = equal(left, right)
        except ValueFault as fault:
            raise frame.error(str(fault), self.token) from fault
        body = self.body if same is self.wants_equal else self.otherwise
        if body is not None:
            body.run(frame, output)


def _parse_if_equal(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    left = arguments.expression()
    right = arguments.expression()
    arguments.finish(f"{name.text} only takes 2 arguments.")
    body, otherwise = _either(parser, f"end{name.text}")
    weight = len(arguments.tokens)
    return _IfEqual(name, left, right, name.text == "ifequal", body, otherwise, weight)


@define(eq=False)
class _IfChanged:
    token: Token
    watched: list[Expression]
    """What must change; without any, what the body writes."""
    body: Body
    otherwise: Body | None
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        if not self.watched:
            text = self.body.captured(frame)
            if frame.state.get(self, "") != text:
                frame.state[self] = text
                output.write(text)
            return
        values = [expression.evaluate(frame) for expression in self.watched]
        previous = frame.state.get(self)
        frame.state[self] = values
        if previous is None or self._differ(previous, values, frame):
            self.body.run(frame, output)
        elif self.otherwise is not None:
            self.otherwise.run(frame, output)

    def _differ(self, previous: list[Any], values: list[Any], frame: Frame) -> bool:
        try:
            return not all(map(equal, previous, values))
        except ValueFault as fault:
            raise frame.error(str(fault), self.token) from fault


def _parse_if_changed(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    watched = list(_expressions(arguments))
    body, otherwise = _either(parser, "endifchanged")
    return _IfChanged(name, watched, body, otherwise, 1 + len(arguments.tokens))


_NO_VALUE = object()


# --- for -----------------------------------------------------------------------------------------


@define(eq=False)
class _For:
    token: Token
    key: str
    value: str
    items: Expression
    is_reversed: bool
    is_sorted: bool
    body: Body
    empty: Body | None
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        inner = frame.child()
        outer_loop = frame.private.get("forloop")
        loop = Loop(outer_loop if isinstance(outer_loop, Loop) else None)
        inner.private["forloop"] = loop
        source = self.items.evaluate(inner)
        items = self._pairs(source, frame)
        if not items:
            if self.empty is not None:
                self.empty.run(inner, output)
            return
        private = inner.private
        # Through a text that is walked backwards, the counters run backwards too.
        backwards = self.is_reversed and isinstance(source, str)
        count = len(items)
        for number, (key, value) in enumerate(items):
            index = count - 1 - number if backwards else number
            private[self.key] = key
            if self.value and value is not _NO_VALUE:
                private[self.value] = value
            loop.counter = index + 1
            loop.remaining = count - index
            if index == 1:
                loop.first = False
            if index + 1 == count:
                loop.last = True
            self.body.run(inner, output)

    def _pairs(self, value: Any, frame: Frame) -> list[tuple[Any, Any]]:
        """The keys of a map and their values; the elements of a list or text, which have none."""
        if isinstance(value, (dict, Namespace)):
            members = value if isinstance(value, dict) else value.members
            keys = sorted(members, reverse=self.is_reversed)
            frame.render.spend(len(keys))
            return [(key, members[key]) for key in keys]
        if isinstance(value, str):
            if self.is_sorted:
                raise frame.error("the bytes of a string cannot be sorted", self.token)
            elements: list[Any] = _bytes_of(value)
        elif isinstance(value, TextList) and self.is_sorted:
            elements = sorted(value)
        elif isinstance(value, list):
            elements = list(value)
        else:
            return []
        frame.render.spend(len(elements))
        # Other lists are left as they are by `sorted`, and even `reversed sorted`.
        if self.is_reversed and not (self.is_sorted and not isinstance(value, TextList)):
            elements.reverse()
        return [(element, _NO_VALUE) for element in elements]


def _bytes_of(text: str) -> list[str]:
    if text.isascii():
        return list(text)
    return [from_bytes(bytes((byte,))) for byte in text_bytes(text)]


def _parse_for(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    reason = "Expected an key identifier as first argument for 'for'-tag"
    key = arguments.need(IDENTIFIER, "", reason).text
    value = ""
    if arguments.match(SYMBOL, ","):
        value = arguments.need(IDENTIFIER, "", "Value name must be an identifier.").text
    arguments.need(KEYWORD, "in", "Expected keyword 'in'.")
    items = arguments.expression()
    is_reversed = arguments.match(IDENTIFIER, "reversed") is not None
    is_sorted = arguments.match(IDENTIFIER, "sorted") is not None
    arguments.finish("Malformed for-loop arguments.")
    body, end, rest = parser.until("empty", "endfor")
    rest.finish(_NO_ARGUMENTS)
    empty = None
    if end == "empty":
        empty, _, rest = parser.until("endfor")
        rest.finish(_NO_ARGUMENTS)
    weight = len(arguments.tokens)
    return _For(name, key, value, items, is_reversed, is_sorted, body, empty, weight)


# --- one of several ------------------------------------------------------------------------------


@define(eq=False)
class _Cycle:
    token: Token
    choices: list[Expression]
    name: str
    is_silent: bool
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        value = self.next_value(frame)
        if isinstance(value, CycleValue):
            # What is at hand is another cycle: it goes on.
            value.current = value.node.next_value(frame)
            if not value.silent:
                output.write(to_text(value))
            return
        if self.name:
            frame.private[self.name] = CycleValue(self, value, self.is_silent)
        if not self.is_silent:
            output.write(to_text(value))

    def next_value(self, frame: Frame) -> Any:
        """The value whose turn it is."""
        turn = frame.state.get(self, 0)
        frame.state[self] = turn + 1
        return self.choices[turn % len(self.choices)].evaluate(frame)


def _parse_cycle(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    choices = []
    cycle_name = ""
    is_silent = False
    while arguments.remaining:
        choices.append(arguments.expression())
        if arguments.match(KEYWORD, "as"):
            reason = "Name (identifier) expected after 'as'."
            cycle_name = arguments.need(IDENTIFIER, "", reason).text
            is_silent = arguments.match(IDENTIFIER, "silent") is not None
            break
    arguments.finish("Malformed cycle-tag.")
    if not choices:
        raise arguments.error("Tag 'cycle' needs something to choose from.", name)
    return _Cycle(name, choices, cycle_name, is_silent, 1 + len(arguments.tokens))


@define(eq=False)
class _FirstOf:
    choices: list[Expression]
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        for choice in self.choices:
            value = choice.evaluate(frame)
            if is_true(value):
                text = to_text(value)
                escapes = frame.autoescape and not choice.applies("safe")
                output.write(escape(text) if escapes else text)
                return


def _parse_first_of(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    choices = list(_expressions(arguments))
    return _FirstOf(choices, 1 + len(arguments.tokens))


BRANCHING_TAGS: Mapping[str, Tag] = {
    "cycle": _parse_cycle,
    "firstof": _parse_first_of,
    "for": _parse_for,
    "if": _parse_if,
    "ifchanged": _parse_if_changed,
    "ifequal": _parse_if_equal,
    "ifnotequal": _parse_if_equal,
}
"""The tags of this module by name."""
