"""Ends executors that get no new tasks: those of another version, once they are empty.

Whether one is empty is only believed after the master was asked for all tasks since, and has had
time to answer: a core that was just started knows of none.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from aliecs.backend.mesos import call
from aliecs.backend.mesos.desk import Order
from aliecs.backend.mesos.executor import ExecutorBook
from aliecs.backend.mesos.host import HostBook
from aliecs.backend.mesos.task import TaskBook

PATIENCE_S = 20.0
"""From the question to the shutdown."""

log = Logger()


@define(eq=False)
class Retirement:
    """See the module. `ask` has the master asked for all tasks."""

    clock: IReactorTime
    hosts: HostBook
    tasks: TaskBook
    executors: ExecutorBook
    order: Order
    ask: Callable[[], None]
    _candidates: dict[tuple[str, str], float] = field(factory=dict, init=False)
    """Agent and executor, with the time when it was first seen to be empty."""

    def forget(self) -> None:
        """A subscription has begun or ended: what was believed is to be looked at again."""
        self._candidates.clear()

    def look_after(self) -> None:
        """Once a second."""
        now_s = self.clock.seconds()
        empty = self._empty()
        is_new = not empty <= self._candidates.keys()
        self._candidates = {one: self._candidates.get(one, now_s) for one in empty}
        if is_new:
            self.ask()
        for (agent_id, executor_id), since_s in tuple(self._candidates.items()):
            if now_s >= since_s + PATIENCE_S:
                self._candidates[agent_id, executor_id] = now_s
                log.info("executor {executor} on agent {agent} is of another version and has no"
                         " tasks: it ends", executor=executor_id, agent=agent_id)  # fmt: skip
                sent = self.order(call.shutdown(executor_id, agent_id), agent_id)
                sent.addErrback(lambda failure: None)

    def _empty(self) -> set[tuple[str, str]]:
        return {
            (host.agent_id, executor_id)
            for host in self.hosts.present()
            for executor_id in host.executors
            if executor_id != host.executor_id
            and not self.executors.choose([executor_id], host.attributes)
            and not self.tasks.has_executor(host.agent_id, executor_id)
            and not self.hosts.has_ended(executor_id)
        }
