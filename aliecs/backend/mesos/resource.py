"""Resources as Mesos writes them: how much there is, and taking a part of it exactly once.

What is offered may be reserved for a role or not; a part that is taken keeps whatever the offer
said of it. Amounts are counted in thousandths, as Mesos does, so that nothing drifts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field

from aliecs.interfaces import PortRanges
from aliecs.protocol import mesos_pb2

CPUS = "cpus"
MEMORY = "mem"
PORTS = "ports"

Ranges = list[tuple[int, int]]


def thousandths(amount: float) -> int:
    """An amount as Mesos counts it."""
    return round(amount * 1000)


def amounts_of(resources: Iterable[mesos_pb2.Resource]) -> dict[str, float]:
    """How much there is of each resource by name; of ranges, how many numbers."""
    amounts: dict[str, float] = {}
    for one in resources:
        amount = one.scalar.value + sum(r.end - r.begin + 1 for r in one.ranges.range)
        amounts[one.name] = amounts.get(one.name, 0.0) + amount
    return amounts


def merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Inclusive ranges, ascending and disjoint."""
    merged: Ranges = []
    for begin, end in sorted(ranges):
        if begin > end:
            continue
        if merged and begin <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def common(left: Sequence[tuple[int, int]], right: Sequence[tuple[int, int]]) -> Ranges:
    """What is in both; both are merged."""
    found: Ranges = []
    for begin, end in left:
        for low, high in right:
            if max(begin, low) <= min(end, high):
                found.append((max(begin, low), min(end, high)))
    return found


def without(ranges: Sequence[tuple[int, int]], taken: Sequence[tuple[int, int]]) -> Ranges:
    """What is in the first alone; both are merged."""
    left = list(ranges)
    for begin, end in taken:
        rest: Ranges = []
        for low, high in left:
            if end < low or high < begin:
                rest.append((low, high))
                continue
            if low < begin:
                rest.append((low, begin - 1))
            if end < high:
                rest.append((end + 1, high))
        left = rest
    return left


@define(eq=False)
class _Part:
    """One resource of an offer, and what is left of it."""

    resource: mesos_pb2.Resource
    amount: int = 0
    ranges: Ranges = field(factory=list)

    @classmethod
    def of(cls, resource: mesos_pb2.Resource) -> _Part:
        ranges = merge((range_.begin, range_.end) for range_ in resource.ranges.range)
        return cls(resource, thousandths(resource.scalar.value), ranges)

    def cut_amount(self, amount: int) -> mesos_pb2.Resource:
        self.amount -= amount
        cut = mesos_pb2.Resource()
        cut.CopyFrom(self.resource)
        cut.scalar.value = amount / 1000
        return cut

    def cut_ranges(self, ranges: Ranges) -> mesos_pb2.Resource:
        self.ranges = without(self.ranges, ranges)
        cut = mesos_pb2.Resource()
        cut.CopyFrom(self.resource)
        del cut.ranges.range[:]
        for begin, end in ranges:
            cut.ranges.range.add(begin=begin, end=end)
        return cut


class Pool:
    """What is left of the resources of an agent's offers."""

    def __init__(self, resources: Iterable[mesos_pb2.Resource]) -> None:
        self._parts: dict[str, list[_Part]] = {CPUS: [], MEMORY: [], PORTS: []}
        for resource in resources:
            if resource.name in self._parts:
                self._parts[resource.name].append(_Part.of(resource))

    @property
    def cpus(self) -> float:
        """Cores that are left."""
        return self._amount(CPUS) / 1000

    @property
    def memory_mb(self) -> float:
        """Memory that is left."""
        return self._amount(MEMORY) / 1000

    @property
    def ports(self) -> PortRanges:
        """Ports that are left."""
        return tuple(merge(range_ for part in self._parts[PORTS] for range_ in part.ranges))

    def take(
        self, cpus: float, memory_mb: float, ports: PortRanges = ()
    ) -> list[mesos_pb2.Resource]:
        """Take a part of what is left. Raises `LookupError`, and takes nothing, where there is not
        enough; what is asked for of nothing is left out."""
        wanted_ports = merge(ports)
        missing = self._missing(cpus, memory_mb, wanted_ports)
        if missing:
            raise LookupError(missing)
        return [
            *self._take_amount(CPUS, thousandths(cpus)),
            *self._take_amount(MEMORY, thousandths(memory_mb)),
            *self._take_ports(wanted_ports),
        ]

    def _amount(self, name: str) -> int:
        return sum(part.amount for part in self._parts[name])

    def _missing(self, cpus: float, memory_mb: float, ports: Ranges) -> str:
        if thousandths(cpus) > self._amount(CPUS):
            return f"{cpus:g} cpus are wanted, {self.cpus:g} are left"
        if thousandths(memory_mb) > self._amount(MEMORY):
            return f"{memory_mb:g} MB of memory are wanted, {self.memory_mb:g} are left"
        if absent := without(ports, self.ports):
            return f"the ports {format_ranges(absent)} are wanted and not in the offer"
        return ""

    def _take_amount(self, name: str, amount: int) -> list[mesos_pb2.Resource]:
        taken = []
        for part in self._parts[name]:
            now = min(amount, part.amount)
            if now > 0:
                taken.append(part.cut_amount(now))
                amount -= now
        return taken

    def _take_ports(self, ports: Ranges) -> list[mesos_pb2.Resource]:
        taken = []
        for part in self._parts[PORTS]:
            here = common(ports, part.ranges)
            if here:
                taken.append(part.cut_ranges(here))
                ports = without(ports, here)
        return taken


def format_ranges(ranges: Sequence[tuple[int, int]]) -> str:
    """Ranges for people."""
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
