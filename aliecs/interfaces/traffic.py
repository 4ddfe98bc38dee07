"""What has gone between a core and those who offer it hosts, counted since its start.

A backend counts; who is asked for metrics reads. Kinds are those of Mesos's calls and events, in
lower case.
"""

from __future__ import annotations

from collections import Counter

from attrs import define, field


@define(eq=False)
class Sum:
    """How often something was seen, and how much it was in all."""

    count: int = 0
    total: float = 0.0

    def add(self, value: float) -> None:
        """It was so much once more."""
        self.count += 1
        self.total += value


@define(eq=False)
class Traffic:
    """See the module. Times are in seconds; resources are cores, megabytes, and numbers of ports,
    by the names that Mesos gives them."""

    calls: Counter[str] = field(factory=Counter)
    call_errors: Counter[str] = field(factory=Counter)
    call_times: dict[str, Sum] = field(factory=dict)
    events: Counter[str] = field(factory=Counter)
    event_errors: Counter[str] = field(factory=Counter)
    event_times: dict[str, Sum] = field(factory=dict)
    offers_received: int = 0
    offers_declined: int = 0
    resources: dict[str, Sum] = field(factory=dict)
    """What an offer had of each."""
    launches: Sum = field(factory=Sum)
    """Tasks that were launched with one acceptance of offers."""

    def called(self, kind: str, seconds: float, failed: bool) -> None:
        """A call was answered, or failed."""
        self.calls[kind] += 1
        self.call_errors[kind] += failed
        self.call_times.setdefault(kind, Sum()).add(seconds)

    def heard(self, kind: str, seconds: float, failed: bool) -> None:
        """An event was dealt with, or could not be."""
        self.events[kind] += 1
        self.event_errors[kind] += failed
        self.event_times.setdefault(kind, Sum()).add(seconds)
