"""Executors that are not ours, to an environment: those of the reference say less, and sometimes
what is not so."""

from __future__ import annotations

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aliecs.backend.simulated import Behaviour, SimulatedBackend, SimulatedHost, SimulatedTask
from aliecs.environment.machine import Event
from aliecs.errors import AliecsError
from aliecs.interfaces import MesosState, TaskUpdate
from aliecs.protocol.message import TransitionCommand
from test.environment.house import House

WORKFLOW = """\
name: w
defaults: {deploy_timeout: 300ms}
roles:
  - name: task
    task: {load: t}
"""
THREE = """\
name: three
defaults: {deploy_timeout: 300ms}
roles:
  - name: task{{ it }}
    for: {begin: "1", end: "3", var: it}
    task: {load: t}
"""
TASKS = {"t": "name: t\ncontrol: {mode: direct}\nwants: {cpu: 0.1}\ncommand: {value: run}\n"}


class Lying(Behaviour):
    """Says of START that it succeeded, and of the task that it is elsewhere."""

    def transition(self, task: SimulatedTask, command: TransitionCommand) -> tuple[str, str] | None:
        if command.event == "START":
            return "CONFIGURED", ""
        return super().transition(task, command)


class Stuck(Behaviour):
    """The first task of all does not RESET, and says so without saying where it is."""

    stuck = ""

    def transition(self, task: SimulatedTask, command: TransitionCommand) -> tuple[str, str] | None:
        if command.event == "START":
            self.stuck = self.stuck or task.task_id
        if task.task_id == self.stuck and command.event in ("START", "STOP", "RESET"):
            return "", "the device has broken down"
        return super().transition(task, command)


class Slow(Behaviour):
    """Of tasks launched from now on nothing is heard."""

    is_slow = False

    def launched(self, task: SimulatedTask) -> TaskUpdate | None:
        return None if self.is_slow else super().launched(task)


class ForeignExecutorTests(TestCase):
    timeout = 30

    async def make(self, behaviour: Behaviour) -> House:
        return await House.make(
            self,
            {"w": WORKFLOW, "three": THREE},
            TASKS,
            hosts=[SimulatedHost("host1")],
            behaviour=behaviour,
        )

    async def test_success_in_another_state_is_none(self) -> None:
        house = await self.make(Lying())
        environment = await house.create("w")
        with pytest.raises(AliecsError) as raised:
            await house.control(environment, Event.START_ACTIVITY)
        assert "START left it in CONFIGURED" in raised.value.message

    async def test_a_task_that_cannot_be_recovered_costs_only_itself(self) -> None:
        behaviour = Stuck()
        house = await self.make(behaviour)
        environment = await house.create("three")
        before = {task.id for task in house.roster.tasks()}
        with pytest.raises(AliecsError):
            await house.control(environment, Event.START_ACTIVITY)
        await house.until(lambda: environment.state.name == "ERROR")
        await house.control(environment, Event.RECOVER)
        after = {task.id for task in house.roster.tasks()}
        assert before - after == {behaviour.stuck}
        assert len(after) == 3

    async def test_what_starts_is_not_killed_where_that_could_cost_others(self) -> None:
        behaviour = Slow()
        house = await self.make(behaviour)
        await house.create("w")
        killed: list[str] = []
        kill = SimulatedBackend.kill

        def note(backend: SimulatedBackend, task_id: str, agent_id: str) -> None:
            killed.append(task_id)
            kill(backend, task_id, agent_id)

        self.patch(SimulatedBackend, "kill", note)
        behaviour.is_slow = True
        (first,) = house.roster.tasks()
        creating = Deferred.fromCoroutine(house.create("w"))
        creating.addErrback(lambda failure: None)
        await house.until(lambda: len(house.roster.tasks()) == 2)
        (second,) = [task for task in house.roster.tasks() if task is not first]
        await house.until(lambda: second.phase.name == "KILLING")
        await deferLater(reactor, 0.05, lambda: None)
        assert killed == []
        # Now that it is up it can be killed.
        house.roster.task_status(
            TaskUpdate(second.id, MesosState.TASK_RUNNING, second.agent_id, second.executor_id)
        )
        assert killed == [second.id]
        await creating
        assert first.living and not second.living
