"""The Mesos backend: the parts of this room, wired, behind `ITaskBackend`.

The id of the framework outlives cores in a `Memory`, and with it all tasks: whoever subscribes
under it is told of them. Losing the master, or this core, ends nothing.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from zope.interface import implementer

from aliecs.backend.mesos import call
from aliecs.backend.mesos.address import Masters
from aliecs.backend.mesos.desk import OfferDesk
from aliecs.backend.mesos.executor import ExecutorBook
from aliecs.backend.mesos.host import HostBook
from aliecs.backend.mesos.keeper import TaskKeeper
from aliecs.backend.mesos.link import MasterLink
from aliecs.backend.mesos.option import MesosOptions
from aliecs.backend.mesos.outbox import Outbox
from aliecs.backend.mesos.retirement import Retirement
from aliecs.backend.mesos.task import TaskBook
from aliecs.backend.mesos.wire import HttpWire, Unanswered, Wire
from aliecs.errors import AliecsError, OutOfReach, Unavailable
from aliecs.interfaces import (
    HostInfo,
    ITaskBackend,
    ITaskObserver,
    Memory,
    Offer,
    TaskLaunch,
    Traffic,
)
from aliecs.protocol.combined import separate
from aliecs.protocol.identifier import IdentifierGenerator
from aliecs.protocol.mesos_pb2 import FrameworkInfo
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from aliecs.protocol.message import MessageError

FRAMEWORK = "mesos_fid"
"""The name of the framework id in the memory; the reference's."""
EXECUTORS = "mesos_executors"
CONNECT_DEADLINE_S = 15.0
"""A core starts without a master after so long."""
TEARDOWN_DEADLINE_S = 40.0
"""For tasks to end by themselves; then the master ends them."""
MEMORY_DEADLINE_S = 10.0
REMEMBER_AGAIN_S = 30.0
"""What could not be written down is tried again after so long."""
POLL_S = 0.1

log = Logger()


@implementer(ITaskBackend)
@define(eq=False)
class MesosBackend:
    """See the module. `wire` and `spread` are given in tests."""

    reactor: Any
    options: MesosOptions
    memory: Memory
    identifiers: IdentifierGenerator = field(factory=IdentifierGenerator)
    wire: Wire | None = None
    spread: Callable[[], float] = random.random
    framework_id: str = field(default="", init=False)
    state: str = field(default="INITIAL", init=False)
    traffic: Traffic = field(factory=Traffic, init=False)
    hosts_known: HostBook = field(factory=HostBook, init=False)
    tasks: TaskBook = field(factory=TaskBook, init=False)
    executors: ExecutorBook = field(init=False)
    desk: OfferDesk = field(init=False)
    keeper: TaskKeeper = field(init=False)
    retirement: Retirement = field(init=False)
    outbox: Outbox = field(init=False)
    link: MasterLink = field(init=False)
    _care: LoopingCall = field(init=False)
    _writing: Deferred[None] | None = field(default=None, init=False)
    _is_writing: bool = field(default=False, init=False)
    _to_write: dict[str, str] = field(factory=dict, init=False)
    _write_again: Any = field(default=None, init=False)

    # --- the whole -------------------------------------------------------------------------------

    async def start(self, observer: ITaskObserver) -> None:
        """See `ITaskBackend`. Waits a moment for a master, and goes on without one. Raises
        `AliecsError` where it cannot be known which framework this core has."""
        try:
            self.framework_id = await self.memory.read(FRAMEWORK)
            kept = await self.memory.read(EXECUTORS)
        except AliecsError as error:
            raise Unavailable(
                "the id of the Mesos framework cannot be read from the configuration, and a new"
                f" one would lose all running tasks: {error.message}"
            ) from error
        self._make_parts(observer, kept)
        if not self.options.keeps_identity:
            log.warn("mesosFailoverTimeout is 0: Mesos ends all tasks as soon as this core is away")
        self.link.start()
        self._care.start(1.0, now=False)
        deadline_s = self.reactor.seconds() + CONNECT_DEADLINE_S
        while not self.link.is_subscribed and self.reactor.seconds() < deadline_s:
            await deferLater(self.reactor, POLL_S, lambda: None)

    def _make_parts(self, observer: ITaskObserver, kept: str) -> None:
        options = self.options
        wire = self.wire or HttpWire(
            self.reactor, options.timeout_s, options.user_name, options.password, options.authority
        )
        self.executors = ExecutorBook(
            options.executor, self.identifiers.new, lambda text: self._remember(EXECUTORS, text)
        )
        self.executors.restore(kept)
        self.link = MasterLink(
            self.reactor,
            wire,
            Masters(options.masters),
            self,
            options.timeout_s,
            self.spread,
            self.traffic,
        )
        self.keeper = TaskKeeper(self.reactor, self.tasks, self.hosts_known, self._order, observer)
        self.desk = OfferDesk(
            self.reactor,
            options,
            self.hosts_known,
            self.tasks,
            self.executors,
            self._order,
            self.keeper.tell_later,
            self.keeper.doubt,
            self.traffic,
        )
        self.retirement = Retirement(
            self.reactor,
            self.hosts_known,
            self.tasks,
            self.executors,
            self._order,
            self.keeper.ask_for_everything,
        )
        self.outbox = Outbox(self._order, self._message_failed)
        self._care = LoopingCall(self._look_after)
        self._care.clock = self.reactor

    async def stop(self) -> None:
        """See `ITaskBackend`: the stream is closed, and everything goes on."""
        if self.state == "FINAL" or not hasattr(self, "link"):
            return
        self.state = "FINAL"
        self.keeper.is_closed = True
        if self._care.running:
            self._care.stop()
        self.desk.stop()
        await self.link.stop()
        if self._write_again is not None and self._write_again.active():
            self._write_again.cancel()
            self._begin_writing()
        if self._writing is not None:
            await self._writing

    async def teardown(self) -> None:
        """See `ITaskBackend`. Tasks are killed first, each as it should be; then the framework is
        ended. Raises `Unavailable` where there is no master to tell."""
        if self.state == "FINAL" or not hasattr(self, "link"):
            return
        if not self.link.is_subscribed:
            raise Unavailable(
                "there is no connection to a Mesos master: tasks and executors go on; order it"
                " again when the master is back, or end the framework there"
            )
        for task in self.tasks:
            self.keeper.kill(task.task_id, task.agent_id)
        deadline_s = self.reactor.seconds() + TEARDOWN_DEADLINE_S
        while len(self.tasks) and self.reactor.seconds() < deadline_s:
            await deferLater(self.reactor, POLL_S, lambda: None)
        self.link.is_leaving = True
        try:
            await self._order(call.teardown(), "")
        except Unavailable:
            self.link.is_leaving = False
            raise
        self.keeper.all_gone("the framework was ended")
        await deferLater(self.reactor, 0, lambda: None)
        self.framework_id = ""
        self._remember(FRAMEWORK, "")
        await self.stop()

    def hosts(self) -> Sequence[HostInfo]:
        """See `ITaskBackend`."""
        return self.desk.infos()

    async def gather_offers(self) -> Sequence[Offer]:
        """See `ITaskBackend`. Raises `Unavailable` where no master is there for a while."""
        return await self.desk.gather()

    def accept(self, offer: Offer, tasks: Sequence[TaskLaunch]) -> None:
        """See `ITaskBackend`."""
        self.desk.accept(offer, tasks)

    def decline(self, offers: Sequence[Offer]) -> None:
        """See `ITaskBackend`."""
        self.desk.take_back(offers)

    def kill(self, task_id: str, agent_id: str) -> None:
        """See `ITaskBackend`."""
        self.keeper.kill(task_id, agent_id)

    def send(self, agent_id: str, executor_id: str, message: bytes) -> None:
        """See `ITaskBackend`."""
        host = self.hosts_known.get(agent_id)
        name = host.name if host is not None else agent_id
        if not self.link.is_subscribed:
            raise OutOfReach(f"{name} cannot be reached: no connection to a Mesos master")
        if self.hosts_known.has_ended(executor_id):
            raise Unavailable(f"executor {executor_id} of {name} has ended")
        if host is not None and host.is_away:
            raise OutOfReach(f"{name} is out of reach: {host.away_reason}")
        self.outbox.send(agent_id, executor_id, message)

    def _message_failed(
        self, agent_id: str, executor_id: str, message: bytes, failure: Any
    ) -> None:
        host = self.hosts_known.get(agent_id)
        name = host.name if host is not None else agent_id
        reason = failure.getErrorMessage()
        if failure.check(Unanswered) is None:
            self.keeper.not_sent(executor_id, message, f"{name} cannot be reached: {reason}")
            return
        log.warn("a message to the executor of {host} may not have arrived: {error}",
                 host=name, error=reason)  # fmt: skip

    async def reconcile(self, tasks: Mapping[str, str]) -> None:
        """See `ITaskBackend`. Without a master they are asked for as soon as there is one."""
        self.keeper.reconcile(tasks)

    # --- the subscription (LinkListener) ---------------------------------------------------------

    def framework(self) -> FrameworkInfo:
        """See `LinkListener`."""
        return self.options.framework(self.framework_id if self.options.keeps_identity else "")

    def subscribed(self, event: Event.Subscribed) -> None:
        """See `LinkListener`."""
        framework_id = event.framework_id.value
        if framework_id != self.framework_id:
            if self.framework_id and len(self.tasks):
                self.keeper.all_gone("Mesos has ended the framework that they belonged to")
            self.framework_id = framework_id
            self._remember(FRAMEWORK, framework_id)
        self.state = "CONNECTED"
        self.retirement.forget()
        self.desk.open()
        self.keeper.subscribed()

    def event(self, event: Event) -> None:
        """See `LinkListener`."""
        if event.type == Event.UPDATE:
            self.keeper.updated(event.update.status)
        elif event.type == Event.MESSAGE:
            self._heard(event.message)
        elif event.type == Event.OFFERS:
            for agent_id in {offer.agent_id.value for offer in event.offers.offers}:
                self.keeper.seen(agent_id)
            self.desk.offered(event.offers.offers)
        elif event.type == Event.RESCIND:
            self.desk.rescinded(event.rescind.offer_id.value)
        elif event.type == Event.FAILURE:
            if event.failure.executor_id.value:
                self.outbox.forget(event.failure.executor_id.value)
            self.keeper.failure(event.failure)

    def _heard(self, event: Event.Message) -> None:
        """An executor says one thing, or several."""
        agent_id, executor_id = event.agent_id.value, event.executor_id.value
        try:
            messages = separate(event.data)
        except MessageError as error:
            log.error("executor {executor}: {error}", executor=executor_id, error=error.message)
            return
        for message in messages:
            self.outbox.heard(executor_id, message)
            self.keeper.message(agent_id, executor_id, message)

    def disconnected(self, reason: str) -> None:
        """See `LinkListener`."""
        if self.state != "FINAL":
            self.state = "ERROR"
        self.retirement.forget()
        self.desk.close()

    def removed(self, reason: str) -> None:
        """See `LinkListener`. The master has forgotten the id: it was away for longer than
        mesosFailoverTimeout, or somebody ended the framework."""
        log.error(
            "the Mesos master has ended framework {framework} and all of its tasks ({reason}); this"
            " core begins a new one", framework=self.framework_id, reason=reason,
        )  # fmt: skip
        self.keeper.all_gone(f"the Mesos master has ended the framework: {reason}")
        self.framework_id = ""
        self._remember(FRAMEWORK, "")

    def taken_over(self, reason: str) -> None:
        """See `LinkListener`. Two cores with one id would end each other's tasks."""
        log.critical("another core has taken framework {framework} over, and this one stands aside:"
                     " stop one of the two, and give it a configuration of its own",
                     framework=self.framework_id)  # fmt: skip
        self.state = "ERROR"

    # --- inside ----------------------------------------------------------------------------------

    def _order(self, message: Call, subject: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self.link.send(message, self.framework_id, subject))

    def _look_after(self) -> None:
        if not self.link.is_subscribed:
            return
        for look in (
            self.keeper.look_after,
            self.desk.look_after,
            self.retirement.look_after,
        ):
            try:
                look()
            except Exception:
                log.failure("looking after Mesos")

    def _remember(self, name: str, text: str) -> None:
        """Write something down, after what was written before, and no more often than needed."""
        self._to_write[name] = text
        self._begin_writing()

    def _begin_writing(self) -> None:
        if not self._is_writing:
            self._is_writing = True
            self._writing = Deferred.fromCoroutine(self._write())

    async def _write(self) -> None:
        failed: dict[str, str] = {}
        while self._to_write:
            name = next(iter(self._to_write))
            text = self._to_write.pop(name)
            writing = Deferred.fromCoroutine(_awaited(self.memory.write(name, text)))
            writing.addTimeout(MEMORY_DEADLINE_S, self.reactor)
            try:
                await writing
            except Exception as error:
                failed[name] = text
                log.error(
                    "{name} could not be written to the configuration, without which the next core"
                    " begins a new framework; it is tried again, or set the runtime entry"
                    " aliecs/{name} to {text!r} by hand: {error}",
                    name=name, text=text, error=str(error),
                )  # fmt: skip
        self._is_writing = False
        self._to_write = {**failed, **self._to_write}
        if failed and self.state != "FINAL":
            self._write_again = self.reactor.callLater(REMEMBER_AGAIN_S, self._begin_writing)


async def _awaited(result: Awaitable[None]) -> None:
    await result
