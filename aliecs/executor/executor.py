"""The executor: it hears its agent, owns the tasks of one host, and answers the core's commands.

Nothing that a core or a task sends can end it: what cannot be done is answered, with the reason, as
a status update or as the error of a response. Tasks are made here and live in `controllable` and
`basic`; the conversation with the agent is in `agent`.
"""

from __future__ import annotations

import shlex
import signal
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from aliecs.errors import AliecsError, DeadlineExceeded, InvalidInput, NotFound
from aliecs.executor.agent import AgentSession, Transport
from aliecs.executor.basic import BasicTask, HookTask
from aliecs.executor.controllable import ControllableTask
from aliecs.executor.memory import CommandMemory
from aliecs.executor.output import LogFolder, is_folder_name
from aliecs.executor.process import Processes, ProcessRequest
from aliecs.executor.task import Surroundings, Task, Times
from aliecs.executor.usage import UsageReporter
from aliecs.executor.waiting import Happening
from aliecs.interfaces import MesosState
from aliecs.protocol import combined, mesos_pb2
from aliecs.protocol.mesos_executor_pb2 import Event
from aliecs.protocol.message import (
    AnyCommand,
    AskAgainCommand,
    CleanSharedMemoryCommand,
    CommandHeader,
    CommandResponse,
    ControlMode,
    ExecutorAnnouncement,
    ExecutorMessage,
    MessageError,
    ReportUsageCommand,
    TaskLogCommand,
    TransitionCommand,
    TriggerHookCommand,
    decode_command,
    decode_command_header,
    decode_payload,
)

_KINDS: Mapping[ControlMode, type[Task]] = {
    ControlMode.DIRECT: ControllableTask,
    ControlMode.FAIRMQ: ControllableTask,
    ControlMode.BASIC: BasicTask,
    ControlMode.HOOK: HookTask,
}
_OWN_COMMANDS = (
    "AliecsCommand_TaskLog",
    "AliecsCommand_ShmClean",
    "AliecsCommand_ReportUsage",
    "AliecsCommand_Again",
    combined.COMMANDS,
)
PRUNE_INTERVAL_S = 60.0
SHUTDOWN_GRACE_S = 3.0
"""How long tasks have to end in order when the agent orders everything to end."""
ABANDONED_GRACE_S = 30.0
"""The same, when there is no agent any more."""
CLEANER_OUTPUT_BYTES = 16384
CLEANER_MARK = "shared-memory-cleaner"

log = Logger()


@frozen
class ExecutorSettings:
    """How an executor was started. `host` is how people know this host, until the agent says it."""

    host: str
    executor_id: str
    framework_id: str
    directory: Path
    """Sandbox: working directory of the processes, and home of the logs."""
    shell: str = "/bin/sh"
    shared_memory_cleaner: str = ""
    """Command with arguments, run without a shell; empty for none."""
    recovery_timeout_s: float = 900.0
    stream_bytes: int = 10 * 1024 * 1024
    total_bytes: int = 5 * 1024 * 1024 * 1024
    environment: Mapping[str, str] = field(factory=dict, repr=False)
    """What processes inherit."""
    open_files: int = 0
    """The soft limit of processes on open descriptors, 0 for our own."""
    times: Times = field(factory=Times)


class Executor:
    """All tasks of one host."""

    def __init__(
        self,
        reactor: Any,
        settings: ExecutorSettings,
        transport: Transport,
        adopts_orphans: bool = False,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._host = settings.host
        self._processes = Processes(
            reactor, adopts_orphans=adopts_orphans, open_files=settings.open_files
        )
        self._logs = LogFolder(
            settings.directory / "tasks", settings.stream_bytes, settings.total_bytes
        )
        self._session = AgentSession(
            reactor,
            transport,
            settings.executor_id,
            settings.framework_id,
            settings.recovery_timeout_s,
            self,
        )
        self._surroundings = Surroundings(
            clock=reactor,
            processes=self._processes,
            logs=self._logs,
            directory=settings.directory,
            shell=settings.shell,
            environment=settings.environment,
            report=self._report,
            send=self._send,
            times=settings.times,
        )
        self._usage = UsageReporter(
            reactor, self._leaders, self._send, lambda: self._session.is_heard
        )
        self._tasks: dict[str, Task] = {}
        """All that can be addressed."""
        self._ended: set[str] = set()
        """Those of them that have had their last status update."""
        self._memory = CommandMemory()
        self._end: Happening[tuple[str, float]] = Happening()
        self._nothing_left: Happening[None] | None = None
        self._pruning = False
        self._prune_timer: Any = None
        self._lingering: dict[Task, Any] = {}
        """Ended tasks that can still be addressed, and the timers of their end."""

    async def run(self) -> str:
        """Live until the agent orders the end, until there was none for too long, or until `end`;
        then leave nothing behind. The reason of the end."""
        self._settings.directory.mkdir(parents=True, exist_ok=True)
        self._settings.directory.chmod(0o755)
        self._processes.start()
        self._session.start()
        self._prune_regularly()
        reason, grace_s = await self._end.wait()
        log.info("ending: {reason}", reason=reason)
        await self._end_tasks(grace_s)
        await self._usage.stop()
        await self._processes.stop()
        await self._session.stop()
        self._prune_timer.cancel()
        for timer in self._lingering.values():
            timer.cancel()
        return reason

    def end(self, reason: str, grace_s: float = SHUTDOWN_GRACE_S) -> None:
        """Begin to end; tasks have `grace_s` seconds to end in order."""
        self._end.happen((reason, grace_s))

    async def _end_tasks(self, grace_s: float) -> None:
        self._nothing_left = Happening()
        for task in list(self._tasks.values()):
            if task.task_id not in self._ended:
                task.kill()
        self._notice_nothing_left()
        await self._nothing_left.within(grace_s, self._reactor)

    def _notice_nothing_left(self) -> None:
        if self._nothing_left is not None and self._tasks.keys() <= self._ended:
            self._nothing_left.happen(None)

    # --- what the agent says ---------------------------------------------------------------------

    def subscribed(self, event: Event.Subscribed) -> None:
        """See `AgentEvents`."""
        self._host = event.agent_info.hostname or self._host
        log.info(
            "subscribed as {executor} on {host}",
            executor=self._settings.executor_id,
            host=self._host,
        )
        self.asked_who()

    def asked_who(self) -> None:
        """See `AgentEvents`."""
        self._send(
            ExecutorAnnouncement(version=ExecutorAnnouncement.VERSION, commands=_OWN_COMMANDS)
        )

    def launch(self, info: mesos_pb2.TaskInfo) -> None:
        """See `AgentEvents`."""
        task_id = info.task_id.value
        if task_id in self._tasks:
            log.warn("task {task} is launched already", task=task_id)
            return
        try:
            task = self._make_task(info)
        except AliecsError as error:
            log.error("cannot launch task {task}: {error}", task=task_id, error=error.message)
            self._update(info, MesosState.TASK_FAILED, f"cannot launch: {error.message}")
            return
        self._tasks[task_id] = task
        log.info("launching task {task} ({name})", task=task_id, name=info.name)
        task.launch()

    def _make_task(self, info: mesos_pb2.TaskInfo) -> Task:
        if not is_folder_name(info.task_id.value):
            raise InvalidInput(f"not a task id: {info.task_id.value[:64]!r}")
        payload = decode_payload(info.data)
        kind = _KINDS.get(payload.control_mode)
        if kind is None:
            raise InvalidInput(f"this executor has no control mode {payload.control_mode.value}")
        if payload.control_mode.is_controllable and not payload.control_port:
            raise InvalidInput(f"mode {payload.control_mode.value} needs a control port")
        return kind(info, payload, self._surroundings)

    def kill(self, task_id: str) -> None:
        """See `AgentEvents`."""
        task = self._tasks.get(task_id)
        if task is None or task_id in self._ended:
            log.warn("asked to kill task {task}, which is not here", task=task_id)
            return
        log.info("killing task {task}", task=task_id)
        task.kill()

    def message(self, data: bytes) -> None:
        """See `AgentEvents`."""
        answering = Deferred.fromCoroutine(self._answer(data))
        answering.addErrback(lambda failure: log.failure("answering a command", failure))

    def shutdown(self) -> None:
        """See `AgentEvents`."""
        self.end("the agent ordered it")

    def abandoned(self, seconds: float) -> None:
        """See `AgentEvents`."""
        self.end(f"nobody was there for {seconds:g} s", ABANDONED_GRACE_S)

    # --- commands --------------------------------------------------------------------------------

    async def _answer(self, data: bytes) -> None:
        try:
            command = decode_command(data)
        except MessageError as error:
            log.error("{error}", error=error.message)
            header = decode_command_header(data)
            if header is not None and header.is_answerable:
                # A core of the reference takes an empty state for one that it does not know.
                self._respond(header, error=error.message, state=header.source)
            return
        if isinstance(command, AskAgainCommand):
            self._repeat(command)
            return
        if isinstance(command, TransitionCommand | TriggerHookCommand):
            key = (command.id, command.task_id)
            if not self._memory.begin(key):
                log.warn("{name} {id} for task {task} has come twice, and is done once",
                         name=command.name, id=command.id, task=command.task_id)  # fmt: skip
                return
        try:
            await self._obey(command)
        except AliecsError as error:
            self._respond(command, error=error.message)
        except Exception as error:
            log.failure("command {name} {id}", name=command.name, id=command.id)
            self._respond(command, error=f"fault of the executor: {error!r}")

    def _repeat(self, command: AskAgainCommand) -> None:
        """Say what became of a command, of which the core has heard nothing."""
        key = (command.id, command.task_id)
        answer = self._memory.answer(key)
        if answer is None:
            known = self._memory.is_under_way(key)
            self._respond(
                command, output=AskAgainCommand.UNDER_WAY if known else AskAgainCommand.UNKNOWN
            )
            return
        self._send(answer)
        task = self._tasks.get(command.task_id)
        if task is not None:
            task.repeat()

    async def _obey(self, command: AnyCommand) -> None:
        if isinstance(command, TransitionCommand):
            task = self._task(command)
            outcome = await task.transition(command)
            # The reference's messages have no such field.
            pid = task.pid if self._session.core_is_ours else 0
            self._respond(command, error=outcome.error, state=outcome.state, pid=pid)
        elif isinstance(command, TriggerHookCommand):
            self._respond(command, error=await self._task(command).trigger())
        elif isinstance(command, TaskLogCommand):
            self._respond(command, output=await self._tail(command))
        elif isinstance(command, ReportUsageCommand):
            self._usage.report_every(command.interval_s)
            self._respond(command)
        elif isinstance(command, CleanSharedMemoryCommand):
            await self._clean_shared_memory(command)

    async def _tail(self, command: TaskLogCommand) -> str:
        """The last part of a task's output; a task that has not started to write has none yet."""
        try:
            return await deferToThread(
                self._logs.tail, command.task_id, command.stream, command.tail_bytes
            )
        except NotFound:
            if command.task_id not in self._tasks:
                raise
            return ""

    def _leaders(self) -> dict[str, int]:
        """The process of each task that has one: the leader of its session."""
        return {
            task.task_id: task.process.pid
            for task in self._tasks.values()
            if task.process is not None and not task.process.ended.happened
        }

    def _task(self, command: AnyCommand) -> Task:
        task = self._tasks.get(command.task_id)
        if task is None:
            raise InvalidInput(f"task {command.task_id} is not active on {self._host}")
        return task

    async def _clean_shared_memory(self, command: CleanSharedMemoryCommand) -> None:
        words = shlex.split(self._settings.shared_memory_cleaner)
        if not words:
            raise InvalidInput(
                f"no shared memory cleaner is set for {self._host}: see `shm_cleaner`"
            )
        request = ProcessRequest(
            arguments=tuple(words),
            environment={
                **self._settings.environment,
                "O2_PARTITION": command.environment_id,
                "O2_ROLE": self._host,
            },
            directory=self._settings.directory,
            mark=CLEANER_MARK,
        )
        captures = self._logs.captures(CLEANER_MARK, CLEANER_OUTPUT_BYTES)
        process = await self._processes.launch(request, captures)
        if not await process.ended.within(command.timeout_s, self._reactor):
            process.signal(signal.SIGKILL)
            raise DeadlineExceeded(
                f"the shared memory cleaner was killed after {command.timeout_s:g} s"
            )
        end = process.ended.value
        self._respond(
            command,
            # An exit code speaks for itself, beside what the cleaner wrote.
            error="" if end.exit_code >= 0 else f"the shared memory cleaner: {end}",
            exit_code=end.exit_code,
            output=captures.stdout.text() + captures.stderr.text(),
        )

    def _respond(self, command: AnyCommand | CommandHeader, **content: Any) -> None:
        answer = CommandResponse(
            name=command.name,
            id=command.id,
            environment_id=command.environment_id,
            task_id=command.task_id,
            **content,
        )
        if isinstance(command, TransitionCommand | TriggerHookCommand):
            self._memory.keep((command.id, command.task_id), answer)
        self._send(answer)

    def _send(self, message: ExecutorMessage) -> None:
        self._session.message(message.encode())

    # --- what becomes of tasks -------------------------------------------------------------------

    def _report(self, task: Task, state: MesosState, message: str) -> None:
        if task.task_id in self._ended or self._tasks.get(task.task_id) is not task:
            return
        log.info("task {task} is {state}: {message}",
                 task=task.task_id, state=state.name, message=message)  # fmt: skip
        self._update(task.info, state, message)
        if state.is_terminal:
            self._ended.add(task.task_id)
            if task.lingers_s > 0:
                self._lingering[task] = self._reactor.callLater(task.lingers_s, self._forget, task)
            else:
                self._forget(task)
            self._notice_nothing_left()
            self._prune()

    def _forget(self, task: Task) -> None:
        self._lingering.pop(task, None)
        del self._tasks[task.task_id]
        self._ended.discard(task.task_id)
        task.forget()

    def _update(self, info: mesos_pb2.TaskInfo, state: MesosState, message: str) -> None:
        labels = [label for label in info.labels.labels if label.key == "environmentId"]
        self._session.update(
            mesos_pb2.TaskStatus(
                task_id=info.task_id,
                state=state.name,
                message=message,
                source=mesos_pb2.TaskStatus.SOURCE_EXECUTOR,
                executor_id=mesos_pb2.ExecutorID(value=self._settings.executor_id),
                timestamp=time.time(),
                uuid=uuid.uuid4().bytes,
                labels=mesos_pb2.Labels(labels=labels),
            )
        )

    # --- logs ------------------------------------------------------------------------------------

    def _prune_regularly(self) -> None:
        self._prune()
        self._prune_timer = self._reactor.callLater(PRUNE_INTERVAL_S, self._prune_regularly)

    def _prune(self) -> None:
        """Keep the log folder within its bound; one look at a time."""
        if self._pruning:
            return
        self._pruning = True
        pruning = deferToThread(self._logs.prune, frozenset(self._tasks))
        pruning.addErrback(lambda failure: log.failure("pruning the logs", failure))
        pruning.addBoth(self._pruned)

    def _pruned(self, result: object) -> None:
        self._pruning = False
