"""Commands to tasks, and waiting for their answers.

An *order* is one command to many tasks: a transition, or the triggering of hooks. It is over when
every task has answered, at the first failure of a critical one, or at its deadline, whichever is
first. Answers that come later still change the state of their task, they just have nobody waiting.
A task that ends fails its order at once. Orders of different environments know nothing of each
other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from aliecs.errors import AliecsError
from aliecs.interfaces import ITaskBackend
from aliecs.language.state import State
from aliecs.protocol.identifier import new_xid
from aliecs.protocol.message import (
    NANOSECONDS,
    BasicTaskTerminated,
    CommandResponse,
    TransitionCommand,
    TriggerHookCommand,
    target,
)
from aliecs.task.pace import Pace
from aliecs.task.task import Task

HOOK_START_TIMEOUT_S = 90.0
"""How long an executor may take to say that it started a hook."""


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
    waiting: dict[str, Task]
    over: Callable[[_Order], None]
    destination: State | None = None
    """Where a transition leads."""
    waits_for_all: bool = False
    """A critical failure does not end it."""
    done: Deferred[Outcome] = field(factory=Deferred)
    failures: list[TaskFailure] = field(factory=list)
    timers: list[IDelayedCall] = field(factory=list)

    def succeed(self, task: Task) -> None:
        """The task did it."""
        if self.waiting.pop(task.id, None) is not None and not self.waiting:
            self.finish()

    def fail(self, task: Task, reason: str, exit: str = "") -> None:
        """The task did not."""
        if self.waiting.pop(task.id, None) is None:
            return
        self.failures.append(TaskFailure(task, reason, exit))
        if not self.waiting or (task.critical and not self.waits_for_all):
            self.finish()

    def expire(self, seconds: float) -> None:
        """The deadline: who has not answered has failed."""
        for task in tuple(self.waiting.values()):
            reason = f"{self.what} timed out: no answer within {seconds:g} s"
            self.waiting.pop(task.id)
            self.failures.append(TaskFailure(task, reason))
        self.finish()

    def finish(self) -> None:
        """Nothing is waited for any more."""
        if self.done.called:
            return
        self.over(self)
        for timer in self.timers:
            if timer.active():
                timer.cancel()
        self.done.callback(Outcome(tuple(self.failures), tuple(self.waiting.values())))


@define(eq=False)
class Commander:
    """Sends orders and hands answers to them."""

    backend: ITaskBackend
    clock: IReactorTime
    pace: Pace
    _orders: dict[str, _Order] = field(init=False, factory=dict)

    async def transition(
        self,
        tasks: Sequence[Task],
        step: TaskTransition,
        arguments: Callable[[Task], Mapping[str, str]],
        timeout_s: float,
        environment_id: str,
        waits_for_all: bool = False,
    ) -> Outcome:
        """Take tasks through one event of their machine, at most `timeout_s`. `waits_for_all`: also
        those of which nobody knows yet, when a critical one has failed."""
        if not tasks:
            return Outcome(())
        order = self._open(step.event, tasks, step.destination)
        order.waits_for_all = waits_for_all
        order.timers.append(self.clock.callLater(timeout_s, order.expire, timeout_s))

        def encode(task: Task) -> bytes:
            return TransitionCommand(
                id=order.id,
                environment_id=environment_id,
                timeout_ns=int(timeout_s * NANOSECONDS),
                arguments=dict(arguments(task)),
                targets=(target(task.agent_id, task.executor_id, task.id),),
                source=step.source.name,
                event=step.event,
                destination=step.destination.name,
            ).encode()

        return await self._send(order, tasks, encode)

    async def trigger(
        self, tasks: Sequence[Task], timeout_s: Callable[[Task], float], environment_id: str
    ) -> Outcome:
        """Start the processes of hooks and wait until each has ended: with exit code 0, or it has
        failed. Each hook has its own time limit."""
        if not tasks:
            return Outcome(())
        order = self._open("hook", tasks)
        for task in tasks:
            seconds = timeout_s(task)
            reason = f"timed out after {seconds:g} s"
            order.timers.append(self.clock.callLater(seconds, order.fail, task, reason))

        def encode(task: Task) -> bytes:
            return TriggerHookCommand(
                id=order.id,
                environment_id=environment_id,
                timeout_ns=int(HOOK_START_TIMEOUT_S * NANOSECONDS),
                targets=(target(task.agent_id, task.executor_id, task.id),),
            ).encode()

        return await self._send(order, tasks, encode)

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

    def give_up(self, tasks: Iterable[Task], reason: str) -> None:
        """Somebody else decided that these orders are over."""
        for task in tasks:
            self.ended(task, reason)

    # --- inside ----------------------------------------------------------------------------

    def _open(self, what: str, tasks: Sequence[Task], destination: State | None = None) -> _Order:
        waiting = {task.id: task for task in tasks}
        order = _Order(new_xid(), what, waiting, self._over, destination)
        self._orders[order.id] = order
        return order

    def _waiting_for(self, task: Task) -> list[_Order]:
        """Orders are few: about one for each environment in a transition."""
        return [order for order in self._orders.values() if task.id in order.waiting]

    def _over(self, order: _Order) -> None:
        del self._orders[order.id]

    async def _send(
        self, order: _Order, tasks: Sequence[Task], encode: Callable[[Task], bytes]
    ) -> Outcome:
        groups: dict[str, list[Task]] = {}
        for task in tasks:
            groups.setdefault(task.executor_id, []).append(task)
        try:
            for group in groups.values():
                for task in group:
                    if order.done.called:
                        break
                    self._send_one(order, task, encode)
                    await self.pace.breathe()
            return await order.done
        finally:
            # Cancelled, or failed to send: nobody waits any more.
            order.finish()

    def _send_one(self, order: _Order, task: Task, encode: Callable[[Task], bytes]) -> None:
        if not task.living:
            order.fail(task, f"has ended: {task.end}" if task.end else "is not running")
            return
        try:
            self.backend.send(task.agent_id, task.executor_id, encode(task))
        except AliecsError as error:
            order.fail(task, f"cannot be told: {error.message}")


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
