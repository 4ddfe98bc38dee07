"""When all objects of the process are looked at for garbage."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from aliecs.garbage import LOOK_S, NEVER, URGENT, WORTHWHILE, GarbageCollector


class Knot:
    """Garbage that reference counting does not find."""

    def __init__(self) -> None:
        self.itself = self


def knot() -> weakref.ref[Knot]:
    """A knot that nobody has any more, beyond the age at which the interpreter would look."""
    one = Knot()
    there = weakref.ref(one)
    gc.collect(1)
    return there


class Core:
    """What the collector asks of the core."""

    def __init__(self) -> None:
        self.busy = False
        self.environments: set[str] = set()
        self.clock = Clock()
        self.collector = GarbageCollector(
            self.clock, lambda: self.busy, lambda: self.environments
        )  # fmt: skip

    def passes(self) -> None:
        self.clock.advance(LOOK_S)


@pytest.fixture
def core() -> Iterator[Core]:
    before = gc.get_threshold()
    core = Core()
    core.collector.start()
    yield core
    core.collector.stop()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_the_interpreter_does_not_decide(core: Core) -> None:
    assert gc.get_threshold()[2] == NEVER
    assert gc.get_freeze_count() > 0


def test_what_an_environment_leaves_is_found_when_nobody_waits(core: Core) -> None:
    core.environments = {"one"}
    left = knot()
    core.passes()
    assert left() is not None  # set aside with the environment
    core.environments = set()
    core.busy = True
    core.passes()
    assert left() is not None
    core.busy = False
    core.passes()
    assert left() is None


def test_a_new_environment_is_set_aside_without_a_look(core: Core) -> None:
    before = gc.get_freeze_count()
    kept = [Knot() for _ in range(1000)]
    core.environments = {"one"}
    core.passes()
    assert gc.get_freeze_count() >= before + len(kept)


def make_middle_looks(count: int) -> None:
    for _ in range(count):
        gc.collect(1)


def test_much_that_is_new_is_looked_at_in_a_quiet_moment(core: Core) -> None:
    left = knot()
    make_middle_looks(WORTHWHILE)
    core.busy = True
    core.passes()
    assert left() is not None
    core.busy = False
    core.passes()
    assert left() is None


def test_too_much_is_looked_at_in_any_moment(core: Core) -> None:
    core.busy = True
    left = knot()
    make_middle_looks(URGENT)
    core.passes()
    assert left() is None
