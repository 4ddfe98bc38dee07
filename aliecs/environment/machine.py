"""The state machine of an environment, and nothing else: which event is allowed in which state.

Automat changes state before its outputs run, so every transition has two busy states of its own:
one while the old state still holds (hooks before and at leaving, the tasks' own work) and one after
the new state was reached (hooks at entering and after). An event that comes meanwhile is refused:
another transition is under way. GO_ERROR and DESTROY are accepted in the busy states too.

Excluding and including roles, and giving tasks other processes (REPLACE, a part of a
reconfiguration) are transitions that lead nowhere: while one runs no other can begin, and the state
is the same afterwards.

The machine calls its core, an `Environment`, only to tell it what has changed; who runs the
transition is `aliecs.environment.transition`. `docs/developers.md` shows the machine drawn.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen
from automat import NoTransition, TypeMachineBuilder

from aliecs.errors import Conflict, InvalidInput


class EnvironmentState(enum.Enum):
    """The states that clients see."""

    STANDBY = "STANDBY"
    DEPLOYED = "DEPLOYED"
    CONFIGURED = "CONFIGURED"
    RUNNING = "RUNNING"
    ERROR = "ERROR"
    DONE = "DONE"


class Event(enum.Enum):
    """What can be asked of an environment."""

    DEPLOY = "DEPLOY"
    CONFIGURE = "CONFIGURE"
    RESET = "RESET"
    START_ACTIVITY = "START_ACTIVITY"
    STOP_ACTIVITY = "STOP_ACTIVITY"
    GO_ERROR = "GO_ERROR"
    RECOVER = "RECOVER"
    EXIT = "EXIT"
    DESTROY = "DESTROY"
    EXCLUDE = "EXCLUDE"
    INCLUDE = "INCLUDE"
    REPLACE = "REPLACE"


@frozen
class Edge:
    """From which states an event is allowed, and where it leads."""

    sources: tuple[EnvironmentState, ...]
    destination: EnvironmentState


_S = EnvironmentState

EDGES: dict[Event, Edge] = {
    Event.DEPLOY: Edge((_S.STANDBY,), _S.DEPLOYED),
    Event.CONFIGURE: Edge((_S.DEPLOYED,), _S.CONFIGURED),
    Event.RESET: Edge((_S.CONFIGURED,), _S.DEPLOYED),
    Event.START_ACTIVITY: Edge((_S.CONFIGURED,), _S.RUNNING),
    Event.STOP_ACTIVITY: Edge((_S.RUNNING,), _S.CONFIGURED),
    Event.GO_ERROR: Edge((_S.STANDBY, _S.DEPLOYED, _S.CONFIGURED, _S.RUNNING), _S.ERROR),
    Event.RECOVER: Edge((_S.ERROR,), _S.DEPLOYED),
    Event.EXIT: Edge((_S.STANDBY, _S.DEPLOYED, _S.CONFIGURED), _S.DONE),
    Event.DESTROY: Edge((_S.STANDBY, _S.DEPLOYED, _S.CONFIGURED, _S.RUNNING, _S.ERROR), _S.DONE),
}
"""The machine of upstream, with RECOVER and EXIT made real and DESTROY made an event."""

_MODIFIABLE = (_S.DEPLOYED, _S.CONFIGURED, _S.RUNNING)

MODIFICATIONS: dict[Event, tuple[EnvironmentState, ...]] = {
    Event.EXCLUDE: _MODIFIABLE,
    Event.INCLUDE: _MODIFIABLE,
    Event.REPLACE: (_S.DEPLOYED,),
}
"""Events that keep the state, which are not in the table, and where they are allowed."""

INTERRUPTING = frozenset({Event.GO_ERROR, Event.DESTROY})
"""Events that are accepted while another transition is under way, and abort it."""


class _Inputs(Protocol):
    """The inputs of the machine: the events, and how a transition goes on."""

    def deploy(self) -> None: ...
    def configure(self) -> None: ...
    def reset(self) -> None: ...
    def start_activity(self) -> None: ...
    def stop_activity(self) -> None: ...
    def go_error(self) -> None: ...
    def recover(self) -> None: ...
    def exit(self) -> None: ...
    def destroy(self) -> None: ...
    def exclude(self) -> None: ...
    def include(self) -> None: ...
    def replace(self) -> None: ...

    def reached(self) -> None:
        """The tasks are there: the new state holds."""

    def cancelled(self) -> None:
        """The transition failed before that: the old state holds on."""

    def finished(self) -> None:
        """All is done, also what comes after the new state was reached."""


class MachineCore(Protocol):
    """What the machine tells."""

    def state_changed(self, state: EnvironmentState) -> None:
        """The state that clients see is another."""

    def transition_changed(self, event: Event | None) -> None:
        """A transition began, or none is under way any more."""


# Automat does not export the types of its states.
_State = Any


def _build() -> tuple[Any, dict[EnvironmentState, _State]]:
    """All states and edges, from the table above."""
    builder: TypeMachineBuilder[_Inputs, Any] = TypeMachineBuilder(_Inputs, object)
    # Automat takes the first state that it is given as the initial one.
    idle: dict[EnvironmentState, _State] = {s: builder.state(s.value) for s in EnvironmentState}
    busy: dict[tuple[Event, EnvironmentState], _State] = {}
    arrived: dict[Event, _State] = {}
    for event, edge in EDGES.items():
        arrived[event] = builder.state(f"{event.value}: {edge.destination.value} reached")
        arrived[event].upon(_Inputs.finished).to(idle[edge.destination])(_end)
        for source in edge.sources:
            state = busy[event, source] = builder.state(f"{event.value} from {source.value}")
            idle[source].upon(_input(event)).to(state)(_begin(event))
            state.upon(_Inputs.reached).to(arrived[event])(_reach(edge.destination))
            state.upon(_Inputs.cancelled).to(idle[source])(_end)
    for event, sources in MODIFICATIONS.items():
        for source in sources:
            state = busy[event, source] = builder.state(f"{event.value} in {source.value}")
            idle[source].upon(_input(event)).to(state)(_begin(event))
            state.upon(_Inputs.finished).to(idle[source])(_end)
            state.upon(_Inputs.cancelled).to(idle[source])(_end)
    # An interruption leaves from the state that clients see: the old one before the new one is
    # reached, the new one after.
    under_way = [(event, seen, state) for (event, seen), state in busy.items()]
    under_way += [(event, EDGES[event].destination, state) for event, state in arrived.items()]
    for event, seen, state in under_way:
        for interruption in INTERRUPTING:
            target = busy.get((interruption, seen))
            if target is not None and event not in (interruption, Event.DESTROY):
                state.upon(_input(interruption)).to(target)(_begin(interruption))
    return builder.build(), idle


def _input(event: Event) -> Callable[[_Inputs], None]:
    method: Callable[[_Inputs], None] = getattr(_Inputs, event.value.lower())
    return method


def _begin(event: Event) -> Callable[[_Inputs, MachineCore], None]:
    def begin(inputs: _Inputs, core: MachineCore) -> None:
        core.transition_changed(event)

    return begin


def _reach(destination: EnvironmentState) -> Callable[[_Inputs, MachineCore], None]:
    def reach(inputs: _Inputs, core: MachineCore) -> None:
        core.state_changed(destination)

    return reach


def _end(inputs: _Inputs, core: MachineCore) -> None:
    core.transition_changed(None)


_MACHINE, _IDLE = _build()


class Machine:
    """The machine of one environment.

    `core` is told of changes; `state` where it starts, which is not STANDBY when an environment is
    taken up again after a restart.
    """

    __slots__ = ("_inputs",)

    def __init__(
        self, core: MachineCore, state: EnvironmentState = EnvironmentState.STANDBY
    ) -> None:
        self._inputs: _Inputs = _MACHINE(core, _IDLE[state])

    def begin(self, event: Event, state: EnvironmentState, current: Event | None) -> None:
        """Begin a transition. Raises `Conflict` where it is not allowed, and nothing has changed.

        `state` and `current` are what the core was told last; they are for the text.
        """
        try:
            getattr(self._inputs, event.value.lower())()
        except NoTransition:
            if current is not None:
                raise Conflict(
                    f"{event.value} refused: the transition {current.value} is under way"
                ) from None
            allowed = ", ".join(sorted(e.value for e in allowed_events(state))) or "none"
            raise Conflict(
                f"event {event.value} inappropriate in current state {state.value} "
                f"(allowed now: {allowed})"
            ) from None

    def reached(self) -> None:
        """The new state holds."""
        self._inputs.reached()

    def cancelled(self) -> None:
        """The transition failed before the new state was reached."""
        self._inputs.cancelled()

    def finished(self) -> None:
        """The transition is over."""
        self._inputs.finished()


def allowed_events(state: EnvironmentState) -> frozenset[Event]:
    """The events that lead on from a state while no transition is under way."""
    return frozenset(event for event, edge in EDGES.items() if state in edge.sources)


def parse_event(text: str) -> Event:
    """The event of that name. Raises `InvalidInput` naming those there are."""
    try:
        return Event[text.strip().upper()]
    except KeyError:
        names = ", ".join(event.value for event in Event)
        raise InvalidInput(f"there is no transition {text!r}; there are {names}") from None
