"""The text of an expression -> its words: numbers, strings, names, operators, brackets.

The first step of `parsing`. Which characters make a word, and what a literal stands for, is as in
the reference's expression library, odd corners included: production's templates were written with
it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

from attrs import frozen

from aliecs.language.value import ExpressionError

NUMBER = "number"
STRING = "string"
NAME = "name"
OPERATOR = "operator"
BRACKET = "bracket"
END = "end"

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""White space, here and for the functions that trim."""
WORD_OPERATORS = frozenset(
    ["not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"]
)
_LARGEST_INTEGER = 2**63 - 1


@frozen
class Word:
    """One word; `value` is what a literal stands for."""

    kind: str
    text: str
    column: int
    value: Any = None

    def is_operator(self, *texts: str) -> bool:
        """True for one of these operators."""
        return self.kind is OPERATOR and self.text in texts

    def is_bracket(self, text: str) -> bool:
        """True for this bracket."""
        return self.kind is BRACKET and self.text == text


def _number_pattern(prefix: str, digits: str) -> str:
    return rf"{prefix}[{digits}_]*(?:\.(?!\.)[{digits}_]*)?(?:[eE][+-]?[{digits}_]*)?"


_NUMBER = "|".join(
    _number_pattern(prefix, digits)
    for prefix, digits in (("0[xX]", "0-9a-fA-F"), ("0[oO]", "0-7"), ("0[bB]", "01"), ("", "0-9"))
)
_ESCAPE = (
    r"\\(?:[abfnrtv\\%s]|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}"
    r"|U[0-9a-fA-F]{8})"
)
_WORDS = re.compile(
    rf"""
      (?P<space>[{re.escape(SPACES)}]+ | //[^\n]*\n? | /\*(?s:.*?)\*/)
    | (?P<number>(?=[0-9])(?:{_NUMBER}) | \.(?=[0-9])(?:{_NUMBER}))
    | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
    | (?P<string>"(?:[^"\\\n]|{_ESCAPE % '"'})*" | '(?:[^'\\\n]|{_ESCAPE % "'"})*')
    | (?P<raw>`(?:[^`]|``)*+`)
    | (?P<bracket>[()\[\]{{}}])
    | (?P<operator>\?[.?]? | \|\|? | ::? | \.\.? | \#\#? | /(?![/*]) | [,;%+^-] | [&!=*<>][&=*]?)
    """,
    re.VERBOSE,
)
_ANY_STRING = re.compile(r"""(?s:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""")


def words(text: str) -> list[Word]:
    """All words of an expression, and an `END`. Raises `ExpressionError`."""
    found: list[Word] = []
    position = 0
    while position < len(text):
        match = _WORDS.match(text, position)
        kind = match.lastgroup if match else None
        if match is None or kind == "name" or kind is None:
            position = _name(text, position, found)
            continue
        position = match.end()
        if kind != "space":
            found.append(_word(kind, match[0], match.start() + 1))
            if kind == "number" and position < len(text) and _is_letter(text[position]):
                raise ExpressionError(f"{match[0] + text[position]!r} is not a number",
                                      column=match.start() + 1)  # fmt: skip
            if match[0] == "#":
                position = _pointer(text, position, found)
    found.append(Word(END, "", len(text) + 1))
    return found


def _is_letter(character: str) -> bool:
    """Whether it may be part of a name."""
    if character.isascii():
        return character.isalnum() or character in "_$"
    return character.isalpha() or unicodedata.category(character) == "Nd"


def _end_of_name(text: str, position: int) -> int:
    while position < len(text) and _is_letter(text[position]):
        position += 1
    return position


def _name(text: str, position: int, found: list[Word]) -> int:
    """A name begins here, or nothing that is known."""
    end = _end_of_name(text, position)
    column = position + 1
    if end == position:
        raise _unknown(text, position)
    name = text[position:end]
    found.append(Word(OPERATOR if name in WORD_OPERATORS else NAME, name, column))
    return end


def _pointer(text: str, position: int, found: list[Word]) -> int:
    """What follows a `#` at once is a name even if it is the word of an operator."""
    end = _end_of_name(text, position)
    if end > position:
        found.append(Word(NAME, text[position:end], position + 1))
    return end


def _unknown(text: str, position: int) -> ExpressionError:
    """What is wrong where no word begins."""
    column = position + 1
    if text[position] not in "\"'`/":
        return ExpressionError(f"unexpected {text[position]!r}", column=column)
    if text[position] == "/":
        return ExpressionError("a comment without its end", column=column)
    string = _ANY_STRING.match(text, position)
    if string is None:
        return ExpressionError("unexpected end: a string without its closing quote", column=column)
    escapes = re.findall(r"\\.", string[0], re.DOTALL)
    bad = next((escape for escape in escapes if not _fits(escape, string[0])), "\\")
    return ExpressionError(f"unknown escape {bad} in a string", column=column)


def _fits(escape: str, string: str) -> bool:
    return escape[1] in "abfnrtv\\" + string[0]


def _word(kind: str, text: str, column: int) -> Word:
    try:
        if kind == "number":
            return Word(NUMBER, text, column, _number(text))
        if kind == "string":
            return Word(STRING, text, column, unescape(text[1:-1]))
        if kind == "raw":
            return Word(STRING, text, column, text[1:-1].replace("``", "`"))
    except ExpressionError as error:
        raise ExpressionError(error.reason, column=column) from error
    return Word(BRACKET if kind == "bracket" else OPERATOR, text, column)


_BASES = {"0x": (16, "[0-9a-f]+"), "0b": (2, "[01]+"), "0o": (8, "[0-7]+")}
_FLOAT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?")


def _number(text: str) -> int | float:
    """What a number stands for."""
    digits = text.replace("_", "").lower()
    prefix = digits[:2]
    if prefix != "0x" and ("." in digits or "e" in digits):
        value = float(digits) if _FLOAT.fullmatch(digits) else math.inf
        if math.isinf(value):
            raise ExpressionError(f"{text[:30]} is not a number, or too large for one")
        return value
    base, pattern = _BASES.get(prefix, (10, "[0-9]+"))
    if base != 10:
        digits = digits[2:]
    if not re.fullmatch(pattern, digits):
        raise ExpressionError(f"unexpected {text[:30]!r}: it is not a number")
    # 64 bits are 64 digits at most; Python refuses to read very long numbers at all.
    digits = digits.lstrip("0") or "0"
    if len(digits) > 64 or int(digits, base) > _LARGEST_INTEGER:
        raise ExpressionError(f"{text[:30]} does not fit 64 bits")
    return int(digits, base)


_ONE_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\}"
    r"|U([0-9a-fA-F]{8}))"
)
_SHORT = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def unescape(text: str) -> str:
    """The text that stands between quotes, with its escapes resolved. Raises `ExpressionError`."""

    def character(match: re.Match[str]) -> str:
        short, octal, *hexadecimals = match.groups()
        if short:
            return _SHORT.get(short, short)
        if octal and octal > "377":
            raise ExpressionError(f"{match[0]} is not a character")
        code = int(octal, 8) if octal else int(next(filter(None, hexadecimals)), 16)
        if code > 0x10FFFF:
            raise ExpressionError(f"{match[0]} is not a character")
        # Half a pair of UTF-16 is no character; the reference puts the replacement there.
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)

    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _ONE_ESCAPE.sub(character, text) if "\\" in text else text
