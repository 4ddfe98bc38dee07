"""The event stream, as a WebSocket or as server-sent events."""

from __future__ import annotations

from typing import Any

from twisted.web.server import Request

from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import MOST_IN_QUERY, Number, Text, Texts
from aliecs.api.rest.route import Content, Parameter, Section

EVENTS = Section("events", "Everything that happens, as it happens.")
TOPIC = Parameter(
    "topic",
    Texts(MOST_IN_QUERY),
    "only these topics, such as `environments`, `tasks`, `locks`, or `env:<id>`",
    [],
)
LAST_EVENT = Parameter(
    "Last-Event-ID", Text(), "the same as `since`, as browsers say it", "", in_header=True
)
SINCE: Parameter[int | None] = Parameter(
    "since",
    Number(most=2**53),
    "begin after this sequence number; 0: at the beginning; none: now",
    None,
)


@EVENTS.route(
    "GET",
    "/events",
    reply=Content(other_types=["text/event-stream"]),
    parameters=[TOPIC, SINCE, LAST_EVENT],
)
def events(face: Face, request: Request) -> Any:
    """The event stream: a WebSocket where the request asks for an upgrade, else server-sent
    events.

    The subprotocol of the WebSocket is `aliecs.v1.json`. Every message is a JSON object; events
    have the schema `Event`. The first is `hello`. Where some of what came after `since` is gone,
    `gap` is followed by a `snapshot` of each environment, with the schema of
    `o2control.EnvironmentInfo`, and by what comes after that.
    """
    SINCE.of(request)
    if (request.getHeader(b"upgrade") or b"").lower() == b"websocket":
        return face.stream.web_socket()
    return face.stream.serve_events(request)
