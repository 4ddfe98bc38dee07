"""Data channels: from what tasks bind and connect to the properties that they are given.

Deployment gives every bound channel an endpoint; here the endpoints of all active tasks become one
bind map, targets of connected channels are looked up in it, and both ends become FairMQ properties.
Works on plain records: nothing here knows what a task is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from attrs import frozen

from aliecs.errors import Conflict, InvalidInput
from aliecs.language.declaration import Channel

_ADDRESSES = ("tcp://", "ipc://")
_ANY_HOST = "tcp://*:"


class IEndpoint(Protocol):
    """Where a bound channel listens: `tcp://*:<port>` or `ipc://<path>`."""

    @property
    def address(self) -> str: ...

    @property
    def transport(self) -> str: ...


@frozen
class BoundTask:
    """The bound channels of one task."""

    role_path: str
    host_address: str
    """What peers are told to connect to."""
    inbound: Sequence[Channel]
    endpoints: Mapping[str, IEndpoint]
    """By channel name."""


@frozen
class Destination:
    """Where a peer of a bound channel connects to."""

    address: str
    transport: str


BindMap = Mapping[str, Destination]
"""`<role path>:<channel>` or `::<alias>` -> destination."""


def make_bind_map(tasks: Iterable[BoundTask]) -> BindMap:
    """The bound channels of all tasks under the names by which they can be connected to.

    A channel with an address of its own in the template is published under that address. Raises
    `Conflict` where two channels claim one global alias.
    """
    destinations: dict[str, Destination] = {}
    owners: dict[str, str] = {}
    for task in tasks:
        for channel in task.inbound:
            destination = _destination(channel, task)
            if destination is None:
                continue
            name = f"{task.role_path}:{channel.name}"
            destinations[name] = destination
            if not channel.global_alias:
                continue
            alias = f"::{channel.global_alias}"
            if alias in destinations and destinations[alias] != destination:
                raise Conflict(
                    f"illegal redefinition of global channel alias {alias}: it is bound by "
                    f"{owners[alias]} and by {name}; an alias must be unique in an environment"
                )
            destinations[alias], owners[alias] = destination, name
    return destinations


def _destination(channel: Channel, task: BoundTask) -> Destination | None:
    if channel.target:
        is_address = channel.target.startswith(_ADDRESSES)
        return _static(channel, task.host_address) if is_address else None
    endpoint = task.endpoints.get(channel.name)
    if endpoint is None:
        return None
    return Destination(_reachable(endpoint.address, task.host_address), endpoint.transport)


def _static(channel: Channel, host_address: str) -> Destination:
    return Destination(_reachable(channel.target, host_address), channel.transport)


def _reachable(address: str, host_address: str) -> str:
    """`tcp://*:9000` names no host: put the task's in."""
    if address.startswith(_ANY_HOST):
        return f"tcp://{host_address}:{address.removeprefix(_ANY_HOST)}"
    return address


def channel_properties(
    role_path: str,
    inbound: Sequence[Channel],
    endpoints: Mapping[str, IEndpoint],
    outbound: Sequence[Channel],
    bind_map: BindMap,
) -> dict[str, str]:
    """The properties of all channels of one task. `rateLogging` values may still hold expressions.

    A bound channel without a usable address is left out, as upstream does. Raises `InvalidInput`
    where a connected channel's target is not bound by anybody.
    """
    properties: dict[str, str] = {}
    for channel in inbound:
        if channel.target.startswith(_ADDRESSES):
            properties |= _bound(channel, channel.target, channel.transport)
        elif not channel.target and (endpoint := endpoints.get(channel.name)) is not None:
            properties |= _bound(channel, endpoint.address, endpoint.transport)
    for channel in outbound:
        destination = resolve_target(channel, role_path, bind_map)
        properties |= _properties(channel, destination, "connect")
    return properties


def resolve_target(channel: Channel, role_path: str, bind_map: BindMap) -> Destination:
    """Where a connected channel leads. The transport of the bound end is the one that counts."""
    if channel.target.startswith(_ADDRESSES):
        return Destination(channel.target, channel.transport)
    destination = bind_map.get(channel.target)
    if destination is None:
        raise InvalidInput(
            f"could not match target for outbound channel {channel.name!r} of {role_path}: "
            f"{_missing(channel.target, bind_map)}"
        )
    return destination


def _missing(target: str, bind_map: BindMap) -> str:
    if not target:
        return "it has no target; write the target in the role, a task template's own is not used"
    close = difflib.get_close_matches(target, bind_map, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"no active task of the environment binds {target!r}{hint}"


def _bound(channel: Channel, address: str, transport: str) -> dict[str, str]:
    properties = _properties(channel, Destination(address, transport), "bind")
    properties[f"chans.{channel.name}.0.autoBind"] = "0"
    return properties


def _properties(channel: Channel, destination: Destination, method: str) -> dict[str, str]:
    prefix = f"chans.{channel.name}"
    values = {
        "address": destination.address,
        "method": method,
        "type": channel.type,
        "transport": destination.transport,
        "sndBufSize": str(channel.send_buffer_size),
        "rcvBufSize": str(channel.receive_buffer_size),
        "sndKernelSize": "0",
        "rcvKernelSize": "0",
        "rateLogging": channel.rate_logging,
    }
    properties = {f"{prefix}.0.{key}": value for key, value in values.items()}
    properties[f"{prefix}.numSockets"] = "1"
    return properties
