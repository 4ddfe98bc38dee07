"""Waiting for what happens once."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from aliecs.executor.waiting import Happening, pause


def test_everybody_hears_once() -> None:
    happening: Happening[int] = Happening()
    heard: list[int] = []
    for _ in range(2):
        happening.wait().addCallback(heard.append)
    happening.happen(7)
    happening.happen(8)
    happening.wait().addCallback(heard.append)
    assert heard == [7, 7, 7]


def test_who_gives_up_disturbs_nobody() -> None:
    happening: Happening[int] = Happening()
    heard: list[object] = []
    patient, impatient = happening.wait(), happening.wait()
    patient.addCallback(heard.append)
    impatient.addErrback(lambda failure: heard.append(failure.check(CancelledError)))
    impatient.cancel()
    happening.happen(1)
    assert heard == [CancelledError, 1]


def test_a_deadline() -> None:
    clock = Clock()
    early: Happening[None] = Happening()
    late: Happening[None] = Happening()
    results: list[bool] = []
    for happening in (early, late):
        Deferred.fromCoroutine(happening.within(2, clock)).addCallback(results.append)
    clock.advance(1)
    early.happen(None)
    assert results == [True]
    clock.advance(1)
    assert results == [True, False]
    late.happen(None)
    Deferred.fromCoroutine(late.within(2, clock)).addCallback(results.append)
    assert results == [True, False, True]
    assert clock.getDelayedCalls() == []


def test_a_pause() -> None:
    clock = Clock()
    waiting = pause(clock, 3)
    clock.advance(2)
    assert not waiting.called
    clock.advance(1)
    assert waiting.called
