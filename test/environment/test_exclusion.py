"""Roles and detectors that are excluded from an environment and included again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.backend.simulated import Behaviour, SimulatedTask
from aliecs.environment.environment import Environment
from aliecs.environment.facilities import Options
from aliecs.environment.machine import EnvironmentState, Event
from aliecs.environment.modification import Modification, ModificationRequest
from aliecs.errors import AliecsError, Conflict, InvalidInput, NotFound, TransitionFailed
from aliecs.interfaces import MesosState
from aliecs.language.state import State
from aliecs.protocol.message import DeviceEventType, TransitionCommand
from test.environment.house import ME, House, direct, target

S = EnvironmentState

WORKFLOW = """
name: w
vars: {detectors: '["TST","ITS"]'}
roles:
  - name: one
    vars: {excludable: "true", detector: TST}
    constraints: [{attribute: machine_id, value: host1}]
    roles:
      - name: source
        bind: [{name: data, type: push, addressing: tcp}]
        task: {load: t}
      - name: sink
        connect: [{name: data, type: pull, target: "{{ Parent().Path }}.source:data"}]
        task: {load: t}
  - name: two
    vars: {excludable: "true", detector: ITS}
    roles:
      - name: left
        roles:
          - name: part
            task: {load: t}
      - name: right
        roles:
          - name: part
            task: {load: u, critical: false}
  - name: three
    connect: [{name: data, type: pull, target: "w.one.source:data"}]
    task: {load: u}
HOOKS"""
TASKS = {"t": direct("t"), "u": direct("u")}


class Recording(Behaviour):
    """Tasks that remember what they were told, and fail at what a test says."""

    def __init__(self) -> None:
        self.told: list[tuple[str, TransitionCommand]] = []
        self.fails: dict[str, str] = {}
        self.silent: set[str] = set()

    def transition(self, task: SimulatedTask, command: TransitionCommand) -> tuple[str, str] | None:
        self.told.append((task.task_id, command))
        if command.event in self.silent:
            return None
        if command.event in self.fails:
            return "ERROR", self.fails[command.event]
        return super().transition(task, command)


class ExclusionTests(TestCase):
    timeout = 30

    async def make(self, hooks: str = "", **options: Any) -> House:
        self.behaviour = Recording()
        text = WORKFLOW.replace("HOOKS", hooks)
        return await House.make(self, {"w": text}, TASKS, behaviour=self.behaviour, **options)

    async def running(self, hooks: str = "", **options: Any) -> tuple[House, Environment]:
        house = await self.make(hooks, **options)
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        return house, environment

    def task(self, environment: Environment, path: str) -> Any:
        return next(task for task in environment.tasks() if task.role_path == path)

    def states(self, environment: Environment) -> Mapping[str, State]:
        return {task.role_path: task.state for task in environment.tasks()}

    def told(self, environment: Environment, path: str) -> list[str]:
        task = self.task(environment, path)
        return [command.event for task_id, command in self.behaviour.told if task_id == task.id]

    def detectors(self, environment: Environment) -> Any:
        return msgspec.json.decode(environment.root.variable("detectors"))

    async def refused(self, kind: type[AliecsError], text: str, wanted: Any) -> None:
        with self.assertRaisesRegex(kind, text):
            await wanted

    async def test_a_run_goes_on_without_a_role_and_with_it_again(self) -> None:
        house, environment = await self.running()
        number = environment.run_number
        before = {task.role_path: task.id for task in environment.tasks()}
        await house.exclude(environment, "w.one")
        self.assertEqual((environment.state, environment.current), (S.RUNNING, None))
        states = self.states(environment)
        self.assertEqual(
            [states["w.one.source"], states["w.one.sink"], states["w.three"]],
            [State.STANDBY, State.STANDBY, State.RUNNING],
        )
        self.assertIs(environment.root.state, State.RUNNING)
        self.assertEqual(self.detectors(environment), ["ITS"])
        self.assertEqual(environment.detectors(), ["ITS"])
        self.assertEqual(environment.root.variable("excluded_roles"), '["w.one"]')
        (held,) = environment.exclusions.all()
        self.assertEqual((held.role.path, held.user.name, held.reason), ("w.one", ME.name, "why"))
        self.assertEqual(self.told(environment, "w.three"), ["CONFIGURE", "START"])

        await house.include(environment, "w.one")
        self.assertEqual(set(self.states(environment).values()), {State.RUNNING})
        self.assertEqual({task.role_path: task.id for task in environment.tasks()}, before)
        self.assertEqual(
            self.told(environment, "w.one.sink"),
            ["CONFIGURE", "START", "STOP", "RESET", "CONFIGURE", "START"],
        )
        stop = next(c for _, c in self.behaviour.told if c.event == "STOP")
        self.assertGreater(int(stop.arguments["run_end_time_ms"]), environment.created_ms)
        first, again = (
            command.arguments
            for task_id, command in self.behaviour.told
            if task_id == before["w.one.sink"] and command.event == "START"
        )
        self.assertEqual(first, again)
        self.assertEqual(again["runNumber"], str(number))
        self.assertEqual(environment.run_number, number)
        self.assertEqual(self.detectors(environment), ["TST", "ITS"])
        self.assertEqual(environment.exclusions.all(), [])
        self.assertEqual(
            [(t.event, t.from_state, t.to_state, t.roles, t.run_number) for t in
             environment.history.transitions[-2:]],
            [
                ("EXCLUDE", "RUNNING", "RUNNING", ["w.one"], number),
                ("INCLUDE", "RUNNING", "RUNNING", ["w.one"], number),
            ],
        )
        await house.control(environment, Event.STOP_ACTIVITY)
        self.assertEqual(set(self.states(environment).values()), {State.CONFIGURED})

    async def test_what_is_excluded_takes_part_in_no_transition(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.exclude(environment, "w.three", "w.two.left.part")
        properties = [c.arguments for _, c in self.behaviour.told if c.event == "CONFIGURE"]
        await house.control(environment, Event.RESET)
        await house.control(environment, Event.CONFIGURE)
        await house.control(environment, Event.START_ACTIVITY)
        self.assertEqual(self.told(environment, "w.three"), ["CONFIGURE", "RESET"])
        self.assertIs(self.states(environment)["w.three"], State.STANDBY)
        self.assertIs(environment.root.state, State.RUNNING)
        # Not excludable: it does not come into the run either.
        await self.refused(
            Conflict, "w.three is not excludable", house.include(environment, "w.three")
        )
        await house.control(environment, Event.STOP_ACTIVITY)
        await house.include(environment, "w.three")
        self.assertIs(self.states(environment)["w.three"], State.CONFIGURED)
        last = self.behaviour.told[-1][1].arguments
        self.assertIn(last, properties)
        self.assertEqual(len(environment.exclusions.all()), 1)
        await house.destroy(environment)
        self.assertEqual(house.roster.tasks(), [])

    async def test_in_deployed(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.control(environment, Event.RESET)
        await house.exclude(environment, "w.three")
        await house.control(environment, Event.CONFIGURE)
        self.assertIs(self.states(environment)["w.three"], State.STANDBY)
        await house.include(environment, "w.three")
        self.assertIs(self.states(environment)["w.three"], State.CONFIGURED)

    async def test_peers_of_what_is_excluded_are_still_told_where_it_is(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await house.exclude(environment, "w.one")
        await house.control(environment, Event.RESET)
        await house.control(environment, Event.CONFIGURE)
        task = self.task(environment, "w.three")
        addresses = [
            command.arguments["chans.data.0.address"]
            for task_id, command in self.behaviour.told
            if task_id == task.id and command.event == "CONFIGURE"
        ]
        self.assertEqual(len(addresses), 2)
        self.assertEqual(len(set(addresses)), 1)

    async def test_detectors(self) -> None:
        house, environment = await self.running()
        await house.exclude(environment, "w.two.left")
        self.assertEqual(self.detectors(environment), ["TST", "ITS"])
        await house.exclude(environment, "detector its")
        self.assertEqual(self.detectors(environment), ["TST"])
        self.assertEqual(
            [one.role.path for one in environment.exclusions.all()], ["w.two.left", "w.two"]
        )
        await self.refused(
            Conflict, "w.two.left is excluded with w.two", house.include(environment, "w.two.left")
        )
        await self.refused(
            Conflict,
            "detector ITS is excluded already, with w.two by tester, because: why",
            house.exclude(environment, "detector ITS"),
        )
        other = await house.create("w", detectors='["ITS"]')
        await self.refused(
            Conflict,
            f"detector ITS is already in use by environment {other.id}",
            house.include(environment, "detector ITS"),
        )
        await house.destroy(other)
        await house.include(environment, "detector ITS")
        self.assertEqual(environment.exclusions.all(), [])
        self.assertEqual(self.detectors(environment), ["TST", "ITS"])
        self.assertEqual(set(self.states(environment).values()), {State.RUNNING})
        with self.assertRaisesRegex(NotFound, r"detector TPC \(there are: ITS, TST\)"):
            await house.exclude(environment, "detector TPC")

    async def test_refusals_change_nothing(self) -> None:
        house, environment = await self.running()
        transitions = len(environment.history.transitions)
        for kind, text, wanted in (
            (Conflict, "w.three is not excludable", house.exclude(environment, "w.three")),
            (Conflict, "the whole environment", house.exclude(environment, "w")),
            (Conflict, "role w.one is not excluded", house.include(environment, "w.one")),
            (NotFound, "did you mean w.one.source", house.exclude(environment, "w.one.sorce")),
            (NotFound, "did you mean w.one?", house.exclude(environment, "one")),
            (NotFound, "did you mean w.one", house.exclude(environment, "x.one")),
        ):
            await self.refused(kind, text, wanted)
        with self.assertRaises(InvalidInput):
            house.manager.alterations.modify(environment.id, ModificationRequest((), ME))
        with self.assertRaisesRegex(Conflict, "in CONFIGURED and in DEPLOYED, not in RUNNING"):
            again = ModificationRequest((), ME, reconfigure=True)
            house.manager.alterations.modify(environment.id, again)
        await house.exclude(environment, "w.one")
        await self.refused(
            Conflict,
            "w.one.source is excluded already, with w.one by tester",
            house.exclude(environment, "w.one.source"),
        )
        self.assertEqual(len(environment.history.transitions), transitions + 1)
        task = self.task(environment, "w.three")
        house.backend.end(task.id, MesosState.TASK_FAILED, "exit code 1")
        await house.until(lambda: environment.state is S.ERROR)
        await self.refused(Conflict, "is in ERROR", house.include(environment, "w.one"))

    async def test_nothing_else_begins_meanwhile(self) -> None:
        house, environment = await self.running()
        self.behaviour.silent = {"STOP"}
        wanted = ModificationRequest((Modification(Event.EXCLUDE, (target("w.one"),)),), ME)
        operation = house.manager.alterations.modify(environment.id, wanted)
        await house.until(lambda: operation.step == "tasks_EXCLUDE")
        with self.assertRaisesRegex(Conflict, "in the transition EXCLUDE, asked for by tester"):
            house.manager.control(environment.id, Event.STOP_ACTIVITY, ME)
        # A failure of the others interrupts it.
        task = self.task(environment, "w.three")
        house.backend.end(task.id, MesosState.TASK_FAILED, "exit code 1")
        with self.assertRaisesRegex(TransitionFailed, "EXCLUDE failed: task w.three on host"):
            await operation.wait()
        await house.until(lambda: environment.state is S.ERROR)
        cause = environment.history.cause
        assert cause is not None
        self.assertEqual(cause.role, "w.three")

    async def test_what_fails_while_it_is_excluded_is_a_warning(self) -> None:
        house, environment = await self.running()
        await house.exclude(environment, "w.one")
        source, sink = (self.task(environment, f"w.one.{name}") for name in ("source", "sink"))
        endpoints = source.endpoints
        house.backend.end(source.id, MesosState.TASK_FAILED, "killed by SIGKILL")
        environment.task_event(sink, DeviceEventType.TASK_INTERNAL_ERROR)
        await house.until(lambda: not source.living)
        warnings = "\n".join(environment.history.warnings)
        self.assertIn("excluded, ended: killed by SIGKILL", warnings)
        self.assertIn("excluded, reported an internal error", warnings)
        self.assertIs(environment.state, S.RUNNING)
        await house.include(environment, "w.one")
        again = self.task(environment, "w.one.source")
        self.assertNotEqual(again.id, source.id)
        self.assertEqual((again.host, again.endpoints), (source.host, endpoints))
        self.assertIsNone(house.roster.task(source.id))
        self.assertEqual(set(self.states(environment).values()), {State.RUNNING})
        self.assertIs(environment.state, S.RUNNING)

    async def test_recovery_leaves_it_alone(self) -> None:
        house, environment = await self.running()
        await house.exclude(environment, "w.one")
        source = self.task(environment, "w.one.source")
        house.backend.end(source.id, MesosState.TASK_FAILED, "killed by SIGKILL")
        house.backend.end(
            self.task(environment, "w.three").id, MesosState.TASK_FAILED, "exit code 1"
        )
        await house.until(lambda: environment.state is S.ERROR and environment.current is None)
        await house.control(environment, Event.RECOVER)
        self.assertIs(environment.state, S.DEPLOYED)
        self.assertIs(self.task(environment, "w.one.source"), source)
        await house.control(environment, Event.CONFIGURE)
        await house.include(environment, "w.one")
        self.assertEqual(set(self.states(environment).values()), {State.CONFIGURED})

    async def test_an_inclusion_that_fails_leaves_all_as_it_was(self) -> None:
        house, environment = await self.running()
        await house.exclude(environment, "w.one")
        self.behaviour.fails = {"START": "no such device"}
        with self.assertRaisesRegex(TransitionFailed, "INCLUDE failed: START: task w.one.*device"):
            await house.include(environment, "w.one")
        self.assertEqual((environment.state, environment.current), (S.RUNNING, None))
        self.assertIsNone(environment.history.cause)
        self.assertEqual(self.detectors(environment), ["ITS"])
        self.assertEqual(len(environment.exclusions.all()), 1)
        self.behaviour.fails = {}
        await house.include(environment, "w.one")
        self.assertEqual(set(self.states(environment).values()), {State.RUNNING})

    async def test_where_the_old_place_is_taken_the_peers_are_named(self) -> None:
        house, environment = await self.running()
        house.roster._deployer.patience_s = 0.1
        await house.exclude(environment, "w.one")
        source = self.task(environment, "w.one.source")
        (port,) = (int(e.address.rpartition(":")[2]) for e in source.endpoints.values())
        sink = self.task(environment, "w.one.sink")
        for task in (source, sink):
            house.backend.end(task.id, MesosState.TASK_FAILED, "killed by SIGKILL")
        await house.until(lambda: not source.living and not sink.living)
        house.backend._ports["host1"].add(port)
        with self.assertRaisesRegex(
            TransitionFailed,
            f"w.one.source cannot be launched again on host host1, where w.one.sink; w.three would "
            f"look for it: .*does not offer the port {port}",
        ):
            await house.include(environment, "w.one")
        self.assertIs(environment.state, S.RUNNING)
        house.backend._ports["host1"].discard(port)
        await house.include(environment, "w.one")
        # Of those that died nobody is left.
        self.assertEqual(len(house.roster.tasks()), len(environment.tasks()))

    async def including(self) -> tuple[House, Environment, Deferred[Any]]:
        """An inclusion whose tasks do not answer to START."""
        house, environment = await self.running()
        await house.exclude(environment, "w.one")
        self.behaviour.silent = {"START"}
        wanted = ModificationRequest((Modification(Event.INCLUDE, (target("w.one"),)),), ME)
        operation = house.manager.alterations.modify(environment.id, wanted)
        await house.until(lambda: self.told(environment, "w.one.sink")[-1] == "START")
        # Its detector is taken from the beginning on.
        self.assertEqual(environment.detectors(), ["ITS", "TST"])
        return house, environment, Deferred.fromCoroutine(operation.wait())

    async def test_an_inclusion_that_an_error_interrupts(self) -> None:
        house, environment, waiting = await self.including()
        sink, task = (self.task(environment, path) for path in ("w.one.sink", "w.three"))
        house.backend.end(task.id, MesosState.TASK_FAILED, "exit code 1")
        await house.until(lambda: environment.state is S.ERROR)
        self.assertEqual(environment.detectors(), ["ITS"])
        self.assertEqual(len(environment.exclusions.all()), 1)
        await house.until(lambda: sink.state is State.STANDBY)
        failure = self.failureResultOf(waiting, TransitionFailed)
        self.assertIn("INCLUDE failed: task w.three on host", failure.getErrorMessage())

    async def test_an_inclusion_that_a_destruction_interrupts(self) -> None:
        house, environment, waiting = await self.including()
        await house.destroy(environment, force=True)
        failure = self.failureResultOf(waiting, TransitionFailed)
        self.assertIn("INCLUDE aborted: destroyed by tester", failure.getErrorMessage())
        self.assertEqual(house.roster.tasks(), [])

    async def test_tasks_that_do_not_stop_keep_nothing(self) -> None:
        house = await self.make(options=Options(transition_timeout_s=0.2))
        environment = await house.create("w")
        await house.control(environment, Event.START_ACTIVITY)
        self.behaviour.silent = {"STOP"}
        old = self.task(environment, "w.one.sink")
        await house.exclude(environment, "w.one")
        self.assertIn("STOP failed, excluded: w.one.", environment.history.warnings[-1])
        self.assertIs(environment.root.state, State.RUNNING)
        await house.include(environment, "w.one")
        self.assertFalse(old.living)
        self.assertEqual(set(self.states(environment).values()), {State.RUNNING})
        self.behaviour.silent = set()

    async def test_the_end_of_the_streams_of_the_others_ends_the_run(self) -> None:
        house, environment = await self.running()
        for path in ("w.two.left.part", "w.one.sink"):
            environment.task_event(self.task(environment, path), DeviceEventType.END_OF_STREAM)
        self.assertIs(environment.state, S.RUNNING)
        await house.exclude(environment, "w.one")
        await house.until(lambda: environment.state is S.CONFIGURED)

    async def test_the_stream_of_what_comes_back_is_waited_for(self) -> None:
        house, environment = await self.running()
        await house.exclude(environment, "w.one")
        await house.include(environment, "w.one")
        for path in ("w.two.left.part", "w.one.sink", "w.one.source"):
            self.assertIs(environment.state, S.RUNNING)
            environment.task_event(self.task(environment, path), DeviceEventType.END_OF_STREAM)
        await house.until(lambda: environment.state is S.CONFIGURED)

    async def test_hooks_at_their_moments_and_none_of_what_is_excluded(self) -> None:
        hooks = "".join(
            f"  - name: {moment}\n    call: {{func: testplugin.Test(), trigger: {moment}}}\n"
            for moment in ("before_EXCLUDE", "after_EXCLUDE", "before_INCLUDE", "after_INCLUDE")
        )
        hooks += (
            "  - name: inner\n    vars: {excludable: 'true'}\n    roles:\n"
            "      - name: stop\n"
            "        call: {func: testplugin.Test(), trigger: before_STOP_ACTIVITY}\n"
        )
        house, environment = await self.running(hooks)
        await house.exclude(environment, "w.inner", "w.one")
        variables = environment.root.variable
        self.assertEqual(variables("modified_roles"), '["w.inner","w.one"]')
        self.assertEqual(variables("modified_detectors"), '["TST"]')
        await house.include(environment, "w.one")
        await house.control(environment, Event.STOP_ACTIVITY)
        called = [e.path for e in house.told("call") if e.callStatus.name == "STARTED"]
        self.assertEqual(
            called, ["w.before_EXCLUDE", "w.after_EXCLUDE", "w.before_INCLUDE", "w.after_INCLUDE"]
        )
        await house.include(environment, "w.inner")
        await house.control(environment, Event.START_ACTIVITY)
        await house.control(environment, Event.STOP_ACTIVITY)
        self.assertIn("w.inner.stop", [e.path for e in house.told("call")])

    async def test_a_critical_hook_that_fails_keeps_all_as_it_is(self) -> None:
        hook = (
            "  - name: hook\n    vars: {testplugin_fail: 'true'}\n"
            "    call: {func: testplugin.Test(), trigger: before_EXCLUDE}\n"
        )
        house, environment = await self.running(hook)
        with self.assertRaisesRegex(TransitionFailed, "critical hooks failed at before_EXCLUDE"):
            await house.exclude(environment, "w.one")
        self.assertEqual(environment.exclusions.all(), [])
        self.assertIsNone(environment.history.cause)
        await house.control(environment, Event.STOP_ACTIVITY)
        self.assertIs(environment.state, S.CONFIGURED)

    async def test_all_is_configured_again_where_asked_for(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        request = ModificationRequest(
            (
                Modification(Event.EXCLUDE, (target("w.one"),)),
                Modification(Event.EXCLUDE, (target("w.three"),)),
                Modification(Event.INCLUDE, (target("w.one"),)),
            ),
            ME,
            reconfigure=True,
        )
        operation = house.manager.alterations.modify(environment.id, request)
        await operation.wait()
        self.assertEqual(operation.kind, "MODIFY")
        self.assertEqual(
            self.told(environment, "w.two.left.part"), ["CONFIGURE", "RESET", "CONFIGURE"]
        )
        self.assertEqual(self.told(environment, "w.three"), ["CONFIGURE", "RESET"])

    async def test_a_destruction_takes_what_is_excluded_too(self) -> None:
        house, environment = await self.running()
        await house.exclude(environment, "w.one")
        await house.destroy(environment, allow_in_running_state=True)
        self.assertEqual(house.roster.tasks(), [])
        house, environment = await self.running()
        self.behaviour.silent = {"STOP"}
        wanted = ModificationRequest((Modification(Event.EXCLUDE, (target("w.one"),)),), ME)
        operation = house.manager.alterations.modify(environment.id, wanted)
        waiting = Deferred.fromCoroutine(operation.wait())
        await house.destroy(environment, force=True)
        failure = self.failureResultOf(waiting, TransitionFailed)
        self.assertIn("EXCLUDE aborted: destroyed by tester", failure.getErrorMessage())
        self.assertEqual(house.roster.tasks(), [])
