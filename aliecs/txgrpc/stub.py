"""A protobuf service on a channel, for coroutines and for command lines alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from google.protobuf.descriptor import ServiceDescriptor

from aliecs.txgrpc.route import service_methods

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


class MethodSource(Protocol):
    """A channel: `Channel` of `client`, or `BlockingChannel` of `blocking`."""

    def unary(self, path: str, encode: Encode, decode: Decode) -> Callable[..., Any]:
        """A method with one reply."""

    def streaming(self, path: str, encode: Encode, decode: Decode) -> Callable[..., Any]:
        """A method with a stream of replies."""


class Stub:
    """One attribute for each method of `service`, called as the methods of its channel are."""

    def __init__(self, channel: MethodSource, service: ServiceDescriptor) -> None:
        self._service = service.full_name
        self._methods: dict[str, Callable[..., Any]] = {}
        for name, method in service_methods(service).items():
            make = channel.streaming if method.streams else channel.unary
            self._methods[name] = make(
                method.path,
                lambda request: bytes(request.SerializeToString()),
                method.reply.FromString,
            )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            return self._methods[name]
        except KeyError:
            raise AttributeError(f"the service {self._service} has no method {name}") from None
