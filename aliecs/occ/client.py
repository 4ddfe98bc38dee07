"""The client side of OCC: how an executor looks at one task on its host and moves it.

    client = OccClient(port=47100, codec=Codec.PROTOBUF)
    await client.connect(deadline_s=45)
    state = await client.get_state(deadline_s=5)
    result = await client.transition("STANDBY", "CONFIGURE", {"key": "value"}, deadline_s=120)
    async for event in client.events():
        ...
    await client.close()

For Twisted coroutines. A task that refuses, hangs or vanishes is an `OccError`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from attrs import frozen
from google.protobuf.message import Message

from aliecs.errors import AliecsError
from aliecs.occ.codec import REASON_KEY, Codec
from aliecs.protocol.protos.occ_pb2 import (
    ConfigEntry,
    DeviceEventType,
    EventStreamReply,
    EventStreamRequest,
    GetStateReply,
    GetStateRequest,
    StateChangeTrigger,
    StateStreamReply,
    StateStreamRequest,
    StateType,
    TransitionReply,
    TransitionRequest,
)
from aliecs.txgrpc.client import LOCAL, Channel, Stream, Streaming, Unary
from aliecs.txgrpc.status import RpcError

__all__ = ["Codec", "DeviceEventType", "DeviceState", "OccClient", "OccError", "TransitionResult"]


class OccError(AliecsError):
    """A task did not answer, or answered with an error. `status` is the name of the gRPC status."""

    code = "occ"
    grpc_status = "UNAVAILABLE"
    http_status = 503

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"{status}: {message}" if message else status)
        self.status = status


@frozen
class DeviceState:
    """What a task says of itself. `state` is its own name of it (`STANDBY`, or FairMQ's `IDLE`),
    `pid` its process id, 0 where it does not tell."""

    state: str
    pid: int


@frozen
class TransitionResult:
    """How a step ended: `ok` says whether the state expected was reached, `state` where the task is
    now, `trigger` what made it go there, `event` the event that it answers, `reason` why it failed,
    where the task tells (ours do)."""

    ok: bool
    state: str
    trigger: StateChangeTrigger
    event: str
    reason: str = ""


@frozen
class StateUpdate:
    """A change of state. `kind` tells a state to stay in from one that is passed through."""

    kind: StateType
    state: str


class OccClient:
    """One task, as seen through its control port.

    `port` is the control port, `codec` the encoding that the task speaks, `host` where it listens.
    """

    def __init__(self, port: int, codec: Codec, host: str = "127.0.0.1") -> None:
        self.codec = codec
        # No keepalive: the tasks' own servers close a connection that pings.
        self._channel = Channel(f"{host}:{port}", LOCAL)
        self._get_state = self._unary("GetState", GetStateReply)
        self._transition = self._unary("Transition", TransitionReply)
        self._events = self._streaming("EventStream", EventStreamReply)
        self._states = self._streaming("StateStream", StateStreamReply)

    @property
    def target(self) -> str:
        """`host:port`, for messages to people."""
        return self._channel.target

    async def connect(self, deadline_s: float) -> None:
        """Wait until the task listens; `OccError` UNAVAILABLE after `deadline_s` seconds."""
        await _told(self._channel.ready(deadline_s))

    async def get_state(self, deadline_s: float) -> DeviceState:
        """Ask for the present state."""
        reply = await _told(self._get_state(GetStateRequest(), deadline_s=deadline_s))
        return DeviceState(reply.state, reply.pid)

    async def transition(
        self, source: str, event: str, arguments: Mapping[str, str], deadline_s: float
    ) -> TransitionResult:
        """Ask for one step. `source` is the state that the task is believed to be in, `arguments`
        go with the step. Returns when the step is over; whether it led where it should is in the
        result. `OccError` where the task refuses, or does not finish within `deadline_s`."""
        request = TransitionRequest(
            srcState=source,
            transitionEvent=event,
            arguments=[ConfigEntry(key=key, value=value) for key, value in arguments.items()],
        )
        answer = await _told(self._transition.answer(request, deadline_s=deadline_s))
        reply = answer.reply
        reason = answer.trailing.get(REASON_KEY, b"")
        return TransitionResult(
            ok=reply.ok,
            state=reply.state,
            trigger=reply.trigger,
            event=reply.transitionEvent,
            reason=reason.decode(errors="replace") if isinstance(reason, bytes) else "",
        )

    def events(self) -> Events:
        """What the task says by itself, from the moment that the first one is asked for, until it
        ends. `OccError` UNAVAILABLE where it vanishes."""
        return Events(self._events(EventStreamRequest()), lambda reply: reply.event.type)

    def states(self) -> Events:
        """Each change of state as a `StateUpdate`, likewise. The JSON dialect has no such stream:
        `OccError` UNIMPLEMENTED."""
        return Events(
            self._states(StateStreamRequest()),
            lambda reply: StateUpdate(reply.type, reply.state),
        )

    async def close(self) -> None:
        """Let go. What still waits ends with `OccError` CANCELLED; the task is not touched."""
        await self._channel.close()

    def _unary(self, method: str, reply: type[Message]) -> Unary:
        return self._channel.unary(
            self.codec.path(method),
            self.codec.encode,
            lambda data: self.codec.decode(reply, data),
        )

    def _streaming(self, method: str, reply: type[Message]) -> Streaming:
        return self._channel.streaming(
            self.codec.path(method),
            self.codec.encode,
            lambda data: self.codec.decode(reply, data),
        )


class Events(AsyncIterator[Any]):
    """A stream from a task, for `async for` in a Twisted coroutine."""

    def __init__(self, stream: Stream, take: Any) -> None:
        self._stream = stream
        self._take = take

    async def connected(self, deadline_s: float) -> bool:
        """Open the stream, and wait until the task says that it has taken the call: nothing from
        then on is missed. False where it has not said so in time, which is no fault: the C++
        library says it with the first event only. `OccError` where it refuses."""
        return bool(await _told(self._stream.connected(deadline_s)))

    async def __anext__(self) -> Any:
        return self._take(await _told(anext(self._stream)))

    def cancel(self) -> None:
        """End the stream; whoever waits for it gets `OccError` CANCELLED."""
        self._stream.cancel()


async def _told(awaitable: Any) -> Any:
    try:
        return await awaitable
    except RpcError as error:
        raise OccError(error.status, error.message) from None
