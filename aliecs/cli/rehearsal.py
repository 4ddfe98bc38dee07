"""`coconut environment create --dry-run`: what a creation would come to, and all that is in its
way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aliecs.api.mapping import to_value
from aliecs.cli.output import Output
from aliecs.cli.session import EXTENDED, Session, user_name
from aliecs.cli.workflow import print_problems, print_steps, print_summary
from aliecs.protocol import aliecs_v1_pb2 as v1

MOST_CLASSES = 4
"""Classes of tasks that are named for each host."""


def rehearse(here: Session, template: str, variables: Mapping[str, str]) -> int:
    """Rehearse a creation; gives the exit code."""
    request = v1.InspectWorkflowRequest(
        workflow_template=template,
        variables=variables,
        requested_by=user_name(),
        with_placement=True,
    )
    reply = here.move("InspectWorkflow", request, f"rehearsing {template}", EXTENDED)
    output = here.output
    if not output.is_text:
        output.value(to_value(reply))
        return 0 if reply.valid else 1
    print_problems(output, reply)
    if reply.hosts:
        _print_hosts(output, reply.hosts)
    print_steps(output, reply.steps)
    if reply.detectors:
        output.line(f"detectors: {' '.join(reply.detectors)}")
    print_summary(output, template, reply)
    output.line("it would be created" if reply.valid else "it would fail")
    return 0 if reply.valid else 1


def _print_hosts(output: Output, hosts: Sequence[Any]) -> None:
    output.table(
        (f"host ({len(hosts)})", "tasks", "processors", "memory", "ports", "classes"),
        [
            (
                host.host,
                str(len(host.tasks)),
                f"{host.cpus:g}",
                f"{host.memory_mb:g} MB",
                _ports(host),
                _classes(host),
            )
            for host in hosts
        ],
    )
    output.line()


def _ports(host: Any) -> str:
    """All ports of a host, runs of them as one."""
    ports = sorted(
        port for task in host.tasks for port in (task.control_port, *task.channel_ports) if port
    )
    runs: list[list[int]] = []
    for port in ports:
        if runs and runs[-1][1] == port - 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _classes(host: Any) -> str:
    names = dict.fromkeys(
        task.class_name.rsplit("/tasks/", 1)[-1].partition("@")[0] for task in host.tasks
    )
    told = list(names)[:MOST_CLASSES]
    more = len(names) - len(told)
    return " ".join(told) + (f" and {more} more" if more else "")
