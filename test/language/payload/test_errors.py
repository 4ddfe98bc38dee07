"""What goes wrong in payload templates, where it is said to be, and that it stays in bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliecs.errors import AliecsError, InvalidInput, NotFound, Unavailable
from aliecs.language.payload import PayloadError, PayloadTemplates
from aliecs.language.payload.evaluation import DEEPEST_CALL, LONGEST_TEXT, MOST_WARNINGS
from test.language.payload.rendering import BASE, render
from test.oracle.payload.writer import PIECES


def fault(text: str, **others: str) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        render(text, {"v": "41"}, **others)
    return caught.value


# --- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stage", "line", "column", "token"),
    [
        ("{{ 1 2 }}", "parser", 1, 6, "2"),
        ("a\nb {{ v| }}", "parser", 2, 9, "}}"),
        ("é {% if v 2 %}{% endif %}", "parser", 1, 11, "2"),
        ("\n\n{% nosuch %}", "parser", 3, 4, "nosuch"),
        ("{{ v|nosuch }}", "parser", 1, 6, "nosuch"),
        ("{% if v %}", "parser", 1, 9, "%}"),
        ("\n{% else %}", "parser", 2, 4, "else"),
        ('{{ "a\n" }}', "lexer", 1, 4, ""),
        ('x\n{{ "open', "lexer", 2, 4, ""),
        ("{{ 'a\\'b' }}", "lexer", 1, 4, ""),
        ("{{ v\n }}", "lexer", 1, 5, ""),
        ("{# a\n #}", "lexer", 1, 1, ""),
        ("\n {{ strings.ToUpper(nope) }}", "execution", 2, 5, "strings"),
        ("{{ strings.ToUpper(5) }}", "execution", 1, 4, "strings"),
        ("{{ v.x }}", "execution", 1, 4, "v"),
        ("{{ v() }}", "execution", 1, 4, "v"),
        ("{{ -v }}", "execution", 1, 5, "v"),
        ('{{ v|slice:"1" }}', "execution", 1, 6, "slice"),
        ("{{ 1 / 0 }}", "execution", 1, 6, "/"),
    ],
)
def test_an_error_tells_its_place(
    text: str, stage: str, line: int, column: int, token: str
) -> None:
    error = fault(text)
    assert (error.stage, error.line, error.column, error.token) == (stage, line, column, token)
    near = f" near '{token}'" if token else ""
    where = f"[Error (where: {stage}) in {BASE}/entry | Line {line} Col {column}{near}] "
    assert error.message == where + error.reason


def test_an_error_is_in_the_payload_that_has_it() -> None:
    error = fault('a {% include "part" %}', part="\n{{ v.x }}")
    assert (error.path, error.line) == (f"{BASE}/part", 2)
    error = fault('a {% include "part" %}', part="\n{{ v x }}")
    assert (error.path, error.line) == (f"{BASE}/part", 2)
    error = fault('{% extends "part" %}', part="{% block a %}{% endblock %}\n{{ v.x }}")
    assert (error.path, error.line) == (f"{BASE}/part", 2)
    child = '{% extends "part" %}\n\n{% block a %}{{ v.x }}{% endblock %}'
    error = fault(child, part="{% block a %}{% endblock %}")
    assert (error.path, error.line) == (f"{BASE}/entry", 3)
    error = fault(
        '{% import "part" m %}{{ m() }}', part="\n{% macro m() export %}{{ v.x }}{% endmacro %}"
    )
    assert (error.path, error.line) == (f"{BASE}/part", 2)
    # A missing one is told where it is named.
    error = fault('\n  {% include "nope" %}')
    assert (error.path, error.line, error.token) == (f"{BASE}/nope", 2, "nope")


def test_the_kind_of_error() -> None:
    error = fault("{{")
    assert isinstance(error, InvalidInput)
    assert error.code == "payload_error"
    assert error.http_status == 422


def test_errors_of_reading_the_requested_payload_pass() -> None:
    def read(path: str) -> str:
        raise Unavailable("the store is away")

    with pytest.raises(Unavailable, match="the store is away"):
        PayloadTemplates().render(f"{BASE}/entry", {}, read, new_id=lambda: "")


def test_errors_of_reading_a_named_payload_are_told() -> None:
    problem: AliecsError = NotFound("there is no part")

    def read(path: str) -> str:
        if path.endswith("/entry"):
            return '{% include "part" if_exists %}{% include "part" %}'
        raise problem

    with pytest.raises(PayloadError, match="unable to resolve template: there is no part"):
        PayloadTemplates().render(f"{BASE}/entry", {}, read, new_id=lambda: "")
    # That the store is away is no fault of the template, and does not mean that there is no part.
    problem = Unavailable("the store is away")
    with pytest.raises(Unavailable, match=r"^the store is away$"):
        PayloadTemplates().render(f"{BASE}/entry", {}, read, new_id=lambda: "")


# --- where the reference ends badly --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{{ json.Unmarshal("5")["a"] }}', "can't access a subscript on type float64"),
        ('{{ json.Unmarshal("true")[0] }}', "can't access a subscript on type bool"),
        ('{{ FromJson("{}")[nope] }}', "the key is undefined"),
        ('{{ 1 in FromJson("{}") }}', "the keys of a map are strings"),
        ('{{ FromJson("[]") == FromJson("[]") }}', "cannot be compared"),
        ("{{ 5 % 0 }}", "division by zero"),
        ('{% for x in "ab" sorted %}{% endfor %}', "cannot be sorted"),
        ("{% cycle %}", "needs something to choose from"),
        ("{% comment %}{% endcomment x %}", "Arguments not allowed here"),
        ('{{ "a"|truncatechars:"-1" }}', "no number of characters"),
        ('{{ "a"|removetags:"[" }}', "is not a tag"),
        ("{{ util.Nullable(nope) }}", "cannot be used in payloads"),
        ('{% ssi "/etc/hostname" %}', "is switched off"),
        ('{% if false %}{% ssi "part" parsed %}{% endif %}', "is switched off"),
    ],
)
def test_what_panics_in_the_reference_is_an_error(text: str, reason: str) -> None:
    assert reason in fault(text).reason


def test_what_panics_but_has_a_meaning() -> None:
    assert render('{{ "a b c d e"|wordwrap:3 }}') == "a b c\nd e"
    assert render('{% for x in "ab" %}{% ifchanged "c" %}x{% endifchanged %}{% endfor %}') == "x"


# --- limits --------------------------------------------------------------------------------------


LOOP, END = '{% for x in "0123456789" %}', "{% endfor %}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LOOP * 8 + "x" + END * 8, "steps"),
        (LOOP * 6 + '{% include "part" %}' + END * 6, "steps"),
        ("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", "macros: more than"),
        ('{% set a = "xxxxxxxxxxxxxxxx" %}' + "{% set a = a + a %}" * 30, "a text of more than"),
        (LOOP * 5 + '{{ "a"|center:9999 }}' + END * 5, "output is longer"),
        ('{{ "a"|center:100001 }}', "more than 100000"),
        ('{{ "a"|ljust:100001 }}', "more than 100000"),
        ('{{ "a"|rjust:"-100001" }}', "more than 100000"),
        ("{{ 1.5|floatformat:100001 }}", "more than 100000"),
        ('{{ 5|stringformat:"%100001d" }}', "more than 100000"),
        ('{{ 5|stringformat:"%.100001d" }}', "more than 100000"),
        ('{{ 100001|stringformat:"%*[1]d" }}', "more than 100000"),
        (
            '{{ "a"|center:50|make_list|stringformat:"%99999v" }}',
            "text of more than",
        ),
        ("{% lorem 10001 w %}", "no more than 10000"),
        ("{{ " + "(" * 100 + "1" + ")" * 100 + " }}", "levels deep"),
        ("{{ " + "v[" * 100 + "1" + "]" * 100 + " }}", "levels deep"),
        ("{{ " + "v(" * 100 + "1" + ")" * 100 + " }}", "levels deep"),
        ("{{ 1" + " + 1" * 1000 + " }}", "operators in a row"),
        ("{{ 1" + " ^ 1" * 1000 + " }}", "operators in a row"),
        ("{{ 1" + " == 1" * 1000 + " }}", "operators in a row"),
        ("{{ 1" + " and 1" * 1000 + " }}", "operators in a row"),
        ("{{ v" + "|upper" * 1000 + " }}", "filters in a row"),
        ("{{ v" + ".v" * 1000 + " }}", "parts"),
        ("{% filter " + "upper|" * 1000 + "upper %}{% endfilter %}", "filters in a row"),
        ("{% if 1 %}" * 100 + "{% endif %}" * 100, "tags nested"),
        ("{{ 99999999999999999999 }}", "64 bits"),
        ("{{ " + "9" * 5000 + ".0 }}", "too large"),
        ("{{ v }}" * 200_000, "too long"),
        ("x" * (4 * 1024 * 1024 + 1), "longer than"),
    ],
)
def test_a_limit(text: str, reason: str) -> None:
    assert reason in fault(text, part="").reason


def test_names_that_are_no_names() -> None:
    error = fault('{% set n = "a"|center:5000 %}{% include n %}')
    assert "more than 1000 characters" in error.reason
    # Half a character, from walking through a text byte by byte.
    assert render('{% for x in "é" %}{% include x if_exists %}{% endfor %}y') == "y"


def test_a_message_has_one_line() -> None:
    error = fault("{{ v ? \n\n x }}")
    assert error.token == "? \n\n x }}"
    assert "\n" not in error.message


def test_payloads_that_include_each_other() -> None:
    assert "include each other" in fault('{% include "entry" %}').reason
    assert "include each other" in fault('{% extends "entry" %}').reason
    one = fault(
        '{% include "a" %}', a='{% if false %}{% include "b" %}{% endif %}', b='{% include "a" %}'
    )
    assert f"{BASE}/a -> {BASE}/b -> {BASE}/a" in one.reason
    assert "includes: more than" in fault('{% set n = "entry" %}{% include n %}').reason
    chain = {f"p{number}": f'{{% include "p{number + 1}" %}}' for number in range(50)}
    assert "in a row" in fault('{% include "p0" %}', **chain, p50="").reason


def test_a_payload_that_is_included_in_many_ways_is_read_once() -> None:
    asked: list[str] = []
    levels = 12
    texts = {
        f"{BASE}/p{number}": f'{{% include "p{number + 1}" %}}{{% include "p{number + 1}" %}}'
        for number in range(levels)
    }
    texts[f"{BASE}/p{levels}"] = "x"

    def read(path: str) -> str:
        asked.append(path)
        return texts[path]

    text = PayloadTemplates().render(f"{BASE}/p0", {}, read, new_id=lambda: "")
    assert text == "x" * 2**levels
    assert len(asked) == levels + 1


def test_calls_may_be_as_deep_as_it_says() -> None:
    text = "{% macro m(n) %}{% if n > 1 %}{{ m(n - 1) }}{% endif %}x{% endmacro %}"
    assert render(f"{text}{{{{ m({DEEPEST_CALL}) }}}}") == "x" * DEEPEST_CALL


def test_patterns_take_linear_time() -> None:
    value = "<" * 200_000
    text = '{{ v|striptags|length }}{{ v|removetags:"(a*)*b"|length }}{{ v|urlize|length }}'
    assert render(text, {"v": value}) == "200000" * 3
    assert render("{% spaceless %}{{ v|safe }}{% endspaceless %}", {"v": value}) == value


def test_warnings_end() -> None:
    told: list[str] = []
    render(LOOP * 3 + '{{ Atoi("x") }}' + END * 3, warn=told.append)
    assert len(told) == MOST_WARNINGS + 1


def test_long_texts_are_not_taken_for_numbers() -> None:
    assert render("{{ v|integer }}", {"v": "9" * (LONGEST_TEXT // 2)}) == "0"


# --- nothing of Python is in reach ---------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{{ strings.ToUpper.call }}",
        "{{ strings.__class__ }}{{ strings.members }}{{ strings.name }}",
        '{{ FromJson("{}").keys }}{{ FromJson("{}").__class__ }}',
        "{{ forloop.x }}{% for x in v %}{{ forloop.parent }}{{ forloop.__class__ }}{% endfor %}",
        "{% block a %}{{ block.upper }}{{ block.fields }}{{ block.__init__ }}{% endblock %}",
        '{% cycle "" as c %}{{ c.node }}{{ c.current }}',
        "{{ __builtins__ }}{{ self }}{{ render }}{{ frame }}",
        "{% macro m() %}{% endmacro %}{{ m.definition }}{{ m.frame }}",
    ],
)
def test_no_attribute_can_be_read(text: str) -> None:
    try:
        assert render(text, {"v": "a"}) == ""
    except PayloadError as error:
        assert error.stage == "execution"


# --- anything at all -----------------------------------------------------------------------------

WORDS = st.lists(st.sampled_from(PIECES))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), WORDS.map(" ".join), WORDS.map("".join)))
def test_any_text_renders_or_is_refused(text: str) -> None:
    try:
        output = render(text, {"v": "41"})
    except AliecsError as error:
        assert isinstance(error, PayloadError)
    else:
        output.encode()


@settings(max_examples=100, deadline=None)
@given(
    st.text(), st.sampled_from(["{{ v }}", "{{ v|safe }}", "{% for x in v %}{{ x }}{% endfor %}"])
)
def test_any_variable_renders(value: str, text: str) -> None:
    output = render(text, {"v": value})
    output.encode()
    assert "<" not in output or "{{ v }}" not in text
