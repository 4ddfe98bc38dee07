"""Cases for patterns with wildcards: a pattern, its separator, and texts to hold against it."""

from __future__ import annotations

from random import Random

PIECES = [
    "*", "**", "***", "?", "??", "a", "b", "c", "ab", ".", "/", "-", "_", "0", "é", "[abc]",
    "[a-c]", "[!a]", "[!a-b]",
    "[^a]", "[]", "[", "]", "[a", "[a-]", "[-a]", "[a-bc]", "[z-a]", "[ab-c]", "[.]", "[*]",
    "[\\]]", "[!]", "[!!]", "[é]",
    "{", "}", "{a,b}", "{a*,b?}", "{a,{b,c}}", "{,a}", "{a,}", "{}", "{a}", "{a.b,c}", "{*,a}",
    "{**.a,b}", ",", "\\", "\\*",
    "\\?", "\\[", "\\{", "\\}", "\\,", "\\a", "\\\\", "!", "^", "$", "+", "(", ")", "|", "#", "@",
    " ", "\n", "[a,b]", "{[ab],c}",
    "{a\\,b,c}", "root", "main", "v1", "host-", "feature/",
]  # fmt: skip
TEXTS = ["a", "b", "c", "ab", "abc", ".", "a.b", "a.b.c", "/", "a/b", "", "é", "0", "-", "ba", "aa",
    "bb", "root", "root.a",
         "main", "v1", "host-a", "feature/x", "*", "?", "[", "]", "{", "}", ",", "!", "\\", "^",
         "a,b", "\n", "a-b", "[abc]",
         "{a,b}", "a}", "z", ".a", "a.", "..", "+", "(", "|", "#", " "]  # fmt: skip


def pattern(random: Random) -> str:
    """A pattern, now and then a malformed one."""
    return "".join(random.choice(PIECES) for _ in range(random.choice([1, 1, 2, 2, 3, 3, 4, 5])))


def text(random: Random, near: str = "") -> str:
    """A text, often one that resembles the pattern."""
    if near and random.random() < 0.5:
        kept = [c for c in near if c not in "*?[]{}!\\" and random.random() < 0.8]
        if random.random() < 0.5:
            kept.insert(random.randint(0, len(kept)), random.choice(TEXTS))
        return "".join(kept)
    return "".join(random.choice(TEXTS) for _ in range(random.choice([1, 1, 2, 3])))


def case(random: Random) -> dict[str, object]:
    """One case."""
    chosen = pattern(random)
    texts = sorted({text(random, chosen) for _ in range(8)})
    return {"pattern": chosen, "separator": random.choice(["", "."]), "texts": texts}
