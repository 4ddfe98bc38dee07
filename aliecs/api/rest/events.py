"""The event stream, as a WebSocket or as server-sent events."""

from __future__ import annotations

from typing import Any

from twisted.web.server import Request

from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import Number, Texts
from aliecs.api.rest.route import Content, Parameter, Section

EVENTS = Section("events", "Everything that happens, as it happens.")
TOPIC = Parameter("topic", Texts(), "only what one of these topics includes", [])
SINCE: Parameter[int | None] = Parameter(
    "since", Number(), "begin after this sequence number; 0: at the beginning; none: now", None
)


@EVENTS.route(
    "GET",
    "/events",
    reply=Content(other_types=["text/event-stream"]),
    parameters=[TOPIC, SINCE],
)
def events(face: Face, request: Request) -> Any:
    """The event stream: a WebSocket where the request asks for an upgrade, else server-sent
    events."""
    SINCE.of(request)
    if (request.getHeader(b"upgrade") or b"").lower() == b"websocket":
        return face.stream.web_socket()
    return face.stream.serve_events(request)
