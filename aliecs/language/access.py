"""Closures that read names and parts of values: elements, entries, chains, slices.

What `compilation` makes of the nodes of such reads, once it has found out their natures.
"""

from __future__ import annotations

from typing import Any

from aliecs.language.evaluation import Code, Frame, Part
from aliecs.language.members import cut, member
from aliecs.language.syntax import Literal, Member, Name, Node
from aliecs.language.value import UNREADABLE, ExpressionError, NilList, whole

ENVIRONMENT = "$env"


class _Ended(Exception):
    """An optional member had nothing to read from: the chain around it is nil."""


def element_at_hand(frame: Frame) -> Any:
    """`#`: the element that the predicate is asked about."""
    if frame.element is UNREADABLE:
        raise ExpressionError("a list is needed, not a map")
    return frame.element


def is_environment(node: Node) -> bool:
    """Whether a node is `$env`."""
    return isinstance(node, Name) and node.name == ENVIRONMENT


def from_environment(frame: Frame, name: str) -> Any:
    """`$env.name`"""
    if name in frame.objects:
        return frame.objects[name]
    return frame.variables.get(name)


def reading(base: Code, key: Part, is_optional: bool) -> Code:
    """Code that reads a member."""
    if is_optional:
        run_key = key.run

        def optional(frame: Frame) -> Any:
            value = base(frame)
            if value is None or type(value) is NilList:
                raise _Ended
            return member(value, run_key(frame))

        return optional
    if key.constant is None:
        run_key = key.run
        return lambda frame: member(base(frame), run_key(frame))
    name = key.constant.value
    return lambda frame: member(base(frame), name)


def description(callee: Node) -> str:
    """How a message calls what is called."""
    if isinstance(callee, Name):
        return callee.name
    if isinstance(callee, Member) and isinstance(callee.key, Literal):
        return f"{description(callee.base)}.{callee.key.value}"
    return "this"


def chained(body: Code) -> Code:
    """Code of a chain of members, which is nil where an optional one has nothing to read from."""

    def run(frame: Frame) -> Any:
        try:
            value = body(frame)
        except _Ended:
            return None
        return None if type(value) is NilList else value

    return run


def slicing(base: Code, begin: Code | None, end: Code | None) -> Code:
    """Code of `base[begin:end]`."""

    def run(frame: Frame) -> Any:
        value = base(frame)
        frame.weigh(value)
        last = None if end is None else whole(end(frame))
        first = None if begin is None else whole(begin(frame))
        return cut(value, first, last)

    return run
