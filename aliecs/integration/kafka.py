"""The plugin `kafka`: the older notifications of states and running environments.

Workflows call it at moments of their choice; what it tells goes to topics of its own, without keys.
Whoever begins to listen now takes the events of the core instead (`event.kafka`), by whose courier
these letters travel too: a call never waits for a broker, and does not fail for the lack of one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from attrs import define, field
from twisted.internet import reactor as installed_reactor
from zope.interface import implementer

from aliecs.errors import InvalidInput
from aliecs.event.kafka.courier import Courier
from aliecs.event.kafka.spool import Content, Spool
from aliecs.interfaces import Call, CallFunction, ISettledIntegration, Surroundings
from aliecs.protocol.protos import kafka_pb2

SPOOL_BYTES = 32 * 1024 * 1024
RUNNING_LIST = "aliecs.env_list.RUNNING"
RUNNING = "RUNNING"

_WEIGHT = re.compile(r"[+-][0-9]+$")
_STATES = {
    "after_START_ACTIVITY": "RUNNING",
    "before_STOP_ACTIVITY": "RUNNING",
    "before_START_ACTIVITY": "CONFIGURED",
    "after_STOP_ACTIVITY": "CONFIGURED",
}


@implementer(ISettledIntegration)
@define(eq=False)
class KafkaNotifications:
    """See the module. Without an endpoint it says yes to every call and tells nobody."""

    endpoint: str
    name: str = "kafka"
    pretty_name: str = "Kafka FSM transition information service"
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    running: dict[str, kafka_pb2.EnvInfo] = field(init=False, factory=dict)
    """Environments that are RUNNING, by id."""
    courier: Courier | None = field(init=False, default=None)

    def settle(self, surroundings: Surroundings) -> None:
        """See `ISettledIntegration`."""
        if self.endpoint:
            reactor: Any = installed_reactor
            spool = Spool(surroundings.folder / "spool", SPOOL_BYTES)
            self.courier = Courier([self.endpoint], spool, reactor, lambda letter: letter)
            surroundings.watch(self.courier)

    async def start(self) -> None:
        """See `IIntegration`. Nobody runs yet, and everybody is told so."""
        if self.courier is not None:
            self.courier.start()
            self._send_list(self.now_ms())

    async def stop(self) -> None:
        """See `IIntegration`."""
        if self.courier is not None:
            await self.courier.stop()

    def connection_state(self) -> str:
        """See `IIntegration`."""
        if self.courier is None:
            return "UNKNOWN"
        return "TRANSIENT_FAILURE" if self.courier.away else "READY"

    def data(self) -> str:
        """See `IIntegration`."""
        return ""

    def environment_data(self, environment_id: str, detailed: bool) -> str:
        """See `IIntegration`."""
        return ""

    def functions(self) -> Mapping[str, CallFunction]:
        """See `IIntegration`."""
        return {
            "PublishEnterStateUpdate": self._entered,
            "PublishLeaveStateUpdate": self._left,
            "PublishStartActivityUpdate": self._starts,
        }

    def load_functions(self, variables: Mapping[str, str]) -> Mapping[str, Callable[..., Any]]:
        """See `IIntegration`."""
        return {}

    # --- what workflows call ---------------------------------------------------------------

    def _entered(self, call: Call) -> str:
        info, now_ms = info_of(call), self.now_ms()
        self._send_state(f"aliecs.env_state.{info.state}", info, now_ms)
        if info.state == RUNNING:
            self.running[info.environmentId] = info
        else:
            self.running.pop(info.environmentId, None)
        self._send_list(now_ms)
        return ""

    def _left(self, call: Call) -> str:
        info = info_of(call)
        self._send_state(f"aliecs.env_leave_state.{info.state}", info, self.now_ms())
        return ""

    def _starts(self, call: Call) -> str:
        topic = "start_activity"
        for moment in ("before", "after"):
            if f"{moment}_START_ACTIVITY" in call.trigger:
                topic = f"{moment}_start_activity"
        self._send_state(f"aliecs.{topic}", info_of(call), self.now_ms())
        return ""

    def _send_state(self, topic: str, info: kafka_pb2.EnvInfo, now_ms: int) -> None:
        self._send(topic, kafka_pb2.NewStateNotification(envInfo=info, timestamp=now_ms))

    def _send_list(self, now_ms: int) -> None:
        runs = in_order(list(self.running.values()))
        self._send(RUNNING_LIST, kafka_pb2.ActiveRunsList(activeRuns=runs, timestamp=now_ms))

    def _send(
        self, topic: str, message: kafka_pb2.NewStateNotification | kafka_pb2.ActiveRunsList
    ) -> None:
        if self.courier is not None:
            self.courier.send(Content(topic, None, message.SerializeToString()))


def info_of(call: Call) -> kafka_pb2.EnvInfo:
    """The environment of a call. Raises `InvalidInput` where the workflow does not say enough."""
    state = state_of(call.trigger)
    info = kafka_pb2.EnvInfo(
        environmentId=call.environment_id,
        state=state,
        detectors=sorted(_detectors(call.variables)),
        enterStateTimestamp=_number(call.variables, "enter_state_time_ms"),
    )
    if state == RUNNING or "START_ACTIVITY" in call.trigger:
        if call.variables.get("run_number"):
            info.runNumber = _number(call.variables, "run_number")
        if "run_type" in call.variables:
            info.runType = call.variables["run_type"]
    return info


def state_of(trigger: str) -> str:
    """The state that a trigger is about, UNKNOWN where it is about none."""
    moment = _WEIGHT.sub("", trigger)
    for prefix in ("enter_", "leave_"):
        if moment.startswith(prefix):
            return moment.removeprefix(prefix)
    return _STATES.get(moment, "UNKNOWN")


def in_order(runs: list[kafka_pb2.EnvInfo]) -> list[kafka_pb2.EnvInfo]:
    """Those of several detectors with ITS among them first, then those of more detectors."""

    def rank(info: kafka_pb2.EnvInfo) -> tuple[bool, int]:
        count = len(info.detectors)
        return not (count > 1 and "ITS" in info.detectors), -count

    return sorted(runs, key=rank)


def _detectors(variables: Mapping[str, str]) -> list[str]:
    try:
        return msgspec.json.decode(variables.get("detectors", ""), type=list[str])
    except msgspec.DecodeError as error:
        raise InvalidInput(f"the variable detectors is no list of detectors: {error}") from error


def _number(variables: Mapping[str, str], name: str) -> int:
    text = variables.get(name, "")
    if not text.isdecimal():
        raise InvalidInput(f"the variable {name} is {text!r}, and has to be a number")
    return int(text)
