"""From bound and connected channels to addresses and properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from attrs import frozen

from aliecs.errors import Conflict, InvalidInput
from aliecs.language.declaration import Channel
from aliecs.workflow.channel import (
    BoundTask,
    Destination,
    IEndpoint,
    channel_properties,
    make_bind_map,
)


@frozen
class Endpoint:
    address: str
    transport: str = "default"


def bound(path: str, host: str, channels: Sequence[Channel], **endpoints: Endpoint) -> BoundTask:
    known: Mapping[str, IEndpoint] = endpoints
    return BoundTask(path, host, channels, known)


def test_bound_channels_are_known_by_role_and_alias() -> None:
    channels = (Channel("data", global_alias="all"), Channel("local"), Channel("lost"))
    task = bound("root.a", "10.0.0.1", channels, data=Endpoint("tcp://*:9000", "zeromq"),
                 local=Endpoint("ipc://@o2ipc-x", "shmem"))  # fmt: skip
    destination = Destination("tcp://10.0.0.1:9000", "zeromq")
    assert make_bind_map([task]) == {
        "root.a:data": destination,
        "::all": destination,
        "root.a:local": Destination("ipc://@o2ipc-x", "shmem"),
    }


def test_static_addresses_are_published_as_they_are() -> None:
    channels = (
        Channel("a", target="tcp://*:29950", global_alias="merger"),
        Channel("b", target="ipc:///tmp/x", transport="shmem"),
        Channel("c", target="nonsense"),
    )
    task = bound("r", "host", channels, a=Endpoint("tcp://*:9000"), c=Endpoint("tcp://*:9001"))
    assert make_bind_map([task]) == {
        "r:a": Destination("tcp://host:29950", "default"),
        "::merger": Destination("tcp://host:29950", "default"),
        "r:b": Destination("ipc:///tmp/x", "shmem"),
    }


def test_an_alias_belongs_to_one_channel() -> None:
    tasks = [
        bound(path, path, (Channel("c", global_alias="x"),), c=Endpoint("tcp://*:9000"))
        for path in ("a", "b")
    ]
    with pytest.raises(Conflict, match=r"::x: it is bound by a:c and by b:c"):
        make_bind_map(tasks)


def test_an_alias_may_be_told_twice_for_one_address() -> None:
    tasks = [
        bound(path, path, (Channel("c", global_alias="x"),), c=Endpoint("ipc://@o2ipc-same"))
        for path in ("a", "b")
    ]
    assert make_bind_map(tasks)["::x"].address == "ipc://@o2ipc-same"


BINDS = {"root.a:data": Destination("tcp://h:9000", "shmem"), "::all": Destination("ipc://@x", "")}


def test_properties_of_a_bound_channel() -> None:
    channel = Channel("in", "pull", send_buffer_size=4, rate_logging="{{ rate }}")
    endpoints: Mapping[str, IEndpoint] = {"in": Endpoint("tcp://*:9000", "zeromq")}
    assert channel_properties("r", (channel,), endpoints, (), {}) == {
        "chans.in.numSockets": "1",
        "chans.in.0.address": "tcp://*:9000",
        "chans.in.0.method": "bind",
        "chans.in.0.autoBind": "0",
        "chans.in.0.type": "pull",
        "chans.in.0.transport": "zeromq",
        "chans.in.0.sndBufSize": "4",
        "chans.in.0.rcvBufSize": "1000",
        "chans.in.0.sndKernelSize": "0",
        "chans.in.0.rcvKernelSize": "0",
        "chans.in.0.rateLogging": "{{ rate }}",
    }


def test_the_bound_end_decides_on_the_transport() -> None:
    channel = Channel("out", "push", "zeromq", target="root.a:data")
    properties = channel_properties("r", (), {}, (channel,), BINDS)
    assert properties["chans.out.0.address"] == "tcp://h:9000"
    assert properties["chans.out.0.transport"] == "shmem"
    assert properties["chans.out.0.method"] == "connect"
    assert "chans.out.0.autoBind" not in properties


@pytest.mark.parametrize(
    ("target", "address"),
    [("tcp://elsewhere:1", "tcp://elsewhere:1"), ("ipc://x", "ipc://x"), ("::all", "ipc://@x")],
)
def test_targets(target: str, address: str) -> None:
    properties = channel_properties("r", (), {}, (Channel("c", target=target),), BINDS)
    assert properties["chans.c.0.address"] == address


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("root.a:date", "did you mean 'root.a:data'"),
        ("::nothing", "no active task of the environment binds '::nothing'"),
        ("", "it has no target"),
    ],
)
def test_a_target_that_nobody_binds(target: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        channel_properties("root.b", (), {}, (Channel("c", target=target),), BINDS)
    assert "could not match target for outbound channel 'c' of root.b" in str(caught.value)
    assert hint in str(caught.value)


def test_bound_channels_without_an_address_are_left_out() -> None:
    channels = (Channel("lost"), Channel("odd", target="nonsense"))
    endpoints: Mapping[str, IEndpoint] = {"odd": Endpoint("tcp://*:1")}
    assert channel_properties("r", channels, endpoints, (), {}) == {}
    static = Channel("s", target="tcp://*:5", transport="shmem")
    properties = channel_properties("r", (static,), {}, (), {})
    assert properties["chans.s.0.address"] == "tcp://*:5"
    assert properties["chans.s.0.transport"] == "shmem"
