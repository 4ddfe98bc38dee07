"""Roll-calls: who is waited for, how long, and what ends the waiting."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aliecs.environment.muster import NON_CRITICAL_GRACE_S, Muster
from aliecs.event.record import Traits
from aliecs.interfaces import TemplateText
from aliecs.language.state import Status
from aliecs.protocol.message import ControlMode
from aliecs.task.task import Phase, Task
from aliecs.task.taskclass import parse_task_class

CLASS = parse_task_class(
    TemplateText("test", "0" * 40, "tasks/t.yaml", b"name: t\ncommand: {value: t}\n")
)


def task(name: str, critical: bool = True) -> Task:
    made = Task(
        id=name,
        task_class=CLASS,
        control_mode=ControlMode.DIRECT,
        host="host",
        address="host",
        agent_id="agent",
        executor_id="executor",
        offer_id="offer",
        cpus=0,
        memory_mb=0,
        ports=(),
        control_port=0,
        inbound=(),
        endpoints={},
        traits=Traits(critical=critical),
    )
    made.enter(Phase.LAUNCHED)
    return made


class MusterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.muster = Muster(self.clock)
        self.tasks = {name: task(name, name != "c") for name in "abc"}

    def begin(self) -> None:
        self.muster.begin(self.tasks.values(), 30.0)

    def up(self, *names: str) -> None:
        for name in names:
            one = self.tasks[name]
            one.enter(Phase.ACTIVE)
            one.status = Status.ACTIVE
            self.muster.look(one)

    def ended(self, name: str) -> None:
        self.tasks[name].enter(Phase.ENDED)
        self.muster.look(self.tasks[name])

    def result(self) -> Any:
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return self.successResultOf(self.muster.over)

    def test_all_are_there(self) -> None:
        self.begin()
        self.up("a", "b")
        self.assertNoResult(self.muster.over)
        self.up("c")
        self.assertIsNone(self.result())

    def test_all_were_there_before(self) -> None:
        self.up("a", "b", "c")
        self.begin()
        self.assertIsNone(self.result())

    def test_nobody_is_called(self) -> None:
        self.muster.begin([], 30.0)
        self.assertIsNone(self.result())

    def test_what_is_not_critical_has_a_grace(self) -> None:
        self.begin()
        self.up("a", "b")
        self.clock.advance(NON_CRITICAL_GRACE_S)
        self.assertIsNone(self.result())

    def test_what_is_not_critical_may_end(self) -> None:
        self.begin()
        self.ended("c")
        self.up("a", "b")
        self.assertIsNone(self.result())

    def test_a_critical_one_that_ends_ends_the_waiting(self) -> None:
        self.begin()
        self.up("a")
        self.ended("b")
        self.assertIs(self.result(), self.tasks["b"])

    def test_one_that_was_up_is_not_waited_for_again(self) -> None:
        self.begin()
        self.up("a")
        self.ended("a")
        self.assertNoResult(self.muster.over)
        self.up("b", "c")
        self.assertIsNone(self.result())

    def test_the_deadline_names_who_is_missing(self) -> None:
        self.begin()
        self.up("a")
        self.clock.advance(30.0)
        self.assertEqual(self.result(), [self.tasks["b"]])
