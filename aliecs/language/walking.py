"""Calls that go over a list with a predicate, compiled, and how several of them become one.

`filter(filter(x, p), q)` and `all(x, p) and all(x, q)` are one walk over `x`, and `filter(x, p)[0]`
looks no further than it must. In the reference this is for speed, but it decides which faults of
`p` and `q` are ever met, so it is done here as well. Called by `compilation`; nothing is compiled
twice, else small expressions could be made to take for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from aliecs.language.evaluation import Code, Frame, Part
from aliecs.language.members import elements
from aliecs.language.nature import BOOL, Nature
from aliecs.language.operators import make_binary
from aliecs.language.predicate import PREDICATES, Elements, Predicate
from aliecs.language.syntax import Binary, Node, Pointer
from aliecs.language.value import ExpressionError

_COMBINED = {("all", "and"): "and", ("any", "or"): "or", ("none", "and"): "or"}


@frozen
class Walk:
    """What a compiled call goes over, and what it asks of each element."""

    name: str
    over: Node
    subject: Part
    asked: Part
    made: Part | None = None
    """What `map` makes of the elements that a filter keeps."""


def _walk_of(part: Part) -> Walk | None:
    return part.walk if isinstance(part.walk, Walk) else None


def is_filter(part: Part) -> bool:
    """Whether it is a walk that keeps some elements, or what `map` makes of those."""
    walk = _walk_of(part)
    return walk is not None and walk.name == "filter"


def walking(
    predicate: Predicate, subject: Part, asked: Part | None, last: Code | None, nature: Nature
) -> Part:
    """A call over a list."""
    function, run_subject = predicate.call, subject.run
    code = asked.run if asked else None

    def run(frame: Frame) -> Any:
        items = elements(run_subject(frame))
        frame.weigh(items)
        argument = None if last is None else last(frame)
        return function(Elements(frame, items, code), last is not None, argument)

    return Part(nature, run)


def joined(
    made: Part, predicate: Predicate, subject: Part, asked: Part, arguments: Sequence[Node]
) -> Part:
    """A call over a list, joined with the one that makes its list where the two are one walk."""
    inner = _walk_of(subject)
    is_of_filter = inner is not None and inner.name == "filter" and inner.made is None
    if predicate.name == "filter" and inner is not None and is_of_filter:
        both = _both("and", inner.asked, asked, is_late=False)
        part = walking(predicate, inner.subject, both, None, made.nature)
        return evolve(part, walk=evolve(inner, asked=both))
    if predicate.name != "map":
        return evolve(made, walk=Walk(predicate.name, arguments[0], subject, asked))
    if inner is not None and is_of_filter and not _points_at_index(arguments[1]):
        return evolve(made, walk=evolve(inner, made=asked))
    return made


def combined(operator: str, left: Part, right: Part) -> Part | None:
    """Two walks with an operator between them as one, if they can be."""
    one, other = _walk_of(left), _walk_of(right)
    if one is None or other is None or one.name != other.name or one.over != other.over:
        return None
    inner = _COMBINED.get((one.name, operator))
    if inner is None:
        return None
    both = _both(inner, one.asked, other.asked, is_late=True)
    part = walking(PREDICATES[one.name], one.subject, both, None, BOOL)
    return evolve(part, walk=evolve(one, asked=both))


def _both(operator: str, one: Part, other: Part, *, is_late: bool) -> Part:
    nowhere = Pointer(0, "")
    node = Binary(0, operator, nowhere, nowhere, is_late)
    return make_binary(node, one, other, lambda check: BOOL)


def first_of(part: Part, nature: Nature, *, backwards: bool, is_needed: bool) -> Part:
    """The first (or last) element of what `is_filter`."""
    walk = _walk_of(part)
    assert walk is not None
    run_subject, asked = walk.subject.run, walk.asked.run
    made = None if walk.made is None else walk.made.run

    def run(frame: Frame) -> Any:
        items = elements(run_subject(frame))
        for position, item, test in Elements(frame, items, asked).tests(backwards=backwards):
            if test:
                return item if made is None else frame.visit(made, item, position)
        if is_needed:
            raise ExpressionError("index is outside the list: nothing passes the filter")
        return None

    return Part(nature, run)


def _points_at_index(node: Node) -> bool:
    """Whether `#index` is anywhere in it."""
    if isinstance(node, Pointer):
        return node.name == "index"
    return any(map(_points_at_index, _children(node)))


def _children(node: Any) -> list[Node]:
    """The nodes that a node holds."""
    found: list[Node] = []
    pending = [getattr(node, name) for name in node.__match_args__]
    while pending:
        value = pending.pop()
        if isinstance(value, tuple):
            pending.extend(value)
        elif isinstance(value, Node):
            found.append(value)
    return found
