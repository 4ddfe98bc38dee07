"""Offers times wanted tasks gives placements: a pure function.

Every wanted task ends in exactly one of three places: placed, not yet placed (some host could carry
it, but not now), impossible (no host there is can, with the reason for each host looked at).
Everything a task takes is subtracted from its offer: processors, memory, static ports, the ports of
its channels and its control port. Channel ports come from the low end of what is offered, control
ports from the high end, so that neither runs into the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence

from attrs import define, frozen

from aliecs.interfaces import HostInfo, Offer, PortRanges
from aliecs.language.declaration import Constraint, merge_port_ranges

MACHINE = "machine_id"
"""The attribute that names a host. Every host has it, at least as its own name."""

LOWEST_CHANNEL_PORT = 9000
"""Channels never take a port below it (upstream's rule)."""

_ELSEWHERE = "is not the host where it was"

REASONS_TOLD = 8
"""Hosts whose reasons are told in a text; the rest is counted."""


@frozen
class WantedTask:
    """What one task needs of a host.

    `key` names the task for the caller. All `constraints` must hold. `channel_ports` counts the TCP
    ports of bound channels. A task that has been somewhere before goes to that `host`,
    and its channels have the ports that it calls its own.
    """

    key: Hashable
    constraints: tuple[Constraint, ...] = ()
    cpus: float = 0.0
    memory_mb: float = 0.0
    static_ports: PortRanges = ()
    channel_ports: int = 0
    control_port: bool = True
    host: str = ""
    own_ports: tuple[int, ...] = ()


@frozen
class Placed:
    """A wanted task with its place. `channel_ports` are in the order of the channels."""

    wanted: WantedTask
    offer: Offer
    channel_ports: tuple[int, ...]
    control_port: int
    """0 where none was wanted."""

    @property
    def ports(self) -> PortRanges:
        """All ports taken, as ascending ranges."""
        single = [(port, port) for port in self.channel_ports]
        if self.control_port:
            single.append((self.control_port, self.control_port))
        return merge_port_ranges([*self.wanted.static_ports, *single])


@frozen
class Refused:
    """A wanted task without a place. `reasons` maps host names to why not."""

    wanted: WantedTask
    reasons: Mapping[str, str]

    def __str__(self) -> str:
        if not self.reasons:
            return "there is no host at all"
        told = [f"{host}: {reason}" for host, reason in list(self.reasons.items())[:REASONS_TOLD]]
        if len(self.reasons) > REASONS_TOLD:
            told.append(f"and {len(self.reasons) - REASONS_TOLD} more hosts")
        return "; ".join(told)


@frozen
class Placement:
    """The outcome: every wanted task is in exactly one of the three."""

    placed: Sequence[Placed]
    not_yet: Sequence[Refused]
    impossible: Sequence[Refused]


@define(eq=False)
class _Room:
    """What is left of one offer."""

    offer: Offer
    attributes: Mapping[str, str]
    cpus: float
    memory_mb: float
    ports: list[tuple[int, int]]

    @classmethod
    def of(cls, offer: Offer) -> _Room:
        return cls(
            offer,
            _attributes(offer.attributes, offer.host),
            offer.cpus,
            offer.memory_mb,
            list(merge_port_ranges(offer.ports)),
        )

    def refusal(self, wanted: WantedTask) -> str:
        """Why the task does not fit in what is left, empty where it does."""
        if wanted.cpus > self.cpus + 1e-9:
            return f"wants {wanted.cpus:g} cpus, {self.cpus:g} free"
        if wanted.memory_mb > self.memory_mb + 1e-9:
            return f"wants {wanted.memory_mb:g} MB of memory, {self.memory_mb:g} free"
        if wanted.host not in ("", self.offer.host):
            return _ELSEWHERE
        if wanted.static_ports or wanted.channel_ports or wanted.control_port or wanted.own_ports:
            return self._port_refusal(wanted)
        return ""

    def take(self, wanted: WantedTask) -> Placed:
        """Subtract the task; `refusal` was empty."""
        self.cpus -= wanted.cpus
        self.memory_mb -= wanted.memory_mb
        self.ports, channels, control = self._allot(wanted)
        return Placed(wanted, self.offer, channels, control)

    def _port_refusal(self, wanted: WantedTask) -> str:
        try:
            self._allot(wanted)
        except LookupError as missing:
            return str(missing)
        return ""

    def _allot(self, wanted: WantedTask) -> tuple[list[tuple[int, int]], tuple[int, ...], int]:
        ports = self.ports
        if wanted.static_ports:
            ports = subtract_ranges(ports, wanted.static_ports)
        else:
            ports = list(ports)
        if wanted.own_ports:
            own = [(port, port) for port in wanted.own_ports]
            ports = subtract_ranges(ports, own, "port")
        control = 0
        if wanted.control_port:
            if not ports:
                raise LookupError("has no port left for control")
            begin, control = ports[-1]
            ports[-1:] = [(begin, control - 1)] if begin < control else []
        channels: list[int] = []
        index = 0
        while len(channels) < wanted.channel_ports:
            if index >= len(ports):
                raise LookupError(
                    f"wants {wanted.channel_ports} channel ports from {LOWEST_CHANNEL_PORT} up, "
                    f"{len(channels)} free"
                )
            begin, end = ports[index]
            port = max(begin, LOWEST_CHANNEL_PORT)
            if port > end:
                index += 1
                continue
            channels.append(port)
            rest = [(begin, port - 1)] if begin < port else []
            if port < end:
                rest.append((port + 1, end))
            ports[index : index + 1] = rest
            if begin < port:
                index += 1
        return ports, wanted.own_ports or tuple(channels), control


def place(
    wanted: Sequence[WantedTask], offers: Sequence[Offer], hosts: Sequence[HostInfo]
) -> Placement:
    """Place tasks on offers.

    Tasks pinned to a machine go first, so that the others do not take its room. `hosts` are all
    hosts there are, whether or not they are in `offers`: a task that one of them could carry is
    not impossible. Those that are closed carry nothing.
    """
    closed = {host.agent_id for host in hosts if host.closed}
    rooms = [_Room.of(offer) for offer in offers if offer.agent_id not in closed]
    by_machine: dict[str, list[_Room]] = {}
    for room in rooms:
        by_machine.setdefault(room.attributes[MACHINE], []).append(room)
    placed: list[Placed] = []
    refused: list[WantedTask] = []
    free: list[WantedTask] = []
    for task in wanted:
        machine = _pinned_machine(task)
        if machine is None:
            free.append(task)
            continue
        _put(task, by_machine.get(machine, ()), placed, refused)
    _place_free(free, rooms, placed, refused)
    order = {id(task): index for index, task in enumerate(wanted)}
    placed.sort(key=lambda one: order[id(one.wanted)])
    refused.sort(key=lambda task: order[id(task)])
    return _sort_out(placed, refused, rooms, hosts)


def unmet_constraint(constraints: Sequence[Constraint], attributes: Mapping[str, str]) -> str:
    """Why a host with these attributes will not do, empty where it meets every constraint."""
    for constraint in constraints:
        if not constraint.is_met(attributes):
            text = attributes.get(constraint.attribute)
            if text is None:
                return f"has no attribute {constraint.attribute}"
            return f"{constraint.attribute} is {text}, not {constraint.value}"
    return ""


def subtract_ranges(
    ranges: Sequence[tuple[int, int]],
    taken: Sequence[tuple[int, int]],
    kind: str = "static port",
) -> list[tuple[int, int]]:
    """`ranges` without `taken`. Raises `LookupError` where something of `taken` is not in it."""
    left = list(merge_port_ranges(ranges))
    for begin, end in merge_port_ranges(taken):
        for index, (low, high) in enumerate(left):
            if low <= begin and end <= high:
                rest = [(low, begin - 1)] if low < begin else []
                if end < high:
                    rest.append((end + 1, high))
                left[index : index + 1] = rest
                break
        else:
            text = str(begin) if begin == end else f"{begin}-{end}"
            raise LookupError(
                f"does not offer the {kind} {text}: somebody has it, or it is not for tasks"
            )
    return left


_Demand = tuple[tuple[Constraint, ...], float, float, PortRanges, int, bool, str, tuple[int, ...]]


def _demand(task: WantedTask) -> _Demand:
    """All that matters of a task: where one finds no place, no other with the same finds one."""
    return (
        task.constraints,
        task.cpus,
        task.memory_mb,
        task.static_ports,
        task.channel_ports,
        task.control_port,
        task.host,
        task.own_ports,
    )


def _pinned_machine(task: WantedTask) -> str | None:
    return next((c.value for c in task.constraints if c.attribute == MACHINE), None)


def _attributes(attributes: Mapping[str, str], host: str) -> Mapping[str, str]:
    return attributes if MACHINE in attributes else {**attributes, MACHINE: host}


def _put(
    task: WantedTask,
    rooms: Sequence[_Room],
    placed: list[Placed],
    refused: list[WantedTask],
) -> None:
    for room in rooms:
        unmet = unmet_constraint(task.constraints, room.attributes)
        if not unmet and not room.refusal(task):
            placed.append(room.take(task))
            return
    refused.append(task)


def _place_free(
    tasks: Sequence[WantedTask],
    rooms: Sequence[_Room],
    placed: list[Placed],
    refused: list[WantedTask],
) -> None:
    """Spread unpinned tasks over the hosts that meet their constraints, one host after another.

    Hosts only fill up: one that was full for a task is not asked again by another that wants the
    same.
    """
    meeting: dict[tuple[Constraint, ...], deque[_Room]] = {}
    candidates: dict[_Demand, deque[_Room]] = {}
    for task in tasks:
        demand = _demand(task)
        found = candidates.get(demand)
        if found is None:
            able = meeting.get(task.constraints)
            if able is None:
                able = deque(
                    room
                    for room in rooms
                    if not unmet_constraint(task.constraints, room.attributes)
                )
                meeting[task.constraints] = able
            found = candidates[demand] = deque(able)
            able.rotate(-1)  # those that want something else begin at the next host
        while found:
            room = found.popleft()
            if not room.refusal(task):
                placed.append(room.take(task))
                found.append(room)
                break
        else:
            refused.append(task)


def _sort_out(
    placed: Sequence[Placed],
    refused: Sequence[WantedTask],
    rooms: Sequence[_Room],
    hosts: Sequence[HostInfo],
) -> Placement:
    not_yet: list[Refused] = []
    impossible: list[Refused] = []
    left = {room.offer.agent_id: room for room in rooms}
    by_machine: dict[str, list[HostInfo]] = {}
    for host in hosts:
        machine = _attributes(host.attributes, host.name)[MACHINE]
        by_machine.setdefault(machine, []).append(host)
    answers: dict[_Demand, tuple[Mapping[str, str], bool]] = {}
    for task in refused:
        demand = _demand(task)
        answer = answers.get(demand)
        if answer is None:
            # Of a task that names its host, the others need not be looked at.
            machine = _pinned_machine(task) or ""
            answer = answers[demand] = _answer(task, by_machine.get(machine, hosts), left)
        reasons, could = answer
        (not_yet if could else impossible).append(Refused(task, reasons))
    return Placement(placed, not_yet, impossible)


def _answer(
    task: WantedTask, hosts: Sequence[HostInfo], rooms: Mapping[str, _Room]
) -> tuple[Mapping[str, str], bool]:
    """Why no host has taken the task, and whether one could at another time."""
    looks = {host.name: _look_at(task, host, rooms.get(host.agent_id)) for host in hosts}
    # Where some host could carry the task, those that never could are no part of the answer.
    able = {name: reason for name, (reason, could) in looks.items() if could}
    if able:
        return able, True
    return {name: reason for name, (reason, _) in looks.items()}, False


def _look_at(task: WantedTask, host: HostInfo, room: _Room | None) -> tuple[str, bool]:
    """Why the task is not on the host now, and whether it could be at another time."""
    unmet = unmet_constraint(task.constraints, _attributes(host.attributes, host.name))
    if unmet or host.closed:
        return unmet or host.closed, False
    if task.host not in ("", host.name):
        return _ELSEWHERE, False
    if task.cpus > host.cpus + 1e-9:
        return f"wants {task.cpus:g} cpus, the host has {host.cpus:g}", False
    if task.memory_mb > host.memory_mb + 1e-9:
        return f"wants {task.memory_mb:g} MB of memory, the host has {host.memory_mb:g}", False
    if room is None:
        return ("is not connected" if not host.connected else "offers nothing now"), True
    return room.refusal(task) or "was free a moment ago", True
