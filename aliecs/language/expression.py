"""The `{{ }}` language: texts with expressions in them, compiled once and evaluated many times.

A `Compiler` holds for each set of functions (`Dialect`) a bounded cache of compiled texts; it may
be shared by threads. What the names in an expression stand for comes with each evaluation from a
scope (`functions.Scope`). Evaluation is single pass: results are not looked at again. Limits on
length, nesting, steps and sizes bound what a template can make the core do.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Mapping
from typing import Any, Protocol

from attrs import define, field, frozen

from aliecs.language.builtin import BUILT_INS
from aliecs.language.compilation import Compilation
from aliecs.language.evaluation import Frame, Part, TopCall, call
from aliecs.language.parsing import parse
from aliecs.language.printing import to_text
from aliecs.language.syntax import Node
from aliecs.language.value import ExpressionError, Function, Namespace

LONGEST_EXPRESSION = 20_000
"""Characters between `{{` and `}}`."""
MOST_COMPILED = 20_000
"""Texts that a dialect keeps compiled."""
MOST_VARIANTS = 8
"""Ways to compile one expression, by what variables there are, that are kept."""

_VALUES = frozenset({str, bool, int, float, list, dict, type(None)})
"""What most values are: none of these can be awaited."""

Signature = frozenset[tuple[str, str, tuple[type, ...] | None]]
"""What can be told of a set of functions before they run: name, result, parameters of each."""

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
class _Variant:
    """An expression compiled for certain variables being there and others missing."""

    present: tuple[str, ...]
    absent: tuple[str, ...]
    part: Part | None
    """None where the expression cannot be compiled so."""
    top_call: TopCall | None
    error: ExpressionError | None

    def holds(self, variables: Mapping[str, str]) -> bool:
        """Whether these variables are as assumed."""
        for name in self.present:
            if name not in variables:
                return False
        return not (self.absent and any(map(variables.__contains__, self.absent)))


@define(eq=False)
class Expression:
    """One parsed expression. It is compiled when it is first evaluated, and kept so."""

    text: str
    _node: Node
    _functions: Mapping[str, Function | None]
    _variants: list[_Variant] = field(factory=list)

    def evaluate(self, scope: IScope) -> Any:
        """The value. Raises `ExpressionError`, also for an answer that comes later."""
        variant = self._variant(scope.variables)
        assert variant.part is not None
        value = self._run(scope, variant.part.run)
        if type(value) not in _VALUES and inspect.isawaitable(value):
            _discard(value)
            raise ExpressionError("a call that is answered later must stand alone", self.text)
        return value

    def start(self, scope: IScope) -> Any:
        """The value, or an awaitable of it where the expression is nothing but one call and its
        function answers later. Raises `ExpressionError`."""
        top = self._variant(scope.variables).top_call
        if top is None:
            return self.evaluate(scope)
        return self._run(scope, lambda frame: call(frame, top.function, top.arguments, self.text))

    def _variant(self, variables: Mapping[str, str]) -> _Variant:
        """The expression, compiled for these variables. Raises `ExpressionError`."""
        for variant in self._variants:
            if variant.holds(variables):
                break
        else:
            variant = self._compiled(variables)
            del self._variants[MOST_VARIANTS - 1 :]
            self._variants.append(variant)
        if variant.error is not None:
            raise variant.error.located("")
        return variant

    def _compiled(self, variables: Mapping[str, str]) -> _Variant:
        compilation = Compilation(self._functions, variables.__contains__)
        part, wrong = None, None
        try:
            part = compilation.part(self._node)
        except ExpressionError as error:
            wrong = error.located(self.text)
        present = tuple(name for name, is_there in compilation.assumed.items() if is_there)
        absent = tuple(name for name, is_there in compilation.assumed.items() if not is_there)
        return _Variant(present, absent, part, compilation.top_call, wrong)

    def _run(self, scope: IScope, code: Any) -> Any:
        try:
            return code(Frame(scope.variables, scope.objects, scope))
        except ExpressionError as error:
            raise error.located(self.text) from error
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
        if len(self.pieces) == 1:
            (piece,) = self.pieces
            return piece if isinstance(piece, str) else _printed(piece, scope)
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
        raise error.located(expression.text) from error


@define
class Compiler:
    """Everything compiled so far. Safe to share between threads."""

    _dialects: dict[Signature, Dialect] = field(factory=dict)
    _lock: threading.Lock = field(factory=threading.Lock)

    def dialect(self, objects: Mapping[str, Function | Namespace]) -> Dialect:
        """The language with these functions. All sets of functions that cannot be told apart before
        they run share one dialect."""
        functions = {
            name: thing if isinstance(thing, Function) else None for name, thing in objects.items()
        }
        signature = frozenset(
            (name, f.result if f else "", f.parameters if f else None)
            for name, f in functions.items()
        )
        with self._lock:
            if signature not in self._dialects:
                self._dialects[signature] = Dialect(functions)
            return self._dialects[signature]


@define
class Dialect:
    """The language with a certain set of functions, and its compiled texts."""

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
            expression = self._parsed(text)
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

    def _parsed(self, text: str) -> Expression:
        if len(text) > LONGEST_EXPRESSION:
            raise ExpressionError(f"the expression has more than {LONGEST_EXPRESSION} characters")
        try:
            return Expression(text, parse(text, BUILT_INS), self._functions)
        except ExpressionError as error:
            raise error.located(text) from error


def _remember(cache: dict[str, Any], text: str, compiled: Any) -> None:
    """Keep what was compiled; the oldest goes first. Dictionaries are safe between threads."""
    while len(cache) >= MOST_COMPILED:
        cache.pop(next(iter(cache)), None)
    cache[text] = compiled
