"""What a server serves: one route for each method, and what a handler sees of its call.

A route is a path with a codec and a handler, so that a service of protobuf (`service_routes`) and a
dialect with paths and encodings of its own are the same thing to the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, frozen
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from aliecs.errors import NotImplementedYet

if TYPE_CHECKING:
    # Tasks need none of it, and are to stay small.
    from aliecs.interfaces import Caller


@define
class ServerCall:
    """One call, as its handler sees it.

    `peer` is the other side's address as gRPC writes it (`ipv4:127.0.0.1:40000`), `metadata` what
    it sent along, `remaining_s` the time it is willing to wait (None: for ever).
    """

    path: str
    peer: str
    metadata: Mapping[str, str | bytes]
    remaining_s: float | None
    certificate: Sequence[str] = ()
    """The names in the other side's certificate, where it showed one that was verified."""
    caller: Caller | None = None
    """Who that is, as soon as somebody has found out."""
    trailing: dict[str, str | bytes] = Factory(dict)
    """What goes back after the answer, or with the error. Keys in lower case; bytes only under keys
    that end in `-bin`."""
    details: list[Message] = Factory(list)
    """Messages that go with an error, should the handler raise one."""


Handler = Callable[[Any, ServerCall], Any]
"""Takes the request and the call. Gives an awaitable of the reply; of a streaming method, an
asynchronous iterator of replies."""


@frozen
class Route:
    """One method. `path` is what stands in the `:path` of the request, usually
    `/package.Service/Method`; the codec turns bytes into what the handler takes and gives."""

    path: str
    handler: Handler
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    streams: bool = False


@frozen
class Method:
    """A method of a protobuf service, as both sides need it."""

    name: str
    path: str
    streams: bool
    request: type[Message]
    reply: type[Message]


def service_methods(service: ServiceDescriptor) -> Mapping[str, Method]:
    """The methods of a service by name. `TypeError` where one takes a stream: nothing here does."""
    return {method.name: _method(service, method) for method in service.methods}


def _method(service: ServiceDescriptor, method: MethodDescriptor) -> Method:
    if method.client_streaming:
        raise TypeError(f"{method.full_name} takes a stream of requests, which is not supported")
    return Method(
        name=method.name,
        path=f"/{service.full_name}/{method.name}",
        streams=method.server_streaming,
        request=GetMessageClass(method.input_type),
        reply=GetMessageClass(method.output_type),
    )


def service_routes(service: ServiceDescriptor, servicer: object) -> list[Route]:
    """The routes of a protobuf service. `servicer` has a handler of the same name for each method;
    a method that it lacks answers UNIMPLEMENTED with a text that says so."""
    return [
        Route(
            path=method.path,
            handler=getattr(servicer, name, None) or _absent(method),
            decode=method.request.FromString,
            encode=lambda reply: bytes(reply.SerializeToString()),
            streams=method.streams,
        )
        for name, method in service_methods(service).items()
    ]


def _absent(method: Method) -> Handler:
    problem = f"{method.path} is not offered by this server"

    def refuse(request: Any, call: ServerCall) -> Any:
        raise NotImplementedYet(problem)

    return refuse
