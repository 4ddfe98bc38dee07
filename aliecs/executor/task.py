"""One task as the executor sees it: what all kinds share, and what they are given to work with.

A task is told to `launch`, to make transitions, perhaps to trigger, and to `kill` itself; what
becomes of it, it reports through its `Surroundings`. The kinds are in `controllable` and `basic`.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure

from aliecs.executor.command import build_request, find_account
from aliecs.executor.output import Captures, LogFolder
from aliecs.executor.process import Process, Processes, ProcessRequest
from aliecs.executor.transitioner import Outcome
from aliecs.interfaces import MesosState
from aliecs.occ.client import OccClient
from aliecs.occ.codec import Codec
from aliecs.protocol import mesos_pb2
from aliecs.protocol.message import (
    LAST_OUTPUT,
    CommandPayload,
    ExecutorMessage,
    TransitionCommand,
)

log = Logger()


@frozen
class Times:
    """How long things may take, in seconds. The defaults are upstream's."""

    connect_s: float = 45.0
    """From the start of a process until its control port answers."""
    poll_s: float = 0.5
    """Between two looks at the state of a task that starts."""
    standby_s: float = 30.0
    """From its first answer until a task is in STANDBY."""
    get_state_s: float = 5.0
    events_s: float = 0.2
    """From its STANDBY until a task has taken the call for its events; the C++ library does not
    say so before the first of them."""
    running_s: float = 0.2
    """From the launch of a basic task or hook until it is said to run."""
    kill_transition_s: float = 5.0
    """For each transition on the way to DONE."""
    kill_done_s: float = 1.0
    """From DONE until the process has ended by itself."""
    kill_terminate_s: float = 2.0
    """From SIGTERM to SIGINT."""
    kill_interrupt_s: float = 3.0
    """From SIGINT to SIGKILL."""
    hook_grace_s: float = 10.0
    """How long a hook may still run or be triggered after it was told to end."""
    command_s: float = 90.0
    """For a command that names no time limit of its own."""
    late_s: float = 120.0
    """How long a task is looked at that did not answer in time."""
    late_poll_s: float = 1.0
    """Between two looks at it."""
    event_retry_s: float = 1.0
    """Until an event stream that broke is opened again."""


@frozen
class Surroundings:
    """What the tasks of one executor share."""

    clock: Any
    processes: Processes
    logs: LogFolder
    directory: Path
    """Working directory of all processes: the executor's sandbox."""
    shell: str
    environment: Mapping[str, str]
    """What processes inherit."""
    report: Callable[[Task, MesosState, str], None]
    """Send a status update; with a terminal state it is the task's last word."""
    send: Callable[[ExecutorMessage], None]
    """Send a message to the core."""
    connect: Callable[[int, Codec], OccClient] = OccClient
    times: Times = field(factory=Times)


class Task(ABC):
    """What all kinds of tasks share. Subclasses say what launching, moving and killing mean."""

    keep_bytes = 4096
    """How much of each output stream is kept in memory."""

    def __init__(
        self, info: mesos_pb2.TaskInfo, payload: CommandPayload, surroundings: Surroundings
    ) -> None:
        self.info = info
        self.payload = payload
        self.surroundings = surroundings
        self.process: Process | None = None
        self.last_word: ExecutorMessage | None = None
        """What followed the last command beside its answer, where anything did."""
        self.captures: Captures = surroundings.logs.captures(self.task_id, self.keep_bytes)
        labels = {label.key: label.value for label in info.labels.labels}
        self.environment_id = labels.get("environmentId", "")
        self.detector = labels.get("detector", "")

    @property
    def task_id(self) -> str:
        """The id that the core gave it."""
        return self.info.task_id.value

    @property
    def lingers_s(self) -> float:
        """How long the task can still be addressed after its last status update."""
        return 0.0

    @property
    def pid(self) -> int:
        """The process that was announced, 0 where none was."""
        return 0

    @abstractmethod
    def launch(self) -> None:
        """Begin. TASK_RUNNING or a terminal state is reported."""

    @abstractmethod
    async def transition(self, command: TransitionCommand) -> Outcome:
        """Take the task to another state. Never raises `AliecsError`."""

    async def trigger(self) -> str:
        """Start the process of a hook; the text of the error, empty where it started."""
        return f"task {self.task_id} is no hook and cannot be triggered"

    def repeat(self) -> None:
        """Say the last word again: the core may not have heard it."""
        if self.last_word is not None:
            self.surroundings.send(self.last_word)

    @abstractmethod
    def kill(self) -> None:
        """Begin to end. A terminal state is reported."""

    def forget(self) -> None:
        """From now on nobody can address the task: leave no process."""
        if self.process is not None:
            self.process.signal(signal.SIGKILL)

    async def start_process(self) -> tuple[Process, ProcessRequest]:
        """Start what the payload says, with fresh captures. Raises `AliecsError`."""
        shared = self.surroundings
        account = await deferToThread(find_account, self.payload.user)
        request = build_request(
            self.payload, self.task_id, shared.shell, shared.environment, shared.directory, account
        )
        self.captures = shared.logs.captures(self.task_id, self.keep_bytes)
        self.process = await shared.processes.launch(request, self.captures)
        return self.process, request

    def explain(self, text: str) -> str:
        """`text` with the last thing that the process said on standard error, or else on standard
        output."""
        line = self.captures.stderr.last_line() or self.captures.stdout.last_line()
        return f"{text}{LAST_OUTPUT}{line}" if line else text

    def report(self, state: MesosState, message: str = "") -> None:
        """Send a status update."""
        self.surroundings.report(self, state, message)

    def run(self, coroutine: Any, what: str) -> Deferred[None]:
        """Let a coroutine of this task run by itself. A fault in it ends the task, not the
        executor."""
        deferred: Deferred[None] = Deferred.fromCoroutine(coroutine)
        deferred.addErrback(self._failed, what)
        return deferred

    def _failed(self, failure: Failure, what: str) -> None:
        log.failure("{what} of task {task}", failure, what=what, task=self.task_id)
        self.forget()
        self.report(MesosState.TASK_FAILED, f"{what} failed: {failure.getErrorMessage()}")
