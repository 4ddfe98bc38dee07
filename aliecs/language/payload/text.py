"""Texts as the reference's language treats them: upper and lower case, words, escaping.

Python's own methods differ in a few hundred characters (the German sharp s becomes two, a sigma
looks at its neighbours), and a payload has to come out the same byte for byte.
"""

from __future__ import annotations

_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
)
SPACES = _SPACES + "\u2028\u2029\u202f\u205f\u3000"
"""What counts as white space."""
_ESCAPES = str.maketrans({"&": "&amp;", ">": "&gt;", "<": "&lt;", '"': "&quot;", "'": "&#39;"})


def escape(text: str) -> str:
    """A text in which no character means anything to HTML."""
    return text.translate(_ESCAPES)


def upper(text: str) -> str:
    """Upper case, character by character."""
    return text.upper() if text.isascii() else "".join(map(_upper, text))


def lower(text: str) -> str:
    """Lower case, character by character."""
    return text.lower() if text.isascii() else "".join(map(_lower, text))


def _upper(character: str) -> str:
    changed = character.upper()
    if len(changed) == 1:
        return changed
    changed = character.title()
    return changed if len(changed) == 1 else character


def _lower(character: str) -> str:
    # The dotted capital I is the only one with two characters; its simple counterpart is the first.
    return character.lower()[0]


def _title(character: str) -> str:
    changed = character.title()
    return changed if len(changed) == 1 else character


def title(text: str) -> str:
    """Every word with a capital letter."""
    parts = []
    previous = " "
    for character in lower(text):
        parts.append(_title(character) if _separates(previous) else character)
        previous = character
    return "".join(parts)


def _separates(character: str) -> bool:
    if character.isascii():
        return not (character.isalnum() or character == "_")
    if character.isalpha() or character.isdecimal():
        return False
    return character in SPACES


def strip(text: str) -> str:
    """A text without white space at its ends."""
    return text.strip(SPACES)


def words(text: str) -> list[str]:
    """What stands between white space."""
    return [word for word in text.translate(_TO_SPACE).split(" ") if word]


_TO_SPACE = {ord(character): " " for character in SPACES}
