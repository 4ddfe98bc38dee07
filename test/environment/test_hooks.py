"""Hooks and calls: upstream's own cases, and the ones that it gets wrong."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from aliecs.backend.simulated import Behaviour, SimulatedTask
from aliecs.environment.environment import Environment
from aliecs.environment.machine import EnvironmentState, Event
from aliecs.errors import TransitionFailed
from aliecs.protocol.message import TransitionCommand
from test.environment.house import House, basic, calls, direct

S = EnvironmentState


def called(environment: Environment, name: str) -> bool:
    return environment.root.stack().get(f"w.{name}_called") == "true"


def saw(environment: Environment, name: str) -> set[str]:
    prefix = f"w.{name}_saw_run_"
    return {
        key.removeprefix(prefix).removesuffix("_time_ms")
        for key, value in environment.root.stack().items()
        if key.startswith(prefix) and value == "true"
    }


class FailingTransition(Behaviour):
    """Tasks that fail in one event of their machine."""

    def __init__(self, event: str) -> None:
        self.event = event

    def transition(self, task: SimulatedTask, command: TransitionCommand) -> tuple[str, str] | None:
        if command.event == self.event:
            return "ERROR", f"{command.event} does not work today"
        return super().transition(task, command)


WITH_TASK = """
  - name: task
    task: {load: t}
"""


class CallTests(TestCase):
    timeout = 30

    async def house(self, text: str, behaviour: Behaviour | None = None) -> House:
        return await House.make(self, {"w": text}, {"t": direct("t")}, behaviour=behaviour)

    async def test_a_call_runs_at_its_moment(self) -> None:
        house = await self.house(calls("call: testplugin.Test(), before_CONFIGURE"))
        environment = await house.create("w")
        self.assertIs(environment.state, S.CONFIGURED)
        self.assertTrue(called(environment, "call"))
        statuses = [event.callStatus.value for event in house.told("call")]
        self.assertEqual(statuses, ["STARTED", "DONE_OK"])

    async def test_a_critical_call_that_fails_cancels_before_the_tasks(self) -> None:
        for trigger in ("before_RESET", "leave_CONFIGURED", "before_RESET-5"):
            house = await self.house(
                calls(f"call: testplugin.Test(), {trigger}, var testplugin_fail: 'true'")
            )
            environment = await house.create("w")
            with self.assertRaisesRegex(TransitionFailed, "asked for this call to fail"):
                await house.control(environment, Event.RESET)
            self.assertIs(environment.state, S.ERROR)
            (record,) = [t for t in environment.history.transitions if t.event == "RESET"]
            self.assertNotIn("tasks_RESET", [name for name, _ in record.steps])

    async def test_a_critical_call_that_fails_after_the_tasks_leaves_the_new_state(self) -> None:
        for trigger in ("enter_RUNNING-1", "after_START_ACTIVITY"):
            house = await self.house(
                calls(
                    f"call: testplugin.Test(), {trigger}, var testplugin_fail: 'true'",
                    "later: testplugin.Test(), after_START_ACTIVITY-1",
                )
            )
            environment = await house.create("w")
            with self.assertRaises(TransitionFailed):
                await house.control(environment, Event.START_ACTIVITY)
            self.assertIs(environment.state, S.ERROR)
            start, error = environment.history.transitions[-2:]
            self.assertIn("tasks_START_ACTIVITY", [name for name, _ in start.steps])
            self.assertEqual(error.from_state, "RUNNING")
            self.assertTrue(called(environment, "later"))

    async def test_a_call_that_is_not_critical_fails_quietly(self) -> None:
        house = await self.house(
            calls(
                "call: testplugin.Test(), before_CONFIGURE, critical: false, "
                "var testplugin_fail: 'true'"
            )
        )
        environment = await house.create("w")
        self.assertIs(environment.state, S.CONFIGURED)
        (warning,) = [w for w in environment.history.warnings if "hook" in w]
        self.assertIn("w.call", warning)

    async def test_a_call_is_awaited_where_it_says(self) -> None:
        slow = "var testplugin_delay: '0.1'"
        house = await self.house(
            calls(
                f"same: testplugin.Test(), before_CONFIGURE, await: before_CONFIGURE+50, {slow}",
                f"other: testplugin.Test(), before_CONFIGURE, await: after_CONFIGURE, {slow}",
                f"far: testplugin.Test(), after_CONFIGURE, await: before_RESET, {slow}",
            )
        )
        environment = await house.create("w")
        self.assertTrue(called(environment, "same"))
        self.assertTrue(called(environment, "other"))
        conductor = house.manager.fleet.conductor(environment)
        self.assertEqual(conductor.hooks.pending_calls(), [("before_RESET", 0, "w.far")])
        await house.control(environment, Event.RESET)
        self.assertTrue(called(environment, "far"))
        self.assertEqual(conductor.hooks.pending_calls(), [])

    async def test_a_call_that_is_never_awaited_is_given_up_at_the_end(self) -> None:
        house = await self.house(
            calls(
                "call: testplugin.Test(), after_CONFIGURE, await: before_RECOVER, "
                "var testplugin_delay: '60'"
            )
        )
        environment = await house.create("w")
        conductor = house.manager.fleet.conductor(environment)
        await house.destroy(environment)
        self.assertEqual(conductor.hooks.cancel_pending(), 0)
        self.assertEqual(house.told("call")[-1].error, "given up")

    async def test_a_call_has_its_time_limit(self) -> None:
        text = calls("call: testplugin.Test(), before_CONFIGURE, var testplugin_delay: '60'")
        house = await self.house(text.replace("timeout: 5s", "timeout: 50ms"))
        with self.assertRaisesRegex(TransitionFailed, "w.call: timed out after 50ms"):
            await house.create("w")

    async def test_weights_order_calls(self) -> None:
        house = await self.house(
            calls(
                "call3: testplugin.CallOrderObserver(), before_CONFIGURE+50",
                "call2: testplugin.CallOrderObserver(), before_CONFIGURE",
                "call1: testplugin.CallOrderObserver(), before_CONFIGURE-50",
            )
        )
        environment = await house.create("w")
        history = environment.root.stack()["call_history"]
        self.assertEqual(history, "w.call1,w.call2,w.call3")

    async def test_an_unknown_plugin_is_named(self) -> None:
        house = await self.house(calls("call: dcs.StartOfRun(), before_CONFIGURE"))
        with self.assertRaisesRegex(TransitionFailed, "w.call.*dcs"):
            await house.create("w")

    async def test_the_output_of_a_call_is_kept(self) -> None:
        house = await self.house(
            calls("call: testplugin.test(1), before_CONFIGURE, return: answer")
        )
        environment = await house.create("w")
        role = environment.root.find("w.call")
        assert role is not None
        self.assertEqual(role.stack()["answer"], "test_data")

    async def test_calls_after_a_transition_that_failed_do_not_run(self) -> None:
        house = await self.house(
            calls("call: testplugin.Test(), after_RESET") + WITH_TASK, FailingTransition("RESET")
        )
        environment = await house.create("w")
        with self.assertRaisesRegex(TransitionFailed, "RESET does not work today"):
            await house.control(environment, Event.RESET)
        self.assertFalse(called(environment, "call"))


class RunTimeTests(TestCase):
    timeout = 30

    async def house(self, *roles: str, behaviour: Behaviour | None = None) -> Environment:
        text = calls(*roles) + WITH_TASK
        self.made = await House.make(self, {"w": text}, {"t": direct("t")}, behaviour=behaviour)
        return await self.made.create("w")

    async def test_each_time_is_seen_from_its_moment_on(self) -> None:
        observe = "testplugin.TimestampObserver()"
        environment = await self.house(
            f"a: {observe}, before_START_ACTIVITY-1",
            f"b: {observe}, before_START_ACTIVITY",
            f"c: {observe}, after_START_ACTIVITY-1",
            f"d: {observe}, after_START_ACTIVITY",
            f"e: {observe}, before_STOP_ACTIVITY-1",
            f"f: {observe}, before_STOP_ACTIVITY",
            f"g: {observe}, after_STOP_ACTIVITY-1",
            f"h: {observe}, after_STOP_ACTIVITY",
        )
        await self.made.control(environment, Event.START_ACTIVITY)
        await self.made.control(environment, Event.STOP_ACTIVITY)
        seen = [saw(environment, name) for name in "abcdefgh"]
        start, started = {"start"}, {"start", "start_completion"}
        ending, ended = {*started, "end"}, {*started, "end", "end_completion"}
        self.assertEqual(seen, [set(), start, start, started, started, ending, ending, ended])

    async def test_a_second_run_begins_with_clean_times(self) -> None:
        environment = await self.house("b: testplugin.TimestampObserver(), before_START_ACTIVITY")
        await self.made.control(environment, Event.START_ACTIVITY)
        await self.made.control(environment, Event.STOP_ACTIVITY)
        await self.made.control(environment, Event.START_ACTIVITY)
        self.assertEqual(saw(environment, "b"), {"start"})
        stack = environment.root.stack()
        self.assertEqual(stack["run_end_time_ms"], "")
        self.assertEqual(stack["__fmq_cleanup_count"], "2")

    async def test_a_start_that_fails_ends_its_run(self) -> None:
        environment = await self.house(behaviour=FailingTransition("START"))
        with self.assertRaises(TransitionFailed):
            await self.made.control(environment, Event.START_ACTIVITY)
        stack = environment.root.stack()
        self.assertNotEqual(stack["run_start_time_ms"], "")
        self.assertEqual(stack["run_start_completion_time_ms"], "")
        self.assertNotEqual(stack["run_end_time_ms"], "")
        self.assertNotEqual(stack["run_end_completion_time_ms"], "")
        events = [(e.transition, e.transitionStatus.value) for e in self.made.told("run")]
        self.assertEqual(
            events,
            [("START_ACTIVITY", "STARTED"), ("GO_ERROR", "STARTED"), ("GO_ERROR", "DONE_OK")],
        )

    async def test_a_stop_that_fails_ends_its_run_once(self) -> None:
        environment = await self.house(behaviour=FailingTransition("STOP"))
        await self.made.control(environment, Event.START_ACTIVITY)
        number = environment.run_number
        with self.assertRaises(TransitionFailed):
            await self.made.control(environment, Event.STOP_ACTIVITY)
        events = [(e.transition, e.transitionStatus.value) for e in self.made.told("run")]
        self.assertEqual(events[2:], [("STOP_ACTIVITY", "STARTED"), ("GO_ERROR", "DONE_OK")])
        stack = environment.root.stack()
        self.assertEqual(stack["last_run_number"], str(number))
        self.assertNotIn("run_number", stack)


class TaskHookTests(TestCase):
    timeout = 30

    TEXT = """
name: w
roles:
  - name: task
    task: {load: t}
  - name: early
    task: {load: hook, trigger: before_DEPLOY, timeout: 1s, critical: false}
  - name: hook
    task: {load: hook, trigger: "before_CONFIGURE", timeout: 200ms, critical: CRITICAL}
"""

    async def house(self, critical: str, result: tuple[int, str] | None) -> House:
        class Hooks(Behaviour):
            def hook(self, task: SimulatedTask) -> tuple[int, str] | None:
                return result

        return await House.make(
            self,
            {"w": self.TEXT.replace("CRITICAL", critical)},
            {"t": direct("t"), "hook": basic("hook")},
            behaviour=Hooks(),
        )

    async def test_a_hook_leaves_its_result(self) -> None:
        house = await self.house("true", (0, ""))
        environment = await house.create("w")
        role = environment.root.find("w.hook")
        assert role is not None
        self.assertEqual(role.stack()["taskResult.exitCode"], "0")
        self.assertEqual(role.stack()["taskResult.finalStatus"], "TASK_FINISHED")

    async def test_a_hook_before_deployment_runs(self) -> None:
        house = await self.house("true", (0, ""))
        environment = await house.create("w")
        role = environment.root.find("w.early")
        assert role is not None
        self.assertEqual(role.stack()["taskResult.exitCode"], "0")

    async def test_a_critical_hook_that_fails_is_the_cause(self) -> None:
        house = await self.house("true", (3, "first\nno such file"))
        with self.assertRaisesRegex(TransitionFailed, "w.hook .*exit code 3 .*no such file"):
            await house.create("w")
        (record,) = await house.manager.records("", 1)
        self.assertIn("w.hook", record["cause"]["line"])

    async def test_a_hook_that_is_not_critical_is_a_warning(self) -> None:
        house = await self.house("false", (3, "no such file"))
        environment = await house.create("w")
        self.assertIs(environment.state, S.CONFIGURED)
        self.assertTrue(any("w.hook" in w for w in environment.history.warnings))

    async def test_a_hook_that_hangs_is_not_waited_for(self) -> None:
        house = await self.house("true", None)
        with self.assertRaisesRegex(TransitionFailed, "w.hook .*timed out after 0.2 s"):
            await house.create("w")
