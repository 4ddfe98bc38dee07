"""A master that is an object: what a scheduler sends to it is kept, what it should say is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from aliecs.backend.mesos.address import parse_masters
from aliecs.backend.mesos.backend import MesosBackend
from aliecs.backend.mesos.option import ExecutorOptions, MesosOptions
from aliecs.backend.mesos.wire import Reply, Stream
from aliecs.interfaces import (
    ITaskObserver,
    MemoryFunctions,
    MesosState,
    Offer,
    TaskLaunch,
    TaskUpdate,
)
from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from aliecs.protocol.recordio import encode_record

URL = "http://master.example:5050/api/v1/scheduler"
EXECUTOR = ExecutorOptions(path="/opt/executor", cpus=0.5, memory_mb=64.0)


class FakeStream:
    """One subscription's stream."""

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id
        self.is_open = True
        self._received: Callable[[bytes], None] = lambda data: None
        self._ended: Callable[[str], None] = lambda reason: None
        self._early: list[bytes] = []

    def read(self, received: Callable[[bytes], None], ended: Callable[[str], None]) -> None:
        self._received, self._ended = received, ended
        early, self._early = self._early, []
        for data in early:
            received(data)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._ended("closed from this side")

    def push(self, *events: Event) -> None:
        self.push_bytes(b"".join(encode_record(event.SerializeToString()) for event in events))

    def push_bytes(self, data: bytes) -> None:
        self._received(data)

    def say_before_reading(self, *events: Event) -> None:
        self._early += [encode_record(event.SerializeToString()) for event in events]

    def cut(self, reason: str = "connection lost") -> None:
        self.is_open = False
        self._ended(reason)


Answer = Reply | Exception | Deferred[Reply]


class FakeMaster:
    """A `Wire` with a master at its other end. `answer` decides about calls, `open_answer` about
    subscriptions: None takes them."""

    def __init__(self) -> None:
        self.framework_id = "framework-1"
        self.heartbeat_s = 100_000.0
        self.subscriptions: list[tuple[str, Call]] = []
        self.calls: list[Call] = []
        self.urls: list[str] = []
        self.streams: list[FakeStream] = []
        self.open_answer: Callable[[str], Reply | Exception | None] = lambda url: None
        self.answer: Callable[[Call], Answer] = lambda call: Reply(202)
        self.is_closed = False

    async def open(self, url: str, body: bytes) -> tuple[Reply, Stream | None]:
        self.subscriptions.append((url, Call.FromString(body)))
        answer = self.open_answer(url)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer, None
        stream = FakeStream(f"stream-{len(self.streams) + 1}")
        self.streams.append(stream)
        if self.framework_id:
            stream.say_before_reading(self.subscribed(), Event(type=Event.HEARTBEAT))
        return Reply(200), stream

    async def call(self, url: str, stream_id: str, body: bytes) -> Reply:
        assert stream_id == self.streams[-1].stream_id
        call = Call.FromString(body)
        self.calls.append(call)
        self.urls.append(url)
        answer = self.answer(call)
        if isinstance(answer, Deferred):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        self.is_closed = True

    def subscribed(self) -> Event:
        return Event(
            type=Event.SUBSCRIBED,
            subscribed=Event.Subscribed(
                framework_id=mesos_pb2.FrameworkID(value=self.framework_id),
                heartbeat_interval_seconds=self.heartbeat_s,
            ),
        )

    @property
    def stream(self) -> FakeStream:
        return self.streams[-1]

    def of_type(self, kind: Call.Type) -> list[Call]:
        return [call for call in self.calls if call.type == kind]

    def kinds(self) -> list[str]:
        return [Call.Type.Name(call.type) for call in self.calls]

    def offer(self, *pieces: mesos_pb2.Offer) -> None:
        self.stream.push(Event(type=Event.OFFERS, offers=Event.Offers(offers=pieces)))

    def update(self, status: mesos_pb2.TaskStatus) -> None:
        self.stream.push(Event(type=Event.UPDATE, update=Event.Update(status=status)))


@implementer(ITaskObserver)
class Observer:
    """Keeps all that is reported."""

    def __init__(self) -> None:
        self.updates: list[TaskUpdate] = []
        self.messages: list[tuple[str, str, bytes]] = []
        self.events: list[tuple[str, ...]] = []
        self.not_sent: list[tuple[str, bytes, str]] = []
        self.fails = False

    def task_status(self, update: TaskUpdate) -> None:
        if self.fails:
            raise RuntimeError("not now")
        self.updates.append(update)

    def executor_message(self, agent_id: str, executor_id: str, data: bytes) -> None:
        self.messages.append((agent_id, executor_id, data))

    def message_not_sent(self, executor_id: str, message: bytes, reason: str) -> None:
        self.events.append(("message_not_sent", executor_id, reason))
        self.not_sent.append((executor_id, message, reason))

    def executor_lost(self, agent_id: str, executor_id: str, host: str, reason: str) -> None:
        self.events.append(("executor_lost", agent_id, executor_id, host, reason))

    def agent_unreachable(self, agent_id: str, host: str, reason: str) -> None:
        self.events.append(("agent_unreachable", agent_id, host, reason))

    def agent_returned(self, agent_id: str, host: str) -> None:
        self.events.append(("agent_returned", agent_id, host))

    def states(self, task_id: str) -> list[MesosState]:
        return [update.state for update in self.updates if update.task_id == task_id]


class MemoryOfTest:
    """A memory that can fail."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.error: Exception | None = None

    async def read(self, name: str) -> str:
        if self.error is not None:
            raise self.error
        return self.texts.get(name, "")

    async def write(self, name: str, text: str) -> None:
        if self.error is not None:
            raise self.error
        self.texts[name] = text

    def functions(self) -> MemoryFunctions:
        return MemoryFunctions(self.read, self.write)


class House:
    """A backend with everything around it that it needs, and no time but ours."""

    def __init__(self, memory: MemoryOfTest | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.master = FakeMaster()
        self.observer = Observer()
        self.memory = memory or MemoryOfTest()
        self.options = MesosOptions(
            **{"masters": parse_masters(URL), "executor": EXECUTOR, **options}
        )
        self.backend = MesosBackend(
            self.clock, self.options, self.memory.functions(), wire=self.master, spread=lambda: 1.0
        )

    def start(self) -> House:
        self.run(self.backend.start(self.observer), 16.0)
        return self

    def run(self, coroutine: Any, most_s: float = 5.0) -> Any:
        """Let time pass until a coroutine has ended; gives its result."""
        results: list[Any] = []
        running = Deferred.fromCoroutine(coroutine)
        running.addBoth(results.append)
        passed = 0.0
        while not results and passed < most_s:
            self.clock.advance(0.1)
            passed += 0.1
        assert results, "it takes too long"
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    def result(self, waiting: Deferred[Any]) -> Any:
        """The result of something that has ended."""
        results: list[Any] = []
        waiting.addCallback(results.append)
        (result,) = results
        return result

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)

    def gather(self) -> Sequence[Offer]:
        offers: Sequence[Offer] = self.run(self.backend.gather_offers())
        return offers

    def launch_one(self, task_id: str = "task-1", agent_id: str = "agent-1") -> TaskLaunch:
        """Offer an agent and start a task on it."""
        self.master.offer(piece(f"offer-of-{task_id}", agent_id))
        launch = task(task_id)
        offers = self.gather()
        self.backend.accept(next(o for o in offers if o.agent_id == agent_id), [launch])
        self.backend.decline([o for o in offers if o.agent_id != agent_id])
        return launch


def scalar(name: str, amount: float, role: str = "*") -> mesos_pb2.Resource:
    return mesos_pb2.Resource(
        name=name,
        type=mesos_pb2.Value.SCALAR,
        scalar=mesos_pb2.Value.Scalar(value=amount),
        role=role,
    )


def ports(*ranges: tuple[int, int], role: str = "*") -> mesos_pb2.Resource:
    return mesos_pb2.Resource(
        name="ports",
        type=mesos_pb2.Value.RANGES,
        ranges=mesos_pb2.Value.Ranges(
            range=[mesos_pb2.Value.Range(begin=begin, end=end) for begin, end in ranges]
        ),
        role=role,
    )


def piece(
    offer_id: str,
    agent_id: str = "agent-1",
    cpus: float = 4.0,
    memory_mb: float = 4096.0,
    executors: Sequence[str] = (),
    attributes: Sequence[mesos_pb2.Attribute] = (),
    resources: Sequence[mesos_pb2.Resource] | None = None,
) -> mesos_pb2.Offer:
    default = [ports((30000, 30100)), scalar("cpus", cpus), scalar("mem", memory_mb)]
    return mesos_pb2.Offer(
        id=mesos_pb2.OfferID(value=offer_id),
        agent_id=mesos_pb2.AgentID(value=agent_id),
        hostname=agent_id.replace("agent-", "host"),
        resources=default if resources is None else resources,
        executor_ids=[mesos_pb2.ExecutorID(value=executor) for executor in executors],
        attributes=attributes,
    )


def task(
    task_id: str,
    cpus: float = 1.0,
    memory_mb: float = 100.0,
    ports: tuple[tuple[int, int], ...] = ((30000, 30001),),
) -> TaskLaunch:
    return TaskLaunch(
        task_id=task_id,
        name=f"class#{task_id}",
        cpus=cpus,
        memory_mb=memory_mb,
        ports=ports,
        command=b'{"value":"sleep 1"}',
        labels={"environmentId": "env", "detector": "TST"},
        limit_memory_mb=200.0,
    )


def status(
    task_id: str,
    state: MesosState,
    uuid: bytes = b"",
    reason: str = "",
    agent_id: str = "agent-1",
    executor_id: str = "executor-1",
    message: str = "",
) -> mesos_pb2.TaskStatus:
    made = mesos_pb2.TaskStatus(
        task_id=mesos_pb2.TaskID(value=task_id),
        state=state.value,
        uuid=uuid or None,
        message=message,
        source=(
            mesos_pb2.TaskStatus.SOURCE_EXECUTOR if uuid else mesos_pb2.TaskStatus.SOURCE_MASTER
        ),
    )
    if agent_id:
        made.agent_id.value = agent_id
    if executor_id and uuid:
        made.executor_id.value = executor_id
    if reason:
        made.reason = mesos_pb2.TaskStatus.Reason.Value(reason)
    return made
