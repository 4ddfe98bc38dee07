"""`coconut host`: the machines that tasks run on, and taking one out of use."""

from __future__ import annotations

from typing import Any

import click

from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.output import Output, local_time
from aliecs.cli.session import Session, session, user_name
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2

group = Group("host", help="Look at the hosts that tasks run on, and take one out of use.")


@click.argument("names", metavar="[HOST]...", nargs=-1)
def list_(names: tuple[str, ...]) -> None:
    """List hosts: all of them, or those named."""
    with session() as here:
        hosts = _hosts(here, *names)
        if not here.output.is_text:
            here.output.value([to_value(host) for host in hosts])
        elif not hosts:
            here.output.line("no hosts are known yet")
        else:
            here.output.table(
                (f"host ({len(hosts)})", "state", "tasks", "processors", "memory", "last seen"),
                [
                    (
                        host.name,
                        _state(host),
                        str(host.tasks),
                        f"{host.cpus_used:g} of {host.cpus:g}",
                        f"{host.memory_mb_used:g} of {host.memory_mb:g} MB",
                        local_time(host.last_seen_ms),
                    )
                    for host in hosts
                ],
            )


@click.argument("name", metavar="HOST")
def show(name: str) -> None:
    """Show one host and its tasks."""
    with session() as here:
        (host,) = _hosts(here, name)
        reply = here.ask("GetTasks", o2control_pb2.GetTasksRequest())
        tasks = [task for task in reply.tasks if task.deploymentInfo.hostname == host.name]
        if here.output.is_text:
            _print_host(here.output, host, tasks)
        else:
            value = to_value(host)
            value["taskInfos"] = [to_value(task) for task in tasks]
            here.output.value(value)


@click.argument("name", metavar="HOST")
@click.option("-r", "--reason", default="", help="why, for whoever wonders")
def drain(name: str, reason: str) -> None:
    """Give a host no new tasks. What runs there goes on; it stays so until `resume`, also over
    restarts of the core."""
    with session() as here:
        request = aliecs_v1_pb2.DrainHostRequest(
            name=name, reason=reason, requested_by=user_name()
        )
        host = here.ask_extended("DrainHost", request)
        if not here.output.is_text:
            here.output.value(to_value(host))
        elif host.tasks:
            here.output.line(f"host {host.name} is drained; {host.tasks} tasks go on there")
        else:
            here.output.line(f"host {host.name} is drained, and has no tasks")


@click.argument("name", metavar="HOST")
def resume(name: str) -> None:
    """Give a drained host new tasks again."""
    with session() as here:
        request = aliecs_v1_pb2.ResumeHostRequest(name=name, requested_by=user_name())
        host = here.ask_extended("ResumeHost", request)
        if not here.output.is_text:
            here.output.value(to_value(host))
        else:
            here.output.line(f"host {host.name} gets new tasks again")


def _hosts(here: Session, *names: str) -> list[Any]:
    return list(here.ask_extended("ListHosts", aliecs_v1_pb2.ListHostsRequest(names=names)).hosts)


def _state(host: Any) -> str:
    words = [] if host.connected else ["out of reach"]
    if host.HasField("drain"):
        words.append("drained")
    return ", ".join(words) or "ready"


def _print_host(output: Output, host: Any, tasks: list[Any]) -> None:
    output.label("host", host.name)
    output.label("state", _state(host))
    if host.HasField("drain"):
        when = local_time(host.drain.since_ms)
        output.label("drained", f"by {host.drain.by}, {when}: {host.drain.reason or 'no reason'}")
    for name, text in (
        ("address", host.address),
        ("agent", host.agent_id),
        ("executor", host.executor_id or "none"),
        ("processors", f"{host.cpus_used:g} of {host.cpus:g} claimed"),
        ("memory", f"{host.memory_mb_used:g} of {host.memory_mb:g} MB claimed"),
        ("last seen", local_time(host.last_seen_ms)),
    ):
        output.label(name, text)
    output.map("attributes", host.attributes)
    if tasks:
        output.table(
            (f"task id ({len(tasks)})", "class name", "locked", "status", "state"),
            [
                (task.taskId, task.className, "YES" if task.locked else "NO", task.status,
                 task.state)
                for task in tasks
            ],
        )  # fmt: skip


group.add(group.command("list")(list_), "ls", "l")
group.add(group.command("show")(show), "s", "get", "g")
group.add(group.command("drain")(drain), "d")
group.add(group.command("resume")(resume), "r")
