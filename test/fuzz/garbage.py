"""Texts without sense, and small faults put into texts with sense. For all targets."""

from __future__ import annotations

from random import Random

ODD = (
    "\x00\x01\t\n\r\x1f \x7f\x85\xa0\xad\u0130\u0131\u017f\u200b\u2028\u2029"
    "\ufeff\ufffd\uffff\U0001f600\U0010ffff"
    "0123456789aAzZ_$éß世٣²{}[]()<>'\"`\\/.,:;?!|&*+-^%#@~="
)


def text(random: Random, alphabet: str = ODD, longest: int = 40) -> str:
    """Characters, one after the other."""
    return "".join(random.choice(alphabet) for _ in range(random.randint(0, longest)))


def mutated(random: Random, original: str, words: list[str] | None = None) -> str:
    """A text with a few faults in it."""
    letters = list(original)
    for _ in range(random.choice([1, 1, 1, 2, 3, 6])):
        at = random.randint(0, len(letters))
        kind = random.randrange(5)
        if kind == 0 and letters:
            del letters[at : at + random.randint(1, 4)]
        elif kind == 1:
            letters[at:at] = random.choice(words) if words else random.choice(ODD)
        elif kind == 2:
            letters[at : at + 1] = random.choice(ODD)
        elif kind == 3:
            begin = random.randint(0, len(letters))
            letters[at:at] = letters[begin : begin + random.randint(1, 30)] * random.choice([1, 1,
                1, 40])
        else:
            del letters[at:]
    return "".join(letters)
