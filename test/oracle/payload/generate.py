"""Makes cases for the oracle of the payload templates: texts of all kinds, sound and broken.

    (cd test/oracle/payload && go build -o /tmp/oracle .)
    python -m test.oracle.payload.generate /tmp/oracle

writes `cases.jsonl.gz` beside this file. The same seed makes the same cases. What the reference
answers differently each time is left out (it is asked several times), and what it never answers.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from random import Random

from test.oracle.payload.writer import (
    BASE,
    FILTERS,
    FORMATS,
    HERE,
    OPERATORS,
    Case,
    Writer,
    broken,
    case,
    jumbled_format,
    jumbled_json,
    quoted,
    snippets,
    soup,
)

CASES = HERE / "cases.jsonl.gz"
SEED = 20240611
TIMES = 4
"""How often everything is asked."""
SILENCE = "no answer"

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
    for name in FORMATS:
        row = (
            "host",
            "5",
            "2.5",
            "true",
            "nope",
            "host.1",
            "letters",
            "-5",
            "100000000.0",
            "128512",
        )
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
            middle = "{% block a %}pa{{ block.Super }}{% endblock %}"
            parent = f'{{% extends "grand" %}}{middle}{blocks["b"]}'
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


def soups(random: Random) -> Iterator[Case]:
    """Words of the language in any order."""
    for _ in range(1500):
        yield case(soup(random))


def expressions(random: Random) -> Iterator[Case]:
    """Expressions at random, and damaged ones."""
    for _ in range(2500):
        yield case(f"{{{{ {Writer(random).expression()} }}}}")
    for _ in range(800):
        yield case(broken(random, f"{{{{ {Writer(random).expression(2)} }}}}"))


def texts(random: Random) -> Iterator[Case]:
    """Filters and functions on texts that matter to them."""
    values = (
        "host", "5", "2.5", "0.1", "true", "nope", "host.1", "letters", "0", "0.0", "100000000.0",
        "128512", "1234567.891", "json.Unmarshal(mixed)", "json.Unmarshal(map)", "lines", "markup",
        'list|split:","', "9223372036854775807", '"nan"|float', '"-inf"|float', "233", "8232",
        'json.Unmarshal("[-0.0,-1.5,1e100]")',
    )  # fmt: skip
    of_markup = (
        "truncatechars_html", "truncatewords_html", "truncatechars", "truncatewords", "striptags",
        "linebreaks", "title", "capfirst", "removetags", "linenumbers",
    )  # fmt: skip
    of_addresses = ("urlize", "urlizetrunc", "urlencode", "iriencode", "escapejs")
    choice = random.choice
    for _ in range(1500):
        yield case(f"{{{{ {choice(values)}|stringformat:{quoted(jumbled_format(random))} }}}}")
    for _ in range(1500):
        z = snippets(random, "markup", 10)
        yield case(f"[{{{{ z|{choice(of_markup)}:{random.randrange(15)} }}}}]", z=z)
        z = snippets(random, "markup", 12)
        yield case("{% spaceless %}{{ z|safe }}{% endspaceless %}", z=z)
        z = snippets(random, "addresses", 8)
        argument = choice(("true", "false", "5", "12", "nope"))
        yield case(f"{{{{ z|{choice(of_addresses)}:{argument}|safe }}}}", z=z)
    for _ in range(500):
        operator = choice(("+", "-", "*", "/", "%", "<", "<=", "==", "in"))
        yield case(
            f"{{{{ z|integer }}}} {{{{ z|float }}}} {{{{ z|floatformat:{random.randrange(9)} }}}} "
            f"{{{{ z|get_digit:2 }}}} {{{{ z {operator} {choice(('z', '1', '2.5'))} }}}}",
            z=snippets(random, "numbers", 6),
        )
        yield case(
            "{{ json.Marshal(json.Unmarshal(z))|safe }} {{ json.Unmarshal(z) }} "
            '{{ json.Sort(json.Unmarshal(z))|join:";" }} {{ json.Unmarshal(z)|stringformat:"%v" }}',
            z=jumbled_json(random),
        )


def written_by_hand(random: Random) -> Iterator[Case]:
    """The cases of `by_hand.txt`, one in a line, with signs for newline and tabulator."""
    for line in (HERE / "by_hand.txt").read_text("utf-8").splitlines():
        if line.strip():
            yield case(line.replace("\u23ce", "\n").replace("\u21e5", "\t"))


KINDS = (written_by_hand, operators, filters, expressions, documents, inheritance, soups, texts)


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
            z = entry.pop("variables").get("z")
            if z is not None:
                entry["z"] = z
            entry.update(json.loads(answer))
            target.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
    print(f"{len(known)} cases of {len(asked)}, {CASES.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(sys.argv[1])
