"""What is asked of a task over OCC, and what its answers mean, for clients of every kind.

`calls` puts the methods on a channel; the requests and the readers of replies beside it know the
messages, so that no client has to. Pure: `aliecs.occ.client` asks from Twisted coroutines,
`aliecs.occ.blocking` from threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from attrs import frozen

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

UnaryCall = TypeVar("UnaryCall", covariant=True)
StreamingCall = TypeVar("StreamingCall", covariant=True)

STATE_QUESTION = GetStateRequest()
EVENTS_QUESTION = EventStreamRequest()
STATES_QUESTION = StateStreamRequest()


class OccError(AliecsError):
    """A task did not answer, or answered with an error. `status` is the name of the gRPC status,
    `reason` the text that came with it."""

    code = "occ"
    grpc_status = "UNAVAILABLE"
    http_status = 503

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(f"{status}: {reason}" if reason else status)
        self.status = status
        self.reason = reason


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


class AnyChannel(Protocol[UnaryCall, StreamingCall]):
    """A channel of either kind, as far as it is needed here."""

    def unary(
        self, path: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
    ) -> UnaryCall:
        """A method with one reply."""

    def streaming(
        self, path: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
    ) -> StreamingCall:
        """A method with a stream of replies."""


@frozen
class Calls(Generic[UnaryCall, StreamingCall]):
    """The methods of one task. The streams are of replies for `event_kind` and `state_update`."""

    get_state: UnaryCall
    transition: UnaryCall
    events: StreamingCall
    states: StreamingCall


def calls(
    channel: AnyChannel[UnaryCall, StreamingCall], codec: Codec
) -> Calls[UnaryCall, StreamingCall]:
    """The methods on a channel, for a task that speaks `codec`."""
    read = partial(partial, codec.decode)
    return Calls(
        channel.unary(codec.path("GetState"), codec.encode, read(GetStateReply)),
        channel.unary(codec.path("Transition"), codec.encode, read(TransitionReply)),
        channel.streaming(codec.path("EventStream"), codec.encode, read(EventStreamReply)),
        channel.streaming(codec.path("StateStream"), codec.encode, read(StateStreamReply)),
    )


class Enumeration(Protocol):
    """An enumeration of the messages."""

    def Name(self, number: Any) -> str:  # noqa: N802  (protobuf's)
        """Its word for a number; `ValueError` where it has none."""


def word(enumeration: Enumeration, number: int) -> str:
    """What a number of an enumeration is called; the number itself where a newer task knows more
    than we do."""
    try:
        return enumeration.Name(number)
    except ValueError:
        return str(number)


def transition_request(source: str, event: str, arguments: Mapping[str, str]) -> TransitionRequest:
    """The request for one step."""
    return TransitionRequest(
        srcState=source,
        transitionEvent=event,
        arguments=[ConfigEntry(key=key, value=value) for key, value in arguments.items()],
    )


def device_state(reply: GetStateReply) -> DeviceState:
    """The answer to a question for the state."""
    return DeviceState(reply.state, reply.pid)


def transition_result(
    reply: TransitionReply, trailing: Mapping[str, str | bytes]
) -> TransitionResult:
    """The answer to one step, with what came after it."""
    reason = trailing.get(REASON_KEY, b"")
    return TransitionResult(
        ok=reply.ok,
        state=reply.state,
        trigger=reply.trigger,
        event=reply.transitionEvent,
        reason=reason.decode(errors="replace") if isinstance(reason, bytes) else "",
    )


def event_kind(reply: EventStreamReply) -> DeviceEventType:
    """One thing that a task said by itself."""
    return reply.event.type


def state_update(reply: StateStreamReply) -> StateUpdate:
    """One change of state."""
    return StateUpdate(reply.type, reply.state)
