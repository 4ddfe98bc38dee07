"""Keeps tasks: what is heard of them, what is asked about them, and that a kill arrives.

Updates are acknowledged after the observer has taken them; the next one of the same task comes only
then. What a master cannot know is not taken for an end, see `task`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from aliecs.backend.mesos import call
from aliecs.backend.mesos.desk import Order
from aliecs.backend.mesos.host import HostBook
from aliecs.backend.mesos.task import KnownTask, Meaning, TaskBook, is_away
from aliecs.errors import AliecsError
from aliecs.interfaces import ITaskObserver, MesosState, TaskUpdate
from aliecs.protocol.mesos_pb2 import TaskStatus
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event

FIRST_KILL_PAUSE_S = 10.0
LAST_KILL_PAUSE_S = 60.0
DOUBT_S = 30.0
"""Tasks of which nothing is heard are asked for so often."""
EVERYTHING_S = 600.0
"""All tasks are asked for so often."""
FORGET_S = 3600.0
"""An agent that is away for so long, without tasks, is forgotten."""

log = Logger()


@define
class _Kill:
    agent_id: str
    due_s: float
    pause_s: float = FIRST_KILL_PAUSE_S


@define(eq=False)
class TaskKeeper:
    """See the module."""

    clock: IReactorTime
    tasks: TaskBook
    hosts: HostBook
    order: Order
    observer: ITaskObserver
    is_closed: bool = False
    """Nothing is told any more."""
    asked_all_s: float = field(default=0.0, init=False)
    """When all tasks were asked for."""
    _asked_s: float = field(default=0.0, init=False)
    _kills: dict[str, _Kill] = field(factory=dict, init=False)

    # --- what the master says --------------------------------------------------------------------

    def updated(self, status: TaskStatus) -> None:
        """An update. It is acknowledged unless the observer could not take it."""
        meaning = self.tasks.meaning(status)
        task = self.tasks.get(status.task_id.value)
        agent_id = status.agent_id.value or (task.agent_id if task is not None else "")
        if meaning is Meaning.AWAY and task is not None:
            self.away(task.agent_id, status.message or MesosState(status.state).name)
        elif status.uuid or not is_away(status, MesosState(status.state)):
            self.seen(agent_id)
        if meaning is Meaning.TELL:
            if not self._observe(self.observer.task_status, _update(status, agent_id)):
                # It comes again.
                return
            self._note(status, task)
        if status.uuid:
            self._send(call.acknowledge(status), agent_id)

    def _note(self, status: TaskStatus, task: KnownTask | None) -> None:
        never_ran = task is not None and task.state is MesosState.TASK_STAGING
        self.tasks.note(status, self.clock.seconds())
        if MesosState(status.state).is_terminal:
            self._kills.pop(status.task_id.value, None)
            by_master = status.source == TaskStatus.SOURCE_MASTER
            if task is None or not never_ran or not by_master:
                return
            if not self.tasks.has_executor(task.agent_id, task.executor_id):
                self.hosts.not_started(task.agent_id, task.executor_id)

    def message(self, agent_id: str, executor_id: str, message: bytes) -> None:
        """An executor says something."""
        self.seen(agent_id)
        self._observe(self.observer.executor_message, agent_id, executor_id, message)

    def not_sent(self, executor_id: str, message: bytes, reason: str) -> None:
        """A message to an executor has not left."""
        self._observe(self.observer.message_not_sent, executor_id, message, reason)

    def failure(self, event: Event.Failure) -> None:
        """An executor has ended, or there is no contact to an agent."""
        agent_id, executor_id = event.agent_id.value, event.executor_id.value
        if not executor_id:
            if self.hosts.get(agent_id) is None and not self.tasks.of_agent(agent_id):
                # Masters tell of all agents, also of those that nobody here has heard of.
                return
            self.away(agent_id, "the Mesos master has no contact to it")
            return
        host = self.hosts.get(agent_id)
        name = host.name if host is not None else agent_id
        self.hosts.executor_ended(agent_id, executor_id)
        reason = describe_status(event.status) if event.HasField("status") else "no reason is known"
        log.warn("executor {executor} on {host} has ended: {reason}",
                 executor=executor_id, host=name, reason=reason)  # fmt: skip
        self._observe(self.observer.executor_lost, agent_id, executor_id, name, reason)

    # --- agents ----------------------------------------------------------------------------------

    def away(self, agent_id: str, reason: str) -> None:
        """Nobody has contact to an agent; its tasks may well run."""
        host = self.hosts.heard_of(agent_id)
        if not host.is_away:
            host.away_since_s, host.away_reason = self.clock.seconds(), reason
            self._observe(self.observer.agent_unreachable, agent_id, host.name, reason)

    def seen(self, agent_id: str) -> None:
        """Something came from an agent."""
        host = self.hosts.get(agent_id)
        if host is None:
            return
        host.last_seen_s = time.time()
        if host.is_away:
            host.away_since_s, host.away_reason = None, ""
            self._observe(self.observer.agent_returned, agent_id, host.name)
            self.ask(self.tasks.of_agent(agent_id))
            for kill in self._kills.values():
                if kill.agent_id == agent_id:
                    kill.due_s = self.clock.seconds()

    # --- what is asked ---------------------------------------------------------------------------

    def kill(self, task_id: str, agent_id: str) -> None:
        """Have a task killed, again and again until it has ended."""
        end = self.tasks.end_of(task_id)
        if end is not None:
            self.tell_later(task_id, agent_id, end, "it has ended before", "REASON_RECONCILIATION")
            return
        task = self._known(task_id, agent_id)
        if task_id not in self._kills:
            due_s = self.clock.seconds() + FIRST_KILL_PAUSE_S
            self._kills[task_id] = _Kill(task.agent_id, due_s)
        self._send(call.kill(task_id, task.agent_id), task.agent_id)

    def reconcile(self, tasks: Mapping[str, str]) -> None:
        """Ask for tasks; what has ended is told again."""
        asked = []
        for task_id, agent_id in tasks.items():
            end = self.tasks.end_of(task_id)
            if end is not None:
                self.tell_later(task_id, agent_id, end, "it has ended", "REASON_RECONCILIATION")
            else:
                asked.append(self._known(task_id, agent_id))
        self.ask(asked, again=True)

    def ask(self, tasks: Sequence[KnownTask], again: bool = False) -> None:
        """Ask the master for some tasks. `again`: tell what it says also where it is known."""
        wanted = {task.task_id: task.agent_id for task in tasks if not task.is_launching}
        for task in tasks:
            task.is_asked = task.is_asked or again
        for message in call.reconcile(wanted):
            self._send(message, "")

    def subscribed(self) -> None:
        """A subscription has begun: what was asked and ordered before may have been forgotten."""
        self.ask_for_everything()
        for kill in self._kills.values():
            kill.due_s, kill.pause_s = self.clock.seconds(), FIRST_KILL_PAUSE_S

    def ask_for_everything(self) -> None:
        """Ask for all tasks that the master knows, and for all that we know."""
        self.asked_all_s = self.clock.seconds()
        self._send(call.reconcile_all(), "")
        self.ask(list(self.tasks))

    def doubt(self, task_ids: Sequence[str]) -> None:
        """It is not known what became of tasks."""
        found = [task for task_id in task_ids if (task := self.tasks.get(task_id)) is not None]
        self.ask(found)

    def look_after(self) -> None:
        """Once a second: what is due."""
        now_s = self.clock.seconds()
        for task_id, kill in tuple(self._kills.items()):
            if kill.due_s <= now_s:
                kill.pause_s = min(2 * kill.pause_s, LAST_KILL_PAUSE_S)
                kill.due_s = now_s + kill.pause_s
                self._send(call.kill(task_id, kill.agent_id), kill.agent_id)
        if now_s >= self.asked_all_s + EVERYTHING_S:
            self.ask_for_everything()
        elif now_s >= self._asked_s + DOUBT_S:
            self._asked_s = now_s
            away = {host.agent_id for host in self.hosts if host.is_away}
            self._give_replaced_up()
            self.ask([task for task in self.tasks if self._is_in_doubt(task, away, now_s)])
            self._forget_hosts(now_s)

    def _is_in_doubt(self, task: KnownTask, away: set[str], now_s: float) -> bool:
        if task.agent_id in away:
            return True
        return task.state is MesosState.TASK_STAGING and now_s >= task.since_s + DOUBT_S

    def _give_replaced_up(self) -> None:
        """A machine that came back as another agent will never say what became of tasks from
        before; those that are to be killed need not wait for it."""
        for host in self.hosts:
            if self.hosts.replaced(host):
                for task in self.tasks.of_agent(host.agent_id):
                    if task.task_id in self._kills:
                        self.tell_later(
                            task.task_id, task.agent_id, MesosState.TASK_GONE,
                            f"{host.name} has come back as another agent", "REASON_AGENT_REMOVED",
                        )  # fmt: skip

    def _forget_hosts(self, now_s: float) -> None:
        for host in self.hosts:
            since_s = host.away_since_s
            is_over = since_s is not None and now_s > since_s + FORGET_S
            if is_over and not self.tasks.of_agent(host.agent_id):
                self.hosts.forget(host.agent_id)

    # --- telling ---------------------------------------------------------------------------------

    def tell_later(
        self, task_id: str, agent_id: str, state: MesosState, message: str, reason: str
    ) -> None:
        """The end of a task by our own knowledge; never inside the order that caused it."""
        self.tasks.end(task_id, state)
        self._kills.pop(task_id, None)
        self.clock.callLater(0, self._tell, task_id, agent_id, state, message, reason)

    def all_gone(self, reason: str) -> None:
        """The master has ended all tasks."""
        for task in self.tasks:
            self.tell_later(
                task.task_id, task.agent_id, MesosState.TASK_GONE, reason,
                "REASON_FRAMEWORK_REMOVED",
            )  # fmt: skip

    def _tell(
        self, task_id: str, agent_id: str, state: MesosState, message: str, reason: str
    ) -> None:
        update = TaskUpdate(
            task_id, state, agent_id, message=message, reason=reason, timestamp_s=time.time()
        )
        self._observe(self.observer.task_status, update)

    def _known(self, task_id: str, agent_id: str) -> KnownTask:
        task = self.tasks.get(task_id)
        if task is None:
            task = KnownTask(task_id, agent_id, since_s=self.clock.seconds())
            self.tasks.add(task)
        return task

    def _observe(self, tell: Callable[..., None], *what: Any) -> bool:
        """A fault of the observer must not cost the subscription. False where there was one."""
        if self.is_closed:
            return False
        try:
            tell(*what)
        except Exception:
            log.failure("what Mesos reported was not taken")
            return False
        return True

    def _send(self, message: Call, subject: str) -> None:
        """Everything here is sent again, or comes again, where it does not arrive."""
        self.order(message, subject).addErrback(_reported, Call.Type.Name(message.type))


def _reported(failure: Any, kind: str) -> None:
    error = failure.trap(AliecsError) and failure.value
    if error.code == "mesos_refused":
        log.error("{error}", error=error.message)
    else:
        log.debug("{kind}: {error}", kind=kind, error=error.message)


def _update(status: TaskStatus, agent_id: str) -> TaskUpdate:
    reason = TaskStatus.Reason.Name(status.reason) if status.HasField("reason") else ""
    message = status.message
    if reason == "REASON_RECONCILIATION" and MesosState(status.state).is_terminal:
        message = f"its host knows nothing of it, the launch or the end was lost ({message})"
    return TaskUpdate(
        task_id=status.task_id.value,
        state=MesosState(status.state),
        agent_id=agent_id,
        executor_id=status.executor_id.value,
        message=message,
        reason=reason,
        uuid=status.uuid,
        timestamp_s=status.timestamp,
    )


def describe_status(status: int) -> str:
    """How a process ended, from the status of wait(2)."""
    if os.WIFSIGNALED(status):
        return f"killed by {_signal(os.WTERMSIG(status))}"
    code = os.WEXITSTATUS(status)
    if code == 127:
        return "exit code 127: its command was not found on that host"
    if code > 128:
        return f"exit code {code}: killed by {_signal(code - 128)}, says the shell"
    return f"exit code {code}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
