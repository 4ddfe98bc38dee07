"""The filter `stringformat`: one value printed as a format of Go says.

A format is text with verbs: `%`, flags (`-+# 0`), width, precision, and a letter. Wrong use is no
error but shows in the output, such as `%!d(string=a)`; payloads may rely on that, so it is the
same.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

from attrs import define, evolve, frozen

from aliecs.language.payload.value import (
    Byte,
    ValueFault,
    is_integer,
    text_bytes,
    to_text,
    type_name,
)
from aliecs.language.value import Namespace, TextList, float_text

_DEEPEST = 100
_LARGEST_COUNT = 1_000_000
_LONGEST = 4 * 1024 * 1024
"""Characters that a format may make."""
_FLAGS = re.compile("[-+# 0]*")
_DIGITS = re.compile("[0-9]+")


@frozen
class _Verb:
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


def formatted(format_text: str, value: Any, widest: int) -> str:
    """`value` printed as `format_text` says. Raises `ValueFault` for a width or precision of more
    than `widest`, and for values nested too deeply."""
    return _Format(format_text, value, widest).run()


def default_text(value: Any) -> str:
    """`value` as the verb `%v` prints it. Raises `ValueFault` where it is nested too deeply."""
    return _printed(_Verb(), value)


@define
class _Format:
    text: str
    value: Any
    widest: int
    position: int = 0
    argument: int = 0
    """The next argument; there is only one, number 0."""
    reordered: bool = False
    """Whether any argument was named by its number."""
    after_index: bool = False
    good_index: bool = True

    def run(self) -> str:
        parts: list[str] = []
        size = 0
        while self.position < len(self.text):
            begin = self.position
            end = self.text.find("%", begin)
            if end < 0:
                parts.append(self.text[begin:])
                break
            parts.append(self.text[begin:end])
            self.position = end + 1
            parts.append(self._verb())
            size += len(parts[-1])
            if size > _LONGEST:
                raise ValueFault(f"makes a text of more than {_LONGEST} characters")
        if not self.reordered and self.argument == 0:
            kind = type_name(self.value)
            shown = kind if self.value is None else f"{kind}={_printed(_Verb(), self.value)}"
            parts.append(f"%!(EXTRA {shown})")
        return "".join(parts)

    def _verb(self) -> str:
        self.good_index = True
        self.after_index = False
        complaint = ""
        flags_match = _FLAGS.match(self.text, self.position)
        flags = flags_match.group() if flags_match else ""
        self.position += len(flags)
        verb = _Verb(
            minus="-" in flags,
            plus="+" in flags,
            sharp="#" in flags,
            space=" " in flags,
            zero="0" in flags and "-" not in flags,
        )
        self._index()
        verb, said = self._width(verb)
        complaint += said
        verb, said = self._precision(verb)
        complaint += said
        if not self.after_index:
            self._index()
        if self.position >= len(self.text):
            return f"{complaint}%!(NOVERB)"
        letter = self.text[self.position]
        self.position += 1
        return complaint + self._print(evolve(verb, letter=letter))

    def _print(self, verb: _Verb) -> str:
        letter = verb.letter
        if letter == "%":
            return "%"
        if not self.good_index:
            return f"%!{letter}(BADINDEX)"
        if self.argument >= 1:
            return f"%!{letter}(MISSING)"
        self.argument += 1
        width = max(verb.width or 0, verb.precision or 0)
        if width > self.widest:
            raise ValueFault(f"a width of more than {self.widest}")
        if width and width * _count(self.value) > _LONGEST:
            raise ValueFault(f"makes a text of more than {_LONGEST} characters")
        if letter in "vw":
            # With these verbs the flags have another meaning.
            verb = evolve(verb, sharp=False, sharp_v=verb.sharp, plus=False, plus_v=verb.plus)
        return _printed(verb, self.value)

    def _width(self, verb: _Verb) -> tuple[_Verb, str]:
        if self.text.startswith("*", self.position):
            self.position += 1
            width = self._count_argument()
            if width is None:
                return verb, "%!(BADWIDTH)"
            if width < 0:
                return evolve(verb, width=-width, minus=True, zero=False), ""
            return evolve(verb, width=width), ""
        width = self._number()
        if width is not None and self.after_index:
            self.good_index = False
        return evolve(verb, width=width), ""

    def _precision(self, verb: _Verb) -> tuple[_Verb, str]:
        if not self.text.startswith(".", self.position):
            return verb, ""
        self.position += 1
        if self.after_index:
            self.good_index = False
        self._index()
        if self.text.startswith("*", self.position):
            self.position += 1
            precision = self._count_argument()
            if precision is None:
                return verb, "%!(BADPREC)"
            return evolve(verb, precision=precision if precision >= 0 else None), ""
        return evolve(verb, precision=self._number() or 0), ""

    def _count_argument(self) -> int | None:
        self.after_index = False
        if self.argument >= 1:
            return None
        self.argument += 1
        if not is_integer(self.value) or abs(self.value) > _LARGEST_COUNT:
            return None
        return int(self.value)

    def _number(self) -> int | None:
        found = _DIGITS.match(self.text, self.position)
        if found is None:
            return None
        if len(found.group().lstrip("0")) > 1 and int(found.group()[:-1][-20:]) > _LARGEST_COUNT:
            # Far too large: the whole rest is lost, as in the reference.
            self.position = len(self.text)
            return None
        self.position = found.end()
        return int(found.group())

    def _index(self) -> None:
        """The number of an argument, in brackets."""
        self.after_index = False
        if not self.text.startswith("[", self.position):
            return
        self.reordered = True
        close = self.text.find("]", self.position)
        number = self.text[self.position + 1 : close] if close > 0 else ""
        self.position = close + 1 if close > 0 else self.position + 1
        self.after_index = re.fullmatch("[0-9]{1,7}", number) is not None
        if self.after_index and int(number) == 1:
            self.argument = 0
        else:
            self.good_index = False


def _count(value: Any, depth: int = 0) -> int:
    """How many single values there are in a value."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if not isinstance(value, list) or depth > _DEEPEST:
        return 1
    return sum(_count(item, depth + 1) for item in value)


# --- values --------------------------------------------------------------------------------------


def _printed(verb: _Verb, value: Any, depth: int = 0) -> str:
    """A value as an argument of a format."""
    if value is None:
        return verb.padded("<nil>") if verb.letter in "Tv" else _bad(verb, value)
    if verb.letter == "T" and depth == 0:
        return _text(evolve(verb, letter="s"), type_name(value))
    if verb.letter in "pw" and depth == 0:
        return _bad(verb, value)
    return _inner(verb, value, depth)


def _inner(verb: _Verb, value: Any, depth: int) -> str:
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


def _bad(verb: _Verb, value: Any) -> str:
    if value is None:
        return f"%!{verb.letter}(<nil>)"
    letter = verb.letter
    return f"%!{letter}({type_name(value)}={_inner(evolve(verb, letter='v'), value, 0)})"


def _list(verb: _Verb, value: list[Any], depth: int) -> str:
    items = [_inner(verb, item, depth + 1) for item in value]
    if verb.sharp_v:
        kind = "[]string" if isinstance(value, TextList) else "[]interface {}"
        return f"{kind}{{{', '.join(items)}}}"
    return f"[{' '.join(items)}]"


def _map(verb: _Verb, value: dict[str, Any], depth: int) -> str:
    pairs = [
        f"{_inner(verb, key, depth + 1)}:{_inner(verb, value[key], depth + 1)}"
        for key in sorted(value)
    ]
    if verb.sharp_v:
        return f"map[string]interface {{}}{{{', '.join(pairs)}}}"
    return f"map[{' '.join(pairs)}]"


# --- integers ------------------------------------------------------------------------------------


def _integer(verb: _Verb, value: int) -> str:
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


def _digits(verb: _Verb, value: int, base: int, letter: str) -> str:
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


def _character(verb: _Verb, value: int) -> str:
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


def _float(verb: _Verb, value: float) -> str:
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


def _text(verb: _Verb, value: str) -> str:
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


def _cut(verb: _Verb, value: str) -> str:
    return value if verb.precision is None else value[: verb.precision]


def _bytes_in_hexadecimal(verb: _Verb, value: str) -> str:
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
