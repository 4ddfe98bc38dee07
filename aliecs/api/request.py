"""Requests of REST taken apart, and answers put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from twisted.web.server import Request

from aliecs.api.idempotency import KEY
from aliecs.errors import InvalidInput, TooLarge
from aliecs.interfaces import Credentials
from aliecs.tls import names_in
from aliecs.txgrpc.route import ServerCall

REASON = "aliecs-reason"
"""Metadata of a call, and a header: why something is asked for, where its message has no field for
it."""
LONGEST_BODY = 4 * 1024 * 1024
CALLER = "caller"
"""The attribute of a request that says who calls, as soon as somebody has found out."""
SESSION = b"aliecs_session"
"""The cookie of a browser that somebody has logged in with."""


def call_of(request: Request) -> ServerCall:
    """The call as the operations of `control` see it."""
    client = request.getClientAddress()
    return ServerCall(
        path=path_of(request),
        peer=f"{getattr(client, 'host', '')}:{getattr(client, 'port', '')}",
        metadata=_metadata(request),
        remaining_s=None,
        caller=getattr(request, CALLER, None),
    )


def _metadata(request: Request) -> dict[str, str | bytes]:
    """What headers say for the operations: why, and with which key."""
    found: dict[str, str | bytes] = {}
    for name, header in ((REASON, REASON.encode()), (KEY, b"idempotency-key")):
        found[name] = (request.getHeader(header) or b"").decode("utf-8", "replace")
    return found


def credentials_of(request: Request) -> Credentials:
    """What a request brings along to be recognised by."""
    client = request.getClientAddress()
    header = (request.getHeader(b"authorization") or b"").decode("utf-8", "replace")
    scheme, _, token = header.partition(" ")
    return Credentials(
        address=getattr(client, "host", "") or "",
        certificate=_certificate(request),
        bearer=token.strip() if scheme.lower() == "bearer" else header,
        session=(request.getCookie(SESSION) or b"").decode("ascii", "replace"),
        ticket="".join(arguments(request, "ticket")[-1:]),
    )


def _certificate(request: Request) -> Sequence[str]:
    transport: Any = getattr(request.channel, "transport", None)
    if not request.isSecure() or not hasattr(transport, "getPeerCertificate"):
        return ()
    shown = transport.getPeerCertificate()
    return () if shown is None else tuple(names_in(shown.to_cryptography()))


def is_foreign(request: Request) -> bool:
    """A browser says where its page came from; True for pages that are not ours."""
    origin = request.getHeader(b"origin")
    if not origin:
        return False
    return urlsplit(origin.decode("ascii", "replace")).netloc != host_of(request)


def host_of(request: Request) -> str:
    """The name, and the port where there is one, that the client calls us by."""
    return (request.getHeader(b"host") or b"").decode("ascii", "replace")


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


def problem_answer(
    request: Request,
    status: int,
    title: str,
    detail: str,
    code: str,
    more: Mapping[str, Any] | None = None,
) -> bytes:
    """Answer with what went wrong, as problem+json; `more` are members beyond the usual."""
    location = request.responseHeaders.getRawHeaders(b"location", [])
    operation = {"operation_id": location[0].decode().rsplit("/", 1)[-1]} if location else {}
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/problem+json")
    return problem(status, title, detail, code, **operation, **(more or {}))


def problem(status: int, title: str, detail: str, code: str, **more: Any) -> bytes:
    """What went wrong, as problem+json."""
    return msgspec.json.encode(
        {
            "type": f"urn:aliecs:problem:{code}",
            "title": title,
            "status": status,
            "detail": detail,
            "message": detail,
            "code": code,
            **more,
        }
    )


def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of the body, empty where there is none. Raises `InvalidInput`, `TooLarge`."""
    raw = request.content.read(LONGEST_BODY + 1) if request.content is not None else b""
    if len(raw) > LONGEST_BODY:
        raise TooLarge(f"the body is longer than {LONGEST_BODY} bytes")
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
        raise InvalidInput(f"the body has unknown fields: {', '.join(unknown)[:200]}")


def headers(request: Request, name: str) -> list[str]:
    """All values of a header."""
    found = request.requestHeaders.getRawHeaders(name.encode(), [])
    return [bytes(item).decode("utf-8", "replace") for item in found]


def arguments(request: Request, name: str) -> list[str]:
    """All values of a query parameter."""
    found = request.args or {}
    return [bytes(item).decode("utf-8", "replace") for item in found.get(name.encode(), [])]
