"""The client side of OCC for programs without a reactor: each call waits for its answer.

    with BlockingOccClient("127.0.0.1:47100", Codec.PROTOBUF) as client:
        state = client.get_state(deadline_s=5).state
        result = client.transition(state, "CONFIGURE", {"key": "value"}, deadline_s=120)

May be used from several threads; `close`, from any of them, ends what the others wait for.
`aliecs.occ.client` is the same for Twisted coroutines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

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
from aliecs.txgrpc.blocking import BlockingChannel
from aliecs.txgrpc.option import LOCAL
from aliecs.txgrpc.status import RpcError

# The task may be on another machine, or busy: an attempt to connect may take its time. (The setting
# is the least that an attempt gets, whatever its name says.)
OPTIONS: Mapping[str, int | str] = {**LOCAL, "grpc.min_reconnect_backoff_ms": 20_000}


class BlockingOccClient:
    """One task. `target` is the address of its control port (`host:port`), `codec` what it speaks.
    Nothing is sent before the first call. A task that refuses, hangs or vanishes is an
    `OccError`."""

    def __init__(self, target: str, codec: Codec) -> None:
        self.target = target
        self.codec = codec
        self._channel = BlockingChannel(target, OPTIONS)
        self._calls = calls(self._channel, codec)
        self._closed = False

    def __enter__(self) -> BlockingOccClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go. What still waits ends with `OccError` CANCELLED; the task is not touched."""
        self._closed = True
        self._channel.close()

    def get_state(self, deadline_s: float) -> DeviceState:
        """Ask for the present state."""
        with self._told():
            return device_state(self._calls.get_state(STATE_QUESTION, deadline_s=deadline_s))

    def transition(
        self, source: str, event: str, arguments: Mapping[str, str], deadline_s: float
    ) -> TransitionResult:
        """Ask for one step, from the state that the task is believed to be in, and wait until it is
        over; whether it led where it should is in the result."""
        request = transition_request(source, event, arguments)
        with self._told():
            return transition_result(*self._calls.transition.answer(request, deadline_s=deadline_s))

    def events(self) -> Iterator[DeviceEventType]:
        """What the task says by itself from now on, until it ends."""
        with self._told():
            yield from map(event_kind, self._calls.events(EVENTS_QUESTION))

    def states(self) -> Iterator[StateUpdate]:
        """Each change of state from now on. The JSON dialect has no such stream: `OccError`
        UNIMPLEMENTED."""
        with self._told():
            yield from map(state_update, self._calls.states(STATES_QUESTION))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except RpcError as error:
            raise OccError(error.status, error.message) from None
        except ValueError:
            # What the library below says to a call that comes when the channel is closed.
            if not self._closed:
                raise
            raise OccError("CANCELLED", f"the connection to {self.target} is closed") from None
