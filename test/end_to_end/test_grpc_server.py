"""What every gRPC client may count on, with gRPC's own clients: health, reflection, pings, and a
clear word about what is too large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.status import RpcError
from test.end_to_end.core import RunningCore

# After our own: see docs/dependencies.md.
import grpc  # isort: skip
from google.protobuf.descriptor_pool import DescriptorPool  # isort: skip
from google.protobuf.message_factory import GetMessageClass  # isort: skip
from grpc_health.v1 import health_pb2, health_pb2_grpc  # isort: skip
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # isort: skip
    ProtoReflectionDescriptorDatabase,
)

pytestmark = pytest.mark.end_to_end

DEMO = "builtin/workflows/demo@main"
SERVICES = ("o2control.Control", "aliecs.v1.Control")
PING_S = 0.5


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("core")) as running:
        yield running


@pytest.fixture
def channel(core: RunningCore) -> Iterator[Any]:
    with grpc.insecure_channel(core.addresses["grpc"]) as made:
        yield made


def test_health(channel: Any) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", *SERVICES):
        reply = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as problem:
        stub.Check(health_pb2.HealthCheckRequest(service="nobody.Control"), timeout=10)
    assert problem.value.code() == grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]), timeout=10)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_reflection_is_enough_to_make_a_call(channel: Any) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(SERVICES) <= set(database.get_services())
    pool = DescriptorPool(database)
    for name, ours in zip(SERVICES, (o2control_pb2, aliecs_v1_pb2), strict=True):
        service = pool.FindServiceByName(name)
        known = ours.DESCRIPTOR.services_by_name["Control"]
        assert [one.name for one in service.methods] == [one.name for one in known.methods]
    method = pool.FindMethodByName("aliecs.v1.Control.ListEnvironments")
    call = channel.unary_unary(
        "/aliecs.v1.Control/ListEnvironments",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    assert call(GetMessageClass(method.input_type)(limit=1), timeout=10).next_cursor == ""


def test_a_client_that_pings_often_is_not_cut_off(core: RunningCore) -> None:
    options = [
        ("grpc.keepalive_time_ms", int(PING_S * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    with grpc.insecure_channel(core.addresses["grpc"], options=options) as channel:
        stream = channel.unary_stream("/o2control.Control/Subscribe")(
            o2control_pb2.SubscribeRequest(id="nobody").SerializeToString(), timeout=PING_S * 12
        )
        # A server that minds answers the third ping in a row with the end of the connection.
        with pytest.raises(grpc.RpcError) as problem:
            next(stream)
        assert problem.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_reply_that_is_too_large_names_the_call_that_gives_it_in_parts(core: RunningCore) -> None:
    many = {f"document_{number}": "x" * 250_000 for number in range(20)}
    environment_id = core.create(DEMO, **many).id
    control, extended = core.control_stub, core.extended
    for ask in (
        lambda: control.GetRoles(
            o2control_pb2.GetRolesRequest(envId=environment_id, pathSpec="**"), deadline_s=30
        ),
        lambda: control.GetEnvironment(
            o2control_pb2.GetEnvironmentRequest(id=environment_id, showWorkflowTree=True),
            deadline_s=30,
        ),
    ):
        with pytest.raises(RpcError) as problem:
            ask()
        assert problem.value.status == "RESOURCE_EXHAUSTED"
        assert "larger than 45 MB" in problem.value.message
        assert "aliecs.v1.Control/ListRoles" in problem.value.message
    status, told, _ = core.rest("GET", f"/api/v1/environments/{environment_id}?workflow=true")
    assert (status, told["code"]) == (429, "exhausted")
    request = aliecs_v1_pb2.ListRolesRequest(
        environment_id=environment_id, path="**", depth=0, limit=2
    )
    page = extended.ListRoles(request, deadline_s=30)
    assert page.roles[0].fullPath == "demo"
    assert page.next_cursor
    core.destroy(environment_id)
