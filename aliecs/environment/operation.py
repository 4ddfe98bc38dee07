"""Long actions that somebody asked for: creating, controlling and destroying environments.

An operation has an id from its first moment and goes on whoever waits for it: a client that hangs
up ends only its own waiting. Its result stays readable after it is over.
"""

from __future__ import annotations

import enum
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aliecs.environment.result import StepResult, Waiting
from aliecs.errors import Aborted, AliecsError, Conflict, NotFound
from aliecs.event.record import User
from aliecs.protocol.identifier import IdentifierGenerator

KEPT = 1000
"""Operations that stay readable after they are over."""

NODES_KEPT = 20_000
"""Tasks that are kept of all of them; of older operations only the first failures are then."""


class OperationState(enum.Enum):
    """Where an operation stands."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


@frozen
class Abortion:
    """Who gave up an operation, and why."""

    user: User
    reason: str

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"by {self.user.name or 'somebody'}{reason}"


@define(eq=False)
class Operation:
    """One long action. Times are Unix milliseconds; `step` says what is being done now."""

    id: str
    kind: str
    user: User
    environment_id: str
    started_ms: int
    state: OperationState = OperationState.RUNNING
    ended_ms: int = 0
    step: str = ""
    progress: Callable[[], tuple[int, int]] | None = None
    """Counts, when somebody asks, what of the step is done and how much it is in all."""
    waited_for: Callable[[int], Waiting] | None = None
    """Tells who is waited for, up to so many."""
    results: list[StepResult] = field(factory=list)
    """What became of the tasks, by step."""
    abortion: Abortion | None = None
    closing: str = ""
    """Why it cannot be given up any more, such as "is being undone"; empty while it can."""
    error: str = ""
    failure: Failure | None = None
    result: Any = None
    work: Deferred[Any] | None = None
    _waiting: list[Deferred[Any]] = field(factory=list)

    async def wait(self) -> Any:
        """Wait until it is over and give its result, or raise its error. Whoever cancels this ends
        its own waiting and nothing else."""
        result = self.result
        if self.state is OperationState.RUNNING:
            over: Deferred[Any] = Deferred()
            self._waiting.append(over)
            try:
                result = await over
            finally:
                if over in self._waiting:
                    self._waiting.remove(over)
        if self.failure is not None:
            self.failure.raiseException()
        return result

    def let_go(self) -> None:
        """Drop everything but what is told of an operation that is over. A result may be a whole
        environment, and a failure holds every frame that it came through."""
        self.result = self.work = self.progress = self.waited_for = None
        problem = self.failure.value if self.failure is not None else None
        if problem is not None:
            problem.__cause__ = problem.__context__ = None
            self.failure = Failure(problem.with_traceback(None))

    def abort(self, user: User, reason: str) -> None:
        """Give it up: what it does now is cancelled, and it undoes what it did. Raises `Conflict`
        where it cannot be."""
        name = f"operation {self.id} ({self.kind})"
        if self.state is not OperationState.RUNNING:
            raise Conflict(f"{name} cannot be aborted: it is over, {self.state.value}")
        if self.abortion is not None:
            raise Conflict(f"{name} is being aborted already, {self.abortion}")
        if self.closing:
            raise Conflict(f"{name} cannot be aborted: it {self.closing}")
        self.abortion = Abortion(user, reason)
        if self.work is not None:
            self.work.cancel()

    def why_cancelled(self, otherwise: str) -> str:
        """Why something of it was cancelled, for texts."""
        return str(self.abortion) if self.abortion is not None else otherwise

    def finish(self, now_ms: int) -> None:
        """It is over; hand the result to everyone who waits."""
        self.ended_ms = now_ms
        waiting, self._waiting = self._waiting, []
        result = self.result
        for over in waiting:
            over.callback(result)


@define(eq=False)
class Operations:
    """All operations of a core, those that run and the last that ended."""

    identifiers: IdentifierGenerator
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    _operations: OrderedDict[str, Operation] = field(init=False, factory=OrderedDict)
    _held: list[Operation] = field(init=False, factory=list)
    """Those that ended since the last one was started: whoever started one of them, and found it
    over at once, is still to take its result."""
    _log: Logger = field(init=False, factory=Logger)

    def start(
        self,
        kind: str,
        user: User,
        environment_id: str,
        work: Callable[[Operation], Coroutine[Any, Any, Any]],
    ) -> Operation:
        """Start an operation; `work` is its coroutine, given the operation to report to."""
        held, self._held = self._held, []
        for one in held:
            one.let_go()
        operation = Operation(self.identifiers.new(), kind, user, environment_id, self.now_ms())
        self._operations[operation.id] = operation
        self._forget_old()
        operation.work = Deferred.fromCoroutine(work(operation))
        operation.work.addCallbacks(
            lambda result: self._succeeded(operation, result),
            lambda failure: self._failed(operation, failure),
        )
        return operation

    def get(self, operation_id: str) -> Operation:
        """The operation of that id. Raises `NotFound`."""
        try:
            return self._operations[operation_id]
        except KeyError:
            raise NotFound(f"no operation with id {operation_id[:40]}") from None

    def find(self, operation_id: str) -> Operation | None:
        """The operation of that id; None where there is none."""
        return self._operations.get(operation_id)

    def error(self, operation_id: str) -> Exception:
        """What made an operation fail. Raises `NotFound`, also for one that did not fail."""
        failure = self.get(operation_id).failure
        if failure is None or not isinstance(failure.value, Exception):
            raise NotFound(f"operation {operation_id} did not fail")
        return failure.value

    def all(self) -> Sequence[Operation]:
        """Oldest first."""
        return list(self._operations.values())

    def running(self) -> Sequence[Operation]:
        """Those that are not over."""
        return [o for o in self._operations.values() if o.state is OperationState.RUNNING]

    def _succeeded(self, operation: Operation, result: Any) -> None:
        operation.result = result
        operation.state = OperationState.SUCCEEDED
        self._held.append(operation)
        self._shorten_old()
        operation.finish(self.now_ms())

    def _failed(self, operation: Operation, failure: Failure) -> None:
        if operation.abortion is not None and failure.check(CancelledError):
            failure = Failure(Aborted(f"{operation.kind} aborted {operation.abortion}"))
        if not isinstance(failure.value, AliecsError):
            self._log.failure(
                "operation {operation} ({kind}) failed for a reason that is a fault of ours",
                failure,
                operation=operation.id,
                kind=operation.kind,
            )
        operation.failure = failure
        operation.error = failure.getErrorMessage()
        aborted = isinstance(failure.value, Aborted)
        operation.state = OperationState.ABORTED if aborted else OperationState.FAILED
        self._held.append(operation)
        self._shorten_old()
        operation.finish(self.now_ms())

    def _forget_old(self) -> None:
        over = [o.id for o in self._operations.values() if o.state is not OperationState.RUNNING]
        for operation_id in over[: max(0, len(self._operations) - KEPT)]:
            del self._operations[operation_id]

    def _shorten_old(self) -> None:
        """Of operations that ended long ago less is kept, where there is much."""
        kept = 0
        for operation in reversed(self._operations.values()):
            for result in operation.results:
                if kept > NODES_KEPT and operation.ended_ms:
                    result.shorten()
                kept += result.nodes_kept
