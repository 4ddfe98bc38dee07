"""Hosts as `ListHosts`, `DrainHost` and `ResumeHost` tell of them."""

from __future__ import annotations

from collections.abc import Sequence

from aliecs.errors import Conflict, InvalidInput, NotFound
from aliecs.interfaces import HostInfo
from aliecs.protocol import aliecs_v1_pb2
from aliecs.task.host import Drains
from aliecs.task.placement import MACHINE
from aliecs.task.roster import Roster

LONGEST_REASON = 1000
NAMES_TOLD = 10
"""How many hosts an error names."""


async def hosts_reply(
    roster: Roster, request: aliecs_v1_pb2.ListHostsRequest
) -> aliecs_v1_pb2.ListHostsReply:
    """The hosts that are asked for. Raises `NotFound`."""
    hosts: Sequence[HostInfo] = sorted(roster.hosts.all(), key=lambda host: host.name)
    if request.names:
        hosts = [find_host(hosts, name) for name in request.names]
    reply = aliecs_v1_pb2.ListHostsReply()
    for host in hosts:
        reply.hosts.append(_message(host, roster.hosts.drains))
        await roster.pace.breathe()
    return reply


async def drain_host(
    roster: Roster, request: aliecs_v1_pb2.DrainHostRequest, by: str
) -> aliecs_v1_pb2.Host:
    """Drain a host, or say another reason. Raises `NotFound`, `InvalidInput`."""
    if len(request.reason) > LONGEST_REASON:
        raise InvalidInput(f"the reason is longer than {LONGEST_REASON} characters")
    host = find_host(roster.hosts.all(), request.name)
    await roster.hosts.drains.drain(host.name, by, " ".join(request.reason.split()))
    return _message(find_host(roster.hosts.all(), host.name), roster.hosts.drains)


async def resume_host(
    roster: Roster, request: aliecs_v1_pb2.ResumeHostRequest, by: str
) -> aliecs_v1_pb2.Host:
    """Let a host have tasks again. Raises `NotFound`, `Conflict`."""
    host = find_host(roster.hosts.all(), request.name)
    if roster.hosts.drains.of(host.name) is None:
        raise Conflict(f"host {host.name} is not drained")
    message = _message(host, roster.hosts.drains)
    await roster.hosts.drains.resume(host.name, by)
    message.ClearField("drain")
    return message


def find_host(hosts: Sequence[HostInfo], name: str) -> HostInfo:
    """The host of a name, or of a `machine_id`. Raises `NotFound`."""
    if not name:
        raise InvalidInput("the name of the host is empty")
    for host in hosts:
        if name in (host.name, host.attributes.get(MACHINE)):
            return host
    known = sorted(host.name for host in hosts)
    more = f" and {len(known) - NAMES_TOLD} more" if len(known) > NAMES_TOLD else ""
    raise NotFound(
        f"there is no host {name[:100]!r}; known are"
        f" {', '.join(known[:NAMES_TOLD]) or 'none'}{more}"
    )


def _message(host: HostInfo, drains: Drains) -> aliecs_v1_pb2.Host:
    drain = drains.of(host.name)
    message = aliecs_v1_pb2.Host(
        name=host.name,
        address=host.address,
        agent_id=host.agent_id,
        executor_id=host.executor_id,
        attributes=host.attributes,
        connected=host.connected,
        cpus=host.cpus,
        cpus_used=host.cpus_used,
        memory_mb=host.memory_mb,
        memory_mb_used=host.memory_mb_used,
        tasks=host.tasks,
        last_seen_ms=int(host.last_seen_s * 1000),
    )
    if drain is not None:
        message.drain.by = drain.by
        message.drain.since_ms = drain.since_ms
        message.drain.reason = drain.reason
    return message
