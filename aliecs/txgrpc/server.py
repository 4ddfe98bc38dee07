"""A gRPC server whose handlers are Twisted coroutines.

A servicer is any object with one method for each method of the service:

    async def GetState(self, request, call):            # a reply
        return GetStateReply(state=await self.ask())

    async def EventStream(self, request, call):         # a stream of replies
        async for event in self.events():
            yield EventStreamReply(event=event)

A stream's headers go out when its handler has been called: one that subscribes to something before
it returns its iterator misses nothing from the moment that the client sees the headers.

The contract about clients that go away: a client's cancel, its deadline or the loss of its
connection cancels the handler, that is, the Deferred that it waits for at that moment. Work that
must outlive the client is therefore started by its owner, and the handler waits for it behind
`shield`; then only the waiting ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aliecs.tls import Certificates
from aliecs.txgrpc.bridge import in_loop, reactor_loop, shield
from aliecs.txgrpc.native import NativeServer
from aliecs.txgrpc.route import Handler, Route, ServerCall, service_routes

__all__ = ["Route", "Server", "ServerCall", "shield"]


class Server:
    """A server of protobuf services and of single routes, with health and reflection.

    `address` is `host:port` (port 0: any free one) or `unix:<path>`. `services` maps descriptors to
    servicers, `routes` adds methods with codecs of their own, `options` are gRPC channel arguments.
    With `certificates` it speaks TLS.
    """

    log = Logger()

    def __init__(
        self,
        address: str,
        services: Sequence[tuple[ServiceDescriptor, object]] = (),
        routes: Sequence[Route] = (),
        options: Mapping[str, int | str] | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        served = [route for service, servicer in services for route in _served(service, servicer)]
        served += [_twisted(route) for route in routes]
        self._names = [service.full_name for service, _ in services]
        self._server = NativeServer(address, served, self._report, options, certificates)
        self._health: Any = None

    @property
    def port(self) -> int:
        """The port listened on; 0 before `start`, and for a Unix socket."""
        return self._server.port

    def start(self) -> Deferred[int]:
        """Listen; gives the port. `Unavailable`, naming address and cause, where it cannot."""
        return in_loop(self._start())

    def stop(self, grace_s: float = 0.0) -> Deferred[None]:
        """Take no more calls; cancel those that still run after `grace_s` seconds."""
        return in_loop(self._stop(grace_s))

    async def _start(self) -> int:
        port = await self._server.start(self._extend)
        for name in ["", *self._names]:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return port

    async def _stop(self, grace_s: float) -> None:
        if self._health is not None:
            await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

    def _extend(self, server: grpc.aio.Server) -> None:
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME), server
        )

    def _report(self, path: str, error: BaseException) -> None:
        failure = Failure(error)
        self.log.failure("the handler of {path} failed", failure, path=path)


def _served(service: ServiceDescriptor, servicer: object) -> list[Route]:
    return [_twisted(route) for route in service_routes(service, servicer)]


def _twisted(route: Route) -> Route:
    adapt = _stream if route.streams else _unary
    return Route(route.path, adapt(route.handler), route.decode, route.encode, route.streams)


def _unary(handler: Handler) -> Handler:
    def native(request: Any, call: ServerCall) -> Awaitable[Any]:
        return maybeDeferred(handler, request, call).asFuture(reactor_loop())

    return native


def _stream(handler: Handler) -> Handler:
    def native(request: Any, call: ServerCall) -> AsyncIterator[Any]:
        return _replies(handler(request, call))

    return native


async def _replies(replies: Any) -> AsyncIterator[Any]:
    loop = reactor_loop()
    end = object()

    def run(step: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
        return Deferred.fromCoroutine(_await(step)).asFuture(loop)

    try:
        while (reply := await run(lambda: anext(replies, end))) is not end:
            yield reply
    finally:
        # Runs the handler's own clean-up, also when the client went away between two replies.
        if hasattr(replies, "aclose"):
            await run(replies.aclose)


async def _await(step: Callable[[], Awaitable[Any]]) -> Any:
    return await step()
