"""Commands to tasks, and waiting for their answers.

An *order* is one command to many tasks: a transition, or the triggering of hooks. It is over when
every task has answered, a moment after the first failure of a critical one, or at its deadline,
whichever is first. Answers that come later still change the state of their task, they just have
nobody waiting. A task that ends fails its order at once. Orders of different environments know
nothing of each other.

Messages are not acknowledged by what carries them. A command that cannot be sent is held back for a
while and sent when there is a way; after one that is not answered the executor is asked, where it
can answer that: it repeats an answer that was lost, and a command that never arrived is sent again.
Nothing of this is kept for longer than the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from aliecs.errors import AliecsError, OutOfReach
from aliecs.interfaces import ITaskBackend
from aliecs.language.state import State
from aliecs.protocol.identifier import new_xid
from aliecs.protocol.message import (
    NANOSECONDS,
    AskAgainCommand,
    BasicTaskTerminated,
    CommandResponse,
    TransitionCommand,
    TriggerHookCommand,
    target,
)
from aliecs.task.ability import Abilities
from aliecs.task.pace import Pace
from aliecs.task.task import Task

HOOK_START_TIMEOUT_S = 90.0
"""How long an executor may take to say that it started a hook."""

HOLD_S = 15.0
"""For so long a command is held back that cannot be sent."""

LOOK_S = 0.5
"""Between two looks at an order that is under way."""

FIRST_DOUBT_S = 5.0
"""An executor that does not answer is asked after so long, or after a part of the time limit."""

LAST_DOUBT_S = 30.0
"""Between later questions the time doubles, up to this."""

DOUBTS = 12.0
"""This part of a time limit is one twelfth."""

GATHER_S = 0.1
"""How long failures are gathered after the first critical one: what failed with it is told too.
Shorter than environments wait before they react to the end of a task."""

ASK_AGAIN = str(AskAgainCommand.__struct_config__.tag)


@frozen
class TaskTransition:
    """One event of the task machine: what tasks are told to do."""

    event: str
    source: State
    destination: State


CONFIGURE = TaskTransition("CONFIGURE", State.STANDBY, State.CONFIGURED)
START = TaskTransition("START", State.CONFIGURED, State.RUNNING)
STOP = TaskTransition("STOP", State.RUNNING, State.CONFIGURED)
RESET = TaskTransition("RESET", State.CONFIGURED, State.STANDBY)
RECOVER = TaskTransition("RECOVER", State.ERROR, State.STANDBY)


@frozen
class TaskFailure:
    """A task that did not do what it was told, and why."""

    task: Task
    reason: str
    exit: str = ""
    """How the process of a hook ended, where it did."""

    def __str__(self) -> str:
        return f"{self.task.describe()}: {self.reason}"


@frozen
class Outcome:
    """What became of an order. `failures` are in the order in which they happened; `waiting` are
    tasks that had not answered when the order was over."""

    failures: Sequence[TaskFailure]
    waiting: Sequence[Task] = ()

    @property
    def critical_failures(self) -> Sequence[TaskFailure]:
        """Failures of tasks that the environment cannot do without."""
        return [failure for failure in self.failures if failure.task.critical]


@define(eq=False)
class _Order:
    """One command under way."""

    id: str
    what: str
    environment_id: str
    waiting: dict[str, Task]
    over: Callable[[_Order], None]
    encode: Callable[[Task], bytes]
    ask_at_s: float
    """When executors are asked for what has not been answered, and how long until the next time."""
    ask_pause_s: float
    destination: State | None = None
    """Where a transition leads."""
    waits_for_all: bool = False
    """A critical failure does not end it."""
    opened_s: float = 0.0
    succeeded: Callable[[Task], None] = lambda task: None
    """Told of each task that did it."""
    gather: Callable[[Callable[[], None]], IDelayedCall] | None = None
    """Calls what it is given after a moment."""
    is_gathering: bool = False
    done: Deferred[Outcome] = field(factory=Deferred)
    failures: list[TaskFailure] = field(factory=list)
    timers: list[IDelayedCall] = field(factory=list)
    held: dict[str, str] = field(factory=dict)
    """Tasks that cannot be told now, and why."""
    held_since_s: dict[str, float] = field(factory=dict)
    asked: set[str] = field(factory=set)
    """Tasks whose executor was asked what became of the command; of the others it cannot be."""
    under_way: set[str] = field(factory=set)
    """Tasks whose executor has answered that it waits for them too."""
    care: LoopingCall | None = None
    is_over: bool = False

    def succeed(self, task: Task) -> None:
        """The task did it."""
        if self.waiting.pop(task.id, None) is None:
            return
        self.succeeded(task)
        if not self.waiting:
            self.finish()

    def fail(self, task: Task, reason: str, exit: str = "") -> None:
        """The task did not."""
        if self.waiting.pop(task.id, None) is None:
            return
        self.failures.append(TaskFailure(task, reason, exit))
        if not self.waiting:
            self.finish()
        elif task.critical and not self.waits_for_all and not self.is_gathering:
            self.is_gathering = True
            assert self.gather is not None
            self.timers.append(self.gather(self.finish))

    def expire(self, seconds: float) -> None:
        """The deadline: who has not answered has failed."""
        for task in tuple(self.waiting.values()):
            reason = f"{self.what} timed out: no answer within {seconds:g} s{self._silence(task)}"
            self.waiting.pop(task.id)
            self.failures.append(TaskFailure(task, reason))
        self.finish()

    def _silence(self, task: Task) -> str:
        """Where to look for what does not answer."""
        if task.id in self.held:
            return f", it cannot be told: {self.held[task.id]}"
        if task.id in self.under_way:
            return " of the task; its executor answers"
        return ", nor does its executor answer" if task.id in self.asked else ""

    def finish(self) -> None:
        """Nothing is waited for any more."""
        if self.is_over:
            return
        self.is_over = True
        self.over(self)
        for timer in self.timers:
            if timer.active():
                timer.cancel()
        if self.care is not None and self.care.running:
            self.care.stop()
        # Whoever gave up waiting has cancelled it.
        if not self.done.called:
            self.done.callback(Outcome(tuple(self.failures), tuple(self.waiting.values())))


@define(eq=False)
class Commander:
    """Sends orders and hands answers to them."""

    backend: ITaskBackend
    clock: IReactorTime
    pace: Pace
    abilities: Abilities
    _orders: dict[str, _Order] = field(init=False, factory=dict)
    _log: Logger = field(init=False, factory=Logger)

    async def transition(
        self,
        tasks: Sequence[Task],
        step: TaskTransition,
        arguments: Callable[[Task], Mapping[str, str]],
        timeout_s: float,
        environment_id: str,
        waits_for_all: bool = False,
        succeeded: Callable[[Task], None] = lambda task: None,
    ) -> Outcome:
        """Take tasks through one event of their machine, at most `timeout_s`. `waits_for_all`: also
        those of which nobody knows yet, when a critical one has failed. `succeeded` is told of each
        that did it."""
        if not tasks:
            return Outcome(())
        order_id = new_xid()

        def encode(task: Task) -> bytes:
            return TransitionCommand(
                id=order_id,
                environment_id=environment_id,
                timeout_ns=int(timeout_s * NANOSECONDS),
                arguments=dict(arguments(task)),
                targets=(target(task.agent_id, task.executor_id, task.id),),
                source=step.source.name,
                event=step.event,
                destination=step.destination.name,
            ).encode()

        order = self._open(order_id, step.event, tasks, environment_id, encode, timeout_s)
        order.destination = step.destination
        order.waits_for_all = waits_for_all
        order.succeeded = succeeded
        order.timers.append(self.clock.callLater(timeout_s, order.expire, timeout_s))
        for task in tasks:
            task.order_id = order_id
        return await self._send(order, tasks)

    async def trigger(
        self,
        tasks: Sequence[Task],
        timeout_s: Callable[[Task], float],
        environment_id: str,
        succeeded: Callable[[Task], None] = lambda task: None,
    ) -> Outcome:
        """Start the processes of hooks and wait until each has ended: with exit code 0, or it has
        failed. Each hook has its own time limit."""
        if not tasks:
            return Outcome(())
        order_id = new_xid()

        def encode(task: Task) -> bytes:
            return TriggerHookCommand(
                id=order_id,
                environment_id=environment_id,
                timeout_ns=int(HOOK_START_TIMEOUT_S * NANOSECONDS),
                targets=(target(task.agent_id, task.executor_id, task.id),),
            ).encode()

        order = self._open(order_id, "hook", tasks, environment_id, encode, HOOK_START_TIMEOUT_S)
        order.succeeded = succeeded
        for task in tasks:
            seconds = timeout_s(task)
            reason = f"timed out after {seconds:g} s"
            order.timers.append(self.clock.callLater(seconds, order.fail, task, reason))
        return await self._send(order, tasks)

    def waited_for(self, environment_id: str) -> Iterator[tuple[Task, str, float]]:
        """Tasks of an environment that have not answered, the longest first: each with what it is
        to do, and for how many seconds."""
        now_s = self.clock.seconds()
        for order in tuple(self._orders.values()):
            if order.environment_id == environment_id:
                for task in tuple(order.waiting.values()):
                    yield task, order.what, now_s - order.opened_s

    # --- what comes back -------------------------------------------------------------------

    def answered(self, task: Task, response: CommandResponse) -> None:
        """An executor answered a command; the task's state was set before."""
        order = self._orders.get(response.id)
        if order is None:
            return
        if response.error:
            order.fail(task, response.error)
        elif response.name == "MesosCommand_Transition":
            state = State.parse(response.state) if response.state else order.destination
            if state is order.destination:
                order.succeed(task)
            else:
                # The reference's executor reports success also where it has done nothing.
                order.fail(task, f"{order.what} left it in {response.state}")

    def not_sent(self, order_id: str, task_id: str, reason: str) -> None:
        """A command that was sent did not leave."""
        order = self._orders.get(order_id)
        task = order.waiting.get(task_id) if order is not None else None
        if order is not None and task is not None:
            self._hold(order, task, reason)

    def asked(self, task: Task, response: CommandResponse) -> None:
        """An executor has been asked about a command, and has no answer to it."""
        order = self._orders.get(response.id)
        if order is None or task.id not in order.waiting or task.id in order.held:
            return
        if response.output == AskAgainCommand.UNDER_WAY:
            order.under_way.add(task.id)
        elif response.output == AskAgainCommand.UNKNOWN:
            self._log.warn(
                "{what} of task {task} did not arrive and is sent again",
                what=order.what,
                task=task.describe(),
            )
            self._send_one(order, task)

    def hook_ended(self, task: Task, result: BasicTaskTerminated) -> None:
        """The process of a hook ended."""
        for order in self._waiting_for(task):
            if order.what != "hook":
                continue
            if result.exit_code == 0 and result.voluntary_termination:
                order.succeed(task)
            else:
                order.fail(task, _hook_failure(result), _hook_exit(result))

    def ended(self, task: Task, reason: str) -> None:
        """The task ended: it will not answer any more."""
        for order in self._waiting_for(task):
            order.fail(task, reason)

    # --- inside ----------------------------------------------------------------------------

    def _open(
        self,
        order_id: str,
        what: str,
        tasks: Sequence[Task],
        environment_id: str,
        encode: Callable[[Task], bytes],
        timeout_s: float,
    ) -> _Order:
        pause_s = min(FIRST_DOUBT_S, timeout_s / DOUBTS)
        order = _Order(
            id=order_id,
            what=what,
            environment_id=environment_id,
            waiting={task.id: task for task in tasks},
            over=self._over,
            encode=encode,
            ask_at_s=self.clock.seconds() + pause_s,
            ask_pause_s=pause_s,
            opened_s=self.clock.seconds(),
            gather=lambda finish: self.clock.callLater(GATHER_S, finish),
        )
        self._orders[order.id] = order
        return order

    def _waiting_for(self, task: Task) -> list[_Order]:
        """Orders are few: about one for each environment in a transition."""
        return [order for order in self._orders.values() if task.id in order.waiting]

    def _over(self, order: _Order) -> None:
        del self._orders[order.id]

    async def _send(self, order: _Order, tasks: Sequence[Task]) -> Outcome:
        groups: dict[str, list[Task]] = {}
        for task in tasks:
            groups.setdefault(task.executor_id, []).append(task)
        try:
            for group in groups.values():
                for task in group:
                    if order.done.called:
                        break
                    self._send_one(order, task)
                    await self.pace.breathe()
            if not order.done.called:
                self._take_care(order)
            return await order.done
        finally:
            # Cancelled, or failed to send: nobody waits any more.
            order.finish()

    def _send_one(self, order: _Order, task: Task) -> None:
        if not task.living:
            order.fail(task, f"has ended: {task.end}" if task.end else "is not running")
            return
        order.held.pop(task.id, None)
        try:
            self.backend.send(task.agent_id, task.executor_id, order.encode(task))
        except OutOfReach as error:
            if task.given_up:
                order.fail(task, f"cannot be told: {error.message}")
            else:
                self._hold(order, task, error.message)
        except AliecsError as error:
            order.fail(task, f"cannot be told: {error.message}")

    # --- what does not arrive --------------------------------------------------------------

    def _hold(self, order: _Order, task: Task, reason: str) -> None:
        if not order.held_since_s:
            self._log.warn(
                "{what} is held back for up to {seconds:g} s: {reason}",
                what=order.what,
                seconds=HOLD_S,
                reason=reason,
            )
        order.held[task.id] = reason
        order.held_since_s.setdefault(task.id, self.clock.seconds())

    def _take_care(self, order: _Order) -> None:
        order.care = LoopingCall(self._look_after, order)
        order.care.clock = self.clock
        order.care.start(LOOK_S, now=False).addErrback(
            lambda failure: self._log.failure("looking after {what}", failure, what=order.what)
        )

    async def _look_after(self, order: _Order) -> None:
        now_s = self.clock.seconds()
        if order.held:
            await self._send_held(order, now_s)
        if now_s >= order.ask_at_s:
            order.ask_at_s = now_s + order.ask_pause_s
            order.ask_pause_s = min(2 * order.ask_pause_s, LAST_DOUBT_S)
            await self._ask_after(order)

    async def _send_held(self, order: _Order, now_s: float) -> None:
        """Try again, once for each executor that still cannot be reached."""
        closed: dict[str, str] = {}
        for task_id in tuple(order.held):
            task = order.waiting.get(task_id)
            if order.done.called or task is None:
                order.held.pop(task_id, None)
                continue
            if task.executor_id not in closed:
                self._send_one(order, task)
            else:
                order.held[task_id] = closed[task.executor_id]
            reason = order.held.get(task_id)
            if reason is None:
                await self.pace.breathe()
                continue
            closed[task.executor_id] = reason
            if now_s >= order.held_since_s[task_id] + HOLD_S:
                order.fail(task, f"cannot be told, it was tried for {HOLD_S:g} s: {reason}")
        if not order.held and not order.done.called:
            self._log.info("{what} was held back and is sent now", what=order.what)

    async def _ask_after(self, order: _Order) -> None:
        """Ask executors what became of what they have not answered."""
        for task in tuple(order.waiting.values()):
            if order.done.called:
                return
            able = self.abilities.has(task.executor_id, ASK_AGAIN)
            if not able or task.id in order.held or task.id not in order.waiting:
                continue
            question = AskAgainCommand(
                id=order.id,
                environment_id=order.environment_id,
                targets=(target(task.agent_id, task.executor_id, task.id),),
            )
            order.asked.add(task.id)
            with suppress(AliecsError):
                self.backend.send(task.agent_id, task.executor_id, question.encode())
            await self.pace.breathe()


def _hook_failure(result: BasicTaskTerminated) -> str:
    """Exit code and last line, in the words of the control API."""
    output = (result.stderr or result.stdout).strip()
    last = f": {output.splitlines()[-1][:500]}" if output else ""
    if result.exit_code > 0:
        kind = "finished with non-zero exit code"
    else:
        kind = "involuntary termination with exit code"
    return f"{kind} {result.exit_code} (status {result.final_mesos_state}){last}"


def _hook_exit(result: BasicTaskTerminated) -> str:
    """How the process ended. Where there is no exit code, the executor's note about it is the last
    thing in the output."""
    if result.exit_code >= 0:
        return f"exit code {result.exit_code}"
    return result.stderr.strip().rpartition("\n")[2].strip("[]") or result.final_mesos_state
