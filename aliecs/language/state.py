"""State and status of roles and tasks, and how they add up.

*State* is a position in the task state machine, *status* tells whether the thing is deployed. The
state of a tree is the product of the states of what counts in it. Both products are commutative and
associative and have a neutral element, which is what lets `aliecs.workflow.role` keep them with
counters. Tasks and roles both have states, and their rooms may not know each other: hence here.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence


class State(enum.IntEnum):
    """Where a task stands. Names and order are those of the control API."""

    UNKNOWN = 0
    STANDBY = 1
    CONFIGURED = 2
    RUNNING = 3
    ERROR = 4
    DONE = 5
    MIXED = 6
    INVARIANT = 7

    @property
    def text(self) -> str:
        """What clients are told: the name, except that they do not know INVARIANT."""
        return "UNKNOWN" if self is State.INVARIANT else self.name

    @classmethod
    def parse(cls, text: str) -> State:
        """The state of that name; UNKNOWN for any other text."""
        return cls.__members__.get(text, cls.UNKNOWN)

    def product(self, other: State) -> State:
        """The state of a pair: ERROR wins, INVARIANT yields, two that differ are MIXED."""
        if self is other:
            return self
        if State.ERROR in (self, other):
            return State.ERROR
        if self is State.INVARIANT:
            return other
        if other is State.INVARIANT:
            return self
        return State.MIXED

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> State:
        """The product of many: `counts[state]` of each. INVARIANT where nothing is counted."""
        if counts[cls.ERROR]:
            return cls.ERROR
        present = [state for state in _PLAIN_STATES if counts[state]]
        if not present:
            return cls.INVARIANT
        return present[0] if len(present) == 1 else cls.MIXED


_PLAIN_STATES = tuple(s for s in State if s not in (State.ERROR, State.INVARIANT))


class Status(enum.IntEnum):
    """Whether a task is deployed. Names and order are those of the control API."""

    UNDEFINED = 0
    INACTIVE = 1
    PARTIAL = 2
    ACTIVE = 3
    UNDEPLOYABLE = 4
    INVARIANT = 5

    @property
    def text(self) -> str:
        """What clients are told."""
        return self.name

    @classmethod
    def parse(cls, text: str) -> Status:
        """The status of that name; UNDEFINED for any other text."""
        return cls.__members__.get(text, cls.UNDEFINED)

    def product(self, other: Status) -> Status:
        """The status of a pair: UNDEFINED wins, then UNDEPLOYABLE; INVARIANT yields; of the rest
        two that differ are PARTIAL."""
        if self is other:
            return self
        for strongest in (Status.UNDEFINED, Status.UNDEPLOYABLE):
            if strongest in (self, other):
                return strongest
        if self is Status.INVARIANT:
            return other
        if other is Status.INVARIANT:
            return self
        return Status.PARTIAL

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> Status:
        """The product of many: `counts[status]` of each. INVARIANT where nothing is counted."""
        if counts[cls.UNDEFINED]:
            return cls.UNDEFINED
        if counts[cls.UNDEPLOYABLE]:
            return cls.UNDEPLOYABLE
        present = [status for status in _PLAIN_STATUSES if counts[status]]
        if not present:
            return cls.INVARIANT
        return present[0] if len(present) == 1 else cls.PARTIAL


_PLAIN_STATUSES = (Status.INACTIVE, Status.PARTIAL, Status.ACTIVE)
