"""What an executor tells of the processor, memory and files that its tasks use."""

from __future__ import annotations

import os
import subprocess
import sys

from aliecs.executor.usage import usage_of_sessions
from aliecs.protocol.message import (
    ControlMode,
    ExecutorAnnouncement,
    ReportUsageCommand,
    TaskUsage,
    TaskUsageMessage,
)
from test.executor.test_executor import ExecutorTest
from test.executor.watching import wait_until

MEGABYTE = 2**20
HUNGRY = """
import subprocess, sys, time
memory = bytearray(60 * 2**20)
files = [open("/dev/null") for _ in range(30)]
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
time.sleep(100)
"""
INTERVAL_NS = 200_000_000


class UsageTest(ExecutorTest):
    """An executor whose core has asked for it, and one whose core has not."""

    async def begin(self, task_id: str, value: str) -> None:
        self.launch_command(task_id, value, ControlMode.BASIC)
        await self.reached(task_id, "TASK_RUNNING")
        assert not (await self.move(task_id, "CONFIGURED", "START", "RUNNING")).error

    def told(self, task_id: str) -> list[TaskUsage]:
        return [
            message.tasks[task_id]
            for message in self.messages()
            if isinstance(message, TaskUsageMessage) and task_id in message.tasks
        ]

    async def test_a_task_with_all_that_it_started(self) -> None:
        program = self.directory / "hungry.py"
        program.write_text(HUNGRY)
        announced = await self.heard(ExecutorAnnouncement)
        assert "AliecsCommand_ReportUsage" in announced.commands
        await self.begin("hungry", f"exec {sys.executable} {program}")
        await self.begin("modest", "exec sleep 100")
        self.launch_command("idle", "true", ControlMode.HOOK)
        response = await self.command(ReportUsageCommand, "", interval_ns=INTERVAL_NS)
        assert not response.error

        def is_complete() -> bool:
            last = self.told("hungry")[-1:]
            return bool(last) and last[0].processes == 2 and last[0].processor_s > 0.2

        await wait_until(is_complete, explain=lambda: str(self.told("hungry")))
        hungry, modest = self.told("hungry")[-1], self.told("modest")[-1]
        assert 60 * MEGABYTE < hungry.memory_bytes < 200 * MEGABYTE
        assert 30 <= hungry.open_files < 60
        assert (modest.processes, modest.open_files) == (1, 3)
        assert modest.memory_bytes < 10 * MEGABYTE
        assert not self.told("idle")
        begun = self.told("hungry")[0]
        assert begun.processor_s <= hungry.processor_s

        response = await self.command(ReportUsageCommand, "", interval_ns=0)
        assert not response.error
        count = len(self.told("modest"))
        await self.move("modest", "RUNNING", "STOP", "CONFIGURED")
        await self.move("hungry", "RUNNING", "STOP", "CONFIGURED")
        assert len(self.told("modest")) == count

    async def test_a_core_that_does_not_ask_is_told_nothing(self) -> None:
        await self.begin("task", "exec sleep 100")
        await self.move("task", "RUNNING", "STOP", "CONFIGURED")
        assert not any(isinstance(message, TaskUsageMessage) for message in self.messages())


def test_a_name_with_spaces_and_brackets_is_read() -> None:
    rename = "import ctypes, time; ctypes.CDLL(None).prctl(15, b'a) S 1 (b')"
    script = f"{rename}; print(); time.sleep(9)"
    with subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = usage_of_sessions([process.pid])
        process.kill()
    assert found[process.pid].processes == 1


def test_sessions_that_are_gone_are_left_out() -> None:
    with subprocess.Popen(["true"], start_new_session=True) as process:
        process.wait()
    assert not usage_of_sessions([process.pid])
    assert os.getsid(0) in usage_of_sessions([os.getsid(0), process.pid])
