"""Putting values of the `{{ }}` language in order. Shared by `builtin` and `predicate`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aliecs.language.date import Date, Duration
from aliecs.language.value import ExpressionError, is_number


def ordered(name: str, keyed: Iterable[tuple[Any, Any]], order: Any) -> list[Any]:
    """The second of each pair, by the first: all texts, all numbers, all dates, or all
    durations."""
    if order not in ("asc", "desc"):
        raise ExpressionError(f"{name} takes the order asc or desc, not {order!r:.40}")
    pairs = list(keyed)
    keys = [key for key, _ in pairs]
    kinds = set(map(type, keys))
    is_alike = kinds <= {str} or kinds == {Duration} or all(map(is_number, keys))
    if kinds == {Date}:
        is_alike, pairs = True, [(key.total_ns, value) for key, value in pairs]
    if len(pairs) > 1 and not is_alike:
        raise ExpressionError(f"{name} takes strings or numbers, not a mixture")
    if len(pairs) > 1:
        pairs.sort(key=lambda pair: pair[0], reverse=order == "desc")
    return [value for _, value in pairs]
