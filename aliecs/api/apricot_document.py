"""What the HTTP face of the configuration service says of itself: a Swagger 2.0 document, and a
page for people that is made from it and needs nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import msgspec

COMPONENTS = "component configuration"
INVENTORY = "cluster inventory"

_PARTS = {
    "component": "name of a component, such as qc",
    "runtype": "a run type in upper or lower case, or ANY",
    "rolename": "name of a role, or any",
    "entry": "name of an entry, which may have slashes",
    "detector": "name of a detector or another system, such as ITS",
    "format": "json, or text",
}
_QUESTIONS = {
    "format": "json for a JSON array; else text, one name on a line",
    "raw": "true: only what is asked for, not what stands in for it (ANY, any)",
    "process": "true: process the payload as a template; all other parameters are its variables",
}


def _route(
    summary: str, tag: str, *questions: str, answers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    answers = {"200": "the answer", "500": "the configuration cannot be read", **(answers or {})}
    return {
        "summary": summary,
        "tags": [tag],
        "produces": ["text/plain", "application/json"],
        "parameters": [
            {"name": name, "in": "query", "type": "string", "description": _QUESTIONS[name]}
            for name in questions
        ],
        "responses": {status: {"description": text} for status, text in answers.items()},
    }


_BAD_RUN_TYPE = {"400": "there is no such run type"}

_ROUTES: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "/components": {"get": _route("All components", COMPONENTS, "format")},
    "/components/_invalidate_cache": {
        "post": _route("Forget templates that were made ready before", COMPONENTS)
    },
    "/components/{component}": {"get": _route("The entries of a component", COMPONENTS, "format")},
    "/components/{component}/{runtype}": {
        "get": _route(
            "Its entries for a run type", COMPONENTS, "format", "raw", answers=_BAD_RUN_TYPE
        )
    },
    "/components/{component}/{runtype}/{rolename}": {
        "get": _route(
            "Its entries for a run type and a role",
            COMPONENTS,
            "format",
            "raw",
            answers=_BAD_RUN_TYPE,
        )
    },
    "/components/{component}/{runtype}/{rolename}/{entry}": {
        "get": _route("One payload", COMPONENTS, "process", answers=_BAD_RUN_TYPE)
    },
    "/components/{component}/{runtype}/{rolename}/{entry}/resolve": {
        "get": _route(
            "The path of the payload that an entry falls back to",
            COMPONENTS,
            answers=_BAD_RUN_TYPE,
        )
    },
    "/inventory/flps": {"get": _route("All hosts", INVENTORY)},
    "/inventory/flps/{format}": {"get": _route("All hosts", INVENTORY)},
    "/inventory/detectors": {"get": _route("All detectors with their hosts", INVENTORY)},
    "/inventory/detectors/{format}": {"get": _route("All detectors with their hosts", INVENTORY)},
    "/inventory/detectors/{detector}/flps": {
        "get": _route(
            "The hosts of a detector", INVENTORY, answers={"400": "there is no such detector"}
        )
    },
    "/inventory/detectors/{detector}/flps/{format}": {
        "get": _route(
            "The hosts of a detector", INVENTORY, answers={"400": "there is no such detector"}
        )
    },
}


def document() -> dict[str, Any]:
    """The Swagger document."""
    paths: dict[str, Any] = {}
    for path, methods in _ROUTES.items():
        parts = [
            {"name": name, "in": "path", "required": True, "type": "string", "description": text}
            for name, text in _PARTS.items()
            if f"{{{name}}}" in path
        ]
        paths[path] = {
            method: {**route, "parameters": [*parts, *route["parameters"]]}
            for method, route in methods.items()
        }
    return {
        "swagger": "2.0",
        "info": {
            "title": "O² Apricot REST API",
            "version": "1.0",
            "description": "Component configuration and inventory, to be read.",
        },
        "basePath": "/",
        "tags": [{"name": COMPONENTS}, {"name": INVENTORY}],
        "paths": paths,
    }


def document_json() -> bytes:
    """The Swagger document as JSON."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2)


def page() -> bytes:
    """The page for people."""
    rows = []
    for path, methods in document()["paths"].items():
        for method, route in methods.items():
            asked = "".join(
                f"<li><code>{html.escape(parameter['name'])}</code>: "
                f"{html.escape(parameter['description'])}</li>"
                for parameter in route["parameters"]
            )
            rows.append(
                f"<tr><td>{method.upper()}</td><td><code>{html.escape(path)}</code></td>"
                f"<td>{html.escape(route['summary'])}<ul>{asked}</ul></td></tr>"
            )
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8"><title>O² Apricot REST API</title><style>'
        "body{font-family:sans-serif;margin:2em;max-width:70em}"
        "td{vertical-align:top;padding:.4em 1em .4em 0;border-top:1px solid #ccc}"
        "ul{margin:.3em 0;padding-left:1.2em;color:#444}"
        "</style></head><body><h1>O² Apricot REST API</h1>"
        '<p>Component configuration and inventory. For programs: <a href="doc.json">doc.json</a> '
        "(Swagger 2.0).</p>"
        f"<table>{''.join(rows)}</table></body></html>\n"
    ).encode()
