"""The ports that a core is reached at: gRPC, REST, the manhole, the configuration, the metrics."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from aliecs.access.opening import Access, is_loopback
from aliecs.api.apricot_faces import open_grpc, open_http
from aliecs.api.audience import Audience
from aliecs.api.control import Control
from aliecs.api.core import Core
from aliecs.api.extended import ExtendedControl
from aliecs.api.listing import environments_reply
from aliecs.api.manhole import Access as ManholeAccess
from aliecs.api.manhole import manhole_factory
from aliecs.api.metrics import Metrics
from aliecs.api.metrics_faces import MetricsFaces
from aliecs.api.permission import credentials_of
from aliecs.api.request import LONGEST_BODY
from aliecs.api.rest.face import Face
from aliecs.api.rest.server import Rest
from aliecs.api.site import QuietSite
from aliecs.api.stream import EventStream
from aliecs.daemon import Stops, write_addresses
from aliecs.errors import Unavailable
from aliecs.event.line import Lines
from aliecs.interfaces import IConfigurationService, Role
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.settings.core import Settings
from aliecs.tls import ContextFactory
from aliecs.txgrpc.route import ServerCall
from aliecs.txgrpc.server import Server

ADDRESSES = "core.json"
"""Where a running core says how it can be reached: the ports that it took."""

STOP_GRACE_S = 0.3


@define(eq=False)
class Faces:
    """Opens the ports; what closes them goes to `stops`. `addresses` says which were taken."""

    settings: Settings
    reactor: Any
    stops: Stops
    addresses: dict[str, str] = field(init=False, factory=dict)
    _log: Logger = field(init=False, factory=Logger)

    async def open_apricot(
        self, service: IConfigurationService, access: Access
    ) -> Mapping[str, str]:
        """Serve the configuration to others, before anything else begins: what an earlier core left
        running may ask for it. Gives the addresses."""
        settings, address = self.settings, self.settings.listen_address

        async def may_change(call: ServerCall, role: Role) -> None:
            caller = await access.gate.recognise(credentials_of(call))
            access.gate.check_role(caller, role, call.path.rpartition("/")[2])

        port, stop = await open_grpc(
            service, self.reactor, address, settings.apricot_port, "apricotPort", may_change
        )
        self.stops.add("apricot", stop)
        http_port, stop = open_http(
            service, self.reactor, address, settings.apricot_http_port, "apricotHttpPort"
        )
        self.stops.add("apricot over HTTP", stop)
        found = {
            "apricot": f"{address}:{port}",
            "apricot_http": f"http://{address}:{http_port}",
        }
        self.addresses |= found
        return found

    async def open(
        self,
        core: Core,
        access: Access,
        audience: Audience,
        metrics: Metrics,
        lines: Lines,
        ready: Callable[[], bool],
    ) -> None:
        """Open everything else, and write down the addresses."""
        control, extended = Control(core), ExtendedControl(core)
        await self._open_grpc(control, extended, access)
        stream = EventStream(
            audience,
            self.reactor,
            version_text(),
            lambda: environments_reply(core, aliecs_v1_pb2.ListEnvironmentsRequest()),
        )
        self._open_rest(Face(control, extended, stream, self.reactor, ready, metrics, access))
        self.stops.add("streams", stream.stop)
        self._open_manhole(core)
        faces = MetricsFaces(metrics, lines, self.settings, self.reactor)
        faces.open()
        self.stops.add("metrics", faces.close)
        self.addresses |= faces.addresses
        self._say(access)

    async def _open_grpc(self, control: Control, extended: ExtendedControl, access: Access) -> None:
        settings = self.settings
        server = Server(
            f"{settings.listen_address}:{settings.control_port}",
            [
                (o2control_pb2.DESCRIPTOR.services_by_name["Control"], control),
                (aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"], extended),
            ],
            certificates=access.certificates,
        )
        try:
            port = await server.start()
        except Unavailable as error:
            raise Unavailable(f"controlPort: {error.message}") from error
        self.stops.add("gRPC", lambda: server.stop(STOP_GRACE_S))
        self.addresses["grpc"] = f"{settings.listen_address}:{port}"

    def _open_rest(self, face: Face) -> None:
        settings, certificates = self.settings, face.access.certificates
        # Bodies that are somewhat too large are told so; what is far too large is cut off.
        site = QuietSite(Rest(face).app.resource(), 2 * LONGEST_BODY)
        context = None
        if certificates is not None:
            context = ContextFactory(certificates, settings.rest_client_certificates)
        port = self._listen("restPort", settings.rest_port, site, context)
        scheme = "http" if context is None else "https"
        self.addresses["rest"] = f"{scheme}://{settings.listen_address}:{port}"

    def _open_manhole(self, core: Core) -> None:
        settings = self.settings
        access = ManholeAccess(
            settings.manhole_user, settings.manhole_keys, settings.manhole_password_file
        )
        if not access.is_open:
            return
        host_key = settings.manhole_host_key or (
            Path(settings.core_working_dir) / "manhole_host_key"
        )
        factory = manhole_factory(access, Path(host_key), manhole_names(core))
        port = self._listen("manholePort", settings.manhole_port, factory)
        self.addresses["manhole"] = f"{settings.manhole_user}@{settings.listen_address}:{port}"

    def _listen(
        self, setting: str, port: int, factory: Any, context: ContextFactory | None = None
    ) -> int:
        address = self.settings.listen_address
        try:
            if context is None:
                listening = self.reactor.listenTCP(port, factory, interface=address)
            else:
                listening = self.reactor.listenSSL(port, factory, context, interface=address)
        except CannotListenError as error:
            raise Unavailable(f"{setting}: {error}") from error
        self.stops.add(setting, listening.stopListening)
        number: int = listening.getHost().port
        return number

    def _say(self, access: Access) -> None:
        path = Path(self.settings.core_working_dir) / ADDRESSES
        write_addresses(path, self.addresses)
        self.stops.add("addresses", lambda: path.unlink(missing_ok=True))
        for face, address in self.addresses.items():
            self._log.info("{face} at {address}", face=face, address=address)
        if access.is_open:
            self._log.info("no security is configured: only this machine can reach the core")
            return
        ways = ", ".join(authorizer.name for authorizer in access.gate.chain.authorizers)
        self._log.info(
            "callers are known by: {ways}; locks: {policy}",
            ways=ways,
            policy=access.gate.lock_policy,
        )
        if access.certificates is None and not is_loopback(self.settings.listen_address):
            self._log.warn(
                "tlsCertificate is not set: tokens and orders cross the network as text"
            )


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
