"""The parts of one core, wired.

They are started from the bottom to the top and stopped from the top to the bottom. Stopping means
handing over: executors and tasks stay as they are. Only the control API's `Teardown` ends them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from aliecs.access.audit import Audit
from aliecs.access.opening import Access, open_access
from aliecs.api.audience import Audience
from aliecs.api.core import Core
from aliecs.api.metrics import Metrics, ReactorDelay
from aliecs.configuration.opening import is_remote, open_configuration
from aliecs.daemon import Stops, begin_watchdog, check_ports
from aliecs.environment.dump import Dumps
from aliecs.environment.facilities import Facilities
from aliecs.environment.generation import Generator
from aliecs.environment.loading import Loaders
from aliecs.environment.manager import Manager
from aliecs.environment.operation import Operations
from aliecs.errors import AliecsError, Unavailable
from aliecs.event.bus import Bus
from aliecs.event.kafka.courier import Courier
from aliecs.event.kafka.sink import KafkaSink
from aliecs.event.line import Lines
from aliecs.event.measurement import Measurements
from aliecs.event.record import CoreStart
from aliecs.garbage import GarbageCollector
from aliecs.integration.factory import known_factories, make_integrations
from aliecs.interfaces import IConfigurationService, ITaskBackend, Surroundings
from aliecs.journal import Journal
from aliecs.protocol.identifier import IdentifierGenerator
from aliecs.repository.manager import Repositories
from aliecs.service.faces import STOP_GRACE_S, Faces, product_version
from aliecs.service.making import (
    endpoint_of,
    environment_options,
    infologger_of,
    make_backend,
    runtime_memory,
)
from aliecs.settings.core import Settings
from aliecs.settings.layer import Layer, Sources, read_text
from aliecs.task.host import Drains, Hosts
from aliecs.task.roster import Roster
from aliecs.tls import LOOK_S

JOURNAL = "journal.db"
LOCK = "core.lock"
KAFKA_SPOOL = "kafka"


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
        bus = Bus()
        self._stops.add("bus", bus.close)
        access = await open_access(
            settings, folder, reactor, runtime_memory(configuration), bus.tell
        )
        self._look_regularly(access)
        faces = Faces(settings, reactor, self._stops)
        apricot = await faces.open_apricot(configuration, access) if self._serves_apricot else {}
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
            gate=access.gate,
            audit=Audit(journal, identifiers),
            shut_down=lambda: reactor.callLater(STOP_GRACE_S, reactor.stop),
        )
        await core.requests.load()
        delay = ReactorDelay(reactor)
        delay.start()
        self._stops.add("reactor delay", delay.stop)
        audience = Audience(bus, reactor)
        bus.add_sink(audience)
        metrics = Metrics(
            core,
            measurements,
            delay,
            audience,
            {"journal": lambda: journal.waiting},
            couriers,
            settings.summary_metrics,
            settings.mesos_resource_type_metrics,
        )
        await faces.open(core, access, audience, metrics, lines, lambda: self.ready)
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

    def _look_regularly(self, access: Access) -> None:
        """See whether certificates or tokens changed, and whether the time of a lock is over."""

        async def look() -> None:
            access.refresh()
            try:
                await access.gate.locks.sweep()
            except AliecsError as problem:
                self._log.warn("locks: {reason}", reason=problem.message)

        looking = LoopingCall(lambda: Deferred.fromCoroutine(look()))
        looking.start(LOOK_S, now=False)
        self._stops.add("access", looking.stop)

    def _begin_watchdog(self) -> None:
        """Tell systemd that the core is ready, and from time to time that its reactor turns."""
        end = begin_watchdog()
        if end is not None:
            self._stops.add("watchdog", end)
