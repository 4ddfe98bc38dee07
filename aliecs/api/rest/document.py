"""The OpenAPI document of REST, made from the table of routes and the messages of the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aliecs.api.idempotency import LONGEST_KEY
from aliecs.api.rest.route import (
    PROBLEM_TYPE,
    REQUIRED,
    Body,
    Content,
    Parameter,
    Part,
    Route,
    Section,
)
from aliecs.api.rest.schema import PREFIX, Schemas

PROBLEM = "Problem"

PROBLEMS = {
    400: "The request makes no sense.",
    404: "What was named does not exist.",
    409: "The present state does not allow it.",
    422: "The workflow or the task template has errors; or the idempotency key is another's.",
    429: "A bound was reached; there may be room at another time.",
    500: "What was asked for was tried and failed; or the core has a fault.",
    501: "This core does not offer it.",
    503: "The core, or somebody whom it needs, cannot be reached now.",
    504: "Something did not happen in its time.",
}
EVERYWHERE = (503, 504)
"""Statuses of problems that every request of the API can meet."""

_DESCRIPTION = """The operations of the control API under conventional paths.

Answers are the messages of the control API in JSON: names in lowerCamelCase, defaults printed,
64-bit numbers as numbers. Long actions answer 202 with their operation, whose address is in
`Location`; with `wait`, 200 when it has ended well in that time. Every error is
`application/problem+json`. Unknown fields of a body are refused."""


def openapi(sections: Sequence[Section], version: str) -> dict[str, Any]:
    """The document of these routes, for a core of that version."""
    schemas = Schemas()
    schemas.found[PROBLEM] = _problem()
    schemas.of_events()
    paths: dict[str, dict[str, Any]] = {}
    for section in sections:
        for route in section.routes:
            path = route.path.replace("<", "{").replace(">", "}")
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AliECS",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": section.name, "description": section.description} for section in sections
        ],
        "paths": paths,
        "components": {"schemas": schemas.found},
    }


def problems_of(route: Route) -> Sequence[int]:
    """The statuses of problems that a route can answer with."""
    found = {*route.problems, *EVERYWHERE}
    if route.parts or route.parameters or route.body is not None:
        found.add(400)
    if route.parts:
        found.add(404)
    if route.begins_operation:
        found |= {409, 422}
    return sorted(found - set(route.answers))


_IDEMPOTENCY_KEY: Mapping[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "makes a retry safe: with the same key the same request is done once, and answered again"
    ),
    "schema": {"type": "string", "maxLength": LONGEST_KEY},
}


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    answers: dict[str, Any] = {
        str(status): _answer(status, content, route, schemas)
        for status, content in sorted(route.answers.items())
    }
    for status in problems_of(route):
        answers[str(status)] = _problem_answer(status, route)
    made: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "tags": [route.section],
        "summary": route.summary,
        "parameters": [
            *_parts(route.parts),
            *_parameters(route.parameters),
            *([_IDEMPOTENCY_KEY] if route.begins_operation else []),
        ],
        "responses": answers,
    }
    if route.description:
        made["description"] = route.description
    if route.body is not None:
        made["requestBody"] = _body(route.body)
    return made


def _parts(parts: Iterable[Part]) -> Iterable[dict[str, Any]]:
    for part in parts:
        yield {
            "name": part.name,
            "in": "path",
            "required": True,
            "description": part.description,
            "schema": dict(part.schema),
        }


def _parameters(parameters: Iterable[Parameter[Any]]) -> Iterable[dict[str, Any]]:
    for one in parameters:
        schema = one.kind.schema()
        if one.default is not None:
            schema["default"] = one.default
        yield {
            "name": one.name,
            "in": "query",
            "description": one.description,
            "schema": schema,
        }


def _body(body: Body) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for one in body.fields:
        schema = one.kind.schema()
        schema["description"] = one.description
        if one.default is not REQUIRED and one.default is not None:
            schema["default"] = one.default
        properties[one.name] = schema
    required = [one.name for one in body.fields if one.default is REQUIRED]
    whole: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        whole["required"] = required
    return {"required": bool(required), "content": {"application/json": {"schema": whole}}}


def _answer(status: int, content: Content, route: Route, schemas: Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _what(status, route)}
    types: dict[str, Any] = {one: {"schema": {"type": "string"}} for one in content.other_types}
    if PROBLEM_TYPE in types:
        types[PROBLEM_TYPE] = {"schema": {"$ref": PREFIX + PROBLEM}}
    if content.messages:
        references = [schemas.of_message(message) for message in content.messages]
        schema = references[0] if len(references) == 1 else {"anyOf": references}
        types = {"application/json": {"schema": schema}, **types}
    elif content.schema is not None:
        types = {"application/json": {"schema": dict(content.schema)}, **types}
    if types:
        answer["content"] = types
    headers = dict(content.headers)
    if route.begins_operation:
        headers["Location"] = "the address of the operation"
    if headers:
        answer["headers"] = _headers(headers)
    return answer


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
    }


def _what(status: int, route: Route) -> str:
    if route.begins_operation:
        if status == 202:
            return "The operation, which goes on."
        if status == 200:
            return "The operation, which has ended well."
    return {
        200: "The answer.",
        201: "It is there now.",
        204: "Done; there is nothing to say.",
        304: "It is still what the client has.",
        422: "It has errors, which are in the answer.",
    }.get(status, "The answer.")


def _problem_answer(status: int, route: Route) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": PROBLEMS[status],
        "content": {PROBLEM_TYPE: {"schema": {"$ref": PREFIX + PROBLEM}}},
    }
    if route.begins_operation and status != 400:
        answer["headers"] = _headers({"Location": "the operation, where one was begun"})
    return answer


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "description": "What went wrong. `code` is stable and for programs; `message` is `detail` "
        "under another name.",
        "type": "object",
        "required": ["type", "title", "status", "detail", "message", "code"],
        "properties": {
            "type": {"type": "string", "pattern": "^urn:aliecs:problem:"},
            "title": text,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": text,
            "message": text,
            "code": text,
            "operation_id": {
                "type": "string",
                "description": "the operation that was begun, where there is one",
            },
        },
    }
