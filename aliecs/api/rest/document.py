"""The OpenAPI document of REST, made from the table of routes and the messages of the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aliecs.api.idempotency import LONGEST_KEY
from aliecs.api.request import SESSION
from aliecs.api.rest.kind import Names
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
    401: "Nobody knows who calls.",
    403: "The caller may not do this: the role does not suffice, or a lock is missing.",
    404: "What was named does not exist.",
    409: "The present state does not allow it.",
    413: "The body has more bytes than are read.",
    422: "The workflow or the task template has errors; or the idempotency key is another's.",
    429: "A bound was reached; there may be room at another time.",
    500: "What was asked for was tried and failed; or the core has a fault.",
    501: "This core does not offer it.",
    503: "The core, or somebody whom it needs, cannot be reached now.",
    504: "Something did not happen in its time.",
}
EVERYWHERE = (503, 504)
"""Statuses of problems that every request of the API can meet."""

_SECURITY: Mapping[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the core, or of its identity provider.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION.decode(),
        "description": "A browser whose user has logged in.",
    },
    "certificate": {"type": "mutualTLS", "description": "A trusted client's certificate."},
}

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
        "components": {"schemas": schemas.found, "securitySchemes": _SECURITY},
        "security": [{name: []} for name in _SECURITY] + [{}],
    }


def problems_of(route: Route) -> Sequence[int]:
    """The statuses of problems that a route can answer with."""
    found = {*route.problems, *EVERYWHERE}
    if not route.anyone:
        found |= {401, 403}
    if route.parts or route.parameters or route.body is not None:
        found.add(400)
    if route.body is not None:
        found.add(413)
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
    if route.anyone:
        made["security"] = []
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
        # No list means nothing is chosen, which is no value of a list that needs one.
        if one.default is not None and one.default != []:
            schema["default"] = one.default
        yield {
            "name": one.name,
            "in": "header" if one.in_header else "query",
            "description": one.description,
            "schema": schema,
            # Lists of names are written with commas, others as the parameter several times.
            **({"explode": False} if isinstance(one.kind, Names) else {}),
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
        "additionalProperties": body.open,
    }
    if required:
        whole["required"] = required
    if body.alternatives:
        whole["oneOf"] = [{"required": [name]} for name in body.alternatives]
    needed = bool(required or body.alternatives)
    return {"required": needed, "content": {"application/json": {"schema": whole}}}


def _answer(status: int, content: Content, route: Route, schemas: Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _what(status, route)}
    types: dict[str, Any] = {one: {"schema": {"type": "string"}} for one in content.other_types}
    if PROBLEM_TYPE in types:
        types[PROBLEM_TYPE] = {"schema": {"$ref": PREFIX + PROBLEM}}
    found = [schemas.of_message(message) for message in content.messages]
    if content.schema is not None:
        found.append(dict(content.schema))
    if found:
        schema = found[0] if len(found) == 1 else {"anyOf": found}
        types = {"application/json": {"schema": schema}, **types}
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
            "missing_locks": {
                "type": "array",
                "items": {"type": "string"},
                "description": "the detectors whose locks it takes",
            },
            "operation_id": {
                "type": "string",
                "description": "the operation that was begun, where there is one",
            },
        },
    }
