"""How a task is taken from one state to another: in one step, or through FairMQ's own machine.

Pure but for the `step` that the caller gives: one call to the task, with the state it is believed
to be in, the event, the state that it should lead to and the arguments. A step never raises; what
it could not do is in its result. States and sequences are those of the OCC protocol and of FairMQ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from attrs import frozen

FAIRMQ_STATES: Mapping[str, str] = {
    "STANDBY": "IDLE",
    "CONFIGURED": "READY",
    "RUNNING": "RUNNING",
    "ERROR": "ERROR",
    "DONE": "EXITING",
}
_ALIECS_STATES = {theirs: ours for ours, theirs in FAIRMQ_STATES.items()}

_NOTHING: Mapping[str, str] = {}


@frozen
class StepResult:
    """How one call to a task ended. `state` is the task's own word for where it is now, empty where
    nobody knows; `error` is empty where it is where it should be."""

    state: str
    error: str = ""


Step = Callable[[str, str, str, Mapping[str, str]], Awaitable[StepResult]]
"""`step(source, event, destination, arguments)`, in the task's own words."""


@frozen
class Transition:
    """What was ordered, in our words."""

    source: str
    event: str
    destination: str
    arguments: Mapping[str, str] = _NOTHING


@frozen
class Outcome:
    """Where the task is afterwards, in our words (empty where that has no name of ours), and why it
    is not where it should be (empty where it is)."""

    state: str
    error: str = ""


Transitioner = Callable[[Step, Transition], Awaitable[Outcome]]


def our_state(state: str) -> str:
    """A FairMQ state in our words, empty for those that have none."""
    return _ALIECS_STATES.get(state, "")


async def direct(step: Step, order: Transition) -> Outcome:
    """One step, nothing translated: for tasks that speak our states."""
    result = await step(order.source, order.event, order.destination, order.arguments)
    return Outcome(result.state or order.source, result.error)


async def fairmq(step: Step, order: Transition) -> Outcome:
    """The sequence of FairMQ steps for one of our events.

    A step that fails ends the sequence. Where the device is still in the state before that step,
    it is taken back to where it came from, so that it can be used again; the outcome then says
    where it is, with the error of the step that failed.
    """
    for state in (order.source, order.destination):
        if state not in FAIRMQ_STATES:
            return Outcome(order.source, f"a FairMQ device has no state {state!r}")
    if order.event == "CONFIGURE":
        return await _configure(step, order)
    if order.event == "RESET":
        return await _reset(step, order.source, order.destination, order.arguments)
    if order.event == "START":
        return await _single(step, "RUN", order)
    if order.event == "STOP":
        return await _single(step, "STOP", order)
    if order.event == "EXIT":
        return await _exit(step, order)
    return Outcome(order.source, f"a FairMQ device cannot {order.event}")


async def _single(step: Step, event: str, order: Transition) -> Outcome:
    source, destination = FAIRMQ_STATES[order.source], FAIRMQ_STATES[order.destination]
    result = await step(source, event, destination, order.arguments)
    return _outcome(result, source)


async def _configure(step: Step, order: Transition) -> Outcome:
    idle, ready = FAIRMQ_STATES[order.source], FAIRMQ_STATES[order.destination]
    state = idle
    for event, destination, arguments, can_return in (
        ("INIT DEVICE", "INITIALIZING DEVICE", order.arguments, False),
        ("COMPLETE INIT", "INITIALIZED", _NOTHING, False),
        ("BIND", "BOUND", _NOTHING, True),
        ("CONNECT", "DEVICE READY", _NOTHING, True),
        ("INIT TASK", ready, _NOTHING, True),
    ):
        result = await step(state, event, destination, arguments)
        if result.error:
            if can_return and result.state == state:
                return await _return(step, state, "RESET DEVICE", idle, result.error)
            return _outcome(result, state)
        state = destination
    return Outcome(our_state(state))


async def _reset(
    step: Step, source: str, destination: str, arguments: Mapping[str, str]
) -> Outcome:
    ready, idle = FAIRMQ_STATES[source], FAIRMQ_STATES[destination]
    between = "DEVICE READY"
    result = await step(ready, "RESET TASK", between, _NOTHING)
    if result.error:
        return _outcome(result, ready)
    result = await step(between, "RESET DEVICE", idle, arguments)
    if result.error and result.state == between:
        return await _return(step, between, "INIT TASK", ready, result.error)
    return _outcome(result, between)


async def _exit(step: Step, order: Transition) -> Outcome:
    source = order.source
    if source == "CONFIGURED":
        reset = await _reset(step, source, "STANDBY", order.arguments)
        if reset.error:
            return reset
        source = "STANDBY"
    state = FAIRMQ_STATES[source]
    return _outcome(await step(state, "END", FAIRMQ_STATES[order.destination], _NOTHING), state)


async def _return(step: Step, source: str, event: str, destination: str, error: str) -> Outcome:
    """Undo what was reached; the outcome keeps the error that made it necessary."""
    result = await step(source, event, destination, _NOTHING)
    if result.error:
        error = f"{error}; then {event} back to {our_state(destination)} failed: {result.error}"
    return Outcome(our_state(result.state or source), error)


def _outcome(result: StepResult, last_known: str) -> Outcome:
    return Outcome(our_state(result.state or last_known), result.error)
