"""Watching an environment: its roles as they are, then what changes, until it has ended.

What happens within a moment is told together, each role once, so that a watcher costs little
however busy the environment is. One that falls behind is given all of it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from attrs import define, field
from twisted.internet.task import deferLater

from aliecs.api.core import Core
from aliecs.environment.environment import Environment
from aliecs.environment.history import History
from aliecs.environment.machine import EnvironmentState
from aliecs.errors import Exhausted
from aliecs.event.bus import Subscription
from aliecs.event.record import EnvironmentEvent, Event, RoleEvent
from aliecs.protocol import aliecs_v1_pb2
from aliecs.task.pace import Pace
from aliecs.workflow.role import Role, TaskRole

MOMENT_S = 0.25
"""What happens in this time is told together."""

EVENTS_KEPT = 20_000

MOST_ROLES = 1000
"""Roles in one message."""


@define(eq=False)
class Watch:
    """One who watches an environment."""

    core: Core
    environment: Environment
    _roles: dict[str, Role] = field(init=False, factory=dict)
    _excluded: frozenset[str] = field(init=False, default=frozenset())
    _step: str = field(init=False, default="")
    _has_told_end: bool = field(init=False, default=False)

    async def changes(self) -> AsyncIterator[aliecs_v1_pb2.EnvironmentChange]:
        """The messages."""
        for role in self.environment.root.walk():
            self._roles[role.path] = role
            await self.core.roster.pace.breathe()
        while True:
            subscription = self.core.bus.subscribe(self._is_wanted, bound=EVENTS_KEPT)
            try:
                self._excluded = self._now_excluded()
                async for message in self._messages(list(self._roles)):
                    yield message
                while not self._has_told_end:
                    async for message in self._messages(await self._changed(subscription)):
                        yield message
                return
            except Exhausted:
                # Too slow: once more from the beginning.
                continue
            finally:
                subscription.close()

    @property
    def _is_over(self) -> bool:
        return self.environment.state is EnvironmentState.DONE

    def _is_wanted(self, event: Event) -> bool:
        return event.environment_id == self.environment.id and isinstance(
            event.payload, (EnvironmentEvent, RoleEvent)
        )

    async def _messages(
        self, paths: Sequence[str]
    ) -> AsyncIterator[aliecs_v1_pb2.EnvironmentChange]:
        """One message, or several where it is about very many roles."""
        is_over = self._has_told_end = self._is_over
        for begin in range(0, max(1, len(paths)), MOST_ROLES):
            message = await self._message(paths[begin : begin + MOST_ROLES])
            message.ended = is_over and begin + MOST_ROLES >= len(paths)
            yield message

    async def _changed(self, subscription: Subscription) -> Sequence[str]:
        """Wait for something to happen, and a moment for more. Gives the roles that it was."""
        changed: dict[str, None] = {}
        if not self._is_over:
            self._note(await subscription.next(), changed)
        if not self._is_over:
            await deferLater(self.core.manager.facilities.clock, MOMENT_S)
        while subscription.waiting:
            self._note(await subscription.next(), changed)
            await self.core.roster.pace.breathe()
        excluded = self._now_excluded()
        changed.update(dict.fromkeys(excluded ^ self._excluded))
        self._excluded = excluded
        return list(changed)

    def _note(self, event: Event | None, changed: dict[str, None]) -> None:
        payload = event.payload if event is not None else None
        if isinstance(payload, RoleEvent):
            changed[payload.rolePath] = None
        elif isinstance(payload, EnvironmentEvent):
            self._step = payload.transitionStep

    def _now_excluded(self) -> frozenset[str]:
        return frozenset(one.role.path for one in self.environment.exclusions.all())

    async def _message(self, paths: Sequence[str]) -> aliecs_v1_pb2.EnvironmentChange:
        environment = self.environment
        history: History = environment.history
        pace: Pace = self.core.roster.pace
        current = environment.current
        message = aliecs_v1_pb2.EnvironmentChange(
            time_ms=self.core.now_ms(),
            state=environment.state.value,
            transition=current.value if current is not None else "",
            step=self._step if current is not None else "",
            run_number=environment.run_number,
            cause=history.cause.line if history.cause is not None else "",
        )
        for path in paths:
            role = self._roles.get(path)
            if role is not None:
                message.roles.append(self._role(path, role))
            await pace.breathe()
        return message

    def _role(self, path: str, role: Role) -> aliecs_v1_pb2.RoleState:
        told = aliecs_v1_pb2.RoleState(
            role=path,
            state=role.state.text,
            status=role.status.text,
            excluded=role.excluded,
            critical=role.critical,
        )
        if isinstance(role, TaskRole) and role.task:
            told.task_id = role.task
            task = self.core.roster.task(role.task)
            told.host = task.host if task is not None else ""
        return told
