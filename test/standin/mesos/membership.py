"""The agents of a master: who registers, who has gone, and what becomes of the tasks then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from attrs import define, field

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_pb2 import AgentID, ExecutorID, TaskStatus
from aliecs.protocol.mesos_scheduler_pb2 import Event
from test.standin.mesos.framework import TERMINAL, AgentRecord, Framework, Task
from test.standin.mesos.link import Link, Report
from test.standin.mesos.pace import cancel
from test.standin.mesos.resources import Resources

if TYPE_CHECKING:
    from test.standin.mesos.master import Master


@define
class Registry:
    """What masters remember of agents: in memory it ends with them, replicated it does not."""

    is_replicated: bool = False
    admitted: dict[str, str] = field(factory=dict)
    """Host names by agent id."""
    unreachable: dict[str, int] = field(factory=dict)
    """Since when, by agent id, in nanoseconds."""
    gone: set[str] = field(factory=set)


@define(eq=False)
class Agents:
    """The agents of one master."""

    master: Master
    registry: Registry
    registered: dict[str, AgentRecord] = field(factory=dict, init=False)
    recovered: set[str] = field(factory=set, init=False)
    """Remembered, and not back yet."""
    _count: int = field(default=0, init=False)
    _ping: Any = field(default=None, init=False)

    def start(self) -> None:
        """Take over what the registry remembers."""
        self.recovered = set(self.registry.admitted)
        self._send_pings()

    def stop(self) -> None:
        """The master has gone."""
        cancel(self._ping)
        for agent in self.registered.values():
            agent.link.is_open = False
        self.registered.clear()

    # --- registration ----------------------------------------------------------------------------

    def registers(self, link: Link, report: Report) -> None:
        """An agent comes, for the first time or again."""
        identifier = report.info.id.value
        if not identifier:
            identifier = f"{self.master.identifier}-S{self._count}"
            self._count += 1
            report.info.id.value = identifier
        if identifier in self.registry.gone:
            link.to_agent("refused", f"Agent {identifier} has been marked gone")
            return
        known = self.registered.get(identifier)
        if known is not None and known.link.is_open and known.link is not link:
            known.link.is_open = False
        self._admit(link, report, known)
        if known is None:
            # One that only was disconnected waits for the next round.
            self.master.allocator.allocate_soon()

    def _admit(self, link: Link, report: Report, known: AgentRecord | None) -> None:
        identifier = report.info.id.value
        agent = AgentRecord(report.info, Resources.parse(report.resources), report.pid, link)
        agent.executors = dict(report.executors)
        self.registered[identifier] = agent
        was_unreachable = self.registry.unreachable.pop(identifier, None) is not None
        was_recovered = identifier in self.recovered
        self.recovered.discard(identifier)
        is_new = identifier not in self.registry.admitted
        self.registry.admitted[identifier] = report.info.hostname
        for framework_id, info in report.frameworks.items():
            if framework_id in self.master.removed:
                link.to_agent("shutdown_framework", framework_id)
            elif framework_id not in self.master.frameworks:
                self.master.recover_framework(framework_id, info)
        text = ""
        if was_unreachable:
            text = "Unreachable agent re-reregistered"
        elif is_new and known is None and not was_recovered:
            text = "Unknown agent reregistered"
        self._take_over(report.tasks, known, text)
        link.to_agent("registered", identifier)
        if known is not None:
            for framework_id, task_id in known.kills:
                link.to_agent("kill_task", framework_id, task_id)

    def _take_over(self, tasks: list[Task], known: AgentRecord | None, text: str) -> None:
        """What the agent says of its tasks is so; what it does not speak of is lost."""
        reported = {(task.framework_id, task.identifier) for task in tasks}
        for task in tasks:
            framework = self.master.frameworks.get(task.framework_id)
            if framework is None:
                continue
            mine = Task(task.info, task.framework_id, task.state, task.container)
            framework.tasks[task.identifier] = mine
            if text:
                framework.tell(
                    mine.identifier, mine.state, text, TaskStatus.REASON_AGENT_REREGISTERED,
                    mine.agent_id, task=mine,
                )  # fmt: skip
        if known is None:
            return
        for framework in self.master.frameworks.values():
            for task in list(framework.tasks.values()):
                at_agent = task.agent_id == known.identifier
                if at_agent and (framework.identifier, task.identifier) not in reported:
                    del framework.tasks[task.identifier]
                    if not task.is_terminal:
                        framework.tell(
                            task.identifier, framework.lost_state(mesos_pb2.TASK_DROPPED),
                            "Reconciliation: Task is unknown to the agent",
                            TaskStatus.REASON_RECONCILIATION, task.agent_id, task=task,
                        )  # fmt: skip

    # --- loss ------------------------------------------------------------------------------------

    def _of(self, link: Link) -> AgentRecord | None:
        for agent in self.registered.values():
            if agent.link is link:
                return agent
        return None

    def _send_pings(self) -> None:
        times = self.master.pace.times
        self._ping = self.master.pace.later(times.ping_s, self._send_pings)
        for agent in list(self.registered.values()):
            if agent.link.is_answered:
                agent.unanswered = 0
                if not agent.is_connected:
                    # It was cut off for a while: the next ping tells it to register again.
                    agent.link.to_agent("register_again")
            else:
                agent.unanswered += 1
                if agent.unanswered > times.pings:
                    self.mark_unreachable(agent.identifier)

    def disconnected(self, link: Link) -> None:
        """The agent's process has ended, or its connection."""
        agent = self._of(link)
        if agent is None:
            return
        agent.is_connected = False
        self.master.allocator.rescind(agent.identifier)
        for framework in self.master.frameworks.values():
            if framework.info.checkpoint:
                continue
            self._lose_tasks(
                agent, framework, mesos_pb2.TASK_LOST,
                f"Agent {agent.info.hostname} disconnected", TaskStatus.REASON_AGENT_DISCONNECTED,
            )  # fmt: skip
            for executor in agent.executors_of(framework.identifier):
                del agent.executors[framework.identifier, executor]

    def _lose_tasks(
        self, agent: AgentRecord, framework: Framework, state: mesos_pb2.TaskState, text: str,
        reason: TaskStatus.Reason, unreachable_ns: int = 0,
    ) -> None:  # fmt: skip
        for task in reversed(list(framework.tasks.values())):
            if task.agent_id == agent.identifier:
                del framework.tasks[task.identifier]
                if not task.is_terminal:
                    task.container = None
                    framework.tell(
                        task.identifier, state, text, reason, task.agent_id,
                        task=task, unreachable_ns=unreachable_ns,
                    )  # fmt: skip

    def mark_unreachable(self, identifier: str) -> None:
        """The agent does not answer any more: its tasks are unreachable, or lost."""
        agent = self.registered.pop(identifier, None)
        if agent is None:
            return
        agent.link.is_open = False
        now_ns = time.time_ns()
        self.registry.unreachable[identifier] = now_ns
        self.registry.admitted.pop(identifier, None)
        self.master.allocator.rescind(identifier)
        for framework in self.master.frameworks.values():
            self._lose_tasks(
                agent, framework, framework.lost_state(mesos_pb2.TASK_UNREACHABLE),
                "health check timed out", TaskStatus.REASON_AGENT_REMOVED, now_ns,
            )  # fmt: skip
        self._tell_failure(identifier)

    def unregisters(self, link: Link) -> None:
        """The agent ends in order, and for good."""
        agent = self._of(link)
        if agent is not None:
            self._remove(
                agent, mesos_pb2.TASK_GONE, TaskStatus.REASON_AGENT_REMOVED,
                f"Agent {agent.info.hostname} removed: the agent unregistered",
            )  # fmt: skip

    def mark_gone(self, identifier: str) -> None:
        """An operator says that the agent will not come back."""
        agent = self.registered.get(identifier)
        self.registry.gone.add(identifier)
        self.registry.unreachable.pop(identifier, None)
        if agent is not None:
            agent.link.to_agent("refused", f"Agent {identifier} has been marked gone")
            self._remove(
                agent, mesos_pb2.TASK_GONE_BY_OPERATOR,
                TaskStatus.REASON_AGENT_REMOVED_BY_OPERATOR, "Agent has been marked gone",
            )  # fmt: skip

    def _remove(
        self, agent: AgentRecord, state: mesos_pb2.TaskState, reason: TaskStatus.Reason, text: str
    ) -> None:
        del self.registered[agent.identifier]
        self.registry.admitted.pop(agent.identifier, None)
        for framework in self.master.frameworks.values():
            self._lose_tasks(agent, framework, framework.lost_state(state), text, reason)
        self.master.allocator.rescind(agent.identifier)
        self._tell_failure(agent.identifier)

    def _tell_failure(self, identifier: str) -> None:
        for framework in self.master.frameworks.values():
            framework.send(Event(
                type=Event.FAILURE, failure=Event.Failure(agent_id=AgentID(value=identifier))
            ))  # fmt: skip

    # --- what agents tell ------------------------------------------------------------------------

    def updated(
        self, link: Link, framework_id: str, status: TaskStatus, latest: mesos_pb2.TaskState
    ) -> None:
        """An update; `latest` is the state that the task has meanwhile."""
        framework = self.master.frameworks.get(framework_id)
        if framework is None:
            return
        task = framework.tasks.get(status.task_id.value)
        if task is not None and not task.is_terminal:
            task.state = latest
            if status.HasField("container_status"):
                task.container = status.container_status
        if task is not None and status.state in TERMINAL:
            task.last_uuid = status.uuid
        framework.send(Event(type=Event.UPDATE, update=Event.Update(status=status)))

    def messaged(self, link: Link, framework_id: str, executor_id: str, data: bytes) -> None:
        """A message of an executor. Nobody keeps it for a framework that is away."""
        agent = self._of(link)
        framework = self.master.frameworks.get(framework_id)
        if agent is not None and framework is not None:
            framework.send(Event(type=Event.MESSAGE, message=Event.Message(
                agent_id=agent.info.id, executor_id=ExecutorID(value=executor_id), data=data,
            )))  # fmt: skip

    def exited(self, link: Link, framework_id: str, executor_id: str, status: int) -> None:
        """An executor has ended; the status is that of wait(2)."""
        agent = self._of(link)
        framework = self.master.frameworks.get(framework_id)
        if agent is None:
            return
        agent.executors.pop((framework_id, executor_id), None)
        if framework is not None:
            framework.send(Event(type=Event.FAILURE, failure=Event.Failure(
                agent_id=agent.info.id, executor_id=ExecutorID(value=executor_id), status=status,
            )))  # fmt: skip
