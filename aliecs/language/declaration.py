"""What workflow and task templates declare alike: channels, constraints, resources, commands.

Parsed from the nodes of a document into frozen records that many roles share. Values may still hold
`{{ }}` text; whoever owns a record says when it is evaluated. Merge rules are here too, because a
task's channels and constraints come from its role, the ancestors of its role, and its class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import asdict, evolve, field, frozen

from aliecs.interfaces import PortRanges
from aliecs.language.document import Document, Field, MappingNode, Node

CHANNEL_TYPES = ("push", "pull", "pub", "sub")
TRANSPORTS = ("default", "zeromq", "nanomsg", "shmem")
ADDRESSINGS = ("tcp", "ipc")
CONTROL_MODES = ("direct", "fairmq", "basic", "hook")
"""What a task class may be. The Kubernetes modes of the reference are refused."""
REFUSED_CONTROL_MODES = (
    "kubectl_direct",
    "kubectl_fairmq",
    "kubernetes_direct",
    "kubernetes_fairmq",
)
OUTPUTS = ("none", "stdout", "all")
"""Where a task's output may go."""


@frozen
class Channel:
    """One end of a data channel between tasks, as declared under `bind` or `connect`."""

    name: str
    type: str = ""
    """One of `CHANNEL_TYPES`, or empty where the template does not say."""
    transport: str = "default"
    send_buffer_size: int = 1000
    """Messages."""
    receive_buffer_size: int = 1000
    """Messages."""
    rate_logging: str = "0"
    """Seconds between two reports, text; evaluated with the task's properties."""
    target: str = ""
    """Outbound: where to connect to. Inbound: an address instead of one that is assigned."""
    addressing: str = "tcp"
    """Inbound only: what kind of endpoint to assign."""
    global_alias: str = ""
    """Inbound only: a name known in the whole environment, key `global`."""
    line: int = field(default=0, eq=False)

    def to_document(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Channel:
        """The inverse of `to_document`."""
        return cls(**document)


@frozen
class Constraint:
    """A demand on the host of a task: its attribute must have this value.

    An attribute of several values separated by commas has each of them, and the whole text.
    """

    attribute: str
    value: str
    line: int = field(default=0, eq=False)

    def is_met(self, attributes: Mapping[str, str]) -> bool:
        """True when a host with these attributes will do."""
        actual = attributes.get(self.attribute)
        if actual is None:
            return False
        return actual == self.value or ("," in actual and self.value in actual.split(","))

    def to_document(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Constraint:
        """The inverse of `to_document`."""
        return cls(**document)


@frozen
class Wants:
    """The resources that a task class asks for."""

    cpus: float = 0.0
    memory_mb: float = 0.0
    ports: PortRanges = ()
    """Static ports, beside those that channels and control get assigned."""


@frozen
class Limits:
    """The most that a task may use; None is without limit."""

    cpus: float | None = None
    memory_mb: float | None = None


@frozen
class Command:
    """A command as declared by a task class; texts may hold expressions."""

    value: Field
    """A shell text or an executable."""
    shell: bool
    arguments: tuple[Field, ...]
    environment: tuple[Field, ...]
    """Items `NAME=value`."""
    user: Field
    stdout: Field
    stderr: Field


def parse_channels(document: Document, parent: MappingNode, key: str) -> tuple[Channel, ...]:
    """The channels under `bind` or `connect`. Raises `TemplateError`."""
    return tuple(
        _channel(document, document.mapping(item, f"an item of {key!r}"), inbound=key == "bind")
        for item in document.sequence(parent, key)
    )


def _channel(document: Document, node: MappingNode, inbound: bool) -> Channel:
    return Channel(
        name=document.field(node, "name").text,
        type=document.word(node, "type", CHANNEL_TYPES, default=""),
        transport=document.word(node, "transport", TRANSPORTS, default="default"),
        send_buffer_size=document.integer(node, "sndBufSize", 1000),
        receive_buffer_size=document.integer(node, "rcvBufSize", 1000),
        rate_logging=document.field(node, "rateLogging", "0").text,
        target=document.field(node, "target").text.strip(),
        addressing=document.word(node, "addressing", ADDRESSINGS, default="tcp")
        if inbound
        else "tcp",
        global_alias=document.field(node, "global").text if inbound else "",
        line=node.line,
    )


def parse_constraints(document: Document, parent: MappingNode) -> tuple[Constraint, ...]:
    """The constraints of a role or class. Raises `TemplateError`, also for an operator: equality
    is the only one there is."""
    constraints = []
    for item in document.sequence(parent, "constraints"):
        node = document.mapping(item, "an item of 'constraints'")
        if document.integer(node, "operator", 0) != 0:
            raise document.error(
                node.get("operator"), "constraints know no 'operator' but 0, which is equality"
            )
        attribute = document.field(node, "attribute").text
        if not attribute:
            raise document.error(node, "a constraint needs an 'attribute'")
        constraints.append(Constraint(attribute, document.field(node, "value").text, node.line))
    return tuple(constraints)


def parse_wants(document: Document, parent: MappingNode) -> Wants:
    """The key `wants` of a task class. Raises `TemplateError`."""
    node = document.optional_mapping(parent, "wants")
    if node is None:
        return Wants()
    return Wants(
        document.number(node, "cpu") or 0.0,
        document.number(node, "memory") or 0.0,
        _port_ranges(document, node),
    )


def parse_limits(document: Document, parent: MappingNode) -> Limits:
    """The key `limits` of a task class; zero is without limit. Raises `TemplateError`."""
    node = document.optional_mapping(parent, "limits")
    if node is None:
        return Limits()
    return Limits(document.number(node, "cpu") or None, document.number(node, "memory") or None)


def _port_ranges(document: Document, node: MappingNode) -> PortRanges:
    """`8000, 9000-9010` -> ((8000, 8000), (9000, 9010)), joined where they touch or overlap."""
    field = document.field(node, "ports")
    ranges: list[tuple[int, int]] = []
    for item in filter(None, (part.strip() for part in field.text.split(","))):
        begin_text, dash, end_text = item.partition("-")
        try:
            begin = int(begin_text)
            end = int(end_text) if dash else begin
        except ValueError:
            begin = end = 0
        if not 0 < begin <= end < 65536:
            raise document.error(field, f"{item!r} is neither a port nor a range such as 9000-9010")
        ranges.append((begin, end))
    return merge_port_ranges(ranges)


def merge_port_ranges(ranges: Iterable[tuple[int, int]]) -> PortRanges:
    """Inclusive ranges in ascending order, joined where they touch or overlap."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def parse_command(document: Document, node: MappingNode) -> Command:
    """The key `command` of a task class. Raises `TemplateError`."""
    stdout = document.field(node, "stdout" if node.get("stdout") is not None else "log", "none")
    return Command(
        value=document.field(node, "value"),
        shell=document.field(node, "shell").text.strip().lower() == "true",
        arguments=_fields(document, node, "arguments"),
        environment=_fields(document, node, "env"),
        user=document.field(node, "user"),
        stdout=stdout,
        stderr=document.field(node, "stderr", "none"),
    )


def _fields(document: Document, parent: MappingNode, key: str) -> tuple[Field, ...]:
    def text(node: Node) -> Field:
        # A null item is an empty text, as upstream decodes it.
        if node.is_null:
            return Field("", node.line)
        return document.scalar(node, f"an item of {key!r}")

    return tuple(text(node) for node in document.sequence(parent, key))


def merge_channels(*lists: Sequence[Channel]) -> tuple[Channel, ...]:
    """The channels of all lists, nearest list first; of two with one name the first is taken, as a
    whole: nothing is inherited field by field, which is what templates are written for."""
    merged: dict[str, Channel] = {}
    for channels in lists:
        for channel in channels:
            merged.setdefault(channel.name, channel)
    return tuple(merged.values())


def merge_constraints(*lists: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """The constraints of all lists, weakest list first (the class, then the root role, ...); a
    later one about the same attribute takes the place of the earlier."""
    given = [constraints for constraints in lists if constraints]
    if len(given) == 1 and len(given[0]) == 1:
        return tuple(given[0])  # most often so: many tasks then share one tuple
    merged: dict[str, Constraint] = {}
    for constraints in lists:
        for constraint in constraints:
            merged[constraint.attribute] = constraint
    return tuple(merged.values())


def without_targets(channels: Sequence[Channel]) -> tuple[Channel, ...]:
    """Outbound channels of a task class: their targets mean nothing, the role has to say it."""
    return tuple(evolve(channel, target="") for channel in channels)
