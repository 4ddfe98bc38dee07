"""What one executor costs, with many tasks on its host.

    python -m bench.executor [tasks] [devices]

A real `aliecs-executor` under an agent that stands in for Mesos. First `tasks` processes that are
started and stopped (control mode basic), then `devices` that are controlled over gRPC (control mode
direct). For each: the processor time of the executor (with its launcher), by step and task, what
its memory grows by, and how long the step took for all of them. The tasks do nothing, so that what
is measured is the executor.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from aliecs.executor.usage import usage_of_sessions
from aliecs.protocol import mesos_pb2
from aliecs.protocol.message import (
    BasicTaskTerminated,
    CommandPayload,
    CommandResponse,
    ControlMode,
    TransitionCommand,
    target,
)
from test.executor.test_executor import SAMPLE
from test.executor.test_mesos import EXECUTOR, FRAMEWORK, SOURCES, Above
from test.ports import free_port
from test.standin.mesos.agent import Agent
from test.standin.mesos.pace import Pace, Times

TASKS = 300
DEVICES = 20
DEADLINE_S = 180.0
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words]


def is_python(pid: int, name: str) -> bool:
    """True for a process whose command line has `name` in it."""
    return name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()


@define
class Cost:
    """Processor seconds and KiB of a moment."""

    processor_s: float
    memory_kib: int
    launcher_kib: int


@define(eq=False)
class Bench:
    """One agent, one executor."""

    reactor: Any
    folder: Path
    agent: Agent = field(init=False)
    above: Above = field(init=False)
    _commands: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        pace = Pace(self.reactor, 1.0, Times())
        self.agent = Agent(pace, "flp001.example", self.folder, lambda: None)
        self.agent.identifier = "agent-1"
        self.above = Above(self.agent)

    @property
    def pid(self) -> int:
        """The executor's process."""
        return self.agent.executors[FRAMEWORK, EXECUTOR].container.pid

    def cost(self) -> Cost:
        """What the executor and its launcher have used until now, and have now."""
        launchers = [pid for pid in children(self.pid) if is_python(pid, "launcher.py")]
        ticks = 0
        for pid in (self.pid, *launchers):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        memory, *others = [
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KIB
            for pid in (self.pid, *launchers)
        ]
        return Cost(ticks / TICKS_A_SECOND, memory, sum(others))

    def run_task(self, task_id: str, command: CommandPayload) -> None:
        """Give the agent a task."""
        info = mesos_pb2.TaskInfo(name=task_id, data=command.encode())
        info.task_id.value = task_id
        info.executor.executor_id.value = EXECUTOR
        info.executor.framework_id.value = FRAMEWORK
        info.executor.command.shell = True
        info.executor.command.value = f"exec {sys.executable} -m aliecs.executor.main"
        info.executor.command.environment.variables.add(name="PYTHONPATH", value=SOURCES)
        framework = mesos_pb2.FrameworkInfo(user="", name="bench", checkpoint=True)
        framework.id.value = FRAMEWORK
        self.agent.run_task(FRAMEWORK, framework, info)

    async def order(self, names: list[str], event: str, source: str, destination: str) -> None:
        """Order all of them through one transition, each by a message of its own."""
        waiting = set()
        for name in names:
            self._commands += 1
            command = TransitionCommand(
                id=f"command{self._commands}", environment_id="2oDvieFrVTi",
                targets=(target("agent-1", EXECUTOR, name),), event=event, source=source,
                destination=destination, arguments={},
            )  # fmt: skip
            waiting.add(command.id)
            self.agent.message(FRAMEWORK, EXECUTOR, command.encode())

        def answered() -> bool:
            for message in self.above.messages:
                if isinstance(message, CommandResponse):
                    assert not message.error, message.error
                    waiting.discard(message.id)
            self.above.messages[:] = [
                one for one in self.above.messages if isinstance(one, BasicTaskTerminated)
            ]
            return not waiting

        await self.until(answered)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it is so."""
        end = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > end:
                raise SystemExit("the executor is too slow, or does not do it")
            waiter: Deferred[None] = Deferred()
            self.reactor.callLater(0.02, waiter.callback, None)
            await waiter

    def told(self, names: list[str], state: str) -> bool:
        """True where all of them are in that state."""
        reached = {
            status.task_id.value
            for status in self.above.statuses
            if mesos_pb2.TaskState.Name(status.state) == state
        }
        return reached >= set(names)

    async def measured(self, what: str, count: int, work: Callable[[], Any]) -> None:
        """Do it, and say what it cost."""
        before, start = self.cost(), time.monotonic()
        await work()
        seconds, after = time.monotonic() - start, self.cost()
        print(
            f"  {what:<22} {1e6 * (after.processor_s - before.processor_s) / count:8.0f} us of"
            f" processor, {(after.memory_kib - before.memory_kib) / count:6.1f} KiB for each;"
            f" {seconds:6.2f} s for all",
            flush=True,
        )


def show_usage_cost(executor: int, tasks: int) -> None:
    """What one look at what the tasks use takes; the executor does the same."""
    leaders = [
        pid
        for launcher in children(executor)
        if is_python(launcher, "launcher.py")
        for pid in children(launcher)
    ]
    before_s = time.process_time()
    found = usage_of_sessions(leaders)
    taken_s = time.process_time() - before_s
    if len(found) != tasks:
        raise SystemExit(f"{len(found)} of {tasks} tasks were found")
    each_us = 1e6 * taken_s / tasks
    print(f"  {'a look at what they use':<22} {each_us:8.0f} us of processor for each")


async def measure(reactor: Any, folder: Path, tasks: int, devices: int) -> None:
    """Both kinds, one after the other."""
    program = folder / "sample.py"
    program.write_text(SAMPLE)
    bench = Bench(reactor, folder / "agent")
    await bench.agent.start()
    above: Any = bench.above  # in the place of the link to a master
    bench.agent.link = above
    sleeper = CommandPayload(
        value="exec sleep 1000", shell=True, control_mode=ControlMode.BASIC, stdout="all"
    )
    bench.run_task("first", sleeper)
    await bench.until(lambda: bench.told(["first"], "TASK_RUNNING"))
    empty = bench.cost()
    print(
        f"executor {empty.memory_kib / 1024:.0f} MiB, launcher {empty.launcher_kib / 1024:.0f} MiB,"
        f" {empty.processor_s:.2f} s of processor to start"
    )

    names = [f"basic{number}" for number in range(tasks)]

    async def launch() -> None:
        for name in names:
            bench.run_task(name, sleeper)
        await bench.until(lambda: bench.told(names, "TASK_RUNNING"))

    print(f"{tasks} processes (basic)")
    await bench.measured("launch", tasks, launch)
    await bench.measured(
        "START", tasks, lambda: bench.order(names, "START", "CONFIGURED", "RUNNING")
    )
    show_usage_cost(bench.pid, tasks)
    await bench.measured("STOP", tasks, lambda: bench.order(names, "STOP", "RUNNING", "CONFIGURED"))

    async def kill(names: list[str]) -> None:
        for name in names:
            bench.agent.kill_task(FRAMEWORK, name)
        await bench.until(lambda: bench.told(names, "TASK_FINISHED"))

    others = [f"device{number}" for number in range(devices)]

    async def launch_devices() -> None:
        for name in others:
            port = free_port()
            bench.run_task(
                name,
                CommandPayload(
                    value=f"exec {sys.executable} {program} --control-port {port}", shell=True,
                    control_mode=ControlMode.DIRECT, control_port=port,
                ),
            )  # fmt: skip
        await bench.until(lambda: bench.told(others, "TASK_RUNNING"))

    print(f"{devices} devices (direct)")
    await bench.measured("launch", devices, launch_devices)
    for words in (
        ("CONFIGURE", "STANDBY", "CONFIGURED"),
        ("START", "CONFIGURED", "RUNNING"),
        ("STOP", "RUNNING", "CONFIGURED"),
        ("RESET", "CONFIGURED", "STANDBY"),
    ):
        await bench.measured(words[0], devices, partial(bench.order, others, *words))
    await bench.measured("kill", devices, lambda: kill(others))
    executor = bench.agent.executors[FRAMEWORK, EXECUTOR]
    executor.container.signal(signal.SIGTERM)
    await bench.until(lambda: not executor.container.is_running)
    await bench.agent.kill()


def run(reactor: Any, tasks: str = str(TASKS), devices: str = str(DEVICES)) -> Deferred[None]:
    """Measure in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="aliecs-bench-"))
    done = Deferred.fromCoroutine(measure(reactor, folder, int(tasks), int(devices)))

    def clean(result: Any) -> Any:
        shutil.rmtree(folder, ignore_errors=True)
        return result

    return done.addBoth(clean)


if __name__ == "__main__":
    react(run, sys.argv[1:])
