"""The executor as one file: built, fetched by an agent, and run where nothing else is."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from aliecs.protocol import mesos_pb2
from test.docs.documents import ROOT
from test.executor.test_mesos import AgentTest

pytestmark = pytest.mark.end_to_end

BUILD_DEADLINE_S = 240.0


@functools.cache
def build() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """The file, and the folder that has it as long as somebody has that."""
    folder = tempfile.TemporaryDirectory(prefix="aliecs-executor-file-")
    file = Path(folder.name) / "new" / "aliecs-executor"
    subprocess.run(
        ["make", "--old-file=.venv/.installed-test", "executor",
         f"BIN={Path(sys.executable).parent}", f"EXECUTOR={file}"],
        cwd=ROOT, check=True, timeout=BUILD_DEADLINE_S, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return file, folder


class FetchedExecutorTest(AgentTest):
    """An agent that fetches the file."""

    timeout = 300

    async def setUp(self) -> None:
        self.file, _ = build()
        await super().setUp()

    def executor_command(self) -> mesos_pb2.CommandInfo:
        command = mesos_pb2.CommandInfo(shell=True, value=f"exec ./{self.file.name}")
        command.uris.add(value=str(self.file), executable=True)
        # Where the file unpacks itself.
        command.environment.variables.add(name="SHIV_ROOT", value=str(self.directory / "unpacked"))
        return command

    async def test_it_runs_tasks(self) -> None:
        await self.run_sample("task1")
        assert (await self.answered(self.configure("task1"))).state == "CONFIGURED"
        executor = self.executor.container.pid
        maps = Path(f"/proc/{executor}/maps").read_text()
        assert str(self.directory / "unpacked") in maps
        assert "site-packages/grpc" in maps
        self.agent.kill_task("framework-1", "task1")
        await self.told("task1", "TASK_RUNNING", "TASK_FINISHED")
