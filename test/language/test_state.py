"""States and statuses, and how they add up."""

from __future__ import annotations

import itertools
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.language.state import State, Status


def test_state_texts() -> None:
    assert State.CONFIGURED.text == "CONFIGURED"
    assert State.INVARIANT.text == "UNKNOWN"
    assert State.parse("CONFIGURED") is State.CONFIGURED
    assert State.parse("INVARIANT") is State.INVARIANT
    assert State.parse("NEVADA") is State.UNKNOWN
    assert Status.INVARIANT.text == "INVARIANT"
    assert Status.parse("NEVADA") is Status.UNDEFINED


@pytest.mark.parametrize(
    ("left", "right", "product"),
    [
        *[(state, state, state) for state in State],
        *[(State.ERROR, state, State.ERROR) for state in State],
        *[(State.INVARIANT, state, state) for state in State],
        (State.UNKNOWN, State.STANDBY, State.MIXED),
        (State.RUNNING, State.CONFIGURED, State.MIXED),
        (State.MIXED, State.DONE, State.MIXED),
    ],
)
def test_state_products(left: State, right: State, product: State) -> None:
    assert left.product(right) is product
    assert right.product(left) is product


STATUS_TABLE = """
UNDEFINED UNDEFINED UNDEFINED UNDEFINED UNDEFINED UNDEFINED
UNDEFINED INACTIVE PARTIAL PARTIAL UNDEPLOYABLE INACTIVE
UNDEFINED PARTIAL PARTIAL PARTIAL UNDEPLOYABLE PARTIAL
UNDEFINED PARTIAL PARTIAL ACTIVE UNDEPLOYABLE ACTIVE
UNDEFINED UNDEPLOYABLE UNDEPLOYABLE UNDEPLOYABLE UNDEPLOYABLE UNDEPLOYABLE
UNDEFINED INACTIVE PARTIAL ACTIVE UNDEPLOYABLE INVARIANT
"""


def test_status_products() -> None:
    rows = [line.split() for line in STATUS_TABLE.strip().splitlines()]
    for left, right in itertools.product(Status, Status):
        assert left.product(right) is Status[rows[left][right]]


@given(st.lists(st.sampled_from(State)), st.lists(st.sampled_from(Status)))
def test_counts_give_the_product(states: list[State], statuses: list[Status]) -> None:
    state_counts = [states.count(state) for state in State]
    assert State.of_counts(state_counts) is reduce(State.product, states, State.INVARIANT)
    status_counts = [statuses.count(status) for status in Status]
    assert Status.of_counts(status_counts) is reduce(Status.product, statuses, Status.INVARIANT)


@given(st.sampled_from(State), st.sampled_from(State), st.sampled_from(State))
def test_products_are_associative(a: State, b: State, c: State) -> None:
    assert a.product(b).product(c) is a.product(b.product(c))
