"""The calls of a framework that is subscribed, each as the master carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_pb2 import Filters, TaskInfo, TaskStatus
from aliecs.protocol.mesos_scheduler_pb2 import Call
from test.standin.mesos.allocator import OfferRecord
from test.standin.mesos.framework import AgentRecord, Framework, Task
from test.standin.mesos.resources import ROLE, Resources
from test.standin.mesos.server import Answer
from test.standin.mesos.validation import complete, roles_of, task_fault

if TYPE_CHECKING:
    from test.standin.mesos.master import Master

ACCEPTED = Answer(202)


@define(eq=False)
class Calls:
    """Carries calls out."""

    master: Master

    def carry_out(self, framework: Framework, call: Call) -> Answer:
        """Do what is called for; what is unknown or of no use here is accepted."""
        if call.type == Call.UPDATE_FRAMEWORK:
            self.master.update_framework(framework, call.update_framework.framework_info)
            return Answer(200)
        name = Call.Type.Name(call.type).lower()
        carry_out = getattr(self, f"_{name}", None)
        if carry_out is not None:
            carry_out(framework, call)
        return ACCEPTED

    # --- offers ----------------------------------------------------------------------------------

    def _decline(self, framework: Framework, call: Call) -> None:
        for identifier in call.decline.offer_ids:
            offer = self.master.allocator.take(framework, identifier.value)
            if offer is not None:
                filters = call.decline.filters if call.decline.HasField("filters") else None
                self.master.allocator.refuse(
                    framework, offer.message.agent_id.value, offer.resources, filters
                )

    def _revive(self, framework: Framework, call: Call) -> None:
        roles = set(call.revive.roles) or set(roles_of(framework.info))
        framework.suppressed -= roles
        framework.clear_filters()
        self.master.allocator.allocate_soon()

    def _suppress(self, framework: Framework, call: Call) -> None:
        roles = set(call.suppress.roles) or set(roles_of(framework.info))
        framework.suppressed |= roles & set(roles_of(framework.info))

    def _accept(self, framework: Framework, call: Call) -> None:
        accept = call.accept
        tasks = [
            task
            for operation in accept.operations
            if operation.type == mesos_pb2.Offer.Operation.LAUNCH
            for task in operation.launch.task_infos
        ]
        identifiers = [identifier.value for identifier in accept.offer_ids]
        trouble = self._offer_fault(framework, identifiers)
        taken = [self.master.allocator.take(framework, identifier) for identifier in identifiers]
        offers = [offer for offer in taken if offer is not None]
        if trouble:
            self._drop(framework, tasks, trouble)
        elif offers:
            filters = accept.filters if accept.HasField("filters") else None
            self._use(framework, offers, tasks, filters)

    def _offer_fault(self, framework: Framework, identifiers: list[str]) -> str:
        seen: dict[str, str] = {}
        for identifier in identifiers:
            offer = self.master.allocator.offers.get(identifier)
            if identifier in seen:
                return f"Duplicate offer {identifier} in offer list"
            if offer is None or offer.message.framework_id.value != framework.identifier:
                return f"Offer {identifier} is no longer valid"
            seen[identifier] = offer.message.agent_id.value
        if len(set(seen.values())) > 1:
            first, second = list(dict.fromkeys(seen.values()))[:2]
            return (
                "Aggregated offers must belong to one single agent."
                f" Offer {identifiers[0]} uses agent {first} and agent {second}"
            )
        return ""

    def _drop(self, framework: Framework, tasks: list[TaskInfo], trouble: str) -> None:
        for task in tasks:
            framework.tell(
                task.task_id.value, framework.lost_state(mesos_pb2.TASK_DROPPED),
                f"Task launched with invalid offers: {trouble}",
                TaskStatus.REASON_INVALID_OFFERS, task.agent_id.value,
            )  # fmt: skip

    def _use(
        self, framework: Framework, offers: list[OfferRecord], tasks: list[TaskInfo],
        filters: Filters | None,
    ) -> None:  # fmt: skip
        agent_id = offers[0].message.agent_id.value
        agent = self.master.agents.registered[agent_id]
        role = offers[0].message.allocation_info.role or ROLE
        left = Resources()
        for offer in offers:
            left += offer.resources
        for original in tasks:
            task = TaskInfo.FromString(original.SerializeToString())
            complete(task, framework.identifier, role)
            executors = agent.executors_of(framework.identifier)
            offered = Resources(left.scalars, left.ranges).messages(role)
            trouble = task_fault(
                task, agent_id, framework.identifier, framework.tasks, executors, left, offered
            )
            if trouble:
                framework.tell(
                    task.task_id.value, mesos_pb2.TASK_ERROR, trouble,
                    TaskStatus.REASON_TASK_INVALID, task.agent_id.value,
                )  # fmt: skip
            else:
                left -= self._launch(framework, agent, task)
        self.master.allocator.refuse(framework, agent_id, left, filters)

    def _launch(self, framework: Framework, agent: AgentRecord, task: TaskInfo) -> Resources:
        """Have a task run; gives what it takes."""
        used = Resources.of(task.resources)
        mine = Task(task, framework.identifier)
        executor = (framework.identifier, mine.executor_id)
        if task.HasField("executor") and executor not in agent.executors:
            used += Resources.of(task.executor.resources)
            # The newest executor is named first in offers.
            agent.executors = {executor: task.executor, **agent.executors}
        framework.tasks[mine.identifier] = mine
        agent.link.to_agent("run_task", framework.identifier, framework.info, task)
        return used

    # --- tasks -----------------------------------------------------------------------------------

    def _kill(self, framework: Framework, call: Call) -> None:
        task = framework.tasks.get(call.kill.task_id.value)
        if task is None:
            self._tell_state(framework, call.kill.task_id.value, call.kill.agent_id.value)
            return
        agent = self.master.agents.registered.get(task.agent_id)
        if agent is None:
            return
        if not agent.is_connected:
            agent.kills.add((framework.identifier, task.identifier))
        agent.link.to_agent("kill_task", framework.identifier, task.identifier)

    def _acknowledge(self, framework: Framework, call: Call) -> None:
        acknowledge = call.acknowledge
        agent = self.master.agents.registered.get(acknowledge.agent_id.value)
        if agent is None:
            return
        identifier = acknowledge.task_id.value
        task = framework.tasks.get(identifier)
        if task is not None and task.last_uuid == acknowledge.uuid:
            del framework.tasks[identifier]
        agent.link.to_agent("acknowledge", framework.identifier, identifier, acknowledge.uuid)

    def _reconcile(self, framework: Framework, call: Call) -> None:
        for asked in call.reconcile.tasks:
            self._tell_state(framework, asked.task_id.value, asked.agent_id.value)
        if not call.reconcile.tasks:
            for task in reversed(list(framework.tasks.values())):
                self._tell_known(framework, task)

    def _tell_known(self, framework: Framework, task: Task) -> None:
        framework.tell(
            task.identifier, task.state, "Reconciliation: Latest task state",
            TaskStatus.REASON_RECONCILIATION, task.agent_id, task=task,
        )  # fmt: skip

    def _tell_state(self, framework: Framework, task_id: str, agent_id: str) -> None:
        """What the master knows of a task, with all that it knows of agents."""
        agents = self.master.agents
        task = framework.tasks.get(task_id)
        unreachable_ns = agents.registry.unreachable.get(agent_id, 0)
        if task is not None:
            self._tell_known(framework, task)
            return
        if agent_id in agents.recovered or (not agent_id and agents.recovered):
            return
        if agent_id in agents.registered:
            state, what = mesos_pb2.TASK_GONE, "unknown to the agent"
        elif unreachable_ns:
            state, what = mesos_pb2.TASK_UNREACHABLE, "unreachable"
        elif agent_id in agents.registry.gone:
            state, what = mesos_pb2.TASK_GONE_BY_OPERATOR, "gone"
        else:
            state, what = mesos_pb2.TASK_UNKNOWN, "unknown"
        framework.tell(
            task_id, framework.lost_state(state), f"Reconciliation: Task is {what}",
            TaskStatus.REASON_RECONCILIATION, agent_id, unreachable_ns=unreachable_ns,
        )  # fmt: skip

    # --- executors -------------------------------------------------------------------------------

    def _message(self, framework: Framework, call: Call) -> None:
        message = call.message
        agent = self.master.agents.registered.get(message.agent_id.value)
        if agent is not None:
            agent.link.to_agent(
                "message", framework.identifier, message.executor_id.value, message.data
            )

    def _shutdown(self, framework: Framework, call: Call) -> None:
        agent = self.master.agents.registered.get(call.shutdown.agent_id.value)
        if agent is not None:
            agent.link.to_agent(
                "shutdown_executor", framework.identifier, call.shutdown.executor_id.value
            )

    def _teardown(self, framework: Framework, call: Call) -> None:
        self.master.remove_framework(framework)
