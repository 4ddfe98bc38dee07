"""Parts of the core that are made of nothing but settings: the backend, and what environments look
at."""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from twisted.internet import reactor as installed_reactor

from aliecs.backend.host import HostDefinition
from aliecs.backend.local import LocalBackend
from aliecs.backend.mesos.backend import MesosBackend
from aliecs.backend.mesos.setting import options_of
from aliecs.backend.ports import PortClaims
from aliecs.backend.simulated import SimulatedBackend, SimulatedHost
from aliecs.environment.facilities import Options as EnvironmentOptions
from aliecs.errors import NotFound
from aliecs.infologger import InfoLogger
from aliecs.interfaces import IConfigurationService, ITaskBackend, MemoryFunctions
from aliecs.log import levels_for
from aliecs.protocol.identifier import IdentifierGenerator
from aliecs.settings.core import BY_NAME, Settings
from aliecs.settings.table import fold
from aliecs.settings.value import Host

MEGABYTE = 1024 * 1024


def make_backend(
    settings: Settings,
    folder: Path,
    identifiers: IdentifierGenerator,
    configuration: IConfigurationService,
) -> ITaskBackend:
    """The backend that the settings name."""
    if settings.backend == "mesos":
        return MesosBackend(
            installed_reactor, options_of(settings), runtime_memory(configuration), identifiers
        )
    named = settings.hosts or [Host(socket.gethostname())]
    if settings.backend == "simulated":
        return SimulatedBackend(
            installed_reactor,
            [SimulatedHost(h.name, h.attributes, h.cpus, h.memory_mb) for h in named],
        )
    first, last = settings.local_ports
    hosts = [
        HostDefinition(
            name=host.name,
            attributes=host.attributes,
            cpus=host.cpus,
            memory_mb=host.memory_mb,
            path=tuple(settings.executor_path),
        )
        for host in named
    ]
    command = settings.executor_command or (sys.executable, "-m", "aliecs.executor.main")
    return LocalBackend(
        reactor=installed_reactor,
        hosts=hosts,
        directory=folder / "local",
        recovery_timeout_s=settings.recovery_timeout_s,
        shell=settings.executor_shell,
        shared_memory_cleaner=shlex.join(settings.shm_cleaner),
        executor_command=tuple(command),
        port_claims=PortClaims(first, last),
        identifiers=identifiers,
        stream_bytes=settings.task_log_stream_mb * MEGABYTE,
        log_bytes=settings.task_log_total_mb * MEGABYTE,
        infologger=settings.info_logger_socket,
    )


def runtime_memory(configuration: IConfigurationService) -> MemoryFunctions:
    """The runtime entries of the core, as a memory: `o2/runtime/aliecs/mesos_fid` and the like."""

    async def read(name: str) -> str:
        try:
            return await configuration.runtime_get("aliecs", name)
        except NotFound:
            return ""

    async def write(name: str, text: str) -> None:
        await configuration.runtime_set("aliecs", name, text)

    return MemoryFunctions(read, write)


def environment_options(settings: Settings, apricot: Mapping[str, str]) -> EnvironmentOptions:
    """What environments look at. `apricot` has the addresses of the configuration where this core
    serves it: then templates find it without anybody having said where."""
    defaults = {"python_executable": sys.executable}
    if apricot:
        host, _, port = apricot["apricot_http"].rpartition("//")[2].rpartition(":")
        here = socket.gethostname() if host in ("0.0.0.0", "::") else host  # noqa: S104
        defaults["apricot_endpoint"] = f"{here}:{port}"
    return EnvironmentOptions(
        fmq_plugin=settings.fmq_plugin,
        fmq_plugin_search_path=settings.fmq_plugin_search_path,
        deploy_timeout_s=settings.deploy_timeout_s,
        configure_timeout_s=settings.configure_timeout_s,
        transition_timeout_s=settings.transition_timeout_s,
        load_timeout_s=settings.load_timeout_s,
        clean_shared_memory=bool(settings.shm_cleaner),
        defaults=defaults,
    )


def infologger_of(settings: Settings) -> InfoLogger | None:
    """The one that the settings want, None where they name no daemon."""
    if not settings.info_logger_socket:
        return None
    details = settings.log_all_il
    levels = levels_for(
        verbose=details and settings.verbose, very_verbose=details and settings.very_verbose
    )
    return InfoLogger(settings.info_logger_socket, levels)


def endpoint_of(settings: Settings, key: str) -> str:
    """The endpoint of a service, by the name of its setting."""
    setting = BY_NAME.get(fold(key))
    value = getattr(settings, setting.attribute) if setting is not None else ""
    return ",".join(value) if isinstance(value, tuple) else str(value)
