"""The kinds of values that requests of REST have, in their queries and in their bodies.

A kind knows its JSON schema, how it is written in a query, and how it stands in a body, so that
what the document of the API says of a value is what is checked. Each refuses what it cannot be with
`InvalidInput`, naming the value and what it can be. Of a parameter that is given several times the
last counts, but for lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from attrs import frozen

from aliecs.api.request import nothing_left
from aliecs.api.validation import LONGEST_KEY, check_characters
from aliecs.errors import InvalidInput
from aliecs.protocol.identifier import ALPHABET, is_identifier

LARGEST_NUMBER = 1_000_000
LONGEST_TEXT = 1000
NO_CONTROL = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
PROSE = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
MOST_TEXTS = 10_000
"""Of a list in a body."""
MOST_IN_QUERY = 100

T_co = TypeVar("T_co", covariant=True)


class Kind(Protocol[T_co]):
    """What a value is."""

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""

    def from_texts(self, name: str, texts: Sequence[str]) -> T_co:
        """The value as it is written in a query, at least once."""

    def from_json(self, name: str, value: Any) -> T_co:
        """The value as it stands in a body."""


def _refused(name: str, value: object, can_be: str) -> InvalidInput:
    shown = repr(value)
    if len(shown) > 80:
        shown = f"{shown[:80]}..."
    return InvalidInput(f"{name} is {shown}; it {can_be}")


@frozen
class Text:
    """Any text of at most so many characters, and at least so many, without control characters but
    those that end lines where it has some."""

    longest: int = LONGEST_TEXT
    shortest: int = 0
    has_lines: bool = False
    any_character: bool = False

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        least: dict[str, Any] = {"minLength": self.shortest} if self.shortest else {}
        if not self.any_character:
            least["pattern"] = PROSE if self.has_lines else NO_CONTROL
        return {"type": "string", "maxLength": self.longest, **least}

    def from_texts(self, name: str, texts: Sequence[str]) -> str:
        """See `Kind`."""
        return self.from_json(name, texts[-1])

    def from_json(self, name: str, value: Any) -> str:
        """See `Kind`."""
        if not isinstance(value, str) or len(value) > self.longest:
            raise _refused(name, value, f"has to be a text of at most {self.longest} characters")
        if len(value) < self.shortest:
            raise InvalidInput(f"{name} is missing")
        if not self.any_character:
            check_characters(name, value, self.has_lines)
        return value


@frozen
class Identifier:
    """The id of an environment, or nothing."""

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "string", "pattern": f"^[{ALPHABET}]*$"}

    def from_texts(self, name: str, texts: Sequence[str]) -> str:
        """See `Kind`."""
        return self.from_json(name, texts[-1])

    def from_json(self, name: str, value: Any) -> str:
        """See `Kind`."""
        if not isinstance(value, str) or (value and not is_identifier(value)):
            raise _refused(name, value, "has letters and digits of base58 only")
        return value


@frozen
class Choice:
    """One of several words; with `any_case`, in small letters as well as in capitals."""

    words: Sequence[str]
    any_case: bool = False

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "string", "enum": list(self.words)}

    def from_texts(self, name: str, texts: Sequence[str]) -> str:
        """See `Kind`."""
        text = texts[-1]
        word = text.strip().upper() if self.any_case else text
        if word not in self.words:
            raise _refused(name, text, f"can be {', '.join(self.words)}")
        return word

    def from_json(self, name: str, value: Any) -> str:
        """See `Kind`."""
        if not isinstance(value, str):
            raise _refused(name, value, f"can be {', '.join(self.words)}")
        return self.from_texts(name, [value])


@frozen
class Flag:
    """True or false, and nothing that could be meant as either."""

    only_true: bool = False

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "boolean", **({"const": True} if self.only_true else {})}

    def from_texts(self, name: str, texts: Sequence[str]) -> bool:
        """See `Kind`."""
        word = texts[-1].lower()
        if word in ("true", "false"):
            return self.from_json(name, word == "true")
        raise _refused(name, word, "can be true or false")

    def from_json(self, name: str, value: Any) -> bool:
        """See `Kind`."""
        if not isinstance(value, bool) or (self.only_true and not value):
            raise _refused(name, value, "can be true" + ("" if self.only_true else " or false"))
        return value


@frozen
class Number:
    """A whole number, from `least` to `most`."""

    least: int = 0
    most: int = LARGEST_NUMBER

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def from_texts(self, name: str, texts: Sequence[str]) -> int:
        """See `Kind`."""
        text = texts[-1]
        digits = text.removeprefix("-")
        # Digits of other scripts are digits to `int`, but to nobody else.
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
            raise _refused(name, text, f"has to be a number from {self.least} to {self.most}")
        return self.from_json(name, int(text))

    def from_json(self, name: str, value: Any) -> int:
        """See `Kind`."""
        # To JSON 1.0 is the same number as 1.
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if type(number) is not int or not self.least <= number <= self.most:
            raise _refused(name, value, f"has to be a number from {self.least} to {self.most}")
        return number


@frozen
class Seconds:
    """A time in seconds, which may have a fraction."""

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "number", "minimum": 0}

    def from_texts(self, name: str, texts: Sequence[str]) -> float:
        """See `Kind`."""
        text = texts[-1]
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            raise _refused(name, text, "has to be a number of seconds")
        return seconds

    def from_json(self, name: str, value: Any) -> float:
        """See `Kind`."""
        if type(value) not in (int, float) or not 0 <= value < float("inf"):
            raise _refused(name, value, "has to be a number of seconds")
        return float(value)


@frozen
class Texts:
    """Texts: a list in a body, the parameter several times in a query."""

    most: int = MOST_TEXTS

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        item = Text(shortest=1).schema()
        return {"type": "array", "items": item, "maxItems": self.most}

    def from_texts(self, name: str, texts: Sequence[str]) -> list[str]:
        """See `Kind`."""
        return self.from_json(name, list(texts))

    def from_json(self, name: str, value: Any) -> list[str]:
        """See `Kind`."""
        if not isinstance(value, list) or len(value) > self.most:
            raise _refused(name, value, f"has to be a list of at most {self.most} texts")
        item = Text(shortest=1)
        return [item.from_json(f"{name}[{place}]", one) for place, one in enumerate(value)]


@frozen
class Names:
    """Some of these names, with commas between them."""

    names: Sequence[str]

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        item = {"type": "string", "enum": list(self.names)}
        return {"type": "array", "items": item, "minItems": 1}

    def from_texts(self, name: str, texts: Sequence[str]) -> list[str]:
        """See `Kind`."""
        return self.from_json(name, [one for text in texts for one in text.split(",")])

    def from_json(self, name: str, value: Any) -> list[str]:
        """See `Kind`."""
        if not isinstance(value, list):
            raise _refused(name, value, "has to be a list of names")
        if unknown := [one for one in value if one not in self.names]:
            raise _refused(name, unknown[0], f"can be {', '.join(self.names)}")
        return value


@frozen
class Variables:
    """Variables are texts; other JSON values become their JSON text, as lists and maps do."""

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {
            "type": "object",
            "additionalProperties": True,
            "propertyNames": {"maxLength": LONGEST_KEY},
            "description": "Texts; other values become their JSON text.",
        }

    def from_texts(self, name: str, texts: Sequence[str]) -> dict[str, str]:
        """See `Kind`."""
        raise _refused(name, texts[-1], "has no place in a query")

    def from_json(self, name: str, value: Any) -> dict[str, str]:
        """See `Kind`."""
        if not isinstance(value, dict):
            raise InvalidInput(f"{name} is not a JSON object")
        return {
            str(key): item if isinstance(item, str) else msgspec.json.encode(item).decode()
            for key, item in value.items()
        }


@frozen
class Template:
    """A workflow: `"<expression>"`, or `{repository, name, revision}`."""

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        text = Text(any_character=True).schema()
        name = Text(shortest=1, any_character=True).schema()
        return {
            "description": "A workflow expression, or its parts.",
            "oneOf": [
                name,
                {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"repository": text, "name": name, "revision": text},
                    "additionalProperties": False,
                },
            ],
        }

    def from_texts(self, name: str, texts: Sequence[str]) -> str:
        """See `Kind`."""
        return self.from_json(name, texts[-1])

    def from_json(self, name: str, value: Any) -> str:
        """See `Kind`."""
        if isinstance(value, str) and value:
            return Text(any_character=True).from_json(name, value)
        if isinstance(value, Mapping) and value.get("name"):
            nothing_left(value, "repository", "name", "revision")
            part = Text(any_character=True)
            expression = part.from_json(f"{name}.name", value["name"])
            if repository := part.from_json(f"{name}.repository", value.get("repository", "")):
                expression = f"{repository}/workflows/{expression}"
            if revision := part.from_json(f"{name}.revision", value.get("revision", "")):
                expression = f"{expression}@{revision}"
            return expression
        raise InvalidInput(f"{name} is missing: a workflow expression, or an object with a name")
