"""The filter `stringformat`: one value printed as a format of Go says.

A format is text with verbs: `%`, flags (`-+# 0`), width, precision, and a letter. Wrong use is no
error but shows in the output, such as `%!d(string=a)`; payloads may rely on that, so it is the
same. What the verbs print is in `printing`.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import define, evolve

from aliecs.language.payload.printing import Verb, count, printed
from aliecs.language.payload.value import ValueFault, is_integer, type_name

_LARGEST_COUNT = 1_000_000
_LONGEST = 4 * 1024 * 1024
"""Characters that a format may make."""
_FLAGS = re.compile("[-+# 0]*")
_DIGITS = re.compile("[0-9]+")


def formatted(format_text: str, value: Any, widest: int) -> str:
    """`value` printed as `format_text` says. Raises `ValueFault` for a width or precision of more
    than `widest`, and for values nested too deeply."""
    return _Format(format_text, value, widest).run()


def default_text(value: Any) -> str:
    """`value` as the verb `%v` prints it. Raises `ValueFault` where it is nested too deeply."""
    return printed(Verb(), value)


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
            shown = kind if self.value is None else f"{kind}={printed(Verb(), self.value)}"
            parts.append(f"%!(EXTRA {shown})")
        return "".join(parts)

    def _verb(self) -> str:
        self.good_index = True
        self.after_index = False
        complaint = ""
        flags_match = _FLAGS.match(self.text, self.position)
        flags = flags_match.group() if flags_match else ""
        self.position += len(flags)
        verb = Verb(
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

    def _print(self, verb: Verb) -> str:
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
        if width and width * count(self.value) > _LONGEST:
            raise ValueFault(f"makes a text of more than {_LONGEST} characters")
        if letter in "vw":
            # With these verbs the flags have another meaning.
            verb = evolve(verb, sharp=False, sharp_v=verb.sharp, plus=False, plus_v=verb.plus)
        return printed(verb, self.value)

    def _width(self, verb: Verb) -> tuple[Verb, str]:
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

    def _precision(self, verb: Verb) -> tuple[Verb, str]:
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
        digits = found.group().lstrip("0") or "0"
        if len(digits) > 8 or int(digits[:-1] or "0") > _LARGEST_COUNT:
            # Far too large: the whole rest is lost, as in the reference.
            self.position = len(self.text)
            return None
        self.position = found.end()
        return int(digits)

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
