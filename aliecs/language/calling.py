"""Which functions of which namespaces the text of a call role calls, without calling any."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from aliecs.language.builtin import BUILT_INS
from aliecs.language.parsing import parse
from aliecs.language.syntax import Call, Literal, Member, Name, Node


def functions_called(text: str) -> Iterator[tuple[str, str]]:
    """(namespace, function) of every call of the form `namespace.Function(...)`, in the order of
    the text. Raises `ExpressionError` where it is malformed."""
    for node in _walk(parse(text.strip(), BUILT_INS)):
        if not isinstance(node, Call) or not isinstance(node.callee, Member):
            continue
        base, key = node.callee.base, node.callee.key
        if isinstance(base, Name) and isinstance(key, Literal) and isinstance(key.value, str):
            yield base.name, key.value


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for field in attrs.fields(type(node)):
        yield from _inside(getattr(node, field.name))


def _inside(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield from _walk(value)
    elif isinstance(value, tuple):
        for item in value:
            yield from _inside(item)
