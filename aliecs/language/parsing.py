"""The words of an expression -> its tree, by the precedence of operators.

Where the reference's library is odd, so is this: a pipe ends what can be read from, `??` does not
mix with other operators on one level, comparisons of order chain, literals have no members. Nesting
is bounded, since every level costs a level of Python's.
"""

from __future__ import annotations

from collections.abc import Collection

from attrs import define, field

from aliecs.language.lexing import BRACKET, END, NAME, NUMBER, OPERATOR, STRING, Word, words
from aliecs.language.syntax import (
    Binary,
    BuiltInCall,
    Call,
    Chain,
    Condition,
    Let,
    ListOf,
    Literal,
    MapOf,
    Member,
    Name,
    Node,
    Pointer,
    Sequence,
    Slice,
    Unary,
)
from aliecs.language.value import ExpressionError

DEEPEST_EXPRESSION = 120
"""Levels of nesting, operators of a chain included."""

UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
BINARY = {
    "|": 0, "or": 10, "||": 10, "and": 15, "&&": 15, "==": 20, "!=": 20, "<": 20, ">": 20, "<=": 20,
    ">=": 20, "in": 20, "matches": 20, "contains": 20, "startsWith": 20, "endsWith": 20, "..": 25,
    "+": 30, "-": 30, "*": 60, "/": 60, "%": 60, "**": 100, "^": 100, "??": 500,
}  # fmt: skip
"""Operators and how tightly they bind."""
ORDERINGS = ("<", ">", "<=", ">=")
_NEGATABLE = ("in", "matches", "contains", "startsWith", "endsWith")
_FROM_THE_RIGHT = ("**", "^")
_SPELLINGS = {"&&": "and", "||": "or", "^": "**", "!": "not"}
_CONSTANTS = {"true": True, "false": False, "nil": None}

PREDICATES = {
    "all": "p", "none": "p", "any": "p", "one": "p", "filter": "p", "map": "p", "count": "p?",
    "sum": "p?", "find": "p", "findIndex": "p", "findLast": "p", "findLastIndex": "p",
    "groupBy": "p", "sortBy": "pe?", "reduce": "pe?",
}  # fmt: skip
"""Functions over a list: what follows it, a predicate or an expression, optional before a `?`."""


def parse(text: str, built_ins: Collection[str]) -> Node:
    """The tree of an expression. `built_ins` are the names of functions without a predicate.

    Raises `ExpressionError`."""
    parser = _Parser(words(text), built_ins)
    node = parser.sequence()
    if parser.word.kind is not END:
        raise parser.unexpected()
    return node


@define
class _Parser:
    _words: list[Word]
    _built_ins: Collection[str]
    _position: int = 0
    _predicates: int = 0
    """Predicates around this place."""
    _depth: int = 0
    word: Word = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.word = self._words[0]

    def advance(self) -> Word:
        """Go on; gives the word that was passed."""
        passed = self.word
        if passed.kind is not END:
            self._position += 1
            self.word = self._words[self._position]
        return passed

    def expect(self, kind: str, text: str = "") -> Word:
        """Pass a word that must be here."""
        if self.word.kind is not kind or (text and self.word.text != text):
            raise self.unexpected()
        return self.advance()

    def passed(self, text: str) -> bool:
        """Pass this operator, if it is here."""
        if self.word.is_operator(text):
            self.advance()
            return True
        return False

    def unexpected(self) -> ExpressionError:
        """The present word should not be here."""
        if self.word.kind is END:
            return ExpressionError("the expression ends too early", column=self.word.column)
        return ExpressionError(f"unexpected {self.word.text[:40]!r}", column=self.word.column)

    # --- operators -----------------------------------------------------------------------------

    def sequence(self) -> Node:
        items = [self.expression()]
        while self.passed(";"):
            if self.word.kind is END:
                break
            items.append(self.expression())
        return items[0] if len(items) == 1 else Sequence(items[0].column, tuple(items))

    def expression(self, least: int = 0) -> Node:
        """An expression of operators that bind as tightly as `least`, or more."""
        self._depth += 1
        if self._depth > DEEPEST_EXPRESSION:
            raise ExpressionError(f"nested more than {DEEPEST_EXPRESSION} levels deep")
        try:
            return self._any_expression() if least == 0 else self._operators(least)
        finally:
            self._depth -= 1

    def _any_expression(self) -> Node:
        if self.word.is_operator("let"):
            return self._let()
        if self.word.is_operator("if"):
            return self._if()
        node = self._operators(0)
        while self.word.is_operator("?"):
            self.advance()
            yes = node if self.word.is_operator(":") else self.expression()
            self.expect(OPERATOR, ":")
            node = Condition(node.column, node, yes, self.expression())
        return node

    def _operators(self, least: int) -> Node:
        left = self._primary()
        previous = ""
        while self.word.kind is OPERATOR:
            operator, is_negated = self._operator()
            binding = BINARY.get(operator, -1)
            if binding < least:
                break
            if is_negated:
                self.advance()
            if operator == "|":
                self.advance()
                left = self._call(self.expect(NAME), (left,))
            elif previous == "??" and operator != "??":
                raise ExpressionError(
                    f"?? and {operator} need parentheses between them", column=self.word.column
                )
            else:
                self.advance()
                left = self._applied(left, operator, binding, is_negated)
            previous = operator
        return left

    def _operator(self) -> tuple[str, bool]:
        """The operator that is here, and whether a `not` stands before it."""
        if self.word.text != "not":
            return self.word.text, False
        following = self._words[self._position + 1]
        if not following.is_operator(*_NEGATABLE):
            self.advance()
            raise self.unexpected()
        return following.text, True

    def _applied(self, left: Node, operator: str, binding: int, is_negated: bool) -> Node:
        if operator in ORDERINGS:
            return self._orderings(left, operator, binding)
        right = self.expression(binding + (operator not in _FROM_THE_RIGHT))
        node: Node = Binary(left.column, _SPELLINGS.get(operator, operator), left, right)
        return Unary(left.column, "not", node) if is_negated else node

    def _orderings(self, left: Node, operator: str, binding: int) -> Node:
        """`a < b < c` is `a < b and b < c`."""
        whole: Node | None = None
        while True:
            right = self.expression(binding + 1)
            step = Binary(left.column, operator, left, right)
            whole = step if whole is None else Binary(whole.column, "and", whole, step)
            if not self.word.is_operator(*ORDERINGS):
                return whole
            left, operator = right, self.advance().text

    # --- statements ----------------------------------------------------------------------------

    def _let(self) -> Node:
        self.advance()
        name = self.expect(NAME)
        self.expect(OPERATOR, "=")
        value = self.expression()
        self.expect(OPERATOR, ";")
        return Let(name.column, name.text, value, self.sequence())

    def _if(self) -> Node:
        column = self.advance().column
        test = self.expression()
        yes = self._block()
        self.expect(OPERATOR, "else")
        if not self.word.is_operator("if"):
            return Condition(column, test, yes, self._block())
        self._depth += 1
        if self._depth > DEEPEST_EXPRESSION:
            raise ExpressionError(f"nested more than {DEEPEST_EXPRESSION} levels deep")
        no = self._if()
        self._depth -= 1
        return Condition(column, test, yes, no)

    def _block(self) -> Node:
        self.expect(BRACKET, "{")
        node = self.sequence()
        self.expect(BRACKET, "}")
        return node

    # --- operands ------------------------------------------------------------------------------

    def _primary(self) -> Node:
        word = self.word
        if word.kind is OPERATOR:
            if word.text in UNARY:
                self.advance()
                operand = self.expression(UNARY[word.text])
                spelling = _SPELLINGS.get(word.text, word.text)
                return self._postfix(Unary(word.column, spelling, operand))
            if self._predicates and word.text in ("#", "."):
                return self._postfix(self._pointer())
            if word.text == "::":
                self.advance()
                return self._postfix(self._call(self.expect(NAME), ()))
        if word.is_bracket("("):
            self.advance()
            node = self.sequence()
            self.expect(BRACKET, ")")
            return self._postfix(node)
        return self._operand()

    def _pointer(self) -> Node:
        # A dot alone stands for the element; its member is read as of any other value.
        column, name = self.word.column, ""
        if self.passed("#") and self.word.kind is NAME:
            name = self.advance().text
        return Pointer(column, name)

    def _operand(self) -> Node:
        word = self.word
        if word.kind is NUMBER or (word.kind is NAME and word.text in _CONSTANTS):
            self.advance()
            value = word.value if word.kind is NUMBER else _CONSTANTS[word.text]
            return Literal(word.column, value)
        if word.kind is STRING:
            self.advance()
            return self._postfix(Literal(word.column, word.value))
        if word.kind is NAME:
            self.advance()
            if self.word.is_bracket("("):
                return self._postfix(self._call(word, ()))
            return self._postfix(Name(word.column, word.text))
        if word.is_bracket("["):
            return self._postfix(ListOf(word.column, self._items("[", "]")))
        if word.is_bracket("{"):
            return self._postfix(self._map())
        raise self.unexpected()

    def _items(self, opening: str, closing: str) -> tuple[Node, ...]:
        """Expressions with commas between them, and perhaps one more at the end."""
        self.expect(BRACKET, opening)
        items: list[Node] = []
        while not self.word.is_bracket(closing):
            if items:
                self.expect(OPERATOR, ",")
                if self.word.is_bracket(closing):
                    break
            items.append(self.expression())
        self.expect(BRACKET, closing)
        return tuple(items)

    def _map(self) -> Node:
        column = self.expect(BRACKET, "{").column
        entries: list[tuple[Node, Node]] = []
        while not self.word.is_bracket("}"):
            if entries:
                self.expect(OPERATOR, ",")
                if self.word.is_bracket("}"):
                    break
            key = self._key()
            self.expect(OPERATOR, ":")
            entries.append((key, self.expression()))
        self.expect(BRACKET, "}")
        return MapOf(column, tuple(entries))

    def _key(self) -> Node:
        if self.word.is_bracket("("):
            return self.expression()
        if self.word.kind not in (NUMBER, STRING, NAME):
            raise self.unexpected()
        word = self.advance()
        return Literal(word.column, word.value if word.kind is STRING else word.text)

    # --- calls ---------------------------------------------------------------------------------

    def _call(self, name: Word, before: tuple[Node, ...]) -> Node:
        """A call of that name; `before` is what a pipe brings."""
        if name.text in PREDICATES:
            arguments = self._predicate_arguments(name.text, before)
            return BuiltInCall(name.column, name.text, arguments)
        arguments = (*before, *self._items("(", ")"))
        if name.text in self._built_ins:
            return BuiltInCall(name.column, name.text, arguments)
        return Call(name.column, Name(name.column, name.text), arguments)

    def _predicate_arguments(self, name: str, before: tuple[Node, ...]) -> tuple[Node, ...]:
        self.expect(BRACKET, "(")
        shape = "e" + PREDICATES[name]
        arguments = list(before)
        kinds = [kind for kind in shape if kind != "?"][len(before) :]
        for position, kind in enumerate(kinds):
            is_last = position == len(kinds) - 1
            if is_last and shape.endswith("?") and self.word.is_bracket(")"):
                break
            if position:
                self.expect(OPERATOR, ",")
            arguments.append(self.expression() if kind == "e" else self._predicate())
        self.passed(",")
        self.expect(BRACKET, ")")
        return tuple(arguments)

    def _predicate(self) -> Node:
        self._predicates += 1
        node = self._block() if self.word.is_bracket("{") else self.expression()
        self._predicates -= 1
        return node

    # --- what follows an operand ---------------------------------------------------------------

    def _postfix(self, node: Node) -> Node:
        count = 0
        while True:
            count += 1
            if count > DEEPEST_EXPRESSION:
                raise ExpressionError(f"nested more than {DEEPEST_EXPRESSION} levels deep")
            if self.word.is_operator(".", "?."):
                is_optional = self.advance().text == "?."
                if is_optional and self.word.is_bracket("["):
                    node = self._bracketed(node, is_optional)
                else:
                    node = self._member(node, is_optional)
            elif self.word.is_bracket("["):
                node = self._bracketed(node, is_optional=False)
            else:
                return node

    def _member(self, base: Node, is_optional: bool) -> Node:
        name = self.advance()
        if not (name.kind is NAME or (name.kind is OPERATOR and name.text.isalpha())):
            self._position = max(self._position - 1, 0)
            self.word = name
            raise self.unexpected()
        inner, is_chain = (base.body, True) if isinstance(base, Chain) else (base, False)
        node: Node = Member(base.column, inner, Literal(name.column, name.text), is_optional)
        if self.word.is_bracket("("):
            node = Call(base.column, node, self._items("(", ")"))
        return Chain(base.column, node) if is_chain or is_optional else node

    def _bracketed(self, base: Node, is_optional: bool) -> Node:
        """`[key]` or `[begin:end]`"""
        self.expect(BRACKET, "[")
        begin = None if self.word.is_operator(":") else self.expression()
        node: Node
        if self.passed(":"):
            end = None if self.word.is_bracket("]") else self.expression()
            node = Slice(base.column, base, begin, end)
        else:
            assert begin is not None
            node = Member(base.column, base, begin, is_optional)
            if is_optional:
                node = Chain(base.column, node)
        self.expect(BRACKET, "]")
        return node
