"""The core in the part of a Mesos agent, for one embedded host.

It keeps an executor running on the host, passes launches, kills and messages on to it, and tells
the observer what comes back. An executor that is only out of reach is waited for; one that ended is
told as lost, its tasks as failed, and another one is started.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from aliecs.backend.connection import ExecutorConnection
from aliecs.backend.detached import (
    CLAIM_DESCRIPTOR,
    ProcessIdentity,
    ProcessWatch,
    start_detached,
)
from aliecs.backend.host import HostDefinition, Ledger, task_info
from aliecs.backend.leftover import end_processes_of
from aliecs.backend.ports import PortSlice
from aliecs.errors import AliecsError, OutOfReach, Unavailable
from aliecs.interfaces import HostInfo, ITaskObserver, MesosState, Offer, TaskLaunch, TaskUpdate
from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_executor_pb2 import Call, Event

FIRST_RESTART_S = 1.0
LAST_RESTART_S = 30.0
ABSENCE_S = 0.2
"""A connection that is lost for so long is told. It takes no longer to see that a process ended."""
STABLE_S = 60.0
"""An executor that lived for so long is restarted without hesitation."""

log = Logger()


@frozen
class ExecutorCommand:
    """How executors are started on this machine."""

    command: tuple[str, ...]
    """The program and its first arguments."""
    environment: Mapping[str, str] = field(repr=False)
    directory: Path
    """The core's folder of its executors: socket, token, and a folder for each host."""
    socket: Path
    token_file: Path
    framework_id: str
    shell: str
    shared_memory_cleaner: str
    recovery_timeout_s: float
    stream_bytes: int
    """Bound of the log of one output stream of a task."""
    log_bytes: int
    """Bound of the logs of all tasks of one host."""
    infologger: str = ""
    """Socket of InfoLogger's daemon; empty: none."""

    def host_directory(self, host: str) -> Path:
        """The sandbox of a host's executor."""
        return self.directory / "hosts" / host

    def arguments(self, host: str, executor_id: str) -> Sequence[str]:
        """The whole command line."""
        return [
            *self.command,
            f"--socket={self.socket}",
            f"--host={host}",
            f"--executor-id={executor_id}",
            f"--framework-id={self.framework_id}",
            f"--token-file={self.token_file}",
            f"--directory={self.host_directory(host)}",
            f"--shell={self.shell}",
            f"--shm-cleaner={self.shared_memory_cleaner}",
            f"--recovery-timeout-s={self.recovery_timeout_s:g}",
            f"--stream-bytes={self.stream_bytes}",
            f"--total-bytes={self.log_bytes}",
            f"--infologger={self.infologger}",
            f"--claim={CLAIM_DESCRIPTOR}",
            "--detach",
        ]

    def environment_of(self, host: HostDefinition) -> dict[str, str]:
        """What an executor and its tasks inherit."""
        path = [*host.path, self.environment.get("PATH", "/usr/bin:/bin")]
        return {**self.environment, **host.environment, "PATH": ":".join(path)}


@define(eq=False)
class Agent:
    """One embedded host and its executor.

    `new_id` makes executor ids, `changed` is called when another executor is there.
    """

    reactor: Any
    definition: HostDefinition
    agent_id: str
    ports: PortSlice
    executors: ExecutorCommand
    observer: ITaskObserver
    new_id: Callable[[], str]
    changed: Callable[[], None]
    executor_id: str = field(default="", init=False)
    ledger: Ledger = field(init=False)
    last_seen_s: float = field(default=0.0, init=False)
    _watch: ProcessWatch | None = field(default=None, init=False)
    _connection: ExecutorConnection | None = field(default=None, init=False)
    _starting: Deferred[None] | None = field(default=None, init=False)
    _started_s: float = field(default=0.0, init=False)
    _restart: Any = field(default=None, init=False)
    _restart_s: float = field(default=FIRST_RESTART_S, init=False)
    _kills: set[str] = field(factory=set, init=False)
    """Tasks whose kill was ordered: told again with each subscription, until they end."""
    _absence: Any = field(default=None, init=False)
    """Timer from the loss of the connection until it is told."""
    _is_missed: bool = field(default=False, init=False)
    """It was told that the executor is out of reach."""
    _ending: bool = field(default=False, init=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False)
    """Who waits for the executor to connect, or to end."""

    def __attrs_post_init__(self) -> None:
        self.ledger = Ledger(self.definition, self.agent_id)

    @property
    def name(self) -> str:
        """The name of the host."""
        return self.definition.name

    @property
    def is_connected(self) -> bool:
        """True while the executor can be reached."""
        return self._connection is not None

    @property
    def identity(self) -> ProcessIdentity | None:
        """The executor's process, None while there is none."""
        return self._watch.identity if self._watch is not None else None

    def info(self) -> HostInfo:
        """The host as people see it."""
        return HostInfo(
            name=self.name,
            address=self.definition.address,
            agent_id=self.agent_id,
            executor_id=self.executor_id,
            attributes=self.definition.attributes,
            connected=self.is_connected,
            cpus=self.definition.cpus,
            memory_mb=self.definition.memory_mb,
            cpus_used=self.ledger.cpus_used,
            memory_mb_used=self.ledger.memory_used_mb,
            tasks=len(self.ledger.tasks),
            last_seen_s=self.last_seen_s,
        )

    # --- the executor's life ---------------------------------------------------------------------

    def start_executor(self) -> None:
        """Start an executor; it will connect by itself."""
        self.executor_id = self.new_id()
        self._starting = Deferred.fromCoroutine(self._start_executor())

    async def _start_executor(self) -> None:
        directory = self.executors.host_directory(self.name)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            identity = await start_detached(
                self.reactor,
                self.executors.arguments(self.name, self.executor_id),
                self.executors.environment_of(self.definition),
                directory,
                self.ports.lock,
            )
            self._watch = ProcessWatch(self.reactor, identity, self._executor_ended)
        except (AliecsError, OSError, TimeoutError) as error:
            log.error("no executor on {host}: {error}", host=self.name, error=error)
            self._start_later()
            return
        except Exception:
            log.failure("starting the executor of {host}", host=self.name)
            self._start_later()
            return
        finally:
            self._starting = None
        self._started_s = self.reactor.seconds()
        log.info("executor {executor} of {host} is process {pid}",
                 executor=self.executor_id, host=self.name, pid=identity.pid)  # fmt: skip
        self.changed()

    def _start_later(self) -> None:
        if not self._ending:
            self._restart = self.reactor.callLater(self._restart_s, self.start_executor)
            self._restart_s = min(2 * self._restart_s, LAST_RESTART_S)

    def _executor_ended(self) -> None:
        pid = self._watch.identity.pid if self._watch is not None else 0
        self._watch = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        reason = f"the executor of {self.name} (process {pid}) ended, and its tasks with it"
        if self.reactor.seconds() - self._started_s > STABLE_S:
            self._restart_s = FIRST_RESTART_S
        self._kills.clear()
        self._cancel_absence()
        self._is_missed = False
        if not self._ending:
            log.error("{reason}; another one is started in {seconds:g} s",
                      reason=reason, seconds=self._restart_s)  # fmt: skip
            self.observer.executor_lost(self.agent_id, self.executor_id, self.name, reason)
        tasks = list(self.ledger.tasks)
        if tasks:
            Deferred.fromCoroutine(self._end_leftovers(frozenset(tasks)))
        for task_id in tasks:
            self._lose(task_id, MesosState.TASK_FAILED, reason, "REASON_EXECUTOR_TERMINATED")
        self._start_later()
        self._wake()

    async def _end_leftovers(self, task_ids: frozenset[str]) -> None:
        try:
            ended = await deferToThread(end_processes_of, task_ids)
        except Exception:
            log.failure("ending what the executor of {host} left", host=self.name)
            return
        if ended:
            log.warn("{count} processes that the executor of {host} left were ended",
                     count=ended, host=self.name)  # fmt: skip

    async def connected(self, deadline_s: float) -> bool:
        """Wait until the executor can be reached; False where that took too long."""
        return await self._until(lambda: self.is_connected, deadline_s)

    async def end(self, deadline_s: float) -> None:
        """Have the executor kill its tasks and end; kill it where it takes too long."""
        self._ending = True
        self._cancel_restart()
        self._cancel_absence()
        if self._starting is not None:
            await self._starting
        if self._watch is None:
            return
        try:
            self._send(Event(type=Event.SHUTDOWN))
        except Unavailable:
            self._watch.signal(signal.SIGTERM)
        if not await self._until(lambda: self._watch is None, deadline_s):
            log.error("the executor of {host} does not end and is killed", host=self.name)
            self._watch.signal(signal.SIGKILL)
            await self._until(lambda: self._watch is None, deadline_s)

    async def let_go(self) -> None:
        """Leave the executor and its tasks to themselves."""
        self._ending = True
        self._cancel_restart()
        self._cancel_absence()
        if self._starting is not None:
            await self._starting
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _cancel_restart(self) -> None:
        if self._restart is not None and self._restart.active():
            self._restart.cancel()

    async def _until(self, condition: Callable[[], bool], deadline_s: float) -> bool:
        deadline = self.reactor.seconds() + deadline_s
        while not condition():
            left_s = deadline - self.reactor.seconds()
            if left_s <= 0:
                return False
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            timer = self.reactor.callLater(left_s, self._wake)
            await waiter
            if timer.active():
                timer.cancel()
        return True

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)

    # --- the conversation ------------------------------------------------------------------------

    def called(self, connection: ExecutorConnection, call: Call) -> None:
        """See `ConnectionOwner`."""
        self.last_seen_s = time.time()
        if call.type == Call.SUBSCRIBE:
            self._subscribe(connection, call.subscribe)
        elif connection is not self._connection:
            log.warn("executor of {host} calls before it has subscribed", host=self.name)
        elif call.type == Call.UPDATE:
            self._update(call.update.status)
        elif call.type == Call.MESSAGE:
            self._observe(
                self.observer.executor_message, self.agent_id, self.executor_id, call.message.data
            )

    def disconnected(self, connection: ExecutorConnection, reason: str) -> None:
        """See `ConnectionOwner`."""
        if connection is self._connection:
            self._connection = None
            if not self._ending:
                text = f"the connection to the executor of {self.name} was lost: {reason}"
                self._absence = self.reactor.callLater(ABSENCE_S, self._miss, text)

    def _miss(self, reason: str) -> None:
        self._is_missed = True
        self._observe(self.observer.agent_unreachable, self.agent_id, self.name, reason)

    def _cancel_absence(self) -> None:
        if self._absence is not None and self._absence.active():
            self._absence.cancel()

    def _subscribe(self, connection: ExecutorConnection, subscribe: Call.Subscribe) -> None:
        self._cancel_absence()
        previous, self._connection = self._connection, connection
        if previous is not None:
            previous.close()
        connection.send(
            Event(
                type=Event.SUBSCRIBED,
                subscribed=Event.Subscribed(
                    executor_info=self._executor_info(),
                    framework_info=mesos_pb2.FrameworkInfo(
                        id=mesos_pb2.FrameworkID(value=self.executors.framework_id)
                    ),
                    agent_info=mesos_pb2.AgentInfo(
                        hostname=self.name, id=mesos_pb2.AgentID(value=self.agent_id)
                    ),
                ),
            )
        )
        if self._is_missed:
            self._is_missed = False
            self._observe(self.observer.agent_returned, self.agent_id, self.name)
        self._lose_what_never_arrived(subscribe)
        for update in subscribe.unacknowledged_updates:
            self._update(update.status)
        for task_id in self._kills & self.ledger.tasks.keys():
            self.kill(task_id)
        self._wake()

    def _lose_what_never_arrived(self, subscribe: Call.Subscribe) -> None:
        """A launch may have been on its way when the connection broke."""
        arrived = {task.task_id.value for task in subscribe.unacknowledged_tasks}
        for task_id, task in list(self.ledger.tasks.items()):
            if task.state is MesosState.TASK_STAGING and task_id not in arrived:
                self._lose(
                    task_id, MesosState.TASK_LOST,
                    f"the launch was lost with the connection to {self.name}",
                    "REASON_AGENT_RESTARTED",
                )  # fmt: skip

    def _update(self, status: mesos_pb2.TaskStatus) -> None:
        """Pass an update on, then acknowledge it: twice is harmless, never is not."""
        state = MesosState(status.state)
        task_id = status.task_id.value
        self._note(task_id, state)
        self._observe(
            self.observer.task_status,
            TaskUpdate(
                task_id=task_id,
                state=state,
                agent_id=self.agent_id,
                executor_id=self.executor_id,
                message=status.message,
                uuid=status.uuid,
                timestamp_s=status.timestamp,
            ),
        )
        acknowledged = Event.Acknowledged(task_id=status.task_id, uuid=status.uuid)
        with contextlib.suppress(Unavailable):
            self._send(Event(type=Event.ACKNOWLEDGED, acknowledged=acknowledged))

    # --- orders ----------------------------------------------------------------------------------

    def offer(self) -> Offer | None:
        """All that is free; None where the host is away or has an offer out."""
        if not self.is_connected or self.ledger.offer is not None or self._ending:
            return None
        free_ports = self.ports.free(self.ledger.ports_used)
        return self.ledger.make_offer(free_ports, self.executor_id)

    def accept(self, offer: Offer, launches: Sequence[TaskLaunch]) -> None:
        """Start tasks out of an offer of ours; what cannot be started is told as an update."""
        if not self.ledger.take_back(offer):
            for launch in launches:
                self._tell_later(
                    launch.task_id, MesosState.TASK_DROPPED, "the offer is no longer valid",
                    "REASON_INVALID_OFFERS",
                )  # fmt: skip
            return
        for launch in launches:
            trouble = self.ledger.book(offer, launch)
            if trouble:
                self._tell_later(
                    launch.task_id, MesosState.TASK_ERROR, trouble, "REASON_TASK_INVALID"
                )
            else:
                self._launch(launch)

    def _launch(self, launch: TaskLaunch) -> None:
        info = task_info(launch, self.agent_id, self._executor_info())
        try:
            self._send(Event(type=Event.LAUNCH, launch=Event.Launch(task=info)))
        except Unavailable as error:
            self._note(launch.task_id, MesosState.TASK_LOST)
            self._tell_later(
                launch.task_id, MesosState.TASK_LOST, error.message, "REASON_AGENT_DISCONNECTED"
            )

    def kill(self, task_id: str) -> None:
        """Have a task killed, when the executor can be reached at the latest."""
        if task_id not in self.ledger.tasks:
            self._tell_later(
                task_id, MesosState.TASK_GONE, f"Task is unknown to {self.name}",
                "REASON_RECONCILIATION",
            )  # fmt: skip
            return
        self._kills.add(task_id)
        kill = Event.Kill(task_id=mesos_pb2.TaskID(value=task_id))
        with contextlib.suppress(Unavailable):
            self._send(Event(type=Event.KILL, kill=kill))

    def message(self, data: bytes) -> None:
        """Send a control message. Raises `OutOfReach`."""
        self._send(Event(type=Event.MESSAGE, message=Event.Message(data=data)))

    def reconcile(self, task_id: str) -> None:
        """Tell what a task's state is, as far as is known."""
        task = self.ledger.tasks.get(task_id)
        state = task.state if task is not None else MesosState.TASK_GONE
        message = "" if task is not None else f"Task is unknown to {self.name}"
        self._tell_later(task_id, state, message, "REASON_RECONCILIATION")

    def _send(self, event: Event) -> None:
        if self._connection is None:
            raise OutOfReach(f"the executor of {self.name} cannot be reached")
        self._connection.send(event)

    def _executor_info(self) -> mesos_pb2.ExecutorInfo:
        return mesos_pb2.ExecutorInfo(
            executor_id=mesos_pb2.ExecutorID(value=self.executor_id),
            framework_id=mesos_pb2.FrameworkID(value=self.executors.framework_id),
            name="AliECS executor",
            type=mesos_pb2.ExecutorInfo.CUSTOM,
        )

    # --- telling ---------------------------------------------------------------------------------

    def _note(self, task_id: str, state: MesosState) -> None:
        self.ledger.note(task_id, state)
        if state.is_terminal:
            self._kills.discard(task_id)

    def _lose(self, task_id: str, state: MesosState, message: str, reason: str) -> None:
        """A task of ours has ended without a word of the executor."""
        self._note(task_id, state)
        self._tell(task_id, state, message, reason)

    def _tell_later(self, task_id: str, state: MesosState, message: str, reason: str) -> None:
        """An update of our own, never inside the order that caused it."""
        self.reactor.callLater(0, self._tell, task_id, state, message, reason)

    def _tell(self, task_id: str, state: MesosState, message: str, reason: str) -> None:
        self._observe(
            self.observer.task_status,
            TaskUpdate(
                task_id=task_id,
                state=state,
                agent_id=self.agent_id,
                executor_id=self.executor_id,
                message=message,
                reason=reason,
                timestamp_s=time.time(),
            ),
        )

    def _observe(self, tell: Callable[..., None], *what: Any) -> None:
        """A fault of the observer must not cost the connection."""
        try:
            tell(*what)
        except Exception:
            log.failure("what was reported by {host} was not taken", host=self.name)
