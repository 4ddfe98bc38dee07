"""How a master or an agent can be told to misbehave, for so many calls or events.

    master.faults.add("lose", "UPDATE", count=2)      the next two updates never arrive
    master.faults.add("double", "OFFERS")             the next offers arrive twice
    master.faults.add("delay", "UPDATE", seconds=3)   all that follows waits with it
    master.faults.add("reorder", count=3)             the next three events, last first
    master.faults.add("cut", "UPDATE")                half of the next update, then the end
    master.faults.add("refuse", "KILL", status=503)   the next KILL is answered so
    master.faults.add("ignore", "KILL")               it is answered 202, and nothing happens
    master.faults.add("hang", "KILL")                 it is never answered
    master.faults.add("late", "KILL", seconds=3)      it is answered, and done, so much later
    master.faults.add("drop", "KILL")                 it is done, and the answer is lost
"""

from __future__ import annotations

from attrs import define, field

EVENT_ACTIONS = ("lose", "double", "delay", "reorder", "cut")
CALL_ACTIONS = ("refuse", "ignore", "hang", "late", "drop")


@define
class Fault:
    """One order to misbehave."""

    action: str
    kind: str = ""
    """The type of call or event it is for; empty for any."""
    count: int = 1
    """How many; a negative number means for ever."""
    seconds: float = 0.0
    status: int = 503
    text: str = ""


@define
class Faults:
    """The orders that one master or agent has."""

    _faults: list[Fault] = field(factory=list)

    def add(
        self, action: str, kind: str = "", *, count: int = 1, seconds: float = 0.0,
        status: int = 503, text: str = "",
    ) -> None:  # fmt: skip
        """Give an order; the oldest that fits is followed first."""
        if action not in EVENT_ACTIONS + CALL_ACTIONS:
            raise ValueError(f"no such way to misbehave: {action}")
        self._faults.append(Fault(action, kind, count, seconds, status, text))

    def clear(self) -> None:
        """Behave again."""
        self._faults.clear()

    def for_event(self, kind: str) -> Fault | None:
        """What is to happen to an event that is about to be sent."""
        return self._take(kind, EVENT_ACTIONS)

    def for_call(self, kind: str) -> Fault | None:
        """What is to happen to a call that has just come in."""
        return self._take(kind, CALL_ACTIONS)

    def _take(self, kind: str, actions: tuple[str, ...]) -> Fault | None:
        for fault in self._faults:
            if fault.action in actions and fault.kind in ("", kind):
                taken = Fault(fault.action, kind, fault.count, fault.seconds,
                              fault.status, fault.text)  # fmt: skip
                if fault.count > 0:
                    fault.count -= 1
                    if fault.count == 0:
                        self._faults.remove(fault)
                return taken
        return None
