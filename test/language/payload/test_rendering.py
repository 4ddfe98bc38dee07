"""What payload templates give: the vectors that were verified against the reference, and more."""

from __future__ import annotations

import re
import threading

import pytest

from aliecs.errors import NotFound
from aliecs.language.payload import PayloadError, PayloadTemplates
from test.language.payload.rendering import BASE, reader, render

MARKUP = """<a href="x">&'"""
ESCAPED = "&lt;a href=&quot;x&quot;&gt;&amp;&#39;"


@pytest.mark.parametrize(
    ("text", "value", "output"),
    [
        # What is not there is nothing.
        ("a{{ nope }}b", "", "ab"),
        ("a{{ nope.x.y }}b", "", "ab"),
        ("{{ None }}{{ nope() }}{{ nope[0] }}", "", ""),
        # Escaping.
        ("{{ v }}", MARKUP, ESCAPED),
        ("{{ v|safe }}", MARKUP, MARKUP),
        ("{% autoescape off %}{{ v }}{% endautoescape %}{{ v }}", "<", "<&lt;"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(v) }}", "<", "<&lt;>"),
        # Comparisons: loose for order, strict for equality.
        ("{% if v > 5 %}y{% endif %}", "41", "y"),
        ("{% if v == 41 %}y{% else %}n{% endif %}", "41", "n"),
        ('{% if v == "41" %}y{% else %}n{% endif %}', "41", "y"),
        ('{% if nope == "" %}y{% else %}n{% endif %}', "", "n"),
        ("{% if nope == alsonope %}y{% else %}n{% endif %}", "", "y"),
        ('{% if "TPC" in v %}y{% endif %}', '["TPC","ITS"]', "y"),
        ('{% if not "TPC" in v %}y{% else %}n{% endif %}', "ITS", "n"),
        ('{% if not ("TPC" in v) %}y{% else %}n{% endif %}', "ITS", "y"),
        ("{% if v %}y{% else %}n{% endif %}", "false", "y"),
        # Functions.
        ("{{ strings.Atoi(v) + 1 }}", "41", "42"),
        ("{{ strings.IsTruthy(v) }}", "true", "True"),
        ("{% for x in json.Unmarshal(v) %}{{ x }},{% endfor %}", "[1,2.5]", "1.000000,2.500000,"),
        ("{{ json.Unmarshal(v).a }}", '{"b":"1","a":"2"}', "2"),
        (
            "{{ json.Marshal(json.Unmarshal(v)) }}",
            '{"b":"1"}',
            "{&quot;b&quot;:&quot;1&quot;}",
        ),
        ("{{ json.Unmarshal(v) }}", "[]", "<[]interface {} Value>"),
        ("{{ json.Unmarshal(v) }}", "{}", "<map[string]interface {} Value>"),
        ('{{ json.Sort(FromJson(v))|join:"," }}', '["b","a",10,9]', "10,9,a,b"),
        ("{{ uid.New() }}{{ NewID() }}", "", "2oDvieFrVTi2oDvieFrVTi"),
        ('{{ util.PrefixedOverride("v", "some") }}', "x", "x"),
        ('{{ util.SuffixInRange(v, "test", "1", "10") }}', "test5", "true"),
        ('{{ SuffixInRange(v, "test", "1", "10") }}', "test15", "false"),
        ("{{ ToUpper(v) }}{{ TrimQuotes(v) }}", "ß", "ßß"),
        # Arithmetic.
        ("{{ 7 / 2 }}", "", "3"),
        ("{{ 1.5 + 1 }}", "", "2.500000"),
        ('{{ 1 + "2" }}', "", "12"),
        ("{{ 2 ^ 3 }}", "", "8.000000"),
        ("{{ -7 / 2 }} {{ -7 % 3 }} {{ 7.9 % 2 }}", "", "-3 -1 1"),
        ("{{ 9223372036854775807 + 1 }}", "", "-9223372036854775808"),
        # Loops.
        (
            '{% for x in v|split:"," %}{{ forloop.Counter }}{{ x }}'
            "{% if not forloop.Last %},{% endif %}{% endfor %}",
            "a,b",
            "1a,2b",
        ),
        ("{% for x in nope %}a{% empty %}b{% endfor %}", "", "b"),
        ("{% for x in v %}{{ x }}.{% endfor %}", "ab", "a.b."),
        ("{% for x in v %}{{ x }}{% endfor %}", "ünï", "ünï"),
        ("{% for k, x in FromJson(v) %}{{ k }}{{ x }}{% endfor %}", '{"b":"1","a":"2"}', "a2b1"),
        ("{% for k in FromJson(v) reversed %}{{ k }}{% endfor %}", '{"b":"1","a":"2"}', "ba"),
        ("{% for x in v %}{% set z = x %}{{ z }}{% endfor %}{{ z }}", "ab", "ab"),
        # White space.
        ("a\n{%- if true -%}\n b\n{%- endif -%}\nc", "", "abc"),
        ("a {{- 1 -}} b", "", "a1b"),
        ("a\n{% if true %}\nb\n{% endif %}\nc", "", "a\n\nb\n\nc"),
        # Text that looks like a template.
        ("a }} b } %} #}", "", "a }} b } %} #}"),
        ("{% verbatim %}{{ v }}{% endverbatim %}", "x", "{{ v }}"),
        ("{# {{ v }} #}{% comment %}{{ v }}{% endcomment %}x", "x", "x"),
    ],
)
def test_a_payload_gives(text: str, value: str, output: str) -> None:
    assert render(text, {"v": value}) == output


def test_the_payloads_of_the_service() -> None:
    texts = {
        f"{BASE}/entry10": '{{ var1 }} {% include "entry11" %}',
        f"{BASE}/entry11": "world",
        f"{BASE}/entry12": 'hello {% include "sub/entry12" %}',
        f"{BASE}/sub/entry12": "world",
    }
    templates = PayloadTemplates()

    def processed(entry: str, **variables: str) -> str:
        return templates.render(f"{BASE}/{entry}", variables, reader(texts), new_id=lambda: "")

    assert processed("entry10", var1="hello") == "hello world"
    assert processed("entry12") == "hello world"
    assert processed("sub/entry12") == "world"
    templates.forget()
    assert processed("entry10", var1="hello") == "hello world"


def test_an_edited_payload_is_never_served_as_it_was() -> None:
    texts = {f"{BASE}/entry": '{% include "part" %}', f"{BASE}/part": "one"}
    templates = PayloadTemplates()

    def processed() -> str:
        return templates.render(f"{BASE}/entry", {}, reader(texts), new_id=lambda: "")

    assert processed() == "one"
    texts[f"{BASE}/part"] = "two"
    assert processed() == "two"
    texts[f"{BASE}/entry"] = "three"
    assert processed() == "three"


# --- payloads that name each other ---------------------------------------------------------------


def test_names_are_taken_below_the_base_of_the_requested_payload() -> None:
    assert render('{% include "part" %}', part="x") == "x"
    assert render('{% include "sub/part" %}', sub__part="x") == "x"
    # Not from where the including payload is.
    text = '{% include "sub/part" %}'
    assert render(text, sub__part='{% include "inner" %}', inner="x", sub__inner="y") == "x"
    assert render(f'{{% include "{BASE}/part" %}}', part="x") == "x"


@pytest.mark.parametrize(
    "name",
    [
        "missing",
        "qc/PHYSICS/any/y",
        "/qc/ANY/any/y",
        "/part",
        "//qc/ANY/any/part",
        "",
        " part",
        "part.json",
    ],
)
def test_a_name_that_leads_nowhere(name: str) -> None:
    with pytest.raises(PayloadError, match="unable to resolve template") as caught:
        render(f'{{% if false %}}{{% include "{name}" %}}{{% endif %}}', part="x")
    assert caught.value.stage == "fromfile"
    assert "no payload at configuration path" in caught.value.message
    assert render(f'{{% include "{name}" if_exists %}}x') == "x"


def test_payloads_elsewhere_are_included_by_their_whole_paths() -> None:
    texts = {
        "qc/ANY/anything/x": "neighbour",
        "common/PHYSICS/role/head": '[{% include "part" %}]',
        f"{BASE}/part": "own part",
        f"{BASE}/common/PHYSICS/role/both": "below the base",
        "common/PHYSICS/role/both": "elsewhere",
    }

    def processed(text: str) -> str:
        texts[f"{BASE}/entry"] = text
        return PayloadTemplates().render(f"{BASE}/entry", {}, reader(texts), new_id=lambda: "")

    assert processed('{% include "qc/ANY/anything/x" %}') == "neighbour"
    assert processed('{% include "/qc/ANY/anything/x" %}') == "neighbour"
    # Names are taken from where the requested payload is, in those from elsewhere too.
    assert processed('{% include "common/PHYSICS/role/head" %}') == "[own part]"
    assert processed('{% include "common/PHYSICS/role/both" %}') == "below the base"
    assert processed('{% include "/common/PHYSICS/role/both" %}') == "elsewhere"
    with pytest.raises(PayloadError, match="qc/ANY/any/common/PHYSICS/role/none"):
        processed('{% include "common/PHYSICS/role/none" %}')
    texts["common/PHYSICS/role/head"] = '{% include "missing" %}'
    with pytest.raises(PayloadError, match="qc/ANY/any/missing"):
        processed('{% include "common/PHYSICS/role/head" %}')


def test_a_name_that_is_computed() -> None:
    assert render('{% set n = "pa" + "rt" %}{% include n %}', part="x") == "x"
    assert render("{% if false %}{% include n %}{% endif %}x") == "x"
    assert render('{% set n = "nope" %}{% include n if_exists %}x') == "x"
    with pytest.raises(PayloadError, match="evaluated to an empty string"):
        render("{% include nope if_exists %}")


def test_what_an_included_payload_sees() -> None:
    part = "{{ v }}{{ a }}{{ q }}"
    assert render('{% set q = 1 %}{% include "part" %}', {"v": "x"}, part=part) == "x1"
    assert render('{% include "part" with a=2 q=v %}', {"v": "x"}, part=part) == "x2x"
    assert render('{% include "part" with a=v only %}', {"v": "x"}, part=part) == "x"
    # What it sets stays there, and it escapes whatever is around it.
    assert render('{% include "part" %}{{ q }}', part="{% set q = 5 %}{{ q }}") == "5"
    text = '{% autoescape off %}{% include "part" %}{% endautoescape %}'
    assert render(text, {"v": "<"}, part="{{ v }}") == "&lt;"


def test_blocks_and_parents() -> None:
    parent = "<{% block a %}p{{ v }}{% endblock %}>{% block b %}pb{% endblock %}"
    child = '{% extends "parent" %}ignored{% block a %}c{{ block.Super }}{% endblock %}'
    assert render(child, {"v": "&"}, parent=parent) == "<cp&amp;>pb"
    middle = '{% extends "parent" %}{% block b %}m{{ block.Super }}{% endblock %}'
    grandchild = '{% extends "middle" %}{% block b %}g{{ block.Super }}{% endblock %}'
    assert render(grandchild, {"v": "x"}, parent=parent, middle=middle) == "<px>gmpb"


def test_macros_of_other_payloads() -> None:
    macros = (
        "{% macro box(x) export %}[{{ x }}]{% endmacro %}{% macro own() %}{% endmacro %}"
        "{% macro pair(a, b='y') export %}{{ a }}{{ b }}{% endmacro %}"
    )
    text = '{% import "macros" box, pair as two %}{{ box(v) }}{{ two(1) }}{{ two(1, 2) }}'
    assert render(text, {"v": "<"}, macros=macros) == "[&lt;]1y12"
    with pytest.raises(PayloadError, match="not found"):
        render('{% import "macros" own %}', macros=macros)


def test_includes_that_cycle_remember_where_they_are() -> None:
    part = '{% cycle "a" "b" "c" %}'
    text = '{% for x in "12" %}{% include "part" %}{% endfor %}{% include "part" %}'
    assert render(text, part=part) == "aba"
    # Each rendering begins anew.
    assert render(text, part=part) == "aba"


# --- variables -----------------------------------------------------------------------------------


def test_names_that_no_template_can_write_are_left_away() -> None:
    told: list[str] = []
    variables = {"a-b": "1", "x.y": "2", " padded ": "3", "0day": "4", "": "5"}
    assert render("{{ padded }}{{ 0day }}", variables, told.append) == "34"
    assert len(told) == 1
    assert told[0].endswith("left away: '', 'a-b', 'x.y'")
    render("", {f"a-{number:02d}": "" for number in range(20)}, told.append)
    assert told[1].endswith("'a-09', ...")


def test_functions_hide_variables() -> None:
    assert (
        render('{{ ToUpper("x") }}{{ strings.Atoi("1") }}', {"ToUpper": "", "strings": ""}) == "X1"
    )


def test_what_functions_cannot_use_is_told() -> None:
    told: list[str] = []
    text = '{{ Atoi("x") }}{{ json.Unmarshal("{") }}{{ util.Dump("t", "/etc/x") }}'
    assert render(text, warn=told.append) == "0t"
    assert len(told) == 3


def test_prefixed_override() -> None:
    variables = {
        "test_var": "test_value",
        "prefix_var": "prefixed_value",
        "fallback_var": "fallback_value",
        "prefixed_none_fallback_var": "none",
    }
    for name, prefix, output in (
        ("var", "prefix", "prefixed_value"),
        ("fallback_var", "nonexistent_prefix", "fallback_value"),
        ("fallback_var", "prefixed_none", "fallback_value"),
        ("nonexistent_fallback_var", "prefix", ""),
    ):
        assert render(f'{{{{ PrefixedOverride("{name}", "{prefix}") }}}}', variables) == output


@pytest.mark.parametrize("name", ["config", "inventory", "runtime", "dpl", "odc", "testplugin"])
def test_what_workflow_templates_have_and_payloads_have_not(name: str) -> None:
    assert render(f'{{{{ {name}.Get("x") }}}}') == ""


# --- chance and time -----------------------------------------------------------------------------


def test_chance_is_the_same_each_time() -> None:
    text = '{{ "a,b,c,d,e,f"|split:","|random }}{% lorem 3 w random %}'
    assert render(text) == render(text)
    assert render('{{ "a"|random }}{{ nope|random }}{{ 5|random }}') == "a5"
    assert len(render("{% lorem 7 w random %}").split()) == 7
    assert render("{% lorem 2 p random %}").count("<p>") == 2


def test_now() -> None:
    assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", render('{% now "2006-01-02" %}'))
    assert re.fullmatch(r"[+-]\d\d:\d\d", render('{% now "-07:00" %}'))
    assert re.fullmatch(r"\.\d{6}", render('{% now ".000000" %}'))
    assert render('{% now "15:04" fake %}') == "18:31"


# --- threads -------------------------------------------------------------------------------------


def test_many_threads_share_one_engine() -> None:
    templates = PayloadTemplates()
    text = '{% for x in "abc" %}{% cycle "1" "2" %}{{ v }}{% endfor %}{% include "part" %}'
    texts = {f"{BASE}/entry": text, f"{BASE}/part": "{{ v }}"}
    wrong: list[str] = []

    def work(value: str) -> None:
        for _ in range(50):
            output = templates.render(
                f"{BASE}/entry", {"v": value}, reader(texts), new_id=lambda: ""
            )
            if output != f"1{value}2{value}1{value}{value}":
                wrong.append(output)
            templates.forget()

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_requested_payload_is_missing() -> None:
    with pytest.raises(NotFound, match="no payload"):
        PayloadTemplates().render(f"{BASE}/entry", {}, reader({}), new_id=lambda: "")
