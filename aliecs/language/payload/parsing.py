"""Tokens -> expressions and documents. The grammar of payload templates, without the single tags.

A `Cursor` walks over tokens. The template has one, and each tag gets one for its arguments. The
tags themselves are functions that take a `Parser` and the arguments; they stand in a table, see
`tags`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from aliecs.language.payload.error import PayloadError
from aliecs.language.payload.evaluation import Body, Expression, Frame, Output, Statement
from aliecs.language.payload.expression import (
    OPERATORS,
    Binary,
    FilterCall,
    Filtered,
    Literal,
    Logical,
    Part,
    Signed,
    Variable,
)
from aliecs.language.payload.filters import FILTERS
from aliecs.language.payload.lexing import (
    HTML,
    IDENTIFIER,
    KEYWORD,
    NUMBER,
    SPACE,
    STRING,
    SYMBOL,
    Token,
    tokenize,
)
from aliecs.language.payload.text import escape
from aliecs.language.payload.value import SafeText, to_text

DEEPEST_EXPRESSION = 25
"""Parentheses, subscripts and arguments inside each other."""
LONGEST_CHAIN = 200
"""Operators in a row."""
DEEPEST_TAG = 40
"""Tags inside each other."""
_COMPARISONS = ("==", "<=", ">=", "!=", "<>", ">", "<")


@define(eq=False)
class Cursor:
    """A walk over tokens."""

    tokens: list[Token]
    path: str
    last: Token | None = None
    """Where an error is, when the tokens are over."""
    position: int = 0
    depth: int = 0

    @property
    def remaining(self) -> int:
        """How many tokens are left."""
        return len(self.tokens) - self.position

    def current(self) -> Token | None:
        """The next token, which stays the next."""
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def peek(self, kind: str, *texts: str, ahead: int = 0) -> Token | None:
        """The next token, if it is of this kind and says one of `texts` (anything without)."""
        position = self.position + ahead
        if position >= len(self.tokens):
            return None
        token = self.tokens[position]
        return token if token.kind == kind and (not texts or token.text in texts) else None

    def match(self, kind: str, *texts: str) -> Token | None:
        """As `peek`, and go past it."""
        token = self.peek(kind, *texts)
        if token is not None:
            self.position += 1
        return token

    def need(self, kind: str, text: str, reason: str) -> Token:
        """The next token, which must be this one. Raises `PayloadError` with `reason`."""
        token = self.match(kind, text) if text else self.match(kind)
        if token is None:
            raise self.error(reason)
        return token

    def error(self, reason: str, token: Token | None = None) -> PayloadError:
        """An error at `token`, or at the next one."""
        token = token or self.current() or self.last
        line, column, text = (token.line, token.column, token.text) if token else (0, 0, "")
        return PayloadError(reason, "parser", self.path, line, column, text)

    def finish(self, reason: str) -> None:
        """Nothing may be left. Raises `PayloadError` with `reason`."""
        if self.remaining:
            raise self.error(reason)

    # --- expressions ---------------------------------------------------------------------------

    def expression(self) -> Expression:
        """An expression. Raises `PayloadError`."""
        self.depth += 1
        if self.depth > DEEPEST_EXPRESSION:
            raise self.error(f"an expression nested more than {DEEPEST_EXPRESSION} levels deep")
        # `and` and `or` bind alike and to the right.
        operands: list[Expression] = [self._relation()]
        operators: list[Token] = []
        while operator := self.match(SYMBOL, "&&", "||") or self.match(KEYWORD, "and", "or"):
            operators.append(operator)
            operands.append(self._relation())
            self._check_chain(operators)
        result = operands.pop()
        while operators:
            operator = operators.pop()
            is_or = operator.text in ("or", "||")
            result = Logical(operator, operands.pop(), result, is_or)
        self.depth -= 1
        return result

    def _check_chain(self, operators: list[Token]) -> None:
        if len(operators) > LONGEST_CHAIN:
            raise self.error(f"more than {LONGEST_CHAIN} operators in a row")

    def _relation(self) -> Expression:
        operands = [self._sum()]
        operators: list[Token] = []
        while operator := self.match(SYMBOL, *_COMPARISONS):
            operators.append(operator)
            operands.append(self._sum())
            self._check_chain(operators)
        result = operands.pop()
        if inside := self.match(KEYWORD, "in"):
            result = Binary(inside, result, self._sum(), OPERATORS["in"])
        while operators:
            operator = operators.pop()
            result = Binary(operator, operands.pop(), result, OPERATORS[operator.text])
        return result

    def _sum(self) -> Expression:
        sign = self.match(SYMBOL, "+", "-")
        negation = self.match(SYMBOL, "!") or self.match(KEYWORD, "not")
        result = self._product()
        negative = sign is not None and sign.text == "-"
        if negation is not None or negative:
            token = sign or negation or result.token
            result = Signed(token, result, negation is not None, negative)
        return self._chain(result, ("+", "-"), self._product)

    def _product(self) -> Expression:
        return self._chain(self._power(), ("*", "/", "%"), self._power)

    def _chain(
        self, result: Expression, symbols: tuple[str, ...], operand: Callable[[], Expression]
    ) -> Expression:
        """Operators of one kind, which bind to the left."""
        operators: list[Token] = []
        while operator := self.match(SYMBOL, *symbols):
            operators.append(operator)
            self._check_chain(operators)
            result = Binary(operator, result, operand(), OPERATORS[operator.text])
        return result

    def _power(self) -> Expression:
        operands = [self._factor()]
        operators: list[Token] = []
        while operator := self.match(SYMBOL, "^"):
            operators.append(operator)
            operands.append(self._factor())
            self._check_chain(operators)
        result = operands.pop()
        while operators:
            operator = operators.pop()
            result = Binary(operator, operands.pop(), result, OPERATORS["^"])
        return result

    def _factor(self) -> Expression:
        if self.match(SYMBOL, "("):
            inner = self.expression()
            self.need(SYMBOL, ")", "Closing bracket expected after expression")
            return inner
        token = self.current()
        operand = self.operand()
        filters = []
        while self.match(SYMBOL, "|"):
            filters.append(self._filter())
            if len(filters) > LONGEST_CHAIN:
                raise self.error(f"more than {LONGEST_CHAIN} filters in a row")
        if not filters:
            return operand
        return Filtered(token or operand.token, operand, filters)

    def _filter(self) -> FilterCall:
        name = self.need(IDENTIFIER, "", "Filter name must be an identifier.")
        function = FILTERS.get(name.text)
        if function is None:
            raise self.error(f"Filter '{name.text}' does not exist.", name)
        argument = None
        if self.match(SYMBOL, ":"):
            if self.peek(SYMBOL, "}}"):
                raise self.error("Filter parameter required after ':'.")
            argument = self.operand()
        return FilterCall(name, name.text, function, argument)

    def operand(self) -> Expression:
        """A literal or a variable, without filters. Raises `PayloadError`."""
        token = self.current()
        if token is None:
            raise self.error("Unexpected EOF, expected a number, string, keyword or identifier.")
        if token.kind in (HTML, SYMBOL):
            raise self.error("Expected either a number, string, keyword or identifier.")
        self.position += 1
        if token.kind == NUMBER:
            return Literal(token, self._number(token))
        if token.kind == STRING:
            return Literal(token, token.text)
        if token.kind == KEYWORD:
            if token.text not in ("true", "false"):
                raise self.error("This keyword is not allowed here.")
            return Literal(token, token.text == "true")
        return self._variable(token)

    def _number(self, token: Token) -> int | float:
        if self.match(SYMBOL, "."):
            fraction = self.need(NUMBER, "", "Expected a number after the '.'.")
            value = float(f"{token.text}.{fraction.text}")
            if math.isinf(value):
                raise self.error("the number is too large", token)
            return value
        return self._integer(token)

    def _integer(self, token: Token) -> int:
        digits = token.text.lstrip("0") or "0"
        if len(digits) > 19 or int(digits) >= 2**63:
            raise self.error("the number does not fit 64 bits", token)
        return int(digits)

    def _variable(self, token: Token) -> Variable:
        parts = [Part(token.text)]
        while self.remaining:
            if len(parts) > LONGEST_CHAIN:
                raise self.error(f"a name of more than {LONGEST_CHAIN} parts")
            if self.match(SYMBOL, "."):
                parts.append(self._member())
            elif self.match(SYMBOL, "["):
                parts.append(Part(subscript=self.expression()))
                self.need(SYMBOL, "]", "Missing closing bracket after subscript argument.")
                # A subscript is the end of a name.
                break
            elif self.match(SYMBOL, "("):
                parts[-1].arguments = self._arguments()
            else:
                break
        return Variable(token, parts)

    def _member(self) -> Part:
        token = self.current()
        if token is None:
            raise self.error("Unexpected EOF, expected either IDENTIFIER or NUMBER after DOT.")
        if token.kind == IDENTIFIER:
            self.position += 1
            return Part(token.text)
        if token.kind == NUMBER:
            self.position += 1
            return Part(index=self._integer(token))
        raise self.error("This token is not allowed within a variable name.")

    def _arguments(self) -> list[Expression]:
        arguments: list[Expression] = []
        while not self.match(SYMBOL, ")"):
            if not self.remaining:
                raise self.error("Unexpected EOF, expected function call argument list.")
            arguments.append(self.expression())
            if self.match(SYMBOL, ")"):
                break
            self.need(SYMBOL, ",", "Missing comma or closing bracket after argument.")
        return arguments


# --- documents -----------------------------------------------------------------------------------


@define(eq=False)
class Text:
    """Literal text."""

    text: str
    weight: int = 1

    def run(self, frame: Frame, output: Output) -> None:
        """Write it."""
        output.write(self.text)


@define(eq=False)
class Printed:
    """`{{ expression }}`."""

    expression: Expression
    weight: int
    is_safe: bool

    def run(self, frame: Frame, output: Output) -> None:
        """Write the value, escaped where it is a text that nobody called safe."""
        value = self.expression.evaluate(frame)
        if isinstance(value, str):
            if frame.autoescape and not self.is_safe and not isinstance(value, SafeText):
                value = escape(value)
            output.write(value)
        else:
            output.write(to_text(value))


@define(eq=False)
class Document:
    """A parsed template."""

    body: Body = field(factory=Body)
    blocks: dict[str, Body] = field(factory=dict)
    exported: dict[str, Any] = field(factory=dict)
    """Macros that other templates may import."""
    references: list[Any] = field(factory=list)
    """Statements that name another template in so many words: see `linking`."""
    parent: Any = None
    """The `extends` statement, if there is one."""
    size: int = 0


Tag = Callable[["Parser", Token, Cursor], Statement]
"""Parses a tag, given its name and arguments."""


@define(eq=False)
class Parser:
    """The parser of one template."""

    cursor: Cursor
    tags: Mapping[str, Tag]
    document: Document = field(factory=Document)
    depth: int = 0

    def parse(self) -> Document:
        """The whole template. Raises `PayloadError`."""
        while self.cursor.remaining:
            self.document.body.statements.append(self._statement())
        return self.document

    def _statement(self) -> Statement:
        cursor = self.cursor
        if token := cursor.match(HTML):
            return Text(self._trimmed(token))
        if opening := cursor.match(SYMBOL, "{{"):
            return self._printed(opening)
        if opening := cursor.match(SYMBOL, "{%"):
            return self._tag(opening)
        raise cursor.error("Unexpected token, expected text, a tag or a variable.")

    def _trimmed(self, token: Token) -> str:
        tokens, position = self.cursor.tokens, self.cursor.position
        text = token.text
        before = tokens[position - 2] if position >= 2 else None
        after = tokens[position] if position < len(tokens) else None
        if before is not None and before.trims:
            text = text.lstrip(SPACE)
        if after is not None and after.trims:
            text = text.rstrip(SPACE)
        return text

    def _printed(self, opening: Token) -> Printed:
        begin = self.cursor.position
        self.cursor.last = opening
        expression = self.cursor.expression()
        self.cursor.need(SYMBOL, "}}", "'}}' expected")
        weight = 1 + (self.cursor.position - begin) // 2
        return Printed(expression, weight, expression.applies("safe"))

    def _tag(self, opening: Token) -> Statement:
        self.cursor.last = opening
        name = self.cursor.need(IDENTIFIER, "", "Tag name must be an identifier.")
        tag = self.tags.get(name.text)
        if tag is None:
            raise self.cursor.error(
                f"Tag '{name.text}' not found (or beginning tag not provided)", name
            )
        arguments = self._arguments(name)
        self.depth += 1
        if self.depth > DEEPEST_TAG:
            raise self.cursor.error(f"tags nested more than {DEEPEST_TAG} levels deep", name)
        statement = tag(self, name, arguments)
        self.depth -= 1
        return statement

    def _arguments(self, name: Token) -> Cursor:
        """What stands between the name of a tag and its end."""
        begin = self.cursor.position
        while not self.cursor.peek(SYMBOL, "%}"):
            if not self.cursor.remaining:
                raise self.cursor.error("Unexpected EOF.", name)
            self.cursor.position += 1
        tokens = self.cursor.tokens[begin : self.cursor.position]
        self.cursor.position += 1
        return Cursor(tokens, self.cursor.path, tokens[-1] if tokens else name)

    def until(self, *names: str) -> tuple[Body, str, Cursor]:
        """The statements up to a tag with one of these names: with the name and its arguments.
        Raises `PayloadError` where there is none."""
        body = Body()
        cursor = self.cursor
        while cursor.remaining:
            name = cursor.peek(IDENTIFIER, *names, ahead=1)
            if name is not None and cursor.peek(SYMBOL, "{%"):
                cursor.position += 2
                return body, name.text, self._arguments(name)
            body.statements.append(self._statement())
        raise cursor.error(f"Unexpected EOF, expected tag {' or '.join(names)}.", cursor.tokens[-1])

    def skip_to(self, name: str) -> None:
        """Go past the next tag of this name. Raises `PayloadError` where there is none."""
        cursor = self.cursor
        while cursor.remaining:
            found = cursor.peek(IDENTIFIER, name, ahead=1)
            if found is not None and cursor.peek(SYMBOL, "{%"):
                cursor.position += 2
                self._arguments(found).finish("Arguments not allowed here.")
                return
            cursor.position += 1
        raise cursor.error(f"Unexpected EOF, expected tag {name}.", cursor.tokens[-1])


def parse(text: str, path: str, tags: Mapping[str, Tag]) -> Document:
    """A template, parsed; `path` is told in errors. Raises `PayloadError`."""
    tokens = tokenize(text, path)
    try:
        document = Parser(Cursor(tokens, path), tags).parse()
    except RecursionError:
        raise PayloadError("the template is nested too deeply", "parser", path) from None
    document.size = len(text)
    return document
