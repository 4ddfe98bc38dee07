"""gRPC channels for command lines: the same calls and the same errors, without a reactor.

with BlockingChannel("127.0.0.1:32102") as channel:
    control = Stub(channel, o2control_pb2.DESCRIPTOR.services_by_name["Control"])
    reply = control.GetFrameworkInfo(GetFrameworkInfoRequest(), deadline_s=5)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import grpc

from aliecs.txgrpc.option import OPTIONS, ClientTls
from aliecs.txgrpc.reflected import QUESTION, question_method, service_names
from aliecs.txgrpc.status import RpcError, Trailing, decoded, rpc_error, trailing_metadata
from aliecs.txgrpc.stub import Decode, Encode

# Whoever waits at a command line is not to wait for a second attempt.
FIRST_RETRY: Mapping[str, int | str] = {"grpc.initial_reconnect_backoff_ms": 100}

Metadata = Mapping[str, "str | bytes"]


class BlockingUnary:
    """One method with one reply."""

    def __init__(self, method: Any, path: str, encode: Encode, decode: Decode) -> None:
        self._method = method
        self._path = path
        self._encode = encode
        self._decode = decode

    def __call__(
        self, request: Any, *, deadline_s: float | None, metadata: Metadata | None = None
    ) -> Any:
        """Call it and wait; gives the reply. `deadline_s` None waits without limit."""
        return self.answer(request, deadline_s=deadline_s, metadata=metadata)[0]

    def answer(
        self, request: Any, *, deadline_s: float | None, metadata: Metadata | None = None
    ) -> tuple[Any, Trailing]:
        """Call it and wait; gives the reply and the trailing metadata."""
        entries = tuple((metadata or {}).items())
        data = self._encode(request)
        try:
            reply, call = self._method.with_call(data, timeout=deadline_s, metadata=entries)
        except grpc.RpcError as error:
            raise rpc_error(error) from None
        trailing = trailing_metadata(call.trailing_metadata())
        return decoded(self._decode, reply, self._path), trailing


class BlockingStreaming:
    """One method with a stream of replies."""

    def __init__(self, method: Any, path: str, encode: Encode, decode: Decode) -> None:
        self._method = method
        self._path = path
        self._encode = encode
        self._decode = decode

    def __call__(
        self, request: Any, *, deadline_s: float | None = None, metadata: Metadata | None = None
    ) -> Iterator[Any]:
        """Call it; gives the replies as they come. Closing the iterator cancels the call."""
        data = self._encode(request)
        call = self._method(data, timeout=deadline_s, metadata=tuple((metadata or {}).items()))
        try:
            for reply in call:
                yield decoded(self._decode, reply, self._path)
        except grpc.RpcError as error:
            raise rpc_error(error) from None
        finally:
            call.cancel()


class BlockingChannel:
    """A connection to one server. `target` is `host:port` or `unix:<path>`; `options` are gRPC
    channel arguments over the defaults; without `tls` it is in the clear. A context manager."""

    def __init__(
        self,
        target: str,
        options: Mapping[str, int | str] | None = None,
        tls: ClientTls | None = None,
    ) -> None:
        self.target = target
        arguments = list({**OPTIONS, **FIRST_RETRY, **(options or {})}.items())
        self._channel: grpc.Channel
        if tls is None:
            self._channel = grpc.insecure_channel(target, options=arguments)
        else:
            self._channel = grpc.secure_channel(target, tls.credentials(), options=arguments)

    def __enter__(self) -> BlockingChannel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what runs and close."""
        self._channel.close()

    def unary(self, path: str, encode: Encode, decode: Decode) -> BlockingUnary:
        """A method by its path, with a codec of its own."""
        return BlockingUnary(self._channel.unary_unary(path), path, encode, decode)

    def streaming(self, path: str, encode: Encode, decode: Decode) -> BlockingStreaming:
        """A streaming method by its path, with a codec of its own."""
        return BlockingStreaming(self._channel.unary_stream(path), path, encode, decode)

    def ready(self, deadline_s: float) -> None:
        """Wait for the connection; `RpcError` UNAVAILABLE after `deadline_s` without."""
        try:
            grpc.channel_ready_future(self._channel).result(timeout=deadline_s)
        except grpc.FutureTimeoutError:
            raise RpcError(
                "UNAVAILABLE", f"no connection to {self.target} within {deadline_s:g} s"
            ) from None

    def services(self, deadline_s: float) -> frozenset[str]:
        """The full names of what the server serves, as its reflection tells; empty where it has
        none."""
        method = question_method(self._channel)
        try:
            replies = list(method(iter([QUESTION]), timeout=deadline_s))
        except grpc.RpcError as error:
            problem = rpc_error(error)
            if problem.status == "UNIMPLEMENTED":
                return frozenset()
            raise problem from None
        return service_names(replies)
