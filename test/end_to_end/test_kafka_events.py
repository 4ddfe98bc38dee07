"""What a real core tells a real Kafka broker, read back with another client, against the sheet."""

from __future__ import annotations

import math
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import events_pb2, kafka_pb2, o2control_pb2
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import CALL_DEADLINE_S, RunningCore
from test.end_to_end.workflows import BASE, EASY_PUPPET, SHELL
from test.kafka import KafkaServer, Message, find_kafka, shared_kafka

find_kafka()

pytestmark = pytest.mark.end_to_end

PARTITIONS = 3
"""Of each topic that the broker makes."""

ALL = ("core", "environment", "run", "task", "role", "call")

LIFE = """\
name: life
defaults:
  broken: "false"
roles:
  - name: puppet
    constraints: [{attribute: machine_id, value: one}]
    task: {load: easy-puppet}
  - name: hook
    constraints: [{attribute: machine_id, value: one}]
    vars: {script: "true"}
    task: {load: shell-hook, trigger: before_CONFIGURE, timeout: 10s, critical: false}
  - name: call
    vars: {testplugin_fail: "{{ broken }}"}
    call:
      func: testplugin.Test()
      trigger: before_START_ACTIVITY-10
      await: after_START_ACTIVITY
      timeout: 5s
      critical: true
      return: told
"""

NOTIFIED = """\
name: notified
defaults:
  detectors: '["TPC","ITS"]'
  run_type: PHYSICS
roles:
  - name: puppet
    task: {load: easy-puppet}
  - name: running
    call:
      func: kafka.PublishEnterStateUpdate()
      trigger: enter_RUNNING
      timeout: 5s
      critical: true
"""

FILES = {
    "workflows/life.yaml": LIFE,
    "workflows/notified.yaml": NOTIFIED,
    "tasks/easy-puppet.yaml": EASY_PUPPET,
    "tasks/shell-hook.yaml": SHELL.replace("shell", "shell-hook", 1).replace("basic", "hook"),
}


@pytest.fixture
def broker() -> Iterator[KafkaServer]:
    broker = shared_kafka()
    yield broker
    if not broker.running:
        broker.start()


@pytest.fixture
def make_core(tmp_path: Path) -> Callable[..., RunningCore]:
    def make(endpoint: str, **settings: Any) -> RunningCore:
        return RunningCore(
            tmp_path,
            hosts=["one", "two"],
            settings={"kafkaEndpoints": [endpoint], **settings},
            workflows=FILES | BASE,
        )

    return make


def partition_of(key: str, partitions: int) -> int:
    """Where the reference puts a key: FNV-1a as a signed number, its remainder without the sign."""
    value = 0x811C9DC5
    for one in key.encode():
        value = (value ^ one) * 0x01000193 % 2**32
    signed = value - 2**32 if value >= 2**31 else value
    return abs(int(math.fmod(signed, partitions)))


class Told:
    """What the broker has of one environment, by topic."""

    def __init__(self, messages: Sequence[Message], environment_id: str) -> None:
        self.by_topic: dict[str, list[Any]] = {}
        for message in messages:
            event = message.event
            payload = getattr(event, event.WhichOneof("Payload"))
            if getattr(payload, "environmentId", "") == environment_id:
                topic = message.topic.removeprefix("aliecs.")
                self.by_topic.setdefault(topic, []).append(payload)
                key = payload.taskid if topic == "task" else environment_id
                assert message.key == key.encode()
                assert message.partition == partition_of(key, PARTITIONS)
                assert event.timestamp == event.timestampNano // 1_000_000

    def environment(self) -> list[tuple[str, str, str, str, str]]:
        return [
            (
                event.transition,
                event.state,
                event.transitionStep,
                events_pb2.OpStatus.Name(event.transitionStatus),
                event.message,
            )
            for event in self.by_topic["environment"]
        ]


def told_of(
    broker: KafkaServer, environment_id: str, last: str, each_once: bool = False, count: int = 1
) -> Told:
    """All events of an environment, once the one that says `last` is there, and `count` of those.
    `each_once` leaves out what is there already, as a consumer would."""
    topics = [f"aliecs.{topic}" for topic in ALL]

    def is_there(messages: Sequence[Message]) -> bool:
        ends = [
            message
            for message in messages
            if message.topic == "aliecs.environment"
            and message.event.environmentEvent.environmentId == environment_id
            and message.event.environmentEvent.message == last
        ]
        return len(ends) >= count

    broker.wait_for(["aliecs.environment"], is_there)
    # What was told before may still be on its way: the order is that of each partition alone.
    messages = broker.read(topics)
    while True:
        time.sleep(1.0)
        more = broker.read(topics)
        if len(more) == len(messages):
            break
        messages = more
    if each_once:
        messages = list({(one.topic, one.value): one for one in messages}.values())
    return Told(messages, environment_id)


CREATION = [
    ("CREATE", "PENDING", "", "STARTED", "transition starting"),
    ("CREATE", "PENDING", "before_CREATE", "STARTED", "instantiating"),
    ("CREATE", "PENDING", "before_CREATE", "ONGOING", "running hooks"),
    ("CREATE", "PENDING", "CREATE", "ONGOING", "loading workflow"),
    ("CREATE", "STANDBY", "after_CREATE", "DONE_OK", "workflow loaded"),
    ("CREATE", "STANDBY", "", "DONE_OK", "transition completed successfully"),
]


def transition(event: str, source: str, destination: str) -> list[tuple[str, str, str, str, str]]:
    """The twelve events of a transition that goes well."""
    begun, ended = "transition step starting", "transition step finished"
    steps = [
        (f"before_{event}", source, source),
        (f"leave_{source}", source, source),
        (f"tasks_{event}", source, destination),
        (f"enter_{destination}", destination, destination),
        (f"after_{event}", destination, destination),
    ]
    told = [(event, source, "", "STARTED", "transition starting")]
    for step, before, after in steps:
        told.append((event, before, step, "ONGOING", begun))
        told.append((event, after, step, "ONGOING", ended))
    told.append((event, destination, "", "DONE_OK", "transition completed successfully"))
    return told


def destruction(state: str) -> list[tuple[str, str, str, str, str]]:
    return [
        ("DESTROY", state, "before_DESTROY", "STARTED", "workflow teardown started"),
        ("DESTROY", state, f"leave_{state}", "ONGOING", "workflow teardown ongoing"),
        ("DESTROY", state, "DESTROY", "ONGOING", "releasing tasks"),
        ("DESTROY", state, "after_DESTROY", "ONGOING", "running DESTROY hooks"),
        ("DESTROY", "DONE", "after_DESTROY", "DONE_OK", "environment teardown complete"),
    ]


WHOLE_LIFE = [
    *CREATION,
    *transition("DEPLOY", "STANDBY", "DEPLOYED"),
    *transition("CONFIGURE", "DEPLOYED", "CONFIGURED"),
    *transition("START_ACTIVITY", "CONFIGURED", "RUNNING"),
    *transition("STOP_ACTIVITY", "RUNNING", "CONFIGURED"),
    *transition("RESET", "CONFIGURED", "DEPLOYED"),
    *destruction("DEPLOYED"),
]


def test_a_whole_life(broker: KafkaServer, make_core: Callable[..., RunningCore]) -> None:
    before = len(broker.read(["aliecs.core"]))
    with make_core(broker.address) as core:
        environment = core.create(core.template("life"))
        run_number = core.control(environment.id, "START_ACTIVITY").currentRunNumber
        core.control(environment.id, "STOP_ACTIVITY")
        core.destroy(environment.id)
        told = told_of(broker, environment.id, "environment teardown complete")
    assert told.environment() == WHOLE_LIFE

    events = told.by_topic["environment"]
    with_variables = [event.transitionStep for event in events if event.vars]
    assert with_variables == ["after_CREATE"]
    assert events[4].vars["environment_id"] == environment.id
    assert [event.workflowTemplateInfo.path != "" for event in events[:6]] == [
        *(False, True, False, False),
        *(True, False),
    ]
    assert all(event.workflowTemplateInfo.name == "life" for event in events[6:])
    assert {event.lastRequestUser.name for event in events[:54]} == {"tester"}
    numbers = [event.runNumber for event in events]
    start = 6 + 24
    assert numbers[:start] == [0] * start
    assert numbers[start : start + 12] == [0, 0] + [run_number] * 10
    assert numbers[start + 12 : start + 24] == [run_number] * 11 + [0]
    assert numbers[start + 24 :] == [0] * 17

    check_run(told, run_number)
    check_tasks(told)
    check_roles(told)
    check_calls(told)
    assert len(broker.read(["aliecs.core"])) == before + 1


def check_run(told: Told, run_number: int) -> None:
    assert [
        (run.transition, events_pb2.OpStatus.Name(run.transitionStatus), run.state)
        for run in told.by_topic["run"]
    ] == [
        ("START_ACTIVITY", "STARTED", "CONFIGURED"),
        ("START_ACTIVITY", "DONE_OK", "RUNNING"),
        ("STOP_ACTIVITY", "STARTED", "RUNNING"),
        ("STOP_ACTIVITY", "DONE_OK", "CONFIGURED"),
    ]
    assert {run.runNumber for run in told.by_topic["run"]} == {run_number}
    assert {run.lastRequestUser.name for run in told.by_topic["run"]} == {"tester"}


def check_tasks(told: Told) -> None:
    tasks: dict[str, list[tuple[str, str]]] = {}
    for task in told.by_topic["task"]:
        assert task.name == f"{task.className}#{task.taskid}"
        assert task.hostname == "one"
        tasks.setdefault(task.path, []).append((task.state, task.status))
    assert tasks["life.puppet"] == [
        ("LAUNCHED", "INACTIVE"),
        ("STANDBY", "ACTIVE"),
        ("CONFIGURED", "ACTIVE"),
        ("RUNNING", "ACTIVE"),
        ("CONFIGURED", "ACTIVE"),
        ("STANDBY", "ACTIVE"),
    ]
    hook = [task for task in told.by_topic["task"] if task.path == "life.hook"]
    assert ("STANDBY", "TASK_FINISHED") in tasks["life.hook"]
    assert (hook[0].traits.trigger, hook[0].traits.timeout) == ("before_CONFIGURE", "10s")
    assert not hook[0].traits.critical


def check_roles(told: Told) -> None:
    roles = told.by_topic["role"]
    assert all(bool(role.state) != bool(role.status) for role in roles)
    states = [(role.rolePath, role.state) for role in roles if role.state]
    # The child first, then what it changes of its parent.
    for state in ("CONFIGURED", "RUNNING"):
        assert states.index(("life.puppet", state)) + 1 == states.index(("life", state))
    assert [role.status for role in roles if role.rolePath == "life.call" and role.status] == [
        "ACTIVE",
        "INACTIVE",
    ]


def check_calls(told: Told) -> None:
    begun, ended = told.by_topic["call"]
    for call in (begun, ended):
        assert (call.func, call.path) == ("testplugin.Test()", "life.call")
        assert getattr(call, "return") == "told"
        assert call.traits.trigger == "before_START_ACTIVITY-10"
        assert getattr(call.traits, "await") == "after_START_ACTIVITY"
        assert (call.traits.timeout, call.traits.critical) == ("5s", True)
    assert (begun.callStatus, ended.callStatus) == (events_pb2.STARTED, events_pb2.DONE_OK)


def test_what_fails(broker: KafkaServer, make_core: Callable[..., RunningCore]) -> None:
    with make_core(broker.address) as core:
        request = o2control_pb2.NewEnvironmentRequest(workflowTemplate=core.template("nothing"))
        refused = core.control_stub.NewEnvironmentAsync(request, deadline_s=CALL_DEADLINE_S)
        told = told_of(broker, refused.environment.id, "cannot create new environment")
        assert told.environment() == [
            *CREATION[:4],
            ("CREATE", "PENDING", "", "DONE_ERROR", "transition error"),
            ("", "ERROR", "", "NULL", "cannot create new environment"),
        ]
        last = told.by_topic["environment"][-1]
        assert "nothing" in last.error
        assert last.workflowTemplateInfo.path == core.template("nothing")

        environment = core.create(core.template("life"), broken="true")
        core.control(environment.id, "START_ACTIVITY")
        core.reaches(environment.id, "ERROR", 10.0)
        core.destroy(environment.id)
        told = told_of(broker, environment.id, "environment teardown complete")
    _, ended = told.by_topic["call"]
    assert (ended.callStatus, bool(ended.error)) == (events_pb2.DONE_ERROR, True)
    seen = told.environment()[len(CREATION) + 24 :]
    good = transition("START_ACTIVITY", "CONFIGURED", "RUNNING")
    failed = ("START_ACTIVITY", "RUNNING", "after_START_ACTIVITY", "DONE_ERROR")
    warning = "a critical error occurred, GO_ERROR transition imminent"
    assert seen == [
        *good[:10],
        (*failed, "transition step finished"),
        ("START_ACTIVITY", "RUNNING", "", "DONE_ERROR", "transition error"),
        ("", "RUNNING", "", "NULL", warning),
        *transition("GO_ERROR", "RUNNING", "ERROR"),
        *destruction("ERROR"),
    ]
    assert [
        (run.transition, events_pb2.OpStatus.Name(run.transitionStatus))
        for run in told.by_topic["run"]
    ] == [
        ("START_ACTIVITY", "STARTED"),
        ("START_ACTIVITY", "DONE_OK"),
        ("GO_ERROR", "STARTED"),
        ("GO_ERROR", "DONE_OK"),
    ]


WARNING = "a critical error occurred, GO_ERROR transition imminent"


def failed(event: str, state: str, last_step: int) -> list[tuple[str, str, str, str, str]]:
    """The events of a transition that its tasks do not finish."""
    good = transition(event, state, "")[: last_step - 1]
    return [
        *good,
        (event, state, f"tasks_{event}", "DONE_ERROR", "transition step finished"),
        (event, state, "", "DONE_ERROR", "transition error"),
        ("", state, "", "NULL", WARNING),
        *transition("GO_ERROR", state, "ERROR"),
    ]


def runs(told: Told) -> list[tuple[str, str, str]]:
    return [
        (run.transition, events_pb2.OpStatus.Name(run.transitionStatus), run.state)
        for run in told.by_topic.get("run", ())
    ]


def test_a_creation_that_fails_and_one_that_nobody_waits_for(
    broker: KafkaServer, make_core: Callable[..., RunningCore]
) -> None:
    with make_core(broker.address) as core:
        request = o2control_pb2.NewEnvironmentRequest(
            workflowTemplate=core.template("duo"), vars={"fail_in": "configure"}
        )
        with pytest.raises(RpcError):
            core.control_stub.NewEnvironment(request, deadline_s=CALL_DEADLINE_S)
        (ended,) = core.extended.GetEnvironmentHistory(
            aliecs_v1_pb2.GetEnvironmentHistoryRequest(limit=1), deadline_s=CALL_DEADLINE_S
        ).environments
        told = told_of(broker, ended.id, "transition error", count=2)
        assert told.environment() == [
            *CREATION,
            *transition("DEPLOY", "STANDBY", "DEPLOYED"),
            *failed("CONFIGURE", "DEPLOYED", 7),
            *destruction("ERROR"),
            # The reference says so at the very end, as if nothing had been there.
            ("CREATE", "PENDING", "", "DONE_ERROR", "transition error"),
        ]
        (warning,) = [e for e in told.by_topic["environment"] if e.message == WARNING]
        assert warning.error.startswith("deployment or configuration failed: ")
        assert "run" not in told.by_topic

        request = o2control_pb2.NewEnvironmentRequest(workflowTemplate=core.template("duo"))
        begun = core.control_stub.NewEnvironmentAsync(request, deadline_s=CALL_DEADLINE_S)
        told = told_of(broker, begun.environment.id, "created new environment")
        assert told.environment() == [
            *WHOLE_LIFE[:30],
            ("", "CONFIGURED", "", "NULL", "created new environment"),
        ]


def test_a_start_that_fails(broker: KafkaServer, make_core: Callable[..., RunningCore]) -> None:
    with make_core(broker.address) as core:
        environment = core.create(core.template("duo"), fail_in="start")
        assert core.control(environment.id, "START_ACTIVITY").state == "ERROR"
        core.destroy(environment.id)
        told = told_of(broker, environment.id, "environment teardown complete")
    assert told.environment()[30:] == [
        *failed("START_ACTIVITY", "CONFIGURED", 7),
        *destruction("ERROR"),
    ]
    (warning,) = [e for e in told.by_topic["environment"] if e.message == WARNING]
    assert warning.error.startswith("transition START_ACTIVITY failed: ")
    assert runs(told) == [
        ("START_ACTIVITY", "STARTED", "CONFIGURED"),
        ("GO_ERROR", "STARTED", "CONFIGURED"),
        ("GO_ERROR", "DONE_OK", "ERROR"),
    ]


def test_a_run_that_is_torn_down(
    broker: KafkaServer, make_core: Callable[..., RunningCore]
) -> None:
    with make_core(broker.address) as core:
        environment = core.create(core.template("duo"))
        number = core.control(environment.id, "START_ACTIVITY").currentRunNumber
        core.destroy(environment.id, force=True)
        told = told_of(broker, environment.id, "environment teardown complete")
    assert told.environment()[30:] == [
        *transition("START_ACTIVITY", "CONFIGURED", "RUNNING"),
        *destruction("RUNNING"),
    ]
    assert runs(told) == [
        ("START_ACTIVITY", "STARTED", "CONFIGURED"),
        ("START_ACTIVITY", "DONE_OK", "RUNNING"),
        ("TEARDOWN", "STARTED", "RUNNING"),
        ("TEARDOWN", "DONE_OK", "RUNNING"),
    ]
    ends = told.by_topic["run"][-2:]
    assert [run.runNumber for run in ends] == [number, number]
    assert not any(run.HasField("lastRequestUser") for run in ends)
    assert {event.runNumber for event in told.by_topic["environment"][-5:]} == {0}


def test_the_older_notifications(
    broker: KafkaServer, make_core: Callable[..., RunningCore]
) -> None:
    plugins = {
        "integrationPlugins": ["kafka"],
        "kafkaEndpoint": broker.address,
        "metricsEndpoint": "0000/ecsmetrics",
    }
    with make_core(broker.address, **plugins) as core:
        with urllib.request.urlopen(core.addresses["rest"] + "/metrics", timeout=10) as reply:
            metrics = reply.read().decode()
        assert 'aliecs_kafka_away{what="kafka"} 0.0' in metrics
        assert 'aliecs_queue_length{queue="kafka"}' in metrics
        environment = core.create(core.template("notified"))
        number = core.control(environment.id, "START_ACTIVITY").currentRunNumber
        core.control(environment.id, "STOP_ACTIVITY")
        core.destroy(environment.id)
        told_of(broker, environment.id, "environment teardown complete")
        with urllib.request.urlopen(core.addresses["ecsmetrics"], timeout=10) as reply:
            lines = reply.read().decode()
    for topic in ("aliecs.environment", "aliecs.env_state.RUNNING"):
        for measurement in ("kafka_prepare", "kafka_writer"):
            wanted = f"{measurement},subsystem=ECS,topic={topic} execution_time_ns_mean="
            assert wanted in lines
    (state,) = broker.read(["aliecs.env_state.RUNNING"])
    told = kafka_pb2.NewStateNotification.FromString(state.value).envInfo
    assert (told.environmentId, told.runNumber, told.runType) == (environment.id, number, "PHYSICS")
    assert (state.key, list(told.detectors)) == (None, ["ITS", "TPC"])
    lists = [
        kafka_pb2.ActiveRunsList.FromString(message.value)
        for message in broker.read(["aliecs.env_list.RUNNING"])
    ]
    lists.sort(key=lambda one: one.timestamp)
    assert [[run.environmentId for run in one.activeRuns] for one in lists] == [
        [],
        [environment.id],
    ]


def test_a_broker_that_is_away_and_a_core_that_is_killed(
    broker: KafkaServer, make_core: Callable[..., RunningCore]
) -> None:
    with make_core(broker.address) as core:
        environment = core.create(core.template("life"))
        broker.kill()
        core.control(environment.id, "START_ACTIVITY")
        core.control(environment.id, "STOP_ACTIVITY")
        core.destroy(environment.id)
        # Nobody but the disk knows now what was told.
        core.stop(signal.SIGKILL)
        assert list((core.working_dir / "kafka").glob("*.letters"))
        core.end_processes()
        core.start()
        later = core.create(core.template("life"))
        broker.start()
        core.destroy(later.id)
        told = told_of(broker, later.id, "environment teardown complete")
        assert told.environment() == [*WHOLE_LIFE[:30], *WHOLE_LIFE[-17:]]
    assert not (core.working_dir / "kafka" / "acknowledged").exists()
    # What was on its way when the core was killed, the next one has sent again.
    told = told_of(broker, environment.id, "environment teardown complete", each_once=True)
    assert told.environment() == WHOLE_LIFE
    check_run(told, told.by_topic["run"][0].runNumber)
