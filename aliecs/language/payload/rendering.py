"""The face of the payload templates: a path and variables in, text out.

Everything that a payload can do ends here or in the functions of `library`: it reads other payloads
through the given `read` and nothing else, and it is bounded in time, size and depth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from attrs import define, field

from aliecs.language.payload.assembly import lineage, run_document
from aliecs.language.payload.error import PayloadError
from aliecs.language.payload.evaluation import Frame, Output, Render
from aliecs.language.payload.library import FUNCTIONS
from aliecs.language.payload.linking import DocumentCache, Linker
from aliecs.language.payload.value import without_surrogates

_NAME = re.compile(r"[A-Za-z0-9_]+")
_MOST_SHOWN = 10


def _ignore(text: str) -> None:
    """Nobody listens to warnings."""


@define(eq=False)
class PayloadTemplates:
    """Renders payloads, and keeps what it has parsed. Safe to share between threads."""

    _cache: DocumentCache = field(factory=DocumentCache, init=False)

    def render(
        self,
        path: str,
        variables: Mapping[str, str],
        read: Callable[[str], str],
        *,
        new_id: Callable[[], str],
        warn: Callable[[str], None] = _ignore,
    ) -> str:
        """The payload at `path`, such as `qc/ANY/any/entry`, with `variables` put in.

        `read` gives the raw text of a payload, or raises an `AliecsError`; it is called for the
        requested payload and for all that it names, and may block. `new_id` gives a new identifier,
        for `uid.New()`. `warn` hears of variables that no template can name and are left away, and
        of functions that were given what they cannot use.

        Raises `PayloadError` where the payload, or one that it names, is wrong or missing, what
        `read` raises for `path` itself, and what it raises where payloads cannot be reached.
        """
        base = path.rpartition("/")[0] or path
        linker = Linker(base, read, self._cache)
        try:
            linked = linker.requested(path)
            given = _usable(variables, warn)
            # Dice fall alike each time: the same payload and variables give the same text.
            random = Random(path)  # noqa: S311
            render = Render(given, warn, new_id, linker.named, random)
            public: dict[str, Any] = {**given, **FUNCTIONS}
            output = Output()
            run_document(Frame(render, public, {}, linked, lineage(linked), {}), output)
            return without_surrogates(output.text())
        except PayloadError as error:
            if error.path:
                raise
            raise PayloadError(error.reason, error.stage, path) from error
        except RecursionError:
            raise PayloadError("nested too deeply", "execution", path) from None

    def forget(self) -> None:
        """Drop everything that was parsed."""
        self._cache.clear()


def _usable(variables: Mapping[str, str], warn: Callable[[str], None]) -> dict[str, str]:
    """The variables that a template can name."""
    usable = {}
    others = []
    for name, value in variables.items():
        trimmed = name.strip()
        if _NAME.fullmatch(trimmed):
            usable[trimmed] = without_surrogates(value)
        else:
            others.append(repr(name))
    if others:
        shown = ", ".join(sorted(others)[:_MOST_SHOWN]) + ", ..." * (len(others) > _MOST_SHOWN)
        warn(f"variables that a payload template cannot name are left away: {shown}")
    return usable
