"""What a table of settings is: names, types, defaults and meanings, each written once.

A table is made of an attrs class whose fields are made by `setting`. The names people write are
derived from those of the fields (`control_port` is `controlPort`), and so are the variables
(`ALIECS_CONTROLPORT`), the options (`--controlPort`), the help and the page in `docs/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs
from attrs import frozen

from aliecs.settings.value import DURATION, PORT_RANGE, Host, Kind, format_duration

T = TypeVar("T")


@frozen
class Setting:
    """One row of the table.

    `attribute` is its name in `Settings`, `key` the name people write; `variable` a plain variable
    of the environment that gives the default where it is set; `used` is false for names of the
    reference that are accepted and have no effect.
    """

    attribute: str
    key: str
    kind: Kind[Any]
    default: Any
    meaning: str
    section: str
    variable: str
    used: bool
    secret: bool

    def show(self, value: Any) -> str:
        """A value of this setting as people write it; never a secret's."""
        if self.secret and value:
            return "(not shown)"
        if self.kind is DURATION:
            return format_duration(value)
        if self.kind is PORT_RANGE:
            return "{}-{}".format(*value)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, tuple):
            return ", ".join(item.name if isinstance(item, Host) else str(item) for item in value)
        return str(value)


def setting(
    kind: Kind[T],
    default: T,
    meaning: str,
    *,
    key: str = "",
    section: str = "",
    variable: str = "",
    used: bool = True,
    secret: bool = False,
) -> T:
    """A field of a table, with all that is to be known of it. Its value where nobody sets it is
    `default`."""
    row = {
        "kind": kind,
        "meaning": " ".join(meaning.split()),
        "key": key,
        "section": section,
        "variable": variable,
        "used": used,
        "secret": secret,
    }
    return attrs.field(default=default, metadata=row, repr=not secret)


def _camel(attribute: str) -> str:
    first, *others = attribute.split("_")
    return first + "".join(word.capitalize() for word in others)


def fold(name: str) -> str:
    """What two spellings of one name have in common: case, `_`, `-` and `.` do not count."""
    return name.lower().translate({ord(mark): None for mark in "_-."})


@frozen
class Table:
    """All settings of one program: `prefix` is that of its variables of the environment, `rows`
    are in the order in which they are documented, `by_name` has them by their folded keys."""

    prefix: str
    rows: tuple[Setting, ...]
    by_name: Mapping[str, Setting]

    @classmethod
    def of(cls, kind: type[attrs.AttrsInstance], prefix: str) -> Table:
        """The table of an attrs class whose fields are made by `setting`."""
        rows = []
        section = ""
        for field in attrs.fields(kind):
            row: dict[str, Any] = dict(field.metadata)
            section = row["section"] or section
            row |= {"key": row["key"] or _camel(field.name), "section": section}
            rows.append(Setting(attribute=field.name, default=field.default, **row))
        return cls(prefix, tuple(rows), {fold(row.key): row for row in rows})
