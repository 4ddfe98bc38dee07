"""The application that serves the routes, and the one place where errors become answers."""

from __future__ import annotations

import inspect
from typing import Any
from urllib.parse import urlsplit

import msgspec
from attrs import define, field
from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from aliecs.api.request import (
    CALLER,
    ENVIRONMENT,
    credentials_of,
    host_of,
    is_foreign,
    path_of,
    problem_answer,
)
from aliecs.api.rest.document import openapi
from aliecs.api.rest.face import Described, Face
from aliecs.api.rest.page import page
from aliecs.api.rest.route import Route
from aliecs.api.rest.table import ROUTES, SECTIONS
from aliecs.errors import AliecsError, Forbidden, Unauthenticated


@define(eq=False)
class Rest:
    """The routes, served."""

    face: Face
    app: Klein = field(init=False, factory=Klein)
    _log: Logger = field(init=False, factory=Logger)

    def __attrs_post_init__(self) -> None:
        for route in ROUTES:
            self._serve(route)
        version = self.face.stream.version
        document = msgspec.json.format(msgspec.json.encode(openapi(SECTIONS, version)), indent=1)
        self.face.described = Described(document, page(SECTIONS, version))
        # Klein's types know only of handlers that are methods of the class with the routes.
        errors: Any = self.app.handle_errors
        errors(HTTPException)(self._no_such_path)
        errors(Exception)(self._failed)

    def _serve(self, route: Route) -> None:
        async def routed(request: Request, **parts: str) -> Any:
            setattr(request, ENVIRONMENT, parts.get("environment_id", ""))
            if not route.anyone:
                await self._recognise(request, route)
            answer = route.handler(self.face, request, **parts)
            return await answer if inspect.isawaitable(answer) else answer

        routed.__name__ = route.name
        self.app.route(route.path, methods=[route.method], endpoint=route.name)(routed)

    async def _recognise(self, request: Request, route: Route) -> None:
        """Find out who calls, before anything else is looked at."""
        if route.method != "GET" and is_foreign(request):
            # A page of somebody else could act as whoever looks at it.
            raise Forbidden("the request comes from a page of another server")
        caller = await self.face.control.core.gate.recognise(credentials_of(request))
        if caller.unbound and not self.face.access.is_own_name(host_of(request)):
            # A name of somebody else that leads here makes their pages look like ours.
            raise Forbidden(
                f"this core is not called {host_of(request)[:60]!r}: ask for localhost or "
                "an address, or set publicUrl"
            )
        setattr(request, CALLER, caller)

    def _no_such_path(self, request: Request, failure: Failure) -> bytes:
        error = failure.value
        assert isinstance(error, HTTPException)
        status = error.code or 500
        if isinstance(error, RequestRedirect):
            # The same path in its proper form; the host is left to the client.
            place = urlsplit(error.new_url)
            request.setResponseCode(status)
            request.setHeader(b"Location", f"/{place.path.lstrip('/')}".encode())
            return b""
        if isinstance(error, MethodNotAllowed):
            request.setHeader(b"Allow", ", ".join(sorted(error.valid_methods or ())).encode())
        return problem_answer(
            request, status, error.name, f"{error.name}: {path_of(request)}", "path"
        )

    def _failed(self, request: Request, failure: Failure) -> bytes:
        error = failure.value
        if isinstance(error, AliecsError):
            if isinstance(error, Unauthenticated):
                request.setHeader(b"WWW-Authenticate", b'Bearer realm="aliecs"')
            title = error.code.replace("_", " ").capitalize()
            more = {"missing_locks": list(error.missing_locks)} if error.missing_locks else {}
            return problem_answer(
                request, error.http_status, title, error.message, error.code, more
            )
        self._log.failure("{path} failed", failure, path=path_of(request))
        return problem_answer(
            request, 500, "Internal error", "the core has a fault; see its log", "internal"
        )
