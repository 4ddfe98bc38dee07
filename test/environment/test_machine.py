"""The environment's machine: upstream's table, busy states, interruptions."""

from __future__ import annotations

import pytest

from aliecs.environment.machine import (
    EDGES,
    MODIFICATIONS,
    EnvironmentState,
    Event,
    Machine,
    allowed_events,
    parse_event,
)
from aliecs.errors import Conflict, InvalidInput


class Core:
    def __init__(self, state: EnvironmentState = EnvironmentState.STANDBY) -> None:
        self.state = state
        self.current: Event | None = None
        self.machine = Machine(self, state)

    def state_changed(self, state: EnvironmentState) -> None:
        self.state = state

    def transition_changed(self, event: Event | None) -> None:
        self.current = event

    def begin(self, event: Event) -> None:
        self.machine.begin(event, self.state, self.current)

    def run(self, event: Event) -> None:
        self.begin(event)
        self.machine.reached()
        self.machine.finished()


S = EnvironmentState
E = Event

# Upstream's own table of what is allowed; DESTROY is ours.
ALLOWED = {
    S.STANDBY: {E.DEPLOY, E.GO_ERROR, E.EXIT, E.DESTROY},
    S.DEPLOYED: {E.CONFIGURE, E.GO_ERROR, E.EXIT, E.DESTROY},
    S.CONFIGURED: {E.START_ACTIVITY, E.RESET, E.GO_ERROR, E.EXIT, E.DESTROY},
    S.RUNNING: {E.STOP_ACTIVITY, E.GO_ERROR, E.DESTROY},
    S.ERROR: {E.RECOVER, E.DESTROY},
    S.DONE: set(),
}


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("event", EDGES)
def test_what_is_allowed_where(state: EnvironmentState, event: Event) -> None:
    core = Core(state)
    assert (event in allowed_events(state)) == (event in ALLOWED[state])
    if event in ALLOWED[state]:
        core.run(event)
        assert core.state is EDGES[event].destination
        assert core.current is None
    else:
        with pytest.raises(Conflict, match=f"{event.value} inappropriate .* {state.value}"):
            core.begin(event)
        assert core.state is state


def test_a_whole_life() -> None:
    core = Core()
    for event in (E.DEPLOY, E.CONFIGURE, E.START_ACTIVITY, E.STOP_ACTIVITY, E.RESET, E.DESTROY):
        core.run(event)
    assert core.state is S.DONE


@pytest.mark.parametrize("event", [e for e in EDGES if e not in (E.GO_ERROR, E.DESTROY)])
def test_a_second_transition_is_refused_while_one_runs(event: Event) -> None:
    for state in EDGES[event].sources:
        core = Core(state)
        core.begin(event)
        for other in E:
            if other in (E.GO_ERROR, E.DESTROY):
                continue
            with pytest.raises(Conflict, match=f"{event.value} is under way"):
                core.begin(other)
        core.machine.reached()
        with pytest.raises(Conflict, match="under way"):
            core.begin(E.CONFIGURE)
        core.machine.finished()
        assert core.state is EDGES[event].destination


def test_a_cancelled_transition_changes_nothing() -> None:
    core = Core(S.CONFIGURED)
    core.begin(E.START_ACTIVITY)
    assert core.current is E.START_ACTIVITY
    core.machine.cancelled()
    assert (core.state, core.current) == (S.CONFIGURED, None)
    core.run(E.START_ACTIVITY)


def test_an_error_interrupts_a_transition_in_either_half() -> None:
    core = Core(S.CONFIGURED)
    core.begin(E.START_ACTIVITY)
    core.begin(E.GO_ERROR)
    assert (core.state, core.current) == (S.CONFIGURED, E.GO_ERROR)
    core.machine.reached()
    core.machine.finished()
    assert core.state is S.ERROR

    core = Core(S.CONFIGURED)
    core.begin(E.START_ACTIVITY)
    core.machine.reached()
    core.begin(E.GO_ERROR)
    assert core.state is S.RUNNING
    core.machine.cancelled()
    assert core.state is S.RUNNING
    core.run(E.STOP_ACTIVITY)


def test_a_teardown_interrupts_everything_but_itself() -> None:
    for event, edge in EDGES.items():
        for state in edge.sources:
            core = Core(state)
            core.begin(event)
            if event is E.DESTROY:
                with pytest.raises(Conflict, match="DESTROY is under way"):
                    core.begin(E.DESTROY)
                continue
            core.begin(E.DESTROY)
            core.machine.reached()
            core.machine.finished()
            assert core.state is S.DONE


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("event", MODIFICATIONS)
def test_a_modification_keeps_the_state(state: EnvironmentState, event: Event) -> None:
    core = Core(state)
    if state not in MODIFICATIONS[event]:
        with pytest.raises(Conflict, match=f"{event.value} inappropriate .* {state.value}"):
            core.begin(event)
        return
    for end in (core.machine.finished, core.machine.cancelled):
        core.begin(event)
        with pytest.raises(Conflict, match=f"{event.value} is under way"):
            core.begin(E.STOP_ACTIVITY)
        end()
        assert (core.state, core.current) == (state, None)
    core.begin(event)
    core.run(E.GO_ERROR)
    assert core.state is S.ERROR


def test_names_of_events() -> None:
    assert parse_event(" configure ") is E.CONFIGURE
    with pytest.raises(InvalidInput, match="no transition 'JUMP'; there are DEPLOY"):
        parse_event("JUMP")
