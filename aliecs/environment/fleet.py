"""The living environments, and how they are moved.

A transition is the work of its environment, one at a time; what it interrupts is aborted. Where one
fails the environment goes to ERROR. What environments have to do by themselves, because a task
failed or the data has ended, is begun here too. Who may ask for what is in `manager` and
`alteration`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from aliecs.environment.environment import Environment
from aliecs.environment.facilities import Facilities
from aliecs.environment.machine import EnvironmentState, Event, allowed_events
from aliecs.environment.operation import Operation
from aliecs.environment.transition import Conductor
from aliecs.errors import Aborted, AliecsError, Conflict, NotFound, TransitionFailed
from aliecs.event.record import TASK, TIMER, User


@define(eq=False)
class Fleet:
    """See the module."""

    facilities: Facilities
    _environments: dict[str, Environment] = field(init=False, factory=dict)
    _conductors: dict[str, Conductor] = field(init=False, factory=dict)
    _wanted_stops: dict[str, str] = field(init=False, factory=dict)
    """Environment id to the reason of the stop."""

    # --- what there is ---------------------------------------------------------------------

    def environments(self) -> Sequence[Environment]:
        """All environments, oldest first."""
        return sorted(self._environments.values(), key=lambda e: e.created_ms)

    def environment(self, environment_id: str) -> Environment:
        """The environment of that id. Raises `NotFound`."""
        try:
            return self._environments[environment_id]
        except KeyError:
            raise NotFound(
                f"environment not found: no environment with id {environment_id[:40]}"
            ) from None

    def get(self, environment_id: str) -> Environment | None:
        """The environment of that id; None where there is none."""
        return self._environments.get(environment_id)

    def add(self, environment: Environment) -> None:
        """A new environment is there."""
        self._environments[environment.id] = environment
        self._conductors[environment.id] = Conductor(environment)

    def remove(self, environment: Environment) -> None:
        """An environment is no more."""
        self._environments.pop(environment.id, None)
        self._conductors.pop(environment.id, None)
        self._wanted_stops.pop(environment.id, None)

    def conductor(self, environment: Environment) -> Conductor:
        """What runs the transitions of a living environment."""
        return self._conductors[environment.id]

    def asked_for(self, environment: Environment, user: User) -> None:
        """Somebody asks something of an environment: hooks and events know who it was."""
        environment.user = user
        environment.root.set_runtime_variable("last_request_user", user.to_variable())

    # --- transitions -----------------------------------------------------------------------

    async def run(
        self, environment: Environment, event: Event, user: User, operation: Operation
    ) -> None:
        """One transition as the environment's work."""
        conductor = self._conductors[environment.id]
        await self.work(environment, event, conductor.perform(event, user, operation))

    async def work(
        self, environment: Environment, event: Event, coroutine: Coroutine[Any, Any, None]
    ) -> None:
        """Something as the environment's work; what it interrupts is aborted."""
        interrupted = environment.work
        conductor = self._conductors[environment.id]
        work = Deferred.fromCoroutine(coroutine)
        if not work.called:
            environment.work = work
            if interrupted is not None:
                conductor.interrupt(interrupted, f"interrupted by {event.value}")
        try:
            await work
        finally:
            if environment.work is work:
                environment.work = None
                self._do_wanted_stop(environment)

    async def control(
        self, operation: Operation, environment: Environment, event: Event
    ) -> Environment:
        conductor = self._conductors[environment.id]
        work = conductor.perform(event, operation.user, operation)
        await self.or_fall(operation, environment, event, work)
        return environment

    async def or_fall(
        self,
        operation: Operation,
        environment: Environment,
        event: Event,
        work: Coroutine[Any, Any, None],
    ) -> None:
        """A transition whose failure takes the environment to ERROR."""
        try:
            await self.work(environment, event, work)
        except Conflict:
            raise
        except AliecsError as problem:
            if environment.destruction is None:
                operation.closing = "has failed, and its environment goes to ERROR"
                error = failure_text(f"transition {event.value} failed", problem)
                await self.fall(environment, error, operation)
            raise

    async def fall(self, environment: Environment, error: str, operation: Operation) -> None:
        """Go to ERROR after a failure, or wait for it where somebody else does it."""
        if environment.current is Event.GO_ERROR:
            await self._wait_for_error(environment)
            return
        if Event.GO_ERROR not in allowed_events(environment.state):
            return
        environment.tell(
            "a critical error occurred, GO_ERROR transition imminent", error=error, transition=""
        )
        environment.account_for(error)
        try:
            await self.run(environment, Event.GO_ERROR, operation.user, operation)
        except (Conflict, TransitionFailed) as problem:
            environment.warn(f"GO_ERROR: {problem.message}")

    async def _wait_for_error(self, environment: Environment) -> None:
        while environment.current is Event.GO_ERROR:
            await deferLater(self.facilities.clock, 0.05)

    def interrupt(self, environment: Environment, user: User) -> None:
        if environment.work is not None:
            why = f"destroyed by {user.name or 'somebody'}"
            self._conductors[environment.id].interrupt(environment.work, why)

    # --- what environments do by themselves ------------------------------------------------

    def react(self, environment: Environment, event: Event, reason: str) -> None:
        """An environment has to do something: see `Environment.react`."""
        if environment.id not in self._environments or environment.destruction is not None:
            return
        environment.log.info("{event}: {reason}", event=event.value, reason=reason)
        if event is Event.GO_ERROR:
            self.facilities.operations.start(
                event.value,
                environment.user,
                environment.id,
                lambda operation: self._go_error(operation, environment, reason),
            )
            return
        user = TIMER if "auto_stop_timeout" in reason else TASK
        if environment.current is not None:
            self._wanted_stops[environment.id] = reason
        elif environment.state is EnvironmentState.RUNNING:
            self._stop(environment, user, reason)

    async def _go_error(
        self, operation: Operation, environment: Environment, reason: str
    ) -> None:
        operation.closing = "takes its environment to ERROR"
        await self.fall(environment, reason, operation)

    def _stop(self, environment: Environment, user: User, reason: str) -> None:
        environment.user = user

        async def stop(operation: Operation) -> None:
            try:
                await self.run(environment, Event.STOP_ACTIVITY, user, operation)
            except Conflict:
                return
            except AliecsError as problem:
                if environment.destruction is None:
                    operation.closing = "has failed, and its environment goes to ERROR"
                    await self.fall(environment, f"stop ({reason}): {problem.message}", operation)
                return
            cause = environment.history.cause
            if cause is not None and environment.destruction is None:
                # The run was stopped in order because something critical had failed.
                await self.fall(environment, cause.line, operation)

        self.facilities.operations.start("STOP_ACTIVITY", user, environment.id, stop)

    def _do_wanted_stop(self, environment: Environment) -> None:
        """A stop that was asked for during a transition is done after it. Where that was a stop
        itself, the failure for which another was asked still takes the environment to ERROR."""
        reason = self._wanted_stops.pop(environment.id, None)
        if reason is None:
            return
        event = Event.STOP_ACTIVITY
        if environment.state is not EnvironmentState.RUNNING:
            if environment.history.cause is None:
                return
            event = Event.GO_ERROR
        self.facilities.clock.callLater(0, self.react, environment, event, reason)


def failure_text(what: str, problem: AliecsError) -> str:
    """What failed; of what was given up only that."""
    return problem.message if isinstance(problem, Aborted) else f"{what}: {problem.message}"
