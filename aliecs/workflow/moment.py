"""Trigger points: the moments at which hooks run, and their weights.

A trigger such as `before_CONFIGURE+10` names a moment and a weight; within a moment weights run in
ascending order, equal ones together, those below zero before the core's own work of that moment.
`Hooks` is the index of a tree by moment, made once. Which moments come when is the environment's
affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from aliecs.workflow.role import CallRole, LeafRole, Role, TaskRole

TRANSITIONS = (
    "DEPLOY",
    "CONFIGURE",
    "START_ACTIVITY",
    "STOP_ACTIVITY",
    "RESET",
    "GO_ERROR",
    "RECOVER",
    "EXIT",
    "EXCLUDE",
    "INCLUDE",
    "REPLACE",
)
STATES = ("STANDBY", "DEPLOYED", "CONFIGURED", "RUNNING", "ERROR", "DONE")
MOMENTS = frozenset(
    [f"{when}_{transition}" for when in ("before", "after") for transition in TRANSITIONS]
    + [f"{when}_{state}" for when in ("enter", "leave") for state in STATES]
    + ["DESTROY", "after_DESTROY"]
)
"""All moments that can come."""

_WEIGHTED = re.compile(r"(?s)(.*)([+-])([^+-]*)")


class Trigger(NamedTuple):
    """A moment and a weight in it."""

    moment: str
    weight: int


def parse_trigger(text: str) -> Trigger:
    """Split `<moment>[+n|-n]`. The weight is 0 where it is not given or not a number; `complaint`
    tells the two apart."""
    match = _WEIGHTED.fullmatch(text)
    if match is None:
        return Trigger(text, 0)
    moment, sign, digits = match.groups()
    weight = int(sign + digits) if re.fullmatch("[0-9]{1,9}", digits) else 0
    return Trigger(moment, weight)


def complaint(text: str) -> str:
    """What is wrong with a trigger or await text, empty where nothing is."""
    match = _WEIGHTED.fullmatch(text)
    if match is not None and not re.fullmatch("[0-9]{1,9}", match[3]):
        return f"{text!r}: the weight is not a number, 0 is taken"
    moment = parse_trigger(text).moment
    if moment not in MOMENTS:
        return f"{text!r}: the moment {moment!r} never comes"
    return ""


def leaf_complaints(role: LeafRole) -> Iterator[str]:
    """What is wrong with a role's trigger and await."""
    if not role.trigger:
        return
    for text in dict.fromkeys((role.trigger, role.await_)):
        if text and (problem := complaint(text)):
            yield problem
    trigger, awaited = parse_trigger(role.trigger), parse_trigger(role.await_)
    if trigger.moment == awaited.moment and awaited.weight < trigger.weight:
        yield f"await {role.await_!r} comes before the trigger {role.trigger!r}"


HooksOfWeight = tuple[tuple[CallRole, ...], tuple[TaskRole, ...]]
"""The calls and the task hooks of one weight, each in the order of the tree."""


class Hooks:
    """The hooks of a tree, by moment and weight."""

    def __init__(self, root: Role) -> None:
        found: dict[str, dict[int, list[LeafRole]]] = {}
        for role in root.of_kind(LeafRole):
            if role.trigger:
                moment, weight = parse_trigger(role.trigger)
                found.setdefault(moment, {}).setdefault(weight, []).append(role)
        self._moments = {
            moment: {weight: _by_kind(weights[weight]) for weight in sorted(weights)}
            for moment, weights in found.items()
        }

    def at(self, moment: str) -> Mapping[int, HooksOfWeight]:
        """The hooks triggered at a moment, by ascending weight."""
        return self._moments.get(moment, {})

    def moments(self) -> tuple[str, ...]:
        """All moments at which a hook is triggered."""
        return tuple(self._moments)


def _by_kind(roles: Sequence[LeafRole]) -> HooksOfWeight:
    calls = tuple(role for role in roles if isinstance(role, CallRole))
    return calls, tuple(role for role in roles if isinstance(role, TaskRole))
