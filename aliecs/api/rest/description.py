"""What the API says of itself: the OpenAPI document, and a page for people."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.rest.face import Face
from aliecs.api.rest.route import Content, Section

DESCRIPTION = Section("description", "What this API says of itself.")


@DESCRIPTION.route("GET", "/", reply=Content(other_types=["text/html"]))
async def page(face: Face, request: Request) -> bytes:
    """This list, for people."""
    request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
    return face.described.page


@DESCRIPTION.route("GET", "/openapi.json", reply=Content(schema={"type": "object"}))
async def document(face: Face, request: Request) -> bytes:
    """The API as an OpenAPI 3.1 document, for programs."""
    request.setHeader(b"Content-Type", b"application/json")
    return face.described.document
