"""Component queries: the paths `component/RUNTYPE/role/entry` under which payloads are asked for.

A query names one payload exactly. Whoever wants the most specific payload that there is goes
through its fallbacks, in which the run type is `ANY` or the role `any`, in upstream's order.
"""

from __future__ import annotations

import re

from attrs import evolve, frozen

from aliecs.errors import InvalidInput

COMPONENTS = "o2/components"

ANY_RUN_TYPE = "ANY"
ANY_ROLE = "any"

# Names and numbers are those of upstream's configuration protocol.
RUN_TYPES = {
    "NULL": 0,
    "PHYSICS": 1,
    "TECHNICAL": 2,
    "PEDESTAL": 3,
    "PULSER": 4,
    "LASER": 5,
    "CALIBRATION_ITHR_TUNING": 6,
    "CALIBRATION_VCASN_TUNING": 7,
    "CALIBRATION_THR_SCAN": 8,
    "CALIBRATION_DIGITAL_SCAN": 9,
    "CALIBRATION_ANALOG_SCAN": 10,
    "CALIBRATION_FHR": 11,
    "CALIBRATION_ALPIDE_SCAN": 12,
    "CALIBRATION": 13,
    "COSMICS": 14,
    "SYNTHETIC": 15,
    "NOISE": 16,
    "CALIBRATION_PULSE_LENGTH": 17,
    "CALIBRATION_VRESETD": 18,
    "ANY": 300,
}

_PATH = re.compile(r"([A-Za-z0-9_-]+)/([A-Z0-9_-]+)/([A-Za-z0-9_-]+)/([A-Za-z0-9_/-]+)", re.ASCII)


@frozen
class ComponentQuery:
    """One payload. Its text is the path, as `parse_query` takes it."""

    component: str
    run_type: str
    role: str
    entry: str

    def __str__(self) -> str:
        return f"{self.component}/{self.run_type}/{self.role}/{self.entry}"

    @property
    def key(self) -> str:
        """Where the payload is in the tree of configuration."""
        return f"{COMPONENTS}/{self}"

    def fallbacks(self) -> tuple[ComponentQuery, ...]:
        """This query and what may stand in for it, the most specific first."""
        any_role = evolve(self, role=ANY_ROLE)
        return (
            self,
            evolve(self, run_type=ANY_RUN_TYPE),
            any_role,
            evolve(any_role, run_type=ANY_RUN_TYPE),
        )


def parse_query(path: str) -> ComponentQuery:
    """The query of a path. Raises `InvalidInput` for anything that is not one."""
    match = _PATH.fullmatch(path.strip())
    if match is None:
        raise InvalidInput(
            f"{path!r} is not a path of component configuration, which is component/RUNTYPE/role/"
            "entry in letters, digits, - and _ (entries may have slashes)"
        )
    if match[2] not in RUN_TYPES:
        raise InvalidInput(
            f"{path!r}: there is no run type {match[2]}; there are {', '.join(RUN_TYPES)}"
        )
    return ComponentQuery(*match.groups())
