"""Each recorded conversation with a real Mesos, held again with the stand-in.

What is not covered, and why, stands in `NOT_COVERED`; a scenario that is not named there is
replayed in full. Executors' sides that were not recorded (10 and 10c) are taken by the example
executor.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from test.folder import temporary_folder
from test.mesos_recording import Line, scenarios
from test.standin.mesos import example
from test.standin.replay import Replay

SPEED = 30.0
SPEEDS = {"13": 8.0}
"""Where what is recorded lies between two times that come near each other."""


@frozen
class Gap:
    """Something that the stand-in does not do, or that cannot be replayed."""

    reason: str
    connections: tuple[int, ...] = ()
    """None named: all."""
    after_ms: float = 0.0
    before_ms: float = float("inf")

    def holds(self, line: Line) -> bool:
        """True for a line that it is about."""
        in_time = self.after_ms <= line["t_ms"] < self.before_ms
        # What is not held is closed all the same.
        is_meant = not self.connections or line.get("conn") in self.connections
        return in_time and is_meant and line.kind != "close"


NOT_COVERED: dict[str, list[Gap]] = {
    "04c": [Gap("offers and a teardown cross each other", (21,), 4056, 4058)],
    "07-agent-lost-partition-aware-json": [
        Gap("an acknowledgement reached the agent before it was killed, or not", (1,), 13349, 13354)
    ],
    "08c": [
        Gap("404 or 503 of a restarted agent, by milliseconds; see test_mesos_cluster",
            (5, 6, 7, 9, 10, 11)),
        Gap("an agent that refuses to start with other resources", (), 11600, 15785.4),
    ],
    "10-scheduler-errors-json": [
        Gap("Twisted answers a header of 100,000 characters, libprocess does not", (27, 28)),
        Gap("the operator API", (29,)),
        Gap("the body of 8 MB was not recorded; see test_mesos_cluster", (49,), 0, 38630.6),
    ],
    "10-scheduler-errors-protobuf": [
        Gap("as before", (22, 23)),
        Gap("as before", (42,), 0, 36920.5),
    ],
    "11-teardown-protobuf": [
        Gap("an acknowledgement and a teardown cross each other", (12,), 10577, 10578)
    ],
    "14": [
        Gap("Twisted answers a request before it sees the half-close behind it", (11,)),
        Gap("Twisted answers a call on the connection of a stream after its end", (13,), 6213),
    ],
    "14-http-details-protobuf": [Gap("as before", (13,), 6153)],
}
# Lines of other kinds are not: they tell how records are cut into chunks and packets.
COVERED_KINDS = ("note", "request", "response", "record", "close")
# Of the operator API and the pages for people there are only these.
OPERATOR_PATHS = ("/master/health", "/master/redirect", "/redirect", "/master/teardown")
WITH_ROUNDS = ("01",)
"""Elsewhere the rounds of offers are run when they were recorded."""


def number_of(scenario: str) -> str:
    """The number that a recording's name begins with."""
    return scenario.split("-")[0]


def gaps_of(scenario: str) -> list[Gap]:
    """What is not covered of a recording."""
    return NOT_COVERED.get(number_of(scenario), []) + NOT_COVERED.get(scenario, [])


class Coverage:
    """Which lines of a recording are replayed."""

    def __init__(self) -> None:
        self._paths: dict[tuple[str, int], list[str]] = {}

    def __call__(self, line: Line) -> bool:
        if line.kind not in COVERED_KINDS:
            return False
        if any(gap.holds(line) for gap in gaps_of(line.scenario)):
            return False
        return (
            line.kind == "note"
            or "operator" not in (line["from"], line.get("to"))
            or (self._is_operator_path(line))
        )

    def _is_operator_path(self, line: Line) -> bool:
        """An answer is covered where its request is; connections may be shared."""
        waiting = self._paths.setdefault((line.scenario, line["conn"]), [])
        if line.kind == "request":
            waiting.append(line["path"])
            return line["path"] in OPERATOR_PATHS
        if line.kind == "response":
            return waiting.pop(0) in OPERATOR_PATHS
        return False


covers = Coverage()


def command_of(scenario: str) -> str:
    """The executor that lives by itself, where the recording has nothing of executors."""
    alone = number_of(scenario) in ("10", "10c")
    return f"exec {sys.executable} {Path(example.__file__)}" if alone else ""


def has_rounds(scenario: str) -> bool:
    """True where offers are to come by themselves."""
    return number_of(scenario) in WITH_ROUNDS


class RecordingsTestCase(TestCase):
    timeout = 60

    async def replay(self, scenario: str) -> list[str]:
        """Replay one recording; gives what was otherwise."""
        speed = SPEEDS.get(number_of(scenario), SPEED)
        replay = Replay(
            reactor, temporary_folder(self), scenario, speed, covers,
            has_rounds(scenario), command_of(scenario),
        )  # fmt: skip
        return await replay.run()

    def replay_all(self, names: list[str]) -> Deferred[None]:
        """Replay some at the same time, each with a cluster of its own."""

        def look(found: list[list[str]]) -> None:
            faults = [fault for some in found for fault in some]
            assert not faults, "\n".join(faults)

        replays = [Deferred.fromCoroutine(self.replay(name)) for name in names]
        return gatherResults(replays, consumeErrors=True).addCallback(look)


def _add(names: list[str]) -> None:
    """A test for the recordings of one scenario, in both encodings."""

    def test(self: RecordingsTestCase) -> Any:
        return self.replay_all(names)

    scenario = names[0].rpartition("-")[0]
    setattr(RecordingsTestCase, f"test_{scenario.replace('-', '_')}", test)


for _, _names in groupby(scenarios(), lambda name: name.rpartition("-")[0]):
    _add(list(_names))
