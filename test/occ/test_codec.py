"""The JSON dialect of OCC, as the FairMQ plugin and the existing executor write it."""

from __future__ import annotations

import json

import pytest

from aliecs.occ.codec import Codec
from aliecs.protocol.protos.occ_pb2 import (
    DEVICE_ERROR,
    END_OF_STREAM,
    ConfigEntry,
    DeviceEvent,
    EventStreamReply,
    GetStateReply,
    GetStateRequest,
    TransitionReply,
    TransitionRequest,
)

REQUEST = TransitionRequest(
    srcState="IDLE",
    transitionEvent="INIT DEVICE",
    arguments=[ConfigEntry(key="k", value="v")],
)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (GetStateRequest(), "{}"),
        (GetStateReply(state="IDLE", pid=1234), '{"state":"IDLE","pid":1234}'),
        (
            REQUEST,
            '{"srcState":"IDLE","transitionEvent":"INIT DEVICE",'
            '"arguments":[{"key":"k","value":"v"}]}',
        ),
        (
            TransitionReply(state="INITIALIZING DEVICE", transitionEvent="INIT DEVICE", ok=True),
            '{"trigger":0,"state":"INITIALIZING DEVICE","transitionEvent":"INIT DEVICE","ok":true}',
        ),
        (TransitionRequest(), '{"srcState":"","transitionEvent":"","arguments":[]}'),
        (EventStreamReply(event=DeviceEvent()), '{"event":{"type":0}}'),
    ],
)
def test_the_dialect(message: object, text: str) -> None:
    assert json.loads(Codec.JSON.encode(message)) == json.loads(text)  # type: ignore[type-var]
    assert Codec.JSON.decode(type(message), text.encode()) == message  # type: ignore[type-var]


def test_what_is_left_out_is_zero_and_what_is_unknown_is_ignored() -> None:
    reply = Codec.JSON.decode(TransitionReply, b'{"trigger":2,"new":[1]}')
    assert reply == TransitionReply(trigger=DEVICE_ERROR)
    event = Codec.JSON.decode(EventStreamReply, b'{"event":{"type":1}}')
    assert event.event.type == END_OF_STREAM


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b"no", b'{"trigger":["often"]}'])
def test_rubbish_is_not_a_message(text: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017  # whatever the library raises
        Codec.JSON.decode(TransitionReply, text)


def test_paths() -> None:
    assert Codec.PROTOBUF.path("GetState") == "/occ_pb.Occ/GetState"
    assert Codec.JSON.path("GetState") == "GetState"
