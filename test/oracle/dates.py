"""Cases of the `{{ }}` language about dates, durations and zones.

Everything is fixed: `now` comes only in questions whose answer is always the same, and no text is
in a zone that a host may have, since what a date without a zone means depends on the host.
"""

from __future__ import annotations

from random import Random

from test.oracle.constructs import braced

DATES = [
    "date('2024-01-02')",
    "date('2024-02-29T23:59:59.999999999Z')",
    "date('1999-12-31 23:59:59.5')",
    "date('2024-07-02T10:20:30.123456789+02:17')",
    "date('1969-12-31T23:59:59.25Z')",
    "date('2024-07-02 10:30', '2006-01-02 15:04', 'Europe/Zurich')",
    "date('2024-12-02 22:30', '2006-01-02 15:04', 'America/New_York')",
    "date('2024-03-31T02:30', '2006-01-02T15:04', 'Europe/Zurich')",
    "date(timezone('Asia/Kolkata'), '2021-01-03 04:05:06')",
    "date('15:04:05')",
    "date('0001-01-01')",
    "date('9999-12-31')",
    "(date('2024-01-02') + duration('36h'))",
    "[date('2020-05-06'), 1][0]",
    "date('1850-06-01 12:00', '2006-01-02 15:04', 'Europe/Zurich')",
]
DURATIONS = [
    "duration('0')",
    "duration('1ns')",
    "duration('-1.5us')",
    "duration('250ms')",
    "duration('1h30m')",
    "duration('-2h45m30.5s')",
    "duration('36h')",
    "duration('7m')",
    "duration('168h')",
    "duration('2562047h47m16.854775807s')",
    "duration('-2562047h47m16.854775808s')",
    "(date('2024-03-01') - date('2024-02-01'))",
    "[duration('90m'), 'a'][0]",
    "(duration('1h') * 3)",
]
ZONES = [
    "timezone('UTC')",
    "timezone('')",
    "timezone('Europe/Zurich')",
    "timezone('America/New_York')",
    "timezone('Asia/Tokyo')",
    "timezone('Asia/Kolkata')",
    "timezone('America/Sao_Paulo')",
    "[timezone('Asia/Tokyo'), 1][0]",
]
NUMBERS = [
    "date('2024-01-02').Unix()",
    "date('1970-01-01T00:00:02Z').Unix()",
    "date('1960-05-06').UnixMilli()",
    "date('2024-02-02').Month()",
    "date('2024-02-02').Weekday()",
    "duration('90m').Hours()",
    "duration('1.5s').Milliseconds()",
    "date('2024-02-02').YearDay()",
    "date('2024-02-02').Year()",
]
OTHERS = [
    "1",
    "2",
    "-3",
    "0.5",
    "'a'",
    "'2024-01-02'",
    "nil",
    "true",
    "[1]",
    "{'a': 1}",
    "json.Unmarshal('2')",
    "json.Unmarshal('null')",
    "nowhere",
    "a",
    "[2, 'a'][0]",
]
TIMES = [*DATES, *DURATIONS, *ZONES, *NUMBERS]

LAYOUT_PARTS = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "06", "01", "1", "02", "_2", "2", "002",
    "__2", "15", "03", "3", "04", "4", "05", "5", "PM", "pm", "-0700", "-07:00", "-07", "-070000",
    "-07:00:00", "Z0700", "Z07:00", "Z07", "Z070000", "Z07:00:00", ".000", ",000000", ".999",
    ".999999999", ".00", "05.000", "05,99", "05.0000000000",
]  # fmt: skip
SEPARATORS = [" ", "-", "/", ":", "", "T", ", ", "  ", "x", "é", "_", "0", ".", "of the "]
USUAL = [
    "2006-01-02", "15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST", "02 Jan 06 15:04 -0700", "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST", "Mon, 02 Jan 2006 15:04:05 -0700", "Jan _2 15:04:05",
    "Mon Jan _2 15:04:05 2006", "3:04PM", "2006-01-02T15:04:05.999999999Z07:00", "20060102T150405",
    "02.01.2006 15h04", "2006-002", "__2 2006", "Jan 2, 2006 at 3:04pm (MST)", "2006-01-02T15:04",
]  # fmt: skip


def _digits(random: Random, low: int, high: int, width: int = 2) -> str:
    number = random.randint(low, high)
    return str(number) if random.random() < 0.1 else f"{number:0{width}d}"


_WRITTEN = {
    "January": ["January", "february", "MARCH", "Decembre", "May"],
    "Jan": ["Jan", "feb", "MAR", "Xyz", "May"],
    "Monday": ["Monday", "sunday", "Mon"],
    "Mon": ["Mon", "SUN", "Mo"],
    "MST": ["XYZ", "ABCDT", "WITA", "ABCD", "ChST", "GMT+3", "GMT-11", "+07", "UTC", "xy", "XYZT"],
    "PM": ["AM", "PM", "pm"],
    "pm": ["am", "pm", "AM"],
    "_2": [" 5", "17", "5", "31"],
    "__2": ["  5", " 60", "360", "5", "366"],
    "2006": ["2024", "1999", "0001", "9999", "24", "20245"],
    "06": ["24", "69", "68", "00", "1"],
    "-0700": ["-0743", "+0217", "+2417", "+2517", "0217", "+02:17", "Z"],
    "-07:00": ["-07:43", "+02:17", "+0217", "-00:61", "Z"],
    "-07": ["+23", "-19", "+2", "+25"],
    "-070000": ["+021730", "-074301", "+0217"],
    "-07:00:00": ["+02:17:30", "-00:00:30", "+02:17"],
    "Z0700": ["Z", "+0217", "z"],
    "Z07:00": ["Z", "-07:43", "+07"],
    "Z07": ["Z", "-19"],
    "Z070000": ["Z", "+021730"],
    "Z07:00:00": ["Z", "+02:17:30"],
    ".000": [".123", ".5", ",123", ".1234", ""],
    ",000000": [",123456", ".123456", ",5"],
    ".999": [".1", ".123456789", "", ",5"],
    ".999999999": [".1", ".123456789", "", ".1234567891"],
    ".00": [".12", ".1"],
    "05.000": ["07.125", "07,125", "07.5", "07"],
    "05,99": ["07,5", "07", "7.5"],
    "05.0000000000": ["07.1234567891", "07.123456789"],
}  # fmt: skip


def _written(random: Random, part: str) -> str:
    """A text for a part of a layout, usually a right one."""
    if part in _WRITTEN:
        weights = [6, *[1] * (len(_WRITTEN[part]) - 1)]
        return random.choices(_WRITTEN[part], weights)[0]
    high = {"01": 13, "1": 13, "02": 31, "2": 31, "15": 24, "03": 13, "3": 13}
    if part == "002":
        return _digits(random, 0, 367, 3)
    return _digits(random, 0 if part in ("15", "03", "3") else 1, high.get(part, 60))


def _like(random: Random, layout: str) -> str:
    """A text in the manner of one of the usual layouts."""
    for part in ("2006", "January", "Monday", "Z07:00", "-0700", ".999999999", "MST", "15", "__2",
                 "002", "_2"):  # fmt: skip
        layout = layout.replace(part, f"\0{part}\0")
    pieces = layout.split("\0")
    text = ""
    for position, piece in enumerate(pieces):
        if position % 2:
            text += _written(random, piece)
            continue
        for part in ("Mon", "Jan", "02", "01", "04", "05", "06", "03", "PM", "pm"):
            while part in piece:
                before, _, after = piece.partition(part)
                piece = before + _written(random, part) + after
                if part in ("PM", "pm", "Mon", "Jan") or random.random() < 0.95:
                    break
        text += piece
    return text


def text(random: Random) -> str:
    """Texts that may be dates in one of the layouts that need not be named."""
    written = _like(random, random.choice(USUAL))
    if random.random() < 0.1 and written:
        at = random.randrange(len(written))
        written = written[:at] + random.choice(["", " ", "0", "x", ":"]) + written[at + 1 :]
    form = random.choice(["date('{}')"] * 6 + ["date('{}').String()", "[date('{}')]",
        "date(timezone('Asia/Tokyo'), '{}')", "'{}' | date()", "toJSON(date('{}'))"])  # fmt: skip
    return braced(form.format(written))


def layout(random: Random) -> str:
    """Dates that are written and read by a layout."""
    parts = [random.choice(LAYOUT_PARTS) for _ in range(random.randint(1, 5))]
    between = [random.choice(SEPARATORS) for _ in parts]
    if random.random() < 0.4:
        pattern = "".join(part + gap for part, gap in zip(parts, between, strict=True))
        return braced(f"{random.choice(DATES)}.Format('{pattern}')")
    if random.random() < 0.5:
        shown = random.choice(USUAL)
        written = _like(random, shown)
    else:
        shown = "".join(part + gap for part, gap in zip(parts, between, strict=True))
        written = "".join(
            _written(random, part) + gap for part, gap in zip(parts, between, strict=True)
        )
    zone = random.choice(["", "", ", 'Asia/Tokyo'", ", 'UTC'", ", 'Europe/Zurich'", ", 'Nowhere'"])
    first = random.choice(["", "", "", "timezone('Asia/Tokyo'), "])
    return braced(f"date({first}'{written}', '{shown}'{zone})")


_DATE_METHODS = [
    "Year()", "Month()", "Day()", "Hour()", "Minute()", "Second()", "Nanosecond()", "Unix()",
    "UnixMilli()", "UnixMicro()", "UnixNano()", "Weekday()", "YearDay()", "IsZero()", "IsDST()",
    "UTC()", "String()", "Location()", "Zone()", "ISOWeek()", "Month().String()",
    "Weekday().String()", "Location().String()", "Unix() + 1", "Clock()", "Date()", "Nope()",
    "Nope", "year()", "__class__", "seconds", "Year(1)", "Format()", "Format(1)", "Format(nil)",
    "Format(nowhere)", "In('UTC')", "In(nil)", "AddDate(1, 2)", "AddDate('a', 1, 1)", "Add(5)",
    "AddDate(1, [nil, 1][0], 0)", "Year() % 4", "Hour() + 0.5", "Location().Nope()",
]  # fmt: skip
_DURATION_METHODS = [
    "Hours()", "Minutes()", "Seconds()", "Milliseconds()", "Microseconds()", "Nanoseconds()",
    "String()", "Abs()", "Nope()", "Nope", "hours()", "number", "Round(5)", "Hours(1)",
    "Abs().Abs()",
    "Round()", "Hours() / 2", "Milliseconds() % 7", "Seconds() ** 2",
]  # fmt: skip


def _date_method(random: Random) -> str:
    kind = random.randrange(6)
    if kind == 0:
        name = random.choice(["Before", "After", "Equal", "Compare", "Sub"])
        return f"{name}({random.choice([*DATES, *DATES, *OTHERS, *DURATIONS])})"
    if kind == 1:
        name = random.choice(["Add", "Round", "Truncate"])
        return f"{name}({random.choice([*DURATIONS * 3, *OTHERS, *DATES])})"
    if kind == 2:
        numbers = ", ".join(str(random.choice([0, 0, 1, -1, 13, 31, -400])) for _ in range(3))
        return f"AddDate({numbers})"
    if kind == 3:
        return f"In({random.choice(ZONES)})"
    return random.choice(_DATE_METHODS)


def method(random: Random) -> str:
    """A method of a value, or two in a row."""
    if random.random() < 0.6:
        base, said = random.choice(DATES), _date_method(random)
        if random.random() < 0.2:
            said = f"In({random.choice(ZONES)}).{said}"
    else:
        base = random.choice(DURATIONS)
        said = random.choice(_DURATION_METHODS)
        if random.random() < 0.4:
            said = f"{random.choice(['Round', 'Truncate'])}({random.choice(DURATIONS)})"
    if random.random() < 0.05:
        base = random.choice([*ZONES, *NUMBERS, *OTHERS])
    form = random.choice(["{}.{}"] * 12 + ["{}?.{}", "type({}.{})", "[{}.{}]", "string({}.{})",
        "false ? {}.{} : 2", "let t = {}; t.{}", "map([{}], #.{})", "map([{}, 1], .{})",
        "{{'k': {}.{}}}", "json.Marshal([{}.{}])"])  # fmt: skip
    if said.endswith("Location()") and form == "string({}.{})":
        form = "{}.{}"
    return braced(form.format(base, said))


_OPERATORS = [
    "+", "-", "*", "/", "%", "**", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "??", "..",
    "&&", "contains", "matches",
]  # fmt: skip


def operator(random: Random) -> str:
    """One operator between two values, at least one of which is about time."""
    kind = random.randrange(5)
    if kind == 0:
        left, right = random.choice(DATES), random.choice(DATES)
        word = random.choice(["-", "==", "!=", "<", ">", "<=", ">=", "+"])
    elif kind == 1:
        left, right = random.choice(DATES), random.choice(DURATIONS)
        if random.random() < 0.3:
            left, right = right, left
        word = random.choice(["+", "-", "+", "-", "<", "==", "*"])
    elif kind == 2:
        left, right = random.choice(DURATIONS), random.choice(DURATIONS)
        word = random.choice(["+", "-", "*", "==", "!=", "<", ">", "<=", ">=", "/", "%"])
    elif kind == 3:
        left, right = random.choice(DURATIONS), random.choice([*NUMBERS, *OTHERS])
        if random.random() < 0.5:
            left, right = right, left
        word = random.choice(["*", "*", "*", *_OPERATORS])
    else:
        # What an alternative makes of a zone prints Go's innards.
        times = [*DATES, *DURATIONS, *NUMBERS, *ZONES]
        left, right = random.choice(times), random.choice([*TIMES, *OTHERS])
        word = random.choice(_OPERATORS)
        if word == "??" and "timezone" in left + right:
            word = "=="
    said = f"{left} {word} {right}"
    if word in ("in", "not in"):
        extra = random.choice(["", "", ", 1", ", nil"])
        said = random.choice([f"{left} {word} [{right}{extra}]", f"{right} {word} {left}"])
    form = random.choice(["{}"] * 8 + ["[{}]", "type({})", "string({})", "false ? {} : 2",
        "{{'k': {}}}", "({}) == nil"])  # fmt: skip
    return braced(form.format(said) if "timezone" not in said else said)


_ALONE = [
    "type({})", "[{}]", "[{}, 1]", "{{'k': {}}}", "{{'k': [{}]}}", "toJSON({})", "toJSON([{}])",
    "json.Marshal({})", "json.Marshal({{'k': {}}})", "int({})", "float({})", "len({})", "abs({})",
    "ceil({})", "floor({})", "round({})", "max({})", "mean({})", "-{}", "not {}", "{}[0]", "{}[0:]",
    "{}.x", "upper({})", "strings.ToUpper({})", "ToUpper({})", "strings.Itoa({})", "Itoa({})",
    "{} == nil", "{} ? 1 : 2", "{} matches 'a'", "bitand({}, 1)", "bitnot({})", "[1, 2, 3][{}]",
    "[1, 2, 3][{}:]", "take([1, 2, 3], {})", "get([1, 2, 3], {})", "repeat('a', {})", "1..{}",
    "{{'a': 1}}[{}]", "get({{'a': 1}}, {})", "get({}, 'a')", "{{({}): 1}}", "keys({{'a': {}}})",
    "values({{'a': {}}})", "toPairs({{'a': {}}})", "fromPairs([[{}, 1]])", "flatten([[{}]])",
    "let x = {}; x", "true ? {} : 1", "string({{'k': {}}})", "'a' in {}", "1 in {}", "sum([{}])",
    "{} | string()", "{} | type()", "json.Sort([{}])", "join([{}])", "date({})", "duration({})",
    "timezone({})", "now({}) > date('2000-01-01')", "date({}, '2006')", "date({}, '2006-01-02')",
    "Up({})", "toBase64({})", "find([{}], # != nil)", "first([{}])", "reverse([1, {}])",
    "string({})", "split({}, 'a')", "fromJSON({})", "map([1], {})", "any([1], {})",
    "filter([1], {})",
]  # fmt: skip
_TOGETHER = [
    "sort([{}, {}])", "sort([{}, {}], 'desc')", "sortBy([{}, {}], #)",
    "sortBy([{}, {}], #, 'desc')",
    "max({}, {})", "min({}, {})", "max([{}, {}])", "min({}, [{}])", "mean({}, {})",
    "mean([{}, {}])",
    "median({}, {})", "median([{}, {}], 3)", "sum([{}, {}])", "sum([{}, {}], #)", "uniq([{}, {}])",
    "groupBy([{}, {}], #)", "groupBy([{}, {}], string(#))", "reduce([{}, {}], #acc + #)",
    "reduce([{}, {}], #acc + #, duration('0'))", "concat([{}], [{}])", "[{}] == [{}]",
    "{{'a': {}}} == {{'a': {}}}", "true ? {} : {}", "[{}, {}]", "fromPairs([[{}, {}]])",
    "[{}, {}][0] + 'a'", "false ? [{}, {}][0] + 'a' : 2", "false ? (true ? {} : {}) + 'a' : 2",
    "map([{}, {}], type(#))", "filter([{}, {}], # > duration('1h'))",
    "find([{}, {}], # < date('2024-01-01'))", "map([{}, {}], #.String())",
    "filter([{}, {}], .Hours() > 1)", "{} in [{}]", "flatten([[{}], [{}]])",
]  # fmt: skip
_ALWAYS = [
    "now() > date('2000-01-01')", "type(now())", "now().Year() > 2000",
    "now() - now() < duration('1h')",
    "now().Location()", "now(timezone('UTC')).Location()", "type(now() - now())", "now(1)",
    "now(nil)",
    "now(timezone('Asia/Tokyo')).Zone()", "now().Sub(now()).Hours() < 1", "now",
    "now().In(timezone('UTC')).Location()", "now().Add(duration('1h')) > now()", "date", "duration",
    "type(duration)", "let date = 1; 2", "let now = 1; 2", "let f = date; f('2024-01-02')",
    "$env.now",
    "now() == now().AddDate(0, 0, 1)", "len(now().Format('2006'))", "now().IsZero()", "now().Nope",
    "date()", "date('1', '2', '3', '4')", "date(timezone('UTC'))", "duration()", "timezone()",
    "timezone('Nowhere')", "timezone('../UTC')", "duration('1h', '2h')", "timezone('a', 'b')",
    "date(timezone('UTC'), '24', '06', 'Asia/Tokyo')",
    "date(timezone('UTC'), '24', '06', 'x', 'y')",
    "map(['1h', '2m'], duration(#))", "map(1..3, duration(string(#) + 'h'))", "now(1, 2)",
]  # fmt: skip


def function(random: Random) -> str:
    """Functions and constructs that get values about time."""
    kind = random.random()
    if kind < 0.1:
        return braced(random.choice(_ALWAYS))
    if kind < 0.55:
        form = random.choice(_ALONE)
        value = random.choice([*DATES, *DURATIONS, *ZONES, *NUMBERS])
        shows_innards = form.startswith(("string({})", "{} | string")) and "timezone" in value
        return braced(form.format(value if not shows_innards else DATES[0]))
    pool = random.choice([DATES, DATES, DURATIONS, DURATIONS, NUMBERS, [*DATES, *DURATIONS],
        [*DURATIONS, *NUMBERS, *OTHERS], [*DATES, *OTHERS]])  # fmt: skip
    return braced(random.choice(_TOGETHER).format(random.choice(pool), random.choice(pool)))


def duration_text(random: Random) -> str:
    """Texts that may be durations."""
    pieces = ""
    for _ in range(random.choice([1, 1, 2, 3])):
        number = random.choice(["1", "0", "90", "1.5", ".5", "5.", "0.1234567890123456789", "007",
            "1000000", "2562047", "9223372036854775807", "1.0000000001", "999", "3.7", ".", "",
            "106751991167300", "59.999999999"])  # fmt: skip
        pieces += number + random.choice(["ns", "us", "µs", "μs", "ms", "s", "m", "h", "h", "m",
            "s", "", "d", " s", "H"])  # fmt: skip
    written = random.choice(["", "", "", "-", "+", "--", " "]) + pieces
    form = random.choice(["duration('{}')"] * 6 + ["duration('{}').Seconds()", "-duration('{}')",
        "duration('{}').Hours()", "[duration('{}')]", "duration('{}').Abs()", "'{}' | duration()",
        "duration('{}').Round(duration('1m'))", "string(duration('{}'))",
        "duration('{}').Truncate(duration('1ms'))", "duration('{}') * 2"])  # fmt: skip
    return braced(form.format(written))
