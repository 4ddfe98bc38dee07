"""The reference's executor, as a Mesos agent starts it: `python executor.py [--speed N]`.

It speaks the executor API as the reference does, and only that: no announcement, no answer to what
it does not know. `--speed` makes its patience with tasks that start or end shorter. `Crash` is
what a fault of the reference ends in: exit code 2, and all processes of the host die with it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Run by its path, the folder of the stand-ins hides the package that they are in.
    sys.path[0] = str(Path(__file__).resolve().parents[3])
    from twisted.internet import asyncioreactor

    asyncioreactor.install()

from attrs import define, field
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_executor_pb2 import Call, Event
from aliecs.protocol.recordio import RecordReader
from test.standin.reference.message import strange_in_command, strange_in_task
from test.standin.reference.process import LaunchError
from test.standin.reference.start import Start, Unusable, read
from test.standin.reference.task import Command, Task, make

CRASHED = 2
TERMINAL = ("TASK_DROPPED", "TASK_FINISHED", "TASK_GONE", "TASK_KILLED", "TASK_LOST", "TASK_FAILED")
HEADERS = {"Content-Type": "application/x-protobuf", "Accept": "application/x-protobuf"}


class Stream(Protocol):
    """The events of one subscription."""

    def __init__(self, wake: Any) -> None:
        self.events: deque[Event] = deque()
        self.is_over = False
        self._reader = RecordReader()
        self._wake = wake

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol`."""
        self.events.extend(Event.FromString(one) for one in self._reader.feed(data))
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`."""
        self.is_over = True
        self._wake()


@define(eq=False)
class ReferenceExecutor:
    """See the module."""

    reactor: Any
    start: Start
    speed: float = 1.0
    tasks: dict[str, Task] = field(factory=dict, init=False)
    is_shut_down: bool = field(default=False, init=False)
    _unacknowledged_tasks: dict[str, mesos_pb2.TaskInfo] = field(factory=dict, init=False)
    _unacknowledged_updates: dict[bytes, Call.Update] = field(factory=dict, init=False)
    _failed: list[mesos_pb2.TaskStatus] = field(factory=list, init=False)
    """TASK_FAILED are kept until they were sent."""
    _queue: deque[Call] = field(factory=deque, init=False)
    _waiter: Deferred[None] | None = field(default=None, init=False)
    _client: HTTPClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        pool = HTTPConnectionPool(self.reactor, persistent=False)
        self._client = HTTPClient(Agent(self.reactor, connectTimeout=10.0, pool=pool))

    # --- the conversation ------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the agent says so, or is away for too long."""
        connected_s, pause_s = time.monotonic(), 1.0
        while not self.is_shut_down:
            stream = await self._subscribe()
            if stream is not None:
                pause_s = 1.0
                await self._converse(stream)
                connected_s = time.monotonic()
            is_late = time.monotonic() - connected_s > self.start.recovery_timeout_s
            if self.is_shut_down or not self.start.is_checkpointed or is_late:
                return
            await deferLater(self.reactor, pause_s, lambda: None)
            pause_s = max(1.0, min(2 * pause_s, 0.75 * self.start.backoff_s))

    async def _subscribe(self) -> Stream | None:
        call = self._call(Call.SUBSCRIBE)
        call.subscribe.unacknowledged_tasks.extend(self._unacknowledged_tasks.values())
        call.subscribe.unacknowledged_updates.extend(self._unacknowledged_updates.values())
        try:
            response = await self._post(call, Connection="close")
        except Exception as error:
            print(f"no agent: {error}", flush=True)
            return None
        if response.code != 200:
            print(f"not subscribed: {response.code}", flush=True)
            return None
        stream = Stream(self._wake)
        response.deliverBody(stream)
        return stream

    async def _post(self, call: Call, **headers: str) -> Any:
        url = f"http://{self.start.endpoint}/api/v1/executor"
        return await self._client.post(
            url, data=call.SerializeToString(), headers={**HEADERS, **headers}, unbuffered=True,
            allow_redirects=False,
        )  # fmt: skip

    async def _converse(self, stream: Stream) -> None:
        """One thing after the other, until the stream ends, or something goes wrong."""
        while True:
            await self._send_failed()
            if stream.events:
                event = stream.events.popleft()
                try:
                    self._take(event)
                except (LaunchError, LookupError) as error:
                    print(f"{Event.Type.Name(event.type)}: {error}", flush=True)
                    break
                if self.is_shut_down or event.type == Event.ERROR:
                    break
            elif stream.is_over:
                break
            elif self._queue:
                await self._send(self._queue.popleft())
            elif not self._failed:
                self._waiter = Deferred()
                await self._waiter
        if stream.transport is not None:
            stream.transport.loseConnection()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(None)

    async def _send_failed(self) -> None:
        kept, self._failed = self._failed, []
        for status in kept:
            if not await self._send(self._call(Call.UPDATE, update=Call.Update(status=status))):
                self._failed.append(status)

    async def _send(self, call: Call) -> bool:
        """A fault: what does not arrive is lost, but for TASK_FAILED."""
        try:
            response = await self._post(call)
            is_sent = response.code == 202
            await response.content()
        except Exception as error:
            print(f"{Call.Type.Name(call.type)} is lost: {error}", flush=True)
            is_sent = False
        if is_sent and call.type == Call.UPDATE:
            self._unacknowledged_updates[call.update.status.uuid] = call.update
        return is_sent

    def _call(self, kind: Call.Type, **parts: Any) -> Call:
        return Call(
            type=kind,
            executor_id=mesos_pb2.ExecutorID(value=self.start.executor_id),
            framework_id=mesos_pb2.FrameworkID(value=self.start.framework_id),
            **parts,
        )

    # --- what the agent says ---------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        if event.type == Event.SUBSCRIBED:
            print("subscribed", flush=True)
        elif event.type == Event.LAUNCH:
            self._launch(event.launch.task)
        elif event.type == Event.KILL:
            self.tasks[event.kill.task_id.value].kill()
        elif event.type == Event.ACKNOWLEDGED:
            self._unacknowledged_tasks.pop(event.acknowledged.task_id.value, None)
            self._unacknowledged_updates.pop(event.acknowledged.uuid, None)
        elif event.type == Event.MESSAGE:
            self.reactor.callLater(0, self._message, event.message.data)
        elif event.type == Event.SHUTDOWN:
            self.is_shut_down = True
        else:
            print(f"event {Event.Type.Name(event.type)}", flush=True)

    def _launch(self, info: mesos_pb2.TaskInfo) -> None:
        self._unacknowledged_tasks[info.task_id.value] = info
        if not info.data:
            self.update(info, "TASK_FAILED", "task data is nil")
            self.crash("no data")
        try:
            payload = json.loads(info.data)
        except ValueError:
            self.crash("data that is no JSON")
            return
        _complain(strange_in_task(info, payload))
        task = make(self, info, payload)
        self.tasks[task.task_id] = task
        task.launch()

    def _message(self, data: bytes) -> None:
        answering = Deferred.fromCoroutine(self._answer(data))
        answering.addErrback(lambda failure: print(f"message: {failure}", flush=True))

    async def _answer(self, data: bytes) -> None:
        command = json.loads(data)
        _complain(strange_in_command(command))
        targets = command.get("targetList") or []
        if len(targets) != 1:
            print(f"a command with {len(targets)} targets", flush=True)
            return
        name, task_id = command["name"], targets[0]["TaskId"]["value"]
        task = self.tasks.get(task_id)
        if name not in ("MesosCommand_Transition", "MesosCommand_TriggerHook"):
            print(f"unrecognized command {name}", flush=True)
        elif task is None:
            print(f"no active task {task_id}", flush=True)
        elif name == "MesosCommand_Transition":
            if isinstance(task, Command) and command["event"] == "CONFIGURE":
                _complain("" if command["arguments"] == {} else f"CONFIGURE of {task.payload}")
            result = await task.transition(command)
            if result is not None:
                self._respond(command, task_id, result[1], state=result[0])
        else:
            error = task.trigger()
            if error is not None:
                self._respond(command, task_id, error)

    def _respond(self, command: Mapping[str, Any], task_id: str, error: str, **more: str) -> None:
        self.send({
            "_messageType": "MesosCommandResponse", "name": command["name"], "id": command["id"],
            "environmentId": command["environmentId"], "error": error, "taskId": task_id, **more,
        })  # fmt: skip

    # --- what tasks say (task.Executor) ----------------------------------------------------------

    def update(self, info: mesos_pb2.TaskInfo, state: str, message: str = "") -> None:
        """Tell the state of a task."""
        labels = [one for one in info.labels.labels if one.key == "environmentId"]
        status = mesos_pb2.TaskStatus(
            task_id=info.task_id, state=state, message=message,
            source=mesos_pb2.TaskStatus.SOURCE_EXECUTOR,
            executor_id=mesos_pb2.ExecutorID(value=self.start.executor_id),
            uuid=random.randbytes(16), timestamp=float(int(time.time())),
            labels=mesos_pb2.Labels(labels=labels),
        )  # fmt: skip
        if state in TERMINAL:
            self.tasks.pop(info.task_id.value, None)
        if state == "TASK_FAILED":
            self._failed.append(status)
        else:
            self._queue.append(self._call(Call.UPDATE, update=Call.Update(status=status)))
        self._wake()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to the core."""
        data = json.dumps(message).encode()
        self._queue.append(self._call(Call.MESSAGE, message=Call.Message(data=data)))
        self._wake()

    def crash(self, why: str) -> None:
        """Fall over, as the reference does."""
        print(f"panic: {why}", flush=True)
        os._exit(CRASHED)


def _complain(strange: str) -> None:
    """It takes what it can read; whoever tests a core looks for this."""
    if strange:
        print(f"STRANGE: {strange}", flush=True)


def main(arguments: list[str]) -> int:
    """Be the executor of an agent; gives the exit status."""
    try:
        start = read(os.environ)
    except Unusable as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    Path(start.directory).chmod(0o755)
    try:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
    except (OSError, ValueError):
        print("the memlock limit stays", flush=True)
    from twisted.internet import reactor

    loop: Any = reactor
    speed = float(arguments[1]) if arguments[:1] == ["--speed"] else 1.0
    executor = ReferenceExecutor(loop, start, speed)

    def live() -> None:
        running = Deferred.fromCoroutine(executor.run())
        running.addErrback(lambda failure: failure.printTraceback())
        running.addBoth(lambda _: os._exit(0))

    loop.callWhenRunning(live)
    loop.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
