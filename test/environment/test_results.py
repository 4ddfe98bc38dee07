"""What is told of an operation: what became of every task, who is waited for, what failed first."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.backend.simulated import Behaviour, SimulatedTask
from aliecs.environment.environment import Environment
from aliecs.environment.history import DETAILED, History, TransitionRecord
from aliecs.environment.machine import EnvironmentState, Event
from aliecs.environment.manager import CreationRequest, DestructionRequest
from aliecs.environment.operation import Operation, OperationState
from aliecs.environment.result import MOST_FAILURES, MOST_SLOWEST
from aliecs.errors import Aborted, AliecsError, Conflict, TransitionFailed
from aliecs.event.record import User
from aliecs.protocol.message import TransitionCommand
from test.environment.house import ME, House, direct

S = EnvironmentState
ALICE = User(name="alice")

WORKFLOW = """
name: w
vars: {excludable: "true"}
roles:
  - name: "task-{{ it }}"
    for: {begin: "0", end: "29", var: it}
    constraints: [{attribute: machine_id, value: "{{ it < '2' ? 'host1' : 'host2' }}"}]
    task: {load: t}
  - name: call
    call: {func: "testplugin.Test()", trigger: before_RESET, timeout: "5s"}
"""


class Moody(Behaviour):
    """Tasks that fail in their order, or do not answer, as a test says by the place in which they
    were launched."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.fails: dict[int, str] = {}
        self.silent: set[int] = set()
        self.event = "CONFIGURE"

    def launched(self, task: SimulatedTask) -> Any:
        self.order.append(task.task_id)
        return super().launched(task)

    def transition(self, task: SimulatedTask, command: TransitionCommand) -> tuple[str, str] | None:
        place = self.order.index(task.task_id)
        if command.event == self.event:
            if place in self.silent:
                return None
            if place in self.fails:
                return "ERROR", self.fails[place]
        return super().transition(task, command)


class ResultTests(TestCase):
    timeout = 60

    async def make(self, **options: Any) -> House:
        self.behaviour = Moody()
        return await House.make(
            self, {"w": WORKFLOW}, {"t": direct("t")}, behaviour=self.behaviour, **options
        )

    def create(self, house: House) -> Operation:
        return house.manager.create(CreationRequest("test/workflows/w", {}, ME))

    async def test_every_task_is_counted_and_the_slowest_are_named(self) -> None:
        house = await self.make()
        operation = self.create(house)
        environment: Environment = await operation.wait()
        self.assertEqual(
            [(r.step, r.done, r.failed, r.not_reached, r.hosts_done) for r in operation.results],
            [("tasks_DEPLOY", 30, 0, 0, 2), ("tasks_CONFIGURE", 30, 0, 0, 2)],
        )
        for result in operation.results:
            self.assertEqual(len(result.slowest), MOST_SLOWEST)
            times = [one.duration_ms for one in result.slowest]
            self.assertEqual(times, sorted(times, reverse=True))
            self.assertEqual(result.hosts, [])
        record = environment.history.transitions[-1]
        self.assertEqual(
            [name for name, _ in record.steps],
            [
                "before_CONFIGURE",
                "leave_DEPLOYED",
                "tasks_CONFIGURE",
                "enter_CONFIGURED",
                "after_CONFIGURE",
            ],
        )
        self.assertEqual(len(record.slowest), 5)

    async def test_the_first_failure_is_the_first_line_and_the_others_follow(self) -> None:
        house = await self.make()
        self.behaviour.fails = {7: "no high voltage", 3: "no low voltage", 20: "no voltage"}
        self.behaviour.silent = {25}
        operation = self.create(house)
        with self.assertRaises(TransitionFailed) as failed:
            await operation.wait()
        lines = str(failed.exception).splitlines()
        # They were told in the order in which they were launched.
        for line, (place, reason) in zip(lines, sorted(self.behaviour.fails.items()), strict=True):
            self.assertIn(f"({self.behaviour.order[place]}): {reason}", line)
            self.assertRegex(line, r"CONFIGURE: task w\.task-\d+ on host host")
        (record,) = await house.manager.records(operation.environment_id, 1)
        self.assertIn("no low voltage", record["cause"]["line"])
        self.assertEqual(record["failed_then"], lines[1:])
        (result,) = [r for r in operation.results if r.step == "tasks_CONFIGURE"]
        self.assertEqual((result.done, result.failed, result.not_reached), (26, 3, 1))
        self.assertEqual(result.failures[0].reason, "no low voltage")
        self.assertEqual(sum(h.failed + h.not_reached for h in result.hosts), 4)
        self.assertEqual(record["transitions"][1]["steps"][-1][0], "tasks_CONFIGURE")

    async def test_very_many_failures_are_counted(self) -> None:
        house = await self.make()
        self.behaviour.fails = dict.fromkeys(range(30), "no voltage")
        with self.assertRaises(TransitionFailed) as failed:
            await house.create("w")
        lines = str(failed.exception).splitlines()
        self.assertEqual((len(lines), lines[-1]), (22, "and 9 more"))
        self.assertGreater(MOST_FAILURES, 30)

    async def test_who_is_waited_for(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        self.behaviour.event, self.behaviour.silent = "START", {4, 11, 12}
        operation = house.manager.control(environment.id, Event.START_ACTIVITY, ME)
        waiting = Deferred.fromCoroutine(operation.wait())
        assert operation.waited_for is not None
        await house.until(lambda: operation.waited_for(5).left_out == 0 and self.waits(operation))
        seen = operation.waited_for(2)
        self.assertEqual((len(seen.nodes), seen.left_out), (2, 1))
        first = seen.nodes[0]
        self.assertIn(first.task_id, [self.behaviour.order[place] for place in (4, 11, 12)])
        self.assertEqual(first.what, "START")
        self.assertLessEqual(first.since_ms, house.manager.facilities.now_ms())
        self.assertEqual(operation.results[-1].so_far(), (27, 0, 0))
        await house.destroy(environment, force=True)
        with self.assertRaisesRegex(Aborted, "START_ACTIVITY aborted: destroyed by tester"):
            await waiting
        self.assertIs(operation.state, OperationState.ABORTED)

    def waits(self, operation: Operation) -> bool:
        assert operation.waited_for is not None
        return len(operation.waited_for(100).nodes) == 3

    # --- what is given up ------------------------------------------------------------------

    async def test_a_creation_that_is_aborted_is_undone(self) -> None:
        house = await self.make()
        self.behaviour.silent = {0}
        operation = self.create(house)
        waiting = Deferred.fromCoroutine(operation.wait())
        await house.until(lambda: operation.step == "tasks_CONFIGURE")
        house.manager.abort(operation.id, ALICE, "wrong detector")
        with self.assertRaisesRegex(Conflict, "is being aborted already, by alice: wrong detector"):
            house.manager.abort(operation.id, ME, "")
        with self.assertRaisesRegex(Aborted, "^CONFIGURE aborted by alice: wrong detector$"):
            await waiting
        self.assertIs(operation.state, OperationState.ABORTED)
        self.assertEqual((house.manager.environments(), house.roster.tasks()), ([], []))
        (record,) = await house.manager.records(operation.environment_id, 1)
        self.assertEqual(record["cause"]["line"], "CONFIGURE aborted by alice: wrong detector")
        with self.assertRaisesRegex(Conflict, r"\(CREATE\) cannot be aborted: it is over, ABORTED"):
            house.manager.abort(operation.id, ME, "")

    async def test_a_creation_that_is_aborted_while_it_loads(self) -> None:
        house = await self.make()
        operation = self.create(house)
        waiting = Deferred.fromCoroutine(operation.wait())
        await house.until(lambda: operation.step == "CREATE")
        house.manager.abort(operation.id, ALICE, "")
        with self.assertRaisesRegex(Aborted, "CREATE aborted by alice$"):
            await waiting
        (record,) = await house.manager.records(operation.environment_id, 1)
        self.assertEqual(record["cause"]["line"], "CREATE aborted by alice")
        self.assertEqual(await house.journal.living(), [])

    async def test_a_creation_that_is_aborted_at_once(self) -> None:
        house = await self.make()
        operation = self.create(house)
        waiting = Deferred.fromCoroutine(operation.wait())
        house.manager.abort(operation.id, ALICE, "why")
        with self.assertRaisesRegex(Aborted, "CREATE aborted by alice: why"):
            await waiting
        self.assertEqual(await house.journal.living(), [])

    async def test_a_transition_that_is_aborted_ends_in_error(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        self.behaviour.event, self.behaviour.silent = "START", {1}
        operation = house.manager.control(environment.id, Event.START_ACTIVITY, ME)
        waiting = Deferred.fromCoroutine(operation.wait())
        await house.until(lambda: operation.step == "tasks_START_ACTIVITY")
        house.manager.abort(operation.id, ALICE, "beam dump")
        with self.assertRaisesRegex(Aborted, "START_ACTIVITY aborted by alice: beam dump"):
            await waiting
        self.assertIs(environment.state, S.ERROR)
        assert environment.history.cause is not None
        self.assertEqual(
            environment.history.cause.line, "START_ACTIVITY aborted by alice: beam dump"
        )
        self.behaviour.silent = set()
        await house.control(environment, Event.RECOVER)
        await house.control(environment, Event.CONFIGURE)

    async def test_a_modification_that_is_aborted_changes_nothing(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        path = environment.workflow.task_roles[0].path
        await house.exclude(environment, path)
        (place,) = [
            i for i, t in enumerate(self.behaviour.order) if t == environment.tasks()[0].id
        ]
        self.behaviour.silent = {place}
        waiting = Deferred.fromCoroutine(house.include(environment, path))
        (operation,) = house.manager.facilities.operations.running()
        await house.until(lambda: operation.step == "tasks_INCLUDE")
        house.manager.abort(operation.id, ALICE, "not now")
        with self.assertRaisesRegex(Aborted, "INCLUDE aborted by alice: not now"):
            await waiting
        self.assertIs(environment.state, S.CONFIGURED)
        self.assertTrue(environment.workflow.task_roles[0].excluded)
        self.assertIsNone(environment.history.cause)

    async def test_a_destruction_is_not_aborted(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        self.behaviour.event, self.behaviour.silent = "RESET", {0}
        operation = house.manager.destroy(environment.id, DestructionRequest(ME))
        await house.until(lambda: operation.step == "tasks_RESET")
        with self.assertRaisesRegex(Conflict, "cannot be aborted: it is a destruction"):
            house.manager.abort(operation.id, ALICE, "")
        await house.destroy(environment, force=True)

    async def test_an_automatic_environment_that_is_aborted_is_taken_away(self) -> None:
        house = await self.make()
        request = CreationRequest("test/workflows/w", {}, ME, automatic=True)
        environment: Environment = await house.manager.create(request).wait()
        await house.until(lambda: environment.state is S.RUNNING)
        (operation,) = house.manager.facilities.operations.running()
        house.manager.abort(operation.id, ALICE, "enough")
        try:
            await operation.wait()
        except AliecsError:
            self.fail("it ends as it would have by itself")
        self.assertEqual(house.manager.environments(), [])


class HistoryTests(TestCase):
    def test_of_long_ago_less_is_kept(self) -> None:
        history = History("id", "w", "me", 0)
        for number in range(DETAILED + 3):
            record = TransitionRecord("CONFIGURE", "a", "b", number, steps=[("x", 1)])
            history.begin(record)
        self.assertEqual([r.steps for r in history.transitions[:4]], [[], [], [], [("x", 1)]])
