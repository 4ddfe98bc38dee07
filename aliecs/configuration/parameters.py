"""The parameters of a payload's address, `process=true&detector=TPC`: how the payload is asked for.

Written in the addresses of task commands and DPL commands. Percent-escapes are understood, so that
any value can be passed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from attrs import frozen

from aliecs.errors import InvalidInput

PROCESS = "process"
"""The parameter that is no variable: whether the payload is processed as a template."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


@frozen
class Parameters:
    """How a payload is asked for."""

    process: bool
    variables: Mapping[str, str]


def parse_parameters(text: str) -> Parameters:
    """The parameters of a query string without its question mark. Raises `InvalidInput` for an
    empty one, for parameters without a value or of one name, and for a `process` that is neither
    true nor false; true where it is not given."""
    values: dict[str, str] = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if not _NAME.fullmatch(name) or not value:
            raise InvalidInput(f"{text!r}: {pair!r} is no parameter, which is name=value")
        if name in values:
            raise InvalidInput(f"{text!r}: the parameter {name!r} is there twice")
        values[name] = unquote(value)
    process = values.pop(PROCESS, "true")
    if process not in _TRUE | _FALSE:
        raise InvalidInput(f"{text!r}: {PROCESS} is {process!r}; it can be true or false")
    return Parameters(process in _TRUE, values)
