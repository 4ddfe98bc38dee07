"""Whether a payload is what it claims to be: JSON, YAML, INI or TOML.

Only the form is looked at, never the meaning. A payload with template tags takes its form when it
is processed; until then nothing can be said of it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from aliecs.errors import InvalidInput

FORMATS = ("json", "yaml", "ini", "toml")
SUFFIXES: Mapping[str, str] = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".ini": "ini",
    ".toml": "toml",
}

TEMPLATE_TAG = re.compile(r"\{\{|\{%|\{#")

# As upstream's encoder writes them, for readers who put JSON into web pages.
_ESCAPES = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"})

_TOML_PLACE = re.compile(r" \(at line (\d+), column \d+\)$")


def indented_json(value: Any) -> str:
    """JSON as upstream writes it: indented with tabs, keys sorted."""
    text = json.dumps(value, indent="\t", sort_keys=True, ensure_ascii=False)
    return text.translate(_ESCAPES)


class _Wrong(Exception):
    """A fault and its line; 0 where that is not known."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def format_of(name: str) -> str:
    """The format that the name of a file tells; empty where it tells none."""
    return next((kind for end, kind in SUFFIXES.items() if name.lower().endswith(end)), "")


def check_payload(path: str, payload: str, format: str) -> list[str]:
    """Check that `payload`, to be stored under `path`, is of a format (one of `FORMATS`, upper and
    lower case alike; empty: not checked).

    Gives notes for a person about what could not be checked. Raises `InvalidInput` with the line
    where it is not of that format.
    """
    kind = format.lower().strip()
    if not kind:
        return []
    if kind == "yml":
        kind = "yaml"
    if kind not in _CHECKS:
        raise InvalidInput(
            f"{format!r} is no format that payloads are checked as; there are {', '.join(FORMATS)}"
        )
    try:
        _CHECKS[kind](payload)
    except _Wrong as wrong:
        tag = TEMPLATE_TAG.search(payload)
        if tag is not None:
            line = payload.count("\n", 0, tag.start()) + 1
            return [
                f"it is a template ({tag[0]} in line {line}) and no {kind.upper()} before it is "
                "processed: its form was not checked"
            ]
        place = f"{path}:{wrong.line}" if wrong.line else path
        raise InvalidInput(f"{place}: not {kind.upper()}: {wrong.reason}") from None
    return []


def _json(payload: str) -> None:
    try:
        json.loads(payload)
    except json.JSONDecodeError as error:
        raise _Wrong(error.msg, error.lineno) from None
    except RecursionError:
        raise _Wrong("it is nested too deeply") from None


def _yaml(payload: str) -> None:
    try:
        # Events only: nothing is built, whatever anchors would multiply.
        for _ in yaml.parse(payload, yaml.CSafeLoader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Wrong(error.problem or "", mark.line + 1 if mark else 0) from None
    except yaml.YAMLError as error:
        raise _Wrong(" ".join(str(error).split())) from None


def _toml(payload: str) -> None:
    try:
        tomllib.loads(payload)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        raise _Wrong(_TOML_PLACE.sub("", str(error)), int(place[1]) if place else 0) from None
    except RecursionError:
        raise _Wrong("it is nested too deeply") from None


def _ini(payload: str) -> None:
    """Sections, `key = value`, comments after `;` or `#`: what the readout programs take."""
    section = ""
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(payload.splitlines(), 1):
        text = line.strip()
        if not text or text[0] in ";#":
            continue
        if text[0] == "[":
            if text[-1] != "]":
                raise _Wrong("a section's name ends in ]", number)
            section = name = text[1:-1].strip()
            key = (section, "")
        else:
            name, equals, _ = text.partition("=")
            name = name.strip()
            if not equals or not name:
                raise _Wrong("neither [section] nor key = value", number)
            key = (section, name)
        if key in seen:
            raise _Wrong(f"{name} is there twice", number)
        seen.add(key)


_CHECKS: Mapping[str, Callable[[str], None]] = {
    "json": _json,
    "yaml": _yaml,
    "ini": _ini,
    "toml": _toml,
}
