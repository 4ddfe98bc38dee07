"""Upper and lower case, character by character as the reference has it (`ß` stays one letter), and
white space, which is what Unicode says and not what Python does."""

from __future__ import annotations

from aliecs.language.lexing import SPACES

_ASCII_SPACES = "\t\n\v\f\r "


def trimmed(text: str) -> str:
    """`text` without white space at its ends."""
    return text.strip(_ASCII_SPACES if text.isascii() else SPACES)


def _one(character: str, mapped: str, otherwise: str) -> str:
    if len(mapped) == 1:
        return mapped
    return otherwise if len(otherwise) == 1 else character


def upper(text: str) -> str:
    """`text` in upper case."""
    if text.isascii():
        return text.upper()
    return "".join(_one(c, c.upper(), c.title()) for c in text)


def lower(text: str) -> str:
    """`text` in lower case."""
    if text.isascii():
        return text.lower()
    return "".join(_one(c, c.lower(), c.lower()[:1]) for c in text)
