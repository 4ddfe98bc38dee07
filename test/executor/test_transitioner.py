"""FairMQ's sequences against a scripted device: every step, every way to fail, every way back."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred

from aliecs.executor.transitioner import (
    Outcome,
    StepResult,
    Transition,
    Transitioner,
    direct,
    fairmq,
)

ARGUMENTS = {"chans.data.0.address": "tcp://*:20000"}


@define
class Device:
    """A device that does what it is told, but for what its script says: event -> (state, error)."""

    script: Mapping[str, tuple[str, str]] = field(factory=dict)
    steps: list[tuple[str, str, str, bool]] = field(factory=list)

    async def step(
        self, source: str, event: str, destination: str, arguments: Mapping[str, str]
    ) -> StepResult:
        self.steps.append((source, event, destination, arguments == ARGUMENTS))
        if event in self.script:
            return StepResult(*self.script[event])
        return StepResult(destination)


def move(
    device: Device, source: str, event: str, destination: str, how: Transitioner = fairmq
) -> Outcome:
    results: list[Outcome] = []
    moving = how(device.step, Transition(source, event, destination, ARGUMENTS))
    Deferred.fromCoroutine(moving).addCallback(results.append)  # type: ignore[arg-type]
    (outcome,) = results
    return outcome


CONFIGURE = [
    ("IDLE", "INIT DEVICE", "INITIALIZING DEVICE", True),
    ("INITIALIZING DEVICE", "COMPLETE INIT", "INITIALIZED", False),
    ("INITIALIZED", "BIND", "BOUND", False),
    ("BOUND", "CONNECT", "DEVICE READY", False),
    ("DEVICE READY", "INIT TASK", "READY", False),
]
RESET = [
    ("READY", "RESET TASK", "DEVICE READY", False),
    ("DEVICE READY", "RESET DEVICE", "IDLE", True),
]


@pytest.mark.parametrize(
    ("source", "event", "destination", "steps"),
    [
        ("STANDBY", "CONFIGURE", "CONFIGURED", CONFIGURE),
        ("CONFIGURED", "RESET", "STANDBY", RESET),
        ("CONFIGURED", "START", "RUNNING", [("READY", "RUN", "RUNNING", True)]),
        ("RUNNING", "STOP", "CONFIGURED", [("RUNNING", "STOP", "READY", True)]),
        ("STANDBY", "EXIT", "DONE", [("IDLE", "END", "EXITING", False)]),
        ("CONFIGURED", "EXIT", "DONE", [*RESET, ("IDLE", "END", "EXITING", False)]),
    ],
)
def test_the_sequences(
    source: str, event: str, destination: str, steps: list[tuple[str, str, str, bool]]
) -> None:
    device = Device()
    assert move(device, source, event, destination) == Outcome(destination)
    assert device.steps == steps


@pytest.mark.parametrize(
    ("stuck", "at"), [("BIND", "INITIALIZED"), ("CONNECT", "BOUND"), ("INIT TASK", "DEVICE READY")]
)
def test_a_device_stuck_in_configure_is_taken_back_to_standby(stuck: str, at: str) -> None:
    device = Device({stuck: (at, "address in use")})
    assert move(device, "STANDBY", "CONFIGURE", "CONFIGURED") == Outcome(
        "STANDBY", "address in use"
    )
    assert device.steps[-2][:2] == (at, stuck)
    assert device.steps[-1] == (at, "RESET DEVICE", "IDLE", False)


def test_a_way_back_that_fails_is_told_with_the_first_error() -> None:
    device = Device({"BIND": ("INITIALIZED", "no"), "RESET DEVICE": ("ERROR", "it broke")})
    outcome = move(device, "STANDBY", "CONFIGURE", "CONFIGURED")
    assert outcome.state == "ERROR"
    assert outcome.error == "no; then RESET DEVICE back to STANDBY failed: it broke"


@pytest.mark.parametrize(
    ("event", "answer", "state"),
    [
        ("INIT DEVICE", ("IDLE", "no"), "STANDBY"),
        ("INIT DEVICE", ("ERROR", "no"), "ERROR"),
        ("INIT DEVICE", ("", "nobody answers"), "STANDBY"),
        ("COMPLETE INIT", ("INITIALIZING DEVICE", "no"), ""),
        ("BIND", ("ERROR", "no"), "ERROR"),
        ("CONNECT", ("", "nobody answers"), ""),
        ("INIT TASK", ("EXITING", "no"), "DONE"),
    ],
)
def test_where_there_is_no_way_back_the_sequence_ends(
    event: str, answer: tuple[str, str], state: str
) -> None:
    device = Device({event: answer})
    assert move(device, "STANDBY", "CONFIGURE", "CONFIGURED") == Outcome(state, answer[1])
    assert device.steps[-1][1] == event


def test_a_reset_that_is_stuck_returns_to_configured() -> None:
    device = Device({"RESET DEVICE": ("DEVICE READY", "busy")})
    assert move(device, "CONFIGURED", "RESET", "STANDBY") == Outcome("CONFIGURED", "busy")
    assert device.steps[-1] == ("DEVICE READY", "INIT TASK", "READY", False)


def test_a_reset_that_does_not_begin_leaves_the_device_configured() -> None:
    device = Device({"RESET TASK": ("READY", "busy")})
    assert move(device, "CONFIGURED", "RESET", "STANDBY") == Outcome("CONFIGURED", "busy")


def test_an_exit_ends_where_its_reset_does() -> None:
    device = Device({"RESET TASK": ("READY", "busy")})
    assert move(device, "CONFIGURED", "EXIT", "DONE") == Outcome("CONFIGURED", "busy")
    assert [step[1] for step in device.steps] == ["RESET TASK"]


@pytest.mark.parametrize("event", ["START", "STOP"])
def test_the_last_known_state_is_told_when_nobody_answers(event: str) -> None:
    source, destination = ("CONFIGURED", "RUNNING")[:: 1 if event == "START" else -1]
    device = Device({"RUN": ("", "gone"), "STOP": ("", "gone")})
    assert move(device, source, event, destination) == Outcome(source, "gone")


@pytest.mark.parametrize("event", ["RECOVER", "GO_ERROR", "DANCE", ""])
def test_what_no_device_can_is_an_error(event: str) -> None:
    device = Device()
    outcome = move(device, "ERROR", event, "STANDBY")
    assert outcome.state == "ERROR" and f"cannot {event}" in outcome.error
    assert device.steps == []


def test_states_that_do_not_exist_are_an_error() -> None:
    assert "no state 'MIXED'" in move(Device(), "MIXED", "CONFIGURE", "CONFIGURED").error
    assert "no state 'HEAVEN'" in move(Device(), "STANDBY", "CONFIGURE", "HEAVEN").error


def test_direct_is_one_step_in_our_words() -> None:
    device = Device()
    assert move(device, "STANDBY", "CONFIGURE", "CONFIGURED", direct) == Outcome("CONFIGURED")
    assert device.steps == [("STANDBY", "CONFIGURE", "CONFIGURED", True)]
    silent = Device({"CONFIGURE": ("", "DEADLINE_EXCEEDED")})
    assert move(silent, "STANDBY", "CONFIGURE", "CONFIGURED", direct) == Outcome(
        "STANDBY", "DEADLINE_EXCEEDED"
    )
