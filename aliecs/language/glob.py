"""Patterns with wildcards, for role paths and for names of repositories and revisions.

The syntax is that of the reference's glob library. Patterns are translated to RE2, which matches in
linear time whatever the pattern says, so a client cannot make the core work for long.
"""

from __future__ import annotations

from typing import Any

import re2
from attrs import field, frozen

from aliecs.errors import InvalidInput

LONGEST_PATTERN = 1000
"""Characters; nobody needs more, and a compiled pattern takes memory."""


@frozen
class Glob:
    """A compiled pattern; see `compile_glob`."""

    pattern: str
    _matcher: Any = field(eq=False, repr=False)

    def matches(self, text: str) -> bool:
        """True when the whole of `text` fits the pattern."""
        return self._matcher.fullmatch(text) is not None


def compile_glob(pattern: str, separator: str = "") -> Glob:
    """Compile `pattern`.

    `*` stands for any run of characters without `separator`, `**` for any run at all, `?` for one
    character other than `separator`, `[abc]`, `[a-z]` and `[!abc]` for one of (or none of) a set,
    `{x,y}` for one of several patterns; a backslash takes away the meaning of what follows it.

    Raises `InvalidInput` where the pattern is malformed or too long.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise InvalidInput(f"the pattern is longer than {LONGEST_PATTERN} characters")
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    expression = _Translation(pattern, separator).regular_expression()
    try:
        return Glob(pattern, re2.compile(expression, options))
    except re2.error as error:
        raise InvalidInput(f"the pattern {pattern!r} is not valid: {error}") from error


class _Translation:
    """One walk over a pattern, from left to right."""

    def __init__(self, pattern: str, separator: str) -> None:
        self._pattern = pattern
        self._position = 0
        self._one = f"[^{re2.escape(separator)}]" if separator else "."

    def regular_expression(self) -> str:
        text = self._sequence(depth=0)
        if self._position < len(self._pattern):
            raise self._malformed("a } without a {")
        return text

    def _sequence(self, depth: int) -> str:
        """Translate up to the end, or within braces up to the next `,` or `}`."""
        parts: list[str] = []
        pattern = self._pattern
        while self._position < len(pattern):
            character = pattern[self._position]
            if character == "}" or (character == "," and depth):
                break
            self._position += 1
            if character == "*":
                many = pattern.startswith("*", self._position)
                self._position += many
                parts.append(".*" if many else f"{self._one}*")
            elif character == "?":
                parts.append(self._one)
            elif character == "[":
                parts.append(self._set())
            elif character == "{":
                parts.append(self._alternatives(depth + 1))
            else:
                if character == "\\":
                    character = pattern[self._position : self._position + 1]
                    if not character:
                        raise self._malformed("a backslash at the end")
                    self._position += 1
                parts.append(re2.escape(character))
        return "".join(parts)

    def _alternatives(self, depth: int) -> str:
        choices = [self._sequence(depth)]
        while self._pattern.startswith(",", self._position):
            self._position += 1
            choices.append(self._sequence(depth))
        if not self._pattern.startswith("}", self._position):
            raise self._malformed("a { without a }")
        self._position += 1
        return f"(?:{'|'.join(choices)})"

    def _set(self) -> str:
        end = self._pattern.find("]", self._position)
        content = self._pattern[self._position : end] if end >= 0 else ""
        if not content.removeprefix("!"):
            raise self._malformed("a [ without its characters and a ]")
        self._position = end + 1
        negated = content.startswith("!")
        escaped = "".join(f"\\{c}" if c in "\\[]^&~" else c for c in content.removeprefix("!"))
        return f"[{'^' if negated else ''}{escaped}]"

    def _malformed(self, reason: str) -> InvalidInput:
        return InvalidInput(f"the pattern {self._pattern!r} is not valid: {reason}")
