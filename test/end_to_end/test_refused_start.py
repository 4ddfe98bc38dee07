"""A core that cannot start says why in one line that names the setting, and leaves nothing; nor
does one that is told to stop before it is up."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield somebody.getsockname()[1]


def check_refused(folder: Path, settings: Mapping[str, Any], *parts: str) -> None:
    core = RunningCore(folder, hosts=["one"], settings=settings)
    try:
        with pytest.raises(AssertionError, match="the core ended before"):
            core.start()
        assert core.process is not None
        assert core.process.returncode == 1
        (line,) = [one for one in core.log().splitlines() if "the core does not start" in one]
        for part in parts:
            assert part in line, core.log()
        assert "Traceback" not in core.log()
        assert not (core.working_dir / "core.json").exists()
    finally:
        left = core.end_processes()
    assert not left


@pytest.mark.parametrize(
    "setting", ["controlPort", "restPort", "manholePort", "apricotPort", "apricotHttpPort"]
)
def test_a_port_of_the_core_is_taken(tmp_path: Path, taken: int, setting: str) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    settings = {setting: taken, "manholePasswordFile": str(password)}
    check_refused(tmp_path, settings, f"{setting}: ", f"127.0.0.1:{taken}", "in use")


def test_a_core_that_cannot_serve_leaves_the_tasks_of_its_predecessor(
    tmp_path: Path, taken: int
) -> None:
    with RunningCore(tmp_path, hosts=["one"]) as core:
        core.create("builtin/workflows/minimal@main")
        core.stop()
        before = dict(core.processes())
        assert before
        core.settings["restPort"] = taken
        with pytest.raises(AssertionError, match="the core does not start: restPort"):
            core.start()
        assert dict(core.processes()) == before
        core.settings["restPort"] = 0
        core.start()


def test_the_folder_is_used_by_another_core(tmp_path: Path) -> None:
    with RunningCore(tmp_path / "first", hosts=["one"]) as first:
        folder = str(first.working_dir)
        check_refused(
            tmp_path / "second", {"coreWorkingDir": folder}, f"another core works in {folder}"
        )
        # The first one is as it was.
        assert first.create("builtin/workflows/minimal@main").state == "CONFIGURED"


def test_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "core")
    check_refused(tmp_path, {"coreWorkingDir": folder}, f"coreWorkingDir: {folder} cannot be used")


def test_the_configuration_cannot_be_opened(tmp_path: Path) -> None:
    uri = f"sqlite://{tmp_path}/nowhere/configuration.db"
    check_refused(tmp_path, {"configServiceUri": uri}, f"{tmp_path}/nowhere is no folder")


def test_an_executor_in_a_container(tmp_path: Path) -> None:
    settings = {"backend": "mesos", "mesosExecutorImage": "alice/executor:1"}
    check_refused(tmp_path, settings, "mesosExecutorImage: 'alice/executor:1' is refused")


@pytest.mark.parametrize("sight", ["reactor class", "Factory starting", "is process"])
def test_a_core_is_told_to_stop_before_it_is_up(tmp_path: Path, sight: str) -> None:
    core = RunningCore(tmp_path, hosts=["one", "two"], settings={"recoveryTimeout": "1s"})
    try:
        process = core.launch()
        core.wait_until(lambda: sight in core.log(), 20, sight)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
        assert "critical" not in core.log()
    finally:
        left = core.end_processes()
    assert not left
