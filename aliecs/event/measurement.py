"""What the events tell of times and numbers: how long transitions, their steps and calls took, how
much of what was told.

A sink of the bus that counts and adds up, and knows nothing of who asks for the result: that is
`api.metrics`. Events of tasks and roles, of which there are many, cost it one addition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from attrs import define, field
from zope.interface import implementer

from aliecs.event.record import (
    CallEvent,
    EnvironmentEvent,
    Event,
    OpStatus,
    TaskEvent,
)
from aliecs.interfaces import IEventSink

BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
WHOLE = "all"
"""The step that stands for a transition from its start to its end."""
UNDEFINED = "undefined"
"""The run type of an environment that has none."""

_ENDS = {
    OpStatus.DONE_OK: "success",
    OpStatus.DONE_ERROR: "error",
    OpStatus.DONE_TIMEOUT: "error",
}
_STEP_BEGINS = "transition step starting"

_Key = TypeVar("_Key")


@define(eq=False)
class Distribution:
    """How often something took how long. `counts` has one entry for each of `bounds`, and one for
    what is beyond."""

    bounds: tuple[float, ...] = BOUNDS_S
    counts: list[int] = field(init=False)
    total: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, seconds: float) -> None:
        """It took so long once more."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """For each bound how many were not beyond it, as Prometheus wants it."""
        found: list[tuple[str, float]] = []
        count = 0
        for bound, more in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            count += more
            found.append((bound, float(count)))
        return found


@define(eq=False)
class Span:
    """Something that took some time: told to whoever keeps such things one by one."""

    kind: str
    name: str
    environment_id: str
    run_type: str
    result: str
    milliseconds: int
    trigger: str = ""


@define(eq=False)
class _Life:
    """What is remembered of an environment while it lives."""

    run_type: str = UNDEFINED
    began_ns: dict[str, int] = field(factory=dict)


@implementer(IEventSink)
@define(eq=False)
class Measurements:
    """See the module. `on_span` hears of each transition, step and call that ended."""

    on_span: Callable[[Span], None] | None = None
    told: Counter[str] = field(init=False, factory=Counter)
    """Events, by topic."""
    tasks_launched: int = field(init=False, default=0)
    tasks_finished: int = field(init=False, default=0)
    transitions: dict[tuple[str, str, str], Distribution] = field(init=False, factory=dict)
    """By transition, step and result."""
    calls: dict[tuple[str, str], Distribution] = field(init=False, factory=dict)
    """By function and result."""
    _lives: dict[str, _Life] = field(init=False, factory=dict)

    def deliver(self, event: Event) -> None:
        """See `IEventSink`."""
        payload = event.payload
        self.told[payload.topic] += 1
        if isinstance(payload, TaskEvent):
            self._task(payload)
        elif isinstance(payload, EnvironmentEvent):
            self._environment(payload, event.time_ns)
        elif isinstance(payload, CallEvent):
            self._call(payload, event.time_ns)

    def _task(self, task: TaskEvent) -> None:
        if task.state == "LAUNCHED":
            self.tasks_launched += 1
        elif task.state == "DONE" and task.status == "ACTIVE":
            self.tasks_finished += 1

    def _environment(self, told: EnvironmentEvent, time_ns: int) -> None:
        if not told.transition:
            return
        environment_id = told.environmentId
        life = self._lives.get(environment_id)
        if life is None:
            life = self._lives[environment_id] = _Life()
        if told.vars:
            life.run_type = told.vars.get("run_type") or UNDEFINED
        transition, step, status = told.transition, told.transitionStep, told.transitionStatus
        if transition in ("CREATE", "DESTROY"):
            # Their steps have no ends of their own.
            if status is OpStatus.STARTED:
                life.began_ns.setdefault(transition, time_ns)
            elif status in _ENDS and (transition == "DESTROY" or not step):
                self._ended(life, told, transition, WHOLE, _ENDS[status], time_ns)
                if transition == "DESTROY" or status is OpStatus.DONE_ERROR:
                    self._lives.pop(environment_id, None)
        elif status is OpStatus.STARTED:
            life.began_ns[transition] = time_ns
        elif not step and status in _ENDS:
            self._ended(life, told, transition, WHOLE, _ENDS[status], time_ns)
        elif step and told.message == _STEP_BEGINS:
            life.began_ns[step] = time_ns
        elif step:
            result = "error" if told.error else "success"
            self._ended(life, told, step, step.partition("_")[0], result, time_ns)

    def _ended(
        self,
        life: _Life,
        told: EnvironmentEvent,
        what: str,
        step: str,
        result: str,
        time_ns: int,
    ) -> None:
        began_ns = life.began_ns.pop(what, None)
        if began_ns is None:
            return
        self._add(self.transitions, (told.transition, step, result), time_ns - began_ns)
        if self.on_span is not None:
            milliseconds = (time_ns - began_ns) // 1_000_000
            kind = step if step in (WHOLE, "tasks") else "hooks"
            name = what if kind == "hooks" else told.transition
            run_type, environment_id = life.run_type, told.environmentId
            self.on_span(Span(kind, name, environment_id, run_type, result, milliseconds))

    def _call(self, told: CallEvent, time_ns: int) -> None:
        life = self._lives.setdefault(told.environmentId, _Life())
        if told.callStatus is OpStatus.STARTED:
            life.began_ns[told.path] = time_ns
            return
        began_ns = life.began_ns.pop(told.path, None)
        if began_ns is None or told.callStatus not in _ENDS:
            return
        result = _ENDS[told.callStatus]
        self._add(self.calls, (told.func.partition("(")[0], result), time_ns - began_ns)
        if self.on_span is not None:
            self.on_span(
                Span(
                    "call",
                    told.path,
                    told.environmentId,
                    life.run_type,
                    result,
                    (time_ns - began_ns) // 1_000_000,
                    told.traits.trigger,
                )
            )

    def _add(self, among: dict[_Key, Distribution], key: _Key, nanoseconds: int) -> None:
        distribution = among.get(key)
        if distribution is None:
            distribution = among[key] = Distribution()
        distribution.add(nanoseconds / 1e9)
