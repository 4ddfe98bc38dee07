"""What no request may have, whatever it asks: texts without end, and characters that only a
terminal understands. `permit` looks at the request of every operation, so that nothing of the kind
reaches the journal, the events, the log or the people who read them.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from aliecs.errors import InvalidInput

LONGEST_TEXT = 10_000
"""Characters of a text that names, chooses or explains something."""
LONGEST_KEY = 1000
LONGEST_VALUE = 262_144
"""Characters of an entry of a map: a variable may hold a document."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_IN_PROSE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_PROSE = frozenset({"reason"})
"""Fields that may have lines."""
_EXPRESSIONS = frozenset({"workflowTemplate", "workflow_template"})
"""Fields whose characters are judged, and shown, by who reads the expression."""


def check_request(request: Message) -> None:
    """Raise `InvalidInput`, naming the field, where a text is too long or has control characters.
    """
    # Of the fields that are not set nothing has to be looked at.
    fields: Any = request.ListFields()
    for field, value in fields:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            _check_map(field.name, value)
        elif kind is not None:
            for one in value if field.is_repeated else (value,):
                check_request(one)
        elif field.type == FieldDescriptor.TYPE_STRING:
            for text in value if field.is_repeated else (value,):
                _check_text(field.name, text)


def _check_text(name: str, text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise InvalidInput(f"{name} has {len(text)} characters; at most {LONGEST_TEXT} are taken")
    if name not in _EXPRESSIONS:
        check_characters(name, text, has_lines=name in _PROSE)


def check_characters(name: str, text: str, has_lines: bool) -> None:
    """Raise `InvalidInput` where a text has control characters, but for the ends of lines where it
    may have some."""
    if found := (_CONTROL_IN_PROSE if has_lines else _CONTROL).search(text):
        raise InvalidInput(
            f"{name} has a control character, \\x{ord(found[0]):02x}, at position {found.start()}"
        )


def _check_map(name: str, entries: Any) -> None:
    for key, value in entries.items():
        if len(key) > LONGEST_KEY:
            raise InvalidInput(
                f"{name} has a key of {len(key)} characters; at most {LONGEST_KEY} are taken"
            )
        if isinstance(value, str) and len(value) > LONGEST_VALUE:
            raise InvalidInput(
                f"{name}: {key[:60]!r} has {len(value)} characters; at most {LONGEST_VALUE} are "
                "taken"
            )
