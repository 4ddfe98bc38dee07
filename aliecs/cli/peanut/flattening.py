"""A YAML or JSON file as the flat properties that a task takes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aliecs.language.document import MappingNode, Node, ScalarNode, SequenceNode, parse_document


def flatten(text: bytes, file: str) -> dict[str, str]:
    """A YAML or JSON document as flat properties: keys joined with dots, items of lists under their
    position from 0, empty lists and mappings left out. `InvalidInput` for what is no mapping."""
    document = parse_document(text, file)
    return dict(_flatten(document.mapping(document.root, "the document"), ""))


def _flatten(node: Node, prefix: str) -> Iterator[tuple[str, str]]:
    below: Iterator[tuple[str, Node]]
    if isinstance(node, MappingNode):
        below = ((key, entry.value) for key, entry in node.entries.items())
    elif isinstance(node, SequenceNode):
        below = ((str(position), item) for position, item in enumerate(node.items))
    else:
        assert isinstance(node, ScalarNode)
        yield prefix, _text(node)
        return
    for key, value in below:
        yield from _flatten(value, f"{prefix}.{key}" if prefix else key)


_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+|0o[0-7]+)")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _text(node: ScalarNode) -> str:
    """A scalar as text: whole numbers exactly, others in their shortest form, null as `<nil>`."""
    if node.is_null:
        return "<nil>"
    if not node.plain:
        return node.text
    if node.text.lower() in ("true", "false"):
        return node.text.lower()
    if _WHOLE.fullmatch(node.text):
        return str(int(node.text, 0))
    if _DECIMAL.fullmatch(node.text):
        value = float(node.text)
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
    return node.text
