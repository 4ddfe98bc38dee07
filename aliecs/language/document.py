"""YAML text -> values that know their line.

Our own composition over the events of libyaml, because templates need what the usual loaders lose:
scalars as their source text (`1.50` stays `1.50`), the line of everything, duplicate keys refused,
the `!public` tag, and whether a value is an alias. Only the first document of a file is read.
Sizes are bounded; aliases share nodes, and what they would expand to counts against the bound.
Used by the workflow and task templates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from attrs import Factory, define, frozen

from aliecs.errors import Location, TemplateError

LARGEST_TEXT = 4 * 1024 * 1024
"""Bytes of one template."""
MOST_NODES = 200_000
"""Values in one template, aliases expanded."""
DEEPEST = 64
"""Levels of nesting."""

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TRUTHS = frozenset({"true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
FALSEHOODS = frozenset({"false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF"})


@define(eq=False)
class Node:
    """A value of a document. Lines and columns count from 1."""

    line: int
    column: int
    tag: str | None
    """An explicit tag such as `!public`."""
    weight: int
    """Nodes in it, itself and what aliases stand for included."""

    @property
    def is_null(self) -> bool:
        return False


@define(eq=False)
class ScalarNode(Node):
    """A text as it is written in the source, quotes and folding resolved."""

    text: str
    plain: bool
    """True when it is written without quotes."""

    @property
    def is_null(self) -> bool:
        return self.plain and self.tag is None and self.text in NULLS


@define(eq=False)
class SequenceNode(Node):
    """A list."""

    items: tuple[Node, ...]


@frozen(eq=False)
class Entry:
    """One value of a mapping."""

    value: Node
    line: int
    """Of the key."""
    is_alias: bool


@define(eq=False)
class MappingNode(Node):
    """A mapping; keys are texts, in the order of the source, merge keys resolved."""

    entries: Mapping[str, Entry]

    def get(self, key: str) -> Node | None:
        """The value of `key`; None where it is missing or null."""
        entry = self.entries.get(key)
        return None if entry is None or entry.value.is_null else entry.value


@frozen
class Field:
    """A text of a template and the line it stands on."""

    text: str
    line: int = 0


@frozen
class Document:
    """A template's values, and what is needed to say where something is wrong with them."""

    file: str
    root: Node

    def location(self, node: Node | Entry | Field | None) -> Location:
        """Where a node is."""
        return Location(self.file, node.line if node is not None else 0)

    def error(self, node: Node | Entry | Field | None, reason: str) -> TemplateError:
        """An error to raise about a node."""
        return TemplateError(reason, self.location(node))

    def mapping(self, node: Node | None, what: str) -> MappingNode:
        """`node` as a mapping; raises `TemplateError` where it is none."""
        if isinstance(node, MappingNode):
            return node
        raise self.error(node, f"{what} must be a mapping of keys to values")

    def optional_mapping(self, parent: MappingNode, key: str) -> MappingNode | None:
        """The mapping under `key`; None where it is missing or null."""
        node = parent.get(key)
        return None if node is None else self.mapping(node, f"{key!r}")

    def sequence(self, parent: MappingNode, key: str) -> tuple[Node, ...]:
        """The items of the list under `key`; none where it is missing or null."""
        node = parent.get(key)
        if node is None:
            return ()
        if isinstance(node, SequenceNode):
            return node.items
        raise self.error(node, f"{key!r} must be a list")

    def field(self, parent: MappingNode, key: str, default: str = "") -> Field:
        """The text under `key`, whatever its YAML type; `default` where it is missing or null."""
        node = parent.get(key)
        if node is None:
            return Field(default, parent.line)
        return self.scalar(node, f"{key!r}")

    def scalar(self, node: Node, what: str) -> Field:
        """`node` as a text; raises `TemplateError` for a list or mapping."""
        if isinstance(node, ScalarNode):
            return Field(node.text, node.line)
        raise self.error(node, f"{what} must be a single value, not a list or mapping")

    def boolean(self, parent: MappingNode, key: str, default: bool) -> bool:
        """The YAML 1.1 boolean under `key`; `default` where it is missing or null."""
        node = parent.get(key)
        if node is None:
            return default
        if isinstance(node, ScalarNode):
            # Quoted, only the words of YAML 1.1 that YAML 1.2 dropped are still taken for booleans.
            is_word = node.plain or node.text.lower() not in ("true", "false")
            if is_word and node.text in TRUTHS:
                return True
            if is_word and node.text in FALSEHOODS:
                return False
        raise self.error(node, f"{key!r} must be true or false")

    def integer(self, parent: MappingNode, key: str, default: int) -> int:
        """The whole number under `key`, quoted or not."""
        text = self.field(parent, key, str(default)).text
        try:
            return int(text)
        except ValueError:
            raise self.error(
                parent.get(key), f"{key!r} must be a whole number, not {text!r}"
            ) from None

    def number(self, parent: MappingNode, key: str) -> float | None:
        """The number under `key`, quoted or not; None where it is missing or null."""
        if parent.get(key) is None:
            return None
        text = self.field(parent, key).text
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not 0 <= number < float("inf"):
            raise self.error(
                parent.get(key), f"{key!r} must be a number, zero or more, not {text!r}"
            )
        return number

    def word(self, parent: MappingNode, key: str, allowed: tuple[str, ...], default: str) -> str:
        """The text under `key`, which must be one of `allowed` in any case; `default` where it is
        missing or empty."""
        field = self.field(parent, key)
        text = field.text.lower()
        if not text:
            return default
        if text not in allowed:
            raise self.error(
                field, f"{key!r} must be one of {', '.join(allowed)}, not {field.text!r}"
            )
        return text


def parse_document(text: bytes, file: str) -> Document:
    """The first document of a YAML text.

    `file` is the name to show to people. Raises `TemplateError`, with line and column, where the
    text is not YAML, repeats a key, refers to itself, or is larger than the bounds above.
    """
    if len(text) > LARGEST_TEXT:
        raise TemplateError(f"the file has more than {LARGEST_TEXT} bytes", Location(file))
    try:
        source = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise TemplateError("the file is not UTF-8 text", Location(file, line)) from error
    try:
        root = _Composer(yaml.parse(source, Loader=yaml.CSafeLoader), file).document()
    except yaml.YAMLError as error:
        raise _syntax_error(error, file) from error
    return Document(file, root)


def _syntax_error(error: yaml.YAMLError, file: str) -> TemplateError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    where = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file)
    return TemplateError(f"this is not valid YAML: {problem}", where)


@define
class _Composer:
    """Events -> nodes, one document."""

    events: Iterator[Any]
    file: str
    anchors: dict[str | None, Node | None] = Factory(dict)
    """None while the anchored node is still being read."""

    def document(self) -> Node:
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                return self._node(next(self.events), depth=0)
        raise TemplateError("the file is empty", Location(self.file))

    def _fault(self, event: Any, reason: str) -> TemplateError:
        mark = event.start_mark
        return TemplateError(reason, Location(self.file, mark.line + 1, mark.column + 1))

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            anchored = self.anchors.get(event.anchor)
            if anchored is None:
                known = event.anchor in self.anchors
                reason = "is inside itself" if known else "is not defined above"
                raise self._fault(event, f"the anchor {event.anchor!r} {reason}")
            return anchored
        if depth > DEEPEST:
            raise self._fault(event, f"values are nested more than {DEEPEST} levels deep")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        node = self._fresh_node(event, depth)
        if node.weight > MOST_NODES:
            raise self._fault(event, f"the file has more than {MOST_NODES} values")
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _fresh_node(self, event: Any, depth: int) -> Node:
        line, column, tag = event.start_mark.line + 1, event.start_mark.column + 1, event.tag
        if isinstance(event, yaml.ScalarEvent):
            return ScalarNode(line, column, tag, 1, event.value, not event.style)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
                items.append(self._node(item, depth + 1))
            return SequenceNode(line, column, tag, 1 + sum(i.weight for i in items), tuple(items))
        entries = self._entries(depth)
        weight = 1 + sum(entry.value.weight for entry in entries.values())
        return MappingNode(line, column, tag, weight, entries)

    def _entries(self, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: list[MappingNode] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, ScalarNode):
                raise self._fault(event, "a key must be a single value")
            value_event = next(self.events)
            value = self._node(value_event, depth + 1)
            if key.text == "<<" and key.plain:
                merged.extend(self._merge_sources(value, value_event))
                continue
            if key.text in entries:
                first = entries[key.text].line
                raise self._fault(event, f"the key {key.text!r} is already given in line {first}")
            is_alias = isinstance(value_event, yaml.AliasEvent)
            entries[key.text] = Entry(value, key.line, is_alias)
        for mapping in merged:
            for name, entry in mapping.entries.items():
                entries.setdefault(name, entry)
        return entries

    def _merge_sources(self, value: Node, event: Any) -> Iterator[MappingNode]:
        for node in value.items if isinstance(value, SequenceNode) else (value,):
            if not isinstance(node, MappingNode):
                raise self._fault(event, "only mappings can be merged with <<")
            yield node
