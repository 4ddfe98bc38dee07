"""Cases of the `{{ }}` language that try one construct at a time: operators, calls, parts.

Each function makes one template from a source of chance; `expressions` names them all and has those
that make whole expressions.
"""

from __future__ import annotations

from collections.abc import Callable
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
