"""The embedded backend: an executor for each configured host, on this machine.

The core plays the part of the Mesos agents (`agent`) towards its executors, which connect to one
Unix socket in the core's folder. Executors belong to nobody: `stop` leaves them as they are, and a
core that starts in a folder where its predecessor left some has them end first. One core at a time
uses a folder.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from attrs import define, field, frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from aliecs.backend.agent import Agent, ExecutorCommand
from aliecs.backend.connection import ConnectionOwner, ExecutorConnection
from aliecs.backend.detached import ProcessIdentity, ProcessWatch
from aliecs.backend.host import HostDefinition
from aliecs.backend.ports import PortClaims, PortSlice
from aliecs.errors import Conflict, SettingsError, Unavailable
from aliecs.interfaces import (
    HostInfo,
    ITaskBackend,
    ITaskObserver,
    MesosState,
    Offer,
    TaskLaunch,
    TaskUpdate,
    Traffic,
)
from aliecs.protocol.identifier import IdentifierGenerator
from aliecs.protocol.local import Hello, short_address
from aliecs.protocol.mesos_executor_pb2 import Call, Event

STREAM_BYTES = 10 * 1024 * 1024
"""Bound of the log of one output stream of a task."""
LOG_BYTES = 5 * 1024 * 1024 * 1024
"""Bound of the logs of all tasks of all hosts."""
CONNECT_DEADLINE_S = 15.0
END_DEADLINE_S = 15.0
PREDECESSOR_DEADLINE_S = 10.0
POLL_S = 0.05

# What the service manager tells a service is not for what the service starts.
_NOT_INHERITED = (
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "MAINPID",
    "MANAGERPID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
)

log = Logger()


@frozen
class LostTask:
    """A task that a predecessor of this core left, and that was ended with its executor."""

    task_id: str
    environment_id: str
    host: str


class _ExecutorRecord(msgspec.Struct, frozen=True):
    host: str
    executor_id: str
    pid: int
    start_time: int


class _State(msgspec.Struct, frozen=True):
    """What a core writes down for its successor."""

    framework_id: str = ""
    executors: tuple[_ExecutorRecord, ...] = ()


@define(eq=False)
class _Predecessors:
    """The executors of a core that is gone: whoever connects is told to end."""

    tasks: dict[str, LostTask] = field(factory=dict)
    hosts: dict[str, str] = field(factory=dict)
    """Executor id to host."""

    def called(self, connection: ExecutorConnection, call: Call) -> None:
        """See `ConnectionOwner`."""
        if call.type == Call.SUBSCRIBE:
            connection.send(Event(type=Event.SUBSCRIBED, subscribed=Event.Subscribed()))
            connection.send(Event(type=Event.SHUTDOWN))
        elif call.type == Call.UPDATE:
            status = call.update.status
            labels = {label.key: label.value for label in status.labels.labels}
            task_id = status.task_id.value
            host = self.hosts.get(call.executor_id.value, "")
            self.tasks[task_id] = LostTask(task_id, labels.get("environmentId", ""), host)
            connection.send(
                Event(
                    type=Event.ACKNOWLEDGED,
                    acknowledged=Event.Acknowledged(task_id=status.task_id, uuid=status.uuid),
                )
            )

    def disconnected(self, connection: ExecutorConnection, reason: str) -> None:
        """See `ConnectionOwner`."""


@implementer(ITaskBackend)
class LocalBackend:
    """Tasks on this machine.

    `hosts` are the embedded hosts; `directory` is the folder for everything here, made where it is
    missing. `recovery_timeout_s` is how long executors go on without a core, `shell` the shell of
    tasks, `shared_memory_cleaner` what an executor runs when it is asked to clean (empty: nothing).
    `executor_command` is how an executor is started, `port_claims` where ports come from.
    """

    def __init__(
        self,
        reactor: Any,
        hosts: Sequence[HostDefinition],
        directory: Path,
        *,
        recovery_timeout_s: float = 900.0,
        shell: str = "/bin/sh",
        shared_memory_cleaner: str = "",
        executor_command: Sequence[str] = (sys.executable, "-m", "aliecs.executor.main"),
        port_claims: PortClaims | None = None,
        identifiers: IdentifierGenerator | None = None,
        environment: Mapping[str, str] | None = None,
        stream_bytes: int = STREAM_BYTES,
        log_bytes: int = LOG_BYTES,
    ) -> None:
        names = [host.name for host in hosts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SettingsError(f"these embedded hosts are configured twice: {', '.join(twice)}")
        if odd := sorted(name for name in names if not _can_be_folder(name)):
            raise SettingsError(f"not names of hosts: {', '.join(map(repr, odd))}")
        self.framework_id = ""
        self.traffic = Traffic()
        self._reactor = reactor
        self._definitions = tuple(hosts)
        self._directory = directory.absolute()
        self._recovery_timeout_s = recovery_timeout_s
        self._shell = shell
        self._shared_memory_cleaner = shared_memory_cleaner
        self._executor_command = tuple(executor_command)
        self._port_claims = port_claims or PortClaims()
        self._identifiers = identifiers or IdentifierGenerator()
        inherited = os.environ if environment is None else environment
        self._environment = {k: v for k, v in inherited.items() if k not in _NOT_INHERITED}
        self._stream_bytes = stream_bytes
        self._log_bytes = log_bytes
        self._observer: ITaskObserver | None = None
        self._agents: dict[str, Agent] = {}
        """By agent id."""
        self._closed = False
        self._token = ""
        self._lock = -1
        self._slices: list[PortSlice] = []
        self._listener: Any = None
        self._address = ExitStack()
        """Keeps the address of the socket valid."""
        self._connections: set[ExecutorConnection] = set()
        self._predecessors = _Predecessors()

    @property
    def state(self) -> str:
        """See `ITaskBackend`: ERROR while any host is out of reach."""
        if self._closed:
            return "FINAL"
        if not self._agents:
            return "INITIAL"
        reachable = all(agent.is_connected for agent in self._agents.values())
        return "CONNECTED" if reachable else "ERROR"

    @property
    def lost(self) -> Sequence[LostTask]:
        """Tasks of a predecessor that ended when this core started, as far as their executors told
        of them."""
        return tuple(self._predecessors.tasks.values())

    # --- the whole -------------------------------------------------------------------------------

    async def start(self, observer: ITaskObserver) -> None:
        """See `ITaskBackend`. End what a predecessor left, then start one executor for each host,
        and wait a moment for them to connect."""
        self._observer = observer
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._claim_directory()
        try:
            self._token = self._read_token()
            state = self._read_state()
            self.framework_id = state.framework_id or self._identifiers.new()
            self._listen()
            await self._end_predecessors(state.executors)
            self._make_agents(observer)
        except BaseException:
            await self._close()
            raise
        self._write_state()
        for agent in self._agents.values():
            agent.start_executor()
        await gatherResults(
            [Deferred.fromCoroutine(agent.connected(CONNECT_DEADLINE_S))
             for agent in self._agents.values()]
        )  # fmt: skip

    async def stop(self) -> None:
        """See `ITaskBackend`."""
        for agent in self._agents.values():
            await agent.let_go()
        await self._close()

    async def teardown(self) -> None:
        """See `ITaskBackend`."""
        if self._lock < 0:
            # Nothing was begun, or everything is over: the folder may be another's.
            return
        await gatherResults(
            [Deferred.fromCoroutine(agent.end(END_DEADLINE_S)) for agent in self._agents.values()]
        )
        self._write_state()
        await self._close()

    async def _close(self) -> None:
        """Let go of sockets, ports and the folder."""
        self._closed = True
        if self._listener is not None:
            listener, self._listener = self._listener, None
            await listener.stopListening()
        self._address.close()
        for connection in list(self._connections):
            connection.close()
        for ports in self._slices:
            ports.release()
        self._slices.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _make_agents(self, observer: ITaskObserver) -> None:
        executors = ExecutorCommand(
            command=self._executor_command,
            environment=self._environment,
            directory=self._directory,
            socket=self._socket_path,
            token_file=self._directory / "executors.token",
            framework_id=self.framework_id,
            shell=self._shell,
            shared_memory_cleaner=self._shared_memory_cleaner,
            recovery_timeout_s=self._recovery_timeout_s,
            stream_bytes=self._stream_bytes,
            log_bytes=self._log_bytes // max(1, len(self._definitions)),
        )
        for definition in self._definitions:
            self._slices.append(self._port_claims.claim())
            agent_id = f"{self.framework_id}-{definition.name}"
            self._agents[agent_id] = Agent(
                self._reactor,
                definition,
                agent_id,
                self._slices[-1],
                executors,
                observer,
                self._identifiers.new,
                self._write_state,
            )

    # --- offers and orders -----------------------------------------------------------------------

    def hosts(self) -> Sequence[HostInfo]:
        """See `ITaskBackend`."""
        return [agent.info() for agent in self._agents.values()]

    async def gather_offers(self) -> Sequence[Offer]:
        """See `ITaskBackend`."""
        offers = (agent.offer() for agent in self._agents.values())
        return [offer for offer in offers if offer is not None]

    def accept(self, offer: Offer, tasks: Sequence[TaskLaunch]) -> None:
        """See `ITaskBackend`."""
        self._agent(offer.agent_id).accept(offer, tasks)

    def decline(self, offers: Sequence[Offer]) -> None:
        """See `ITaskBackend`."""
        for offer in offers:
            if offer.agent_id in self._agents:
                self._agents[offer.agent_id].ledger.take_back(offer)

    def kill(self, task_id: str, agent_id: str) -> None:
        """See `ITaskBackend`."""
        if agent_id in self._agents:
            self._agents[agent_id].kill(task_id)
        else:
            self._tell_unknown(task_id, agent_id)

    def send(self, agent_id: str, executor_id: str, message: bytes) -> None:
        """See `ITaskBackend`."""
        agent = self._agent(agent_id)
        if executor_id != agent.executor_id:
            raise Unavailable(f"executor {executor_id} of {agent.name} has ended")
        agent.message(message)

    async def reconcile(self, tasks: Mapping[str, str]) -> None:
        """See `ITaskBackend`."""
        for task_id, agent_id in tasks.items():
            if agent_id in self._agents:
                self._agents[agent_id].reconcile(task_id)
            else:
                self._tell_unknown(task_id, agent_id)

    def _tell_unknown(self, task_id: str, agent_id: str) -> None:
        """A host that is configured no longer has no tasks."""
        update = TaskUpdate(
            task_id=task_id,
            state=MesosState.TASK_GONE,
            agent_id=agent_id,
            message=f"no embedded host has the agent id {agent_id}",
            reason="REASON_AGENT_UNKNOWN",
            timestamp_s=time.time(),
        )
        assert self._observer is not None
        self._reactor.callLater(0, self._observer.task_status, update)

    def _agent(self, agent_id: str) -> Agent:
        agent = self._agents.get(agent_id)
        if agent is None:
            raise Unavailable(f"no embedded host has the agent id {agent_id!r}")
        return agent

    # --- the socket ------------------------------------------------------------------------------

    @property
    def _socket_path(self) -> Path:
        return self._directory / "executors.socket"

    def _listen(self) -> None:
        """Take connections of our own user only. The folder is ours alone, so whatever socket is
        there was left by somebody who is gone."""
        self._socket_path.unlink(missing_ok=True)
        factory = Factory.forProtocol(self._connection)
        factory.noisy = False
        address = self._address.enter_context(short_address(self._socket_path))
        mask = os.umask(0o177)
        try:
            self._listener = self._reactor.listenUNIX(address, factory, mode=0o600)
        finally:
            os.umask(mask)

    def _connection(self) -> ExecutorConnection:
        connection = ExecutorConnection(self._reactor, self._welcome, self._connections.discard)
        self._connections.add(connection)
        return connection

    def _welcome(self, connection: ExecutorConnection, hello: Hello) -> ConnectionOwner | None:
        if not hmac.compare_digest(hello.token.encode(), self._token.encode()):
            return None
        for agent in self._agents.values():
            if agent.executor_id == hello.executor_id:
                return agent
        self._predecessors.hosts[hello.executor_id] = hello.host
        return self._predecessors

    # --- what outlives a core --------------------------------------------------------------------

    def _claim_directory(self) -> None:
        path = self._directory / "executors.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise Conflict(
                f"another core uses {self._directory}: stop it, or give this one a working folder"
                " of its own"
            ) from None
        self._lock = lock

    def _read_token(self) -> str:
        """The secret of our executors, made once for the folder: they outlive a core."""
        path = self._directory / "executors.token"
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            token = secrets.token_hex(32)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(token)
            return token

    def _read_state(self) -> _State:
        path = self._directory / "executors.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=_State)
        except FileNotFoundError:
            return _State()
        except msgspec.MsgspecError as error:
            log.error("{path} cannot be read and is begun anew: {error}", path=path, error=error)
            return _State()

    def _write_state(self) -> None:
        """Note the executors that run now, in one step."""
        executors = tuple(
            _ExecutorRecord(
                agent.name, agent.executor_id, agent.identity.pid, agent.identity.start_time
            )
            for agent in self._agents.values()
            if agent.identity is not None
        )
        path = self._directory / "executors.json"
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(_State(self.framework_id, executors)))
        fresh.replace(path)

    async def _end_predecessors(self, records: Sequence[_ExecutorRecord]) -> None:
        """Wait until the executors of a predecessor have connected, were told to end, and are
        gone; whoever takes too long is made to."""
        watches: set[ProcessWatch] = set()
        for record in records:
            self._predecessors.hosts[record.executor_id] = record.host
            identity = ProcessIdentity(record.pid, record.start_time)
            if identity.is_alive:
                log.warn("executor {executor} of {host} is a predecessor's (process {pid}):"
                         " its tasks are killed and it ends", executor=record.executor_id,
                         host=record.host, pid=record.pid)  # fmt: skip
                _watch_into(watches, self._reactor, identity)
        for number in (signal.SIGTERM, signal.SIGKILL, 0):
            deadline = self._reactor.seconds() + PREDECESSOR_DEADLINE_S
            while watches and self._reactor.seconds() < deadline:
                await deferLater(self._reactor, POLL_S, lambda: None)
            for watch in watches:
                watch.signal(number)
        for watch in watches:
            log.error("process {pid}, an executor of a predecessor, does not die",
                      pid=watch.identity.pid)  # fmt: skip
            watch.close()


def _watch_into(watches: set[ProcessWatch], reactor: Any, identity: ProcessIdentity) -> None:
    """Keep a watch in `watches` for as long as its process lives."""

    def ended() -> None:
        watches.discard(watch)

    try:
        watch = ProcessWatch(reactor, identity, ended)
    except ProcessLookupError:
        return
    watches.add(watch)


def _can_be_folder(name: str) -> bool:
    return 0 < len(name) <= 200 and name.isprintable() and "/" not in name and name[0] != "."
