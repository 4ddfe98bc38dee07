"""Requests of REST taken apart, and answers put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.web.server import Request

from aliecs.api.idempotency import KEY
from aliecs.errors import InvalidInput
from aliecs.txgrpc.route import ServerCall

LONGEST_BODY = 4 * 1024 * 1024


def call_of(request: Request) -> ServerCall:
    """The call as the operations of `control` see it."""
    client = request.getClientAddress()
    key = request.getHeader(b"idempotency-key")
    return ServerCall(
        path=path_of(request),
        peer=f"{getattr(client, 'host', '')}:{getattr(client, 'port', '')}",
        metadata={} if key is None else {KEY: key.decode("utf-8", "replace")},
        remaining_s=None,
    )


def path_of(request: Request) -> str:
    """The path that was asked for, as text."""
    return bytes(request.path).decode("utf-8", "replace")


def json_answer(request: Request, value: Any, status: int = 200) -> bytes:
    """Answer with a value as JSON."""
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/json")
    return msgspec.json.encode(value)


def remember_operation(request: Request, operation_id: str) -> None:
    """Say where the operation is that was begun."""
    request.setHeader(b"Location", f"/api/v1/operations/{operation_id}".encode())


def problem_answer(request: Request, status: int, title: str, detail: str, code: str) -> bytes:
    """Answer with what went wrong, as problem+json."""
    location = request.responseHeaders.getRawHeaders(b"location", [])
    value = {
        "type": f"urn:aliecs:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "message": detail,
        "code": code,
    }
    if location:
        value["operation_id"] = location[0].decode().rsplit("/", 1)[-1]
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/problem+json")
    return msgspec.json.encode(value)


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of the body, empty where there is none. Raises `InvalidInput`."""
    raw = request.content.read(LONGEST_BODY + 1) if request.content is not None else b""
    if len(raw) > LONGEST_BODY:
        raise InvalidInput(f"the body is longer than {LONGEST_BODY} bytes")
    try:
        value = msgspec.json.decode(raw) if raw.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput("the body is not a JSON object")
    return value


def nothing_left(body: Mapping[str, Any], *known: str) -> None:
    """Refuse what is left of a body and not known to be without effect. Raises `InvalidInput`."""
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise InvalidInput(f"the body has unknown fields: {', '.join(unknown)}")


def arguments(request: Request, name: str) -> list[str]:
    """All values of a query parameter."""
    found = request.args or {}
    return [bytes(item).decode("utf-8", "replace") for item in found.get(name.encode(), [])]
