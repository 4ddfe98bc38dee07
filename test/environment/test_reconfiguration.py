"""Other variables for an environment that lives: who keeps its process, and who cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.backend.simulated import Behaviour, SimulatedHost, SimulatedTask
from aliecs.environment.environment import Environment
from aliecs.environment.facilities import Options
from aliecs.environment.machine import EnvironmentState, Event
from aliecs.environment.modification import ModificationRequest
from aliecs.environment.reconfiguration import NewVariables
from aliecs.errors import Conflict, InvalidInput, TransitionFailed
from aliecs.language.state import Status
from aliecs.protocol.message import TransitionCommand
from aliecs.workflow.workflow import Workflow
from test.environment.house import ME, House

S = EnvironmentState

WORKFLOW = """
name: w
defaults:
  rate: "10"
  level: info
  sources: '["a","b"]'
  place: host1
  extra: "false"
  key: "{{ uid.New() }}"
  wanted: data
  flavour: sink
  detectors: '["TST"]'
roles:
  - name: "source-{{ it }}"
    for: {range: "{{ sources }}", var: it}
    bind: [{name: data, type: push, addressing: tcp}]
    vars: {speed: "--rate={{ rate }}"}
    task: {load: source}
  - name: "{{ 'sink' }}"
    constraints: [{attribute: machine_id, value: "{{ place }}"}]
    connect: [{name: data, type: pull, target: "w.source-a:{{ wanted }}"}]
    task: {load: "{{ flavour }}"}
  - name: extra
    enabled: "{{ extra }}"
    task: {load: sink}
  - name: call
    call: {func: "testplugin.Test()", trigger: after_CONFIGURE, timeout: "5s"}
    vars: {testplugin_level: "{{ level }}"}
"""
SOURCE = """
name: source
control: {mode: direct}
wants: {cpu: 0.1, memory: 10}
properties: {severity: "{{ level }}"}
command:
  value: source
  arguments: ["{{ speed }}", "{{ key }}", "{{ uid.New() }}"]
"""
SINK = """
name: sink
control: {mode: direct}
wants: {cpu: 0.1, memory: 10}
properties: {severity: "{{ level }}"}
command: {value: sink, user: "{{ last_request_user }}"}
"""
TASKS = {"source": SOURCE, "sink": SINK, "other": SINK.replace("name: sink", "name: other")}


class Recording(Behaviour):
    """Tasks that remember what they were told, and fail where a test says."""

    def __init__(self) -> None:
        self.told: list[tuple[str, TransitionCommand]] = []
        self.dies = False

    def launched(self, task: SimulatedTask) -> Any:
        update = super().launched(task)
        if self.dies and update is not None:
            failed = type(update.state).TASK_FAILED
            return type(update)(
                task.task_id, failed, task.agent_id, task.executor_id, "exited with exit code 3"
            )
        return update

    def transition(self, task: SimulatedTask, command: TransitionCommand) -> tuple[str, str] | None:
        self.told.append((task.task_id, command))
        return super().transition(task, command)


class ReconfigurationTests(TestCase):
    timeout = 30

    async def make(self, **options: Any) -> House:
        self.behaviour = Recording()
        return await House.make(
            self, {"w": WORKFLOW}, TASKS, behaviour=self.behaviour, **options
        )

    async def reconfigure(
        self, house: House, environment: Environment, *unset: str, **variables: str
    ) -> None:
        request = ModificationRequest(
            (), ME, "why", True, NewVariables({**variables}, unset)
        )
        await house.manager.alterations.modify(environment.id, request).wait()

    def ids(self, environment: Environment) -> dict[str, str]:
        return {task.role_path: task.id for task in environment.tasks()}

    def configured_with(self, task_id: str) -> Mapping[str, str]:
        """What a task was told at its last CONFIGURE."""
        told = [c.arguments for task, c in self.behaviour.told if task == task_id and c.arguments]
        return told[-1]

    async def test_tasks_whose_command_is_another_are_replaced_and_no_others(self) -> None:
        house = await self.make()
        environment = await house.create("w", rate="5")
        before = self.ids(environment)
        key = environment.root.variable("key")
        berths = {t.role_path: (t.host, t.endpoints) for t in environment.tasks()}
        plan = await house.manager.alterations.plan(environment.id, NewVariables({"rate": "20"}))
        self.assertEqual(self.ids(environment), before)
        self.assertEqual([one.role.path for one in plan.replacements], ["w.source-a", "w.source-b"])
        self.assertEqual([task.role_path for task in plan.kept], ["w.sink"])
        first = plan.replacements[0]
        self.assertEqual(first.task_id, before["w.source-a"])
        self.assertEqual(first.why, "its arguments are changed")
        (value,) = first.values
        self.assertEqual(
            (value.name, value.before, value.after), ("speed", "--rate=5", "--rate=20")
        )
        self.assertEqual(plan.names, {"rate", "speed"})

        await self.reconfigure(house, environment, rate="20", level="debug")
        self.assertIs(environment.state, S.CONFIGURED)
        after = self.ids(environment)
        self.assertEqual(after["w.sink"], before["w.sink"])
        self.assertNotIn(after["w.source-a"], before.values())
        self.assertNotIn(after["w.source-b"], before.values())
        self.assertEqual(
            {t.role_path: (t.host, t.endpoints) for t in environment.tasks()}, berths
        )
        (source,) = [t for t in environment.tasks() if t.role_path == "w.source-a"]
        assert source.command is not None
        # What only chance made different at the loads is as it was.
        self.assertEqual(list(source.command.arguments[:2]), ["--rate=20", key])
        for path in ("w.sink", "w.source-b"):
            self.assertEqual(self.configured_with(after[path])["severity"], "debug")
        events = [t.event for t in environment.history.transitions]
        self.assertEqual(events[-3:], ["RESET", "REPLACE", "CONFIGURE"])
        record = environment.history.transitions[-2]
        self.assertEqual(record.roles, ["w.source-a", "w.source-b"])
        self.assertEqual(record.variables, {"rate": "20", "level": "debug"})
        self.assertEqual(environment.requested, {"rate": "20", "level": "debug"})
        self.assertFalse([t for t in house.roster.tasks() if t.id not in after.values()])
        await house.control(environment, Event.START_ACTIVITY)

    async def test_it_can_be_unset_again(self) -> None:
        house = await self.make()
        environment = await house.create("w", rate="5")
        with self.assertRaisesRegex(InvalidInput, "level cannot be unset.*set were: rate"):
            await self.reconfigure(house, environment, "level")
        await self.reconfigure(house, environment, "rate")
        self.assertEqual(environment.root.roles[0].variable("speed"), "--rate=10")

    async def test_what_only_tasks_are_told_replaces_nothing(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        before = self.ids(environment)
        await house.control(environment, Event.RESET)
        await self.reconfigure(house, environment, level="debug")
        self.assertEqual((environment.state, self.ids(environment)), (S.CONFIGURED, before))
        self.assertEqual(self.configured_with(before["w.sink"])["severity"], "debug")

    async def test_variables_of_one_role(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        before = self.ids(environment)
        await self.reconfigure(house, environment, **{"w.source-b:rate": "1"})
        after = self.ids(environment)
        self.assertEqual([p for p in after if after[p] != before[p]], ["w.source-b"])
        with self.assertRaisesRegex(InvalidInput, "roles that do not exist: w.nobody"):
            await self.reconfigure(house, environment, **{"w.nobody:rate": "1"})

    async def test_another_class_is_another_process_and_another_target_is_not(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        before = self.ids(environment)
        other = NewVariables({"flavour": "other"})
        plan = await house.manager.alterations.plan(environment.id, other)
        (one,) = plan.replacements
        self.assertEqual(one.role.path, "w.sink")
        self.assertIn("its task class is test/tasks/other@", one.why)
        await self.reconfigure(house, environment, flavour="other")
        after = self.ids(environment)
        self.assertEqual([p for p in after if after[p] != before[p]], ["w.sink"])
        (sink,) = [t for t in environment.tasks() if t.role_path == "w.sink"]
        self.assertEqual(sink.task_class.name, "other")
        # A target that nobody binds: the task is told of another one, and that fails CONFIGURE.
        with self.assertRaisesRegex(TransitionFailed, "w.source-a:nothing"):
            await self.reconfigure(house, environment, wanted="nothing")
        self.assertIs(environment.state, S.ERROR)

    async def test_another_shape_is_refused_and_nothing_has_changed(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        before = self.ids(environment)
        for variables, said in (
            ({"sources": '["a","c"]'}, r"w\.source-b would not be there.*new role w\.source-c"),
            ({"extra": "true"}, r"there would be a new role w\.extra"),
            ({"place": "host2"}, r"w\.sink would have to run elsewhere \(machine_id = host2\)"),
            ({"detectors": '["ITS"]'}, r"the variable detectors of role w would be"),
        ):
            with self.assertRaisesRegex(Conflict, said):
                await self.reconfigure(house, environment, **variables)
            self.assertIs(environment.state, S.CONFIGURED)
            self.assertEqual(self.ids(environment), before)
        self.assertEqual(environment.requested, {})
        await house.control(environment, Event.START_ACTIVITY)
        with self.assertRaisesRegex(Conflict, "not in RUNNING"):
            await self.reconfigure(house, environment, rate="1")

    async def test_a_replacement_that_fails_is_an_error_with_its_cause(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        self.behaviour.dies = True
        said = r"REPLACE: task w\.source-[ab] .*exit code 3"
        with self.assertRaisesRegex(TransitionFailed, said):
            await self.reconfigure(house, environment, rate="1")
        self.assertIs(environment.state, S.ERROR)
        cause = environment.history.cause
        assert cause is not None
        self.assertRegex(cause.line, said)
        self.behaviour.dies = False
        await house.control(environment, Event.RECOVER)
        await house.control(environment, Event.CONFIGURE)
        (source,) = [t for t in environment.tasks() if t.role_path == "w.source-a"]
        assert source.command is not None
        self.assertEqual(source.command.arguments[0], "--rate=1")

    async def test_where_the_old_place_is_gone_another_is_taken(self) -> None:
        hosts = (SimulatedHost("host1"), SimulatedHost("host2"))
        house = await self.make(hosts=hosts, options=Options(deploy_timeout_s=15))
        environment = await house.create("w")
        (source,) = [t for t in environment.tasks() if t.role_path == "w.source-a"]
        await house.roster.hosts.drains.drain(source.host, "tester", "why")
        await self.reconfigure(house, environment, rate="1")
        (again,) = [t for t in environment.tasks() if t.role_path == "w.source-a"]
        self.assertNotEqual(again.host, source.host)
        address = self.configured_with(self.ids(environment)["w.sink"])["chans.data.0.address"]
        self.assertEqual(
            address.rpartition(":")[2], again.endpoints["data"].address.rpartition(":")[2]
        )

    async def test_what_is_excluded_is_replaced_too(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        before = self.ids(environment)
        await house.exclude(environment, "w.source-b")
        await self.reconfigure(house, environment, rate="1")
        after = self.ids(environment)
        self.assertNotIn(after["w.source-b"], before.values())
        await house.until(
            lambda: environment.workflow.task_roles[1].status is Status.ACTIVE
        )
        await house.include(environment, "w.source-b")
        self.assertEqual(self.ids(environment), after)

    async def test_a_successor_can_read_what_changed(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        await self.reconfigure(house, environment, flavour="other", rate="7")
        entries = await house.journal.entries(environment.id)
        (loaded,) = [one.body["workflow"] for one in entries if one.kind == "workflow_loaded"]
        workflow = Workflow.from_document(loaded, environment.workflow.compiler)
        for one in entries:
            if one.kind == "variables_changed":
                workflow.change(one.body["change"])
        for read, living in zip(workflow.root.walk(), environment.root.walk(), strict=True):
            self.assertEqual(read.variables, {**living.variables, **read.variables})
            self.assertEqual(read.variable("rate"), "7")
        self.assertEqual(workflow.task_roles[2].class_identifier.split("@")[0], "test/tasks/other")
        self.assertEqual(set(workflow.class_texts), set(environment.workflow.class_texts))
        begun = [one.body for one in entries if one.kind == "transition_begun"]
        self.assertEqual(begun[-2]["variables"], {"flavour": "other", "rate": "7"})

    async def test_nothing_else_begins_meanwhile(self) -> None:
        house = await self.make()
        environment = await house.create("w")
        operation = house.manager.alterations.modify(
            environment.id,
            ModificationRequest((), ME, "", True, NewVariables({"rate": "1"})),
        )
        waiting = Deferred.fromCoroutine(operation.wait())
        await house.until(lambda: environment.current is Event.REPLACE)
        with self.assertRaisesRegex(Conflict, "is in the transition REPLACE"):
            await house.control(environment, Event.CONFIGURE)
        await waiting
        self.assertIs(environment.state, S.CONFIGURED)
