"""Opens the faces of a configuration service, gRPC and HTTP: in a core and in `twistd apricot`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.error import CannotListenError

from aliecs.api.apricot import Apricot, ExtendedConfiguration, MayChange, may_all
from aliecs.api.apricot_http import ApricotHttp
from aliecs.configuration.wire import APRICOT, EXTENDED
from aliecs.errors import Unavailable
from aliecs.interfaces import IConfigurationService
from aliecs.txgrpc.server import Server

STOP_GRACE_S = 0.3

Stop = Callable[[], "Awaitable[None] | None"]


async def open_grpc(
    service: IConfigurationService,
    reactor: Any,
    address: str,
    port: int,
    setting: str,
    may_change: MayChange = may_all,
) -> tuple[int, Stop]:
    """Serve `service` over gRPC on a port (0: any free one) to all who `may_change` it or read.
    Gives the port and what closes it; raises `Unavailable`, naming the setting."""
    server = Server(
        f"{address}:{port}",
        [
            (APRICOT, Apricot(service, reactor, may_change=may_change)),
            (EXTENDED, ExtendedConfiguration(service, reactor, may_change=may_change)),
        ],
    )
    try:
        taken = await server.start()
    except Unavailable as error:
        raise Unavailable(f"{setting}: {error.message}") from error
    return taken, lambda: server.stop(STOP_GRACE_S)


def open_http(
    service: IConfigurationService, reactor: Any, address: str, port: int, setting: str
) -> tuple[int, Stop]:
    """The same over HTTP."""
    site = ApricotHttp(service, reactor).site()
    try:
        listening = reactor.listenTCP(port, site, interface=address)
    except CannotListenError as error:
        raise Unavailable(f"{setting}: {error}") from error
    return listening.getHost().port, listening.stopListening
