"""An agent: it starts executors as real processes, and stands between them and the master."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field

from aliecs.protocol.mesos_executor_pb2 import Call, Event
from aliecs.protocol.mesos_pb2 import AgentInfo, FrameworkInfo, TaskInfo, TaskStatus
from test.standin.mesos.container import Container
from test.standin.mesos.document import BodyError, decode
from test.standin.mesos.executor import Executor
from test.standin.mesos.fault import Faults
from test.standin.mesos.link import Link, Report
from test.standin.mesos.master import Master, encoding_of, require_post
from test.standin.mesos.pace import Pace, cancel
from test.standin.mesos.resources import Resources, parse_attributes
from test.standin.mesos.server import (
    Answer,
    EventStream,
    Listener,
    Refusal,
    Request,
    carry_out_faultily,
    stream_encoding,
)
from test.standin.mesos.validation import executor_call_fault

Key = tuple[str, str]
"""Framework and executor id."""


def duration(seconds: float) -> str:
    """As Mesos writes it: `5secs`, `15mins`."""
    for unit, length in (("weeks", 604800), ("days", 86400), ("hrs", 3600), ("mins", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}secs" if seconds >= 1 else f"{1000 * seconds:g}ms"


@define(eq=False)
class Agent:
    """One agent; `find_master` gives the master that it is to register with, if there is one."""

    pace: Pace
    hostname: str
    work_dir: Path
    find_master: Callable[[], Master | None]
    resources: str = "cpus:4;mem:4096;disk:10000;ports:[30000-30100]"
    attributes: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    faults: Faults = field(factory=Faults)
    identifier: str = field(default="", init=False)
    link: Link | None = field(default=None, init=False)
    inbox: list[tuple[str, tuple[Any, ...]]] = field(factory=list, init=False)
    """What comes while it is suspended."""
    is_running: bool = field(default=False, init=False)
    is_suspended: bool = field(default=False, init=False)
    is_cut_off: bool = field(default=False, init=False)
    executors: dict[Key, Executor] = field(factory=dict, init=False)
    ended: list[Executor] = field(factory=list, init=False)
    """Executors that have gone, with updates that nobody has acknowledged."""
    listener: Listener = field(init=False)
    _has_recovered: bool = field(default=False, init=False)
    _timers: list[Any] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.listener = Listener(self.pace, self.host, self.port, self)

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start it, with what it had before where that was checkpointed."""
        await self.listener.start()
        self.is_running = True
        times = self.pace.times
        survivors = [one for one in self.executors.values() if one.status is None]
        self._has_recovered = not self.executors
        for executor in survivors:
            executor.has_returned = False
            if executor.has_subscribed:
                continue
            self._expect(executor, times.executor_registration_s)
        if not self._has_recovered:
            self._later(min(times.recovery_s, 0.1), self._recover)
        waits = times.executor_reregistration_s if self.executors else 0.0
        self._later(waits, self._finish_recovery)

    def _recover(self) -> None:
        self._has_recovered = True

    def _finish_recovery(self) -> None:
        """Who has not come back by now does not; then the master is told."""
        self._has_recovered = True
        for executor in list(self.executors.values()):
            if executor.status is not None:
                self._bury(executor, tell=False)
            elif executor.has_subscribed and not executor.has_returned:
                executor.end_reason = (
                    TaskStatus.REASON_EXECUTOR_REREGISTRATION_TIMEOUT,
                    "Executor did not reregister within"
                    f" {duration(self.pace.times.executor_reregistration_s)}",
                )
                executor.container.kill()
        self._later(self.pace.times.registration_s, self.register)

    def _later(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        self._timers = [timer for timer in self._timers if timer.active()]
        self._timers.append(self.pace.later(seconds, call, *arguments))

    async def kill(self) -> None:
        """End it as SIGKILL does. Executors go on; what is checkpointed is known afterwards."""
        self.is_running = False
        for timer in self._timers:
            cancel(timer)
        if self.link is not None:
            self.link.close()
            self.link = None
        self.inbox.clear()
        self.is_suspended = False
        for executor in [*self.executors.values(), *self.ended]:
            executor.pause()
            if executor.stream is not None:
                executor.stream.drop()
                executor.stream = None
        await self.listener.stop()

    async def end(self) -> None:
        """End it in order and for good, as SIGUSR1 does."""
        self.tell("unregisters")
        for executor in self.executors.values():
            executor.is_ending = True
            executor.shut_down()
        self.identifier = ""

    def forget_unkept(self) -> list[Executor]:
        """What is not checkpointed does not survive the agent; gives those executors."""
        lost = [one for one in self.executors.values() if not one.is_checkpointed]
        for executor in lost:
            del self.executors[executor.key]
        self.ended = [one for one in self.ended if one.is_checkpointed]
        return lost

    def suspend(self) -> None:
        """Stop it as SIGSTOP does."""
        self.is_suspended = True
        self.listener.suspend()

    def resume(self) -> None:
        """Go on after `suspend`."""
        self.is_suspended = False
        self.listener.resume()
        inbox, self.inbox = self.inbox, []
        for method, arguments in inbox:
            getattr(self, method)(*arguments)

    # --- the master ------------------------------------------------------------------------------

    def tell(self, method: str, *arguments: Any) -> None:
        """Tell the master something; lost where there is none."""
        if self.link is not None:
            self.link.to_master(method, *arguments)

    def info(self) -> AgentInfo:
        """As it introduces itself."""
        info = AgentInfo(
            hostname=self.hostname,
            resources=Resources.parse(self.resources).messages(reserved=False),
            attributes=parse_attributes(self.attributes),
            port=self.listener.port,
        )
        if self.identifier:
            info.id.value = self.identifier
        return info

    def register(self) -> None:
        """Find a master and register with it; if there is none, try again."""
        master = self.find_master()
        able = self.is_running and not self.is_suspended and not self.is_cut_off
        if able and master is not None and master.is_running and master.is_leading:
            self.link = Link(master, self)
            # The tasks of an executor that has ended live on in their updates.
            everybody = [*self.executors.values(), *self.ended]
            self.link.to_master("registers", Report(
                self.info(), self.resources, f"slave(1)@{self.listener.address}",
                {one.key[0]: one.framework for one in everybody},
                {key: one.info for key, one in self.executors.items()},
                [task for one in everybody for task in one.tasks.values()],
            ))  # fmt: skip
        elif self.is_running:
            self._later(self.pace.times.registration_s, self.register)

    def register_again(self) -> None:
        """The master says that it thought the agent away."""
        self.register()

    def registered(self, identifier: str) -> None:
        """The master knows the agent: it is told what it may have missed, and told it twice."""
        self.identifier = identifier
        self._flush()
        self._flush()
        self._watch_master()

    def _flush(self) -> None:
        for executor in [*self.executors.values(), *self.ended]:
            executor.flush()

    def _watch_master(self) -> None:
        link, times = self.link, self.pace.times
        patience_s = times.ping_s * times.pings
        if times.master_lost_s is not None:
            patience_s = times.master_lost_s

        def look() -> None:
            if self.link is not link or link is None:
                return
            if link.is_open and link.master.is_running and not self.is_cut_off:
                self._later(0.02 * self.pace.speed, look)
            else:
                self._later(patience_s, self._lose_master, link)

        look()

    def _lose_master(self, link: Link) -> None:
        if self.link is link:
            self.register()

    def refused(self, text: str) -> None:
        """The master does not want the agent any more: it ends, and its executors with it."""
        for executor in self.executors.values():
            executor.is_ending = True
            executor.container.kill()
        self.link = None

    # --- what the master wants -------------------------------------------------------------------

    def run_task(self, framework_id: str, framework: FrameworkInfo, task: TaskInfo) -> None:
        """Run a task, and its executor where it does not run yet."""
        key = (framework_id, task.executor.executor_id.value or task.task_id.value)
        executor = self.executors.get(key)
        if executor is None:
            executor = Executor(task.executor, framework, self.pace, self)
            self.executors[key] = executor
            executor.run(task)
            self._launch(executor)
        else:
            executor.run(task)

    def _launch(self, executor: Executor) -> None:
        sandbox = executor.sandbox(self.work_dir, self.identifier)

        def ended(status: int) -> None:
            self._executor_ended(executor, status)

        executor.container = Container(self.pace.reactor, sandbox, ended)
        self._expect(executor, self.pace.times.executor_registration_s)
        executor.container.start(executor.info.command, self._environment(executor, sandbox))

    def _environment(self, executor: Executor, sandbox: Path) -> dict[str, str]:
        times = self.pace.times
        environment = {
            "LIBPROCESS_IP": self.host,
            "LIBPROCESS_PORT": "0",
            "MESOS_AGENT_ENDPOINT": self.listener.address,
            "MESOS_CHECKPOINT": "1" if executor.is_checkpointed else "0",
            "MESOS_DIRECTORY": str(sandbox),
            "MESOS_EXECUTOR_ID": executor.key[1],
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": duration(times.shutdown_grace_s),
            "MESOS_FRAMEWORK_ID": executor.key[0],
            "MESOS_HTTP_COMMAND_EXECUTOR": "0",
            "MESOS_SANDBOX": str(sandbox),
            "MESOS_SLAVE_ID": self.identifier,
            "MESOS_SLAVE_PID": f"slave(1)@{self.listener.address}",
        }
        if executor.is_checkpointed:
            environment["MESOS_RECOVERY_TIMEOUT"] = duration(times.recovery_timeout_s)
            environment["MESOS_SUBSCRIPTION_BACKOFF_MAX"] = duration(times.subscription_backoff_s)
        return environment

    def _expect(self, executor: Executor, seconds: float) -> None:
        """It has to subscribe by then."""

        def give_up() -> None:
            executor.end_reason = (
                TaskStatus.REASON_EXECUTOR_REGISTRATION_TIMEOUT,
                f"Executor did not register within {duration(seconds)}",
            )
            executor.container.kill()

        executor.timer = self.pace.later(seconds, give_up)

    def kill_task(self, framework_id: str, task_id: str) -> None:
        """Kill a task."""
        for executor in self._executors_of(framework_id):
            executor.kill(task_id)

    def acknowledge(self, framework_id: str, task_id: str, uuid: bytes) -> None:
        """A framework has an update."""
        for executor in [*self._executors_of(framework_id), *self.ended]:
            executor.acknowledged(task_id, uuid)
        self.ended = [one for one in self.ended if one.updates]

    def message(self, framework_id: str, executor_id: str, data: bytes) -> None:
        """A message to an executor; lost where it has not subscribed."""
        executor = self.executors.get((framework_id, executor_id))
        if executor is not None and executor.has_subscribed:
            executor.send(Event(type=Event.MESSAGE, message=Event.Message(data=data)))

    def shutdown_executor(self, framework_id: str, executor_id: str) -> None:
        """End an executor; what it says meanwhile still counts."""
        executor = self.executors.get((framework_id, executor_id))
        if executor is not None:
            executor.shut_down()

    def shutdown_framework(self, framework_id: str) -> None:
        """End all executors of a framework that has gone."""
        for executor in self._executors_of(framework_id):
            executor.is_ending = True
            executor.pause()
            executor.shut_down()
        for executor in self.ended:
            if executor.key[0] == framework_id:
                executor.pause()
        self.ended = [one for one in self.ended if one.key[0] != framework_id]

    def update_framework(self, framework_id: str, framework: FrameworkInfo) -> None:
        """A framework has come back, or changed: it may have missed updates."""
        for executor in [*self._executors_of(framework_id), *self.ended]:
            if executor.key[0] == framework_id:
                executor.framework = framework
                executor.flush()

    def _executors_of(self, framework_id: str) -> list[Executor]:
        return [one for key, one in self.executors.items() if key[0] == framework_id]

    # --- executors -------------------------------------------------------------------------------

    def _executor_ended(self, executor: Executor, status: int) -> None:
        executor.status = status
        cancel(executor.timer)
        if executor.stream is not None:
            executor.stream.drop()
            executor.stream = None
        # A restarted agent comes to that when it has recovered.
        if self.is_running and self.executors.get(executor.key) is executor:
            self._bury(executor, tell=True)

    def _bury(self, executor: Executor, *, tell: bool) -> None:
        del self.executors[executor.key]
        if executor.is_ending:
            executor.pause()
            return
        if tell:
            self.tell("exited", *executor.key, executor.status)
        executor.fail_tasks()
        if executor.updates:
            self.ended.append(executor)

    def handle(self, request: Request) -> Answer | None:
        """See `server.Handler`."""
        path = request.path.decode().removeprefix("/slave(1)")
        if path == "/api/v1/executor":
            require_post(request)
            if not self._has_recovered:
                raise Refusal(503, "Agent has not finished recovery")
            return self._take_call(request)
        if path == "/health":
            return Answer(200)
        raise Refusal(404, "404 Not Found.")

    def _take_call(self, request: Request) -> Answer | None:
        try:
            call = decode(Call, encoding_of(request), request.body())
        except BodyError as error:
            raise Refusal(400, str(error)) from None
        trouble = executor_call_fault(call)
        if trouble:
            raise Refusal(400, f"Failed to validate Executor::Call: {trouble}")
        fault = self.faults.for_call(Call.Type.Name(call.type))
        if fault is None:
            return self._carry_out(request, call)
        return carry_out_faultily(
            fault, request, lambda: self._carry_out(request, call), self._later
        )

    def _carry_out(self, request: Request, call: Call) -> Answer | None:
        encoding = ""
        if call.type == Call.SUBSCRIBE:
            encoding = stream_encoding(request.header("accept"))
        if not self._executors_of(call.framework_id.value):
            raise Refusal(400, "Framework cannot be found")
        executor = self.executors.get((call.framework_id.value, call.executor_id.value))
        if executor is None:
            raise Refusal(400, "Executor cannot be found")
        if call.type == Call.SUBSCRIBE:
            self._subscribe(executor, request, encoding, call.subscribe)
            return None
        if not executor.has_subscribed:
            raise Refusal(403, "Executor is not subscribed")
        if call.type == Call.UPDATE:
            self.pace.soon(executor.updated, call.update.status)
        elif call.type == Call.MESSAGE:
            self.tell("messaged", *executor.key, call.message.data)
        return Answer(202)

    def _subscribe(
        self, executor: Executor, request: Request, encoding: str, subscribe: Call.Subscribe
    ) -> None:
        def closed() -> None:
            if executor.stream is stream:
                executor.stream = None

        stream = EventStream(request, encoding, self.faults, self.pace, closed)
        executor.subscribed(stream, subscribe, self.info())
