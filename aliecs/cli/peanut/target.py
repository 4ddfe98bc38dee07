"""The task at the other end, and how it is moved: one step, or all that a FairMQ device needs to
get from one of our states to another.

Everything here waits for its answer, within the time that one order has in all. Whoever wants to
show the steps as they are made gives a `Witness`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from attrs import define, field

from aliecs.errors import TransitionFailed
from aliecs.executor.transitioner import StepResult, Transition, fairmq
from aliecs.occ.blocking import BlockingOccClient
from aliecs.occ.call import OccError, TransitionResult, word
from aliecs.protocol.protos.occ_pb2 import StateChangeTrigger

# Nobody was there to take the call: there is no device to ask, or to take back.
NOT_TAKEN = ("UNAVAILABLE", "UNIMPLEMENTED")
SHORTEST_S = 0.001


class Witness(Protocol):
    """Sees the steps of an order, in the thread that makes them."""

    def begins(self, source: str, event: str, expected: str) -> None:
        """A step is asked for; `expected` is empty where nobody knows where it leads."""

    def ends(self, source: str, event: str, result: TransitionResult) -> None:
        """A step is over, as it should or not."""


class NoWitness:
    """Looks away."""

    def begins(self, source: str, event: str, expected: str) -> None:
        """See `Witness`."""

    def ends(self, source: str, event: str, result: TransitionResult) -> None:
        """See `Witness`."""


@define
class Target:
    """A task for the length of one order, which has `timeout_s` from now on."""

    client: BlockingOccClient
    timeout_s: float
    witness: Witness = field(factory=NoWitness)
    _end_s: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._end_s = time.monotonic() + self.timeout_s

    @property
    def left_s(self) -> float:
        """What is left of the time."""
        return max(self._end_s - time.monotonic(), SHORTEST_S)

    def get_state(self) -> str:
        """The present state, in the task's own words."""
        return self.client.get_state(self.left_s).state

    def step(
        self, source: str, event: str, arguments: Mapping[str, str], expected: str = ""
    ) -> TransitionResult:
        """One event, as it is. `TransitionFailed` where the task says that it did not lead where it
        should."""
        result = self._call(source, event, arguments, expected)
        if problem := _problem(source, event, result):
            raise TransitionFailed(problem)
        return result

    def sequence(self, order: Transition) -> str:
        """All steps that take a FairMQ device from one of our states to another; gives the state
        reached, in our words. `TransitionFailed` where one of them fails; whatever the device has
        then gone through is undone, where that is possible."""

        async def step(
            source: str, event: str, expected: str, arguments: Mapping[str, str]
        ) -> StepResult:
            return self._sequence_step(source, event, expected, arguments)

        outcome = asyncio.run(fairmq(step, order))
        if outcome.error:
            raise TransitionFailed(outcome.error)
        return outcome.state

    def _sequence_step(
        self, source: str, event: str, expected: str, arguments: Mapping[str, str]
    ) -> StepResult:
        try:
            result = self._call(source, event, arguments, expected)
        except OccError as error:
            if error.status in NOT_TAKEN:
                raise
            state = self._state_after(error)
            problem = f"{event} from {source}: {error}; {expected} was expected"
            return StepResult(state, f"{problem}, it is in {state}" if state else problem)
        problem = _problem(source, event, result)
        if not problem and result.state != expected:
            problem = f"{event} from {source} led to {result.state}"
        return StepResult(result.state, problem and f"{problem}; {expected} was expected")

    def _call(
        self, source: str, event: str, arguments: Mapping[str, str], expected: str
    ) -> TransitionResult:
        self.witness.begins(source, event, expected)
        result = self.client.transition(source, event, arguments, self.left_s)
        self.witness.ends(source, event, result)
        return result

    def _state_after(self, error: OccError) -> str:
        """Where the device is after a step that was refused, empty where it cannot be told. The
        plugin refuses without a reason; what matters is whether it can be taken back."""
        if error.status == "DEADLINE_EXCEEDED":
            return ""
        try:
            return self.get_state()
        except OccError:
            return ""


def _problem(source: str, event: str, result: TransitionResult) -> str:
    if result.ok:
        return ""
    trigger = word(StateChangeTrigger, result.trigger)
    problem = f"{event} from {source} led to {result.state} (trigger {trigger})"
    return f"{problem}: {result.reason}" if result.reason else problem
