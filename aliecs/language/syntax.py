"""What an expression is made of once it is parsed: the nodes of its tree.

Made by `parsing`, read by `compilation`. Columns count from 1.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen


@frozen
class Node:
    """A part of an expression."""

    column: int = field(eq=False)


@frozen
class Literal(Node):
    """nil, a truth value, a number or a string."""

    value: Any


@frozen
class Name(Node):
    """A variable, a function, a namespace."""

    name: str


@frozen
class Pointer(Node):
    """What a predicate is asked about: `#` (an empty name), `#acc`, `#index`."""

    name: str


@frozen
class Unary(Node):
    """An operator before its operand: `not`, `-`, `+`."""

    operator: str
    operand: Node


@frozen
class Binary(Node):
    """An operator between its operands. `and`, `or` and `**` stand for their other spellings."""

    operator: str
    left: Node
    right: Node
    is_late: bool = False
    """Made after constants were computed: nothing of it is."""


@frozen
class Member(Node):
    """`base.key` or `base[key]`."""

    base: Node
    key: Node
    is_optional: bool
    """Written `?.`: nil ends the chain around it."""


@frozen
class Chain(Node):
    """Members of members; nil where an optional one has nothing to read from."""

    body: Node


@frozen
class Slice(Node):
    """`base[begin:end]`"""

    base: Node
    begin: Node | None
    end: Node | None


@frozen
class Call(Node):
    """A call of something that has a name."""

    callee: Node
    arguments: tuple[Node, ...]


@frozen
class BuiltInCall(Node):
    """A call of one of the language's own functions; those with a predicate have it second."""

    name: str
    arguments: tuple[Node, ...]


@frozen
class Let(Node):
    """`let name = value; body`"""

    name: str
    value: Node
    body: Node


@frozen
class Sequence(Node):
    """Several expressions; the value is that of the last."""

    items: tuple[Node, ...]


@frozen
class Condition(Node):
    """`test ? yes : no` or `if test { yes } else { no }`"""

    test: Node
    yes: Node
    no: Node


@frozen
class ListOf(Node):
    """`[a, b]`"""

    items: tuple[Node, ...]


@frozen
class MapOf(Node):
    """`{key: value}`"""

    entries: tuple[tuple[Node, Node], ...]
