"""What a core writes down about environments that its predecessor did not end.

The record of a living environment is what was known at its creation; what happened since is in the
journal's entries, and is put together again here. Pure: `manager` reads and writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aliecs.environment.history import Cause, TransitionRecord
from aliecs.environment.machine import EDGES, MODIFICATIONS, EnvironmentState, Event
from aliecs.environment.result import NodeResult
from aliecs.journal import Entry, EnvironmentRecord


def record_of_lost(
    kept: EnvironmentRecord, entries: Sequence[Entry], now_ms: int
) -> Mapping[str, Any]:
    """The record of an environment that was lost with the core, at `now_ms` (Unix milliseconds).

    `entries` are all that the journal has of it, oldest first.
    """
    transitions: list[TransitionRecord] = []
    runs: list[int] = []
    state = EnvironmentState.STANDBY.value
    for entry in entries:
        if entry.kind == "run_number":
            runs.append(entry.body["run_number"])
            if transitions:
                transitions[-1].run_number = runs[-1]
        elif entry.kind == "transition_begun":
            transitions.append(_begun(entry, state))
        elif entry.kind == "step_done" and transitions:
            transitions[-1].steps.append((entry.body["step"], entry.time_ms))
            transitions[-1].slowest += [
                msgspec.convert(one, NodeResult) for one in entry.body.get("slowest", ())
            ]
        elif entry.kind == "transition_ended":
            state = entry.body["state"]
            if transitions:
                transitions[-1].ended_ms = entry.time_ms
                transitions[-1].error = entry.body["error"]
    line = f"lost with the core, {_doing(transitions, state)}: it ended before the environment did"
    return {
        **kept.record,
        "state": EnvironmentState.ERROR.value,
        "ended_ms": now_ms,
        "run_numbers": runs,
        "transitions": msgspec.to_builtins(transitions),
        "cause": kept.record.get("cause") or msgspec.to_builtins(Cause(line, now_ms)),
    }


def _begun(entry: Entry, state: str) -> TransitionRecord:
    event = Event[entry.body["event"]]
    return TransitionRecord(
        event=event.value,
        from_state=state,
        to_state=state if event in MODIFICATIONS else EDGES[event].destination.value,
        started_ms=entry.time_ms,
        requested_by=entry.body["user"],
        roles=list(entry.body.get("roles", ())),
        variables=dict(entry.body.get("variables", ())),
    )


def _doing(transitions: Sequence[TransitionRecord], state: str) -> str:
    """What the environment was at: `during CONFIGURE`, `in RUNNING`."""
    if transitions and not transitions[-1].ended_ms:
        return f"during {transitions[-1].event}"
    return f"in {state}"
