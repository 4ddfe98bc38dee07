"""Cases of the `{{ }}` language, made by chance from its words: whole templates as text.

`families` names the kinds of cases; each makes one template from a source of chance, so the same
seed gives the same cases everywhere. `constructs` has those that try one thing at a time, `dates`
those about dates and durations. The fuzzing targets draw from here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from test.oracle import constructs, dates, vocabulary
from test.oracle.constructs import Family, braced
from test.oracle.vocabulary import VALUES


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


_SENSIBLE = [
    tree, constructs.statement, constructs.predicate, constructs.part, constructs.fitting_function,
]  # fmt: skip


def mutated(random: Random) -> str:
    """A sensible template with a small fault."""
    text = list(random.choice(_SENSIBLE)(random))
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
    "operator": (constructs.operator, 2200),
    "fitting operator": (constructs.fitting_operator, 1400),
    "unary": (lambda r: braced(r.choice(vocabulary.UNARY) + r.choice(VALUES)), 400),
    "function": (constructs.function, 1500),
    "fitting function": (constructs.fitting_function, 2000),
    "one argument": (constructs.one_argument, 1500),
    "called": (constructs.called, 1200),
    "utility": (constructs.utility, 300),
    "predicate": (constructs.predicate, 2200),
    "fitting predicate": (constructs.fitting_predicate, 2500),
    "combined": (constructs.combined, 600),
    "literal": (constructs.literal, 1000),
    "number": (constructs.number, 1000),
    "value": (lambda r: braced(r.choice(VALUES)), 200),
    "part": (constructs.part, 1700),
    "undefined": (constructs.undefined, 1000),
    "statement": (constructs.statement, 1200),
    "precedence": (constructs.precedence, 1200),
    "tree": (tree, 2400),
    "soup": (soup, 900),
    "mutated": (mutated, 1200),
    "template": (template, 700),
    "production": (production, 300),
    "date text": (dates.text, 600),
    "date layout": (dates.layout, 700),
    "date method": (dates.method, 900),
    "date operator": (dates.operator, 900),
    "date function": (dates.function, 900),
    "duration text": (dates.duration_text, 400),
}
"""Kinds of cases, with how many of each are asked of the oracle."""
