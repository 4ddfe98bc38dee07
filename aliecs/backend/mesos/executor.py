"""What executors are started with.

Mesos wants every launch on a running executor to repeat its ExecutorInfo word for word, and
executors outlive cores and settings. So the id of an executor ends with its version, a digest of
that information; the information itself is kept under it, also for the next core. An executor of
another version gets no new tasks, and ends when it has none left.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
from collections.abc import Callable, Iterable, Mapping

import msgspec
from attrs import define, field
from twisted.logger import Logger

from aliecs.backend.mesos.option import ExecutorOptions
from aliecs.backend.mesos.resource import Pool
from aliecs.protocol import mesos_pb2

KEPT_VERSIONS = 64
ENVIRONMENT_ATTRIBUTE = "executor_env_"
"""An agent's attribute `executor_env_NAME` is the variable NAME of its executor."""
_LIBRARY_PATH = "LD_LIBRARY_PATH"
_DIGITS = 8

log = Logger()


def command_of(options: ExecutorOptions, attributes: Mapping[str, str]) -> mesos_pb2.CommandInfo:
    """The command of an executor on an agent with these attributes."""
    environment = mesos_pb2.Environment()
    library_path = attributes.get(ENVIRONMENT_ATTRIBUTE + _LIBRARY_PATH)
    if library_path is not None:
        environment.variables.add(name=_LIBRARY_PATH, value=library_path)
    if options.path:
        return mesos_pb2.CommandInfo(
            value=f"./{posixpath.basename(options.path)}",
            uris=[mesos_pb2.CommandInfo.URI(value=options.path, executable=True)],
            environment=environment,
        )
    return mesos_pb2.CommandInfo(
        value=options.command[0],
        arguments=options.command,
        shell=False,
        environment=environment,
    )


@define(eq=False)
class ExecutorBook:
    """All versions that are known. `changed` is called with the text to keep for the next core."""

    options: ExecutorOptions
    new_id: Callable[[], str]
    changed: Callable[[str], None]
    _versions: dict[str, bytes] = field(factory=dict, init=False)

    def restore(self, text: str) -> None:
        """Take what an earlier core has kept."""
        if not text:
            return
        try:
            kept = msgspec.json.decode(text, type=dict[str, str])
            self._versions = {name: base64.b64decode(data) for name, data in kept.items()}
        except (msgspec.MsgspecError, ValueError) as error:
            log.error(
                "what is kept about Mesos executors cannot be read, and running ones will be"
                " replaced: {error}", error=error,
            )  # fmt: skip

    def fresh(self, attributes: Mapping[str, str], pool: Pool) -> mesos_pb2.ExecutorInfo:
        """A new executor, whose resources are taken from what is offered. Raises `LookupError`
        where they do not suffice."""
        info = self._template(attributes)
        for resource in pool.take(self.options.cpus, self.options.memory_mb):
            resource.ClearField("allocation_info")
            info.resources.append(resource)
        data = info.SerializeToString(deterministic=True)
        version = hashlib.sha256(data).hexdigest()[:_DIGITS]
        self._keep(version, data)
        info.executor_id.value = f"{self.new_id()}-{version}"
        return info

    def known(self, executor_id: str) -> mesos_pb2.ExecutorInfo | None:
        """What a running executor was started with; None where that is not known."""
        data = self._versions.get(executor_id.rpartition("-")[2])
        if data is None:
            return None
        info = mesos_pb2.ExecutorInfo.FromString(data)
        info.executor_id.value = executor_id
        return info

    def choose(self, running: Iterable[str], attributes: Mapping[str, str]) -> str:
        """The executor, among those that run on an agent, that new tasks go to; empty for none."""
        wanted = self._template(attributes)
        for executor_id in sorted(running):
            info = self.known(executor_id)
            if info is not None and self._is_like(info, wanted):
                return executor_id
        return ""

    def _is_like(self, info: mesos_pb2.ExecutorInfo, wanted: mesos_pb2.ExecutorInfo) -> bool:
        """True where nothing but the id and the roles of the resources differ."""
        had = Pool(info.resources)
        bare = mesos_pb2.ExecutorInfo()
        bare.CopyFrom(info)
        bare.ClearField("executor_id")
        bare.ClearField("resources")
        amounts = (self.options.cpus, self.options.memory_mb)
        return bare == wanted and (had.cpus, had.memory_mb) == amounts

    def _template(self, attributes: Mapping[str, str]) -> mesos_pb2.ExecutorInfo:
        return mesos_pb2.ExecutorInfo(
            type=mesos_pb2.ExecutorInfo.CUSTOM,
            name="AliECS executor",
            command=command_of(self.options, attributes),
        )

    def _keep(self, version: str, data: bytes) -> None:
        if version in self._versions:
            return
        self._versions[version] = data
        while len(self._versions) > KEPT_VERSIONS:
            del self._versions[next(iter(self._versions))]
        kept = {name: base64.b64encode(data).decode() for name, data in self._versions.items()}
        self.changed(msgspec.json.encode(kept).decode())
