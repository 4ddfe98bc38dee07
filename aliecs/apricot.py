"""The configuration service on its own: `twistd --reactor=asyncio apricot`.

For installations where cores, tasks and people share one tree that no core looks after. The same
service and the same faces as in a core, over the same stores. Over `apricot://` it hands on what
another one answers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.application.service import IService
from twisted.internet import reactor as installed_reactor
from twisted.logger import Logger

from aliecs.api.apricot_faces import open_grpc, open_http
from aliecs.configuration.opening import is_remote, open_configuration
from aliecs.daemon import (
    DaemonService,
    Stops,
    begin_watchdog,
    check_ports,
    check_reactor,
    write_addresses,
)
from aliecs.errors import SettingsError, Unavailable
from aliecs.infologger import InfoLogger
from aliecs.log import levels_for
from aliecs.settings.apricot import ApricotOptions, ApricotSettings

ADDRESSES = "apricot.json"
"""Where a running service says how it can be reached: the ports that it took."""


class Options(ApricotOptions):
    """The command line of `twistd apricot`. What cannot be is refused here, in one line."""

    def postOptions(self) -> None:  # noqa: N802
        """Check everything that can be checked before anything is started."""
        check_reactor("apricot")
        try:
            self.settings = self.apricot_settings(os.environ)
        except SettingsError as error:
            raise SystemExit(f"apricot: {error.message}") from error


def makeService(options: Options) -> IService:  # noqa: N802
    """Make the service from the command line."""
    settings = options.settings
    service: IService = DaemonService(
        "apricot",
        lambda: ApricotParts(settings),
        log_format=settings.log_format,
        verbose=settings.verbose,
    )
    return service


@define(eq=False)
class ApricotParts:
    """The parts, in the order in which they are started."""

    settings: ApricotSettings
    _stops: Stops = field(init=False, factory=Stops)
    _log: Logger = field(init=False, factory=Logger)

    async def start(self) -> None:
        """Start everything. Raises `AliecsError` where something cannot be."""
        settings = self.settings
        reactor: Any = installed_reactor
        address = settings.listen_address
        ports = {"listenPort": settings.listen_port, "httpListenPort": settings.http_listen_port}
        check_ports(address, ports)
        folder = usable_folder(Path(settings.working_dir))
        if settings.info_logger_socket:
            levels = levels_for(verbose=settings.log_all_il and settings.verbose)
            infologger = InfoLogger(settings.info_logger_socket, levels, "apricot")
            infologger.start()
            self._stops.add("InfoLogger", infologger.stop)
        service = self._open(folder, reactor)
        self._stops.add("configuration", service.stop)
        await service.start()
        port, stop = await open_grpc(service, reactor, address, settings.listen_port, "listenPort")
        self._stops.add("gRPC", stop)
        http_port, stop = open_http(
            service, reactor, address, settings.http_listen_port, "httpListenPort"
        )
        self._stops.add("HTTP", stop)
        addresses = {"grpc": f"{address}:{port}", "http": f"http://{address}:{http_port}"}
        said = folder / ADDRESSES
        write_addresses(said, addresses)
        self._stops.add("addresses", lambda: said.unlink(missing_ok=True))
        self._log.info("configuration of {uri}", uri=service.uri)
        for face, place in addresses.items():
            self._log.info("{face} at {place}", face=face, place=place)
        end = begin_watchdog()
        if end is not None:
            self._stops.add("watchdog", end)

    async def stop(self) -> None:
        """Stop everything that was started, the last first. What fails to stop stops nobody
        else."""
        await self._stops.stop()

    def _open(self, folder: Path, reactor: Any) -> Any:
        uri = self.settings.backend_uri
        if is_remote(uri):
            self._log.warn(
                "backendUri: {uri} is another configuration service: this one only hands on",
                uri=uri,
            )
        trim = self.settings.trim_space_in_vars_from_consul_kv
        try:
            return open_configuration(uri, folder, reactor, trim)
        except SettingsError as error:
            raise SettingsError(error.message.replace("configServiceUri", "backendUri")) from None


def usable_folder(folder: Path) -> Path:
    """`folder`, made where it is missing. Raises `Unavailable` where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"workingDir: {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unavailable(f"workingDir: {folder} cannot be written")
    return folder
