"""gRPC channels for Twisted coroutines.

    channel = Channel("127.0.0.1:32102")
    control = Stub(channel, o2control_pb2.DESCRIPTOR.services_by_name["Control"])
    reply = await control.GetFrameworkInfo(GetFrameworkInfoRequest(), deadline_s=5)
    async for event in control.Subscribe(SubscribeRequest()):
        ...
    await channel.close()

Every failed call raises `RpcError`. Everything awaitable here is a Deferred; cancelling it cancels
the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from attrs import frozen
from twisted.internet.defer import Deferred

from aliecs.txgrpc.bridge import in_loop
from aliecs.txgrpc.option import OPTIONS, ClientTls
from aliecs.txgrpc.reflected import QUESTION, question_method, service_names
from aliecs.txgrpc.status import RpcError, Trailing, decoded, rpc_error, trailing_metadata
from aliecs.txgrpc.stub import Decode, Encode

Metadata = Mapping[str, "str | bytes"]


@frozen
class Answer:
    """A reply together with what came after it."""

    reply: Any
    trailing: Trailing


class Unary:
    """One method with one reply."""

    def __init__(self, channel: Channel, path: str, encode: Encode, decode: Decode) -> None:
        self._channel = channel
        self._path = path
        self._encode = encode
        self._decode = decode
        self._method: Any = None

    def __call__(
        self, request: Any, *, deadline_s: float | None, metadata: Metadata | None = None
    ) -> Deferred[Any]:
        """Call it; gives the reply. `deadline_s` None waits for ever, which only operations that
        have a deadline of their own may ask for."""
        return in_loop(self._reply(request, deadline_s, metadata))

    def answer(
        self, request: Any, *, deadline_s: float | None, metadata: Metadata | None = None
    ) -> Deferred[Answer]:
        """As a plain call, with the trailing metadata."""
        return in_loop(self._answer(request, deadline_s, metadata))

    async def _reply(
        self, request: Any, deadline_s: float | None, metadata: Metadata | None
    ) -> Any:
        return (await self._answer(request, deadline_s, metadata)).reply

    async def _answer(
        self, request: Any, deadline_s: float | None, metadata: Metadata | None
    ) -> Answer:
        channel = self._channel.open()
        if self._method is None:
            self._method = channel.unary_unary(self._path)
        data = self._encode(request)
        call = self._method(data, timeout=deadline_s, metadata=tuple((metadata or {}).items()))
        try:
            reply = await call
            trailing = await call.trailing_metadata()
        except grpc.aio.AioRpcError as error:
            raise rpc_error(error) from None
        except asyncio.CancelledError:
            # Two things look alike: the caller gave up, or the channel was closed under the call.
            self._channel.open()
            raise
        return Answer(decoded(self._decode, reply, self._path), trailing_metadata(trailing))


class Stream(AsyncIterator[Any]):
    """Replies of one streaming call, for `async for` in a Twisted coroutine.

    Cancelling a wait for the next reply cancels the call; `cancel` does so at any time, after which
    the iteration ends with `RpcError` CANCELLED.
    """

    def __init__(
        self, channel: Channel, path: str, begin: Callable[[], Any], decode: Decode
    ) -> None:
        self._channel = channel
        self._begin = begin
        self._decode = decode
        self._path = path
        self._call: Any = None
        self._cancelled = False

    def __anext__(self) -> Deferred[Any]:
        return in_loop(self._next())

    def connected(self, deadline_s: float) -> Deferred[bool]:
        """Open the stream. Gives True when the server has taken the call (it sent its headers),
        False where it has not within `deadline_s`: some send them with their first reply only."""
        return in_loop(self._connected(deadline_s))

    def cancel(self) -> None:
        """End the call."""
        self._cancelled = True
        if self._call is not None:
            self._call.cancel()

    def _open(self) -> Any:
        if self._cancelled:
            raise RpcError("CANCELLED", "the stream was cancelled")
        if self._call is None:
            self._call = self._begin()
        return self._call

    async def _connected(self, deadline_s: float) -> bool:
        headers = asyncio.ensure_future(self._open().initial_metadata())
        # Not wait_for: cancelling what waits for the headers would cancel the call.
        await asyncio.wait({headers}, timeout=deadline_s)
        if not headers.done():
            return False
        if self._call.done() and await self._call.code() is not grpc.StatusCode.OK:
            raise RpcError(
                (await self._call.code()).name, (await self._call.details()) or "no details"
            )
        return True

    async def _next(self) -> Any:
        call = self._open()
        try:
            reply = await call.read()
        except grpc.aio.AioRpcError as error:
            raise rpc_error(error) from None
        except asyncio.CancelledError:
            # Either whoever waits gave up, or the call was cancelled under the waiting.
            self._channel.open()
            self._open()
            raise
        if reply is grpc.aio.EOF:
            raise StopAsyncIteration
        return decoded(self._decode, reply, self._path)


class Streaming:
    """One method with a stream of replies."""

    def __init__(self, channel: Channel, path: str, encode: Encode, decode: Decode) -> None:
        self._channel = channel
        self._path = path
        self._encode = encode
        self._decode = decode

    def __call__(
        self, request: Any, *, deadline_s: float | None = None, metadata: Metadata | None = None
    ) -> Stream:
        """Call it when the first reply is asked for. `deadline_s` limits the whole stream."""

        def begin() -> Any:
            method = self._channel.open().unary_stream(self._path)
            data = self._encode(request)
            return method(data, timeout=deadline_s, metadata=tuple((metadata or {}).items()))

        return Stream(self._channel, self._path, begin, self._decode)


class Channel:
    """A connection to one server, made when it is first needed and again whenever it breaks.

    `target` is `host:port` or `unix:<path>`; `options` are gRPC channel arguments over the
    defaults; without `tls` it is in the clear.
    """

    def __init__(
        self,
        target: str,
        options: Mapping[str, int | str] | None = None,
        tls: ClientTls | None = None,
    ) -> None:
        self.target = target
        self._tls = tls
        self._options = {**OPTIONS, **(options or {})}
        self._channel: grpc.aio.Channel | None = None
        self._closed = False

    def unary(self, path: str, encode: Encode, decode: Decode) -> Unary:
        """A method by its path, with a codec of its own."""
        return Unary(self, path, encode, decode)

    def streaming(self, path: str, encode: Encode, decode: Decode) -> Streaming:
        """A streaming method by its path, with a codec of its own."""
        return Streaming(self, path, encode, decode)

    def state(self) -> str:
        """IDLE, CONNECTING, READY, TRANSIENT_FAILURE or SHUTDOWN."""
        if self._closed:
            return "SHUTDOWN"
        if self._channel is None:
            return "IDLE"
        return str(self._channel.get_state().name)

    def ready(self, deadline_s: float) -> Deferred[None]:
        """Fires when the connection stands; `RpcError` UNAVAILABLE after `deadline_s` without."""
        return in_loop(self._ready(deadline_s))

    def services(self, deadline_s: float) -> Deferred[frozenset[str]]:
        """The full names of what the server serves, as its reflection tells; empty where it has
        none."""
        return in_loop(self._services(deadline_s))

    def close(self) -> Deferred[None]:
        """Cancel what runs and close. Twice is fine."""
        return in_loop(self._close())

    def open(self) -> grpc.aio.Channel:
        """The channel below; for this module only, on the loop."""
        if self._closed:
            raise RpcError("CANCELLED", f"the channel to {self.target} is closed")
        if self._channel is None:
            options = list(self._options.items())
            if self._tls is None:
                self._channel = grpc.aio.insecure_channel(self.target, options=options)
            else:
                self._channel = grpc.aio.secure_channel(
                    self.target, self._tls.credentials(), options=options
                )
        return self._channel

    async def _ready(self, deadline_s: float) -> None:
        try:
            await asyncio.wait_for(self.open().channel_ready(), deadline_s)
        except TimeoutError:
            raise RpcError(
                "UNAVAILABLE", f"no connection to {self.target} within {deadline_s:g} s"
            ) from None

    async def _services(self, deadline_s: float) -> frozenset[str]:
        call = question_method(self.open())(iter([QUESTION]), timeout=deadline_s)
        try:
            return service_names([reply async for reply in call])
        except grpc.aio.AioRpcError as error:
            problem = rpc_error(error)
            if problem.status == "UNIMPLEMENTED":
                return frozenset()
            raise problem from None

    async def _close(self) -> None:
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
