"""Fuzzing of the `{{ }}` language: whatever a template says, it is rendered or refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from attrs import define

from aliecs.language.expression import Compiler, ExpressionError
from aliecs.language.functions import ROLE_FUNCTIONS, Library, Scope, make_library
from aliecs.language.printing import to_text
from test.fuzz import garbage
from test.language.line import LEAF
from test.oracle import expressions, vocabulary

name = "expressions"
COMPILER_LIFE = 400
"""Cases after which a new compiler is taken, so that what it keeps does not count as growth."""


@define(frozen=True)
class Case:
    """A template, and what it gives where that is known."""

    template: str
    expected: str | None = None


@define
class _Compiled:
    library: Library | None = None
    used: int = 0

    def get(self) -> Library:
        if self.library is None or self.used >= COMPILER_LIFE:
            self.library, self.used = make_library(Compiler(), None, ROLE_FUNCTIONS), 0
        self.used += 1
        return self.library


_COMPILED = _Compiled()


def case(random: Random) -> Case:
    """One template."""
    (kind,) = random.choices(list(_KINDS), list(_KINDS.values()))
    return kind(random)


def attempt(case: Case) -> None:  # type: ignore[no-redef]
    """Render it."""
    scope = Scope(vocabulary.VARIABLES, _COMPILED.get(), role=LEAF)
    try:
        result = scope.render(case.template)
    except ExpressionError as error:
        str(error).encode()
        assert case.expected is None, f"refused: {error}"
        return
    assert isinstance(result, str)
    result.encode()
    assert case.expected is None or result == case.expected, f"{result!r}, not {case.expected!r}"


def _ordinary(random: Random) -> Case:
    family, _ = random.choice(list(expressions.families.values()))
    return Case(family(random))


def _mutated(random: Random) -> Case:
    return Case(garbage.mutated(random, _ordinary(random).template, expressions.TOKENS))


def _garbage(random: Random) -> Case:
    return Case("{{" + garbage.text(random) + random.choice(["}}", "}}", "}"]))


_REPEATED = [
    ("(", "1", ")"), ("[", "", "]"), ("-", "1", ""), ("not ", "true", ""), ("{a: ", "1", "}"),
    ("1 + ", "1", ""), ("1 ** ", "1", ""), ("true ? ", "1", " : 2"), ("len([", "", "])"),
    ("map([1], ", "#", ")"), ("a ?? ", "a", ""), ("1; ", "1", ""), ("let x = 1; ", "x", ""),
    ("if true {", "1", "} else {2}"), ("", "a", ".b"), ("", "nil", "?.b"), ("", "[1]", "[0]"),
    ("", "'a'", "[0:]"), ("", "a", " | upper()"), ("strings.ToUpper(", "a", ")"), ("", "1", " < 2"),
    ("[1, ", "1", "]"), ("", "'a'", " + 'a'"), ("filter([[]], ", "true", ")"), ("/*", "1", "*/"),
    ("'", "", "'"), ("filter(", "[1]", ", true)"), ("filter(", "[1]", ", true)[0]"),
    ("first(filter(", "[1]", ", true))"), ("map(filter(", "[1]", ", true), #)"),
    ("sum([", "1", ", len(a)])"), ("all([1], ", "true", ") and all([1], true)"),
    ("", "all([1], true)", " and all([1], true)"), ("filter(map(", "[1]", ", #), true)"),
    ("any(filter(", "[1]", ", true), true) or any(filter([1], true), true)"),
    ("ToUpper(", "nowhere", ")"), ("json.Marshal([", "1", "])"), ("1..", "1", ""),
    ("(1..", "1", ")"),
    ("", "a", "?.b?.c"), ("[", "1", ", 2][0]"), ("count([[1]], any(#, ", "true", "))"),
    ("let f = ", "1", "; f"), ("concat([1], ", "[1]", ")"), ("map([1], map([#], ", "#", "))"),
]  # fmt: skip
"""What may stand before, within and after, over and over."""


def _deep(random: Random) -> Case:
    """Much of the same, nested or in a row."""
    count = random.choice([5, 50, 119, 125, 500, 5000])
    before, inner, after = random.choice(_REPEATED)
    return Case("{{ " + before * count + inner + after * count + " }}")


def _greedy(random: Random) -> Case:
    """Small texts that ask for much."""
    big = random.choice(["1000", "100000", "1000000", "10000000000", "9223372036854775807",
        "-9223372036854775808"])
    form = random.choice(
        ["repeat('ab', {n})", "1..{n}", "-{n}..{n}", "len(1..{n})", "map(1..{n}, #)",
        "map(1..1000, map(1..{n}, # * #))",
         "reduce(1..2000, #acc + #acc, 'x')", "reduce(1..2000, [#acc, #acc], [])",
         "reduce(1..2000, concat(#acc, #acc), [1])",
         "toJSON(reduce(1..500, [#acc], []))", "string(reduce(1..90, [#acc, #acc], []))",
         "json.Marshal(reduce(1..60, {{'k': [#acc, #acc]}}, 1))",
         "replace(repeat('a', 100000), 'a', repeat('b', {n}))",
         "join(map(1..5000, repeat('a', 1000)), 'x')", "split(repeat('a', 1000000), '')",
         "uniq(1..{n})", "sort(1..{n})", "sum(1..{n})", "groupBy(1..{n}, #)",
         "flatten(map(1..300, 1..300))", "bitshl(1, {n})",
         "2 ** {n}", "{n} * {n}", "{n} + {n}", "-{n} - {n}",
         "repeat('x', 1000000) + repeat('x', 1000000)", "'a' matches repeat('(a*)*', 1000)",
         "repeat('a', 10000) matches '(a+)+$'",
         "'x' matches '(((((x{{1,30}}){{1,30}}){{1,30}}){{1,30}}){{1,30}})'",
         "repeat('ab', 100000) matches '(.*)(.*)(.*)(.*)[ab]*c'",
         "fromJSON(repeat('[', 100000))", "fromJSON(repeat('9', 100000))",
         "json.Unmarshal(repeat('1', 5000))", "int(repeat('9', 100000))",
         "float(repeat('9', 100000))", "'a' in (1..{n})", "(1..90000) == (1..90000)", "[1, 2][{n}]",
         "take([1], {n})", "'abc'[{n}:]",
         "map(1..300, 1..300)", "indexOf(repeat('a', 500000), repeat('a', 250000) + 'b')",
         "trim(repeat(' ', 900000))", "median(1..{n})",
         "lastIndexOf(repeat('é', 400000), 'é')", "filter(1..90000, # in (1..90000))",
         "let l = 1..90000; count(l, # in l)",
         "let l = map(1..30000, string(#)); count(l, # in l)", "uniq(map(1..1000, [1..50]))",
         "sortBy(1..90000, -#)",
         "map(1..900, toJSON(1..900))",
         "let s = repeat('a', 900000); map(1..90000, s + string(#)) | len()", "max(1..{n}, 1..{n})",
         "map(1..90000, split(repeat('a,', 1000), ',')) | len()",
         "let s = repeat('ab', 400000); len(map(1..90000, upper(s)))"]
    ).format(n=big)  # fmt: skip
    return Case("{{ " + form + " }}")


# --- valid by construction -----------------------------------------------------------------------


def _valid(random: Random) -> Case:
    kind = random.choice(["int", "text", "bool", "list"])
    text, value = _built(random, kind, random.randint(0, 4))
    return Case(f"<{{{{ {text} }}}}>", f"<{to_text(value)}>")


def _built(random: Random, kind: str, depth: int) -> tuple[str, object]:
    """An expression and its value."""
    if depth <= 0:
        return _constant(random, kind)

    def of(wanted: str) -> tuple[str, object]:
        return _built(random, wanted, depth - 1)

    if random.random() < 0.2:
        test, yes, no = of("bool"), of(kind), of(kind)
        chosen = yes[1] if test[1] else no[1]
        form = random.choice(["({} ? {} : {})", "(if {} {{ {} }} else {{ {} }})"])
        return form.format(test[0], yes[0], no[0]), chosen
    if random.random() < 0.1:
        value = of(kind)
        name = f"v{random.randrange(10**6)}"
        return f"(let {name} = {value[0]}; {name})", value[1]
    return _GROWN[kind](random, of)


def _constant(random: Random, kind: str) -> tuple[str, object]:
    if kind == "int":
        value = random.randint(0, 999)
        return random.choice([str(value), hex(value), f"0b{value:b}", f"0o{value:o}"]), value
    if kind == "bool":
        return random.choice([("true", True), ("false", False)])
    if kind == "list":
        return "[]", []
    variable = random.choice(["a", "b", "detector", "mode", "word"])
    if random.random() < 0.5:
        return variable, vocabulary.VARIABLES[variable]
    letters = "".join(random.choice("abcé世 ,.-") for _ in range(random.randint(0, 6)))
    return f"'{letters}'", letters


Of = Callable[[str], tuple[str, object]]


def _grown_int(random: Random, of: Of) -> tuple[str, object]:
    left, right = of("int"), of("int")
    x, y = left[1], right[1]
    assert isinstance(x, int) and isinstance(y, int)
    choice = random.randrange(5)
    if choice == 0 and abs(x + y) < 2**62:
        return f"({left[0]} + {right[0]})", x + y
    if choice == 1 and abs(x * y) < 2**62:
        return f"({left[0]}) * ({right[0]})", x * y
    if choice == 2:
        items = of("list")
        assert isinstance(items[1], list)
        return f"len({items[0]})", len(items[1])
    if choice == 3 and y:
        return f"(({left[0]}) % ({right[0]}))", int(math.fmod(x,
            y)) if abs(x) < 2**50 else abs(x) % abs(y) * (1 if x >= 0 else -1)
    words = of("text")
    return f"len({words[0]})", len(str(words[1]))


def _grown_text(random: Random, of: Of) -> tuple[str, object]:
    left, right = of("text"), of("text")
    choice = random.randrange(4)
    if choice == 0:
        return f"({left[0]} + {right[0]})", f"{left[1]}{right[1]}"
    if choice == 1:
        number = of("int")
        return f"string({number[0]})", str(number[1])
    if choice == 2:
        return f"strings.TrimSpace({left[0]})", str(left[1]).strip()
    return f"({left[0]} | replace('a', {right[0]}))", str(left[1]).replace("a", str(right[1]))


def _grown_bool(random: Random, of: Of) -> tuple[str, object]:
    kind = random.choice(["int", "text", "bool"])
    left, right = of(kind), of(kind)
    if kind == "bool":
        word = random.choice(["&&", "||", "and", "or"])
        value = (left[1] and right[1]) if word in ("&&", "and") else (left[1] or right[1])
        return f"({left[0]} {word} {right[0]})", value
    if kind == "text" and random.random() < 0.5:
        return f"({left[0]} contains {right[0]})", str(right[1]) in str(left[1])
    return f"({left[0]} == {right[0]})", left[1] == right[1]


def _grown_list(random: Random, of: Of) -> tuple[str, object]:
    choice = random.randrange(3)
    items = of("list")
    assert isinstance(items[1], list)
    if choice == 0:
        more = of(random.choice(["int", "text", "bool"]))
        return f"concat({items[0]}, [{more[0]}])", [*items[1], more[1]]
    if choice == 1:
        return f"map({items[0]}, [#])", [[item] for item in items[1]]
    return f"filter({items[0]}, type(#) == 'int')", [i for i in items[1] if type(i) is int]


_GROWN = {"int": _grown_int, "text": _grown_text, "bool": _grown_bool, "list": _grown_list}
_KINDS = {_ordinary: 8, _mutated: 8, _garbage: 4, _deep: 2, _greedy: 1, _valid: 8}
"""Kinds of cases and how often they are taken."""
