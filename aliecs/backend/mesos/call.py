"""The calls to a master, made from what the rest of this backend speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aliecs.interfaces import TaskLaunch
from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_scheduler_pb2 import Call

RECONCILED_AT_ONCE = 1000
"""Tasks that one call asks for."""


def subscribe(framework: mesos_pb2.FrameworkInfo) -> Call:
    """Become the scheduler of a framework, a new one where it has no id."""
    call = Call(type=Call.SUBSCRIBE, subscribe=Call.Subscribe(framework_info=framework))
    if framework.id.value:
        call.framework_id.CopyFrom(framework.id)
    return call


def accept(offer_ids: Iterable[str], tasks: Sequence[mesos_pb2.TaskInfo], refuse_s: float) -> Call:
    """Launch tasks out of offers of one agent, and give the rest of them back."""
    operation = mesos_pb2.Offer.Operation(
        type=mesos_pb2.Offer.Operation.LAUNCH,
        launch=mesos_pb2.Offer.Operation.Launch(task_infos=tasks),
    )
    return Call(
        type=Call.ACCEPT,
        accept=Call.Accept(
            offer_ids=[mesos_pb2.OfferID(value=offer_id) for offer_id in offer_ids],
            operations=[operation],
            filters=mesos_pb2.Filters(refuse_seconds=refuse_s),
        ),
    )


def decline(offer_ids: Iterable[str], refuse_s: float) -> Call:
    """Give offers back, for so long."""
    return Call(
        type=Call.DECLINE,
        decline=Call.Decline(
            offer_ids=[mesos_pb2.OfferID(value=offer_id) for offer_id in offer_ids],
            filters=mesos_pb2.Filters(refuse_seconds=refuse_s),
        ),
    )


def revive() -> Call:
    """Offers are wanted, those that were given back as well."""
    return Call(type=Call.REVIVE)


def suppress() -> Call:
    """No offers are wanted."""
    return Call(type=Call.SUPPRESS)


def kill(task_id: str, agent_id: str) -> Call:
    """End a task."""
    call = Call(type=Call.KILL, kill=Call.Kill(task_id=mesos_pb2.TaskID(value=task_id)))
    if agent_id:
        call.kill.agent_id.value = agent_id
    return call


def shutdown(executor_id: str, agent_id: str) -> Call:
    """End an executor with all of its tasks."""
    return Call(
        type=Call.SHUTDOWN,
        shutdown=Call.Shutdown(
            executor_id=mesos_pb2.ExecutorID(value=executor_id),
            agent_id=mesos_pb2.AgentID(value=agent_id),
        ),
    )


def acknowledge(status: mesos_pb2.TaskStatus) -> Call:
    """An update was taken."""
    return Call(
        type=Call.ACKNOWLEDGE,
        acknowledge=Call.Acknowledge(
            agent_id=status.agent_id, task_id=status.task_id, uuid=status.uuid
        ),
    )


def reconcile_all() -> Call:
    """Ask for all tasks that the master knows of."""
    return Call(type=Call.RECONCILE, reconcile=Call.Reconcile())


def reconcile(tasks: Mapping[str, str]) -> Iterable[Call]:
    """Ask for tasks (task id to agent id), so many at once."""
    pairs = list(tasks.items())
    for start in range(0, len(pairs), RECONCILED_AT_ONCE):
        call = Call(type=Call.RECONCILE, reconcile=Call.Reconcile())
        for task_id, agent_id in pairs[start : start + RECONCILED_AT_ONCE]:
            asked = call.reconcile.tasks.add(task_id=mesos_pb2.TaskID(value=task_id))
            if agent_id:
                asked.agent_id.value = agent_id
        yield call


def message(agent_id: str, executor_id: str, data: bytes) -> Call:
    """Something for an executor."""
    return Call(
        type=Call.MESSAGE,
        message=Call.Message(
            agent_id=mesos_pb2.AgentID(value=agent_id),
            executor_id=mesos_pb2.ExecutorID(value=executor_id),
            data=data,
        ),
    )


def teardown() -> Call:
    """The framework is over: all executors end, and its id with them."""
    return Call(type=Call.TEARDOWN)


def task_info(
    launch: TaskLaunch,
    agent_id: str,
    executor: mesos_pb2.ExecutorInfo,
    resources: Iterable[mesos_pb2.Resource],
) -> mesos_pb2.TaskInfo:
    """A task as the master is told of it."""
    info = mesos_pb2.TaskInfo(
        name=launch.name,
        task_id=mesos_pb2.TaskID(value=launch.task_id),
        agent_id=mesos_pb2.AgentID(value=agent_id),
        executor=executor,
        resources=resources,
        data=launch.command,
        labels=mesos_pb2.Labels(
            labels=[mesos_pb2.Label(key=key, value=value) for key, value in launch.labels.items()]
        ),
    )
    for name, limit in (("cpus", launch.limit_cpus), ("mem", launch.limit_memory_mb)):
        info.limits[name].value = float("inf") if limit is None else limit
    return info
