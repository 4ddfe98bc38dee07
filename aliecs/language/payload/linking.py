"""A payload with all that it names: included, imported and extended payloads, read and parsed.

A name is taken below the base of the requested payload, wherever it stands; where there is nothing,
a whole path `component/RUNTYPE/role/entry` is taken as it is, which the reference cannot do. Names
in so many words are resolved before anything is rendered, in branches that are never taken too: a
missing one fails the whole payload. Texts are read anew for each rendering and parsed once; the
cache is keyed by the text, so nothing that was edited is ever served as it was.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from aliecs.errors import InvalidInput, NotFound
from aliecs.language.payload.assembly import ASSEMBLY_TAGS, Import
from aliecs.language.payload.branching import BRANCHING_TAGS
from aliecs.language.payload.error import PayloadError
from aliecs.language.payload.marking import MARKING_TAGS
from aliecs.language.payload.parsing import Document, Tag, parse
from aliecs.language.payload.value import without_surrogates

TAGS: Mapping[str, Tag] = {**ASSEMBLY_TAGS, **BRANCHING_TAGS, **MARKING_TAGS}
LONGEST_PAYLOAD = 4 * 1024 * 1024
"""Characters."""
MOST_PAYLOADS = 500
"""Payloads that one rendering may read."""
LARGEST_SUM = 16 * 1024 * 1024
"""Characters of these together."""
DEEPEST_REFERENCE = 20
"""Payloads that name each other in a row."""
LONGEST_PATH = 1000
_WHOLE_PATH = re.compile(r"[A-Za-z0-9_-]+/[A-Z0-9_-]+/[A-Za-z0-9_-]+/[A-Za-z0-9_/-]+")
MOST_CACHED = 1000
LARGEST_CACHE = 32 * 1024 * 1024
"""Characters of all cached texts."""


@define(eq=False)
class DocumentCache:
    """Parsed texts; the one that was not used for longest goes first. Safe between threads."""

    _documents: OrderedDict[str, Document] = field(factory=OrderedDict)
    _size: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)

    def document(self, text: str, path: str) -> Document:
        """A text, parsed; `path` is told in errors. Raises `PayloadError`."""
        with self._lock:
            document = self._documents.get(text)
            if document is not None:
                self._documents.move_to_end(text)
                return document
        if len(text) > LONGEST_PAYLOAD:
            reason = f"the payload is longer than {LONGEST_PAYLOAD} characters"
            raise PayloadError(reason, "parser", path)
        document = parse(without_surrogates(text), path, TAGS)
        with self._lock:
            if text not in self._documents:
                self._documents[text] = document
                self._size += document.size
            while len(self._documents) > MOST_CACHED or self._size > LARGEST_CACHE:
                _, oldest = self._documents.popitem(last=False)
                self._size -= oldest.size
        return document

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._documents.clear()
            self._size = 0


@define(eq=False)
class Linked:
    """A parsed payload and what it names."""

    path: str
    document: Document
    references: dict[Any, Linked | None] = field(factory=dict)
    """By the statement that names it; None for an include that may be missing and is."""
    parent: Linked | None = None


@define(eq=False)
class Linker:
    """Reads and parses for one rendering."""

    base: str
    """Path of the requested payload up to its last segment."""
    read: Callable[[str], str]
    cache: DocumentCache
    _known: dict[str, Linked] = field(factory=dict)
    _chain: list[str] = field(factory=list)
    _size: int = 0

    def requested(self, path: str) -> Linked:
        """The payload that was asked for. Errors of `read` pass as they are."""
        return self._linked(path, self.read(path))

    def named(self, name: str) -> Linked:
        """A payload by the name that a template gives it. Raises `PayloadError`, with the stage
        `fromfile` where there is none."""
        missing: PayloadError | None = None
        for path in self._candidates(without_surrogates(name)):
            try:
                return self._at(path)
            except PayloadError as error:
                if error.stage != "fromfile" or error.path != path:
                    raise
                missing = missing or error
        assert missing is not None
        raise missing

    def _candidates(self, name: str) -> list[str]:
        """The paths that a name may stand for: below the base of the requested payload, or else as
        the whole path of a payload anywhere, which a slash before it says at once."""
        if name.startswith(f"{self.base}/"):
            return [name]
        if name.startswith("/"):
            return [name[1:] if _WHOLE_PATH.fullmatch(name[1:]) else name]
        below = f"{self.base}/{name}"
        return [below, name] if _WHOLE_PATH.fullmatch(name) else [below]

    def _at(self, path: str) -> Linked:
        if len(path) > LONGEST_PATH:
            reason = f"unable to resolve template: a path of more than {LONGEST_PATH} characters"
            raise PayloadError(reason, "fromfile", path)
        if path in self._known:
            if path in self._chain:
                chain = " -> ".join([*self._chain[self._chain.index(path) :], path])
                raise PayloadError(f"payloads that include each other: {chain}", "parser", path)
            return self._known[path]
        if len(self._chain) >= DEEPEST_REFERENCE:
            reason = f"more than {DEEPEST_REFERENCE} payloads that name each other in a row"
            raise PayloadError(reason, "parser", path)
        return self._linked(path, self._text(path))

    def _text(self, path: str) -> str:
        if len(self._known) >= MOST_PAYLOADS:
            raise PayloadError(f"more than {MOST_PAYLOADS} payloads are read", "parser", path)
        try:
            return self.read(path)
        except (NotFound, InvalidInput) as error:
            # What cannot be reached now says nothing about the template, and passes.
            reason = f"unable to resolve template: {error.message}"
            raise PayloadError(reason, "fromfile", path) from error

    def _linked(self, path: str, text: str) -> Linked:
        self._size += len(text)
        if self._size > LARGEST_SUM:
            reason = f"all payloads together are longer than {LARGEST_SUM} characters"
            raise PayloadError(reason, "parser", path)
        linked = Linked(path, self.cache.document(text, path))
        self._known[path] = linked
        self._chain.append(path)
        try:
            for statement in linked.document.references:
                found = self._reference(statement, path)
                linked.references[statement] = found
                if statement is linked.document.parent:
                    linked.parent = found
        except PayloadError:
            # Somebody may go on without it, but not with half of it.
            del self._known[path]
            raise
        finally:
            self._chain.pop()
        return linked

    def _reference(self, statement: Any, path: str) -> Linked | None:
        token = statement.token
        try:
            linked = self.named(statement.literal)
        except PayloadError as error:
            # What it names itself may be missing just as well.
            if statement.if_exists and error.stage == "fromfile":
                return None
            if error.line == 0:
                raise PayloadError(
                    error.reason, error.stage, error.path, token.line, token.column, token.text
                ) from error
            raise
        if isinstance(statement, Import):
            statement.check(linked, path)
        return linked
