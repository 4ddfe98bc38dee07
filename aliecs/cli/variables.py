"""Variables as people give them to `coconut`: `-e key=value,key=value` or a JSON object, and
configuration payloads (`-c`)."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from aliecs.errors import InvalidInput

_BLANKS_AND_QUOTES = " \t\"'"


def parse_variables(text: str) -> dict[str, str]:
    """The variables of an `--extra-vars` text.

    A JSON object, whose values that are no texts are taken as JSON texts; else fields separated by
    commas, each with exactly one `=`, in double quotes where it has commas itself. Raises
    `InvalidInput`, also for a blank text.
    """
    text = text.strip()
    if not text:
        raise InvalidInput("the variables are empty: leave the option out, or write key=value")
    try:
        value = json.loads(text)
    except ValueError:
        return _assignments(text)
    if not isinstance(value, dict):
        raise InvalidInput(
            f"cannot parse the variables: {text} is JSON, but no object of names and values"
        )
    return as_texts(value)


def as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """JSON values as variables: texts as they are, everything else as compact JSON."""
    return {
        str(key): value
        if isinstance(value, str)
        else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        for key, value in values.items()
    }


def _assignments(text: str) -> dict[str, str]:
    variables = {}
    try:
        fields = next(csv.reader([text.splitlines()[0]], strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise InvalidInput(f"cannot parse the variables {text!r}: {error}") from None
    for assignment in fields:
        key, _, value = assignment.partition("=")
        if len(assignment) < 3 or assignment.count("=") != 1 or '"' in assignment[1:-1]:
            raise InvalidInput(
                f"invalid variable assignment {assignment!r}: write key=value, or all variables as "
                "a JSON object where a value is empty or has = or quotes in it"
            )
        variables[key.strip(_BLANKS_AND_QUOTES)] = value.strip(_BLANKS_AND_QUOTES)
    return variables


@frozen
class Payload:
    """A saved configuration of an environment: the template's name and its variables."""

    workflow: str
    variables: Mapping[str, str]


def parse_payload(text: str, name: str) -> Payload:
    """A configuration payload (JSON); `name` is where it came from. Raises `InvalidInput`."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("variables") or {}, dict):
        raise InvalidInput(f"{name} is no object with workflow and variables")
    return Payload(str(value.get("workflow") or ""), as_texts(value.get("variables") or {}))
