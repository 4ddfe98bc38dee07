"""Configuration services for tests: each kind of service, over a tree of its own.

A house is a service that is started, and the store that its tree is in, for a test to look into or
to change behind the service's back. `HOUSES` are all kinds that the contract is held by; one more
kind is one more line.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aliecs.api.apricot import Apricot, ExtendedConfiguration
from aliecs.configuration.importing import import_text
from aliecs.configuration.opening import open_configuration
from aliecs.configuration.service import LocalConfigurationService
from aliecs.configuration.wire import APRICOT, EXTENDED
from aliecs.interfaces import IConfigurationService, IConfigurationStore
from aliecs.txgrpc.server import Server

TREE = Path(__file__).parent / "tree.yaml"
LOOPBACK = "127.0.0.1"


@frozen
class House:
    """See the module."""

    service: IConfigurationService
    store: IConfigurationStore
    another: Callable[[], Awaitable[IConfigurationService]]
    """A second service over the same tree, as another process would have."""


Build = Callable[[TestCase, Path], Awaitable[House]]


async def started(test: TestCase, service: Any) -> Any:
    """Start a service, a store or a server, and stop it at the end of a test."""
    starting = service.start()
    await starting
    test.addCleanup(lambda: _deferred(service.stop()))
    return service


def _deferred(stopping: Any) -> Deferred[Any]:
    return stopping if isinstance(stopping, Deferred) else Deferred.fromCoroutine(stopping)


async def local_house(test: TestCase, place: Path, uri: str) -> House:
    """A service over a tree in this process."""

    async def another() -> LocalConfigurationService:
        service: LocalConfigurationService = await started(
            test, open_configuration(uri, place, reactor)
        )
        return service

    service = await another()
    await import_text(service.store, TREE.read_bytes(), "tree.yaml")
    return House(service, service.store, another)


async def sqlite_house(test: TestCase, place: Path) -> House:
    """Over SQLite."""
    return await local_house(test, place, "sqlite://")


async def file_house(test: TestCase, place: Path) -> House:
    """Over a YAML file."""
    (place / "tree.yaml").touch()
    return await local_house(test, place, f"file://{place}/tree.yaml")


async def serve(test: TestCase, service: IConfigurationService, plain: bool = False) -> str:
    """Serve a service over gRPC on a free port; gives its address. `plain`: only what the
    reference offers."""
    services: list[tuple[Any, object]] = [(APRICOT, Apricot(service, reactor))]
    if not plain:
        services.append((EXTENDED, ExtendedConfiguration(service, reactor)))
    server = await started(test, Server(f"{LOOPBACK}:0", services))
    return f"apricot://{LOOPBACK}:{server.port}"


async def remote_house(test: TestCase, place: Path) -> House:
    """The client of a service over SQLite, by a real connection."""
    return await served_house(test, place, await sqlite_house(test, place))


async def served_house(test: TestCase, place: Path, behind: House) -> House:
    """The client of the service of another house."""
    uri = await serve(test, behind.service)

    async def another() -> IConfigurationService:
        service: IConfigurationService = await started(
            test, open_configuration(uri, place, reactor)
        )
        return service

    return House(await another(), behind.store, another)


HOUSES: Sequence[Build] = (
    sqlite_house,
    file_house,
    remote_house,
)
