"""A real core tells its log to a daemon of InfoLogger."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.end_to_end.apricot import RunningApricot
from test.end_to_end.core import RunningCore
from test.test_infologger import Daemon

pytestmark = pytest.mark.end_to_end


def test_an_environment_in_infologger(tmp_path: Path) -> None:
    address = str(tmp_path / "infologger")
    daemon = Daemon(address)
    with RunningCore(tmp_path, settings={"infoLoggerSocket": address}) as core:
        environment = core.create("builtin/workflows/demo@main")
        number = core.control(environment.id, "START_ACTIVITY").currentRunNumber
        lines: list[list[str]] = []
        done: list[list[str]] = []
        launched: list[list[str]] = []
        # The executors have connections of their own.
        while not (done and launched):
            lines.append(daemon.line())
            done = [line for line in lines if "START_ACTIVITY is done" in line[15]]
            launched = [line for line in lines if "launching task" in line[15]]
    daemon.close()
    assert done[0][10:12] == [environment.id, str(number)]
    assert {line[7] for line in lines} == {"ECS"}
    assert {line[8].partition("/")[0] for line in lines} == {"core", "executor"}
    assert done[0][8] == "core/env"
    assert launched[0][8] == "executor/executor"


def test_a_configuration_service_in_infologger(tmp_path: Path) -> None:
    address = str(tmp_path / "infologger")
    daemon = Daemon(address)
    with RunningApricot(tmp_path, variables={"INFOLOGGERSOCKET": address}):
        line = daemon.line()
    daemon.close()
    assert line[7] == "ECS"
    assert line[8].startswith("apricot/")
