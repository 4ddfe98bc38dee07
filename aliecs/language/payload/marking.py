"""The tags that set names, mark regions and write small things.

autoescape, comment, filter, lorem, now, set, spaceless, ssi, templatetag, widthratio, with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define

from aliecs.language.calendar import UTC
from aliecs.language.date import Date
from aliecs.language.layout import written
from aliecs.language.payload.evaluation import Body, Expression, Frame, Output, Statement
from aliecs.language.payload.expression import apply_filter
from aliecs.language.payload.filler import paragraphs, words
from aliecs.language.payload.filters import FILTERS
from aliecs.language.payload.lexing import IDENTIFIER, KEYWORD, NUMBER, STRING, SYMBOL, Token
from aliecs.language.payload.markup import between_tags
from aliecs.language.payload.parsing import LONGEST_CHAIN, Cursor, Parser, Tag, Text
from aliecs.language.payload.value import cut_to_integer, to_float, to_text

_MOST_FILLER = 10_000
_FAKE_NOW = Date.of(2014, 2, 5, 18 * 3600 + 31 * 60 + 45, 0, UTC)
"""What `now ... fake` shows, for tests of templates."""


def _body(parser: Parser, end_name: str) -> Body:
    body, _, rest = parser.until(end_name)
    rest.finish("Arguments not allowed here.")
    return body


# --- names ---------------------------------------------------------------------------------------


@define(eq=False)
class _Set:
    name: str
    value: Expression
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        frame.private[self.name] = self.value.evaluate(frame)


def _parse_set(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    variable = arguments.need(IDENTIFIER, "", "Expected an identifier.").text
    arguments.need(SYMBOL, "=", "Expected '='.")
    value = arguments.expression()
    arguments.finish("Malformed 'set'-tag arguments.")
    return _Set(variable, value, len(arguments.tokens))


@define(eq=False)
class _With:
    pairs: dict[str, Expression]
    body: Body
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        inner = frame.child()
        for name, value in self.pairs.items():
            inner.private[name] = value.evaluate(frame)
        self.body.run(inner, output)


def _parse_with(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    if not arguments.remaining:
        raise arguments.error("Tag 'with' requires at least one argument.")
    body = _body(parser, "endwith")
    pairs: dict[str, Expression] = {}
    # There are two styles, `with value as name` and `with name=value`.
    is_old = any(token.kind == KEYWORD and token.text == "as" for token in arguments.tokens)
    while arguments.remaining:
        if is_old:
            value = arguments.expression()
            arguments.need(KEYWORD, "as", "Expected 'as' keyword.")
            key = arguments.need(IDENTIFIER, "", "Expected an identifier").text
        else:
            key = arguments.need(IDENTIFIER, "", "Expected an identifier").text
            arguments.need(SYMBOL, "=", "Expected '='.")
            value = arguments.expression()
        pairs[key] = value
    return _With(pairs, body, 1 + len(arguments.tokens))


# --- regions -------------------------------------------------------------------------------------


@define(eq=False)
class _AutoEscape:
    is_on: bool
    body: Body
    weight: int = 1

    def run(self, frame: Frame, output: Output) -> None:
        before = frame.autoescape
        frame.autoescape = self.is_on
        self.body.run(frame, output)
        frame.autoescape = before


def _parse_autoescape(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    body = _body(parser, "endautoescape")
    mode = arguments.need(IDENTIFIER, "", "A mode is required for autoescape-tag.")
    if mode.text not in ("on", "off"):
        raise arguments.error("Only 'on' or 'off' is valid as an autoescape-mode.", mode)
    arguments.finish("Malformed autoescape-tag arguments.")
    return _AutoEscape(mode.text == "on", body)


def _parse_comment(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    parser.skip_to("endcomment")
    arguments.finish("Tag 'comment' does not take any argument.")
    return Text("")


@define(eq=False)
class _Filter:
    calls: list[tuple[Token, Expression | None]]
    body: Body
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        value: Any = self.body.captured(frame)
        for name, argument_expression in self.calls:
            argument = None
            if argument_expression is not None:
                argument = argument_expression.evaluate(frame)
            function = FILTERS.get(name.text)
            if function is None:
                raise frame.error(f"filter with name '{name.text}' not found", name)
            value = apply_filter(function, value, argument, frame, name)
        output.write(to_text(value))


def _parse_filter(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    body = _body(parser, "endfilter")
    calls: list[tuple[Token, Expression | None]] = []
    while arguments.remaining:
        filter_name = arguments.need(IDENTIFIER, "", "Expected a filter name (identifier).")
        argument = arguments.operand() if arguments.match(SYMBOL, ":") else None
        calls.append((filter_name, argument))
        if not arguments.match(SYMBOL, "|"):
            break
    arguments.finish("Malformed filter-tag arguments.")
    if len(calls) > LONGEST_CHAIN:
        raise arguments.error(f"more than {LONGEST_CHAIN} filters in a row", name)
    return _Filter(calls, body, 1 + len(arguments.tokens))


@define(eq=False)
class _Spaceless:
    body: Body
    weight: int = 1

    def run(self, frame: Frame, output: Output) -> None:
        text = self.body.captured(frame)
        frame.render.spend(len(text) >> 2)
        output.write(between_tags(text))


def _parse_spaceless(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    body = _body(parser, "endspaceless")
    arguments.finish("Malformed spaceless-tag arguments.")
    return _Spaceless(body)


# --- small things --------------------------------------------------------------------------------


@define(eq=False)
class _Now:
    layout: str
    is_fake: bool
    weight: int = 2

    def run(self, frame: Frame, output: Output) -> None:
        output.write(written(_FAKE_NOW if self.is_fake else Date.now(), self.layout))


def _parse_now(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    layout = arguments.need(STRING, "", "Expected a format string.").text
    is_fake = arguments.match(IDENTIFIER, "fake") is not None
    arguments.finish("Malformed now-tag arguments.")
    return _Now(layout, is_fake)


@define(eq=False)
class _WidthRatio:
    value: Expression
    largest: Expression
    width: Expression
    name: str
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        value = to_float(self.value.evaluate(frame))
        largest = to_float(self.largest.evaluate(frame))
        width = to_float(self.width.evaluate(frame))
        share = value / largest if largest else math.nan if not value else math.inf * value
        size = share * width + 0.5
        result = cut_to_integer(math.ceil(size) if math.isfinite(size) else size)
        if self.name:
            frame.private[self.name] = result
        else:
            output.write(str(result))


def _parse_width_ratio(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    value, largest = arguments.expression(), arguments.expression()
    width = arguments.expression()
    variable = ""
    if arguments.match(KEYWORD, "as"):
        variable = arguments.need(IDENTIFIER, "", "Expected name (identifier).").text
    arguments.finish("Malformed widthratio-tag arguments.")
    return _WidthRatio(value, largest, width, variable, len(arguments.tokens))


_TEMPLATE_TAGS = {
    "openblock": "{%",
    "closeblock": "%}",
    "openvariable": "{{",
    "closevariable": "}}",
    "openbrace": "{",
    "closebrace": "}",
    "opencomment": "{#",
    "closecomment": "#}",
}


def _parse_template_tag(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    word = arguments.need(IDENTIFIER, "", "Identifier expected.")
    if word.text not in _TEMPLATE_TAGS:
        raise arguments.error("Argument not found", word)
    arguments.finish("Malformed templatetag-tag argument.")
    return Text(_TEMPLATE_TAGS[word.text])


@define(eq=False)
class _Filler:
    write: Callable[..., str]
    count: int
    is_random: bool
    weight: int

    def run(self, frame: Frame, output: Output) -> None:
        output.write(self.write(self.count, frame.render.random if self.is_random else None))


def _parse_lorem(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    number = arguments.match(NUMBER)
    count = 1 if number is None else int(number.text[-20:])
    methods: dict[str, Callable[..., str]] = {
        "w": words,
        "p": lambda count, random: paragraphs(count, random, "<p>", "</p>"),
        "b": lambda count, random: paragraphs(count, random, "", ""),
    }
    method = "b"
    if token := arguments.match(IDENTIFIER):
        method = token.text
        if method not in methods:
            raise arguments.error("lorem-method must be either 'w', 'p' or 'b'.", token)
    is_random = arguments.match(IDENTIFIER, "random") is not None
    arguments.finish("Malformed lorem-tag arguments.")
    if count > _MOST_FILLER:
        raise arguments.error(f"no more than {_MOST_FILLER} words or paragraphs", number)
    return _Filler(methods[method], count, is_random, 1 + count)


def _parse_ssi(parser: Parser, name: Token, arguments: Cursor) -> Statement:
    reason = (
        "Tag 'ssi' is switched off: it reads files of the host of the configuration service, which "
        "is no business of a payload; use 'include'"
    )
    raise arguments.error(reason, name)


MARKING_TAGS: Mapping[str, Tag] = {
    "autoescape": _parse_autoescape,
    "comment": _parse_comment,
    "filter": _parse_filter,
    "lorem": _parse_lorem,
    "now": _parse_now,
    "set": _parse_set,
    "spaceless": _parse_spaceless,
    "ssi": _parse_ssi,
    "templatetag": _parse_template_tag,
    "widthratio": _parse_width_ratio,
    "with": _parse_with,
}
"""The tags of this module by name."""
