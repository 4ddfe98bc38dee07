"""Runs: their numbers, their times, and what tasks are told about them.

Times are Unix milliseconds as text, in the root role's user variables; `run_number` and its kin are
in the root's variables, only while there is a run. Names and moments are those of upstream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aliecs.event.record import OpStatus, RunEvent

if TYPE_CHECKING:
    from aliecs.environment.environment import Environment

START_TIME = "run_start_time_ms"
START_COMPLETION_TIME = "run_start_completion_time_ms"
END_TIME = "run_end_time_ms"
END_COMPLETION_TIME = "run_end_completion_time_ms"
CLEANUP_COUNT = "__fmq_cleanup_count"

_FILL = (
    "fill_info_fill_number",
    "fill_info_filling_scheme",
    "fill_info_beam_type",
    "fill_info_stable_beams_start_ms",
    "fill_info_stable_beams_end_ms",
)
START_ARGUMENTS = (
    *_FILL,
    "run_number",
    "run_type",
    "run_start_time_ms",
    "run_end_time_ms",
    "lhc_period",
    "pdp_beam_type",
    "pdp_override_run_start_time",
    "original_run_number",
)
STOP_ARGUMENTS = (*_FILL, "run_end_time_ms")
COPIED_FROM_BASE = ("lhc_period", "pdp_n_hbf_per_tf")


async def begin(environment: Environment) -> None:
    """Take a run number and set the times of a new run. Raises `AliecsError` where there is no
    number to be had, and nothing has changed."""
    number = await environment.facilities.configuration.new_run_number()
    await environment.facilities.journal.intend(
        "run_number", environment.id, {"run_number": number}
    )
    environment.run_number = number
    environment.history.run_numbers.append(number)
    root = environment.root
    for name in ("run_number", "runNumber"):
        root.set_variable(name, str(number))
    now_ms = environment.facilities.now_ms()
    root.set_runtime_variable(START_TIME, str(now_ms))
    for name in (START_COMPLETION_TIME, END_TIME, END_COMPLETION_TIME):
        root.set_runtime_variable(name, "")
    for name in COPIED_FROM_BASE:
        if name in environment.base_variables:
            root.set_variable(name, environment.base_variables[name])
    tell(environment, "START_ACTIVITY", OpStatus.STARTED, now_ms)


def started(environment: Environment, error: str) -> None:
    """The tasks run (or `error` says what of the start failed)."""
    environment.root.set_variable(CLEANUP_COUNT, str(cleanup_count(environment) + 1))
    now_ms = environment.facilities.now_ms()
    environment.root.set_runtime_variable(START_COMPLETION_TIME, str(now_ms))
    status = OpStatus.DONE_ERROR if error else OpStatus.DONE_OK
    tell(environment, "START_ACTIVITY", status, now_ms, error)


def ending(environment: Environment, transition: str, told: bool = True) -> None:
    """The run is about to end; the first to say so sets the time."""
    now_ms = environment.facilities.now_ms()
    if _set_if_empty(environment, END_TIME, now_ms) and told:
        tell(environment, transition, OpStatus.STARTED, now_ms)


def ended(environment: Environment, transition: str, error: str = "", always: bool = False) -> None:
    """The run has ended. `always` also where another has said so before."""
    now_ms = environment.facilities.now_ms()
    if always:
        environment.root.set_runtime_variable(END_COMPLETION_TIME, str(now_ms))
    elif not _set_if_empty(environment, END_COMPLETION_TIME, now_ms):
        return
    status = OpStatus.DONE_ERROR if error else OpStatus.DONE_OK
    tell(environment, transition, status, now_ms, error)


def forget(environment: Environment) -> None:
    """There is no run any more."""
    if environment.run_number:
        environment.root.set_variable("last_run_number", str(environment.run_number))
    environment.run_number = 0
    for name in ("run_number", "runNumber"):
        environment.root.delete_variable(name)


def cleanup_count(environment: Environment) -> int:
    """How many runs were started before in this environment; what is no number counts as one."""
    text = environment.root.variable(CLEANUP_COUNT, "0")
    return int(text) if text.isdecimal() else 1


def start_arguments(environment: Environment, cleanup: int) -> dict[str, str]:
    """What tasks are told at START; `cleanup` is how many runs were started before this one."""
    return {
        "runNumber": str(environment.run_number),
        "cleanup": str(cleanup),
        **arguments(environment, START_ARGUMENTS),
    }


def arguments(
    environment: Environment, names: tuple[str, ...], camel: bool = True
) -> dict[str, str]:
    """Those of `names` that the root role knows, under their own spelling and in camelCase."""
    stack = environment.root.stack()
    told: dict[str, str] = {}
    for name in names:
        if name in stack:
            told[name] = stack[name]
            if camel:
                told[to_camel(name)] = stack[name]
    return told


def to_camel(name: str) -> str:
    """`run_start_time_ms` -> `runStartTimeMs`"""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def tell(
    environment: Environment, transition: str, status: OpStatus, time_ms: int, error: str = ""
) -> None:
    """Tell a run event, at the time that was written down."""
    environment.facilities.bus.tell(
        RunEvent(
            environmentId=environment.id,
            runNumber=environment.run_number,
            state=environment.state.value,
            error=error,
            transition=transition,
            transitionStatus=status,
            lastRequestUser=None if transition == "TEARDOWN" else environment.user,
        ),
        time_ms * 1_000_000,
    )


def _set_if_empty(environment: Environment, name: str, now_ms: int) -> bool:
    """Set a time that exists and is empty; True where it was."""
    if environment.root.variable(name, "unset") != "":
        return False
    environment.root.set_runtime_variable(name, str(now_ms))
    return True
