"""What a load finds wrong: each place and reason once, however many roles have it.

An iterator over two hundred hosts makes two hundred times the same mistake; people are told one,
with the first role and how many more there are.
"""

from __future__ import annotations

import re

from attrs import define, field

from aliecs.errors import Location, TemplateError, TemplateErrors

MOST_PROBLEMS = 100
"""Places and reasons that one load collects before it gives up."""

_NAMES = re.compile(r"\('[^()]*'\).*|'[^']*'", re.DOTALL)
"""What differs from role to role: quoted texts, and all from the arguments of a function on."""


@define
class _Found:
    error: TemplateError
    more: int = 0


@define
class Problems:
    """See the module. With `by_kind` reasons that differ in names only are the same."""

    by_kind: bool = False
    _found: dict[tuple[Location | None, str], _Found] = field(init=False, factory=dict)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def is_full(self) -> bool:
        """True when enough is known to give up."""
        return len(self._found) >= MOST_PROBLEMS

    def add(self, error: TemplateError) -> None:
        """Keep an error, or each of several."""
        if isinstance(error, TemplateErrors):
            for one in error.errors:
                self.add(one)
            return
        reason = _NAMES.sub("", error.reason) if self.by_kind else error.reason
        key = (error.location, reason)
        if key in self._found:
            self._found[key].more += 1
        else:
            self._found[key] = _Found(error)

    def errors(self) -> tuple[TemplateError, ...]:
        """What was kept, in the order in which it was found."""
        return tuple(_told(found) for found in self._found.values())


def _told(found: _Found) -> TemplateError:
    error = found.error
    if not found.more:
        return error
    more = f"{found.more} more" if error.role_path else f"{found.more + 1} times"
    path = f"{error.role_path} and {more}" if error.role_path else more
    return TemplateError(error.reason, error.location, path)
