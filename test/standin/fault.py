"""How a stand-in is told to misbehave: by one environment variable, which reaches it through
whatever starts it.

    STANDIN_FAULT=StfBuilder:stick:BIND
                         <program>:<kind>:<step>[:<seconds>]

`step` is a transition event, `GetState`, or `*` for all transitions. Kinds: `stick` (stay in the
state before), `error` (go to ERROR), `slow` (take `seconds` longer), `hang`, `die` (end with status
3), `rubbish` (answer what is no message).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from attrs import frozen

VARIABLE = "STANDIN_FAULT"
KINDS = ("stick", "error", "slow", "hang", "die", "rubbish")


@frozen
class Fault:
    """What one program does wrong at one step."""

    kind: str
    step: str
    seconds: float = 0.0

    def at(self, step: str) -> str:
        """The kind of fault at a step, empty for none."""
        return self.kind if self.step in (step, "*") else ""


def fault_of(program: str, environment: Mapping[str, str] = os.environ) -> Fault:
    """The fault that a program is told to have; one that never happens where it is told none."""
    name, _, rest = environment.get(VARIABLE, "").partition(":")
    kind, _, rest = rest.partition(":")
    step, _, seconds = rest.partition(":")
    if name != program:
        return Fault("", "")
    if kind not in KINDS or not step:
        raise ValueError(f"{VARIABLE} is {environment[VARIABLE]!r}: see {__file__}")
    return Fault(kind, step, float(seconds or 0))
