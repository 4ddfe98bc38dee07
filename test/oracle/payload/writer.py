"""Writes payload templates at random: texts that are sound as a rule, and damage to them.

For the cases of the oracle (`generate`) and for the fuzzer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from aliecs.language.payload.expression import OPERATORS as engine_operators
from aliecs.language.payload.filters import FILTERS as engine_filters

HERE = Path(__file__).parent
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
    "markup": '<a href="x">&\'</a> <b>bold</b>',
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
    "v": '<a href="x">&\'',
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
FILTERS = sorted(set(engine_filters) - {"random"})
OPERATORS = (*engine_operators, "and", "or", "&&", "||")
FORMATS = ("", *(HERE / "formats.txt").read_text("utf-8").splitlines())


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
            (
                "",
                "",
                ".key",
                ".a",
                ".a.x",
                ".a.x.2.y",
                ".0",
                ".4.k",
                ".n",
                ".n.m",
                ".zz",
                "[0]",
                '["a"]',
            )
        )
        return f"{function}({source}){member}"

    def call(self) -> str:
        choice = self.random.choice
        strings = choice(("strings.", ""))
        of_text = choice(
            ("ToUpper", "ToLower", "TrimSpace", "TrimQuotes", "Atoi", "IsTruthy", "IsFalsy")
        )
        as_json = choice(("json.Marshal", "json.Serialize", "ToJson"))
        name, prefix = choice(("host", "var", "zz")), choice(("flp", "test", "q"))
        least, most = choice(("0", "1", "a")), choice(("1", "10", ""))
        return self.pick(
            lambda: f"{strings}{of_text}({self.operand()})",
            lambda: f"{strings}{of_text}({self.operand()})",
            lambda: f"{strings}Itoa({self.operand()})",
            lambda: f"{as_json}({self.expression(1)})",
            lambda: f"json.Sort({self.loaded()})",
            lambda: choice(("uid.New()", "NewID()", "uid.New", "strings", "json.Sort")),
            lambda: f'util.PrefixedOverride("{name}", "{prefix}")',
            lambda: f'util.SuffixInRange({self.operand()}, "flp", "{least}", "{most}")',
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
            return quoted(self.random.choice(FORMATS))
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
            (
                "text ",
                "\n",
                "  ",
                '{"k": ',
                "}\n",
                "<b> <i>",
                "é",
                " \n ",
                "{ x }",
                "}}",
                "%}",
                ",",
                "",
            )
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
        source = self.random.choice(("detectors", "numbers", "mixed", "broken", "one"))
        items = self.pick(
            lambda: f'{self.name()}|split:"{self.random.choice((",", " ", "o"))}"',
            lambda: f"json.Unmarshal({source})",
            lambda: self.random.choice(
                ("letters", "host", '"abc"', '"aab"', "nope", "5", "count|make_list")
            ),
            self.filtered,
        )
        order = self.random.choice(("", "", "", " reversed", " sorted", " reversed sorted"))
        names = self.random.choice(("x", "x", "x", "y", "x, y"))
        if self.random.random() < 0.25:
            items, names = "json.Unmarshal(map)", self.random.choice(("x", "x, y", "y,x"))
            order = self.random.choice((" sorted", " reversed sorted"))
        extra = self.random.choice(
            (
                "{{ forloop.Counter }}{{ forloop.Counter0 }}",
                "{{ forloop.Revcounter }}{{ forloop.Revcounter0 }}",
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
            (
                f"{name}({self.operand()})",
                f"{name}()",
                name,
                f"{name}(1, 2)",
                f"{name}({self.operand()})|upper",
            )
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
                f"{{% templatetag {self.random.choice(('openblock', 'closebrace', 'x'))} %}}",
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
                "{% include nope if_exists %}",
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


def case(text: str, others: dict[str, str] | None = None, z: str | None = None) -> Case:
    """A case with the usual variables, and with `z` if it is given."""
    templates = {f"{BASE}/entry": text}
    if any(name.rpartition("/")[2] in text for name in SUPPORT):
        templates.update(SUPPORT)
    templates.update({f"{BASE}/{name}": content for name, content in (others or {}).items()})
    variables = VARIABLES if z is None else {**VARIABLES, "z": z}
    return {"templates": templates, "path": f"{BASE}/entry", "variables": variables}


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


PIECES = (
    "{{", "}}", "{%", "%}", "{{-", "-}}", "{%-", "-%}", "{#", "#}", "|", ":", ",", ".", "(", ")",
    "[", "]", '"a"', "'b'", "1", "2.5", "host", "count", "nope", "+", "-", "*", "/", "not", "in",
    "and", "==", "=", "<", "if", "endif", "else", "elif", "for", "x", "endfor", "empty", "set",
    "with", "endwith", "as", "include", '"inc"', "only", "if_exists", "upper", "default", "true",
    "text", "\n", "{% verbatim %}", "{% endverbatim %}", "comment", "endcomment", "block",
    "endblock", "filter", "endfilter", "autoescape", "off", "endautoescape", "cycle", "firstof",
    "forloop.Counter", "é", "$", "spaceless", "endspaceless", "json.Unmarshal(one)", ".key",
    "ifchanged", "endifchanged", "now", "%",
)  # fmt: skip


def jumbled_format(random: Random) -> str:
    """A format for `stringformat`, of the parts that formats have, in their order as a rule."""
    choice = random.choice
    verbs = ""
    for _ in range(choice((1, 1, 2))):
        flags = "".join(choice("-+# 0") for _ in range(choice((0, 0, 1, 2))))
        width = choice(("", "", "5", "12", "*", "[1]", "[1]*", "0"))
        precision = choice(("", "", "", ".", ".0", ".2", ".5", ".*", ".[1]*", ".20"))
        # The verb p prints addresses: these are different each time.
        index, verb = choice(("", "", "", "[1]", "[2]")), choice("vdsqxXboOceEfFgGtUT%wz!é")
        verbs += f"%{flags}{width}{precision}{index}{verb}"
    return verbs + choice(("", "|"))


def jumbled_json(random: Random, depth: int = 3) -> str:
    """JSON as a rule, and sometimes nearly."""
    choice = random.choice
    kind = random.randrange(8 if depth else 5)
    if kind == 0:
        return str(random.randrange(-5, 100))
    if kind == 1:
        return choice((repr(random.uniform(-1e3, 1e3)), f"{random.randrange(99)}e{depth * 9 - 20}"))
    if kind == 2:
        return choice(("true", "false", "null"))
    if kind == 3:
        return choice(('"a"', '"<&>"', '"\u2028é"', '"\\ud800x"', '"\\u00e9\\n"', '"😀"', '"\x7f"'))
    if kind == 4:
        broken_json = ("01", "nul", "'a'", "1.", "NaN", "[", "1e999", "-", '"\x01"', "{,}")
        return choice(broken_json) if random.random() < 0.2 else "7"
    items = [jumbled_json(random, depth - 1) for _ in range(random.randrange(4))]
    if kind == 5:
        members = [f"{quoted(choice('abc'))}:{item}" for item in items]
        return f"{{{','.join(members)}}}"
    return f"[{','.join(items)}]"


SNIPPETS = {
    "markup": (
        "<b>", "</b>", "<i a='1'>", "</i>", "<br/>", "<", "</", ">", "a", "b c", " ", "é", "x. ",
        "y,", "&amp;", "<!-- c -->", "\n", "\t", "hello", "€😀", "</ b>", "<b", "\ufffd",
    ),
    "addresses": (
        "www.", "http://", "https://", " ", "a.com", "b.org", "x@y.cz", "me@cern.ch", "é", "<", ">",
        "/p?q=1&r=2#f", '"', "'", "\n", ".", "net", "co.de", "_-", ",", "%20", "+", "  ",
    ),
    "numbers": tuple("0123456789.-+eE_ xinfa"),
}  # fmt: skip


def snippets(random: Random, kind: str, most: int) -> str:
    """A text of pieces that matter to the filters."""
    return "".join(random.choice(SNIPPETS[kind]) for _ in range(random.randrange(most)))


def soup(random: Random) -> str:
    """Words of the language in any order, most of them between the right braces."""
    words = [random.choice(PIECES) for _ in range(random.randint(1, 8))]
    text = random.choice(("", " ")).join(words)
    shape = random.choice(("%s", "{{ %s }}", "{%% %s %%}", "a {%%- if %s -%%} b {%% endif %%} c"))
    return shape % text
