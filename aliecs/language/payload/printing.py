"""A value printed as a verb of a format of Go says: see `formatting`, which reads the formats."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

from attrs import evolve, frozen

from aliecs.language.payload.value import (
    Byte,
    ValueFault,
    text_bytes,
    to_text,
    type_name,
)
from aliecs.language.value import Namespace, TextList, float_text

_DEEPEST = 100


@frozen
class Verb:
    """A verb with everything that stands before it."""

    letter: str = "v"
    minus: bool = False
    plus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    width: int | None = None
    precision: int | None = None
    plus_v: bool = False
    sharp_v: bool = False

    def padded(self, text: str) -> str:
        """`text` brought to the width."""
        if self.width is None:
            return text
        if self.minus:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if self.zero else " ")


def count(value: Any, depth: int = 0) -> int:
    """How many single values there are in a value."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if not isinstance(value, list) or depth > _DEEPEST:
        return 1
    return sum(count(item, depth + 1) for item in value)


# --- values --------------------------------------------------------------------------------------


def printed(verb: Verb, value: Any, depth: int = 0) -> str:
    """A value as an argument of a format."""
    if value is None:
        return verb.padded("<nil>") if verb.letter in "Tv" else _bad(verb, value)
    if verb.letter == "T" and depth == 0:
        return _text(evolve(verb, letter="s"), type_name(value))
    if verb.letter in "pw" and depth == 0:
        return _bad(verb, value)
    return _inner(verb, value, depth)


def _inner(verb: Verb, value: Any, depth: int) -> str:
    if depth > _DEEPEST:
        raise ValueFault("the value is nested too deeply")
    match value:
        case None:
            return "interface {}(nil)" if verb.sharp_v else "<nil>"
        case bool():
            word = "true" if value else "false"
            return verb.padded(word) if verb.letter in "tv" else _bad(verb, value)
        case int():
            return _integer(verb, value)
        case float():
            return _float(verb, value)
        case str():
            return _text(verb, str(value))
        case list():
            return _list(verb, value, depth)
        case dict():
            return _map(verb, value, depth)
        case Namespace():
            raise ValueFault("functions cannot be printed")
        case _:
            return verb.padded(to_text(value))


def _bad(verb: Verb, value: Any) -> str:
    if value is None:
        return f"%!{verb.letter}(<nil>)"
    letter = verb.letter
    return f"%!{letter}({type_name(value)}={_inner(evolve(verb, letter='v'), value, 0)})"


def _list(verb: Verb, value: list[Any], depth: int) -> str:
    items = [_inner(verb, item, depth + 1) for item in value]
    if verb.sharp_v:
        kind = "[]string" if isinstance(value, TextList) else "[]interface {}"
        return f"{kind}{{{', '.join(items)}}}"
    return f"[{' '.join(items)}]"


def _map(verb: Verb, value: dict[str, Any], depth: int) -> str:
    pairs = [
        f"{_inner(verb, key, depth + 1)}:{_inner(verb, value[key], depth + 1)}"
        for key in sorted(value)
    ]
    if verb.sharp_v:
        return f"map[string]interface {{}}{{{', '.join(pairs)}}}"
    return f"map[{' '.join(pairs)}]"


# --- integers ------------------------------------------------------------------------------------


def _integer(verb: Verb, value: int) -> str:
    letter = verb.letter
    if letter == "v" and verb.sharp_v and isinstance(value, Byte):
        return _digits(evolve(verb, sharp=True), value, 16, "x")
    if letter in "vd":
        return _digits(verb, value, 10, letter)
    bases = {"b": 2, "o": 8, "O": 8, "x": 16, "X": 16}
    if letter in bases:
        return _digits(verb, value, bases[letter], letter)
    if letter in "cqU":
        return _character(verb, int(value))
    return _bad(verb, value)


def _digits(verb: Verb, value: int, base: int, letter: str) -> str:
    sign = "-" if value < 0 else "+" if verb.plus else " " if verb.space else ""
    least = 0
    if verb.precision is not None:
        least = verb.precision
        if least == 0 and value == 0:
            return " " * (verb.width or 0)
    elif verb.zero and not verb.minus and verb.width is not None:
        least = verb.width - len(sign)
    digits = _in_base(abs(value), base)
    if letter == "X":
        digits = digits.upper()
    digits = digits.rjust(least, "0")
    if verb.sharp:
        if base == 2:
            digits = f"0b{digits}"
        elif base == 8 and not digits.startswith("0"):
            digits = f"0{digits}"
        elif base == 16:
            digits = f"{'0X' if letter == 'X' else '0x'}{digits}"
    if letter == "O":
        digits = f"0o{digits}"
    return evolve(verb, zero=False).padded(sign + digits)


def _in_base(value: int, base: int) -> str:
    return format(int(value), {2: "b", 8: "o", 10: "d", 16: "x"}[base])


def _character(verb: Verb, value: int) -> str:
    known = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF
    character = chr(value) if known else "\ufffd"
    if verb.letter == "c":
        return verb.padded(character)
    if verb.letter == "q":
        return verb.padded(_quoted(character, "'", verb.plus))
    number = value if value >= 0 else value + 2**64
    digits = format(number, "X").rjust(max(verb.precision or 0, 4), "0")
    shown = f"U+{digits}"
    if verb.sharp and known and _printable(character):
        shown += f" '{character}'"
    return evolve(verb, zero=False).padded(shown)


# --- floats --------------------------------------------------------------------------------------


def _float(verb: Verb, value: float) -> str:
    letter = verb.letter
    if letter not in "vbgGxXfeEF":
        return _bad(verb, value)
    letter = {"v": "g", "F": "f"}.get(letter, letter)
    precision = verb.precision
    if precision is None and letter in "feE":
        precision = 6
    number = _float_digits(abs(value), letter, precision)
    negative = math.copysign(1.0, value) < 0 and not math.isnan(value)
    sign = "-" if negative else " " if verb.space and not verb.plus else "+"
    if not math.isfinite(value):
        bare = math.isnan(value) and not verb.space and not verb.plus
        shown = number if bare else sign + number
        return evolve(verb, zero=False).padded(shown)
    if verb.sharp and letter != "b":
        number = _with_point(number, letter, -1 if precision is None else precision)
    if not verb.plus and sign == "+":
        return verb.padded(number)
    if verb.zero and verb.width is not None and verb.width > len(number) + 1:
        return sign + number.rjust(verb.width - 1, "0")
    return verb.padded(sign + number)


def _float_digits(value: float, letter: str, precision: int | None) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf"
    if letter in "gG":
        if precision is None:
            text = float_text(value, exponent_from=6)
        else:
            text = f"{value:.{precision or 1}g}"
        return text.upper() if letter == "G" else text
    if letter in "xX":
        text = _hexadecimal(value, precision)
        return text.upper() if letter == "X" else text
    if letter == "b":
        mantissa, exponent = _mantissa(value)
        return f"{mantissa}p{exponent:+d}"
    return f"{value:.{precision}{letter}}"


def _mantissa(value: float) -> tuple[int, int]:
    _, exponent = math.frexp(value)
    if value == 0:
        return 0, -1074
    exponent = max(exponent - 53, -1074)
    return int(math.ldexp(value, -exponent)), exponent


def _hexadecimal(value: float, precision: int | None) -> str:
    mantissa, exponent = _mantissa(value)
    if mantissa == 0:
        exponent = 0
    else:
        shift = 53 - mantissa.bit_length()
        mantissa, exponent = mantissa << shift, exponent - shift + 52
    digits = 13
    if precision is not None and precision < 13:
        drop = 4 * (13 - precision)
        half, rest = 1 << (drop - 1), mantissa & ((1 << drop) - 1)
        mantissa >>= drop
        if rest > half or (rest == half and mantissa & 1):
            mantissa += 1
        digits = precision
        if mantissa >> (4 * digits + 1):
            mantissa, exponent = mantissa >> 1, exponent + 1
    whole = mantissa >> (4 * digits)
    fraction = format(mantissa & ((1 << (4 * digits)) - 1), "x").rjust(digits, "0")
    fraction = fraction[:digits]
    fraction = fraction.rstrip("0") if precision is None else fraction.ljust(precision, "0")
    point = f".{fraction}" if fraction else ""
    return f"0x{whole}{point}p{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _with_point(number: str, letter: str, precision: int) -> str:
    """A float with the flag `#`: with a decimal point, and for `g` with its trailing zeros."""
    marks = "pP" if letter in "xX" else "eEpP"
    split = next((i for i, character in enumerate(number) if character in marks), len(number))
    head, tail = number[:split], number[split:]
    missing = 0
    if letter in "gGx":
        # The x of a hexadecimal number counts as a digit, as in the reference.
        missing = 6 if precision == -1 else precision
        missing -= len(head.replace(".", "").lstrip("0"))
    if "." not in head:
        if head == "0":
            missing -= 1
        head += "."
    return head + "0" * max(missing, 0) + tail


# --- texts ---------------------------------------------------------------------------------------


def _text(verb: Verb, value: str) -> str:
    letter = verb.letter
    if letter == "v":
        letter = "q" if verb.sharp_v else "s"
    if letter == "s":
        return verb.padded(_cut(verb, value))
    if letter in "xX":
        return verb.padded(_bytes_in_hexadecimal(verb, value))
    if letter == "q":
        value = _cut(verb, value)
        if verb.sharp and _fits_backquotes(value):
            return verb.padded(f"`{value}`")
        return verb.padded(_quoted(value, '"', verb.plus))
    return _bad(verb, value)


def _cut(verb: Verb, value: str) -> str:
    return value if verb.precision is None else value[: verb.precision]


def _bytes_in_hexadecimal(verb: Verb, value: str) -> str:
    data = text_bytes(value)
    if verb.precision is not None:
        data = data[: verb.precision]
    if not data:
        return ""
    pairs = [f"{byte:02x}" for byte in data]
    prefix = "0x" if verb.sharp else ""
    text = f" {prefix}".join(pairs) if verb.space else "".join(pairs)
    text = prefix + text
    return text.upper() if verb.letter == "X" else text


def _fits_backquotes(value: str) -> bool:
    return all(
        character not in "`\x7f\ufeff"
        and (character >= " " or character == "\t")
        and not "\ud800" <= character <= "\udfff"
        for character in value
    )


_NAMED = {"\a": "a", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v"}


def _quoted(value: str, quote: str, ascii_only: bool) -> str:
    return quote + "".join(_escaped(c, quote, ascii_only) for c in value) + quote


def _escaped(character: str, quote: str, ascii_only: bool) -> str:
    if character in (quote, "\\"):
        return f"\\{character}"
    if _printable(character) and (character.isascii() or not ascii_only):
        return character
    if character in _NAMED:
        return f"\\{_NAMED[character]}"
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x20 or number == 0x7F:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _printable(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] in "LMNPS"
