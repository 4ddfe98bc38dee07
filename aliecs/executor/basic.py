"""Plain commands: basic tasks, whose process runs from START to STOP, and hooks, whose process runs
when they are triggered.

For the core both run from their launch to their kill; the end of a process is a device event with
its exit code and output, not the end of the task.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from aliecs.errors import AliecsError
from aliecs.executor.process import Process, ProcessEnd
from aliecs.executor.task import Task
from aliecs.executor.transitioner import Outcome
from aliecs.interfaces import MesosState
from aliecs.protocol.message import (
    BasicTaskTerminated,
    DeviceEventType,
    TransitionCommand,
    origin,
    timestamp,
)

KILL_DEADLINE_S = 5.0
"""How long a process may take to vanish after SIGKILL before we stop waiting for it."""


class CommandTask(Task):
    """What basic tasks and hooks share: one process at a time, whose end is an event."""

    keep_bytes = 65536

    _time_limit: Any = None
    _running_timer: Any = None
    _starting: Deferred[Any] | None = None
    _stopped = False
    """The core had the process ended."""
    _note = ""
    """What to add to the output of the process about its end."""
    _killing = False

    def launch(self) -> None:
        times = self.surroundings.times
        self._running_timer = self.surroundings.clock.callLater(
            times.running_s, self.report, MesosState.TASK_RUNNING
        )

    @property
    def is_running(self) -> bool:
        """True while there is a process, or one is being started."""
        return self._starting is not None or (
            self.process is not None and not self.process.ended.happened
        )

    async def start_command(self) -> str:
        """Start the process; the text of the error, empty where it started."""
        if self.is_running:
            return f"the command of task {self.task_id} is still running"
        self._stopped = False
        self._note = ""
        self.last_word = None
        self._starting = Deferred.fromCoroutine(self.start_process())
        try:
            process, _ = await self._starting
        except CancelledError:
            return f"the command of task {self.task_id} was stopped before it ran"
        except AliecsError as error:
            return error.message
        finally:
            self._starting = None
        if self.payload.timeout_s > 0:
            self._time_limit = self.surroundings.clock.callLater(
                self.payload.timeout_s, self._time_is_up, process
            )
        process.ended.wait().addCallback(self._process_ended)
        return ""

    def _time_is_up(self, process: Process) -> None:
        self._note = f"[killed at its time limit of {self.payload.timeout_s:g} s]"
        process.signal(signal.SIGKILL)

    async def stop_command(self) -> str:
        """Kill the process and its group and wait for the end; the text of the error."""
        if self._starting is not None:
            self._starting.cancel()
        process = self.process
        if process is None or process.ended.happened:
            return ""
        self._stopped = True
        process.signal(signal.SIGKILL)
        if await process.ended.within(KILL_DEADLINE_S, self.surroundings.clock):
            return ""
        return f"process {process.pid} of task {self.task_id} does not die of SIGKILL"

    def kill(self) -> None:
        if self._killing:
            return
        self._killing = True
        if self._running_timer is not None and self._running_timer.active():
            self._running_timer.cancel()
        self.run(self._end(), "the kill")

    async def _end(self) -> None:
        error = await self.stop_command()
        self.report(MesosState.TASK_FINISHED, error)

    def _process_ended(self, end: ProcessEnd) -> None:
        if self._time_limit is not None and self._time_limit.active():
            self._time_limit.cancel()
        info = self.info
        stderr = self.captures.stderr.text()
        note = self._note
        if not note and not self._stopped and end.exit_code < 0:
            # There is no exit code to tell: say what ended it.
            note = f"[{end}]"
        self.last_word = BasicTaskTerminated(
            timestamp=timestamp(),
            labels={"environmentId": self.environment_id},
            type=int(DeviceEventType.BASIC_TASK_TERMINATED),
            origin=origin(info.agent_id.value, info.executor.executor_id.value, self.task_id),
            exit_code=end.exit_code,
            stdout=self.captures.stdout.text(),
            stderr=f"{stderr}\n{note}".lstrip() if note else stderr,
            voluntary_termination=not self._stopped,
            final_mesos_state=self._final_state(end).name,
        )
        self.surroundings.send(self.last_word)

    def _final_state(self, end: ProcessEnd) -> MesosState:
        if self._stopped:
            return MesosState.TASK_KILLED
        return MesosState.TASK_FINISHED if end.exit_code == 0 else MesosState.TASK_FAILED


class BasicTask(CommandTask):
    """A command that runs from START to STOP."""

    async def transition(self, command: TransitionCommand) -> Outcome:
        if command.event == "START":
            error = await self.start_command()
        elif command.event == "STOP":
            error = await self.stop_command()
        else:
            error = ""
        return Outcome(command.source if error else command.destination, error)


class HookTask(CommandTask):
    """A command that runs when it is triggered. Transitions mean nothing to it.

    Hooks of the end are triggered and then killed without anybody waiting for them: a kill leaves a
    running process some time, and one that does not run stays triggerable for as long.
    """

    @property
    def lingers_s(self) -> float:
        grace_s = self.surroundings.times.hook_grace_s
        return min(self.payload.timeout_s or grace_s, grace_s)

    async def transition(self, command: TransitionCommand) -> Outcome:
        return Outcome(command.destination)

    async def trigger(self) -> str:
        return await self.start_command()

    async def _end(self) -> None:
        if self.process is not None:
            await self.process.ended.within(self.lingers_s, self.surroundings.clock)
        await super()._end()
