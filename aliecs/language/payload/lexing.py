"""The text of a payload -> tokens.

Text outside of tags is one token, `html`, whatever it is: JSON as a rule. Inside `{{ }}` and `{%
%}` there are keywords, identifiers, strings, numbers and symbols. Like the reference, a character
that has no meaning there ends the tag: what follows is text again, and the parser complains.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from attrs import define, frozen

from aliecs.language.payload.error import PayloadError

HTML = "html"
KEYWORD = "keyword"
IDENTIFIER = "identifier"
STRING = "string"
NUMBER = "number"
SYMBOL = "symbol"

SPACE = " \n\r\t"
"""What `{{-` and `-}}` take away."""
_KEYWORDS = frozenset({"in", "and", "or", "not", "true", "false", "as", "export"})
_VERBATIM = "{% verbatim %}"
_END_VERBATIM = "{% endverbatim %}"
_OPENING = re.compile(r"\{[{%#]")
_CLOSING = ("}}", "%}")
_INSIDE = re.compile(
    r"""(?P<space>[ \t\r]+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*|[0-9]+[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9]+)
    |(?P<symbol>\{\{-|-\}\}|\{%-|-%\}|==|>=|<=|&&|\|\||\{\{|\}\}|\{%|%\}|!=|<>|[][()+*<>/^,.!|:=%-])
    """,
    re.VERBOSE,
)
_STRING_PART = re.compile(r"""[^\\"'\n]+""")
MOST_TOKENS = 500_000


@frozen
class Token:
    """A word of a template. `trims` is set for `{{-`, `-}}`, `{%-` and `-%}`, whose `text` is told
    without the dash."""

    kind: str
    text: str
    line: int
    column: int
    trims: bool = False


@define
class _Lexer:
    text: str
    path: str
    line_starts: list[int]
    tokens: list[Token]
    position: int = 0

    def run(self) -> list[Token]:
        while self.position < len(self.text):
            self._outside()
            if len(self.tokens) > MOST_TOKENS:
                raise self._error("the template is too long", self.position)
        return self.tokens

    # --- outside of tags -----------------------------------------------------------------------

    def _outside(self) -> None:
        begin = self.position
        opening = _OPENING.search(self.text, begin)
        end = opening.start() if opening else len(self.text)
        if end > begin:
            self._emit(HTML, self.text[begin:end], begin)
        self.position = end
        if opening is None:
            return
        if self.text.startswith(_VERBATIM, end):
            self._verbatim()
        elif opening.group() == "{#":
            self._comment()
        else:
            self._inside()

    def _verbatim(self) -> None:
        begin = self.position + len(_VERBATIM)
        end = self.text.find(_END_VERBATIM, begin)
        if end < 0:
            raise self._error("verbatim-tag not closed, got EOF.", len(self.text))
        if end > begin:
            self._emit(HTML, self.text[begin:end], begin)
        self.position = end + len(_END_VERBATIM)

    def _comment(self) -> None:
        begin = self.position
        end = self.text.find("#}", begin + 2)
        newline = self.text.find("\n", begin)
        if newline >= 0 and (end < 0 or newline < end):
            raise self._error("Newline not permitted in a single-line comment.", begin)
        if end < 0:
            raise self._error("Single-line comment not closed.", begin)
        self.position = end + 2

    # --- inside of tags ------------------------------------------------------------------------

    def _inside(self) -> None:
        while self.position < len(self.text):
            begin = self.position
            character = self.text[begin]
            if character in "\"'":
                self._string(character)
                continue
            found = _INSIDE.match(self.text, begin)
            if found is None:
                if character == "\n":
                    raise self._error("Newline not allowed within tag/variable.", begin)
                self._stray()
                return
            self.position = found.end()
            word = found.group()
            if found.lastgroup == "name":
                self._emit(KEYWORD if word in _KEYWORDS else IDENTIFIER, word, begin)
            elif found.lastgroup == "number":
                self._emit(NUMBER, word, begin)
            elif found.lastgroup == "symbol":
                symbol = word.strip("-") if len(word) == 3 else word
                self._emit(SYMBOL, symbol, begin, trims=len(word) == 3)
                if symbol in _CLOSING:
                    return

    def _stray(self) -> None:
        """What follows a character without a meaning is text, that character included."""
        begin = self.position
        opening = _OPENING.search(self.text, begin + 1)
        end = opening.start() if opening else len(self.text)
        self._emit(HTML, self.text[begin:end], begin)
        self.position = end

    def _string(self, quote: str) -> None:
        begin = self.position
        parts: list[str] = []
        position = begin + 1
        while True:
            if position >= len(self.text):
                raise self._error("Unexpected EOF, string not closed.", begin)
            character = self.text[position]
            if character == quote:
                break
            if character == "\n":
                raise self._error("Newline in string is not allowed.", begin)
            if character == "\\":
                escaped = self.text[position + 1 : position + 2]
                if escaped not in ("\\", '"') or not escaped:
                    raise self._error(f"Unknown escape sequence: \\{escaped}", begin)
                parts.append(escaped)
                position += 2
                continue
            run = _STRING_PART.match(self.text, position)
            part = run.group() if run else character
            parts.append(part)
            position += len(part)
        self.position = position + 1
        self._emit(STRING, "".join(parts), begin)

    # --- places --------------------------------------------------------------------------------

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def _emit(self, kind: str, text: str, offset: int, trims: bool = False) -> None:
        line, column = self._place(offset)
        self.tokens.append(Token(kind, text, line, column, trims))

    def _error(self, reason: str, offset: int) -> PayloadError:
        line, column = self._place(offset)
        return PayloadError(reason, "lexer", self.path, line, column)


def tokenize(text: str, path: str) -> list[Token]:
    """The tokens of a template; `path` is told in errors. Raises `PayloadError`."""
    line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return _Lexer(text, path, line_starts, []).run()
