"""Comparisons of the `{{ }}` language, with the types that may be compared.

Two known types that do not go together are refused before anything runs. Called by `compilation`.
"""

from __future__ import annotations

from aliecs.language import operation
from aliecs.language.evaluation import UNKNOWN, Code, Part, applied, demand, element_type
from aliecs.language.value import ExpressionError, contains, equal

ORDERINGS = ("<", ">", "<=", ">=")


def _comparable(first: str, second: str) -> bool:
    numbers = ("int", "float")
    if UNKNOWN in (first, second) or "nil" in (first, second):
        return True
    if first.startswith("array") and second.startswith("array"):
        return True
    return first == second or (first in numbers and second in numbers)


def compared(words: list[str], left: Part, right: Part) -> Part:
    """One comparison of two parts."""
    word = words[-1]
    run: Code
    if word in ("==", "!="):
        if not _comparable(left.type, right.type):
            raise ExpressionError(f"'{word}' cannot take {left.type} and {right.type}")
        run = applied(equal, left.run, right.run)
    elif word == "in":
        _demand_container(left, right)
        run = applied(lambda item, container: contains(container, item), left.run, right.run)
    elif word in ORDERINGS:
        for part in (left, right):
            demand(part, (UNKNOWN, "int", "float", "string"), f"'{word}' cannot take")
        if not _comparable(left.type, right.type):
            raise ExpressionError(f"'{word}' cannot take {left.type} and {right.type}")
        run = applied(operation.ordering(word), left.run, right.run)
    else:
        for part in (left, right):
            demand(part, (UNKNOWN, "string"), f"'{word}' cannot take")
        run = applied(operation.text_test(word), left.run, right.run)
    if word == "!=" or words[0] == "not":
        return Part("bool", lambda frame: not run(frame))
    return Part("bool", run)


def _demand_container(item: Part, container: Part) -> None:
    kind = container.type
    if not (kind in (UNKNOWN, "map", "nil") or kind.startswith("array")):
        raise ExpressionError(f"'in' needs a list or map on its right, not {kind}")
    element = element_type(kind)
    if kind == "map":
        element = "string"
    if not _comparable(item.type, element):
        raise ExpressionError(f"'in' cannot look for {item.type} among {element}")


def joined(first: Part, second: Part) -> Part:
    return Part("bool", lambda frame: first.run(frame) and second.run(frame))
