"""Where offers are asked for, handed out and turned into launches.

Offers are wanted while somebody gathers them, and a little longer; then what is kept is declined
and the master is told to stop. Asking again is rationed. All offers of an agent that are accepted
go into one call, whose resources have been subtracted here before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from aliecs.backend.mesos import call
from aliecs.backend.mesos.executor import ExecutorBook
from aliecs.backend.mesos.host import HostBook, KnownHost
from aliecs.backend.mesos.offer import Loan, OfferBook
from aliecs.backend.mesos.option import MesosOptions
from aliecs.backend.mesos.queue import Refused
from aliecs.backend.mesos.resource import Pool, amounts_of
from aliecs.backend.mesos.task import KnownTask, TaskBook
from aliecs.backend.mesos.wire import Unanswered
from aliecs.errors import AliecsError, Unavailable
from aliecs.interfaces import HostInfo, MesosState, Offer, Sum, TaskLaunch, Traffic
from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_scheduler_pb2 import Call

KEEP_S = 5.0
"""Offers are kept for so long after they were last asked for."""
QUIET_S = 0.3
"""After so long without another offer all have come."""
PATIENCE_S = 1.5
"""A master makes its offers once a second."""
FIRST_PATIENCE_S = 5.0
"""How long to wait where no host was ever seen."""
CONNECTION_PATIENCE_S = 15.0
"""How long to wait for a master that is away."""

log = Logger()

Order = Callable[[Call, str], "Deferred[None]"]
"""Sends a call; the text is what calls must keep their order about."""

Tell = Callable[[str, str, MesosState, str, str], None]
"""Tells, soon, of the end of a task by our own knowledge: task, agent, state, message, reason."""


@define
class Ration:
    """So many at once, and one more after each `wait_s`."""

    burst: int
    wait_s: float
    _left: float = field(init=False)
    _counted_s: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.burst = max(1, self.burst)
        self._left = self.burst

    def take(self, now_s: float) -> float:
        """Take one; gives for how long to wait where there is none, else 0."""
        if self.wait_s <= 0:
            return 0.0
        gained = max(0.0, now_s - self._counted_s) / self.wait_s
        self._left, self._counted_s = min(float(self.burst), self._left + gained), now_s
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) * self.wait_s


@define(eq=False)
class OfferDesk:
    """See the module. `doubt` is called with tasks of which it is not known whether they were
    launched."""

    clock: IReactorTime
    options: MesosOptions
    hosts: HostBook
    tasks: TaskBook
    executors: ExecutorBook
    order: Order
    tell: Tell
    doubt: Callable[[Sequence[str]], None]
    traffic: Traffic = field(factory=Traffic)
    book: OfferBook = field(factory=OfferBook, init=False)
    _is_open: bool = field(default=False, init=False)
    _is_suppressed: bool = field(default=False, init=False)
    _is_stopped: bool = field(default=False, init=False)
    _wanted_until_s: float = field(default=0.0, init=False)
    _offered_s: float = field(default=-1.0, init=False)
    _ration: Ration = field(init=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._ration = Ration(self.options.revive_burst, self.options.revive_wait_s)

    # --- what the master says --------------------------------------------------------------------

    def open(self) -> None:
        """A subscription has begun: the master offers by itself."""
        self._is_open = True
        self._is_suppressed = False
        self._wanted_until_s = max(self._wanted_until_s, self.clock.seconds() + KEEP_S)
        self.book.forget()
        self._wake()

    def stop(self) -> None:
        """Nobody waits for offers any longer."""
        self._is_stopped = True
        self.close()

    def close(self) -> None:
        """The subscription is over."""
        self._is_open = False
        self.book.forget()
        self._wake()

    def offered(self, pieces: Sequence[mesos_pb2.Offer]) -> None:
        """The master offers."""
        now_s = self.clock.seconds()
        self._offered_s = now_s
        self.traffic.offers_received += len(pieces)
        for piece in pieces:
            for name, amount in amounts_of(piece.resources).items():
                self.traffic.resources.setdefault(name, Sum()).add(amount)
        refused = self.book.add(pieces)
        if refused:
            self._decline(refused)
        for host in {id(host): host for host in self._offering(pieces, now_s)}.values():
            free = Pool(self._resources(self.book.pieces_of(host.agent_id)))
            use = self.tasks.use(host.agent_id)
            of_executors = len(host.executors) * self.options.executor.cpus
            memory_mb = len(host.executors) * self.options.executor.memory_mb
            host.cpus = max(host.cpus, free.cpus + use.cpus + of_executors)
            host.memory_mb = max(host.memory_mb, free.memory_mb + use.memory_mb + memory_mb)
            if not host.executor_id:
                host.executor_id = self.executors.choose(host.executors, host.attributes)
        self._wake()

    def _offering(self, pieces: Sequence[mesos_pb2.Offer], now_s: float) -> Iterable[KnownHost]:
        return [self.hosts.offered(piece, now_s) for piece in pieces]

    def rescinded(self, piece_id: str) -> None:
        """The master takes an offer back."""
        self.book.rescind(piece_id)

    # --- what is asked ---------------------------------------------------------------------------

    async def gather(self) -> Sequence[Offer]:
        """See `ITaskBackend.gather_offers`. Raises `Unavailable` without a master."""
        deadline_s = self.clock.seconds() + CONNECTION_PATIENCE_S
        while True:
            await self._until(lambda: self._is_open, deadline_s - self.clock.seconds())
            if not self._is_open:
                raise Unavailable("there is no connection to a Mesos master, and so no offers")
            begun_s = self.clock.seconds()
            if self._is_missing():
                await self._revive()
            patience_s = PATIENCE_S if len(self.hosts) else FIRST_PATIENCE_S
            await self._until(partial(self._has_all, begun_s), patience_s)
            if self._is_open:
                break
        self._wanted_until_s = self.clock.seconds() + KEEP_S
        return self.book.lend(self._make_loan)

    def take_back(self, offers: Sequence[Offer]) -> None:
        """See `ITaskBackend.decline`: they are kept for the next who asks, or declined soon."""
        for offer in offers:
            self.book.take_back(offer)
        self._wake()

    def accept(self, offer: Offer, launches: Sequence[TaskLaunch]) -> None:
        """See `ITaskBackend.accept`. What cannot be started is told as an update."""
        if not launches:
            self.take_back([offer])
            return
        loan = self.book.redeem(offer)
        if loan is None:
            for launch in launches:
                self.tell(
                    launch.task_id, offer.agent_id, MesosState.TASK_DROPPED,
                    "the offer is no longer valid", "REASON_INVALID_OFFERS",
                )  # fmt: skip
            return
        infos = [info for launch in launches if (info := self._book(loan, launch)) is not None]
        if not infos:
            self._decline(loan.piece_ids, 0.0)
            return
        host = self.hosts.heard_of(loan.agent_id)
        self.hosts.launched(host, loan.executor_id, self.clock.seconds())
        Deferred.fromCoroutine(self._accept(loan, infos)).addErrback(_unexpected)

    def look_after(self) -> None:
        """Once a second: give up what nobody wants."""
        if not self._is_open or self.clock.seconds() < self._wanted_until_s:
            return
        if not self._is_suppressed:
            self._is_suppressed = True
            self._send(call.suppress())
        if self.book.has_kept:
            self._decline(self.book.clear())

    def infos(self) -> list[HostInfo]:
        """All hosts."""
        infos = []
        for host in self.hosts:
            use = self.tasks.use(host.agent_id)
            if self.hosts.replaced(host) and not use.tasks:
                continue
            executors = len(host.executors)
            infos.append(
                HostInfo(
                    name=host.name,
                    address=host.name,
                    agent_id=host.agent_id,
                    executor_id=host.executor_id,
                    attributes=host.attributes,
                    connected=not host.is_away,
                    cpus=host.cpus,
                    memory_mb=host.memory_mb,
                    cpus_used=use.cpus + executors * self.options.executor.cpus,
                    memory_mb_used=use.memory_mb + executors * self.options.executor.memory_mb,
                    tasks=use.tasks,
                    last_seen_s=host.last_seen_s,
                )
            )
        return infos

    # --- inside ----------------------------------------------------------------------------------

    def _is_missing(self) -> bool:
        """True where a host might have more than is here."""
        here = self.book.kept_agents | self.book.lent_agents
        present = {host.agent_id for host in self.hosts.present()}
        return not present or not present <= here

    def _has_all(self, begun_s: float) -> bool:
        if not self._is_open or not self._is_missing():
            return True
        now_s = self.clock.seconds()
        return self._offered_s >= begun_s and now_s >= self._offered_s + QUIET_S

    async def _until(self, condition: Callable[[], bool], patience_s: float) -> None:
        """Wait for something, looking again whenever offers come, and now and then."""
        deadline_s = self.clock.seconds() + patience_s
        while not condition() and not self._is_stopped:
            left_s = deadline_s - self.clock.seconds()
            if left_s <= 0:
                break
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            timer = self.clock.callLater(min(left_s, QUIET_S), self._wake)
            await waiter
            if timer.active():
                timer.cancel()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)

    async def _revive(self) -> None:
        wait_s = self._ration.take(self.clock.seconds())
        if wait_s and self._is_suppressed:
            # Nothing would come at all.
            await self._until(lambda: not self._is_suppressed, wait_s)
            wait_s = self._ration.take(self.clock.seconds()) if self._is_suppressed else 0.0
        if wait_s == 0.0 and self._is_open:
            self._is_suppressed = False
            self._wanted_until_s = self.clock.seconds() + KEEP_S + FIRST_PATIENCE_S
            self._send(call.revive())

    def _make_loan(self, agent_id: str, pieces: tuple[mesos_pb2.Offer, ...]) -> Loan | None:
        host = self.hosts.heard_of(agent_id)
        if host.is_away:
            return None
        pool = Pool(self._resources(pieces))
        executor_id = host.executor_id
        executor = self.executors.known(executor_id) if executor_id else None
        if executor is None:
            try:
                executor = self.executors.fresh(host.attributes, pool)
            except LookupError:
                return None
            executor_id = executor.executor_id.value
        offer = Offer(
            offer_id=pieces[0].id.value,
            agent_id=agent_id,
            host=host.name,
            address=host.name,
            attributes=host.attributes,
            cpus=pool.cpus,
            memory_mb=pool.memory_mb,
            ports=pool.ports,
            executor_id=executor_id,
        )
        return Loan(agent_id, pieces, pool, executor_id, executor, offer)

    def _book(self, loan: Loan, launch: TaskLaunch) -> mesos_pb2.TaskInfo | None:
        try:
            if self.tasks.get(launch.task_id) is not None:
                raise LookupError(f"Task has duplicate ID: {launch.task_id}")
            resources = loan.pool.take(launch.cpus, launch.memory_mb, launch.ports)
        except LookupError as error:
            self.tell(
                launch.task_id, loan.agent_id, MesosState.TASK_ERROR,
                f"it does not fit on {loan.offer.host}: {error}", "REASON_TASK_INVALID",
            )  # fmt: skip
            return None
        self.tasks.add(
            KnownTask(
                launch.task_id,
                loan.agent_id,
                loan.executor_id,
                cpus=launch.cpus,
                memory_mb=launch.memory_mb,
                since_s=self.clock.seconds(),
                is_launching=True,
            )
        )
        return call.task_info(launch, loan.agent_id, loan.executor, resources)

    async def _accept(self, loan: Loan, infos: Sequence[mesos_pb2.TaskInfo]) -> None:
        task_ids = [info.task_id.value for info in infos]
        self.traffic.launches.add(len(task_ids))
        try:
            await self.order(call.accept(loan.piece_ids, infos, 0.0), loan.agent_id)
        except Unanswered as error:
            log.warn("it is not known whether {count} tasks were launched on {host}, and the master"
                     " is asked for them: {reason}", count=len(infos), host=loan.offer.host,
                     reason=error.message)  # fmt: skip
            self._launch_is_answered(task_ids)
            self.doubt(task_ids)
        except AliecsError as error:
            refused = isinstance(error, Refused)
            state = MesosState.TASK_ERROR if refused else MesosState.TASK_DROPPED
            self.hosts.not_started(loan.agent_id, loan.executor_id)
            for task_id in task_ids:
                self.tell(task_id, loan.agent_id, state, error.message, "REASON_INVALID_OFFERS")
        else:
            self._launch_is_answered(task_ids)

    def _launch_is_answered(self, task_ids: Iterable[str]) -> None:
        for task_id in task_ids:
            task = self.tasks.get(task_id)
            if task is not None:
                task.is_launching = False

    def _decline(self, piece_ids: Sequence[str], refuse_s: float | None = None) -> None:
        self.traffic.offers_declined += len(piece_ids)
        seconds = self.options.refuse_s if refuse_s is None else refuse_s
        self._send(call.decline(piece_ids, seconds))

    def _send(self, message: Call) -> None:
        """What fails to arrive ends the subscription, and the offers with it."""
        self.order(message, "").addErrback(_reported)

    @staticmethod
    def _resources(pieces: Iterable[mesos_pb2.Offer]) -> list[mesos_pb2.Resource]:
        return [resource for piece in pieces for resource in piece.resources]


def _reported(failure: object) -> None:
    log.debug("a call to the Mesos master failed: {failure}", failure=failure)


def _unexpected(failure: object) -> None:
    log.error("launching tasks on Mesos: {failure}", failure=failure)
