"""What a server says of itself by reflection: its services. For both kinds of channel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2

QUESTION = reflection_pb2.ServerReflectionRequest(list_services="")


def question_method(channel: Any) -> Any:
    """The method of `channel` (of `grpc` or `grpc.aio`) that takes a stream of questions."""
    return channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )


def service_names(replies: Iterable[Any]) -> frozenset[str]:
    """The full names of the services in the answers to `QUESTION`."""
    return frozenset(
        service.name for reply in replies for service in reply.list_services_response.service
    )
