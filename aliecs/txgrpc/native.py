"""A gRPC server on a bare asyncio loop: the ground of `aliecs.txgrpc.server`, and all that a small
process such as a task needs.

It takes routes whose handlers are native coroutines (asyncio's), turns the errors of
`aliecs.errors` into statuses, and hides everything else behind INTERNAL.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from aliecs.errors import AliecsError, InvalidInput, Unavailable
from aliecs.txgrpc.route import Route, ServerCall
from aliecs.txgrpc.status import (
    DETAILS_KEY,
    ERROR_CODE,
    MESSAGE_LIMIT_CHARACTERS,
    RpcError,
    packed_status,
    status_code,
)

if TYPE_CHECKING:
    # Tasks are served without TLS, and are to stay small.
    from aliecs.tls import Certificates, Pem

OPTIONS: Mapping[str, int] = {
    # Without it two servers share one port in silence.
    "grpc.so_reuseport": 0,
    "grpc.max_receive_message_length": 16 * 1024 * 1024,
    "grpc.max_send_message_length": -1,
    # A client that vanished is found within seconds, and one that asks often is not cut off.
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.http2.ping_timeout_ms": 5_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.min_recv_ping_interval_without_data_ms": 1_000,
    "grpc.http2.max_ping_strikes": 0,
}
MAXIMUM_CALLS = 4096

Report = Callable[[str, BaseException], None]
"""Takes the path of a call and a fault of ours that ended it."""


class NativeServer:
    """A server on the running asyncio loop.

    `address` is `host:port` (port 0: any free one) or `unix:<path>`; `report` hears of exceptions
    that are no `AliecsError`; `options` are gRPC channel arguments over the defaults above. With
    `certificates` it speaks TLS.
    """

    def __init__(
        self,
        address: str,
        routes: Sequence[Route],
        report: Report,
        options: Mapping[str, int | str] | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self.address = address
        self.port = 0
        self._certificates = certificates
        self._routes = {route.path: route for route in routes}
        if len(self._routes) != len(routes):
            raise ValueError("two routes have the same path")
        self._report = report
        self._options = {**OPTIONS, **(options or {})}
        self._server: grpc.aio.Server | None = None

    async def start(self, extend: Callable[[grpc.aio.Server], None] | None = None) -> int:
        """Listen. Gives the port; `Unavailable` where the address cannot be had. `extend` may add
        services that gRPC itself brings before the first call is taken."""
        server = grpc.aio.server(
            options=list(self._options.items()), maximum_concurrent_rpcs=MAXIMUM_CALLS
        )
        server.add_generic_rpc_handlers([_Dispatcher(self._routes, self._report)])
        if extend is not None:
            extend(server)
        try:
            if self._certificates is None:
                self.port = server.add_insecure_port(self.address)
            else:
                self.port = server.add_secure_port(self.address, _credentials(self._certificates))
        except RuntimeError:
            raise Unavailable(
                f"cannot listen on {self.address}: {_why_not(self.address)}"
            ) from None
        await server.start()
        self._server = server
        return self.port

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more calls, give those that run `grace_s` seconds, then cancel them."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_s)


def _credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Credentials that every new connection asks for: see `aliecs.tls`."""
    served = certificates.pem

    def changed() -> Any:
        # In a thread of gRPC. None says that nothing did; what is given is gRPC's own from then on,
        # and must not be given twice.
        nonlocal served
        pem = certificates.pem
        if pem is served:
            return None
        served = pem
        return _configuration(pem)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(served),
        changed,
        require_client_authentication=certificates.authorities is not None,
    )


def _configuration(pem: Pem) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(pem.key, pem.certificate)], root_certificates=pem.authorities
    )


def _why_not(address: str) -> str:
    """gRPC does not say why it could not listen; the same address tried by hand does."""
    host, _, port = address.rpartition(":")
    if address.startswith("unix:") or not port.isdigit():
        return "the address cannot be used"
    host = host.strip("[]")
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
    except OSError as error:
        return f"{error.strerror or error}; end what uses it, or choose another port"
    return "the address was taken a moment ago; try again"


class _Dispatcher(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Finds the route of a call."""

    def __init__(self, routes: Mapping[str, Route], report: Report) -> None:
        self._routes = routes
        self._report = report

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        route = self._routes.get(details.method)
        if route is None:
            return None
        run = _Run(route, self._report)
        # The codec is applied inside the handler, so that rubbish gets a clear answer.
        if route.streams:
            return grpc.unary_stream_rpc_method_handler(run.stream)
        return grpc.unary_unary_rpc_method_handler(run.unary)


class _Run:
    """Runs the handler of one route and answers for it."""

    def __init__(self, route: Route, report: Report) -> None:
        self._route = route
        self._report = report

    async def unary(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        call = self._call(context)
        try:
            reply = await self._route.handler(self._decode(request), call)
            data = self._route.encode(reply)
        except Exception as error:
            await self._refuse(error, call, context)
        if call.trailing:
            context.set_trailing_metadata(tuple(call.trailing.items()))
        return data

    async def stream(
        self, request: bytes, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        call = self._call(context)
        replies: Any = None
        try:
            replies = self._route.handler(self._decode(request), call)
            # Tells the client that its call was taken, long before there is anything to say.
            await context.send_initial_metadata(())
            async for reply in replies:
                yield self._route.encode(reply)
        except Exception as error:
            await self._refuse(error, call, context)
        finally:
            if hasattr(replies, "aclose"):
                await replies.aclose()
        if call.trailing:
            context.set_trailing_metadata(tuple(call.trailing.items()))

    def _call(self, context: grpc.aio.ServicerContext) -> ServerCall:
        return ServerCall(
            path=self._route.path,
            peer=context.peer(),
            metadata=dict(context.invocation_metadata() or ()),
            remaining_s=context.time_remaining(),
            certificate=_names(context.auth_context()),
        )

    def _decode(self, request: bytes) -> Any:
        try:
            return self._route.decode(request)
        except AliecsError:
            raise
        except Exception as error:
            raise InvalidInput(f"{self._route.path}: the request cannot be read: {error}") from None

    async def _refuse(
        self, error: Exception, call: ServerCall, context: grpc.aio.ServicerContext
    ) -> NoReturn:
        if isinstance(error, AliecsError):
            code, message = status_code(error.grpc_status), error.message
        else:
            self._report(self._route.path, error)
            code, message = grpc.StatusCode.INTERNAL, "internal error; the log of the server has it"
        message = message[:MESSAGE_LIMIT_CHARACTERS]
        trailing = dict(call.trailing)
        if not isinstance(error, RpcError):
            # What somebody else said, and we pass on, is no kind of ours.
            trailing.setdefault(ERROR_CODE, getattr(error, "code", AliecsError.code))
        packed = packed_status(code, message, call.details)
        if packed is not None:
            trailing[DETAILS_KEY] = packed
        await context.abort(code, message, tuple(trailing.items()))
        raise asyncio.CancelledError  # abort has raised already


def _names(authentication: Mapping[str, Sequence[bytes]]) -> Sequence[str]:
    """The names in the certificate that the other side showed."""
    if not authentication:
        return ()
    return tuple(
        name.decode("utf-8", "replace")
        for key in ("x509_common_name", "x509_subject_alternative_name")
        for name in authentication.get(key, ())
    )
