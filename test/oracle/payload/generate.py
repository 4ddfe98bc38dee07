"""Makes cases for the oracle of the payload templates: texts, sound and broken, of the whole language.

    (cd test/oracle/payload && go build -o /tmp/oracle .)
    python -m test.oracle.payload.generate /tmp/oracle

writes `cases.jsonl.gz` beside this file. The same seed makes the same cases. What the reference answers
differently each time is left out (it is asked several times), and what it never answers.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
CASES = HERE / "cases.jsonl.gz"
SEED = 20240611
TIMES = 4
"""How often everything is asked."""
SILENCE = "no answer"
BASE = "qc/ANY/any"
Case = dict[str, object]

VARIABLES = {
    "host": "flp001",
    "count": "41",
    "ratio": "2.75",
    "negative": "-3",
    "empty": "",
    "blank": "  ",
    "yes": "true",
    "markup": "<a href=\"x\">&'</a> <b>bold</b>",
    "words": "the quick brown fox, jumps.",
    "list": "TPC,ITS,MCH",
    "lines": "one\ntwo  three\n\nfour\r\n",
    "letters": "ünïcödé ß€😀",
    "detectors": '["TPC","ITS"]',
    "numbers": "[3,1,2.5,1e6]",
    "mixed": '["a",1,null,true,{"k":"v"},[2]]',
    "one": '{"key":"<v>"}',
    "map": '{"b":"1","a":{"x":[1,2,{"y":"deep"}]},"n":null,"t":true}',
    "broken": '{"a":',
    "address": "see www.cern.ch or http://a.org/b?c=d&e, me@cern.ch",
    "test_var": "value",
    "flp_host": "none",
    "0day": "zero",
    # The names in by_hand.txt.
    "v": "<a href=\"x\">&'",
    "n": "41",
    "s": "hello world",
    "l": '["TPC","ITS",1,2.5,null,true]',
    "m": '{"b":"1","a":{"x":[1,2]},"n":null}',
    "u": "ünïcödé",
    "c": "a,b,c",
    "nl": "a b\nc <d>\n\ne  f\r\ng\n",
}
TEXTS = (
    "",
    "a",
    "x y",
    "<i>",
    "1",
    "2.5",
    "-7",
    "1e3",
    "none",
    "ß",
    "ABC",
    "a,b,c",
    ":",
    "1:3",
    "-2:",
    ",",
    " ",
    "%s",
    "%05d",
    "é€",
    "it's",
    "0",
)
NAMES = (*VARIABLES, "nope", "x", "y", "q", "nope.deeper", "forloop.Counter", "None", "block")
FILTERS = (
    "add addslashes capfirst center cut date default default_if_none divisibleby e escape escapejs "
    "first float floatformat get_digit integer iriencode join last length length_is linebreaks "
    "linebreaksbr linenumbers ljust lower make_list phone2numeric pluralize removetags rjust safe "
    "slice split stringformat striptags time title truncatechars truncatechars_html truncatewords "
    "truncatewords_html upper urlencode urlize urlizetrunc wordcount wordwrap yesno"
).split()
OPERATORS = "+ - * / % ^ == != <> < > <= >= in and or && ||".split()
FORMATS = (
    "%s %d %v %x %X %q %t %c %U %o %O %b %e %E %f %F %g %G %T %+v %#v %5d %-5d| %05d %+d %#x %#o "
    "%.2f %8.3f %-8.2f| %08.2f %+.1f %.3s %5s %-5s| %05s %q %+q %#q %x %#X %% %z %[1]d %[2]d %[1]s-%[1]v "
    "%d%d %*d %.*f %.3d %8.3d %.0f %#g %#.3g %.3g %.10g %#.0f %6v| %.3v plain %5% %! %w %.2q %+U %#U"
).split()
SPACED_FORMATS = (
    "% d", "% x", "%", "", "a%db", "% #x", "%5", "%[1]", "%[x]d", "%.d|", "%+ d", "%-05d|",
)  # fmt: skip


def quoted(text: str) -> str:
    """A string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class Writer:
    """Writes pieces of templates."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.macros = 0

    def pick(self, *choices: Callable[[], str]) -> str:
        """One of several ways to write something."""
        return self.random.choice(choices)()

    # --- expressions ---------------------------------------------------------------------------

    def text(self) -> str:
        return quoted(self.random.choice(TEXTS))

    def integer(self) -> str:
        return str(self.random.choice((0, 1, 2, 3, 7, 10, 41, 255, 9007199254740993, 2**63 - 1)))

    def float(self) -> str:
        return self.random.choice(("0.0", "1.5", "2.25", "0.1", "100.0", "1234567.891", "0.00001"))

    def literal(self) -> str:
        return self.pick(
            self.text, self.integer, self.float, lambda: self.random.choice(("true", "false"))
        )

    def name(self) -> str:
        return self.random.choice(NAMES)

    def loaded(self) -> str:
        """A list or map."""
        source = self.random.choice(("detectors", "numbers", "mixed", "one", "map", "broken"))
        function = self.random.choice(("json.Unmarshal", "json.Deserialize", "FromJson"))
        member = self.random.choice(
            ("", "", ".key", ".a", ".a.x", ".a.x.2.y", ".0", ".4.k", ".n", ".n.m", ".zz", "[0]", '["a"]')
        )
        return f"{function}({source}){member}"

    def call(self) -> str:
        strings = self.random.choice(("strings.", ""))
        return self.pick(
            lambda: f"{strings}{self.random.choice(('ToUpper', 'ToLower', 'TrimSpace', 'TrimQuotes'))}({self.operand()})",
            lambda: f"{strings}{self.random.choice(('Atoi', 'IsTruthy', 'IsFalsy'))}({self.operand()})",
            lambda: f"{strings}Itoa({self.operand()})",
            lambda: f"{self.random.choice(('json.Marshal', 'json.Serialize', 'ToJson'))}({self.expression(1)})",
            lambda: f"json.Sort({self.loaded()})",
            lambda: self.random.choice(("uid.New()", "NewID()", "uid.New", "strings", "json.Sort")),
            lambda: f'util.PrefixedOverride("{self.random.choice(("host", "var", "zz"))}", "{self.random.choice(("flp", "test", "q"))}")',
            lambda: f'util.SuffixInRange({self.operand()}, "flp", "{self.random.choice(("0", "1", "a"))}", "{self.random.choice(("1", "10", ""))}")',
            lambda: f"util.Dump({self.operand()}, {self.text()})",
            lambda: f"util.Nullable({self.operand()})",
            lambda: f"{self.name()}({self.operand()})",
        )

    def operand(self) -> str:
        return self.pick(
            self.literal, self.literal, self.name, self.name, self.name, self.loaded, self.call
        )

    def argument(self, name: str) -> str:
        """An argument that often suits a filter."""
        if name == "stringformat" and self.random.random() < 0.8:
            return quoted(self.random.choice((*FORMATS, *SPACED_FORMATS)))
        if name == "slice" and self.random.random() < 0.7:
            bounds = ("", "0", "1", "2", "-1", "-2", "9", "-9", "x")
            return quoted(f"{self.random.choice(bounds)}:{self.random.choice(bounds)}")
        if name in ("yesno", "pluralize") and self.random.random() < 0.7:
            return quoted(self.random.choice(("a,b", "a,b,c", "y,ies", "es", "a", "", "a,b,c,d")))
        if name == "removetags" and self.random.random() < 0.7:
            return quoted(self.random.choice(("b", "a,b", "i", "a b", "b.*", "[", "b,")))
        if name in ("split", "join", "cut") and self.random.random() < 0.7:
            return quoted(self.random.choice((",", " ", "", "o", "<", "\t")))
        return self.pick(
            self.literal, self.integer, self.name, lambda: str(self.random.randrange(0, 30))
        )

    def filtered(self) -> str:
        result = self.operand()
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            name = self.random.choice(FILTERS)
            result += f"|{name}"
            if self.random.random() < 0.7:
                result += f":{self.argument(name)}"
        return result

    def expression(self, depth: int = 3) -> str:
        if depth <= 0 or self.random.random() < 0.25:
            return self.pick(self.operand, self.operand, self.filtered)
        inner = depth - 1
        space = self.random.choice((" ", " ", ""))

        def binary() -> str:
            operator = self.random.choice(OPERATORS)
            gap = " " if operator.isalpha() else space
            return f"{self.expression(inner)}{gap}{operator}{gap}{self.expression(inner)}"

        return self.pick(
            binary,
            binary,
            binary,
            lambda: f"({self.expression(inner)})",
            lambda: f"not {self.expression(inner)}",
            lambda: f"!{self.expression(inner)}",
            lambda: f"-{self.expression(inner)}",
            self.filtered,
            self.call,
        )

    # --- statements ----------------------------------------------------------------------------

    def plain(self) -> str:
        return self.random.choice(
            ("text ", "\n", "  ", '{"k": ', "}\n", "<b> <i>", "é", " \n ", "{ x }", "}}", "%}", ",", "")
        )

    def opening(self) -> str:
        return "{%-" if self.random.random() < 0.1 else "{%"

    def closing(self) -> str:
        return "-%}" if self.random.random() < 0.1 else "%}"

    def tag(self, content: str) -> str:
        return f"{self.opening()} {content} {self.closing()}"

    def printed(self) -> str:
        dashes = self.random.random
        before = "{{-" if dashes() < 0.1 else "{{"
        after = "-}}" if dashes() < 0.1 else "}}"
        return f"{before} {self.expression(self.random.choice((0, 1, 1, 2, 3)))} {after}"

    def conditional(self, depth: int) -> str:
        parts = [self.tag(f"if {self.expression(2)}"), self.body(depth)]
        for _ in range(self.random.choice((0, 0, 1, 2))):
            parts += [self.tag(f"elif {self.expression(1)}"), self.body(depth)]
        if self.random.random() < 0.6:
            parts += [self.tag("else"), self.body(depth)]
        return "".join([*parts, self.tag("endif")])

    def comparison(self, depth: int) -> str:
        name = self.random.choice(("ifequal", "ifnotequal"))
        otherwise = self.tag("else") + self.body(depth) if self.random.random() < 0.5 else ""
        return (
            f"{self.tag(f'{name} {self.operand()} {self.operand()}')}{self.body(depth)}"
            f"{otherwise}{self.tag(f'end{name}')}"
        )

    def loop(self, depth: int) -> str:
        items = self.pick(
            lambda: f'{self.name()}|split:"{self.random.choice((",", " ", "o"))}"',
            lambda: f"json.Unmarshal({self.random.choice(('detectors', 'numbers', 'mixed', 'broken', 'one'))})",
            lambda: self.random.choice(("letters", "host", '"abc"', '"aab"', "nope", "5", "count|make_list")),
            self.filtered,
        )
        order = self.random.choice(("", "", "", " reversed", " sorted", " reversed sorted"))
        names = self.random.choice(("x", "x", "x", "y", "x, y"))
        if self.random.random() < 0.25:
            items, names = "json.Unmarshal(map)", self.random.choice(("x", "x, y", "y,x"))
            order = self.random.choice((" sorted", " reversed sorted"))
        extra = self.random.choice(
            (
                "{{ forloop.Counter }}{{ forloop.Counter0 }}{{ forloop.Revcounter }}{{ forloop.Revcounter0 }}",
                "{% if not forloop.Last %},{% endif %}",
                "{% if forloop.First %}first{% endif %}",
                '{% cycle "a" "b" x %}',
                '{% cycle "1" "2" as turn %}{{ turn }}',
                '{% cycle "1" "2" as turn silent %}{{ turn }}',
                "{% ifchanged %}{{ x }}{% endifchanged %}",
                "{% ifchanged x %}c{% else %}s{% endifchanged %}",
                "{% set q = x %}",
                "{{ forloop.Parentloop.Counter }}",
                "",
            )
        )
        empty = self.tag("empty") + self.body(depth) if self.random.random() < 0.3 else ""
        return (
            f"{self.tag(f'for {names} in {items}{order}')}{{{{ x }}}}{extra}{self.body(depth)}"
            f"{empty}{self.tag('endfor')}"
        )

    def region(self, depth: int) -> str:
        name, arguments = self.random.choice(
            (
                ("autoescape", "off"),
                ("autoescape", "on"),
                ("spaceless", ""),
                ("filter", "upper"),
                ("filter", 'cut:"e"|lower'),
                ("filter", f"{self.random.choice(FILTERS)}:{self.text()}"),
                ("with", f"q={self.expression(1)}"),
                ("with", f"q={self.operand()} x={self.operand()}"),
                ("with", f"{self.filtered()} as q"),
                ("comment", ""),
                ("ifchanged", ""),
                ("block", f"b{self.random.randrange(1000)}"),
            )
        )
        return f"{self.tag(f'{name} {arguments}')}{self.body(depth)}{self.tag(f'end{name}')}"

    def macro(self, depth: int) -> str:
        self.macros += 1
        name = f"m{self.macros}"
        call = self.random.choice(
            (f"{name}({self.operand()})", f"{name}()", name, f"{name}(1, 2)", f"{name}({self.operand()})|upper")
        )
        export = self.random.choice(("", " export"))
        return (
            f"{self.tag(f'macro {name}(x, y={self.operand()}){export}')}[{{{{ x }}}}{{{{ y }}}}"
            f"{self.body(depth)}]{self.tag('endmacro')}{{{{ {call} }}}}"
        )

    def small(self) -> str:
        return self.random.choice(
            (
                f"{{% set q = {self.expression(2)} %}}{{{{ q }}}}",
                f"{{% firstof {self.operand()} {self.filtered()} {self.operand()} %}}",
                f"{{% widthratio {self.operand()} {self.operand()} {self.integer()} %}}",
                f"{{% widthratio {self.integer()} {self.float()} 100 as q %}}{{{{ q }}}}",
                f"{{% templatetag {self.random.choice(('openblock', 'closevariable', 'openbrace', 'x'))} %}}",
                "{% verbatim %} {{ x }} {% if %} {% endverbatim %}",
                "{# a comment {{ x }} #}",
                '{% now "Mon Jan _2 15:04:05.000 2006" fake %}',
                f"{{% lorem {self.random.randrange(6)} {self.random.choice('wpb')} %}}",
                '{% include "inc" %}',
                f'{{% include "inc" with x={self.operand()} only %}}',
                f'{{% include "inc" with x={self.operand()} q={self.operand()} %}}',
                '{% include "sub/inc" %}',
                '{% include "missing" if_exists %}',
                '{% set f = "inc" %}{% include f %}',
                '{% include nope if_exists %}',
                '{% import "macros" box, tick as tock %}{{ box(host) }}{{ tock() }}{{ tock() }}',
            )
        )

    def statement(self, depth: int) -> str:
        if depth <= 0:
            return self.pick(self.plain, self.printed, self.printed, self.small)
        inner = depth - 1
        return self.pick(
            self.plain,
            self.printed,
            self.small,
            lambda: self.conditional(inner),
            lambda: self.conditional(inner),
            lambda: self.comparison(inner),
            lambda: self.loop(inner),
            lambda: self.loop(inner),
            lambda: self.region(inner),
            lambda: self.macro(inner),
        )

    def body(self, depth: int) -> str:
        count = self.random.choice((0, 1, 1, 2, 3))
        return "".join(self.statement(depth) for _ in range(count))

    def document(self) -> str:
        """A whole template."""
        depth = self.random.choice((0, 1, 1, 2, 3))
        return "".join(self.statement(depth) for _ in range(self.random.randint(1, 4)))


SUPPORT = {
    f"{BASE}/inc": "<{{ x }}{{ q }}{{ host }}{{ markup }}{% cycle 1 2 3 %}{{ forloop.Counter }}>",
    f"{BASE}/sub/inc": '[{% include "inc" %}]',
    f"{BASE}/macros": (
        "{% macro box(x) export %}|{{ x }}{{ q }}|{% endmacro %}"
        "{% macro tick() export %}{% cycle 'a' 'b' %}{% endmacro %}"
    ),
}


def case(text: str, others: dict[str, str] | None = None) -> Case:
    """A case with the usual variables."""
    templates = {f"{BASE}/entry": text}
    for name, content in SUPPORT.items():
        if name.rpartition("/")[2] in text or name in text:
            templates.update(SUPPORT)
            break
    templates.update({f"{BASE}/{name}": content for name, content in (others or {}).items()})
    return {"templates": templates, "path": f"{BASE}/entry", "variables": VARIABLES}


def broken(random: Random, text: str) -> str:
    """A text with some damage."""
    pieces = (
        "{{", "}}", "{%", "%}", "{#", "#}", "|", ":", ",", ".", "(", ")", "[", "]", '"', "'", "\\",
        " ", "\n", "-", "=", "in", "not", "as", "1", "x", "$", "{% endif %}", "{% else %}", "{{-",
        "-%}", "{% verbatim %}", "{% endfor %}", "{% if", "é", "\t", "\r",
    )  # fmt: skip
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randint(0, len(text))
        length = random.choice((0, 0, 1, 2, 5, 10))
        middle = random.choice(pieces) if random.random() < 0.7 else ""
        text = text[:at] + middle + text[at + length :]
    return text


# --- the kinds of cases --------------------------------------------------------------------------


def operators(random: Random) -> Iterator[Case]:
    """Each operator between operands of each type."""
    operands = (
        "1", "0", "7", "2.5", "0.0", '"a"', '"7"', '"2.5"', '""', "true", "false", "nope", "count",
        "json.Unmarshal(detectors)", "json.Unmarshal(one)", "host.0", "forloop", 'list|split:","',
    )  # fmt: skip
    for operator in OPERATORS:
        for left in operands:
            row = "".join(
                f"{{{{ {left} {operator} {right} }}}};"
                for right in operands
                if not _stops(left, operator, right)
            )
            yield case(row)
        left, right = random.choice(operands), random.choice(operands)
        yield case(f"{{{{ not {left} {operator} -{right} }}}}")
    for left in operands:
        for right in operands:
            for operator in ("/", "%", "in", "=="):
                if _stops(left, operator, right):
                    yield case(f"{{{{ {left} {operator} {right} }}}}")


def _stops(left: str, operator: str, right: str) -> bool:
    """Whether the reference may fail here, and hide what comes after."""
    if operator in "/%":
        return right not in ("1", "7", "2.5", '"7"', "count")
    if operator == "in":
        return right.startswith("json.Unmarshal(one") or left.startswith("json")
    return operator in ("==", "!=", "<>") and left.startswith("json")


def filters(random: Random) -> Iterator[Case]:
    """Each filter on values of each type, with arguments of each kind."""
    values = (
        "host", "count", "ratio", "empty", "blank", "markup", "words", "lines", "letters", "list",
        "nope", "5", "-5", "0", "1", "2.5", "1234567.0", "true", "false", "host.1", "address",
        "json.Unmarshal(detectors)", "json.Unmarshal(numbers)", "json.Unmarshal(mixed)",
        "json.Unmarshal(map)", 'list|split:","', "json.Unmarshal(map).n", "markup|safe", '"é"',
    )  # fmt: skip
    writer = Writer(random)
    for name in FILTERS:
        for value in values:
            yield case(f"[{{{{ {value}|{name} }}}}]")
            for _ in range(3):
                yield case(f"[{{{{ {value}|{name}:{writer.argument(name)} }}}}]")
    for name in (*FORMATS, *SPACED_FORMATS):
        row = ("host", "5", "2.5", "true", "nope", "host.1", "letters", "-5", "100000000.0", "128512")
        for value in row:
            yield case(f"[{{{{ {value}|stringformat:{quoted(name)} }}}}]")
        yield case(f"[{{{{ json.Unmarshal(mixed)|stringformat:{quoted(name)} }}}}]")
        yield case(f"[{{{{ json.Unmarshal(map)|stringformat:{quoted(name)} }}}}]")


def inheritance(random: Random) -> Iterator[Case]:
    """Templates that extend, include and import each other."""
    writer = Writer(random)
    for _ in range(500):
        names = ["a", "b", "c"]
        blocks = {
            name: f"{{% block {name} %}}{random.choice(('', '{{ block.Super }}', '{{ q }}'))}"
            f"{writer.body(1)}{{% endblock {random.choice(('', name))} %}}"
            for name in names
        }
        chosen = random.sample(names, random.randint(0, 3))
        child = f'{{% extends "parent" %}}{writer.plain()}' + "".join(blocks[n] for n in chosen)
        nested = random.random() < 0.3
        parent = "<{% block a %}pa{{ markup }}{% endblock %}|{% block b %}pb{% endblock %}>" + (
            "{% block c %}pc{% block d %}pd{% endblock %}{% endblock %}" if nested else ""
        )
        grand = "({% block a %}ga{% endblock %}{% block b %}gb{% endblock %}){{ q }}"
        if random.random() < 0.4:
            parent = f'{{% extends "grand" %}}{{% block a %}}pa{{{{ block.Super }}}}{{% endblock %}}{blocks["b"]}'
        yield case(child, {"parent": parent, "grand": grand, "inc2": writer.document()})
    for _ in range(500):
        other = writer.document()
        text = random.choice(
            (
                '{% include "other" %}',
                '{% for x in "ab" %}{% include "other" with y=x %}{% endfor %}',
                '{% set q = "<" %}{% include "other" only %}',
                '{% set q = "<" %}{% include "other" with x=q only %}',
                '{% autoescape off %}{% include "other" %}{% endautoescape %}',
                '{% import "other" m1 %}{{ m1(markup) }}',
                '{% if false %}{% include "other" %}{% endif %}',
                f'{{% include "{BASE}/other" %}}',
                '{% include "/other" %}',
                '{% include "oth.er" %}{% include "other" %}',
                '{% extends "other" %}{% block a %}x{% endblock %}',
            )
        )
        yield case(text, {"other": other})


def documents(random: Random) -> Iterator[Case]:
    """Whole templates at random, and the same with damage."""
    for _ in range(3000):
        yield case(Writer(random).document())
    for _ in range(2500):
        yield case(broken(random, Writer(random).document()))


PIECES = (
    "{{", "}}", "{%", "%}", "{{-", "-}}", "{%-", "-%}", "{#", "#}", "|", ":", ",", ".", "(", ")", "[",
    "]", '"a"', "'b'", "1", "2.5", "host", "count", "nope", "+", "-", "*", "/", "not", "in", "and",
    "==", "=", "<", "if", "endif", "else", "elif", "for", "x", "endfor", "empty", "set", "with",
    "endwith", "as", "include", '"inc"', "only", "if_exists", "upper", "default", "true", "text", "\n",
    "{% verbatim %}", "{% endverbatim %}", "comment", "endcomment", "block", "endblock", "filter",
    "endfilter", "autoescape", "off", "endautoescape", "cycle", "firstof", "forloop.Counter", "é", "$",
    "spaceless", "endspaceless", "json.Unmarshal(one)", ".key", "ifchanged", "endifchanged", "now", "%",
)  # fmt: skip


def soups(random: Random) -> Iterator[Case]:
    """Words of the language in any order, most of them between the right braces."""
    for _ in range(1500):
        words = [random.choice(PIECES) for _ in range(random.randint(1, 8))]
        text = random.choice(("", " ")).join(words)
        shape = random.choice(("%s", "{{ %s }}", "{%% %s %%}", "a {%%- if %s -%%} b {%% endif %%} c"))
        yield case(shape % text)


def expressions(random: Random) -> Iterator[Case]:
    """Expressions at random, and damaged ones."""
    for _ in range(2500):
        yield case(f"{{{{ {Writer(random).expression()} }}}}")
    for _ in range(800):
        yield case(broken(random, f"{{{{ {Writer(random).expression(2)} }}}}"))


def written_by_hand(random: Random) -> Iterator[Case]:
    """The cases of `by_hand.txt`, one in a line; \u23ce stands for a newline, \u21e5 for a tabulator."""
    for line in (HERE / "by_hand.txt").read_text("utf-8").splitlines():
        if line.strip():
            yield case(line.replace("\u23ce", "\n").replace("\u21e5", "\t"))


KINDS = (written_by_hand, operators, filters, expressions, documents, inheritance, soups)


def cases() -> Iterator[Case]:
    """All cases."""
    for number, kind in enumerate(KINDS):
        yield from kind(Random(SEED + number))


# --- questions and answers -----------------------------------------------------------------------


def questions() -> list[str]:
    """All cases as lines, each once."""
    return list(dict.fromkeys(json.dumps(question, ensure_ascii=False) for question in cases()))


def answers(oracle: str, asked: list[str]) -> list[str]:
    """What the oracle says, a line for a line. A question that it does not survive is answered by
    silence, and it is started again for the rest."""
    told: list[str] = []
    while len(told) < len(asked):
        text = "".join(f"{line}\n" for line in asked[len(told) :]).encode()
        process = subprocess.run(
            [oracle], input=text, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        told += process.stdout.decode().splitlines()
        if process.returncode and len(told) < len(asked):
            told.append(SILENCE)
    return told


def write(oracle: str) -> None:
    """Ask everything, and write what has one answer."""
    asked = questions()
    first = answers(oracle, asked)
    known = {
        question: answer
        for question, answer in zip(asked, first, strict=True)
        if SILENCE not in answer
    }
    for _ in range(TIMES - 1):
        again = answers(oracle, list(known))
        known = {
            question: answer
            for (question, answer), other in zip(known.items(), again, strict=True)
            if answer == other
        }
    with CASES.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as target:
        for question, answer in known.items():
            entry = json.loads(question)
            del entry["variables"]
            entry.update(json.loads(answer))
            target.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
    print(f"{len(known)} cases of {len(asked)}, {CASES.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(sys.argv[1])
