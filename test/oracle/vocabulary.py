"""The words from which cases of the `{{ }}` language are made: values, operators, functions.

Each text is an expression of its own. Every kind of value appears in several dresses: as a literal
whose type is known before anything runs, and behind a function that hides it.
"""

from __future__ import annotations

VARIABLES = {
    "a": "1",
    "b": "two",
    "empty": "",
    "flag": "true",
    "word": "Grüße, 世界 🎉",
    "hosts": '["h1","h2","h3"]',
    "number": "42",
    "detector": "TPC",
    "tpc_rate": "11",
    "tpc_mode": "none",
    "mode": "fast",
    "rate": " ",
    "dotted.name": "dot",
    "dash-ed": "dash",
    "json_map": '{"k": {"n": 1.5, "t": "x<y"}, "l": [1, "two", null, true]}',
}

SIMPLE = [
    "nil", "true", "false", "0", "1", "-1", "2", "3", "7", "10", "1.0", "0.5", "-2.5", "1e3",
    "1e21", "''",
    "'a'", "'abc'", "'é'", "'1'", "'7.5'", "'true'", "' x '", "a", "b", "number", "hosts", "empty",
    "word",
]  # fmt: skip

COLLECTIONS = [
    "[]",
    "[1, 2, 3]",
    "['a', 'b', 'c']",
    "[1, 'a', nil, true, 2.5]",
    "[1.5, 2]",
    "[true, false, true]",
    "[[1, 2], [3]]",
    "[nil]",
    "[a, b]",
    "['b', 'a', 'b']",
    "[{'n': 1}, {'n': 2}]",
    "[{'n': 'x', 'v': [1]}, {'n': 'y'}]",
    "{}",
    "{'a': 1}",
    "{'a': {'b': 'c'}}",
    "{a: nil, 'b': [1, '<&>'], 'é': true}",
    "1..3",
    "3..1",
    "0..0",
    "split('a,b,c', ',')",
    "split('', ',')",
    "split('abc', '')",
    "groupBy([1, 2, 3], # > 1)",
    "fromPairs([['a', 1]])",
    "fromPairs([[1, 'x'], [true, nil]])",
    "toPairs({'a': 1})",
    "keys({'a': 1})",
    "values({'a': 1.5})",
    "take(1..9, 2)",
]

HIDDEN = [
    "json.Unmarshal('1')",
    "json.Unmarshal('-0.25')",
    "json.Unmarshal('\"x\"')",
    "json.Unmarshal('\"héllo\"')",
    "json.Unmarshal('true')",
    "json.Unmarshal('null')",
    "json.Unmarshal('[]')",
    "json.Unmarshal('[1,\"a\",null,true]')",
    "json.Unmarshal('{\"k\": [1, {\"d\": \"e\"}]}')",
    "json.Unmarshal(json_map)",
    "json.Unmarshal(hosts)",
    "json.Unmarshal('nonsense')",
    "fromJSON('2.5')",
    "fromJSON('\"t\"')",
    "FromJson('[3, 1, 2]')",
    "strings.Atoi('5')",
    "strings.Atoi('bad')",
    "strings.ToUpper('up')",
    "strings.IsTruthy('yes')",
    "json.Sort(json.Unmarshal('[10, 9, \"b\"]'))",
    "Atoi('12')",
    "IsTruthy('no')",
    "[1, 'x'][0]",
    "[1, 'x'][1]",
    "{'k': 'v'}.k",
    "{'k': 1}.nope",
    "get({'k': 2}, 'k')",
    "get([1], 5)",
    "first(['f'])",
    "last([])",
    "(true ? 1 : 'x')",
    "(nil ?? 'x')",
    "max(1, 2)",
    "sum([1, 2])",
    "len('abc')",
    "string(1.5)",
    "int('3')",
    "float('2')",
    "abs(-3)",
    "type(1)",
]

CONTEXT = [
    "Up(1)",
    "Up(9)",
    "Parent()",
    "This().Path",
    "Up(2).Name",
    "$env",
    "$env.a",
    "$env['dotted.name']",
    "$env['nowhere']",
    "$env?.nowhere",
    "get($env, 'b')",
    "get($env, 'nowhere')",
    "nowhere",
    "strings.ToUpper(nowhere)",
    "strings.Nope",
    "'x' + nowhere",
]

VALUES = [*SIMPLE, *COLLECTIONS, *HIDDEN, *CONTEXT]
TYPED = {
    "text": ["''", "'a'", "'abc'", "'a,b'", "'é'", "a", "b", "word", "hosts", "number", '"q"',
    "`r`"],
    "int": ["0", "1", "2", "-3", "7", "10", "0x1f", "1_000", "len('four')", "int('8')"],
    "float": ["0.5", "1.0", "-2.5", "1e3", "6.02e23", ".25", "7 / 2", "2 ** 3"],
    "bool": ["true", "false", "1 < 2", "a == '1'", "'x' in ['x']", "not true"],
    "list": COLLECTIONS[:12] + COLLECTIONS[16:22],
    "map": [*COLLECTIONS[12:16], "fromPairs([['a', 1]])"],
}

BINARY = [
    "+", "-", "*", "/", "%", "**", "^", "==", "!=", "<", ">", "<=", ">=", "&&", "||", "and", "or",
    "in", "matches", "contains", "startsWith", "endsWith", "..", "??", "not in", "not matches",
    "not contains", "not startsWith", "not endsWith",
]  # fmt: skip
UNARY = ["-", "+", "!", "not ", "--", "!!", "- -", "not not "]

FUNCTIONS = [
    "len", "type", "abs", "ceil", "floor", "round", "int", "float", "string", "trim", "trimPrefix",
    "trimSuffix", "upper", "lower", "split", "splitAfter", "replace", "repeat", "join", "indexOf",
    "lastIndexOf", "hasPrefix", "hasSuffix", "max", "min", "mean", "median", "toJSON", "fromJSON",
    "toBase64", "fromBase64", "first", "last", "get", "take", "keys", "values", "toPairs",
    "fromPairs", "reverse", "uniq", "concat", "flatten", "sort", "bitand", "bitor", "bitxor",
    "bitnand", "bitnot", "bitshl", "bitshr", "bitushr",
]  # fmt: skip
FITTING = {
    "len": ["text", "list", "map"],
    "abs": ["int", "float"],
    "split": ["text text", "text text int"],
    "splitAfter": ["text text", "text text int"],
    "trim": ["text", "text text"],
    "trimPrefix": ["text", "text text"],
    "trimSuffix": ["text", "text text"],
    "replace": ["text text text", "text text text int"],
    "repeat": ["text int"],
    "join": ["list", "list text"],
    "indexOf": ["text text"],
    "lastIndexOf": ["text text"],
    "hasPrefix": ["text text"],
    "hasSuffix": ["text text"],
    "upper": ["text"],
    "lower": ["text"],
    "max": ["int float", "list", "int int int", "list int"],
    "min": ["int float", "list", "int int int", "list int"],
    "mean": ["int float", "list", "list list"],
    "median": ["int float", "list", "list list int"],
    "get": ["list int", "map text", "text int"],
    "take": ["list int"],
    "sort": ["list", "list text"],
    "concat": ["list list", "list", "list list list"],
    "bitand": ["int int"],
    "bitor": ["int int"],
    "bitxor": ["int int"],
    "bitnand": ["int int"],
    "bitshl": ["int int"],
    "bitshr": ["int int"],
    "bitushr": ["int int"],
    "bitnot": ["int"],
    "fromJSON": ["text"],
    "toBase64": ["text"],
    "fromBase64": ["text"],
}
PREDICATES = [
    "all", "any", "none", "one", "filter", "map", "find", "findIndex", "findLast", "findLastIndex",
    "count", "sum", "groupBy", "sortBy", "reduce",
]  # fmt: skip
PREDICATE_TEXTS = [
    "#", "# > 1", "# == 'a'", "# != nil", "{# > 1}", "{ # }", ".n", ".n == 1", "#.n", "len(#)",
    "# * 2", "# + 'x'", "# in [1, 2]", "true", "false", "nil", "1", "'x'", "type(#) == 'int'",
    "#index", "#index > 0", "#acc", "#acc + #", "#acc + string(#)", "{let x = #; x}", "# ?? 0",
    "any([1], # == 1)", "map([#], # )", "string(#)", "{1; # == 2}", "#index + #acc", "# ?. n",
    ".v[0]",
    "# % 2 == 0", "-#", "not #", "# matches 'a'", "(#)", "[#, 1]", "{({'k': #})}", "#other",
    "# index",
]  # fmt: skip

NAMESPACED = [
    "strings.Atoi", "strings.Itoa", "strings.TrimQuotes", "strings.TrimSpace", "strings.ToUpper",
    "strings.ToLower", "strings.IsTruthy", "strings.IsFalsy", "json.Unmarshal", "json.Deserialize",
    "json.Marshal", "json.Serialize", "json.Sort", "util.PrefixedOverride", "util.Nullable",
    "util.SuffixInRange", "strings.Nope", "nowhere.f", "odc.GenerateEPNTopologyFullname",
]  # fmt: skip
LEGACY = [
    "Atoi", "Itoa", "TrimQuotes", "TrimSpace", "ToUpper", "ToLower", "IsTruthy", "IsFalsy",
    "FromJson", "ToJson", "PrefixedOverride", "Nullable", "SuffixInRange", "Up", "Parent", "This",
    "NoSuch",
]  # fmt: skip

ESCAPES = [
    "\\n", "\\t", "\\r", "\\a", "\\b", "\\f", "\\v", "\\\\", "\\'", '\\"', "\\`", "\\?", "\\q",
    "\\ ",
    "\\x41", "\\xe9", "\\xZZ", "\\x4", "\\X41", "\\101", "\\377", "\\400", "\\08", "\\0", "\\u00e9",
    "\\u4e16", "\\ud800", "\\u{1F600}", "\\u{}", "\\u{110000}", "\\u{1234567}", "\\u12",
    "\\U0001F600",
    "\\U00110000", "\\", "é", "世", "🎉", "a", " ", "{", "}", "'", '"', "`", "``", "\r", "\r\n",
    "//","/*",
    "\t", "\u00a0", "\u2028", "<", ">", "&", "#", "\x00", "\x7f", "\n",
]  # fmt: skip
NUMBERS = [
    "0", "00", "07", "08", "1_0", "1__0", "_1", "1_", "0x", "0x_1", "0xfF", "0XAB", "0xg", "0b101",
    "0b2",
    "0B1", "0o17", "0O7", "0o8", "0b1e1", "1.", "1.5", "1._5", ".5", "._5", "5.e2", "1e3", "1E3",
    "1e+3",
    "1e-3", "1e", "1e+", "1.5e2_0", "1e400", "-1e400", "1e-400", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775807", "0x7fffffffffffffff",
    "0xffffffffffffffff", "1.7976931348623157e308", "4.9e-324", "2.2250738585072014e-308", "1.2.3",
    "1..2", "1...2", "1.x", "1x", "0.1e1", "0e0", "000.5", "1_000.000_1",
    "123456789012345678901234567890",
    "12345678901234567890.0", "1e21", "1e20", "123456.7", "1234567.8", "0.0001", "0.00001",
    "0.000001",
    "0.0000001", "1e5", "100000.0", "1000000.0", "999999.9999999999", "0.1 + 0.2", "1/3", "2/3",
    "1e15/3",
    "5e-324 * 0.5", "1e308 * 10", "-0.0", "0 * -1.0", "1 / 0", "-1 / 0", "0 / 0", "2 ** 63",
    "2 ** -1",
    "(-8) ** (1/3)", "0 ** 0", "0 ** -1", "10 ** 20", "7 % 3", "-7 % 3", "7 % -3", "-7 % -3",
    "5 % 0",
    "(9223372036854775807 + 1)", "9223372036854775807 * 2", "-(-9223372036854775807 - 1)",
]  # fmt: skip
