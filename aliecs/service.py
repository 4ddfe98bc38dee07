"""The only place where the parts of the core are made and wired.

`twistd --reactor=asyncio aliecs` makes a `CoreService`. It starts the parts from the bottom to the
top and stops them from the top to the bottom. Stopping means handing over: executors and tasks stay
as they are. Only the control API's `Teardown` ends them.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.application.service import IService
from twisted.internet import reactor as installed_reactor
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from aliecs.api.apricot_faces import open_grpc, open_http
from aliecs.api.audience import Audience
from aliecs.api.control import Control
from aliecs.api.core import Core
from aliecs.api.extended import ExtendedControl
from aliecs.api.manhole import Access, manhole_factory
from aliecs.api.metrics import Metrics, ReactorDelay
from aliecs.api.metrics_faces import MetricsFaces
from aliecs.api.request import LONGEST_BODY
from aliecs.api.rest import Face, Rest
from aliecs.api.site import QuietSite
from aliecs.api.stream import EventStream
from aliecs.backend.host import HostDefinition
from aliecs.backend.local import LocalBackend
from aliecs.backend.mesos.backend import MesosBackend
from aliecs.backend.mesos.setting import options_of
from aliecs.backend.ports import PortClaims
from aliecs.backend.simulated import SimulatedBackend, SimulatedHost
from aliecs.configuration.opening import is_remote, open_configuration
from aliecs.daemon import (
    DaemonService,
    Stops,
    begin_watchdog,
    check_ports,
    check_reactor,
    write_addresses,
)
from aliecs.environment.dump import Dumps
from aliecs.environment.facilities import Facilities
from aliecs.environment.facilities import Options as EnvironmentOptions
from aliecs.environment.generation import Generator
from aliecs.environment.loading import Loaders
from aliecs.environment.manager import Manager
from aliecs.environment.operation import Operations
from aliecs.errors import AliecsError, NotFound, SettingsError, Unavailable
from aliecs.event.bus import Bus
from aliecs.event.kafka.courier import Courier
from aliecs.event.kafka.sink import KafkaSink
from aliecs.event.line import Lines
from aliecs.event.measurement import Measurements
from aliecs.event.record import CoreStart
from aliecs.garbage import GarbageCollector
from aliecs.infologger import InfoLogger
from aliecs.integration.factory import known_factories, make_integrations
from aliecs.interfaces import IConfigurationService, ITaskBackend, MemoryFunctions, Surroundings
from aliecs.journal import Journal
from aliecs.log import levels_for
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.identifier import IdentifierGenerator
from aliecs.protocol.protos import o2control_pb2
from aliecs.repository.manager import Repositories
from aliecs.settings.layer import Layer, Sources, read_text
from aliecs.settings.options import SettingsOptions
from aliecs.settings.table import BY_NAME, Settings, fold
from aliecs.settings.value import Host
from aliecs.task.host import Drains, Hosts
from aliecs.task.roster import Roster
from aliecs.txgrpc.server import Server

JOURNAL = "journal.db"
LOCK = "core.lock"
KAFKA_SPOOL = "kafka"
ADDRESSES = "core.json"
"""Where a running core says how it can be reached: the ports that it took."""

STOP_GRACE_S = 0.3
MEGABYTE = 1024 * 1024


class Options(SettingsOptions):
    """The command line of `twistd aliecs`. What cannot be is refused here, in as few words as it
    takes: twistd would print all of its help, or a traceback."""

    def postOptions(self) -> None:  # noqa: N802
        """Check everything that can be checked before anything is started."""
        check_reactor("aliecs")
        try:
            self.settings_sources = self.sources()
            self.settings = self.settings_sources.settings()
        except SettingsError as error:
            raise SystemExit(f"aliecs: {error.message}") from error


def makeService(options: Options) -> IService:  # noqa: N802
    """Make the core from the command line."""
    return CoreService(options.settings_sources, options.settings)


class CoreService(DaemonService):
    """The core as a service of Twisted. Stopping it hands over."""

    name = "aliecs"

    def __init__(self, sources: Sources, settings: Settings) -> None:
        super().__init__(
            "the core",
            lambda: CoreParts(sources, settings),
            log_format=settings.log_format,
            verbose=settings.verbose,
            very_verbose=settings.very_verbose,
        )


@define(eq=False)
class CoreParts:
    """All parts of one core, in the order in which they are started."""

    sources: Sources
    settings: Settings
    ready: bool = field(init=False, default=False)
    _has_served: bool = field(init=False, default=False)
    _stops: Stops = field(init=False, factory=Stops)
    _log: Logger = field(init=False, factory=Logger)

    async def start(self) -> None:
        """Start everything. Raises `AliecsError` where something cannot be; `stop` undoes what was
        started until then."""
        reactor: Any = installed_reactor
        folder = Path(self.settings.core_working_dir)
        self._take_folder(folder)
        configuration = open_configuration(self.settings.config_service_uri, folder, reactor)
        await self._begin("configuration", configuration.start(), configuration.stop)
        settings = self.settings = await self._settings_of_tree(configuration)
        self._check_ports()
        infologger = infologger_of(settings)
        if infologger is not None:
            infologger.start()
            self._stops.add("InfoLogger", infologger.stop)
        apricot = await self._open_apricot(configuration) if self._serves_apricot else {}
        journal = Journal(folder / JOURNAL, reactor, settings.journal_retention_days)
        journal.start()
        self._stops.add("journal", journal.stop)
        repositories = Repositories(
            configuration,
            folder,
            reactor,
            default_repository=settings.default_repo,
            default_revision=settings.global_default_revision,
            repositories=settings.repositories,
            ssh_key=settings.repos_ssh_key,
            timeout_s=settings.repos_timeout_s,
        )
        await self._begin("repositories", repositories.start(), repositories.stop)
        identifiers = IdentifierGenerator()
        generator = Generator(
            configuration,
            repositories,
            Path(settings.dpl_environment_file),
            settings.jit_timeout_s,
        )
        loaders = Loaders(reactor, configuration, repositories, identifiers, generator)
        loaders.start()
        self._stops.add("loaders", loaders.stop)
        bus = Bus()
        self._stops.add("bus", bus.close)
        couriers: dict[str, Courier] = {}
        kafka = KafkaSink.of_settings(settings, folder / KAFKA_SPOOL, reactor)
        if kafka is not None:
            kafka.courier.start()
            self._stops.add("Kafka", kafka.courier.stop)
            bus.add_sink(kafka)
            couriers["events"] = kafka.courier
        lines = Lines()
        measurements = Measurements(lines.hear if settings.metrics_endpoint else None)
        bus.add_sink(measurements)
        factories = known_factories()
        endpoints = {
            factory.endpoint_setting: endpoint_of(settings, factory.endpoint_setting)
            for factory in factories.values()
        }
        if not settings.enable_kafka:
            endpoints["kafkaEndpoint"] = ""
        integrations = make_integrations(
            settings.integration_plugins,
            endpoints,
            reactor,
            lambda name: Surroundings(
                folder / "plugins" / name, bus.tell, partial(couriers.__setitem__, name)
            ),
        )
        for integration in integrations.values():
            await self._begin(integration.name, integration.start(), integration.stop)
        backend = make_backend(settings, folder, identifiers, configuration)
        drains = Drains(runtime_memory(configuration))
        await drains.load()
        roster = Roster(
            backend=backend,
            bus=bus,
            journal=journal,
            clock=reactor,
            identifiers=identifiers,
            agent_grace_s=settings.agent_grace_s,
            idle_ttl_s=settings.idle_task_ttl_s,
            reuse=settings.reuse_unlocked_tasks,
            usage_interval_s=settings.task_usage_interval_s,
            hosts=Hosts(backend, drains),
        )
        operations = Operations(identifiers)
        manager = Manager(
            Facilities(
                roster=roster,
                configuration=configuration,
                integrations=integrations,
                loaders=loaders,
                bus=bus,
                journal=journal,
                operations=operations,
                identifiers=identifiers,
                clock=reactor,
                options=environment_options(settings, apricot),
                dumps=Dumps(folder / "dumps", settings.dump_workflows),
            )
        )
        await manager.close_lost()
        await self._begin("backend", backend.start(roster), lambda: self._let_go(backend))
        roster.start()
        self._stops.add("roster", roster.stop)
        core = Core(
            manager=manager,
            roster=roster,
            backend=backend,
            configuration=configuration,
            repositories=repositories,
            integrations=integrations,
            integration_factories=factories,
            bus=bus,
            instance_name=settings.instance_name,
            configuration_uri=settings.config_service_uri,
            version=product_version(),
            shut_down=lambda: reactor.callLater(STOP_GRACE_S, reactor.stop),
        )
        delay = ReactorDelay(reactor)
        delay.start()
        self._stops.add("reactor delay", delay.stop)
        audience = Audience(bus, reactor)
        bus.add_sink(audience)
        queues = {"journal": lambda: journal.waiting}
        metrics = Metrics(
            core,
            measurements,
            delay,
            audience,
            queues,
            couriers,
            settings.summary_metrics,
            settings.mesos_resource_type_metrics,
        )
        await self._open_faces(core, apricot, audience, metrics, lines)
        bus.tell(CoreStart(frameworkId=backend.framework_id))
        garbage = GarbageCollector(
            reactor,
            is_busy=lambda: bool(operations.running()),
            environments=lambda: (environment.id for environment in manager.environments()),
        )
        garbage.start()
        self._stops.add("garbage", garbage.stop)
        self.ready = self._has_served = True
        self._begin_watchdog()

    async def stop(self) -> None:
        """Stop everything that was started, the last first. What fails to stop stops nobody
        else."""
        self.ready = False
        await self._stops.stop()

    # --- inside ----------------------------------------------------------------------------

    async def _begin(self, name: str, starting: Awaitable[None], stop: Callable[[], Any]) -> None:
        self._stops.add(name, stop)
        await starting

    async def _let_go(self, backend: ITaskBackend) -> None:
        """Hand over. A core that never served anybody has nothing to hand over, and leaves nothing
        on this machine; on a cluster are the tasks of the core before it."""
        leaves = self._has_served or self.settings.backend != "local"
        await (backend.stop() if leaves else backend.teardown())

    def _check_ports(self) -> None:
        """Every port can be had. Looked at before anything is touched: a core that cannot serve
        must not have ended what its predecessor left running."""
        settings = self.settings
        ports = {"controlPort": settings.control_port, "restPort": settings.rest_port}
        if settings.manhole_keys or settings.manhole_password_file:
            ports["manholePort"] = settings.manhole_port
        if self._serves_apricot:
            ports |= {
                "apricotPort": settings.apricot_port,
                "apricotHttpPort": settings.apricot_http_port,
            }
        check_ports(settings.listen_address, ports)

    @property
    def _serves_apricot(self) -> bool:
        """What belongs to another process is not served twice."""
        return self.settings.serve_apricot and not is_remote(self.settings.config_service_uri)

    def _take_folder(self, folder: Path) -> None:
        """Make the working folder, and make sure that no other core works in it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"coreWorkingDir: {folder} cannot be used: {error.strerror}"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise Unavailable(
                f"another core works in {folder}: stop it, or give this one another coreWorkingDir"
            ) from None
        self._stops.add("folder", lambda: os.close(lock))

    async def _settings_of_tree(self, configuration: IConfigurationService) -> Settings:
        """The settings with the entry of the configuration tree, where there is one."""
        path = f"aliecs/ANY/any/{self.settings.core_config_entry}"
        try:
            text = await configuration.component_payload(path, None)
        except AliecsError as error:
            if error.code == "not_found":
                return self.settings
            raise
        entry: Layer = read_text(text, path)
        for fault in entry.faults:
            self._log.warn("settings: {fault}", fault=fault)
        return self.sources.settings(entry)

    async def _open_faces(
        self,
        core: Core,
        apricot: Mapping[str, str],
        audience: Audience,
        metrics: Metrics,
        lines: Lines,
    ) -> None:
        settings = self.settings
        reactor: Any = installed_reactor
        folder = Path(settings.core_working_dir)
        control, extended = Control(core), ExtendedControl(core)
        server = Server(
            f"{settings.listen_address}:{settings.control_port}",
            [
                (o2control_pb2.DESCRIPTOR.services_by_name["Control"], control),
                (aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"], extended),
            ],
        )
        try:
            grpc_port = await server.start()
        except Unavailable as error:
            raise Unavailable(f"controlPort: {error.message}") from error
        self._stops.add("gRPC", lambda: server.stop(STOP_GRACE_S))
        addresses = {"grpc": f"{settings.listen_address}:{grpc_port}"}
        stream = EventStream(audience, reactor, version_text())
        rest = Rest(Face(control, extended, stream, reactor, lambda: self.ready, metrics))
        # Bodies that are somewhat too large are told so; what is far too large is cut off.
        site = QuietSite(rest.app.resource(), 2 * LONGEST_BODY)
        port = self._listen("restPort", settings.rest_port, site)
        self._stops.add("streams", stream.stop)
        addresses["rest"] = f"http://{settings.listen_address}:{port}"
        access = Access(
            settings.manhole_user, settings.manhole_keys, settings.manhole_password_file
        )
        if access.is_open:
            host_key = settings.manhole_host_key or folder / "manhole_host_key"
            factory = manhole_factory(access, Path(host_key), manhole_names(core))
            port = self._listen("manholePort", settings.manhole_port, factory)
            addresses["manhole"] = f"{settings.manhole_user}@{settings.listen_address}:{port}"
        faces = MetricsFaces(metrics, lines, settings, reactor)
        faces.open()
        self._stops.add("metrics", faces.close)
        self._say_addresses(folder, {**addresses, **apricot, **faces.addresses})

    async def _open_apricot(self, service: IConfigurationService) -> dict[str, str]:
        """Serve the configuration to others, before anything else begins: what an earlier core left
        running may ask for it. Gives the addresses."""
        reactor: Any = installed_reactor
        settings = self.settings
        address = settings.listen_address
        port, stop = await open_grpc(
            service, reactor, address, settings.apricot_port, "apricotPort"
        )
        self._stops.add("apricot", stop)
        http_port, stop = open_http(
            service, reactor, address, settings.apricot_http_port, "apricotHttpPort"
        )
        self._stops.add("apricot over HTTP", stop)
        return {
            "apricot": f"{address}:{port}",
            "apricot_http": f"http://{address}:{http_port}",
        }

    def _listen(self, setting: str, port: int, factory: Any) -> int:
        reactor: Any = installed_reactor
        try:
            listening = reactor.listenTCP(port, factory, interface=self.settings.listen_address)
        except CannotListenError as error:
            raise Unavailable(f"{setting}: {error}") from error
        self._stops.add(setting, listening.stopListening)
        number: int = listening.getHost().port
        return number

    def _say_addresses(self, folder: Path, addresses: dict[str, str]) -> None:
        path = folder / ADDRESSES
        write_addresses(path, addresses)
        self._stops.add("addresses", lambda: path.unlink(missing_ok=True))
        for face, address in addresses.items():
            self._log.info("{face} at {address}", face=face, address=address)
        if self.settings.listen_address.startswith("127."):
            self._log.info("no security is configured: only this machine can reach the core")

    def _begin_watchdog(self) -> None:
        """Tell systemd that the core is ready, and from time to time that its reactor turns."""
        end = begin_watchdog()
        if end is not None:
            self._stops.add("watchdog", end)


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


def manhole_names(core: Core) -> dict[str, Any]:
    """What the manhole's prompt knows."""
    return {
        "core": core,
        "manager": core.manager,
        "roster": core.roster,
        "backend": core.backend,
        "configuration": core.configuration,
        "repositories": core.repositories,
        "bus": core.bus,
    }


def version_text() -> str:
    """The version of the installed package."""
    return importlib.metadata.version("aliecs")


def product_version() -> tuple[int, int, int]:
    """Major, minor and patch of the version."""
    numbers = [int(part) for part in version_text().split(".")[:3] if part.isdecimal()]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch
