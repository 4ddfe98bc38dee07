"""The functions that templates call, with the odd inputs of the reference's own tests."""

from __future__ import annotations

from typing import Any

import pytest

from aliecs.errors import DeadlineExceeded
from aliecs.language.expression import Compiler, ExpressionError
from aliecs.language.functions import (
    DPL_FUNCTIONS,
    PTREE_FUNCTIONS,
    ROLE_FUNCTIONS,
    Scope,
    make_library,
    resolve_trees,
)
from test.language.line import LEAF

from .sources import DictSources

COMPILER = Compiler()
LIBRARY = make_library(COMPILER, None, {**ROLE_FUNCTIONS, **DPL_FUNCTIONS})
VARIABLES = {
    "test_var": "test_value",
    "prefix_var": "prefixed_value",
    "fallback_var": "fallback_value",
    "prefixed_none_fallback_var": "none",
    "detector": "TPC",
    "jit_env_vars": "X=1",
}
SOURCES = DictSources(
    payloads={"qc/ANY/any/x": "detector is {{ detector }}", "loop/ANY/any/x": "{{ nope"},
    runtime={("trg/ltu", "file"): "content"},
    detectors={"flp001": "ABC", "flp002": "DEF", "flp003": "DEF"},
    cards={"flp001": {"0229": ["0", "1"], "0228": ["0", "1"]}},
    jit={"tpc": "run {{ detector }}", "bad": "run {{ nope }}", "broken": "broken"},
)


def evaluate(text: str, warnings: list[str] | None = None, **more: Any) -> Any:
    found: list[str] = [] if warnings is None else warnings
    return Scope(VARIABLES, LIBRARY, SOURCES, warn=found.append, **more).evaluate(text)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("strings.Atoi('123')", 123),
        ("strings.Atoi('abc')", 0),
        ("strings.Atoi('')", 0),
        ("strings.Atoi(' 1')", 0),
        ("strings.Atoi('1_0')", 0),
        ("strings.Atoi(repeat('9', 5000))", 0),
        ("strings.Atoi('9223372036854775808')", 0),
        ("strings.Atoi('-0000000000000000000000042')", -42),
        ("strings.Itoa(-456)", "-456"),
        ("strings.TrimQuotes('\"test\"')", "test"),
        ("strings.TrimQuotes('\"test')", "test"),
        ("strings.TrimQuotes(\"'test'\")", "'test'"),
        ("strings.TrimSpace(' a\\n')", "a"),
        ("strings.ToUpper('a1')", "A1"),
        ("strings.ToLower('A1')", "a1"),
        ("json.Unmarshal('{\"a\": 1}')", {"a": 1.0}),
        ("json.Marshal({'b': '<', 'a': 1})", '{"a":1,"b":"\\u003c"}'),
        ("json.Marshal(json.Sort(json.Unmarshal('[\"b\",\"a\"]')))", '["a","b"]'),
        ("json.Sort(split('b,a', ','))", ["b", "a"]),
        ("json.Sort(json.Unmarshal('[10, 9]'))", ["10", "9"]),
        ("util.PrefixedOverride('var', 'prefix')", "prefixed_value"),
        ("util.PrefixedOverride('fallback_var', 'nonexistent_prefix')", "fallback_value"),
        ("util.PrefixedOverride('fallback_var', 'prefixed_none')", "fallback_value"),
        ("util.PrefixedOverride('nonexistent_fallback_var', 'prefix')", ""),
        ("util.PrefixedOverride(undefined, 'prefix')", ""),
        ("util.Nullable(undefined)", ""),
        ("util.SuffixInRange('test5', 'test', '1', '10')", "true"),
        ("util.SuffixInRange('test005', 'test', '001', '010')", "true"),
        ("util.SuffixInRange('test15', 'test', '1', '10')", "false"),
        ("util.SuffixInRange('other5', 'test', '1', '10')", "false"),
        ("util.SuffixInRange('test', 'test', '1', '10')", "false"),
        ("util.SuffixInRange('test5', 'test', 'a', '10')", "false"),
        ("util.SuffixInRange('test5', 'test', '1', 'b')", "false"),
        ("util.SuffixInRange('5', '', '1', '9')", "false"),
        ("config.Get('qc/ANY/any/x')", "DETECTOR IS {{ DETECTOR }}"),
        ("config.GetLegacy('qc/ANY/any/x')", "detector is TPC"),
        ("config.GetLegacy('loop/ANY/any/x')", "{{ nope"),
        ("config.Resolve('readout', 'PHYSICS', 'flp1', 'x')", "readout/ANY/any/x"),
        ("config.ResolvePath('readout/PHYSICS/flp1/x')", "readout/ANY/any/x"),
        ("inventory.DetectorForHost('flp001')", "ABC"),
        ("inventory.DetectorsForHosts('[ \"flp002\", \"flp001\", \"flp003\" ]')", '["ABC","DEF"]'),
        ("inventory.CRUCardsForHost('flp001')", '["0228","0229"]'),
        ("inventory.EndpointsForCRUCard('flp001', '0228')", "0 1"),
        ("inventory.EndpointsForCRUCard('flp001', 'NOPE')", ""),
        ("runtime.Get('trg/ltu', 'file')", "content"),
        ("runtime.Set('c', 'k', 'v') + runtime.Get('c', 'k')", "vv"),
        ("DetectorForHost('flp001')", "ABC"),
        ("GetRuntimeConfig('trg/ltu', 'file')", "content"),
    ],
)  # fmt: skip
def test_results(text: str, result: Any) -> None:
    assert evaluate(text) == result


@pytest.mark.parametrize("word", ["true", "TRUE", "yes", "y", "1", "on", " ok "])
def test_truthy(word: str) -> None:
    assert evaluate(f"strings.IsTruthy('{word}') && !strings.IsFalsy('{word}')") is True


@pytest.mark.parametrize("word", ["false", "FALSE", "no", "n", "0", "off", "none", "", " "])
def test_falsy(word: str) -> None:
    assert evaluate(f"strings.IsFalsy('{word}') && !strings.IsTruthy('{word}')") is True


@pytest.mark.parametrize(
    "text",
    [
        "config.Get('missing')",
        "config.Resolve('a', 'b', 'missing', 'd')",
        "inventory.DetectorForHost('NOPE')",
        "inventory.DetectorsForHosts('[\"NOPE\"]')",
        "inventory.DetectorsForHosts('flp001')",
        "inventory.CRUCardsForHost('NOPE')",
        "inventory.EndpointsForCRUCard('NOPE', '1')",
        "runtime.Get('no', 'such')",
    ],
)
def test_failed_inquiries_are_values_with_a_warning(text: str) -> None:
    warnings: list[str] = []
    assert "error" in evaluate(text, warnings)
    assert warnings


def test_a_load_that_is_out_of_time_is_an_error() -> None:
    class Slow(DictSources):
        def detector_for_host(self, host: str) -> str:
            raise DeadlineExceeded("the load takes too long")

    with pytest.raises(DeadlineExceeded):
        Scope({}, LIBRARY, Slow()).evaluate("inventory.DetectorForHost('x')")


def test_ids_differ() -> None:
    assert evaluate("uid.New() != NewID()") is True


def test_without_sources_an_inquiry_is_refused() -> None:
    with pytest.raises(ExpressionError, match=r"inventory\.DetectorForHost cannot be used here"):
        Scope({}, LIBRARY).evaluate("inventory.DetectorForHost('flp001')")


def test_dpl_workflows() -> None:
    SOURCES.generated.clear()
    assert evaluate("dpl.Generate('go ' + detector)") == "jit-1"
    assert evaluate("dpl.GenerateFromUri('tpc')") == "jit-2"
    assert evaluate("dpl.GenerateFromUriOrFallbackToTemplate('tpc')") == "jit-3"
    assert evaluate("dpl.GenerateFromUriOrFallbackToTemplate('other')") == "other"
    assert SOURCES.generated[0] == ("go TPC", "X=1")
    assert SOURCES.generated[1] == SOURCES.generated[2] == ("run TPC", "X=1")


@pytest.mark.parametrize("call", ["Generate('none')", "GenerateFromUri('missing')",
                                  "GenerateFromUri('bad')"])  # fmt: skip
def test_dpl_errors_are_errors(call: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(f"dpl.{call}")


def test_dpl_needs_a_repository() -> None:
    with pytest.raises(ExpressionError, match="unknown name dpl"):
        Scope(VARIABLES, make_library(COMPILER), SOURCES).evaluate("dpl.Generate('x')")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Parent().Path", "root.middle"),
        ("Parent().Name", "middle"),
        ("Up(2).Path + '.x'", "root.x"),
        ("This().Path", "root.middle.leaf"),
        ("Up(3)", None),
        ("Up(0)", None),
        ("Up(undefined)", None),
        ("Parent() == nil", False),
    ],
)
def test_roles(text: str, result: Any) -> None:
    assert evaluate(text, role=LEAF) == result


def test_roles_beyond_the_root_have_no_path() -> None:
    with pytest.raises(ExpressionError, match="nil"):
        evaluate("Up(3).Path", role=LEAF)
    with pytest.raises(ExpressionError, match="Name and Path"):
        evaluate("Parent().Size", role=LEAF)


def test_a_role_prints_as_in_the_reference() -> None:
    assert Scope({}, LIBRARY, role=LEAF).render("{{ Parent() }}") == "&{middle root.middle}"


def test_property_trees() -> None:
    scope = Scope({"p": "[a]\nb=1"}, make_library(COMPILER, None, PTREE_FUNCTIONS))
    properties = {
        "qc": scope.render("{{ ToPtree(p, ' INI ') }}"),
        "odd": scope.render("{{ ToPtree(p, 'yaml') }}"),
        "plain": "text",
    }
    assert resolve_trees(properties, scope) == {
        "__ptree__:ini:qc": "[a]\nb=1",
        "__ptree__:json:odd": '{"error":"yaml is not one of ini, json, xml"}',
        "plain": "text",
    }


def test_dump_writes_only_where_it_may() -> None:
    written: dict[str, str] = {}
    assert evaluate("util.Dump('text', 'name')", dump=written.__setitem__) == "text"
    assert written == {"name": "text"}
    warnings: list[str] = []
    assert evaluate("util.Dump('text', '/etc/passwd')", warnings) == "text"
    assert warnings
