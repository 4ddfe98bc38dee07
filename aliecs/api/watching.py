"""Watching an environment: its roles as they are, then what changes, until it has ended.

What happens within a moment is told together, each role once, so that a watcher costs little
however busy the environment is. One that falls behind is given all of it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

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


@define(eq=False)
class Watch:
    """One who watches an environment."""

    core: Core
    environment: Environment
    _roles: dict[str, Role] = field(init=False)
    _excluded: frozenset[str] = field(init=False, default=frozenset())
    _step: str = field(init=False, default="")

    def __attrs_post_init__(self) -> None:
        self._roles = {role.path: role for role in self.environment.root.walk()}

    async def changes(self) -> AsyncIterator[aliecs_v1_pb2.EnvironmentChange]:
        """The messages."""
        while True:
            subscription = self.core.bus.subscribe(self._is_wanted, bound=EVENTS_KEPT)
            try:
                self._excluded = self._now_excluded()
                yield await self._message(self._roles)
                while not self._is_over:
                    paths = await self._changed(subscription)
                    yield await self._message(paths)
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

    async def _changed(self, subscription: Subscription) -> Iterable[str]:
        """Wait for something to happen, and a moment for more. Gives the roles that it was."""
        changed: dict[str, None] = {}
        event = await subscription.next()
        self._note(event, changed)
        if not self._is_over:
            await deferLater(self.core.manager.facilities.clock, MOMENT_S)
        while subscription.waiting:
            self._note(await subscription.next(), changed)
        excluded = self._now_excluded()
        changed.update(dict.fromkeys(excluded ^ self._excluded))
        self._excluded = excluded
        return changed

    def _note(self, event: Event | None, changed: dict[str, None]) -> None:
        payload = event.payload if event is not None else None
        if isinstance(payload, RoleEvent):
            changed[payload.rolePath] = None
        elif isinstance(payload, EnvironmentEvent):
            self._step = payload.transitionStep

    def _now_excluded(self) -> frozenset[str]:
        return frozenset(one.role.path for one in self.environment.exclusions.all())

    async def _message(self, paths: Iterable[str]) -> aliecs_v1_pb2.EnvironmentChange:
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
            ended=self._is_over,
        )
        for path in tuple(paths):
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
