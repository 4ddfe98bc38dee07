"""What an operator says about Mesos, and what the master is told of it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from aliecs.backend.mesos.address import Address
from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_pb2 import FrameworkInfo

Capability = FrameworkInfo.Capability


@frozen
class ExecutorOptions:
    """How executors are started on agents: `path` is a program that agents can fetch, `command` a
    command that is there already."""

    path: str = ""
    command: Sequence[str] = ()
    cpus: float = 0.01
    memory_mb: float = 256.0


@frozen
class MesosOptions:
    """See the settings `mesos*`. `user_name` and `password` are for basic authentication, both
    empty for none; `authority` is the certificate of who signs masters, empty for whom this machine
    trusts."""

    masters: tuple[Address, ...]
    executor: ExecutorOptions
    timeout_s: float = 20.0
    user_name: str = ""
    password: str = field(default="", repr=False)
    authority: bytes = b""
    user: str = "root"
    name: str = "aliecs"
    role: str = ""
    host_name: str = ""
    principal: str = ""
    checkpoint: bool = True
    failover_timeout_s: float = 3_600_000.0
    takes_gpus: bool = False
    labels: Sequence[tuple[str, str]] = ()
    refuse_s: float = 5.0
    revive_burst: int = 3
    revive_wait_s: float = 1.0

    @property
    def keeps_identity(self) -> bool:
        """False where Mesos ends everything as soon as a core is away."""
        return self.failover_timeout_s > 0

    def framework(self, framework_id: str) -> FrameworkInfo:
        """What the master is told of us. An empty id makes a new framework."""
        capabilities = [Capability.PARTITION_AWARE, Capability.TASK_KILLING_STATE]
        if self.takes_gpus:
            capabilities.append(Capability.GPU_RESOURCES)
        info = FrameworkInfo(
            user=self.user,
            name=self.name,
            checkpoint=self.checkpoint,
            capabilities=[Capability(type=kind) for kind in capabilities],
        )
        if self.keeps_identity:
            info.failover_timeout = self.failover_timeout_s
        if framework_id:
            info.id.value = framework_id
        for attribute, text in (
            ("role", self.role),
            ("hostname", self.host_name),
            ("principal", self.principal),
        ):
            if text:
                setattr(info, attribute, text)
        for key, text in self.labels:
            label = info.labels.labels.add(key=key)
            if text:
                label.value = text
        return info


def attributes_of(offer: mesos_pb2.Offer) -> dict[str, str]:
    """The attributes of an agent as text; a number is a text without needless digits."""
    return {attribute.name: _attribute_text(attribute) for attribute in offer.attributes}


def _attribute_text(attribute: mesos_pb2.Attribute) -> str:
    kind = attribute.type
    if kind == mesos_pb2.Value.SCALAR:
        return f"{attribute.scalar.value:.15g}"
    if kind == mesos_pb2.Value.RANGES:
        return ",".join(f"{one.begin}-{one.end}" for one in attribute.ranges.range)
    if kind == mesos_pb2.Value.SET:
        return ",".join(attribute.set.item)
    return attribute.text.value
