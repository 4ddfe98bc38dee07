"""How the reference's executor moves a task: in one step, or through FairMQ's states.

Its faults are here as well: the sequence goes on after a roll-back of BIND and CONNECT, EXIT of a
configured device cannot work, RECOVER is said to have succeeded where nothing was done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aliecs.occ.client import OccClient, OccError

FAIRMQ = {"STANDBY": "IDLE", "CONFIGURED": "READY", "RUNNING": "RUNNING", "ERROR": "ERROR",
          "DONE": "EXITING"}  # fmt: skip
OURS = {theirs: ours for ours, theirs in FAIRMQ.items()}
NO_LIMIT_S = 86400.0
NOTHING: Mapping[str, str] = {}

Result = tuple[str, str]
"""State, and error text (empty for none)."""

Mover = Callable[[OccClient, str, str, str, Mapping[str, str]], Awaitable[Result]]
"""Source, event, destination, arguments; in the words of the core."""


async def step(
    client: OccClient, source: str, event: str, destination: str, arguments: Mapping[str, str]
) -> Result:
    """One call."""
    try:
        result = await client.transition(source, event, arguments, NO_LIMIT_S)
    except OccError as error:
        return "", f"rpc error: code = {error.status} desc = {error.message}"
    good = result.ok and result.trigger == 0 and result.event == event
    if good and result.state == destination:
        return result.state, ""
    return result.state, (
        f"transition unsuccessful: ok {result.ok}, trigger {result.trigger}, event {result.event},"
        f" state {result.state}"
    )


async def direct(
    client: OccClient, source: str, event: str, destination: str, arguments: Mapping[str, str]
) -> Result:
    """Nothing is translated."""
    return await step(client, source, event, destination, arguments)


async def fairmq(
    client: OccClient, source: str, event: str, destination: str, arguments: Mapping[str, str]
) -> Result:
    """Through the states of a device."""
    here, there = FAIRMQ.get(source, ""), FAIRMQ.get(destination, "")
    if event == "CONFIGURE":
        state, error = await _configure(client, here, there, arguments)
    elif event == "RESET":
        state, error = await _reset(client, here, there, arguments)
    elif event in ("START", "STOP"):
        word = "RUN" if event == "START" else "STOP"
        state, error = await step(client, here, word, there, arguments)
    elif event == "EXIT":
        state, error = await _exit(client, source, here, there, arguments)
    elif event in ("RECOVER", "GO_ERROR"):
        print(f"{event} is not implemented", flush=True)
        return source, ""
    else:
        print(f"no transition {event}", flush=True)
        return "", ""
    return OURS.get(state, ""), error


async def _configure(
    client: OccClient, here: str, there: str, arguments: Mapping[str, str]
) -> Result:
    state, error = await step(client, here, "INIT DEVICE", "INITIALIZING DEVICE", arguments)
    if state != "INITIALIZING DEVICE":
        return state, error
    state, error = await step(client, state, "COMPLETE INIT", "INITIALIZED", NOTHING)
    if state != "INITIALIZED":
        return state, error
    for event, before, after in (
        ("BIND", "INITIALIZED", "BOUND"),
        ("CONNECT", "BOUND", "DEVICE READY"),
        ("INIT TASK", "DEVICE READY", there),
    ):
        state, error = await step(client, before, event, after, NOTHING)
        if state == after:
            continue
        if state != before:
            return state, error
        rolled, _ = await step(client, before, "RESET DEVICE", here, NOTHING)
        if event == "INIT TASK":
            return rolled, error
        # A fault: on with the next step, from where the device no longer is.
    return state, error


async def _reset(client: OccClient, here: str, there: str, arguments: Mapping[str, str]) -> Result:
    state, error = await step(client, here, "RESET TASK", "DEVICE READY", NOTHING)
    if state != "DEVICE READY":
        return state, error
    state, error = await step(client, state, "RESET DEVICE", there, arguments)
    if state == "DEVICE READY":
        state, _ = await step(client, state, "INIT TASK", here, NOTHING)
    return state, error


async def _exit(
    client: OccClient, source: str, here: str, there: str, arguments: Mapping[str, str]
) -> Result:
    if source == "CONFIGURED":
        # A fault: on the way to IDLE it expects EXITING, and takes the source for where it is.
        await _reset(client, here, there, arguments)
    return await step(client, here, "END", there, NOTHING)


def mover_of(mode: str) -> Mover:
    """How tasks of a control mode are moved."""
    return fairmq if mode == "fairmq" else direct


def state_of(mode: str, state: str) -> Any:
    """A task's own word in the words of the core; empty where that has none."""
    return OURS.get(state, "") if mode == "fairmq" else state
