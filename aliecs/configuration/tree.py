"""The tree of configuration: its keys, and its two shapes.

Flat, it is text under slash-separated keys, as every store keeps it; nested, it is maps inside
maps, as a YAML file shows it. A list is the keys `name[0]`, `name[1]`; an empty folder is a key
that ends in a slash, as in Consul. A key has a value or keys below it, never both. What keeps a
tree and may wait for a disk is a `Tree`; `store` puts it behind `IConfigurationStore`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from aliecs.errors import Conflict, InvalidInput
from aliecs.language.document import Document, MappingNode, Node, ScalarNode, SequenceNode

LARGEST_VALUE = 4 * 1024 * 1024
"""Bytes of one value."""
_LONGEST_KEY = 1000

Nested = str | list["Nested"] | dict[str, "Nested"]

_INDEXED = re.compile(r"(?!\.{0,2}\[[0-9]+\]\Z)(.*)\[(0|[1-9][0-9]{0,5})\]", re.DOTALL)
"""A member of a list; what is left without the index must be a key in itself."""


class Tree(Protocol):
    """A tree somewhere. Methods may block; keys are normal (see `normal_key`), prefixes are normal
    keys or empty. Each raises `Unavailable` where the place cannot be reached."""

    uri: str
    """Where it is, without secrets."""

    def open(self) -> None:
        """Make ready."""

    def close(self) -> None:
        """Let go."""

    def get(self, key: str) -> str | None:
        """The value, None where there is no such key."""

    def keys(self, prefix: str) -> list[str]:
        """All keys below `prefix`, sorted."""

    def items(self, prefix: str) -> dict[str, str]:
        """All keys below `prefix` with their values, sorted."""

    def change(self, changes: Mapping[str, str], expected: tuple[str, str | None] | None) -> bool:
        """Set all of `changes` or none. `expected` is a key and the value that it must have now;
        False, with nothing changed, where it has another. Raises `Conflict` where a key would have
        a value and keys below it."""

    def delete(self, key: str, expected: str | None) -> bool:
        """Remove a key; True where it existed. With `expected`, only where that is its value."""


def normal_key(key: str) -> str:
    """`key` without slashes around it.

    Raises `InvalidInput` for an empty key and for segments that are empty, `.` or `..`: no key may
    lead out of the folder that a caller put before it.
    """
    normal = key.strip("/")
    if not normal:
        raise InvalidInput("a configuration key is needed")
    if len(normal) > _LONGEST_KEY:
        raise InvalidInput(f"a configuration key has at most {_LONGEST_KEY} characters")
    for segment in normal.split("/"):
        if segment in ("", ".", ".."):
            raise InvalidInput(f"{key!r} is not a configuration key: it has a segment {segment!r}")
    if any(ord(character) < 32 for character in normal):
        raise InvalidInput(f"{key!r} is not a configuration key: it has control characters")
    return normal


def key_or_mark(key: str) -> str:
    """As `normal_key`, with the slash at the end that marks an empty folder."""
    return normal_key(key) + ("/" if key.endswith("/") else "")


def checked_value(key: str, value: str) -> str:
    """`value`, where a store may keep it; raises `InvalidInput` where it is too large or no text
    that can be written down."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"the value of {key} has characters that no encoding has") from None
    if size > LARGEST_VALUE:
        raise InvalidInput(f"the value of {key} has more than {LARGEST_VALUE} bytes")
    return value


def is_folder_mark(key: str) -> bool:
    """True for the key of an empty folder."""
    return key.endswith("/")


def keys_below(folder: str) -> tuple[str, str]:
    """The first key below a folder, and the first behind all of them ("0" follows "/")."""
    return f"{folder}/", f"{folder}0"


def folders_above(key: str) -> list[str]:
    """The folders that `key` lies in, without slashes at their ends, the outermost first."""
    segments = key.rstrip("/").split("/")
    return ["/".join(segments[:count]) for count in range(1, len(segments))]


def is_a_folder(key: str) -> Conflict:
    """The error about a value for a key that has keys below it."""
    return Conflict(f"{key} cannot have a value: there are keys below it")


def is_a_value(key: str) -> Conflict:
    """The error about keys below a key that has a value."""
    return Conflict(f"there can be no keys below {key}: it has a value")


def changed(values: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """A flat tree with `changes` made. Raises `Conflict` as `Tree.change` does."""
    result = dict(values)
    folders = {folder for key in values for folder in folders_above(key)}
    folders.update(key.rstrip("/") for key in values if is_folder_mark(key))
    for key, value in changes.items():
        path = key.rstrip("/")
        if is_folder_mark(key):
            if path in result:
                raise is_a_value(path)
            if path in folders:
                continue
            folders.add(path)
        elif path in folders:
            raise is_a_folder(path)
        above = folders_above(key)
        for folder in above:
            if folder in result:
                raise is_a_value(folder)
            result.pop(folder + "/", None)
        folders.update(above)
        result[key] = value
    return result


def flatten(document: Document) -> dict[str, str]:
    """The flat tree of a YAML document: scalars as they are written, nulls as empty texts.

    Raises `TemplateError` with the line where the document's top is no map or a key is not allowed.
    """
    values: dict[str, str] = {}
    if not document.root.is_null:
        root = document.mapping(document.root, "a configuration tree")
        for name, value in _flat_members(document, root, ""):
            values[name] = value
    return values


def _flat(document: Document, key: str, node: Node) -> Iterator[tuple[str, str]]:
    if isinstance(node, MappingNode) and node.entries:
        yield from _flat_members(document, node, key + "/")
    elif isinstance(node, SequenceNode) and node.items:
        for index, item in enumerate(node.items):
            yield from _flat(document, f"{key}[{index}]", item)
    elif isinstance(node, ScalarNode):
        yield key, "" if node.is_null else node.text
    else:
        yield key + "/", ""


def _flat_members(
    document: Document, mapping: MappingNode, prefix: str
) -> Iterator[tuple[str, str]]:
    for name, entry in mapping.entries.items():
        try:
            key = normal_key(name)
        except InvalidInput as error:
            raise document.error(entry, error.message) from None
        yield from _flat(document, prefix + key, entry.value)


def nest(values: Mapping[str, str]) -> dict[str, Nested]:
    """The nested tree of a flat one."""
    root: dict[str, Nested] = {}
    for key, value in sorted(values.items()):
        *folders, name = key.split("/")
        inner = root
        for folder in folders:
            below = inner.setdefault(folder, {})
            if not isinstance(below, dict):
                raise is_a_value(folder)
            inner = below
        if name:
            inner[name] = value
    return _with_lists(root)


def _with_lists(mapping: dict[str, Nested]) -> dict[str, Nested]:
    """Turn the members `name[0]`, `name[1]` and so on of a map, and of the maps in it, to lists."""
    members = {
        name: _with_lists(value) if isinstance(value, dict) else value
        for name, value in mapping.items()
    }
    while True:
        indexed: dict[str, dict[int, str]] = {}
        for name in members:
            if match := _INDEXED.fullmatch(name):
                indexed.setdefault(match[1], {})[int(match[2])] = name
        lists = {
            name: [items[index] for index in sorted(items)]
            for name, items in indexed.items()
            if name not in members and max(items) == len(items) - 1
        }
        if not lists:
            return members
        for name, item_names in lists.items():
            members[name] = [members.pop(item_name) for item_name in item_names]
