"""Fuzzing of the payload templates: garbage, damage, and templates whose output is known."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from attrs import frozen

from aliecs.errors import AliecsError, NotFound
from aliecs.language.payload import PayloadError, PayloadTemplates
from test.oracle.payload import writer

name = "payloads"

_TEMPLATES = PayloadTemplates()
_IDENTIFIER = "2oDvieFrVTi"
_TEXTS = (
    "",
    "a",
    "TPC",
    "<b>",
    "&\"'",
    "ünï",
    "a,b,c",
    "x y",
    "7",
    "{ }",
    "{{ a }}",
    "%}",
    "\\",
    "\n",
)
_WORDS = ("ITS", "MCH", "tpc-1", "é", "0", "a b")
_GARBAGE = "{}%#|\"'\\()[]<>=!&-+*/^,.: \n\t\r\0\ud83d\udcff\uffffaé1_😀"


@frozen
class Payload:
    """A case: payloads by path, the path that is asked for, variables, and the output if known."""

    texts: dict[str, str]
    path: str
    variables: dict[str, str]
    expected: str | None = None


def case(random: Random) -> object:
    """A case: garbage, a damaged template, a template at random, or one whose output is known."""
    kind = random.randrange(6)
    if kind == 0:
        length = random.choice((3, 20, 200))
        text = "".join(random.choice(_GARBAGE) for _ in range(random.randrange(length)))
        return _written(text)
    if kind == 1:
        return _written(writer.soup(random))
    if kind == 2:
        return _written(writer.broken(random, writer.Writer(random).document()))
    if kind == 3:
        return _written(writer.Writer(random).document())
    return _known(random)


def attempt(case: object) -> None:
    """Render it. Raises `AssertionError` where the output is known and another one comes."""
    assert isinstance(case, Payload)
    told: list[str] = []
    try:
        text = _TEMPLATES.render(
            case.path,
            case.variables,
            _Reader(case.texts),
            new_id=lambda: _IDENTIFIER,
            warn=told.append,
        )
    except AliecsError as error:
        assert case.expected is None, f"{error.message}\nin {case}"
        assert isinstance(error, PayloadError), f"{error!r}\nin {case}"
        assert error.message.startswith("[Error (where: "), error.message
        return
    text.encode()
    assert case.expected is None or text == case.expected, (
        f"expected {case.expected!r}\nbut got  {text!r}\nin {case}"
    )


@frozen
class _Reader:
    texts: dict[str, str]

    def __call__(self, path: str) -> str:
        if path not in self.texts:
            raise NotFound(f"no payload at {path}")
        return self.texts[path]


def _written(text: str) -> Payload:
    made: dict[str, Any] = writer.case(text)
    return Payload(made["templates"], made["path"], made["variables"])


# --- templates whose output is known -------------------------------------------------------------


class _Maker:
    """Makes pieces of a template together with what they give."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.variables: dict[str, str] = {}
        self.texts: dict[str, str] = {}

    def variable(self, value: str) -> str:
        """The name of a new variable."""
        name = f"v{len(self.variables)}"
        self.variables[name] = value
        return name

    def piece(self, depth: int) -> tuple[str, str]:
        """A piece and its output."""
        makers = [
            self.literal,
            self.printed,
            self.number,
            self.filtered,
            self.function,
            self.hidden,
        ]
        if depth > 0:
            makers += [
                lambda: self.conditional(depth - 1),
                lambda: self.loop(depth - 1),
                lambda: self.named(depth - 1),
                lambda: self.included(depth - 1),
                lambda: self.macro(depth - 1),
            ]
        return self.random.choice(makers)()

    def pieces(self, depth: int) -> tuple[str, str]:
        """Some pieces in a row."""
        made = [self.piece(depth) for _ in range(self.random.randint(0, 4))]
        return "".join(text for text, _ in made), "".join(output for _, output in made)

    def literal(self) -> tuple[str, str]:
        text = self.random.choice(("", "a", '{"k": 1}', "} }", "\n", "<i>", "é", "%"))
        return text + " ", text + " "

    def printed(self) -> tuple[str, str]:
        value = self.random.choice(_TEXTS)
        variable = self.variable(value)
        if self.random.random() < 0.5:
            return f"{{{{ {variable}|safe }}}}", value
        return f"{{{{ {variable} }}}}", _escaped(value)

    def number(self) -> tuple[str, str]:
        left, right = self.random.randrange(-99, 100), self.random.randrange(100)
        variable = self.variable(str(left))
        operator = self.random.choice("+-*")
        result = {"+": left + right, "-": left - right, "*": left * right}[operator]
        return f"{{{{ strings.Atoi({variable}) {operator} {right} }}}}", str(result)

    def filtered(self) -> tuple[str, str]:
        words = [self.random.choice(_WORDS) for _ in range(self.random.randint(1, 4))]
        variable = self.variable(",".join(words))
        expression, output = self.random.choice(
            (
                (f'{variable}|split:","|join:"-"', "-".join(words)),
                (f'{variable}|split:","|length', str(len(words))),
                (f'{variable}|split:","|first', words[0]),
                (f'{variable}|split:","|last|default:"x"', words[-1]),
                (f'nope|default:{variable}|cut:","', "".join(words)),
                (f'{variable}|slice:":1"', words[0][:1]),
            )
        )
        return f"{{{{ {expression} }}}}", _escaped(output)

    def function(self) -> tuple[str, str]:
        value = {"key": self.random.choice(_TEXTS), "list": [1, self.random.choice(_WORDS)]}
        variable = self.variable(json.dumps(value))
        return self.random.choice(
            (
                (f"{{{{ json.Unmarshal({variable}).key }}}}", _escaped(str(value["key"]))),
                (f"{{{{ FromJson({variable}).list.0 }}}}", "1.000000"),
                (f"{{{{ FromJson({variable}).list.2.x }}}}", ""),
                ("{{ uid.New() }}", _IDENTIFIER),
            )
        )

    def hidden(self) -> tuple[str, str]:
        inside = self.random.choice(("{{ x }}", "{% if %}", "a", "}}", '"'))
        return self.random.choice(
            (
                ("{# {{ x #}", ""),
                ("{% comment %}{{ x }}{% if %}{% endcomment %}", ""),
                (f"{{% verbatim %}}{inside}{{% endverbatim %}} ", f"{inside} "),
                ("a \n{{- 1 -}}\n b", "a1b"),
            )
        )

    def conditional(self, depth: int) -> tuple[str, str]:
        yes, no = self.pieces(depth), self.pieces(depth)
        text = self.random.choice(_TEXTS)
        variable = self.variable(text)
        condition, holds = self.random.choice(
            (
                (variable, bool(text)),
                (f"not {variable}", not text),
                (f'{variable} == "TPC"', text == "TPC"),
                (f'"b" in {variable} or {variable} == ""', "b" in text or not text),
                ("nope and true", False),
            )
        )
        output = yes[1] if holds else no[1]
        return f"{{% if {condition} %}}{yes[0]}{{% else %}}{no[0]}{{% endif %}}", output

    def loop(self, depth: int) -> tuple[str, str]:
        items = [self.random.choice(_WORDS) for _ in range(self.random.randint(0, 3))]
        variable = self.variable(json.dumps(items))
        body = self.pieces(depth)
        text = f"{{% for x in json.Unmarshal({variable}) %}}{{{{ x }}}}{body[0]}{{% endfor %}}"
        return text, "".join(item + body[1] for item in items)

    def named(self, depth: int) -> tuple[str, str]:
        value = self.random.choice(_TEXTS)
        variable = self.variable(value)
        name = f"q{len(self.variables)}"
        body = self.pieces(depth)
        shown = f"{{{{ {name} }}}}"
        text = f"{{% with {name}={variable} %}}{shown}{body[0]}{{% endwith %}}{shown}"
        return text, _escaped(value) + body[1]

    def included(self, depth: int) -> tuple[str, str]:
        body = self.pieces(depth)
        entry = f"part{len(self.texts)}"
        self.texts[f"{writer.BASE}/{entry}"] = body[0]
        return f'{{% include "{entry}" %}}', body[1]

    def macro(self, depth: int) -> tuple[str, str]:
        body = self.pieces(depth)
        macro = f"m{self.random.randrange(10**9)}"
        value = self.random.choice(_TEXTS)
        variable = self.variable(value)
        text = (
            f"{{% macro {macro}(p) %}}[{{{{ p }}}}]{body[0]}{{% endmacro %}}"
            f"{{{{ {macro}({variable}) }}}}"
        )
        return text, f"[{_escaped(value)}]{body[1]}"


def _escaped(text: str) -> str:
    for character, sign in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#39")):
        text = text.replace(character, f"&{sign};")
    return text


def _known(random: Random) -> Payload:
    maker = _Maker(random)
    text, output = maker.pieces(random.choice((0, 1, 2, 3)))
    path = f"{writer.BASE}/entry"
    return Payload({**maker.texts, path: text}, path, maker.variables, output)
