"""A framework for tests of the stand-in for Mesos: it calls, and keeps what it is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from attrs import define, field

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_pb2 import ExecutorInfo, FrameworkInfo, Offer, TaskInfo, TaskStatus
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from test.standin.mesos import example
from test.standin.mesos.document import PROTOBUF
from test.standin.wire import Response, Wire

HEADERS = {"Content-Type": PROTOBUF, "Accept": PROTOBUF}


@define(eq=False)
class Scheduler:
    """A framework with one subscription at a time."""

    reactor: Any
    url: str
    info: FrameworkInfo = field(factory=lambda: FrameworkInfo(user="flp", name="example"))
    acknowledges: bool = True
    stream: Wire | None = field(default=None, init=False)
    stream_id: str = field(default="", init=False)
    events: list[Event] = field(factory=list, init=False)
    _seen: int = field(default=0, init=False)
    _calls: Wire | None = field(default=None, init=False)
    _count: int = field(default=0, init=False)

    async def subscribe(self) -> Response:
        """Subscribe, and wait for SUBSCRIBED."""
        self.stream, self._seen = await self._connect(), 0
        call = Call(type=Call.SUBSCRIBE)
        call.subscribe.framework_info.CopyFrom(self.info)
        if self.info.HasField("id"):
            call.framework_id.CopyFrom(self.info.id)
        self.stream.request(self._path, call.SerializeToString(), HEADERS)
        response = await self.stream.response(0)
        self.stream_id = response.headers.get("mesos-stream-id", "")
        if response.status == 200:
            event = await self.event(Event.SUBSCRIBED)
            self.info.id.CopyFrom(event.subscribed.framework_id)
        return response

    @property
    def _path(self) -> str:
        return urlparse(self.url).path

    async def _connect(self) -> Wire:
        address = urlparse(self.url)
        assert address.hostname is not None and address.port is not None
        return await Wire.connect(self.reactor, address.hostname, address.port)

    async def subscribe_refused(self, message: str) -> None:
        """Subscribe, and be told on the stream that this is not to be."""
        self.stream, self._seen = await self._connect(), 0
        call = Call(type=Call.SUBSCRIBE, framework_id=self.info.id)
        call.subscribe.framework_info.CopyFrom(self.info)
        self.stream.request(self._path, call.SerializeToString(), HEADERS)
        error = (await self.event(Event.ERROR)).error
        assert error.message == message, error.message

    async def call(self, call: Call) -> Response:
        """Make a call, with the ids of the subscription, and wait for the answer."""
        await self.begin(call)
        assert self._calls is not None
        return await self._calls.response(self._count - 1)

    @property
    def unanswered(self) -> int:
        """How many calls have no answer yet."""
        return self._count - len(self._calls.responses) if self._calls is not None else 0

    async def begin(self, call: Call) -> None:
        """Make a call."""
        if self._calls is None or self._calls.is_closed:
            self._calls, self._count = await self._connect(), 0
        call.framework_id.CopyFrom(self.info.id)
        headers = {**HEADERS, "Mesos-Stream-Id": self.stream_id}
        self._calls.request(self._path, call.SerializeToString(), headers)
        self._count += 1

    async def event(
        self, kind: Event.Type, fits: Callable[[Event], bool] = lambda event: True
    ) -> Event:
        """The next event of that kind that fits; it is taken, others stay."""
        found: list[Event] = []

        def look() -> bool:
            self.take()
            for event in self.events:
                if event.type == kind and fits(event):
                    found.append(event)
                    self.events.remove(event)
                    return True
            return False

        assert self.stream is not None
        await self.stream.until(look, Event.Type.Name(kind))
        return found[0]

    def take(self) -> None:
        """Read what has come on the stream."""
        if self.stream is None or not self.stream.responses:
            return
        records = self.stream.responses[0].records
        for record in records[self._seen :]:
            self.events.append(Event.FromString(record))
        self._seen = len(records)

    async def offer(self) -> Offer:
        """The first offer of the next offers."""
        return (await self.event(Event.OFFERS)).offers.offers[0]

    async def status(self, task_id: str, state: mesos_pb2.TaskState) -> TaskStatus:
        """Wait for a task's state; what has a uuid is acknowledged on the way."""
        while True:
            event = await self.event(
                Event.UPDATE, lambda one: one.update.status.task_id.value == task_id
            )
            status = event.update.status
            if self.acknowledges and status.uuid:
                await self.acknowledge(status)
            if status.state == state:
                return status

    async def acknowledge(self, status: TaskStatus) -> Response:
        """Acknowledge an update."""
        call = Call(type=Call.ACKNOWLEDGE)
        call.acknowledge.agent_id.CopyFrom(status.agent_id)
        call.acknowledge.task_id.CopyFrom(status.task_id)
        call.acknowledge.uuid = status.uuid
        return await self.call(call)

    async def launch(self, offer: Offer, *tasks: TaskInfo) -> Response:
        """Accept an offer with tasks."""
        call = Call(type=Call.ACCEPT)
        call.accept.offer_ids.append(offer.id)
        operation = call.accept.operations.add(type=Offer.Operation.LAUNCH)
        operation.launch.task_infos.extend(tasks)
        call.accept.filters.refuse_seconds = 0
        return await self.call(call)

    async def kill(self, task_id: str) -> Response:
        """Kill a task."""
        call = Call(type=Call.KILL)
        call.kill.task_id.value = task_id
        return await self.call(call)

    async def reconcile(self, **tasks: str) -> Response:
        """Ask for all tasks, or for some with their agents' ids."""
        call = Call(type=Call.RECONCILE)
        for task_id, agent_id in tasks.items():
            one = call.reconcile.tasks.add()
            one.task_id.value = task_id
            if agent_id:
                one.agent_id.value = agent_id
        call.reconcile.SetInParent()
        return await self.call(call)

    async def message(self, offer: Offer, text: str, executor_id: str = "executor") -> Response:
        """Send the executor a message."""
        call = Call(type=Call.MESSAGE)
        call.message.agent_id.CopyFrom(offer.agent_id)
        call.message.executor_id.value = executor_id
        call.message.data = text.encode()
        return await self.call(call)

    def close(self) -> None:
        """Go away without a word."""
        for wire in (self.stream, self._calls):
            if wire is not None:
                wire.close()


def task(
    offer: Offer, identifier: str = "task", executor_id: str = "executor", data: bytes = b""
) -> TaskInfo:
    """A task for the example executor."""
    executor = ExecutorInfo(name="example executor", type=ExecutorInfo.CUSTOM)
    executor.executor_id.value = executor_id
    executor.command.value = f"exec {sys.executable} {Path(example.__file__)}"
    executor.resources.extend([_scalar("cpus", 0.1), _scalar("mem", 32)])
    info = TaskInfo(name=identifier, agent_id=offer.agent_id, executor=executor, data=data)
    info.task_id.value = identifier
    info.resources.extend([_scalar("cpus", 0.5), _scalar("mem", 64)])
    return info


def _scalar(name: str, value: float) -> mesos_pb2.Resource:
    return mesos_pb2.Resource(
        name=name, type=mesos_pb2.Value.SCALAR, scalar=mesos_pb2.Value.Scalar(value=value)
    )
