"""The expressions of payload templates, parsed: what they evaluate to.

Operators are strict where the reference is (`==`) and loose where it is (arithmetic takes a text
for the number that it writes, or for 0). There is no way from here to anything of Python: names
come from the frame, members from maps and lists, calls reach our functions and the template's
macros only.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from attrs import define

from aliecs.language.payload.evaluation import Expression, Frame
from aliecs.language.payload.lexing import Token
from aliecs.language.payload.power import power
from aliecs.language.payload.value import (
    BlockView,
    CycleValue,
    Loop,
    SafeText,
    ValueFault,
    contains,
    element,
    equal,
    is_integer,
    is_true,
    joined,
    kind_name,
    negate,
    to_float,
    to_integer,
    to_text,
    type_name,
    wrapped,
)
from aliecs.language.value import ExpressionError, Function, Namespace


class Callee(ABC):
    """A macro, or a method of an object of the engine."""

    @abstractmethod
    def invoke(self, frame: Frame, arguments: list[Any], token: Token, name: str) -> Any:
        """Call it. Raises `PayloadError`."""


@define(eq=False)
class Literal:
    """A number, text or truth value."""

    token: Token
    value: Any

    def evaluate(self, frame: Frame) -> Any:
        """Itself."""
        return self.value

    def applies(self, name: str) -> bool:
        """A bare literal went through no filter."""
        return False


@define(eq=False)
class Part:
    """A step of a variable: a name, an index or a subscript, and the arguments of a call."""

    name: str = ""
    index: int | None = None
    subscript: Expression | None = None
    arguments: list[Expression] | None = None


@define(eq=False)
class Variable:
    """A name and what is read from it, such as `json.Unmarshal(text).key.0`."""

    token: Token
    parts: list[Part]

    def applies(self, name: str) -> bool:
        """A bare variable went through no filter."""
        return False

    def evaluate(self, frame: Frame) -> Any:
        """The value; nil where there is none."""
        value: Any = None
        for position, part in enumerate(self.parts):
            if position == 0:
                private = frame.private
                if part.name in private:
                    value = private[part.name]
                else:
                    value = frame.public.get(part.name)
                if value is None:
                    return None
            elif value is None:
                # Of nothing there is nothing, whatever is asked of it.
                return None
            else:
                found = self._member(value, part, frame)
                if found is _NOTHING:
                    return None
                value = found
            if part.arguments is not None or isinstance(value, (Function, Callee)):
                value = self._call(value, part, frame)
        return value

    def _member(self, value: Any, part: Part, frame: Frame) -> Any:
        if part.subscript is not None:
            return self._subscript(value, part.subscript.evaluate(frame), frame)
        if part.index is not None:
            if isinstance(value, (str, list)):
                return _existing(element(value, part.index))
            raise frame.error(
                f"can't access an index on type {kind_name(value)} (variable {self})", self.token
            )
        return self._named(value, part.name, frame)

    def _named(self, value: Any, name: str, frame: Frame) -> Any:
        if isinstance(value, dict):
            return value.get(name, _NOTHING)
        if isinstance(value, Namespace):
            return value.members.get(name, _NOTHING)
        if isinstance(value, Loop):
            return _existing(value.fields().get(name))
        if isinstance(value, BlockView):
            return value.upper if name == "Super" else _NOTHING
        if isinstance(value, CycleValue):
            return _Text(value) if name == "String" else _NOTHING
        raise frame.error(
            f"can't access a field by name on type {kind_name(value)} (variable {self})",
            self.token,
        )

    def _subscript(self, value: Any, key: Any, frame: Frame) -> Any:
        if isinstance(value, (str, list)):
            return _existing(element(value, to_integer(key)))
        if isinstance(value, (dict, Namespace)):
            if key is None:
                raise frame.error(f"the key is undefined (variable {self})", self.token)
            if not isinstance(key, str):
                return _NOTHING
            found = self._named(value, str(key), frame)
            if found is not _NOTHING and isinstance(value, Namespace):
                raise frame.error(f"a function is called by name (variable {self})", self.token)
            return found
        if isinstance(value, (Loop, BlockView, CycleValue)):
            return self._named(value, to_text(key), frame) if isinstance(value, Loop) else None
        raise frame.error(
            f"can't access a subscript on type {kind_name(value)} (variable {self})", self.token
        )

    def _call(self, value: Any, part: Part, frame: Frame) -> Any:
        if not isinstance(value, (Function, Callee)):
            what = kind_name(value) if value is None else type_name(value)
            raise frame.error(f"'{self}' is not a function (it is {what})", self.token)
        arguments = [argument.evaluate(frame) for argument in part.arguments or ()]
        frame.render.spend(4)
        if isinstance(value, Callee):
            result = value.invoke(frame, arguments, self.token, str(self))
        else:
            result = self._call_function(value, arguments, frame)
        frame.render.spend_on(result)
        return result

    def _call_function(self, function: Function, arguments: list[Any], frame: Frame) -> Any:
        parameters = function.parameters or ()
        if len(arguments) != len(parameters):
            raise frame.error(
                f"function input argument count ({len(parameters)}) of '{self}' must be equal to "
                f"the calling argument count ({len(arguments)})",
                self.token,
            )
        plain = []
        for position, (argument, wanted) in enumerate(zip(arguments, parameters, strict=True)):
            if isinstance(argument, SafeText):
                argument = str(argument)
            if wanted is not object and type(argument) is not wanted:
                expected = "string" if wanted is str else "int"
                raise frame.error(
                    f"function input argument {position} of '{self}' must be of type {expected} "
                    f"(not {type_name(argument)})",
                    self.token,
                )
            plain.append(argument)
        try:
            return function.call(frame.render, *plain)
        except ExpressionError as error:
            raise frame.error(error.reason, self.token) from error

    def __str__(self) -> str:
        names = [
            part.name or (str(part.index) if part.index is not None else "[...]")
            for part in self.parts
        ]
        return ".".join(names)


class _Nothing:
    """There is no such member, which is more than that it is nil: nothing can be called on it."""


_NOTHING = _Nothing()


def _existing(value: Any) -> Any:
    return _NOTHING if value is None else value


@define(eq=False)
class _Text(Callee):
    """The method `String` of what `cycle` gives."""

    value: CycleValue

    def invoke(self, frame: Frame, arguments: list[Any], token: Token, name: str) -> str:
        """The text."""
        if arguments:
            raise frame.error(f"'{name}' takes no arguments", token)
        return to_text(self.value)


@define(eq=False)
class FilterCall:
    """A filter and its argument."""

    token: Token
    name: str
    function: Callable[[Any, Any, Any], Any]
    argument: Expression | None

    def apply(self, value: Any, frame: Frame) -> Any:
        """The filtered value."""
        argument = None if self.argument is None else self.argument.evaluate(frame)
        return apply_filter(self.function, value, argument, frame, self.token)


def apply_filter(
    function: Callable[[Any, Any, Any], Any],
    value: Any,
    argument: Any,
    frame: Frame,
    token: Token,
) -> Any:
    """Call the function of a filter. Raises `PayloadError` at `token`."""
    render = frame.render
    render.spend(2)
    if isinstance(value, (str, list)):
        render.spend_on(value)
    try:
        result = function(value, argument, render)
    except ValueFault as fault:
        raise frame.error(f"filter '{token.text}': {fault}", token) from fault
    render.spend_on(result)
    return result


@define(eq=False)
class Filtered:
    """A value that goes through filters."""

    token: Token
    operand: Expression
    filters: list[FilterCall]

    def evaluate(self, frame: Frame) -> Any:
        """The value after the last filter."""
        value = self.operand.evaluate(frame)
        for filter_call in self.filters:
            value = filter_call.apply(value, frame)
        return value

    def applies(self, name: str) -> bool:
        """Whether one of the filters has this name."""
        return any(filter_call.name == name for filter_call in self.filters)


@define(eq=False)
class Signed:
    """An operand with `not`, `-` or both before it; `not` comes first."""

    token: Token
    operand: Expression
    negated: bool
    negative: bool

    def evaluate(self, frame: Frame) -> Any:
        """The opposite value."""
        value = self.operand.evaluate(frame)
        if self.negated:
            value = negate(value)
        if self.negative:
            if isinstance(value, float):
                return -value
            if is_integer(value):
                return wrapped(-value)
            raise frame.error("Negative sign on a non-number expression", self.operand.token)
        return value

    def applies(self, name: str) -> bool:
        """As its operand."""
        return self.operand.applies(name)


@define(eq=False)
class Binary:
    """Two operands and the operator between them."""

    token: Token
    left: Expression
    right: Expression
    function: Callable[[Any, Any], Any]

    def evaluate(self, frame: Frame) -> Any:
        """The result."""
        left = self.left.evaluate(frame)
        right = self.right.evaluate(frame)
        try:
            result = self.function(left, right)
        except ValueFault as fault:
            raise frame.error(str(fault), self.token) from fault
        if isinstance(result, str) or isinstance(right, (str, list)):
            frame.render.spend_on(result if isinstance(result, str) else right)
        return result

    def applies(self, name: str) -> bool:
        """Whether both operands went through such a filter."""
        return self.left.applies(name) and self.right.applies(name)


@define(eq=False)
class Logical:
    """`and` and `or`: true or false, and the right side only where it matters."""

    token: Token
    left: Expression
    right: Expression
    is_or: bool

    def evaluate(self, frame: Frame) -> bool:
        """The result."""
        if is_true(self.left.evaluate(frame)) is self.is_or:
            return self.is_or
        return is_true(self.right.evaluate(frame))

    def applies(self, name: str) -> bool:
        """Whether both operands went through such a filter."""
        return self.left.applies(name) and self.right.applies(name)


# --- operators -----------------------------------------------------------------------------------


def _either_float(left: Any, right: Any) -> bool:
    return isinstance(left, float) or isinstance(right, float)


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        return joined(to_text(left) + to_text(right))
    if _either_float(left, right):
        return to_float(left) + to_float(right)
    return wrapped(to_integer(left) + to_integer(right))


def _subtract(left: Any, right: Any) -> Any:
    if _either_float(left, right):
        return to_float(left) - to_float(right)
    return wrapped(to_integer(left) - to_integer(right))


def _multiply(left: Any, right: Any) -> Any:
    if _either_float(left, right):
        return to_float(left) * to_float(right)
    return wrapped(to_integer(left) * to_integer(right))


def _divide(left: Any, right: Any) -> Any:
    if _either_float(left, right):
        return _divided(to_float(left), to_float(right))
    dividend, divisor = to_integer(left), to_integer(right)
    if divisor == 0:
        raise ValueFault("division by zero")
    quotient = abs(dividend) // abs(divisor)
    return wrapped(quotient if (dividend < 0) == (divisor < 0) else -quotient)


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _remainder(left: Any, right: Any) -> int:
    dividend, divisor = to_integer(left), to_integer(right)
    if divisor == 0:
        raise ValueFault("division by zero")
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def _power(left: Any, right: Any) -> float:
    return power(to_float(left), to_float(right))


def _less(left: Any, right: Any) -> bool:
    if _either_float(left, right):
        return to_float(left) < to_float(right)
    return to_integer(left) < to_integer(right)


def _at_most(left: Any, right: Any) -> bool:
    if _either_float(left, right):
        return to_float(left) <= to_float(right)
    return to_integer(left) <= to_integer(right)


def _different(left: Any, right: Any) -> bool:
    return not equal(left, right)


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": _remainder,
    "^": _power,
    "==": equal,
    "!=": _different,
    "<>": _different,
    "<": _less,
    "<=": _at_most,
    ">": lambda left, right: _less(right, left),
    ">=": lambda left, right: _at_most(right, left),
    "in": lambda left, right: contains(right, left),
}
"""What the binary operators do."""
