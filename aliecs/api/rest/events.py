"""The event stream, as a WebSocket or as server-sent events."""

from __future__ import annotations

from typing import Any

from twisted.web.server import Request

from aliecs.api.rest.face import Face
from aliecs.api.rest.route import Content, Section

EVENTS = Section("events", "Everything that happens, as it happens.")


@EVENTS.route("GET", "/events", reply=Content(other_types=["text/event-stream"]))
def events(face: Face, request: Request) -> Any:
    """The event stream: a WebSocket where the request asks for an upgrade, else server-sent
    events."""
    if (request.getHeader(b"upgrade") or b"").lower() == b"websocket":
        return face.stream.web_socket()
    return face.stream.serve_events(request)
