"""Cases of the `{{ }}` language, made by chance from its words: whole templates as text.

`families` names the kinds of cases; each makes one template from a source of chance, so the same
seed gives the same cases everywhere. The fuzzing targets draw from here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from test.oracle import vocabulary
from test.oracle.vocabulary import VALUES

Family = Callable[[Random], str]


def braced(expression: str) -> str:
    """A template that is nothing but this expression."""
    return f"{{{{ {expression} }}}}"


def arguments(random: Random, most: int) -> str:
    """Arguments of a call, of any type."""
    return ", ".join(random.choice(VALUES) for _ in range(random.randint(0, most)))


# --- one construct at a time ---------------------------------------------------------------------


def operator(random: Random) -> str:
    """One operator between two values."""
    left, right = random.choice(VALUES), random.choice(VALUES)
    return braced(f"{left} {random.choice(vocabulary.BINARY)} {right}")


def fitting_operator(random: Random) -> str:
    """Values that an operator is likely to take."""
    texts, integers = vocabulary.TYPED["text"], vocabulary.TYPED["int"]
    numbers = integers + vocabulary.TYPED["float"]
    kind = random.randrange(5)
    if kind == 0:
        words = random.choice(["+", "==", "<", ">=", "contains", "startsWith", "endsWith",
            "matches"])
        return braced(f"{random.choice(texts)} {words} {random.choice(texts)}")
    if kind == 1:
        words = random.choice(["+", "-", "*", "/", "**", "<", ">", "<=", ">=", "==", "!=", "%"])
        return braced(f"{random.choice(numbers)} {words} {random.choice(numbers)}")
    if kind == 2:
        words = random.choice(["in", "not in"])
        among = random.choice(vocabulary.TYPED["list"] + vocabulary.TYPED["map"])
        return braced(f"{random.choice(texts + integers)} {words} {among}")
    if kind == 3:
        hidden = random.choice(vocabulary.HIDDEN)
        return braced(f"{hidden} {random.choice(vocabulary.BINARY)} {random.choice(VALUES)}")
    pattern = random.choice(["^a", "[0-9]+$", "b|c", "(", "\\\\d", "é.", "(?i)ABC", "a{2,}",
        "\\\\pL"])
    return braced(f"{random.choice(texts)} matches '{pattern}'")


def function(random: Random) -> str:
    """A built-in function with any arguments."""
    return braced(f"{random.choice(vocabulary.FUNCTIONS)}({arguments(random, 3)})")


def fitting_function(random: Random) -> str:
    """A built-in function with arguments of the right types."""
    name = random.choice(list(vocabulary.FITTING))
    types = random.choice(vocabulary.FITTING[name]).split()
    words = [random.choice(vocabulary.TYPED[kind]) for kind in types]
    if name == "sort" and len(words) == 2:
        words[1] = random.choice(["'asc'", "'desc'", "'up'"])
    if name == "fromJSON":
        words[0] = random.choice(
            ["'[1, 2]'", "'{\"a\": [true, null]}'", "'1e2'", "'01'", "'[1,]'", "' \"\\\\u00e9\" '",
            "''",
             "'\"\\\\ud800\"'", "'nul'", "'-'", "'{\"a\":1,\"a\":2}'", "'NaN'", "'1e999'",
             "`[\"\\n\"]`"]
        )  # fmt: skip
    if name == "fromBase64":
        words[0] = random.choice(["'YWJj'", "'w7w='", "'a'", "'YWJj\\n'", "'YW Jj'", "'/+8='",
            "''"])
    if random.random() < 0.2 and words:
        return braced(f"{words[0]} | {name}({', '.join(words[1:])})")
    return braced(f"{name}({', '.join(words)})")


def one_argument(random: Random) -> str:
    """A function of one argument, any value."""
    name = random.choice([*vocabulary.FUNCTIONS[:11], *vocabulary.FUNCTIONS[29:]])
    return braced(f"{name}({random.choice(VALUES)})")


def called(random: Random) -> str:
    """A function of the reference's own, in a namespace or not."""
    name = random.choice(vocabulary.NAMESPACED + vocabulary.LEGACY)
    if random.random() < 0.5:
        return braced(f"{name}({arguments(random, 4)})")
    texts = vocabulary.TYPED["text"] + ["nowhere", "' Yes '", "'\"q\"'", "'none'", "'[3,1]'", "'7'"]
    count = random.choice([1, 1, 1, 2, 4])
    return braced(f"{name}({', '.join(random.choice(texts) for _ in range(count))})")


def utility(random: Random) -> str:
    """The functions with rules of their own."""
    words = ["'test5'", "'test'", "'test005'", "'1'", "'10'", "'-3'", "'x'", "''", "'+7'", "' 7'",
        "a"]
    if random.random() < 0.5:
        chosen = ", ".join(random.choice(words) for _ in range(4))
        return braced(f"{random.choice(['util.', ''])}SuffixInRange({chosen})")
    names = ["'rate'", "'mode'", "'detector'", "'nope'", "nowhere", "b"]
    prefix = random.choice(["'tpc'", "'its'", "''", "nowhere"])
    return braced(
        f"{random.choice(['util.', ''])}PrefixedOverride({random.choice(names)}, {prefix})"
    )


def predicate(random: Random) -> str:
    """A function that goes over a list."""
    name = random.choice(vocabulary.PREDICATES)
    subject = random.choice(vocabulary.COLLECTIONS * 3 + vocabulary.HIDDEN + vocabulary.SIMPLE)
    said = random.choice(vocabulary.PREDICATE_TEXTS)
    last = random.choice(["", "", "", ", 'desc'", ", 'asc'", ", 0", ", ''", ", 'up'", ", nil", ","])
    if random.random() < 0.1:
        return braced(f"{name}({subject})")
    if random.random() < 0.2:
        return braced(f"{subject} | {name}({said}{last})")
    return braced(f"{name}({subject}, {said}{last})")


def fitting_predicate(random: Random) -> str:
    """A predicate that makes sense for the elements of its list."""
    name = random.choice(vocabulary.PREDICATES)
    numbers = ["[1, 2, 3]", "[3, 1.5, 2]", "1..5", "json.Unmarshal('[1, 2, 2]')", "take(1..9, 4)",
        "[]", "3..1"]
    texts = ["['b', 'a', 'c']", "split(b, '')", "json.Unmarshal(hosts)", "[a, b, number]",
        "keys({'a': 1})"]
    records = ["[{'n': 2}, {'n': 1}]", "json.Unmarshal('[{\"n\": 1}, {\"n\": 1, \"m\": null}]')",
        "toPairs({'n': 1})"]
    pool, said = random.choice(
        [(numbers, ["# > 1", "# == 2", "# % 2 == 1", "# in 1..2", "# >= #index",
        "{let h = #; h < 3}", "true", "false"]),
         (texts, ["# == 'a'", "# startsWith 'h'", "len(#) == 1", "# in ['a', b]",
         "# matches '^[a-b]$'", "# != nil"]),
         (records, [".n == 1", "#.n > 1", "#?.m == nil", "'m' in #", ".n in [1]", "len(#) == 1",
         "#[0] == 'n'"])]
    )  # fmt: skip
    if name in ("map", "groupBy", "sortBy", "sum"):
        said = [*said, "#", "{#}", "string(#)", "[#]", ".n", "# * 2", "-#", "# + 'x'",
            "len(string(#))", "#index"]
    if name == "reduce":
        said = ["#acc + #", "#acc + string(#)", "# > #acc ? # : #acc", "#acc + #index", "[#acc, #]",
            "concat(#acc, [#])"]
    subject, what = random.choice(pool), random.choice(said)
    last = ""
    if name == "sortBy":
        last = random.choice(["", ", 'desc'", ", 'asc'"])
    if name == "reduce":
        last = random.choice(["", ", 0", ", ''", ", []"])
    text = f"{name}({subject}, {what}{last})"
    if random.random() < 0.2:
        text = f"{subject} | {name}({what}{last})"
    wrapped = random.choice(["{}", "{}", "{}", "string({})", "type({})", "{}[0]", "first({})",
        "last({})", "len({})", "{}[-1]",
                             "map({}, #)", "{} | map([#])", "{} == nil", "not {}",
                             "map({}, type(#))", "{} ?? 'd'",
                             "{} && any([1, 2], # > 1)", "filter({}, # != 1) | first()",
                             "filter({}, # > 1)[0]"])  # fmt: skip
    return braced(wrapped.format(text))


def combined(random: Random) -> str:
    """Predicates next to each other, which the reference's library rewrites."""
    subject = random.choice(["[1, 2, 3]", "[a, b]", "json.Unmarshal('[1, \"a\", true]')", "1..4",
        "json.Unmarshal('[1, 2]')"])
    tests = ["# > 1", "# == 1", "# == 'a'", "true", "false", "# != nil", "type(#) == 'int'",
        "# < 3", "#", "# in [1, 2]"]
    one, two, three = (random.choice(tests) for _ in range(3))
    form = random.choice(
        ["all({s}, {a}) && all({s}, {b})", "any({s}, {a}) || any({s}, {b})",
        "none({s}, {a}) and none({s}, {b})",
         "all({s}, {a}) or all({s}, {b})", "filter(filter({s}, {a}), {b})",
         "map(filter({s}, {a}), string(#))",
         "map(filter({s}, {a}), # + 1)[0]", "first(filter({s}, {a}))", "last(filter({s}, {a}))",
         "filter({s}, {a})[-1]",
         "len(filter({s}, {a}))", "sum(map({s}, # * 2))", "sum([a, b])", "sum([1, len(a), 0.5])",
         "map(filter({s}, {a}), #index)",
         "all({s}, {a}) && all({s}, {b}) && all({s}, {c})", "count(filter({s}, {a}), {b})",
         "sum(filter({s}, {a}), # * 2)",
         "filter(map({s}, [#]), len(#) == 1)", "any(filter({s}, {a}), {b})",
         "find(filter({s}, {a}), {b})", "sum([0.1, 0.2, len(b), 0.3])"]
    )  # fmt: skip
    return braced(form.format(s=subject, a=one, b=two, c=three))


def literal(random: Random) -> str:
    """A string of odd characters and escapes, in one of the three kinds of quotes."""
    quote = random.choice("'\"`")
    inside = "".join(random.choice(vocabulary.ESCAPES) for _ in range(random.randint(0, 4)))
    return braced(random.choice(["{}", "{}", "len({})", "[{}]",
        "{} + 'x'"]).format(quote + inside + quote))


def number(random: Random) -> str:
    """A number, printed in one of several ways."""
    text = random.choice(vocabulary.NUMBERS)
    if random.random() < 0.4:
        text = repr(random.choice([1, -1]) * random.random() * 10.0 ** random.randint(-12, 25))
    form = random.choice(["{}", "{}", "[{}]", "string({})", "{{'n': {}}}", "-{}", "toJSON({})",
        "int({})",
                          "round({})", "[[{}], 1..2]", "ceil({})", "({}) * 1.0"])  # fmt: skip
    return braced(form.format(text))


PARTS = [
    "[0]", "[-1]", "[5]", "['k']", "[a]", "[1.0]", "[0.5]", "[nil]", ".k", ".Name", ".Path",
    ".nope", "?.k", "?.k.l",
    "?.[0]", "?.['k']", "[1:]", "[:1]", "[:]", "[0:2]", "[-2:]", "[1:-1]", "[2:1]", "[9:]",
    "['a':]", "[:nil]",
    ".k[0]", "?.k?.l", "?.k[0]", ".k.l", "?.f()", ".f()", "[0][0]", ".in", "?.not", ".0", "[#]",
    ".k()", "[1:2:3]",
    "[::]", "[0.5:]", "?.k ?? 'd'", "[0] ?? 'd'", ".d", ".k[1].d",
]  # fmt: skip


def part(random: Random) -> str:
    """Reading a part of a value."""
    base = random.choice(VALUES)
    if random.random() < 0.5:
        base = f"({base})"
    parts = "".join(random.choice(PARTS) for _ in range(random.choice([1, 1, 1, 2, 3])))
    return braced(base + parts)


UNDEFINED = [
    "{}", "{} == nil", "{} ?? 'd'", "false ? {} : 'x'", "true || {} == 'x'", "len({})", "[{}]",
    "{{'k': {}}}",
    "{}.x", "{}?.x", "{}[0]", "{}.f()", "{}()", "strings.ToUpper({})", "strings.ToUpper({} ?? 'd')",
    "strings.Atoi({})", "strings.ToUpper({} == nil ? 'a' : 'b')", "strings.ToUpper('x' + {})",
    "ToUpper({})",
    "Up({})", "FromJson({})", "ToJson({})", "json.Marshal({})", "json.Marshal([{}, 1])",
    "SuffixInRange({}, 'a', '1', '2')",
    "util.Nullable({})", "Nullable({})", "strings.Itoa(len({}))",
    "strings.ToUpper(strings.ToLower({}))",
    "ToUpper(ToLower({}))", "strings.ToUpper({}.x)", "strings.ToUpper({}?.x)",
    "strings.ToUpper({}[0])",
    "map([1], {})", "map({}, #)", "any([1], # == {})", "strings.ToUpper(map([1], {})[0])",
    "let x = {}; 'y'",
    "if true {{ 'a' }} else {{ {} }}", "{} | len()", "{} | ToUpper()", "'a' | replace({}, 'b')",
    "$env.{}", "$env?.{}",
    "$env['{}']", "get($env, '{}')", "'{}' in $env", "$env.{} ?? 'd'", "({})", "-{}", "not {}",
    "'a' in {}", "{} in ['a']",
    "{} matches 'a'", "1..{}", "Parent().{}", "json.Marshal({} in ['a'])",
    "json.Marshal('a' in {})", "json.{}",
    "strings.{}('a')", "Atoi({}) + 1", "IsTruthy({}) ? 'y' : 'n'", "PrefixedOverride({}, 'a')",
    "json.Sort({})",
    "strings.ToUpper(false ? {} : 'x')", "ToUpper(1 + {})", "strings.ToUpper($env.{})",
    "ToUpper($env.{})",
    "ToUpper(a == 1 ? {} : 'x')", "strings.ToUpper(a == 1 ? 'p' : 'q')",
    "false ? strings.ToUpper(1 + 'x') : {}",
    "Up(len({}))", "strings.ToUpper({}())", "strings.ToUpper(nope.{}())", "{}; 'x'", "'x'; {}",
    "json.Marshal(let z = {}; z)",
]  # fmt: skip


def undefined(random: Random) -> str:
    """A name that may not exist, in every position."""
    name = random.choice(["nowhere", "nowhere", "nowhere", "null", "True", "a", "detector", "len",
        "strings"])
    text = random.choice(UNDEFINED).format(name)
    if random.random() < 0.3:
        text = random.choice(["strings.ToUpper({})", "ToUpper({})", "true ? {} : 'z'",
            "false && {}", "string({})",
                              "Up(1).Name + {}", "[{}]", "json.Marshal({})",
                              "ToJson({})"]).format(text)  # fmt: skip
    return braced(text)


def statement(random: Random) -> str:
    """let, if, ternaries, sequences."""
    x, y, z = (random.choice(VALUES) for _ in range(3))
    test = random.choice(vocabulary.TYPED["bool"] + ["true", "flag", "IsTruthy(flag)",
        "strings.IsTruthy(a)", "nil"])
    form = random.choice(
        ["let x = {x}; x", "let x = {x}; let y = {y}; [x, y]", "let x = {x}; let x = {y}; x",
        "let a = {x}; a",
         "let len = {x}; len", "let strings = 1; strings", "let $env = 1; 2",
         "let x = {x}; x == {y}",
         "if {t} {{ {x} }} else {{ {y} }}", "if {t} {{ {x} }} else if {t} {{ {y} }} else {{ {z} }}",
         "if {t} {{ {x} }}",
         "(if {t} {{ {x} }} else {{ {y} }})", "1 + if {t} {{ {x} }} else {{ {y} }}",
         "{t} ? {x} : {y}", "{t} ?: {x}",
         "{t} ? {x} : {t} ? {y} : {z}", "({t} ? {x} : {y}) + {z}", "{t} ? {x}", "{x}; {y}",
         "{x}; {y};", "({x}; {y})",
         "{x};;", "[let q = {x}; q]", "let f = len; f('x')", "let x = {x}",
         "let x = {x}; if {t} {{ x }} else {{ {y} }}",
         "{x} ? {y} : {z}", "map([1, 2], {{let x = #; x + {x}}})",
         "if {t} {{ let x = {x}; x }} else {{ x }}",
         "{t} and {t} or {x}", "{x} && {t}", "{t} || {x}", "not {t} ? {x} : {y}",
         "let x = nil; x ?? {x}",
         "{t} ? nil : {x}", "({t} ? nil : {x}) == {y}", "({t} ? {x} : {y}) == {z}",
         "let u = ToUpper; u('x')"]
    )  # fmt: skip
    return braced(form.format(x=x, y=y, z=z, t=test))


def precedence(random: Random) -> str:
    """Chains of operators without parentheses."""
    pool = random.choice(
        [["1", "2", "3", "0.5", "-1"], ["a", "'x'", "'1'"], ["true", "false", "1 < 2"], ["1",
        "true", "'a'", "[1]", "nil"]]
    )
    words = random.choice(
        [["+", "-", "*", "/", "**", "^", "%"], ["<", ">", "==", "<=", "!="], ["&&", "||", "and",
        "or", "==", "!="],
         vocabulary.BINARY, ["??", "+", "==", "in", "not in", "..", "|"]]
    )  # fmt: skip
    text = random.choice(["", "", "-", "not ", "!"]) + random.choice(pool)
    for _ in range(random.randint(2, 4)):
        sign = random.choice(["", "", "", "-", "+", "not ", "! "])
        text += f" {random.choice(words)} {sign}{random.choice(pool)}"
    return braced(text)


# --- whole expressions ---------------------------------------------------------------------------


def grown(random: Random, kind: str, depth: int) -> str:
    """An expression of (about) this type: text, int, float, bool, list, map."""
    if depth <= 0 or random.random() < 0.15:
        return random.choice(vocabulary.TYPED[kind])
    if random.random() < 0.02:
        return random.choice(VALUES)

    def of(wanted: str) -> str:
        return grown(random, wanted, depth - 1)

    if random.random() < 0.12:
        return f"({of('bool')} ? {of(kind)} : {of(kind)})"
    if random.random() < 0.05:
        return f"({of(kind)} ?? {of(kind)})"
    return random.choice(_GROWTH[kind])(of)


_GROWTH: Mapping[str, list[Callable[[Callable[[str], str]], str]]] = {
    "text": [
        lambda of: f"{of('text')} + {of('text')}",
        lambda of: f"upper({of('text')})",
        lambda of: f"strings.ToLower({of('text')})",
        lambda of: f"strings.TrimSpace({of('text')})",
        lambda of: f"ToUpper({of('text')})",
        lambda of: f"string({of('list')})",
        lambda of: f"string({of('float')})",
        lambda of: f"join(map({of('list')}, string(#)), {of('text')})",
        lambda of: f"({of('text')} | trim() | replace('a', {of('text')}))",
        lambda of: f"toJSON({of('map')})",
        lambda of: f"json.Marshal({of('list')})",
        lambda of: f"strings.Itoa({of('int')})",
        lambda of: f"type({of('map')})",
        lambda of: f"({of('text')})[:{of('int')}]",
        lambda of: f"repeat({of('text')}, len({of('text')}))",
        lambda of: f"(if {of('bool')} {{ {of('text')} }} else {{ {of('text')} }})",
    ],
    "int": [
        lambda of: f"{of('int')} + {of('int')}",
        lambda of: f"{of('int')} * {of('int')}",
        lambda of: f"({of('int')}) % ({of('int')})",
        lambda of: f"-({of('int')})",
        lambda of: f"len({of('text')})",
        lambda of: f"len({of('list')})",
        lambda of: f"count({of('list')}, # == {of('int')})",
        lambda of: f"strings.Atoi({of('text')})",
        lambda of: f"int({of('float')})",
        lambda of: f"indexOf({of('text')}, {of('text')})",
        lambda of: f"bitxor({of('int')}, {of('int')})",
        lambda of: f"reduce(1..{of('int')}, #acc + #, 0)",
        lambda of: f"findIndex({of('list')}, # == 'b')",
    ],
    "float": [
        lambda of: f"{of('float')} + {of('int')}",
        lambda of: f"({of('int')}) / ({of('float')})",
        lambda of: f"({of('float')}) ** 2",
        lambda of: f"round({of('float')})",
        lambda of: f"mean({of('int')}, {of('float')})",
        lambda of: f"json.Unmarshal(string({of('float')}))",
        lambda of: f"max({of('float')}, {of('int')})",
        lambda of: f"float({of('int')})",
        lambda of: f"abs({of('float')})",
    ],
    "bool": [
        lambda of: f"{of('bool')} && {of('bool')}",
        lambda of: f"({of('bool')} or {of('bool')})",
        lambda of: f"not ({of('bool')})",
        lambda of: f"{of('text')} == {of('text')}",
        lambda of: f"{of('int')} < {of('float')}",
        lambda of: f"{of('text')} contains {of('text')}",
        lambda of: f"any({of('list')}, # == {of('int')})",
        lambda of: f"all({of('list')}, type(#) == {of('text')})",
        lambda of: f"{of('text')} in {of('map')}",
        lambda of: f"({of('list')} == {of('list')})",
        lambda of: f"strings.IsTruthy({of('text')})",
        lambda of: f"hasPrefix({of('text')}, {of('text')})",
        lambda of: f"{of('int')} in {of('list')}",
    ],
    "list": [
        lambda of: f"[{of('int')}, {of('text')}]",
        lambda of: f"map({of('list')}, {{[#]}})",
        lambda of: f"filter({of('list')}, # != nil)",
        lambda of: f"split({of('text')}, ',')",
        lambda of: f"concat({of('list')}, {of('list')})",
        lambda of: f"reverse({of('list')})",
        lambda of: f"uniq({of('list')})",
        lambda of: f"flatten([{of('list')}, {of('list')}])",
        lambda of: f"({of('list')})[{of('int')}:]",
        lambda of: f"take({of('list')}, {of('int')})",
        lambda of: "json.Unmarshal(hosts)",
        lambda of: f"sortBy({of('list')}, string(#))",
        lambda of: f"sort(map({of('list')}, string(#)))",
        lambda of: f"({of('int')})..({of('int')})",
        lambda of: f"[{of('float')}, {of('bool')}, {of('map')}]",
    ],
    "map": [
        lambda of: f"{{'k': {of('text')}, 'l': {of('list')} }}",
        lambda of: f"{{({of('text')}): {of('int')} }}",
        lambda of: f"groupBy({of('list')}, string(#))",
        lambda of: "json.Unmarshal('{\"a\": 1, \"b\": [true]}')",
        lambda of: f"fromPairs(map({of('list')}, {{[string(#), {of('float')}]}}))",
        lambda of: f"{{'m': {of('map')} }}",
    ],
}  # fmt: skip


def tree(random: Random) -> str:
    """A whole expression, of reasonable types."""
    return braced(grown(random, random.choice(list(_GROWTH)), random.randint(1, 4)))


# --- whole templates, and malformed ones ---------------------------------------------------------

TOKENS = [
    "(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "?.", "?", "??", "::", "+", "-", "*", "/",
    "%", "**", "^", "==", "!=", "<", ">", "<=", ">=", "&&", "||", "!", "=", "|", "#", "##", "#acc",
    "..", "not", "in", "and", "or", "matches", "contains", "let", "if", "else", "true", "false",
    "nil", "a", "b", "x", "nowhere", "strings", "ToUpper", "len", "map", "filter", "1", "2.5",
    "'x'", "\"y\"", "`z`", "$env", "@", "~", "\\", "&", "//", "/*", "*/", "é",
]  # fmt: skip


def soup(random: Random) -> str:
    """Tokens without sense."""
    between = random.choice(["", " ", " "])
    return braced(between.join(random.choice(TOKENS) for _ in range(random.randint(1, 7))))


def mutated(random: Random) -> str:
    """A sensible template with a small fault."""
    text = list(random.choice([tree, statement, predicate, part, fitting_function])(random))
    for _ in range(random.randint(1, 2)):
        at = random.randrange(len(text))
        kind = random.randrange(4)
        if kind == 0:
            del text[at]
        elif kind == 1:
            text.insert(at, random.choice(TOKENS))
        elif kind == 2:
            text[at] = random.choice("'\"`()[]{}.,:;?|#+-*/ a1")
        else:
            text[at:at] = text[at : at + random.randint(1, 5)]
        if not text:
            return "{{ }}"
    return "".join(text)


def template(random: Random) -> str:
    """Texts with several expressions and stray braces."""
    pieces = ["text ", "{{ a }}", "{{b}}", "{{ ", " }}", "{", "}", "{{{", "}}}", "{{}}",
        "{{ '{{' }}", "{{ '}}' }}", "\n", "é",
              "{{ {'k': 1} }}", "{{ {'k': {'l': 2}} }}", "{{ 1 // comment }}", "{{ 1 /* x */ }}",
              "{{ a\n+ b }}", "{{\ta\t}}",
              "{{ [1, '<&>', 2.50, nil, true, {'z': 1, 'y': 'é'}] }}", "{{ nil }}",
              "{{ {'b': nil, 'a': [1.0, 'x'] } }}",
              "{{ Up(1) }}", "{{ Up(2).Path }}", "{{ ['\u2028\u00e9\\n\\x01\\t\"'] }}", "{{ 1e6 }}",
              "{{ 1..3 }}", "{{ [1..3] }}",
              "{{ toPairs({'a': [1]}) }}", "{{ split('a b', ' ') }}", "{{ '\\x00' }}"]  # fmt: skip
    return "".join(random.choice(pieces) for _ in range(random.randint(1, 4)))


def production(random: Random) -> str:
    """The kind of thing that is written in workflow templates."""
    name = random.choice(["a", "b", "flag", "hosts", "mode", "detector", "nowhere"])
    text = random.choice(["'1'", "'none'", "'true'", "''", '"TPC"', "b"])
    return random.choice(
        ["{{ %s == %s ? 'yes' : 'no' }}", "{{ strings.IsTruthy(%s) && %s != 'x' }}",
        "host-{{ %s }}:{{ %s }}",
         "{{ %s in json.Unmarshal(hosts) && %s == 'two' }}", "{{ util.PrefixedOverride(%s, %s) }}",
         "{{ strings.ToLower(%s) + '-' + %s }}", "{{ %s != '' ? '--flag ' + %s : '' }}",
         "{{ Parent().Path + '.' + %s + %s }}", "{{ len(json.Unmarshal(hosts)) > 1 ? %s : %s }}",
         "{{ map(json.Unmarshal(hosts), {# + '-' + %s}) }}{{ %s }}",
         "{{ %s matches '^[a-z]+$' || %s == 'two' }}",
         "{{ strings.Itoa(strings.Atoi(%s) + 1) + %s }}",
         "{{ 'x,' + %s | split(',') | last() }}{{ %s }}"]
    ) % (name, text)  # fmt: skip


families: Mapping[str, tuple[Family, int]] = {
    "operator": (operator, 2200),
    "fitting operator": (fitting_operator, 1400),
    "unary": (lambda r: braced(r.choice(vocabulary.UNARY) + r.choice(VALUES)), 400),
    "function": (function, 1500),
    "fitting function": (fitting_function, 2000),
    "one argument": (one_argument, 1500),
    "called": (called, 1200),
    "utility": (utility, 300),
    "predicate": (predicate, 2200),
    "fitting predicate": (fitting_predicate, 2500),
    "combined": (combined, 600),
    "literal": (literal, 1000),
    "number": (number, 1000),
    "value": (lambda r: braced(r.choice(VALUES)), 200),
    "part": (part, 1700),
    "undefined": (undefined, 1000),
    "statement": (statement, 1200),
    "precedence": (precedence, 1200),
    "tree": (tree, 2400),
    "soup": (soup, 900),
    "mutated": (mutated, 1200),
    "template": (template, 700),
    "production": (production, 300),
}
"""Kinds of cases, with how many of each are asked of the oracle."""
