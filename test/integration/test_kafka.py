"""The plugin `kafka`: what it tells of states, and of environments that run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from zope.interface.verify import verifyObject

from aliecs.errors import InvalidInput
from aliecs.integration.kafka import KafkaNotifications, in_order, state_of
from aliecs.interfaces import Call, ISettledIntegration, Surroundings
from aliecs.protocol.protos import kafka_pb2

VARIABLES = {
    "detectors": '["TPC","ITS"]',
    "enter_state_time_ms": "1700000000000",
    "run_number": "42",
    "run_type": "PHYSICS",
}


def call_at(trigger: str, environment: str = "env", **variables: str) -> Call:
    return Call(
        function="kafka.Publish()",
        environment_id=environment,
        role_path="root.kafka",
        trigger=trigger,
        await_=trigger,
        timeout_s=5.0,
        critical=False,
        variables={**VARIABLES, **variables},
        set_runtime_variable=lambda name, value: None,
    )


class House:
    """The plugin, and what its courier was given."""

    def __init__(self) -> None:
        self.plugin = KafkaNotifications("localhost:9092", now_ms=lambda: 1700000000500)
        self.plugin.courier = Mock()
        self.courier: Any = self.plugin.courier

    def call(self, function: str, call: Call) -> None:
        assert self.plugin.functions()[function](call) == ""

    def told(self) -> list[tuple[str, Any]]:
        found = []
        for (content,), _ in self.courier.send.call_args_list:
            kind: Any = kafka_pb2.NewStateNotification
            if "env_list" in content.topic:
                kind = kafka_pb2.ActiveRunsList
            assert content.key is None
            found.append((content.topic, kind.FromString(content.value)))
        self.courier.send.reset_mock()
        return found


def test_it_is_what_it_says() -> None:
    verifyObject(ISettledIntegration, KafkaNotifications("localhost:9092"))


def test_entering_a_state() -> None:
    house = House()
    house.call("PublishEnterStateUpdate", call_at("enter_RUNNING+10"))
    (topic, state), (list_topic, running) = house.told()
    assert (topic, list_topic) == ("aliecs.env_state.RUNNING", "aliecs.env_list.RUNNING")
    info = state.envInfo
    assert (info.environmentId, info.runNumber, info.runType) == ("env", 42, "PHYSICS")
    assert (info.state, list(info.detectors)) == ("RUNNING", ["ITS", "TPC"])
    assert (info.enterStateTimestamp, state.timestamp) == (1700000000000, 1700000000500)
    assert (list(running.activeRuns), running.timestamp) == ([info], state.timestamp)
    house.call("PublishEnterStateUpdate", call_at("enter_CONFIGURED"))
    (topic, state), (_, running) = house.told()
    assert topic == "aliecs.env_state.CONFIGURED"
    assert not state.envInfo.HasField("runNumber")
    assert not state.envInfo.HasField("runType")
    assert list(running.activeRuns) == []


def test_leaving_a_state_and_starting() -> None:
    house = House()
    house.call("PublishLeaveStateUpdate", call_at("leave_CONFIGURED"))
    house.call("PublishStartActivityUpdate", call_at("before_START_ACTIVITY+50"))
    house.call("PublishStartActivityUpdate", call_at("after_START_ACTIVITY"))
    house.call("PublishStartActivityUpdate", call_at("enter_RUNNING"))
    told = house.told()
    assert [topic for topic, _ in told] == [
        "aliecs.env_leave_state.CONFIGURED",
        "aliecs.before_start_activity",
        "aliecs.after_start_activity",
        "aliecs.start_activity",
    ]
    assert [one.envInfo.state for _, one in told] == [
        *("CONFIGURED", "CONFIGURED"),
        *("RUNNING", "RUNNING"),
    ]
    assert [one.envInfo.HasField("runNumber") for _, one in told] == [False, True, True, True]


@pytest.mark.parametrize(
    ("trigger", "state"),
    [
        ("enter_ERROR-100", "ERROR"),
        ("before_STOP_ACTIVITY", "RUNNING"),
        ("after_STOP_ACTIVITY+1", "CONFIGURED"),
        ("DESTROY", "UNKNOWN"),
    ],
)
def test_states_of_triggers(trigger: str, state: str) -> None:
    assert state_of(trigger) == state


def test_the_order_of_those_that_run() -> None:
    def run(name: str, *detectors: str) -> kafka_pb2.EnvInfo:
        return kafka_pb2.EnvInfo(environmentId=name, detectors=detectors)

    runs = [
        run("1", "first"),
        run("2", "second"),
        run("3", "ITS", "first"),
        run("4", "first", "second", "third"),
    ]
    assert [one.environmentId for one in in_order(runs)] == ["3", "4", "1", "2"]
    assert in_order([]) == []


@pytest.mark.parametrize(
    "variables",
    [{"detectors": "ITS"}, {"detectors": ""}, {"enter_state_time_ms": ""}],
)
def test_a_workflow_that_does_not_say_enough(variables: Mapping[str, str]) -> None:
    house = House()
    with pytest.raises(InvalidInput, match=next(iter(variables))):
        house.call("PublishEnterStateUpdate", call_at("enter_RUNNING", **variables))
    assert house.told() == []


def test_without_an_endpoint_it_tells_nobody(tmp_path: Path) -> None:
    plugin = KafkaNotifications("")
    plugin.settle(Surroundings(tmp_path, lambda event: None))
    with pytest.raises(StopIteration):
        plugin.start().send(None)
    assert plugin.functions()["PublishEnterStateUpdate"](call_at("enter_RUNNING")) == ""
    assert plugin.connection_state() == "UNKNOWN"
    assert list(tmp_path.iterdir()) == []
