"""How long something took each time, of which there may be thousands in a second.

Of each second, measurement and topic a fair sample is kept, and said of it what the reference says:
where most of it lies. Taken and added to by different threads.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from attrs import define, field, frozen

SAMPLE = 1_000
"""Values that are kept of one second."""
BOUND = 10_000
"""Seconds that are kept, of all topics together, while nobody asks; the oldest go first."""
PERCENTILES = (10, 30, 70, 90)


@define(eq=False)
class _Sample:
    count: int = 0
    values: list[int] = field(factory=list)

    def add(self, value: int) -> None:
        """Each value has the same chance to be kept, however many there are."""
        self.count += 1
        if len(self.values) < SAMPLE:
            self.values.append(value)
        elif (place := random.randrange(self.count)) < SAMPLE:  # noqa: S311
            self.values[place] = value


@frozen
class Timing:
    """What is said of one second of one topic: fields as InfluxDB writes them."""

    measurement: str
    topic: str
    second: int
    fields: Mapping[str, str]


@define(eq=False)
class Timings:
    """See the module."""

    now_s: Callable[[], float] = time.time
    _samples: dict[tuple[str, str, int], _Sample] = field(init=False, factory=dict)
    _lock: threading.Lock = field(init=False, factory=threading.Lock)

    def add(self, measurement: str, topic: str, nanoseconds: int) -> None:
        """It took so long once more."""
        key = (measurement, topic, int(self.now_s()))
        with self._lock:
            sample = self._samples.get(key)
            if sample is None:
                if len(self._samples) >= BOUND:
                    del self._samples[next(iter(self._samples))]
                sample = self._samples[key] = _Sample()
            sample.add(nanoseconds)

    def take(self) -> Sequence[Timing]:
        """Everything since the last time."""
        with self._lock:
            samples, self._samples = self._samples, {}
        return [
            Timing(measurement, topic, second, _fields("execution_time_ns", sample))
            for (measurement, topic, second), sample in samples.items()
        ]


def _fields(name: str, sample: _Sample) -> dict[str, str]:
    values = sorted(sample.values)
    found = {
        "mean": sum(values) / len(values),
        "median": _at(values, 50),
        "min": values[0],
        **{f"p{part}": _at(values, part) for part in PERCENTILES},
        "max": values[-1],
    }
    fields = {f"{name}_{key}": f"{float(value):.1f}" for key, value in found.items()}
    return fields | {f"{name}_count": f"{sample.count}u", f"{name}_poolsize": f"{len(values)}u"}


def _at(values: Sequence[int], percent: int) -> int:
    return values[len(values) * percent // 100]
