"""A real core tells its log to a daemon of InfoLogger."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.end_to_end.core import RunningCore
from test.event.test_infologger import Daemon

pytestmark = pytest.mark.end_to_end


def test_an_environment_in_infologger(tmp_path: Path) -> None:
    address = str(tmp_path / "infologger")
    daemon = Daemon(address)
    with RunningCore(tmp_path, settings={"infoLoggerSocket": address}) as core:
        environment = core.create("builtin/workflows/demo@main")
        number = core.control(environment.id, "START_ACTIVITY").currentRunNumber
        lines = [daemon.line()]
        while "START_ACTIVITY is done" not in lines[-1][15]:
            lines.append(daemon.line())
    daemon.close()
    assert lines[-1][10:12] == [environment.id, str(number)]
    assert {line[7] for line in lines} == {"ECS"}
    assert all(line[8].startswith("core/") for line in lines)
    assert lines[-1][8] == "core/env"
