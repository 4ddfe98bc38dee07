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
DEEPEST_PATTERN = 50
"""Levels of braces."""


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
    character other than `separator`, `[abc]` for one of a set and `[a-z]` for one of a range (`!`
    before either for one of none), `{x,y}` for one of several patterns; a backslash takes away the
    meaning of what follows it. What has no meaning where it stands is itself, an open `{` is closed
    at the end.

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
        return self._sequence(depth=0)

    def _sequence(self, depth: int) -> str:
        """Translate up to the end, or within braces up to the next `,` or `}`."""
        if depth > DEEPEST_PATTERN:
            raise self._malformed("its braces are nested too deeply")
        parts: list[str] = []
        pattern = self._pattern
        while self._position < len(pattern):
            character = pattern[self._position]
            if depth and character in ",}":
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
                    self._position += 1
                parts.append(re2.escape(character))
        return "".join(parts)

    def _alternatives(self, depth: int) -> str:
        choices = [self._sequence(depth)]
        while self._pattern.startswith(",", self._position):
            self._position += 1
            choices.append(self._sequence(depth))
        self._position += 1
        return f"(?:{'|'.join(choices)})"

    def _set(self) -> str:
        """A set or a range; its `[` has been passed."""
        negation = "^" if self._pattern.startswith("!", self._position) else ""
        self._position += len(negation)
        if self._pattern.startswith("-", self._position + 1):
            low, high = self._pattern[self._position], self._pattern[self._position + 2 :][:1]
            self._position += 3
            if not low <= high:
                raise self._malformed(f"the range {low}-{high} is none")
            content = f"{_in_set(low)}-{_in_set(high)}"
        else:
            content = "".join(map(_in_set, self._members()))
        if not content or not self._pattern.startswith("]", self._position):
            raise self._malformed("a [ without its characters and a ]")
        self._position += 1
        return f"[{negation}{content}]"

    def _members(self) -> str:
        """The characters of a set, up to its `]`."""
        members = ""
        while self._position < len(self._pattern) and self._pattern[self._position] != "]":
            if self._pattern[self._position] == "\\":
                self._position += 1
            members += self._pattern[self._position : self._position + 1]
            self._position += 1
        return members

    def _malformed(self, reason: str) -> InvalidInput:
        return InvalidInput(f"the pattern {self._pattern!r} is not valid: {reason}")


def _in_set(character: str) -> str:
    """A character as it is written in a set of RE2."""
    return f"\\{character}" if character in "\\[]^-&~" else character
