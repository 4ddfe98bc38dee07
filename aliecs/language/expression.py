"""The `{{ }}` language: texts with expressions in them, compiled once and evaluated many times.

A `Compiler` owns the parser and, for each set of functions (`Dialect`), a bounded cache of compiled
texts; it may be shared by threads. What the names in an expression stand for comes with each
evaluation from a scope (`functions.Scope`). Evaluation is single pass: results are not looked at
again. Limits on length, nesting, steps and sizes bound what a template can make the core do.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Mapping
from importlib import resources
from typing import Any, Protocol

from attrs import define, field, frozen
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedEOF, UnexpectedInput, UnexpectedToken

from aliecs.language.compilation import Compilation
from aliecs.language.evaluation import Frame, Part, TopCall, call
from aliecs.language.value import ExpressionError, Function, Namespace, to_text

LONGEST_EXPRESSION = 20_000
"""Characters between `{{` and `}}`."""
MOST_COMPILED = 20_000
"""Texts that a dialect keeps compiled."""

__all__ = ["Compiler", "Dialect", "Expression", "ExpressionError", "IScope", "Template"]


class IScope(Protocol):
    """What an evaluation takes its names from."""

    @property
    def variables(self) -> Mapping[str, str]:
        """All variables that can be seen."""

    @property
    def objects(self) -> Mapping[str, Function | Namespace]:
        """Functions and namespaces; they hide variables of the same name."""


@frozen
class Expression:
    """One compiled expression."""

    text: str
    _part: Part
    _needed: tuple[str, ...]
    _declared: frozenset[str]
    _top_call: TopCall | None

    def evaluate(self, scope: IScope) -> Any:
        """The value. Raises `ExpressionError`, also for an answer that comes later."""
        value = self._run(scope, self._part.run)
        if inspect.isawaitable(value):
            _discard(value)
            raise ExpressionError("a call that is answered later must stand alone", self.text)
        return value

    def start(self, scope: IScope) -> Any:
        """The value, or an awaitable of it where the expression is nothing but one call and its
        function answers later. Raises `ExpressionError`."""
        if self._top_call is None:
            return self.evaluate(scope)
        top = self._top_call
        return self._run(scope, lambda frame: call(frame, top.function, top.arguments, self.text))

    def _run(self, scope: IScope, code: Any) -> Any:
        variables = scope.variables
        for name in self._needed:
            if name not in variables:
                raise ExpressionError(f"unknown name {name}", self.text)
        for name in self._declared:
            if name in variables:
                raise ExpressionError(f"cannot redeclare {name}, it is a variable", self.text)
        try:
            return code(Frame(variables, scope.objects, scope))
        except ExpressionError as error:
            if error.expression:
                raise
            raise ExpressionError(error.reason, self.text, error.column) from error
        except RecursionError:
            raise ExpressionError("a value is nested too deeply", self.text) from None


def _discard(value: Any) -> None:
    """Let go of an answer that nobody will wait for, without a warning about it."""
    for name in ("cancel", "close"):
        stop = getattr(value, name, None)
        if stop is not None:
            stop()
            return


@frozen
class Template:
    """A text with expressions in it, compiled."""

    pieces: tuple[str | Expression, ...]

    def render(self, scope: IScope) -> str:
        """The text with its expressions replaced by their values. Raises `ExpressionError`."""
        return "".join(
            piece if isinstance(piece, str) else _printed(piece, scope) for piece in self.pieces
        )


def _printed(expression: Expression, scope: IScope) -> str:
    value = expression.evaluate(scope)
    if isinstance(value, str):
        return value
    try:
        return to_text(value)
    except ExpressionError as error:
        raise ExpressionError(error.reason, expression.text) from error


@define
class Compiler:
    """The parser and everything compiled so far. Safe to share between threads."""

    _parser: Lark = field(factory=lambda: _make_parser())
    _dialects: dict[frozenset[tuple[str, str, bool]], Dialect] = field(factory=dict)
    _lock: threading.Lock = field(factory=threading.Lock)

    def dialect(self, objects: Mapping[str, Function | Namespace]) -> Dialect:
        """The language with these functions. All sets of functions that cannot be told apart before
        they run share one dialect."""
        functions = {
            name: thing if isinstance(thing, Function) else None for name, thing in objects.items()
        }
        signature = frozenset(
            (name, f.result if f else "", f.tolerates_undefined if f else True)
            for name, f in functions.items()
        )
        with self._lock:
            if signature not in self._dialects:
                self._dialects[signature] = Dialect(self._parser, self._lock, functions)
            return self._dialects[signature]


@define
class Dialect:
    """The language with a certain set of functions, and its compiled texts."""

    _parser: Lark
    _lock: threading.Lock
    _functions: Mapping[str, Function | None]
    _templates: dict[str, Template] = field(factory=dict)
    _expressions: dict[str, Expression] = field(factory=dict)

    def template(self, text: str) -> Template:
        """A text with `{{ }}` in it. Raises `ExpressionError` where it is malformed."""
        template = self._templates.get(text)
        if template is None:
            template = Template(tuple(self._split(text)))
            _remember(self._templates, text, template)
        return template

    def expression(self, text: str) -> Expression:
        """The text of one expression, without braces. Raises `ExpressionError`."""
        text = text.strip()
        expression = self._expressions.get(text)
        if expression is None:
            with self._lock:
                expression = self._compile(text)
            _remember(self._expressions, text, expression)
        return expression

    def _split(self, text: str) -> list[str | Expression]:
        pieces: list[str | Expression] = []
        position = 0
        while (begin := text.find("{{", position)) >= 0:
            end = text.find("}}", begin + 2)
            if end < 0:
                raise ExpressionError(
                    f"{{{{ without a }}}} after it, in {text[begin : begin + 60]!r}"
                )
            if begin > position:
                pieces.append(text[position:begin])
            pieces.append(self.expression(text[begin + 2 : end]))
            position = end + 2
        if position < len(text):
            pieces.append(text[position:])
        return pieces

    def _compile(self, text: str) -> Expression:
        if len(text) > LONGEST_EXPRESSION:
            raise ExpressionError(f"the expression has more than {LONGEST_EXPRESSION} characters")
        compilation = Compilation(self._functions)
        try:
            tree: Tree[Token] = self._parser.parse(text)
            part = compilation.compile(tree)
        except UnexpectedInput as error:
            raise _syntax_error(error, text) from error
        except ExpressionError as error:
            raise ExpressionError(error.reason, text, error.column) from error
        needed, declared = tuple(compilation.needed), frozenset(compilation.declared)
        return Expression(text, part, needed, declared, compilation.top_call)


def _remember(cache: dict[str, Any], text: str, compiled: Any) -> None:
    """Keep what was compiled; the oldest goes first. Dictionaries are safe between threads."""
    while len(cache) >= MOST_COMPILED:
        cache.pop(next(iter(cache)), None)
    cache[text] = compiled


def _make_parser() -> Lark:
    grammar = resources.files("aliecs.language").joinpath("expression.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def _syntax_error(error: UnexpectedInput, text: str) -> ExpressionError:
    at_end = isinstance(error, UnexpectedEOF) or (
        isinstance(error, UnexpectedToken) and error.token.type == "$END"
    )
    if at_end:
        return ExpressionError("the expression ends too early", text)
    found = text[error.pos_in_stream : (error.pos_in_stream or 0) + 20]
    return ExpressionError(f"unexpected {found!r}", text, error.column)
