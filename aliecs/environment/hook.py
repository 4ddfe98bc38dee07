"""Hooks: calls into outside services and short processes, at their moments and by their weights.

One pass is one moment and one half of the weights, those below zero or the others. A call starts at
its trigger and is awaited where its `await` says, which may be another moment; the process of a
hook task starts and ends at its trigger. A critical hook that fails ends the pass; what is not
critical is told and nothing more. The weights still to visit are looked at anew after each, so that
a call is awaited also at a weight that nothing else has.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred

from aliecs.environment.call import perform
from aliecs.environment.history import cause_of_task, first_lines
from aliecs.environment.operation import Operation
from aliecs.environment.result import StepResult
from aliecs.errors import InvalidInput, TransitionFailed
from aliecs.language.duration import parse_duration
from aliecs.task.task import Task
from aliecs.workflow.moment import HooksOfWeight, parse_trigger
from aliecs.workflow.role import CallRole, TaskRole

if TYPE_CHECKING:
    from aliecs.environment.environment import Environment

DEFAULT_TIMEOUT_S = 30.0

BEFORE_DEPLOYMENT = frozenset({"before_DEPLOY", "leave_STANDBY"})
"""Moments at which the processes of hook tasks are not deployed yet and have to be, first."""


class Half(enum.Enum):
    """Which weights a pass visits."""

    NEGATIVE = "negative"
    REST = "rest"
    ALL = "all"

    def holds(self, weight: int) -> bool:
        """True for the weights of this half."""
        return self is Half.ALL or (weight < 0) == (self is Half.NEGATIVE)


@frozen
class _Failure:
    text: str
    critical: bool


@define(eq=False)
class _PendingCall:
    """A call that was started and is not awaited yet."""

    role: CallRole
    outcome: Deferred[str]
    """Fires with the text of the failure, empty for success."""


@define(eq=False)
class Hooks:
    """The hooks of one environment. `deploy` launches hook tasks that are needed before all others
    are deployed."""

    environment: Environment
    deploy: Callable[[Sequence[TaskRole]], Awaitable[None]]
    operation: Operation | None = None
    """What they run for."""
    _pending: dict[tuple[str, int], list[_PendingCall]] = field(init=False, factory=dict)

    async def run(self, moment: str, half: Half = Half.ALL) -> None:
        """One pass. Raises `TransitionFailed` where critical hooks failed."""
        visited: int | None = None
        failures: list[_Failure] = []
        while True:
            weight = self._next_weight(moment, half, visited)
            if weight is None:
                break
            visited = weight
            failures.extend(await self._visit(moment, weight))
            if any(failure.critical for failure in failures):
                break
        self._report(moment, failures)

    async def run_for_teardown(self, moments: Sequence[str]) -> None:
        """The hooks of a teardown: those of all `moments` in one order of weights, each weight to
        its end, whatever fails."""
        hooks = self.environment.workflow.hooks
        weights = sorted({weight for moment in moments for weight in hooks.at(moment)})
        for weight in weights:
            for moment in moments:
                calls, roles = self._at(moment, weight)
                failures: list[_Failure] = []
                for role in calls:
                    text = await perform(self.environment, role)
                    if text:
                        failures.append(_Failure(text, False))
                living = [task for task in self._tasks_of(roles) if task.living]
                failures.extend(await self._trigger(living, moment))
                self._report(moment, [_Failure(failure.text, False) for failure in failures])

    def tasks_at(self, moments: Sequence[str]) -> Sequence[Task]:
        """The tasks of hooks at any of `moments`."""
        hooks = self.environment.workflow.hooks
        return [
            task
            for moment in moments
            for _, roles in hooks.at(moment).values()
            for task in self._tasks_of(roles)
        ]

    def pending_calls(self) -> Sequence[tuple[str, int, str]]:
        """Calls that were started and not awaited: (moment, weight, role path)."""
        return [
            (moment, weight, call.role.path)
            for (moment, weight), calls in self._pending.items()
            for call in calls
        ]

    def cancel_pending(self) -> int:
        """Give up all calls that were not awaited; says how many."""
        calls = [call for calls in self._pending.values() for call in calls]
        self._pending.clear()
        for call in calls:
            call.outcome.addErrback(lambda failure: failure.trap(CancelledError))
            call.outcome.cancel()
        return len(calls)

    # --- inside ----------------------------------------------------------------------------

    def _next_weight(self, moment: str, half: Half, visited: int | None) -> int | None:
        weights = set(self.environment.workflow.hooks.at(moment))
        weights.update(weight for name, weight in self._pending if name == moment)
        left = [w for w in weights if half.holds(w) and (visited is None or w > visited)]
        return min(left, default=None)

    def _at(self, moment: str, weight: int) -> HooksOfWeight:
        """The hooks of a weight, but for those that are excluded."""
        calls, roles = self.environment.workflow.hooks.at(moment).get(weight, ((), ()))
        takes_part = self.environment.takes_part
        return tuple(filter(takes_part, calls)), tuple(filter(takes_part, roles))

    async def _visit(self, moment: str, weight: int) -> Sequence[_Failure]:
        calls, roles = self._at(moment, weight)
        for role in calls:
            awaited = parse_trigger(role.await_ or role.trigger)
            outcome = Deferred.fromCoroutine(perform(self.environment, role))
            self._pending.setdefault(awaited, []).append(_PendingCall(role, outcome))
        failures = []
        for call in self._pending.pop((moment, weight), ()):
            self.environment.awaited_call = (call.role, self.environment.facilities.now_ms())
            try:
                text = await call.outcome
            finally:
                self.environment.awaited_call = None
            if text:
                needed = call.role.critical and self.environment.takes_part(call.role)
                failures.append(_Failure(text, needed))
        if roles and moment in BEFORE_DEPLOYMENT:
            await self.deploy([role for role in roles if role.task is None])
        failures.extend(await self._trigger(self._tasks_of(roles), moment))
        return failures

    def _tasks_of(self, roles: Sequence[TaskRole]) -> list[Task]:
        found = (self.environment.task_of(role) for role in roles)
        return [task for task in found if task is not None]

    async def _trigger(self, tasks: Sequence[Task], moment: str) -> Sequence[_Failure]:
        if not tasks:
            return ()
        environment = self.environment
        now_ms = environment.facilities.now_ms
        result = StepResult(moment, now_ms())
        if self.operation is not None:
            self.operation.results.append(result)
        result.expect(tasks)
        try:
            outcome = await environment.facilities.roster.trigger(
                tasks,
                _timeout_s,
                environment.id,
                lambda task: result.succeeded(task, now_ms()),
            )
            for failure in outcome.failures:
                result.did_not(failure.task, failure.reason, now_ms())
        finally:
            result.finish(now_ms())
        failures = []
        for failure in outcome.failures:
            if failure.task.critical:
                environment.fail_hook(
                    cause_of_task(failure.task, failure.reason, now_ms(), "hook", failure.exit)
                )
            failures.append(_Failure(f"hook {failure}", failure.task.critical))
        return failures

    def _report(self, moment: str, failures: Sequence[_Failure]) -> None:
        for failure in failures:
            if failure.critical:
                self.environment.log.error(
                    "critical hook at {moment} failed: {text}", moment=moment, text=failure.text
                )
            else:
                self.environment.warn(f"hook at {moment} failed, not critical: {failure.text}")
        critical = [failure.text for failure in failures if failure.critical]
        if critical:
            raise TransitionFailed(f"critical hooks failed at {moment}: {first_lines(critical)}")


def _timeout_s(task: Task) -> float:
    try:
        return parse_duration(task.traits.timeout)
    except InvalidInput:
        return DEFAULT_TIMEOUT_S
