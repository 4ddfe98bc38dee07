"""What can be done to a task on the full screen: its keys, and what each of them sends."""

from __future__ import annotations

import time
from collections.abc import Mapping

from aliecs.cli.peanut.mode import Mode
from aliecs.cli.peanut.target import Target
from aliecs.errors import Conflict
from aliecs.executor.transitioner import FAIRMQ_STATES, Transition, our_state

EVENT_KEYS: Mapping[str, str] = {
    "c": "CONFIGURE",
    "r": "RESET",
    "s": "START",
    "t": "STOP",
    "v": "RECOVER",
    "x": "EXIT",
}
FAIRMQ_EVENT_KEYS: Mapping[str, str] = {
    "1": "INIT DEVICE",
    "2": "COMPLETE INIT",
    "3": "BIND",
    "4": "CONNECT",
    "5": "INIT TASK",
    "6": "RUN",
    "7": "STOP",
    "8": "RESET TASK",
    "9": "RESET DEVICE",
    "0": "END",
}
# event -> (states of ours that it begins in, state that it leads to)
FAIRMQ_SEQUENCES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "CONFIGURE": (("STANDBY",), "CONFIGURED"),
    "RESET": (("CONFIGURED",), "STANDBY"),
    "START": (("CONFIGURED",), "RUNNING"),
    "STOP": (("RUNNING",), "CONFIGURED"),
    "RECOVER": (("ERROR",), "STANDBY"),
    "EXIT": (("STANDBY", "CONFIGURED"), "DONE"),
}


def keys(mode: Mode) -> Mapping[str, str]:
    """The keys of a mode, with the event that each stands for."""
    return FAIRMQ_EVENT_KEYS if mode is Mode.FAIRMQ_STEP else EVENT_KEYS


def send(target: Target, mode: Mode, event: str, configuration: Mapping[str, str]) -> None:
    """Send an event from wherever the task is now, with the configuration; START with a run number
    as well, the local time as `MMDDhhmmss`, unless the configuration has one. Returns when the task
    is where it should be; an `AliecsError` tells why it is not."""
    arguments = dict(configuration)
    if event == "START":
        arguments.setdefault("runNumber", time.strftime("%m%d%H%M%S"))
    state = target.get_state()
    if mode is not Mode.FAIRMQ:
        target.step(state, event, arguments)
        return
    sources, destination = FAIRMQ_SEQUENCES[event]
    source = our_state(state)
    if source not in sources:
        begins = " or ".join(FAIRMQ_STATES[one] for one in sources)
        raise Conflict(
            f"{event} begins in {begins}, the device is in {state}; -mode fmq-step has its own"
            " events"
        )
    if event == "RECOVER":
        target.step(state, "RESET DEVICE", arguments, FAIRMQ_STATES[destination])
    else:
        target.sequence(Transition(source, event, destination, arguments))
