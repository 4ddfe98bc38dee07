"""Metrics as lines of InfluxDB's protocol, as the reference's metrics endpoint gives them.

What has happened since it was asked last is kept and, once asked for, forgotten. Numbers that count
(`add`) are added up while name, tags and second are the same; what took some time (`note`) has a
line of its own each time, since the sum of times of different things means nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from attrs import define, field

from aliecs.event.measurement import WHOLE, Span
from aliecs.event.timing import Timing

BOUND = 100_000
"""Lines that are kept while nobody asks; the oldest go first."""

_TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": " ", "\\": "\\\\"})

Tags = tuple[tuple[str, str], ...]


@define(eq=False)
class Lines:
    """See the module."""

    now_s: Callable[[], float] = time.time
    _lines: deque[bytes] = field(init=False, factory=lambda: deque(maxlen=BOUND))
    _sums: dict[tuple[str, Tags, int], dict[str, int]] = field(init=False, factory=dict)

    def note(self, name: str, tags: Mapping[str, str], milliseconds: int) -> None:
        """Something took so long."""
        fields = {"execution_time_ms": f"{milliseconds}i"}
        self._lines.append(_line(name, _sorted(tags), fields, int(self.now_s())))

    def add(self, name: str, tags: Mapping[str, str], counts: Mapping[str, int]) -> None:
        """So much more of something."""
        key = (name, _sorted(tags), int(self.now_s()))
        if key not in self._sums and len(self._sums) >= BOUND:
            return
        sums = self._sums.setdefault(key, {})
        for field_name, count in counts.items():
            sums[field_name] = sums.get(field_name, 0) + count

    def put(self, timing: Timing) -> None:
        """How long things took in one second."""
        tags = _sorted({"topic": timing.topic})
        self._lines.append(_line(timing.measurement, tags, timing.fields, timing.second))

    def hear(self, span: Span) -> None:
        """A transition, the hooks of a moment, or a call has ended."""
        if span.kind in (WHOLE, "tasks"):
            tags = {
                "function": "try" if span.kind == WHOLE else "do",
                "transition": span.name,
                "envId": span.environment_id,
                "result": span.result,
            }
            self.note("transition", tags, span.milliseconds)
        elif span.kind == "hooks":
            tags = {"trigger": span.name, "envId": span.environment_id, "runtype": span.run_type}
            self.note("hooks", tags, span.milliseconds)
        else:
            tags = {
                "runtype": span.run_type,
                "name": span.name,
                "trigger": span.trigger,
                "envId": span.environment_id,
                "result": span.result,
            }
            self.note("callablecall", tags, span.milliseconds)

    def take(self) -> bytes:
        """All lines since the last time."""
        lines = list(self._lines)
        self._lines.clear()
        for (name, tags, second), sums in self._sums.items():
            lines.append(_line(name, tags, {key: f"{n}u" for key, n in sums.items()}, second))
        self._sums.clear()
        return b"".join(lines)


def _sorted(tags: Mapping[str, str]) -> Tags:
    return tuple(sorted({**tags, "subsystem": "ECS"}.items()))


def _line(name: str, tags: Tags, fields: Mapping[str, str], second: int) -> bytes:
    # A tag without a value is no tag.
    said = "".join(f",{key}={value.translate(_TAG)}" for key, value in tags if value)
    values = ",".join(f"{key}={value}" for key, value in fields.items())
    return f"{name}{said} {values} {second}000000000\n".encode("utf-8", "replace")
