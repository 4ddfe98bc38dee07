"""A parsed expression -> a closure that evaluates it.

The natures of values are checked as far as they are known before anything runs. How strictly
depends on the place, as in the reference: within the arguments of a function whose result is known,
a fault waits until it is evaluated and an undefined name is nil; within those of any other named
function, nothing is checked beforehand. What was assumed of variables is collected, since a
compiled expression is good only where they are there or missing in the same way. Called by
`expression`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from attrs import Factory, define, evolve, field, frozen

from aliecs.language import nature as natures
from aliecs.language.access import (
    ENVIRONMENT,
    chained,
    description,
    element_at_hand,
    from_environment,
    is_environment,
    reading,
    slicing,
)
from aliecs.language.builtin import BUILT_INS
from aliecs.language.evaluation import Frame, Part, TopCall, call
from aliecs.language.nature import ANY, FUNCTION, INT, MAP, NIL, STRING, UNKNOWN, Nature
from aliecs.language.operators import constant_part, make_binary, make_unary
from aliecs.language.parsing import DEEPEST_EXPRESSION
from aliecs.language.predicate import PREDICATES, Predicate
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
from aliecs.language.value import (
    ExpressionError,
    Function,
    type_name,
)
from aliecs.language.walking import combined, first_of, is_filter, joined, walking

STRICT, LENIENT, BLIND = range(3)


@frozen
class _PredicateScope:
    """What the predicate at hand may point at."""

    element: Nature
    pointers: tuple[str, ...]


@define
class Compilation:
    """The compilation of one expression."""

    functions: Mapping[str, Function | None]
    """Names that are not variables: plain functions, and namespaces (None)."""
    is_variable: Callable[[str], bool]
    assumed: dict[str, bool] = Factory(dict)
    """Names that were asked for, and whether they are variables."""
    top_call: TopCall | None = None
    _lets: dict[str, tuple[str, Nature]] = field(factory=dict)
    """Names given by `let`: where the value is kept, and its nature."""
    _slots: int = 0
    _mode: int = STRICT
    _scopes: list[_PredicateScope] = field(factory=list)
    _depth: int = 0

    def part(self, node: Node) -> Part:
        """Compile a node. Raises `ExpressionError`."""
        self._depth += 1
        if self._depth > DEEPEST_EXPRESSION:
            raise ExpressionError(f"nested more than {DEEPEST_EXPRESSION} levels deep")
        try:
            made = self._makers[type(node)](self, node)
        except ExpressionError as error:
            raise error.located("", node.column) from error
        finally:
            self._depth -= 1
        if self._mode == BLIND and made.nature is not UNKNOWN:
            return evolve(made, nature=UNKNOWN)
        return made

    def _parts(self, nodes: tuple[Node, ...]) -> list[Part]:
        return [self.part(node) for node in nodes]

    def _within(self, mode: int, nodes: tuple[Node, ...]) -> list[Part]:
        """The parts of nodes that are checked less strictly."""
        outer, self._mode = self._mode, max(mode, self._mode)
        try:
            return self._parts(nodes)
        finally:
            self._mode = outer

    def _checked(self, check: Callable[[], Nature]) -> Nature:
        """The nature that a check gives; unknown where it fails and that may wait."""
        try:
            return check()
        except ExpressionError:
            if self._mode == STRICT:
                raise
            return UNKNOWN

    def _refused(self, reason: str) -> None:
        """Something is wrong, which is an error now unless it may wait."""
        if self._mode == STRICT:
            raise ExpressionError(reason)

    def _knows(self, name: str) -> bool:
        """Whether there is such a variable."""
        if name not in self.assumed:
            self.assumed[name] = self.is_variable(name)
        return self.assumed[name]

    # --- literals and names --------------------------------------------------------------------

    def _literal(self, node: Literal) -> Part:
        value = node.value
        if value is None:
            return Part(NIL, lambda frame: None)
        return constant_part(value)

    def _name(self, node: Name) -> Part:
        name = node.name
        if name in self._lets:
            slot, nature = self._lets[name]
            return Part(nature, lambda frame: frame.names[slot])
        if name == ENVIRONMENT:
            return Part(UNKNOWN, Frame.all_names)
        if name in self.functions:
            function = self.functions[name]
            nature = natures.of_function(function) if function else MAP
            return Part(nature, lambda frame: frame.objects[name])
        if self._knows(name):
            return Part(STRING, lambda frame: frame.variables[name])
        if name in BUILT_INS or name in PREDICATES:
            return Part(FUNCTION, lambda frame: None)
        if self._mode == STRICT:
            raise ExpressionError(f"unknown name {name}")
        return Part(UNKNOWN, lambda frame: None)

    def _let(self, node: Let) -> Part:
        name = node.name
        if self._mode == STRICT and (
            name in self.functions
            or name in self._lets
            or name in BUILT_INS
            or name in PREDICATES
            or self._knows(name)
        ):
            what = ", it is a variable" if self.assumed.get(name) else ""
            raise ExpressionError(f"cannot redeclare {name}{what}")
        value = self.part(node.value)
        self._slots += 1
        slot, run_value = f"{name} {self._slots}", value.run
        outer = self._lets
        self._lets = {**outer, name: (slot, value.nature)}
        body = self.part(node.body)
        self._lets = outer
        run_body = body.run

        def run(frame: Frame) -> Any:
            frame.names[slot] = run_value(frame)
            return run_body(frame)

        return Part(body.nature, run)

    def _sequence(self, node: Sequence) -> Part:
        parts = self._parts(node.items)
        codes, last = tuple(part.run for part in parts[:-1]), parts[-1].run

        def run(frame: Frame) -> Any:
            for code in codes:
                code(frame)
            return last(frame)

        return Part(parts[-1].nature, run)

    def _list(self, node: ListOf) -> Part:
        parts = self._parts(node.items)
        codes = tuple(part.run for part in parts)
        nature = natures.list_of_items([part.nature for part in parts])
        return Part(nature, lambda frame: [code(frame) for code in codes])

    def _map(self, node: MapOf) -> Part:
        entries = [(self.part(key).run, self.part(value).run) for key, value in node.entries]

        def run(frame: Frame) -> dict[str, Any]:
            result: dict[str, Any] = {}
            for key_code, value_code in entries:
                key, value = key_code(frame), value_code(frame)
                if not isinstance(key, str):
                    raise ExpressionError(f"a key of a map is a string, not {type_name(key)}")
                # Of two with one key the first stays, as in the reference.
                result.setdefault(key, value)
            return result

        return Part(MAP, run)

    def _pointer(self, node: Pointer) -> Part:
        scope = self._scopes[-1]
        name = node.name
        if not name:
            return Part(scope.element, element_at_hand)
        if name not in ("index", "acc") or (self._mode == STRICT and name not in scope.pointers):
            raise ExpressionError(f"unknown pointer #{name}")
        if name == "index":
            return Part(INT, lambda frame: frame.index)
        return Part(UNKNOWN, lambda frame: frame.accumulator)

    # --- reading parts -------------------------------------------------------------------------

    def _member(self, node: Member) -> Part:
        name = node.key.value if isinstance(node.key, Literal) else None
        name = name if isinstance(name, str) else None
        if is_environment(node.base) and name is not None:
            return self._entry(name, node.is_optional)
        base, key = self.part(node.base), self.part(node.key)
        nature = self._checked(lambda: natures.member(base.nature, key.nature, name))
        position = key.constant.value if key.constant else None
        is_end = type(position) is int and position in (0, -1) and not node.is_optional
        if is_end and is_filter(base):
            return first_of(base, nature, backwards=position == -1, is_needed=True)
        return Part(nature, reading(base.run, key, node.is_optional))

    def _entry(self, name: str, is_optional: bool) -> Part:
        """`$env.name`, the one way to read variables whose names are not identifiers."""
        if name in self.functions:
            function = self.functions[name]
            nature = natures.of_function(function) if function else MAP
        elif self._knows(name):
            nature = STRING
        elif is_optional or self._mode != STRICT:
            nature = UNKNOWN
        else:
            raise ExpressionError(f"unknown name {name}")
        return Part(nature, lambda frame: from_environment(frame, name))

    def _chain(self, node: Chain) -> Part:
        body = self.part(node.body)
        return Part(body.nature, chained(body.run))

    def _slice(self, node: Slice) -> Part:
        base = self.part(node.base)
        kind = base.nature
        if not (kind.is_unknown or kind.is_list or kind.kind == "string"):
            self._refused(f"cannot take a part of {kind}")
        bounds = tuple(bound for bound in (node.begin, node.end) if bound is not None)
        parts = self._within(BLIND if kind.is_unknown else STRICT, bounds)
        for part in parts:
            if not (part.nature.is_unknown or part.nature.is_whole):
                self._refused(f"a bound is an int, not {part.nature}")
        begin = parts[0].run if node.begin is not None else None
        end = parts[-1].run if node.end is not None else None
        return Part(base.nature, slicing(base.run, begin, end))

    # --- operators -----------------------------------------------------------------------------

    def _unary(self, node: Unary) -> Part:
        operand = self.part(node.operand)
        return make_unary(node.operator, operand, self._checked)

    def _binary(self, node: Binary) -> Part:
        left, right = self.part(node.left), self.part(node.right)
        made = make_binary(node, left, right, self._checked)
        return combined(node.operator, left, right) or made

    def _condition(self, node: Condition) -> Part:
        test, yes, no = self._parts((node.test, node.yes, node.no))
        if not (test.nature.is_unknown or test.nature.kind == "bool"):
            self._refused(f"the condition needs a bool, not {test.nature}")
        run_test, run_yes, run_no = test.run, yes.run, no.run

        def run(frame: Frame) -> Any:
            value = run_test(frame)
            if value is True:
                return run_yes(frame)
            if value is False:
                return run_no(frame)
            raise ExpressionError(f"the condition needs a bool, not {type_name(value)}")

        return Part(natures.alternative(yes.nature, no.nature), run)

    # --- calls ---------------------------------------------------------------------------------

    def _call(self, node: Call) -> Part:
        is_outermost = self._depth == 1
        described = description(node.callee)
        self._check_callee(node.callee)
        callee = self.part(node.callee)
        nature, arguments = self._called(callee.nature, node.arguments, described)
        function, codes = callee.run, tuple(part.run for part in arguments)
        if is_outermost:
            self.top_call = TopCall(function, codes)
        # Where nothing is checked beforehand every function takes nil.
        is_blind = self._mode == BLIND or callee.nature.is_unknown
        return Part(nature, lambda frame: call(frame, function, codes, described, is_blind))

    def _check_callee(self, callee: Node) -> None:
        """Say what is missing where a function or a namespace is."""
        namespace = callee.base if isinstance(callee, Member) else callee
        if not isinstance(namespace, Name) or self._mode != STRICT:
            return
        name = namespace.name
        if name in self._lets or name in self.functions or name == ENVIRONMENT:
            return
        if isinstance(callee, Member):
            if not self._knows(name):
                raise ExpressionError(f"unknown name {name}: there is no namespace of that name")
        elif not self._knows(name):
            raise ExpressionError(f"unknown function {name}")

    def _called(
        self, nature: Nature, arguments: tuple[Node, ...], described: str
    ) -> tuple[Nature, list[Part]]:
        """The nature of a call's result, and its arguments."""
        if nature.is_unknown:
            return UNKNOWN, self._within(BLIND, arguments)
        if nature.kind != "func":
            self._refused(f"cannot call {described}: it is {nature}")
            return UNKNOWN, self._within(BLIND, arguments)
        function = nature.function
        if function is None:
            return UNKNOWN, self._parts(arguments)
        result = natures.RESULTS[function.result]
        parts = self._within(STRICT if result is ANY else LENIENT, arguments)

        def check() -> Nature:
            natures.check_call(function, [part.nature for part in parts])
            return result

        return self._checked(check), parts

    def _built_in_call(self, node: BuiltInCall) -> Part:
        if node.name in PREDICATES:
            return self._predicate_call(PREDICATES[node.name], node.arguments)
        parts = self._parts(node.arguments)
        built_in = BUILT_INS[node.name]
        nature = self._checked(lambda: built_in.nature([part.nature for part in parts]))
        if node.name == "get" and len(parts) == 2 and is_environment(node.arguments[0]):
            nature = self._gotten_entry(parts[1])
        if node.name in ("first", "last") and len(parts) == 1 and is_filter(parts[0]):
            return first_of(parts[0], nature, backwards=node.name == "last", is_needed=False)
        function = built_in.function([part.nature for part in parts])
        codes = tuple(part.run for part in parts)

        def run(frame: Frame) -> Any:
            values = [code(frame) for code in codes]
            frame.weigh(*values)
            result = function(frame.spend, *values)
            frame.weigh(result)
            return result

        def refuse(frame: Frame) -> Any:
            built_in.check_count(len(codes))

        fits = built_in.fewest <= len(codes) <= built_in.most
        return Part(nature, run if fits else refuse)

    def _gotten_entry(self, key: Part) -> Nature:
        """The nature of `get($env, key)`."""
        if key.constant is None or not isinstance(key.constant.value, str):
            return UNKNOWN
        return self._entry(key.constant.value, is_optional=True).nature

    # --- predicates ----------------------------------------------------------------------------

    def _predicate_call(self, predicate: Predicate, arguments: tuple[Node, ...]) -> Part:
        if predicate.name == "sum" and len(arguments) == 1:
            folded = self._sum_of_literal(arguments[0])
            if folded is not None:
                return folded
        subject = self.part(arguments[0])
        asked = self._asked(predicate, subject, arguments[1]) if len(arguments) > 1 else None
        last = self.part(arguments[2]).run if len(arguments) > 2 else None
        nature = self._checked(
            lambda: predicate.nature(subject.nature, asked.nature if asked else None)
        )
        made = walking(predicate, subject, asked, last, nature)
        return made if asked is None else joined(made, predicate, subject, asked, arguments)

    def _asked(self, predicate: Predicate, subject: Part, node: Node) -> Part:
        """A predicate, compiled where it can see the elements of the list."""
        element = subject.nature.item if subject.nature.is_list else UNKNOWN
        self._scopes.append(_PredicateScope(element, predicate.pointers))
        try:
            return self.part(node)
        finally:
            self._scopes.pop()

    def _sum_of_literal(self, node: Node) -> Part | None:
        """`sum([a, b])` is `a + b`, which joins texts, too."""
        if not isinstance(node, ListOf) or len(node.items) < 2:
            return None
        parts = self._parts(node.items)
        if all(part.constant is not None for part in parts):
            return None
        nature = natures.list_of_items([part.nature for part in parts]).item
        total = parts[-1]
        for part in reversed(parts[:-1]):
            plus = Binary(node.column, "+", node, node)
            one, rest = Part(UNKNOWN, part.run), Part(UNKNOWN, total.run)
            total = make_binary(plus, one, rest, self._checked)
        return Part(nature, total.run)

    _makers: ClassVar[dict[type[Node], Callable[[Compilation, Any], Part]]] = {
        Literal: _literal,
        Name: _name,
        Let: _let,
        Sequence: _sequence,
        ListOf: _list,
        MapOf: _map,
        Pointer: _pointer,
        Member: _member,
        Chain: _chain,
        Slice: _slice,
        Unary: _unary,
        Binary: _binary,
        Condition: _condition,
        Call: _call,
        BuiltInCall: _built_in_call,
    }
