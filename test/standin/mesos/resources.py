"""Resources of agents, offers and tasks: what is added, taken away and contained.

Scalars are counted in thousandths, as Mesos does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from attrs import define, field

from aliecs.protocol import mesos_pb2

ROLE = "*"

Range = tuple[int, int]


def _join(ranges: Iterable[Range]) -> list[Range]:
    """Sorted, and what touches is one."""
    joined: list[Range] = []
    for begin, end in sorted(ranges):
        if joined and begin <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _without(ranges: Iterable[Range], taken: Sequence[Range]) -> list[Range]:
    left = list(ranges)
    for first, last in taken:
        pieces: list[Range] = []
        for begin, end in left:
            if begin < first:
                pieces.append((begin, min(end, first - 1)))
            if end > last:
                pieces.append((max(begin, last + 1), end))
        left = pieces
    return left


@define
class Resources:
    """An amount of each resource."""

    scalars: dict[str, int] = field(factory=dict)
    """In thousandths."""
    ranges: dict[str, list[Range]] = field(factory=dict)

    def __bool__(self) -> bool:
        return any(self.scalars.values()) or any(self.ranges.values())

    def __add__(self, other: Resources) -> Resources:
        scalars = dict(self.scalars)
        for name, amount in other.scalars.items():
            scalars[name] = scalars.get(name, 0) + amount
        ranges = {name: list(value) for name, value in self.ranges.items()}
        for name, value in other.ranges.items():
            ranges[name] = _join([*ranges.get(name, []), *value])
        return Resources(scalars, ranges)

    def __sub__(self, other: Resources) -> Resources:
        scalars = {
            name: max(0, amount - other.scalars.get(name, 0))
            for name, amount in self.scalars.items()
        }
        ranges = {
            name: _without(value, other.ranges.get(name, ())) for name, value in self.ranges.items()
        }
        return Resources(scalars, ranges)

    def contains(self, other: Resources) -> bool:
        """True where all of the other is in this."""
        scalars = all(self.scalars.get(name, 0) >= amount for name, amount in other.scalars.items())
        ranges = all(
            not _without(value, self.ranges.get(name, ())) for name, value in other.ranges.items()
        )
        return scalars and ranges

    @classmethod
    def of(cls, messages: Iterable[mesos_pb2.Resource]) -> Resources:
        """The sum of what is listed."""
        total = cls()
        for message in messages:
            if message.type == mesos_pb2.Value.SCALAR:
                total += cls({message.name: round(1000 * message.scalar.value)})
            elif message.type == mesos_pb2.Value.RANGES:
                total += cls(ranges={
                    message.name: _join((one.begin, one.end) for one in message.ranges.range)
                })  # fmt: skip
        return total

    @classmethod
    def parse(cls, text: str) -> Resources:
        """From a command line: `cpus:4;mem:4096;ports:[30000-30100]`."""
        total = cls()
        for part in filter(None, text.split(";")):
            name, _, value = part.partition(":")
            pairs = re.findall(r"(\d+)-(\d+)", value) if value.startswith("[") else None
            if pairs is None:
                total += cls({name: round(1000 * float(value))})
            else:
                total += cls(ranges={name: _join((int(begin), int(end)) for begin, end in pairs)})
        return total

    def messages(self, role: str = "", *, reserved: bool = True) -> list[mesos_pb2.Resource]:
        """As in an offer; with the role that it is allocated to, if there is one."""
        listed = []
        for name, ranges in self.ranges.items():
            if ranges:
                listed.append(mesos_pb2.Resource(
                    name=name, type=mesos_pb2.Value.RANGES,
                    ranges=mesos_pb2.Value.Ranges(range=[
                        mesos_pb2.Value.Range(begin=begin, end=end) for begin, end in ranges
                    ]),
                ))  # fmt: skip
        for name, amount in self.scalars.items():
            if amount:
                listed.append(mesos_pb2.Resource(
                    name=name, type=mesos_pb2.Value.SCALAR,
                    scalar=mesos_pb2.Value.Scalar(value=amount / 1000),
                ))  # fmt: skip
        for message in listed:
            if reserved:
                message.role = ROLE
            if role:
                message.allocation_info.role = role
        return listed


def describe(resources: Iterable[mesos_pb2.Resource], role: str = ROLE) -> str:
    """As in Mesos' messages to people: sums by name, in the order of their first appearance."""
    order: dict[str, None] = dict.fromkeys(message.name for message in resources)
    total = Resources.of(resources)
    parts = []
    for name in order:
        if name in total.scalars:
            parts.append(f"{name}(allocated: {role}):{total.scalars[name] / 1000:.10g}")
        elif name in total.ranges:
            text = ", ".join(f"{begin}-{end}" for begin, end in total.ranges[name])
            parts.append(f"{name}(allocated: {role}):[{text}]")
    return "; ".join(parts)


def parse_attributes(text: str) -> list[mesos_pb2.Attribute]:
    """From a command line: `detector:TST;rack:1`. What looks like a number is one."""
    attributes = []
    for part in filter(None, text.split(";")):
        name, _, value = part.partition(":")
        attribute = mesos_pb2.Attribute(name=name)
        if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", value):
            attribute.type = mesos_pb2.Value.SCALAR
            attribute.scalar.value = float(value)
        elif value.startswith("["):
            attribute.type = mesos_pb2.Value.RANGES
            for begin, end in re.findall(r"(\d+)-(\d+)", value):
                attribute.ranges.range.add(begin=int(begin), end=int(end))
        else:
            attribute.type = mesos_pb2.Value.TEXT
            attribute.text.value = value
        attributes.append(attribute)
    return attributes
