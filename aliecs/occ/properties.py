"""What a task is told with a transition: text under dotted keys, and the same as a tree.

    properties["chans.data.0.address"]             # flat
    properties.tree["chans"]["data"]["0"]["address"]    # nested

A key `__ptree__:<syntax>:<name>` carries a whole document (`ini`, `json` or `xml`), which stands in
the tree under `<name>`, read.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Tree = dict[str, Any]
"""Names to text, to lists, or to further trees."""

DOCUMENT_PREFIX = "__ptree__:"
# The value of a key that has keys below it as well (`a=1`, `a.b=2`) stands under the empty name.
OWN_VALUE = ""


class Properties(Mapping[str, str]):
    """The arguments of one transition. A mapping of the flat keys; `tree` is the nested form."""

    def __init__(self, flat: Mapping[str, str] | None = None) -> None:
        self._flat = dict(flat or {})
        self.tree = _nested(self._flat)

    def __getitem__(self, key: str) -> str:
        return self._flat[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._flat)

    def __len__(self) -> int:
        return len(self._flat)

    def __repr__(self) -> str:
        return f"Properties({self._flat!r})"


def _nested(flat: Mapping[str, str]) -> Tree:
    tree: Tree = {}
    for key, value in flat.items():
        if not key.startswith(DOCUMENT_PREFIX):
            _put(tree, key.split("."), value)
            continue
        parts = key.split(":")
        if len(parts) != 3 or parts[1] not in _READERS:
            _complain(key, "a document's key is __ptree__:<ini, json or xml>:<name>")
            continue
        try:
            document = _READERS[parts[1]](value)
        except ValueError as error:
            _complain(key, f"not {parts[1]}: {error}")
            continue
        _put(tree, parts[2].split("."), document)
    return tree


def _put(tree: Tree, path: list[str], value: Any) -> None:
    for name in path[:-1]:
        below = tree.setdefault(name, {})
        if not isinstance(below, dict):
            below = tree[name] = {OWN_VALUE: below}
        tree = below
    present = tree.get(path[-1])
    if isinstance(present, dict) and not isinstance(value, dict):
        present[OWN_VALUE] = value
    else:
        tree[path[-1]] = value


def _complain(key: str, reason: str) -> None:
    print(f"property {key} is skipped: {reason}", file=sys.stderr, flush=True)


def _read_json(text: str) -> Any:
    # Numbers stay as they are written; nothing of a property is ever computed with by us.
    return _texts(json.loads(text, parse_int=str, parse_float=str, parse_constant=str))


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _texts(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_texts(below) for below in value]
    if isinstance(value, str):
        return value
    return {True: "true", False: "false", None: "null"}[value]


def _read_ini(text: str) -> Tree:
    tree: Tree = {}
    section = tree
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith((";", "#")):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = tree.setdefault(line[1:-1].strip(), {})
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"line {number} is neither a [section] nor key=value")
        section[key.strip()] = value.strip()
    return tree


def _read_xml(text: str) -> Tree:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("documents with declarations of their own are not read")
    try:
        # Without declarations there is nothing that could grow or reach outside.
        root = ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    return {root.tag: _element(root)}


def _element(element: ElementTree.Element) -> Any:
    text = (element.text or "").strip()
    tree: Tree = {}
    if element.attrib:
        tree["<xmlattr>"] = dict(element.attrib)
    for child in element:
        value = _element(child)
        present = tree.get(child.tag)
        if present is None:
            tree[child.tag] = value
        elif isinstance(present, list):
            present.append(value)
        else:
            tree[child.tag] = [present, value]
    if not tree:
        return text
    if text:
        tree[OWN_VALUE] = text
    return tree


_READERS: Mapping[str, Callable[[str], Any]] = {
    "ini": _read_ini,
    "json": _read_json,
    "xml": _read_xml,
}
