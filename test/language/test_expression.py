"""The `{{ }}` language, measured with the cases that were run against the reference's library."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliecs.language.expression import Compiler, ExpressionError
from aliecs.language.functions import Scope, make_library
from aliecs.language.printing import from_json, to_json, to_text

COMPILER = Compiler()
LIBRARY = make_library(COMPILER)
VARIABLES = {"a": "1", "b": "two", "hosts": '["h1","h2"]', "dd_enabled": "true"}


def render(text: str, **more: str) -> str:
    return Scope({**VARIABLES, **more}, LIBRARY).render(text)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("x{{ a }}y{{b}}z", "x1ytwoz"),
        ("{{ a + b }}", "1two"),
        ("{{ strings.ToUpper(undefinedVar) }}", ""),
        ("{{ strings.Atoi(undefinedVar) }}", "0"),
        ("{{ strings.ToUpper(undefinedVar ?? 'dflt') }}", "DFLT"),
        ("{{ strings.ToUpper(undefinedVar == nil ? 'a' : 'b') }}", "A"),
        ("{{ dd_enabled == 'true' && b == 'two' }}", "true"),
        ('{{ dd_enabled == "true" ? a : b }}', "1"),
        ("{{ 7 / 2 }}", "3.5"),
        ("{{ 6 / 2 }}", "3"),
        ("{{ 2 ** 10 }}", "1024"),
        ("{{ 7 % 2 }}", "1"),
        ("{{ json.Unmarshal(hosts) }}", '["h1","h2"]'),
        ("{{ json.Unmarshal(hosts)[-1] }}", "h2"),
        ("{{ json.Unmarshal('{\"a\":1}') }}", "map[a:1]"),
        ("{{ json.Unmarshal('12345678') }}", "1.2345678e+07"),
        ("{{ json.Unmarshal('bad') }}", "<nil>"),
        ("{{ 'MCH' in json.Unmarshal('bad') }}", "false"),
        ("{{ 'h1' in json.Unmarshal(hosts) }}", "true"),
        ("{{ hosts contains 'h1' }}", "true"),
        ("{{ map(fromJSON(hosts), {# + '-x'}) }}", '["h1-x","h2-x"]'),
        ("{{ ['<&>'] }}", '["\\u003c\\u0026\\u003e"]'),
        ("{{ len(b) > 0 ? 'yes' : 'no' }}", "yes"),
        ("{{ strings.Itoa(strings.Atoi('4') + 1) }}", "5"),
        ('{{ get($env, "zzz") ?? "d" }}', "d"),
        ("{{ a }} }}", "1 }}"),
        # scanning
        ("no expressions", "no expressions"),
        ("stray }} stays", "stray }} stays"),
        ("{{ '{{' }}", "{{"),
        # lexical
        ("{{ 'it\\'s' + \"\\x41\\u00e9\\t\" }}", "it'sAé\t"),
        ("{{ `raw\\n` }}", "raw\\n"),
        ("{{ 07 + 0x10 + 0b11 + 0o7 + 1_000 }}", "1033"),
        ("{{ .5 + 1e3 }}", "1000.5"),
        ("{{ a /* one */ + b // two\n }}", "1two"),
        # precedence
        ("{{ - 3 ** 2 }}", "-9"),
        ("{{ 2 ** -1 }}", "0.5"),
        ("{{ 2 ** 3 ** 2 }}", "512"),
        ("{{ 1 < 2 < 3 }}", "true"),
        ("{{ 1 < 3 < 2 }}", "false"),
        ("{{ 1 + 2 * 3 }}", "7"),
        ("{{ a not in ['2'] }}", "true"),
        ("{{ not (a in ['1']) or true }}", "true"),
        ("{{ a == 'x' ? 'p' : b == 'two' ? 'q' : 'r' }}", "q"),
        ("{{ hosts | json.Unmarshal }}", None),
        ("{{ b | upper() | len() }}", "3"),
        ("{{ 'a,b' | split(',') | last() }}", "b"),
        ("{{ if a == '1' { 'one' } else if b == 'x' { 'x' } else { 'other' } }}", "one"),
        ("{{ let n = 2; let m = n * 3; m + 1 }}", "7"),
        ("{{ 1; 2; 3; }}", "3"),
        # values
        ("{{ 1 == 1.0 }}", "true"),
        ("{{ 5 / 0 }}", "+Inf"),
        ("{{ 1..3 }}", "[1 2 3]"),
        ("{{ 3..1 }}", "[]"),
        ("{{ toPairs({'a': 1}) }}", "[[a 1]]"),
        ("{{ {'b': 2, a: nil, ('c'): true} }}", "map[a:<nil> b:2 c:true]"),
        ("{{ [1000000.0, 2.5, 1e21, 1e-7] }}", "[1000000,2.5,1e+21,1e-7]"),
        ("{{ 1e-5 }} {{ 999999.5 }} {{ 1000000.0 }}", "1e-05 999999.5 1e+06"),
        ("{{ 'abcdef'[1:3] + 'abcdef'[-2:] + 'abc'[:9] }}", "bcefabc"),
        ("{{ [1,2,3][1:] }}", "[2,3]"),
        ("{{ {'x': {'y': 'z'} }.x.y + {'x': 'w'}['x'] }}", "zw"),
        ("{{ {'x': 1}.nope }}", "<nil>"),
        ("{{ json.Unmarshal('null')?.x ?? 'none' }}", "none"),
        ("{{ 'x' in json.Unmarshal('null') }}", "false"),
        ("{{ 9223372036854775807 + 1 }}", "-9223372036854775808"),
        ("{{ '\\ud800' }}", "\ufffd"),
        ("{{ 'é'[0:1] + 'aé'[:1] }}", "\ufffda"),
        ("{{ {'n': 1e6} }}", "map[n:1e+06]"),
        ("{{ json.Unmarshal('1') and true }}", "1"),
        ("{{ sum([a, b]) }}", "1two"),
        ("{{ ToUpper(nope == 1 ? 'x' : b) }}", "TWO"),
        ("{{ concat([]) ?? 'none' }}{{ concat([]) }}", "nonenull"),
        ("{{ {'a': 1, 'a': 2} }}", "map[a:1]"),
        ("{{ true == fromJSON('1') }}", "false"),
        ("{{ 'abc' matches 'b.' && not ('abc' matches '^b') }}", "true"),
        ("{{ 'abc' startsWith 'ab' and 'abc' endsWith 'bc' }}", "true"),
        # the environment
        ('{{ $env["a"] + $env.b }}', "1two"),
        ('{{ "a" in $env }}{{ "zzz" in $env }}', "truefalse"),
        ("{{ $env?.zzz ?? 'safe' }}", "safe"),
        # legacy names
        ("{{ Itoa(Atoi('4') + 1) + ToUpper(b) }}", "5TWO"),
        ("{{ FromJson(hosts)[0] }}", "h1"),
        ("{{ IsTruthy(dd_enabled) }}", "true"),
        ("{{ odc.GenerateEPNTopologyFullname() }}", ""),
    ],
)
def test_results(text: str, result: str | None) -> None:
    if result is None:
        with pytest.raises(ExpressionError):
            render(text)
    else:
        assert render(text) == result


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ undefinedVar }}", "unknown name undefinedVar"),
        ("{{ undefinedVar == nil }}", "unknown name undefinedVar"),
        ("{{ undefinedVar ?? 'd' }}", "unknown name undefinedVar"),
        ("{{ false ? undefinedVar : 'x' }}", "unknown name undefinedVar"),
        ("{{ len(undefinedVar) }}", "unknown name undefinedVar"),
        ("{{ FromJson(undefinedVar) }}", "unknown name undefinedVar"),
        ("{{ $env.undefinedVar }}", "unknown name undefinedVar"),
        ("{{ $env['undefinedVar'] }}", "unknown name undefinedVar"),
        ("{{ null }}", "unknown name null"),
        ("{{ nope.f() }}", "unknown name nope"),
        ("{{ nope() }}", "unknown function nope"),
        ("{{ a ?? b + a }}", "?? and + need parentheses"),
        ("{{ strings.ToUpper('x' + undefinedVar) }}", "'+' cannot take string and nil"),
        ("{{ ToUpper(undefinedVar) }}", "ToUpper takes a string, not nil"),
        ("{{ strings.Nope(a) }}", "there is no such function"),
        ("{{ a == 1 }}", "cannot take string and int"),
        ("{{ true == 'true' }}", "cannot take bool and string"),
        ("{{ a ? 'x' : 'y' }}", "needs a bool"),
        ("{{ dd_enabled && true }}", "needs a bool"),
        ("{{ a + 1 }}", "'+' cannot take string and int"),
        ("{{ 1 in ['1'] }}", "cannot look for int among string"),
        ("{{ false ? a == 1 : true }}", "cannot take"),
        ("{{ not a == '1' }}", "needs a bool"),
        ("{{ json.Unmarshal(hosts)[5] }}", "outside the list"),
        ("{{ \"x\" + strings.Atoi('7') }}", "cannot take string and int"),
        ("{{ strings.Itoa(json.Unmarshal('1')) }}", "takes an int, not float"),
        ("{{ 'a}}b' }}", "unexpected"),
        ("{{ a", "without a }} after it"),
        ("{{}}", "ends too early"),
        ("{{  }}", "ends too early"),
        ("{{ a b }}", "unexpected"),
        ("{{ '\\q' }}", "unknown escape"),
        ("{{ a[0] }}", "cannot index string"),
        ("{{ a.b }}", "cannot read .b of string"),
        ("{{ 'a' in b }}", "needs a list or map"),
        ("{{ 7 % 0 }}", "by zero"),
        ("{{ let strings = 1; strings }}", "cannot redeclare strings"),
        ("{{ let a = 1; a }}", "cannot redeclare a"),
        ("{{ # }}", "unexpected '#'"),
        ("{{ strings }}", "is not a value"),
        ("{{ strings.ToUpper() }}", "takes 1 argument, not 0"),
        ("{{ nil.x }}", "unexpected '.'"),
        ("{{ (nil).x }}", "cannot read .x of nil"),
        ("{{ 'x' in nil }}", "needs a list or map"),
        ("{{ util.Nullable(a) }}", "Nullable takes"),
        ("{{ 'x' matches '(' }}", "no regular expression"),
        ("{{ 9223372036854775808 }}", "64 bits"),
        ("{{ " + "9" * 5000 + " }}", "64 bits"),
        ("{{ 0x_ }}", "unexpected"),
        ("{{ [1][1e308] }}", "indexed by an int, not float"),
        ("{{ '\\400' }}", "is not a character"),
    ],
)
def test_errors(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        render(text)
    assert reason in str(caught.value)


def test_an_error_names_expression_and_column() -> None:
    with pytest.raises(ExpressionError) as caught:
        render("before {{ b == 'two' && a == 1 }}")
    assert str(caught.value) == (
        "'==' cannot take string and int in {{ b == 'two' && a == 1 }}, column 15"
    )


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("all([1,2], # > 0)", True),
        ("any([1,2], {# > 1})", True),
        ("one([1,2], # > 1)", True),
        ("none([1,2], # > 2)", True),
        ("filter(1..5, # % 2 == 0)", [2, 4]),
        ("filter(1..3, any([2], # == 2) && # > 1)", [2, 3]),
        ("map(filter(fromJSON('[{\"n\":\"x\"},{\"n\":\"y\"}]'), .n != 'x'), .n)", ["y"]),
        ("find(1..5, # > 2)", 3),
        ("find(1..5, # > 9)", None),
        ("findIndex(1..5, # > 2)", 2),
        ("findLast(1..5, # < 4)", 3),
        ("findLastIndex(1..5, # > 9)", None),
        ("count([true, false, true])", 2),
        ("count(1..5, # > 2)", 3),
        ("sum(1..4) + sum(['a'], len(#))", 11),
        ("groupBy(['a','bb','c'], len(#))[1]", ["a", "c"]),
        ("sortBy(['bb','a','ccc'], len(#), 'desc')", ["ccc", "bb", "a"]),
        ("reduce(1..4, #acc + #)", 10),
        ("reduce(['a','b'], #acc + # + string(#index), '')", "a0b1"),
        ("1..4 | filter(# > 1) | map(# * 2)", [4, 6, 8]),
        ("type(nil) + type(1) + type([]) + type({})", "nilintarraymap"),
        ("[abs(-2), ceil(1.2), floor(1.8), round(2.5), round(-2.5)]", [2, 2.0, 1.0, 3.0, -3.0]),
        ("[round(0.49999999999999994), mean([1e308, 1e308]) == 1/0]", [0, True]),
        ("[int('7'), int(1.9), float('2'), string(1.0)]", [7, 1, 2.0, "1"]),
        ("trim(' a ') + trim('_a_', '_') + trimPrefix('ab', 'a') + trimSuffix('ab', 'b')", "aaba"),
        ("splitAfter('a,b', ',')", ["a,", "b"]),
        ("split('a,b,c', ',', 2)", ["a", "b,c"]),
        ("replace('aaa', 'a', 'b', 2)", "bba"),
        ("repeat('ab', 2) + join(['x','y'], '-')", "ababx-y"),
        ("[indexOf('abc','c'), lastIndexOf('abca','a'), indexOf('a','z')]", [2, 3, -1]),
        ("hasPrefix('abc','ab') && hasSuffix('abc','bc')", True),
        ("[max(1, 3, 2), min([4, 2]), mean([1, 2]), median([1, 2, 3])]", [3, 2, 1.5, 2.0]),
        ("toJSON({'a': [1]})", '{\n  "a": [\n    1\n  ]\n}'),
        ("fromBase64(toBase64('ü'))", "ü"),
        ("[first([]), last([1]), get({'a': 1}, 'a'), get([1], 5)]", [None, 1, 1, None]),
        ("take([1,2,3], 2)", [1, 2]),
        ("[keys({'b': 1, 'a': 2}), values({'b': 1, 'a': 2})]", [["a", "b"], [2, 1]]),
        ("fromPairs([['a', 1], [2, 'b']])[2]", "b"),
        ("[reverse([1,2]), uniq([1,1.0,2]), concat([1],[2]), flatten([1,[2,[3]]])]",
         [[2, 1], [1, 2], [1, 2], [1, 2, 3]]),
        ("sort(['b','a']) == ['a','b'] && sort([1,3,2], 'desc')[0] == 3", True),
        ("[bitand(6,3), bitor(6,3), bitxor(6,3), bitnand(6,3), bitnot(0)]", [2, 7, 5, 4, -1]),
        ("[bitshl(1,63), bitshr(-8,1), bitushr(-1,63)]", [-(2**63), -4, 1]),
    ],
)  # fmt: skip
def test_built_in_functions(text: str, result: Any) -> None:
    assert Scope(VARIABLES, LIBRARY).evaluate(text) == result


@pytest.mark.parametrize(
    "text",
    [
        "repeat('x', 300000000)",
        "'x' * 300000000",
        "1..300000000",
        "map(1..1000, map(1..1000, #))",
        "replace(repeat('a', 100000), 'a', repeat('b', 1000))",
        "join(map(1..2000, repeat('a', 1000)), '')",
        "let x = repeat('a', 1000000); x + x",
        "(" * 500 + "1" + ")" * 500 + " + ".join(["1"] * 500),
        "+".join(["1"] * 500),
        "2 ** 10 ** 10 % 3",
        "'" + "x" * 30000 + "'",
        "fromJSON(repeat('[', 100000))",
        "toJSON(reduce(1..500, [#acc], []))",
        "map(1..90000, repeat('a', 100000))",
        "let s = repeat('ab', 400000); map(1..90000, upper(s))",
        "string(reduce(1..90, [#acc, #acc], []))",
        "json.Marshal(reduce(1..90, ({'k': [#acc, #acc]}), 1))",
        "let x = reduce(1..60, [#acc, #acc], []); x == reduce(1..60, [#acc, #acc], [])",
        "let x = reduce(1..60, [#acc, #acc], [1]); max(x)",
        "filter(1..90000, # in (1..90000))",
        "uniq(map(1..2000, [#]))",
        "filter(" * 119 + "[1]" + ", true)" * 119 + " == " + "+".join(["1"] * 200),
    ],
)
def test_work_is_bounded(text: str) -> None:
    with pytest.raises(ExpressionError):
        Scope(VARIABLES, LIBRARY).evaluate(text)


def test_matching_does_not_backtrack() -> None:
    hostile = "a" * 40 + "b"
    assert render("{{ t matches '^(a+)+$' }}", t=hostile) == "false"


@pytest.mark.parametrize(
    "text",
    [
        "a.__class__",
        "$env.__class__",
        "strings.ToUpper.__globals__",
        "strings.__class__()",
        "[].append(1)",
        "{}.get('a')",
        "json.Unmarshal('{}').__init__()",
        "Parent().__class__",
    ],
)
def test_nothing_of_python_can_be_reached(text: str) -> None:
    with pytest.raises(ExpressionError):
        Scope(VARIABLES, LIBRARY).evaluate(text)


def test_a_variable_does_not_hide_a_built_in_function() -> None:
    assert render("{{ len(len) }}", len="four") == "4"


def test_functions_hide_variables() -> None:
    assert render("{{ strings.ToUpper('x') }}", strings="text") == "X"


def test_texts_are_compiled_once_and_forgotten_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aliecs.language.expression.MOST_COMPILED", 3)
    compiler = Compiler()
    dialect = make_library(compiler).dialect
    assert dialect is make_library(compiler).dialect
    first = dialect.template("{{ 1 }}")
    assert dialect.template("{{ 1 }}") is first
    for number in range(2, 6):
        dialect.template(f"{{{{ {number} }}}}")
    assert dialect.template("{{ 1 }}") is not first
    assert len(dialect._templates) == 3


def test_a_compiler_serves_several_threads() -> None:
    library = make_library(Compiler())
    results: list[str] = []

    def work() -> None:
        for number in range(50):
            results.append(Scope({"n": "1"}, library).render(f"{{{{ n + '{number}' }}}}"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(results) == sorted(f"1{number}" for number in range(50) for _ in range(4))


class Later(Awaitable[str]):
    """An answer that comes when it is awaited."""

    closed = False

    def __await__(self) -> Any:
        yield
        return "answer"

    def cancel(self) -> None:
        self.closed = True


def library_with(**functions: Callable[..., Any]) -> Any:
    return make_library(COMPILER, {"testplugin": functions})


def test_a_call_may_be_answered_later() -> None:
    library = library_with(Test=lambda text: Later())
    started = Scope(VARIABLES, library).start("testplugin.Test(a + b)")
    assert isinstance(started, Awaitable)
    steps = started.__await__()
    next(steps)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "answer"


def test_a_late_answer_is_refused_within_an_expression() -> None:
    late = Later()
    library = library_with(Test=lambda: late)
    with pytest.raises(ExpressionError, match="alone"):
        Scope(VARIABLES, library).start("testplugin.Test() ?? 'x'")
    assert late.closed
    with pytest.raises(ExpressionError, match="alone"):
        Scope(VARIABLES, library).render("{{ testplugin.Test() }}")


def test_a_call_may_be_answered_at_once() -> None:
    library = library_with(Test=lambda *texts: "".join(texts))
    scope = Scope(VARIABLES, library)
    assert scope.start("testplugin.Test()") == ""
    assert scope.start("testplugin.Test(a, undefined, b)") == "1two"
    assert scope.start("'x' + 'y'") == "xy"


def test_plugin_functions_are_called_with_the_right_arguments_only() -> None:
    library = library_with(Test=lambda text: text)
    with pytest.raises(ExpressionError, match=r"testplugin\.Test"):
        Scope(VARIABLES, library).evaluate("testplugin.Test()")


def test_plugin_functions_join_a_namespace() -> None:
    library = make_library(COMPILER, {"odc": {"Start": lambda: "started"}})
    text = "{{ odc.Start() + odc.GenerateEPNTopologyFullname() }}"
    assert Scope(VARIABLES, library).render(text) == "started"


def test_an_absent_plugin_is_an_unknown_name() -> None:
    with pytest.raises(ExpressionError, match="unknown name dcs"):
        Scope(VARIABLES, LIBRARY).start("dcs.PrepareForRun()")
    with pytest.raises(ExpressionError, match="no such function"):
        Scope(VARIABLES, LIBRARY).start("odc.Start()")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_round_trips(value: Any) -> None:
    assert from_json(to_json(value)) == value
    assert json.loads(to_json(value, indent="  "), parse_int=float) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_printed_floats_read_back(value: float) -> None:
    assert float(to_text(value)) == value
    assert math.copysign(1, float(to_text(value))) == math.copysign(1, value)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_text_without_braces_is_left_alone(text: str) -> None:
    if "{{" not in text:
        assert render(text) == text


@settings(max_examples=200)
@given(st.text(alphabet="ab1 '\"+-*/(){}[].,?:#|&!=<>\n`$;", max_size=30))
def test_rubbish_gives_a_value_or_an_error_of_the_language(text: str) -> None:
    try:
        value = Scope({"a": "x", "b": "y"}, LIBRARY).evaluate(text)
    except ExpressionError:
        return
    assert value is None or isinstance(value, (str, int, float, list, dict))


@given(st.integers(-(2**40), 2**40), st.integers(-(2**20), 2**20).filter(bool))
def test_division_and_remainder_agree_with_go(left: int, right: int) -> None:
    scope = Scope({}, LIBRARY)
    remainder = scope.evaluate(f"({left}) % ({right})")
    assert remainder == math.fmod(left, right)
    assert scope.evaluate(f"({left}) / ({right})") == left / right
