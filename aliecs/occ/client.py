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

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from aliecs.occ.call import (
    EVENTS_QUESTION,
    STATE_QUESTION,
    STATES_QUESTION,
    DeviceState,
    OccError,
    StateUpdate,
    TransitionResult,
    calls,
    device_state,
    event_kind,
    state_update,
    transition_request,
    transition_result,
)
from aliecs.occ.codec import Codec
from aliecs.protocol.protos.occ_pb2 import DeviceEventType
from aliecs.txgrpc.client import Channel, Stream
from aliecs.txgrpc.option import LOCAL
from aliecs.txgrpc.status import RpcError

__all__ = [
    "Codec",
    "DeviceEventType",
    "DeviceState",
    "OccClient",
    "OccError",
    "StateUpdate",
    "TransitionResult",
]


class OccClient:
    """One task, as seen through its control port.

    `port` is the control port, `codec` the encoding that the task speaks, `host` where it listens.
    """

    def __init__(self, port: int, codec: Codec, host: str = "127.0.0.1") -> None:
        self.codec = codec
        # No keepalive: the tasks' own servers close a connection that pings.
        self._channel = Channel(f"{host}:{port}", LOCAL)
        self._calls = calls(self._channel, codec)

    @property
    def target(self) -> str:
        """`host:port`, for messages to people."""
        return self._channel.target

    async def connect(self, deadline_s: float) -> None:
        """Wait until the task listens; `OccError` UNAVAILABLE after `deadline_s` seconds."""
        await _told(self._channel.ready(deadline_s))

    async def get_state(self, deadline_s: float) -> DeviceState:
        """Ask for the present state."""
        return device_state(
            await _told(self._calls.get_state(STATE_QUESTION, deadline_s=deadline_s))
        )

    async def transition(
        self, source: str, event: str, arguments: Mapping[str, str], deadline_s: float
    ) -> TransitionResult:
        """Ask for one step. `source` is the state that the task is believed to be in, `arguments`
        go with the step. Returns when the step is over; whether it led where it should is in the
        result. `OccError` where the task refuses, or does not finish within `deadline_s`."""
        request = transition_request(source, event, arguments)
        answer = await _told(self._calls.transition.answer(request, deadline_s=deadline_s))
        return transition_result(answer.reply, answer.trailing)

    def events(self) -> Events:
        """What the task says by itself, from the moment that the first one is asked for, until it
        ends. `OccError` UNAVAILABLE where it vanishes."""
        return Events(self._calls.events(EVENTS_QUESTION), event_kind)

    def states(self) -> Events:
        """Each change of state as a `StateUpdate`, likewise. The JSON dialect has no such stream:
        `OccError` UNIMPLEMENTED."""
        return Events(self._calls.states(STATES_QUESTION), state_update)

    async def close(self) -> None:
        """Let go. What still waits ends with `OccError` CANCELLED; the task is not touched."""
        await self._channel.close()


class Events(AsyncIterator[Any]):
    """A stream from a task, for `async for` in a Twisted coroutine."""

    def __init__(self, stream: Stream, take: Callable[[Any], Any]) -> None:
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
