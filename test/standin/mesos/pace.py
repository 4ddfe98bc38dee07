"""The times of a real Mesos, and how much faster they pass here.

All durations are those of a real cluster, in seconds, also those that a framework asks for
(`failover_timeout`, `refuse_seconds`); `speed` divides them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

SOON_S = 0.001
"""How long a message between a master and an agent takes; not made faster by `speed`."""


@frozen
class Times:
    """What a master and an agent are told on their command lines, with Mesos' own defaults."""

    heartbeat_s: float = 15.0
    allocation_s: float = 1.0
    ping_s: float = 15.0
    pings: int = 5
    """So many unanswered pings, and an agent is unreachable."""
    recovery_s: float = 0.25
    """How long a master or an agent that starts says 503."""
    registration_s: float = 0.5
    """From the start of an agent, or of a master that it can find, to its registration."""
    master_lost_s: float | None = None
    """How long an agent takes to see that its master has gone; without it the pings decide. With
    several masters there is someone who tells agents at once."""
    executor_registration_s: float = 60.0
    executor_reregistration_s: float = 2.0
    shutdown_grace_s: float = 5.0
    recovery_timeout_s: float = 900.0
    subscription_backoff_s: float = 2.0
    retry_s: float = 10.0
    """An update that is not acknowledged is sent again after so long, then after twice as long."""
    longest_retry_s: float = 600.0
    default_refuse_s: float = 5.0


@frozen
class Pace:
    """Runs things later."""

    reactor: Any
    speed: float = 1.0
    times: Times = field(factory=Times)

    def later(self, seconds: float, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call in so many seconds of a real cluster; gives the timer."""
        return self.reactor.callLater(max(0.0, seconds) / self.speed, call, *arguments)

    def soon(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call when a message would have arrived."""
        return self.reactor.callLater(SOON_S, call, *arguments)


def cancel(timer: Any) -> None:
    """End a timer, if it still runs."""
    if timer is not None and timer.active():
        timer.cancel()
