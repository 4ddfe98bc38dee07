"""Environments as they are watched: all of them first, then what changes, then the end."""

from __future__ import annotations

from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.api import watching
from aliecs.api.watching import Watch
from aliecs.environment.environment import Environment
from aliecs.environment.machine import Event
from test.environment.house import House, direct

WORKFLOW = """
name: w
roles:
  - name: "task-{{ it }}"
    for: {begin: "0", end: "29", var: it}
    task: {load: t}
"""


@define
class Reader:
    """What somebody who watches has read."""

    messages: list[Any]
    waits: Deferred[None] | None = None

    async def read(self, watch: Watch) -> None:
        async for message in watch.changes():
            self.messages.append(message)
            if self.waits is not None:
                await self.waits

    def states(self) -> dict[str, str]:
        return {role.role: role.state for message in self.messages for role in message.roles}


class WatchTests(TestCase):
    timeout = 30

    async def begin(self, waits: Deferred[None] | None = None) -> tuple[House, Environment]:
        self.patch(watching, "MOST_ROLES", 10)
        house = await House.make(self, {"w": WORKFLOW}, {"t": direct("t")})
        environment = await house.create("w")
        core: Any = _Core(house)
        self.reader = Reader([], waits)
        self.reading = Deferred.fromCoroutine(self.reader.read(Watch(core, environment)))
        return house, environment

    async def test_all_of_it_and_what_changes_until_the_end(self) -> None:
        house, environment = await self.begin()
        await house.until(lambda: len(self.reader.messages) == 4)
        self.assertEqual([len(m.roles) for m in self.reader.messages], [10, 10, 10, 1])
        self.assertEqual(set(self.reader.states().values()), {"CONFIGURED"})
        await house.control(environment, Event.START_ACTIVITY)
        await house.until(lambda: set(self.reader.states().values()) == {"RUNNING"})
        await house.destroy(environment, force=True)
        await self.reading
        self.assertEqual([m.ended for m in self.reader.messages].count(True), 1)
        last = self.reader.messages[-1]
        self.assertEqual((last.ended, last.state), (True, "DONE"))

    async def test_one_who_falls_behind_is_given_all_of_it_again(self) -> None:
        self.patch(watching, "EVENTS_KEPT", 5)
        waits: Deferred[None] = Deferred()
        house, environment = await self.begin(waits)
        await house.control(environment, Event.START_ACTIVITY)
        self.reader.waits = None
        waits.callback(None)
        await house.until(lambda: set(self.reader.states().values()) == {"RUNNING"})
        await house.destroy(environment, force=True)
        await self.reading
        self.assertTrue(self.reader.messages[-1].ended)

    async def test_one_who_leaves_is_forgotten(self) -> None:
        house, environment = await self.begin()
        await house.until(lambda: len(self.reader.messages) == 4)
        self.assertEqual(len(house.bus.subscriptions), 1)
        self.reading.cancel()
        self.failureResultOf(self.reading)
        await house.until(lambda: not house.bus.subscriptions)
        await house.destroy(environment, force=True)


@define
class _Core:
    """As much of a core as watching needs."""

    house: House

    @property
    def manager(self) -> Any:
        return self.house.manager

    @property
    def roster(self) -> Any:
        return self.house.roster

    @property
    def bus(self) -> Any:
        return self.house.bus

    def now_ms(self) -> int:
        return 1
