"""Component queries: the paths `component/RUNTYPE/role/entry` under which payloads are asked for.

A query names one payload exactly. Whoever wants the most specific payload that there is goes
through its fallbacks, in which the run type is `ANY` or the role `any`, in upstream's order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import evolve, frozen

from aliecs.configuration.tree import is_folder_mark, normal_key
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
_ENTRIES_PATH = re.compile(r"([A-Za-z0-9_-]+)/([A-Z0-9_-]+)/([A-Za-z0-9_-]+)", re.ASCII)


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
    _check_run_type(match[2], path)
    return ComponentQuery(*match.groups())


def parse_stored_query(path: str) -> ComponentQuery:
    """The query of a path that something is to be stored under: as `parse_query`, and without
    slashes that lead nowhere."""
    query = parse_query(path)
    return evolve(query, entry=normal_key(query.entry))


def parse_entries_path(path: str) -> tuple[str, str, str]:
    """Component, run type and role of a path `component/RUNTYPE/role`. Raises `InvalidInput`."""
    match = _ENTRIES_PATH.fullmatch(path.strip())
    if match is None:
        raise InvalidInput(f"{path!r} is not a path component/RUNTYPE/role")
    _check_run_type(match[2], path)
    return match[1], match[2], match[3]


def checked_component(component: str) -> str:
    """`component`, where it may be the name of one that is there: any one segment of a key. Raises
    `InvalidInput` where it is none."""
    if "/" in component or normal_key(component) != component:
        raise InvalidInput(f"{component!r} is not the name of a component: it has a slash")
    return component


def _check_run_type(run_type: str, path: str) -> None:
    if run_type not in RUN_TYPES:
        raise InvalidInput(
            f"{path!r}: there is no run type {run_type}; there are {', '.join(RUN_TYPES)}"
        )


def component_names(keys: Iterable[str]) -> list[str]:
    """The components that some keys belong to, sorted. Keys elsewhere in the tree do not count."""
    prefix = f"{COMPONENTS}/"
    names = {key.removeprefix(prefix).partition("/")[0] for key in keys if key.startswith(prefix)}
    return sorted(names - {""})


def entries_of(component: str, keys: Iterable[str]) -> list[str]:
    """`RUNTYPE/role/entry` of those `keys` that are payloads of a component, sorted."""
    prefix = f"{COMPONENTS}/{component}/"
    found = (key.removeprefix(prefix) for key in keys if key.startswith(prefix))
    return sorted(e for e in found if e.count("/") >= 2 and not is_folder_mark(e))


def select_entries(entries: Iterable[str], run_type: str, role: str, exact: bool) -> Iterator[str]:
    """Those of `entries` (each `RUNTYPE/role/entry`) that are of a run type and a role, where these
    are given; unless `exact` also those that stand in for them. Whole segments are compared, and
    none comes twice."""
    run_types = {run_type} if exact else {run_type, ANY_RUN_TYPE}
    roles = {role} if exact else {role, ANY_ROLE}
    for entry in entries:
        its_run_type, its_role, _ = entry.split("/", 2)
        if (not run_type or its_run_type in run_types) and (not role or its_role in roles):
            yield entry
