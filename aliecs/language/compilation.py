"""A parsed expression -> a closure that evaluates it.

Types are checked as far as they are known before anything runs: every variable is a text, operators
yield what they yield, and what comes out of a namespaced function is unknown. Two known types that
do not go together are an error even in a branch that is never taken, as in the reference. All names
that an expression needs are collected, so that evaluation can refuse undefined ones beforehand.
Called by `expression`, which owns the parser and the caches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, define, field
from lark import Token, Tree

from aliecs.language import operation
from aliecs.language.builtin import BUILT_INS
from aliecs.language.comparison import ORDERINGS, compared, joined
from aliecs.language.evaluation import (
    UNKNOWN,
    Code,
    Frame,
    Part,
    TopCall,
    applied,
    call,
    demand,
    element_type,
)
from aliecs.language.predicate import PREDICATES, Elements
from aliecs.language.value import (
    ExpressionError,
    Function,
    cut,
    index,
    member,
    type_name,
)

DEEPEST_EXPRESSION = 120
"""Levels of nesting, operators of a chain included."""
_ROLE_FIELDS = {"Name": "string", "Path": "string"}


@define
class Compilation:
    """The compilation of one expression."""

    functions: Mapping[str, Function | None]
    """Names that are not variables: plain functions, and namespaces (None)."""
    needed: dict[str, None] = Factory(dict)
    """Names that must be variables, in order of appearance."""
    declared: set[str] = Factory(set)
    """Names given by `let`: these must not be variables."""
    top_call: TopCall | None = None
    _lets: dict[str, str] = field(factory=dict)
    _tolerant: int = 0
    _predicates: int = 0
    _depth: int = 0

    def compile(self, tree: Tree[Token]) -> Part:
        """Compile a whole expression. Raises `ExpressionError`."""
        return self._part(tree.children[0])

    # --- dispatch ------------------------------------------------------------------------------

    def _part(self, node: Any) -> Part:
        self._depth += 1
        if self._depth > DEEPEST_EXPRESSION:
            raise ExpressionError(f"nested more than {DEEPEST_EXPRESSION} levels deep")
        try:
            part: Part = getattr(self, f"_{node.data}")(*node.children)
        except ExpressionError as error:
            if error.column or node.meta.empty:
                raise
            raise ExpressionError(error.reason, column=node.meta.column) from error
        finally:
            self._depth -= 1
        return part

    def _codes(self, arguments: Tree[Token]) -> tuple[Code, ...]:
        return tuple(self._part(a).run for a in arguments.children if a is not None)

    # --- literals and names --------------------------------------------------------------------

    def _integer(self, token: Token) -> Part:
        digits = token.replace("_", "")
        prefixed = digits[:2].lower() in ("0x", "0o", "0b")
        # 64 bits are 66 characters at most; Python refuses to read very long numbers at all.
        value = int(digits, 0 if prefixed else 10) if len(digits) <= 100 else 2**63
        if value >= 2**63:
            raise ExpressionError(f"{token[:30]} does not fit 64 bits")
        return _constant("int", value)

    def _float(self, token: Token) -> Part:
        return _constant("float", float(token.replace("_", "")))

    def _string(self, token: Token) -> Part:
        return _constant("string", unescape(token[1:-1]))

    def _raw_string(self, token: Token) -> Part:
        return _constant("string", str(token[1:-1]))

    def _true(self) -> Part:
        return _constant("bool", True)

    def _false(self) -> Part:
        return _constant("bool", False)

    def _nil(self) -> Part:
        return _constant("nil", None)

    def _name(self, token: Token) -> Part:
        name = str(token)
        if name in self._lets:
            return Part(self._lets[name], lambda frame: frame.names[name])
        if name == "$env":
            return Part("map", Frame.all_names)
        if name in self.functions:
            return Part(UNKNOWN, lambda frame: frame.objects[name])
        if self._tolerant:
            return Part(UNKNOWN, lambda frame: frame.variables.get(name))
        self.needed[name] = None
        return Part("string", lambda frame: frame.variables[name])

    def _let(self, token: Token, value: Any) -> Part:
        name = str(token)
        part = self._part(value)
        if name in self._lets or name in self.functions:
            raise ExpressionError(f"cannot redeclare {name}")
        self._lets[name] = part.type
        self.declared.add(name)

        def run(frame: Frame) -> Any:
            frame.names[name] = value = part.run(frame)
            return value

        return Part(part.type, run)

    def _sequence(self, *statements: Any) -> Part:
        outer = dict(self._lets)
        parts = [self._part(statement) for statement in statements]
        self._lets = outer
        codes = tuple(part.run for part in parts[:-1])
        last = parts[-1].run

        def run(frame: Frame) -> Any:
            for code in codes:
                code(frame)
            return last(frame)

        return Part(parts[-1].type, run)

    def _list(self, *items: Any) -> Part:
        parts = [self._part(item) for item in items if item is not None]
        codes = tuple(part.run for part in parts)
        types = {part.type for part in parts}
        kind = f"array of {types.pop()}" if len(types) == 1 else "array"
        return Part(kind, lambda frame: [code(frame) for code in codes])

    def _map(self, *entries: Any) -> Part:
        codes = tuple(
            (self._key(entry.children[0]), self._part(entry.children[1]).run)
            for entry in entries
            if entry is not None
        )
        return Part("map", lambda frame: {key(frame): value(frame) for key, value in codes})

    def _key(self, key: Tree[Token]) -> Code:
        child = key.children[0]
        if not isinstance(child, Token):
            code = self._part(child).run

            def computed(frame: Frame) -> str:
                name = code(frame)
                if not isinstance(name, str):
                    raise ExpressionError(f"a key of a map is a string, not {type_name(name)}")
                return name

            return computed
        text = unescape(child[1:-1]) if child.type == "STRING" else str(child)
        return lambda frame: text

    # --- reading parts -------------------------------------------------------------------------

    def _member(self, base: Any, token: Token) -> Part:
        name = str(token)
        if _is_environment(base):
            return self._entry(name)
        part = self._part(base)
        if part.type == "role":
            if name not in _ROLE_FIELDS:
                raise ExpressionError(f"a role has Name and Path, not {name}")
            return Part(_ROLE_FIELDS[name], _reading(part.run, name))
        demand(part, (UNKNOWN, "map"), f"cannot read .{name} of")
        return Part(UNKNOWN, _reading(part.run, name))

    def _entry(self, name: str) -> Part:
        """`$env.name`, the one way to read variables whose names are not identifiers."""
        if name not in self.functions and not self._tolerant:
            self.needed[name] = None
        return Part(UNKNOWN, lambda frame: frame.all_names().get(name))

    def _optional_member(self, base: Any, token: Token) -> Part:
        part = self._part(base)
        demand(part, (UNKNOWN, "map", "role", "nil"), f"cannot read .{token} of")

        def run(frame: Frame) -> Any:
            value = part.run(frame)
            return None if value is None else member(value, str(token))

        return Part(UNKNOWN, run)

    def _index(self, base: Any, key: Any) -> Part:
        if _is_environment(base) and key.data == "string":
            return self._entry(unescape(key.children[0][1:-1]))
        part, key_part = self._part(base), self._part(key)
        if part.type in ("string", "int", "float", "bool"):
            raise ExpressionError(f"cannot index {part.type}")
        return Part(element_type(part.type), applied(index, part.run, key_part.run))

    def _optional_index(self, base: Any, key: Any) -> Part:
        part, key_part = self._part(base), self._part(key)

        def run(frame: Frame) -> Any:
            value = part.run(frame)
            return None if value is None else index(value, key_part.run(frame))

        return Part(UNKNOWN, run)

    def _slice(self, base: Any, begin: Any, end: Any) -> Part:
        part = self._part(base)
        bounds = [None if b is None else self._part(b).run for b in (begin, end)]

        def run(frame: Frame) -> Any:
            first, last = (None if code is None else code(frame) for code in bounds)
            return cut(part.run(frame), first, last)

        return Part(part.type, run)

    def _pointer(self, pointer: Token) -> Part:
        if not self._predicates:
            raise ExpressionError(f"{pointer} has a meaning only inside a predicate")
        if pointer == "#":
            return Part(UNKNOWN, lambda frame: frame.element)
        if pointer == "#index":
            return Part("int", lambda frame: frame.index)
        if pointer == "#acc":
            return Part(UNKNOWN, lambda frame: frame.accumulator)
        raise ExpressionError(f"unknown pointer {pointer}")

    def _element_member(self, token: Token) -> Part:
        if not self._predicates:
            raise ExpressionError(f".{token} has a meaning only inside a predicate")
        return Part(UNKNOWN, lambda frame: member(frame.element, str(token)))

    # --- operators -----------------------------------------------------------------------------

    def _ternary(self, condition: Any, yes: Any, no: Any) -> Part:
        test = self._condition(condition, "the condition")
        parts = self._part(yes), self._part(no)
        when_true, when_false = parts[0].run, parts[1].run
        kind = parts[0].type if parts[0].type == parts[1].type else UNKNOWN
        return Part(kind, lambda frame: when_true(frame) if test(frame) else when_false(frame))

    def _otherwise(self, condition: Any, no: Any) -> Part:
        test, other = self._condition(condition, "the condition"), self._part(no)
        kind = "bool" if other.type == "bool" else UNKNOWN
        return Part(kind, lambda frame: test(frame) or other.run(frame))

    def _either(self, left: Any, right: Any) -> Part:
        first, second = self._condition(left, "'||'"), self._condition(right, "'||'")
        return Part("bool", lambda frame: first(frame) or second(frame))

    def _both(self, left: Any, right: Any) -> Part:
        first, second = self._condition(left, "'&&'"), self._condition(right, "'&&'")
        return Part("bool", lambda frame: first(frame) and second(frame))

    def _negate(self, operand: Any) -> Part:
        test = self._condition(operand, "'not'")
        return Part("bool", lambda frame: not test(frame))

    def _condition(self, node: Any, user: str) -> Callable[[Frame], bool]:
        """Code that yields a bool, checked now if the type is known and else when it runs."""
        part = self._part(node)
        demand(part, (UNKNOWN, "bool"), f"{user} needs a bool, not")
        if part.type == "bool":
            return part.run

        def run(frame: Frame) -> bool:
            value = part.run(frame)
            if not isinstance(value, bool):
                raise ExpressionError(f"{user} needs a bool, not {type_name(value)}")
            return value

        return run

    def _coalesce(self, left: Any, right: Any) -> Part:
        first, second = self._part(left), self._part(right)

        def run(frame: Frame) -> Any:
            value = first.run(frame)
            return second.run(frame) if value is None else value

        return Part(first.type if first.type == second.type else UNKNOWN, run)

    def _comparison(self, first: Any, *rest: Any) -> Part:
        left = self._part(first)
        result: Part | None = None
        chains = False
        for comparator, operand in zip(rest[::2], rest[1::2], strict=True):
            words = [str(token) for token in comparator.children]
            right = self._part(operand)
            is_ordering = words[0] in ORDERINGS
            if result is not None and not (chains and is_ordering):
                # Only orderings chain; else what came before is the left side.
                left, result = result, None
            step = compared(words, left, right)
            result = step if result is None else joined(result, step)
            left, chains = right, is_ordering
        assert result is not None
        return result

    def _range(self, left: Any, right: Any) -> Part:
        return self._binary(left, right, "..", operation.span, ("int",), "array of int")

    def _add(self, left: Any, right: Any) -> Part:
        first, second = self._part(left), self._part(right)
        known = {first.type, second.type} - {UNKNOWN}
        if not (known <= {"int", "float"} or known == {"string"}):
            raise ExpressionError(f"'+' cannot take {first.type} and {second.type}")
        kind = UNKNOWN
        if UNKNOWN not in (first.type, second.type):
            kind = "string" if known == {"string"} else _number_type(first, second)
        return Part(kind, applied(operation.add, first.run, second.run))

    def _subtract(self, left: Any, right: Any) -> Part:
        return self._binary(left, right, "-", operation.subtract, ("int", "float"), "")

    def _multiply(self, left: Any, right: Any) -> Part:
        return self._binary(left, right, "*", operation.multiply, ("int", "float"), "")

    def _divide(self, left: Any, right: Any) -> Part:
        return self._binary(left, right, "/", operation.divide, ("int", "float"), "float")

    def _remainder(self, left: Any, right: Any) -> Part:
        return self._binary(left, right, "%", operation.remainder, ("int",), "int")

    def _power(self, left: Any, right: Any) -> Part:
        return self._binary(left, right, "**", operation.power, ("int", "float"), "float")

    def _binary(
        self,
        left: Any,
        right: Any,
        symbol: str,
        function: Callable[[Any, Any], Any],
        operands: tuple[str, ...],
        result: str,
    ) -> Part:
        """An operator on numbers; an empty `result` is the wider of the operands."""
        first, second = self._part(left), self._part(right)
        for part in (first, second):
            demand(part, (UNKNOWN, *operands), f"'{symbol}' cannot take")
        kind = result or _number_type(first, second)
        return Part(kind, applied(function, first.run, second.run))

    def _minus(self, operand: Any) -> Part:
        return self._signed(operand, "-", operation.minus)

    def _plus(self, operand: Any) -> Part:
        return self._signed(operand, "+", operation.plus)

    def _signed(self, operand: Any, symbol: str, function: Callable[[Any], Any]) -> Part:
        part = self._part(operand)
        demand(part, (UNKNOWN, "int", "float"), f"'{symbol}' cannot take")
        return Part(part.type, lambda frame: function(part.run(frame)))

    # --- calls ---------------------------------------------------------------------------------

    def _call(self, callee: Any, arguments: Tree[Token]) -> Part:
        is_outermost = self._depth == 1
        name = str(callee.children[0]) if callee.data == "name" else ""
        if name and name not in self._lets and name not in self.functions:
            return self._built_in(name, self._codes(arguments))
        self._check_namespace(callee)
        declared = self.functions.get(name)
        tolerant = declared is None or declared.tolerates_undefined
        function = self._part(callee).run
        if tolerant:
            self._tolerant += 1
        codes = self._codes(arguments)
        if tolerant:
            self._tolerant -= 1
        if is_outermost:
            self.top_call = TopCall(function, codes)
        described = _described(callee)

        def run(frame: Frame) -> Any:
            return call(frame, function, codes, described)

        return Part(declared.result if declared is not None else UNKNOWN, run)

    def _check_namespace(self, callee: Any) -> None:
        """A variable is a text and has no functions: say that the namespace is missing."""
        if callee.data != "member" or callee.children[0].data != "name":
            return
        name = str(callee.children[0].children[0])
        if name != "$env" and name not in self._lets and name not in self.functions:
            raise ExpressionError(f"unknown name {name}: no namespace of functions is called so")

    def _pipe_call(self, first: Any, token: Token, arguments: Tree[Token]) -> Part:
        name = str(token)
        declared = self.functions.get(name)
        if declared is None:
            return self._built_in(name, (self._part(first).run, *self._codes(arguments)))
        codes = (self._part(first).run, *self._codes(arguments))

        def run(frame: Frame) -> Any:
            return call(frame, lambda frame: frame.objects[name], codes, name)

        return Part(declared.result, run)

    def _built_in(self, name: str, codes: tuple[Code, ...]) -> Part:
        built_in = BUILT_INS.get(name)
        if built_in is None:
            raise ExpressionError(f"unknown function {name}")
        built_in.check_count(len(codes))
        function = built_in.call
        return Part(built_in.result, lambda frame: function(*[code(frame) for code in codes]))

    def _predicate_call(self, token: Token, subject: Any, predicate: Any, last: Any) -> Part:
        return self._with_predicate(str(token), self._part(subject).run, predicate, last)

    def _pipe_predicate(self, subject: Any, token: Token, predicate: Any, last: Any) -> Part:
        return self._with_predicate(str(token), self._part(subject).run, predicate, last)

    def _with_predicate(self, name: str, subject: Code, predicate: Any, last: Any) -> Part:
        built_in = PREDICATES[name]
        built_in.check(predicate is not None, last is not None)
        code: Code | None = None
        if predicate is not None:
            self._predicates += 1
            code = self._part(predicate).run
            self._predicates -= 1
        last_code = None if last is None else self._part(last).run

        def run(frame: Frame) -> Any:
            items = subject(frame)
            if not isinstance(items, list):
                raise ExpressionError(f"{name} takes a list, not {type_name(items)}")
            argument = None if last_code is None else last_code(frame)
            return built_in.call(Elements(frame, items, code), argument)

        return Part(built_in.result, run)


def _constant(kind: str, value: Any) -> Part:
    return Part(kind, lambda frame: value)


def _reading(base: Code, name: str) -> Code:
    return lambda frame: member(base(frame), name)


def _number_type(first: Part, second: Part) -> str:
    types = {first.type, second.type}
    if UNKNOWN in types:
        return UNKNOWN
    return "float" if "float" in types else "int"


def _is_environment(node: Any) -> bool:
    return bool(node.data == "name" and node.children[0] == "$env")


def _described(callee: Any) -> str:
    if callee.data == "name":
        return str(callee.children[0])
    if callee.data == "member":
        return f"{_described(callee.children[0])}.{callee.children[1]}"
    return "this"


_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))",
    re.DOTALL,
)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def unescape(text: str) -> str:
    """The text that a quoted string stands for. Raises `ExpressionError`."""

    def character(match: re.Match[str]) -> str:
        short, byte, octal, four, eight, other = match.groups()
        if short:
            return _ESCAPED.get(short, short)
        if other is not None:
            raise ExpressionError(f"unknown escape \\{other} in a string")
        code = int(octal, 8) if octal else int(byte or four or eight, 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ExpressionError(f"{match[0]} is not a character")
        return chr(code)

    return _ESCAPE.sub(character, text) if "\\" in text else text
