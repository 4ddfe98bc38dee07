"""The filters of payload templates, those of texts as markup apart (see `markup`).

A filter takes the value, its argument (nil where there is none) and the rendering, and gives the
new value. It raises `ValueFault` where it cannot; the caller knows the place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from aliecs.language.payload import text as texts
from aliecs.language.payload.evaluation import Render
from aliecs.language.payload.formatting import formatted
from aliecs.language.payload.markup import MARKUP_FILTERS
from aliecs.language.payload.value import (
    Byte,
    ValueFault,
    is_number,
    is_true,
    length,
    text_bytes,
    to_float,
    to_integer,
    to_text,
    wrapped,
)
from aliecs.language.value import TextList

WIDEST = 100_000
"""Characters to which a text can be padded, or decimals that a float can be given."""
Filter = Callable[[Any, Any, Render], Any]


def _checked(width: int) -> int:
    if width > WIDEST:
        raise ValueFault(f"{width} is more than {WIDEST} characters")
    return width


def _can_slice(value: Any) -> bool:
    return isinstance(value, (str, list))


def _plain(value: Any) -> Any:
    """An element: texts lose the mark that they need no escaping."""
    return str(value) if isinstance(value, str) else value


# --- values --------------------------------------------------------------------------------------


def _add(value: Any, argument: Any, render: Render) -> Any:
    if is_number(value) and is_number(argument):
        if isinstance(value, float) or isinstance(argument, float):
            return to_float(value) + to_float(argument)
        return wrapped(to_integer(value) + to_integer(argument))
    return to_text(value) + to_text(argument)


def _default(value: Any, argument: Any, render: Render) -> Any:
    return value if is_true(value) else argument


def _default_if_none(value: Any, argument: Any, render: Render) -> Any:
    return argument if value is None else value


def _divisible(value: Any, argument: Any, render: Render) -> bool:
    divisor = to_integer(argument)
    return divisor != 0 and to_integer(value) % divisor == 0


def _float_format(value: Any, argument: Any, render: Render) -> Any:
    decimals = -1 if argument is None else to_integer(argument)
    trims = not is_number(argument)
    if decimals <= 0:
        decimals, trims = -decimals, True
    number = to_float(value)
    if trims and math.isfinite(number) and abs(number) < 2.0**63 and int(number) == number:
        return to_integer(value)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("+Inf" if number > 0 else "-Inf")
    return f"{number:.{_checked(decimals)}f}"


def _get_digit(value: Any, argument: Any, render: Render) -> Any:
    position = to_integer(argument)
    data = text_bytes(to_text(value))
    if not 0 < position <= len(data):
        return value
    return Byte((data[-position] - ord("0")) % 256)


def _pluralize(value: Any, argument: Any, render: Render) -> str:
    if not is_number(value):
        raise ValueFault("works only on numbers")
    one = to_integer(value) == 1
    if length(argument) == 0:
        return "" if one else "s"
    endings = to_text(argument).split(",")
    if len(endings) > 2:
        raise ValueFault("takes no more than 2 endings")
    if len(endings) == 1:
        return "" if one else endings[0]
    return endings[0] if one else endings[1]


def _yes_no(value: Any, argument: Any, render: Render) -> str:
    choices = ["yes", "no", "maybe"]
    given = to_text(argument)
    if given:
        custom = given.split(",")
        if not 2 <= len(custom) <= 3:
            raise ValueFault(f"takes 2 or 3 words, not {given!r}")
        choices[: len(custom)] = custom
    if value is None:
        return choices[2]
    return choices[0] if is_true(value) else choices[1]


def _string_format(value: Any, argument: Any, render: Render) -> str:
    return formatted(to_text(argument), value, WIDEST)


def _date(value: Any, argument: Any, render: Render) -> Any:
    raise ValueFault("works only on times, of which a payload has none; see the tag 'now'")


# --- lists and parts of texts --------------------------------------------------------------------


def _first(value: Any, argument: Any, render: Render) -> Any:
    return _plain(value[0]) if _can_slice(value) and value else ""


def _last(value: Any, argument: Any, render: Render) -> Any:
    return _plain(value[-1]) if _can_slice(value) and value else ""


def _random(value: Any, argument: Any, render: Render) -> Any:
    return _plain(render.random.choice(value)) if _can_slice(value) and value else value


def _join(value: Any, argument: Any, render: Render) -> Any:
    if not _can_slice(value):
        return value
    separator = to_text(argument)
    render.spend(len(separator) * len(value) >> 4)
    return separator.join(map(to_text, value))


def _slice(value: Any, argument: Any, render: Render) -> Any:
    bounds = to_text(argument).split(":")
    if len(bounds) != 2:
        raise ValueFault("the argument is 'from:to', where from or to may be left out")
    if not _can_slice(value):
        return value
    size = len(value)
    begin = to_integer(bounds[0])
    if begin < 0:
        begin = max(size + begin, 0)
    end = size
    if bounds[1]:
        end = to_integer(bounds[1])
        end = min(size + end if end < 0 else end, size)
    part = value[begin : max(end, 0)] if begin < end else value[:0]
    return TextList(part) if isinstance(value, TextList) else _plain(part)


def _split(value: Any, argument: Any, render: Render) -> TextList:
    text, separator = to_text(value), to_text(argument)
    return TextList(text.split(separator) if separator else text)


def _make_list(value: Any, argument: Any, render: Render) -> TextList:
    return TextList(to_text(value))


# --- texts ---------------------------------------------------------------------------------------


def _add_slashes(value: Any, argument: Any, render: Render) -> str:
    return to_text(value).translate({ord(character): f"\\{character}" for character in "\\\"'"})


def _capital_first(value: Any, argument: Any, render: Render) -> str:
    if length(value) == 0:
        return ""
    text = to_text(value)
    return texts.upper(text[:1]) + text[1:]


def _center(value: Any, argument: Any, render: Render) -> Any:
    spaces = _checked(to_integer(argument)) - length(value)
    if spaces <= 0:
        return value
    right = spaces // 2
    return " " * (spaces - right) + to_text(value) + " " * right


def _left(value: Any, argument: Any, render: Render) -> str:
    return to_text(value) + " " * (_checked(to_integer(argument)) - length(value))


def _right(value: Any, argument: Any, render: Render) -> str:
    text, width = to_text(value), to_integer(argument)
    _checked(abs(width))
    return text.ljust(-width) if width < 0 else text.rjust(width)


def _cut(value: Any, argument: Any, render: Render) -> str:
    part = to_text(argument)
    return to_text(value).replace(part, "") if part else to_text(value)


def _line_numbers(value: Any, argument: Any, render: Render) -> str:
    lines = to_text(value).split("\n")
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _lower(value: Any, argument: Any, render: Render) -> str:
    return texts.lower(to_text(value))


def _upper(value: Any, argument: Any, render: Render) -> str:
    return texts.upper(to_text(value))


def _title(value: Any, argument: Any, render: Render) -> str:
    return texts.title(to_text(value)) if isinstance(value, str) else ""


_DIGITS = {
    letter: str(digit)
    for digit, letters in enumerate(("abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz"), 2)
    for letter in letters + letters.upper()
}
_PHONE = str.maketrans(_DIGITS)


def _phone(value: Any, argument: Any, render: Render) -> str:
    return to_text(value).translate(_PHONE)


def _truncate_characters(value: Any, argument: Any, render: Render) -> str:
    text, width = to_text(value), to_integer(argument)
    if width < 0:
        raise ValueFault(f"{width} is no number of characters")
    if width >= len(text):
        return text
    return text[: width - 3] + "..." if width >= 3 else text[:width]


def _truncate_words(value: Any, argument: Any, render: Render) -> str:
    words, count = texts.words(to_text(value)), to_integer(argument)
    if count <= 0:
        return ""
    return " ".join([*words[:count], "..."] if count < len(words) else words)


def _word_count(value: Any, argument: Any, render: Render) -> int:
    return len(texts.words(to_text(value)))


def _word_wrap(value: Any, argument: Any, render: Render) -> Any:
    per_line = to_integer(argument)
    if per_line <= 0:
        return value
    words = texts.words(to_text(value))
    lines = (words[begin : begin + per_line] for begin in range(0, len(words), per_line))
    return "\n".join(map(" ".join, lines))


FILTERS: Mapping[str, Filter] = {
    **MARKUP_FILTERS,
    "add": _add,
    "addslashes": _add_slashes,
    "capfirst": _capital_first,
    "center": _center,
    "cut": _cut,
    "date": _date,
    "default": _default,
    "default_if_none": _default_if_none,
    "divisibleby": _divisible,
    "first": _first,
    "float": lambda value, argument, render: to_float(value),
    "floatformat": _float_format,
    "get_digit": _get_digit,
    "integer": lambda value, argument, render: to_integer(value),
    "join": _join,
    "last": _last,
    "length": lambda value, argument, render: length(value),
    "length_is": lambda value, argument, render: length(value) == to_integer(argument),
    "linenumbers": _line_numbers,
    "ljust": _left,
    "lower": _lower,
    "make_list": _make_list,
    "phone2numeric": _phone,
    "pluralize": _pluralize,
    "random": _random,
    "rjust": _right,
    "safe": lambda value, argument, render: value,
    "slice": _slice,
    "split": _split,
    "stringformat": _string_format,
    "time": _date,
    "title": _title,
    "truncatechars": _truncate_characters,
    "truncatewords": _truncate_words,
    "upper": _upper,
    "wordcount": _word_count,
    "wordwrap": _word_wrap,
    "yesno": _yes_no,
}
"""All filters by name."""
