"""Environments: created, refused, interrupted, recovered, destroyed."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.backend.simulated import Behaviour, SimulatedHost, SimulatedTask
from aliecs.environment.facilities import Options
from aliecs.environment.machine import EnvironmentState, Event
from aliecs.environment.manager import CreationRequest, DestructionRequest
from aliecs.errors import (
    Conflict,
    Exhausted,
    InvalidInput,
    NotFound,
    TemplateError,
    TransitionFailed,
)
from aliecs.interfaces import MesosState, TaskUpdate
from aliecs.language.state import State
from aliecs.protocol.message import DeviceEventType, TransitionCommand
from test.environment.house import ME, House, basic, direct

S = EnvironmentState

WORKFLOW = """
name: w
defaults: {color: red}
roles:
  - name: first
    task: {load: t}
  - name: second
    task: {load: t}
  - name: third
    task: {load: u, critical: false}
"""
TASKS = {"t": direct("t"), "u": direct("u")}


class Silent(Behaviour):
    """Tasks that do not answer to one event."""

    def __init__(self, event: str) -> None:
        self.event = event

    def transition(self, task: SimulatedTask, command: TransitionCommand) -> tuple[str, str] | None:
        return None if command.event == self.event else super().transition(task, command)


class ManagerTests(TestCase):
    timeout = 30

    async def make(self, text: str = WORKFLOW, **options: Any) -> House:
        return await House.make(self, {"w": text}, TASKS, **options)

    def task(self, house: House, environment: Any, path: str) -> Any:
        return next(task for task in environment.tasks() if task.role_path == path)

    async def test_a_whole_life_is_told_in_order(self) -> None:
        house = await self.make()
        environment = await house.create("w", color="blue")
        self.assertEqual(environment.root.stack()["color"], "blue")
        self.assertIs(environment.root.state, State.CONFIGURED)
        await house.control(environment, Event.START_ACTIVITY)
        self.assertGreater(environment.run_number, 0)
        await house.control(environment, Event.STOP_ACTIVITY)
        await house.control(environment, Event.RESET)
        destroyed = await house.destroy(environment)
        self.assertEqual(len(destroyed.killed), 3)
        self.assertEqual(house.roster.tasks(), [])
        messages = [(e.transition, e.message) for e in house.told("environment")]
        self.assertEqual(messages[0], ("CREATE", "transition starting"))
        self.assertEqual(
            [t for t, m in messages if m == "transition completed successfully"],
            ["CREATE", "DEPLOY", "CONFIGURE", "START_ACTIVITY", "STOP_ACTIVITY", "RESET"],
        )
        self.assertEqual(messages[-1], ("DESTROY", "environment teardown complete"))
        steps = [e.transitionStep for e in house.told("environment") if e.transition == "RESET"]
        self.assertEqual(
            list(dict.fromkeys(steps)),
            [
                "",
                "before_RESET",
                "leave_CONFIGURED",
                "tasks_RESET",
                "enter_DEPLOYED",
                "after_RESET",
            ],
        )

    async def test_what_is_wrong_with_a_creation_stays_readable(self) -> None:
        house = await self.make("name: w\nroles:\n  - name: '{{ nothing }}'\n    roles: []\n")
        with self.assertRaisesRegex(TemplateError, "nothing"):
            await house.create("w")
        self.assertEqual(house.manager.environments(), [])
        (record,) = await house.manager.records("", 10)
        self.assertIn("workflows/w.yaml", record["cause"]["line"])
        again = await house.manager.records(record["id"], 1)
        self.assertEqual(again[0]["state"], "ERROR")
        with self.assertRaises(NotFound):
            await house.manager.records("2rvUhqKFcLZ", 1)

    async def test_a_task_without_a_host_fails_the_creation_with_reasons(self) -> None:
        text = WORKFLOW.replace("load: t}", "load: t}\n    constraints: [{attribute: a, value: b}]")
        house = await self.make(text, hosts=[SimulatedHost("host1", {"a": "c"})])
        with self.assertRaisesRegex(TransitionFailed, "host1: a is c, not b") as caught:
            await house.create("w")
        self.assertEqual(caught.exception.grpc_status, Conflict.grpc_status)
        self.assertEqual(house.roster.tasks(), [])

    async def test_a_host_without_room_is_waited_for_and_then_told(self) -> None:
        house = await self.make(hosts=[SimulatedHost("host1", cpus=0.35)])
        house.roster._deployer.patience_s = 0.2
        first = await house.create("w")
        with self.assertRaisesRegex(TransitionFailed, "wants 0.1 cpus, 0.05 free") as caught:
            await house.create("w")
        self.assertEqual(caught.exception.grpc_status, Exhausted.grpc_status)
        self.assertIs(first.state, S.CONFIGURED)
        await house.destroy(first)
        await house.create("w")

    async def test_a_task_that_dies_at_start_is_named(self) -> None:
        class Dying(Behaviour):
            def launched(self, task: SimulatedTask) -> TaskUpdate | None:
                if "/t@" in task.name:
                    return TaskUpdate(
                        task.task_id,
                        MesosState.TASK_FAILED,
                        task.agent_id,
                        message="exit code 3\nno such device",
                    )
                return super().launched(task)

        house = await self.make(behaviour=Dying())
        with self.assertRaisesRegex(TransitionFailed, r"task w\.first on host .*: exit code 3"):
            await house.create("w")
        (record,) = await house.manager.records("", 1)
        self.assertEqual(record["cause"]["exit"], "exit code 3")
        self.assertEqual(record["cause"]["last_log_lines"], ["no such device"])

    async def test_a_deployment_has_a_deadline(self) -> None:
        class Unheard(Behaviour):
            def launched(self, task: SimulatedTask) -> TaskUpdate | None:
                return None

        house = await self.make(behaviour=Unheard(), options=Options(deploy_timeout_s=0.2))
        with self.assertRaisesRegex(
            TransitionFailed,
            r"error: DEPLOY: task w\.first .*: not up within 0.2 s.*\nDEPLOY: task w\.second ",
        ):
            await house.create("w")

    async def test_a_silent_task_fails_the_transition_at_its_deadline(self) -> None:
        house = await self.make(
            behaviour=Silent("CONFIGURE"), options=Options(configure_timeout_s=0.2)
        )
        with self.assertRaisesRegex(TransitionFailed, "no answer within 0.2 s"):
            await house.create("w")

    async def test_a_second_transition_is_refused_by_name(self) -> None:
        house = await self.make(behaviour=Silent("START"))
        environment = await house.create("w")
        running = house.manager.control(environment.id, Event.START_ACTIVITY, ME)
        with self.assertRaisesRegex(Conflict, "START_ACTIVITY, asked for by tester"):
            house.manager.control(environment.id, Event.RESET, ME)
        with self.assertRaisesRegex(Conflict, "CONFIGURE refused"):
            house.manager.control(environment.id, Event.CONFIGURE, ME)
        waiting = Deferred.fromCoroutine(running.wait())
        await house.destroy(environment)
        failure = self.failureResultOf(waiting, TransitionFailed)
        self.assertIn("aborted: destroyed by tester", failure.getErrorMessage())

    async def test_what_is_not_allowed_changes_nothing(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        before = list(environment.history.transitions)
        for event in (Event.STOP_ACTIVITY, Event.DEPLOY, Event.CONFIGURE, Event.RECOVER):
            with self.assertRaisesRegex(Conflict, "in current state CONFIGURED"):
                house.manager.control(environment.id, event, ME)
        with self.assertRaises(InvalidInput):
            house.manager.control(environment.id, Event.GO_ERROR, ME)
        self.assertEqual(environment.history.transitions, before)
        self.assertIs(environment.state, S.CONFIGURED)

    async def test_the_death_of_a_critical_task_ends_the_run(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        task = self.task(house, environment, "w.second")
        house.backend.end(task.id, MesosState.TASK_FAILED, "killed by SIGKILL")
        await house.until(lambda: environment.state is S.ERROR)
        cause = environment.history.cause
        assert cause is not None
        self.assertEqual(
            cause.line,
            f"RUNNING: task w.second on host {task.host} ({task.id}): killed by SIGKILL",
        )
        self.assertEqual(environment.run_number, 0)
        self.assertIs(environment.root.state, State.ERROR)

    async def test_a_transition_does_not_pass_over_a_critical_task_that_died_just_now(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        task = self.task(house, environment, "w.second")
        house.backend.end(task.id, MesosState.TASK_FAILED, "killed by SIGKILL")
        with self.assertRaisesRegex(TransitionFailed, "START_ACTIVITY: task w.second .*SIGKILL"):
            await house.control(environment, Event.START_ACTIVITY)
        self.assertIs(environment.state, S.ERROR)
        self.assertEqual(environment.run_number, 0)

    async def test_the_death_of_another_task_is_a_warning(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        task = self.task(house, environment, "w.third")
        house.backend.end(task.id, MesosState.TASK_FAILED, "exit code 1")
        self.assertIn("w.third", environment.history.warnings[-1])
        await house.control(environment, Event.STOP_ACTIVITY)
        self.assertIs(environment.state, S.CONFIGURED)

    async def test_a_critical_task_that_ends_cleanly_in_a_run_is_a_failure_too(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        task = self.task(house, environment, "w.first")
        house.backend.end(task.id, MesosState.TASK_FINISHED, "exit code 0")
        await house.until(lambda: environment.state is S.ERROR)

    async def test_a_death_during_a_transition_ends_the_waiting(self) -> None:
        house = await self.make(behaviour=Silent("START"))
        environment = await house.create("w")
        operation = house.manager.control(environment.id, Event.START_ACTIVITY, ME)
        task = self.task(house, environment, "w.first")
        await house.until(lambda: operation.step == "tasks_START_ACTIVITY")
        house.backend.end(task.id, MesosState.TASK_FAILED, "killed by SIGKILL")
        with self.assertRaisesRegex(TransitionFailed, "w.first .*killed by SIGKILL"):
            await operation.wait()
        self.assertIs(environment.state, S.ERROR)

    async def test_recovery_launches_the_dead_and_keeps_the_living(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        dead = self.task(house, environment, "w.first")
        alive = self.task(house, environment, "w.second")
        house.backend.end(dead.id, MesosState.TASK_FAILED, "exit code 1")
        await house.until(lambda: environment.state is S.ERROR and environment.current is None)
        await house.control(environment, Event.RECOVER)
        self.assertIs(environment.state, S.DEPLOYED)
        self.assertIs(environment.root.state, State.STANDBY)
        self.assertIs(self.task(house, environment, "w.second"), alive)
        self.assertIsNot(self.task(house, environment, "w.first"), dead)
        self.assertIsNone(environment.history.cause)
        await house.control(environment, Event.CONFIGURE)
        await house.control(environment, Event.START_ACTIVITY)
        self.assertIs(environment.state, S.RUNNING)

    async def test_the_end_of_all_streams_stops_the_run(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        first = self.task(house, environment, "w.first")
        second = self.task(house, environment, "w.second")
        house.backend.event(first.id, DeviceEventType.END_OF_STREAM)
        self.assertIs(environment.state, S.RUNNING)
        house.backend.event(second.id, DeviceEventType.END_OF_STREAM)
        await house.until(lambda: environment.state is S.CONFIGURED and environment.current is None)
        self.assertEqual(environment.history.transitions[-1].requested_by, "TASK")

    async def test_an_internal_error_of_a_critical_task_ends_in_error(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        task = self.task(house, environment, "w.first")
        house.backend.event(task.id, DeviceEventType.TASK_INTERNAL_ERROR)
        await house.until(lambda: environment.state is S.ERROR)
        assert environment.history.cause is not None
        self.assertIn("internal error", environment.history.cause.line)

    async def test_a_run_ends_by_its_timer(self) -> None:
        text = WORKFLOW + "vars: {auto_stop_enabled: 'true', auto_stop_timeout: 100ms}\n"
        house = await self.make(text)
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        await house.until(lambda: environment.state is S.CONFIGURED and environment.current is None)
        self.assertEqual(environment.history.transitions[-1].requested_by, "TIMER")

    async def test_tasks_that_are_kept_are_idle_and_can_be_claimed(self) -> None:
        house = await self.make(reuse=True)
        environment = await house.create("w")
        ids = {task.id for task in environment.tasks()}
        destroyed = await house.destroy(environment, keep_tasks=True)
        self.assertIsNone(destroyed.killed)
        self.assertTrue(all(task.claimable for task in house.roster.tasks()))
        again = await house.create("w")
        self.assertEqual({task.id for task in again.tasks()}, ids)
        await house.destroy(again, keep_tasks=True)
        killed, left = await house.roster.clean_up()
        self.assertEqual((len(killed), left), (3, []))

    async def test_idle_tasks_make_room(self) -> None:
        house = await self.make(hosts=[SimulatedHost("host1", cpus=0.35)])
        environment = await house.create("w")
        await house.destroy(environment, keep_tasks=True)
        again = await house.create("w")
        self.assertIs(again.state, S.CONFIGURED)

    async def test_idle_tasks_do_not_live_for_ever(self) -> None:
        house = await self.make(idle_ttl_s=0.0)
        environment = await house.create("w")
        await house.destroy(environment, keep_tasks=True)
        house.roster._end_old_idle_tasks()
        await house.until(lambda: not house.roster.tasks())

    async def test_a_workflow_without_critical_tasks_deploys(self) -> None:
        house = await self.make("name: w\nroles:\n  - name: a\n    task: {load: t, critical: no}\n")
        environment = await house.create("w")
        self.assertIs(environment.state, S.CONFIGURED)

    async def test_a_detector_serves_one_environment(self) -> None:
        house = await self.make()
        first = await house.create("w", detectors='["TPC","its"]')
        self.assertEqual(house.manager.active_detectors(), ["ITS", "TPC"])
        with self.assertRaisesRegex(Conflict, "detector TPC is already in use"):
            await house.create("w", detectors='["TPC"]')
        await house.destroy(first)
        await house.create("w", detectors='["TPC"]')

    async def test_destroying_twice_is_refused_and_destroys_once(self) -> None:
        text = WORKFLOW + (
            "  - name: bye\n    vars: {testplugin_delay: '0.2'}\n"
            "    call: {func: testplugin.Test(), trigger: DESTROY, timeout: 5s}\n"
        )
        house = await self.make(text)
        environment = await house.create("w")
        operation = house.manager.destroy(environment.id, _destruction(force=True))
        with self.assertRaisesRegex(Conflict, "DESTROY refused"):
            house.manager.destroy(environment.id, _destruction(force=True))
        with self.assertRaisesRegex(Conflict, "RESET refused"):
            house.manager.control(environment.id, Event.RESET, ME)
        await operation.wait()
        self.assertEqual(house.manager.environments(), [])

    async def test_an_automatic_environment_goes_by_itself(self) -> None:

        house = await self.make(
            WORKFLOW + "vars: {auto_stop_enabled: 'true', auto_stop_timeout: 50ms}\n"
        )
        request = CreationRequest("test/workflows/w", {}, ME, automatic=True)
        environment = await house.manager.create(request).wait()
        await house.until(lambda: not house.manager.environments(), 10.0)
        self.assertEqual(
            [t.event for t in environment.history.transitions],
            ["DEPLOY", "CONFIGURE", "START_ACTIVITY", "STOP_ACTIVITY", "RESET", "DESTROY"],
        )

    async def test_environments_of_a_core_that_was_killed_are_lost_with_it(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.manager.close_lost()
        (record,) = await house.manager.records("", 1)
        self.assertEqual(record["id"], environment.id)
        self.assertIn("lost with the core", record["cause"]["line"])
        # What each step took is known of the last transition too.
        known = environment.history.transitions[-1]
        configure = record["transitions"][-1]
        self.assertEqual([s[0] for s in configure["steps"]], [s[0] for s in known.steps])
        self.assertEqual(
            [one["role"] for one in configure["slowest"]], [one.role for one in known.slowest]
        )


def _destruction(**options: bool) -> DestructionRequest:
    return DestructionRequest(ME, **options)


class BasicTaskTests(TestCase):
    timeout = 30

    async def test_a_basic_task_is_told_nothing_at_configure(self) -> None:
        told: dict[str, Any] = {}

        class Watch(Behaviour):
            def transition(
                self, task: SimulatedTask, command: TransitionCommand
            ) -> tuple[str, str] | None:
                told[command.event] = command.arguments
                return super().transition(task, command)

        house = await House.make(
            self,
            {"w": "name: w\nroles:\n  - name: b\n    task: {load: b}\n"},
            {"b": basic("b")},
            behaviour=Watch(),
        )
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        self.assertEqual(told["CONFIGURE"], {})
        start = told["START"]
        self.assertEqual(start["runNumber"], str(environment.run_number))
        self.assertEqual(start["cleanup"], "0")
        self.assertEqual(start["runStartTimeMs"], start["run_start_time_ms"])
