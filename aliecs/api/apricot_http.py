"""The configuration service over HTTP: payloads and inventory, to be read.

The routes and answers that the experiment's programs know: tasks fetch their configuration here,
with a trailing slash after the entry and `process=true`. A payload is given with one newline more
than it has. Faults are told with status 500; the reference tells some with 200.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, unquote_to_bytes

from attrs import define, field
from klein import Klein
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from aliecs.api.apricot_document import document_json, page
from aliecs.api.site import QuietSite
from aliecs.configuration.format import indented_json
from aliecs.configuration.inventory import SYSTEMS
from aliecs.configuration.query import RUN_TYPES
from aliecs.errors import AliecsError, Exhausted
from aliecs.interfaces import IConfigurationService

DEADLINE_S = 15.0
MOST_AT_ONCE = 512
"""Requests that wait for the configuration."""
LARGEST_BODY = 64 * 1024
"""Bytes of a request's body, which nothing here reads."""

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
HTML = "text/html; charset=utf-8"

NOT_FOUND = "404 page not found"

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})

T = TypeVar("T")


class _Refused(Exception):
    """A request that makes no sense, with its answer."""


@define(eq=False)
class ApricotHttp:
    """The routes over `service`."""

    service: IConfigurationService
    clock: IReactorTime
    deadline_s: float = field(default=DEADLINE_S, kw_only=True)
    app: Klein = field(init=False, factory=Klein)
    _asked: int = field(init=False, default=0)
    _log: Logger = field(init=False, factory=Logger)

    def __attrs_post_init__(self) -> None:
        entries = "/components/<component>/<runtype>/<rolename>"
        hosts = "/inventory/detectors/<detector>/flps"
        for method, paths, handler in (
            ("GET", ("/docs/",), self._docs),
            ("GET", ("/docs/index.html",), self._page),
            ("GET", ("/docs/doc.json",), self._document),
            ("GET", ("/components", "/components/"), self._components),
            ("POST", ("/components/_invalidate_cache",), self._invalidate),
            ("GET", ("/components/<component>", "/components/<component>/"), self._entries),
            (
                "GET",
                ("/components/<component>/<runtype>", "/components/<component>/<runtype>/"),
                self._entries,
            ),
            ("GET", (entries, f"{entries}/"), self._entries),
            ("GET", (f"{entries}/<path:entry>",), self._entry),
            ("GET", ("/inventory/flps", "/inventory/flps/"), self._hosts),
            ("GET", ("/inventory/flps/<format>",), self._hosts),
            ("GET", ("/inventory/detectors", "/inventory/detectors/"), self._detectors),
            ("GET", ("/inventory/detectors/<format>",), self._detectors),
            ("GET", (hosts, f"{hosts}/", f"{hosts}/<format>"), self._hosts_of_detector),
        ):
            for path in paths:
                self._route(method, path, handler)
        # Klein's types know only of handlers that are methods of the class with the routes.
        errors: Any = self.app.handle_errors
        errors(_Refused)(self._refused)
        errors(HTTPException)(self._unmatched)
        errors(Exception)(self._failed)

    def site(self) -> Site:
        """What to listen with."""
        return QuietSite(_Door(self.app.resource()), LARGEST_BODY, DEADLINE_S)

    def _route(self, method: str, path: str, handler: Callable[..., Any]) -> None:
        def routed(request: Request, **parts: str) -> Any:
            return handler(request, **parts)

        endpoint = f"{method} {path}"
        routed.__name__ = endpoint
        # A slash at the end is a route of its own here, never a redirection.
        self.app.route(path, methods=[method], endpoint=endpoint, strict_slashes=True)(routed)

    async def _in_time(self, asked: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
        async def answer() -> T:
            return await asked

        if self._asked >= MOST_AT_ONCE:
            if isinstance(asked, Coroutine):
                asked.close()
            raise Exhausted(f"{MOST_AT_ONCE} requests are waiting already: try again later")
        self._asked += 1
        try:
            result: Any = await Deferred.fromCoroutine(answer()).addTimeout(
                self.deadline_s, self.clock
            )
        finally:
            self._asked -= 1
        given: T = result
        return given

    # --- component configuration ---------------------------------------------------------------

    async def _components(self, request: Request) -> bytes:
        return _names(request, await self._in_time(self.service.components()))

    async def _invalidate(self, request: Request) -> bytes:
        await self._in_time(self.service.invalidate_templates())
        return _answer(request, "OK")

    async def _entries(
        self, request: Request, component: str, runtype: str = "", rolename: str = ""
    ) -> bytes:
        run_type = _run_type(runtype) if runtype else ""
        exact = _argument(request, "raw") in _TRUE
        asked = self.service.component_entries(component, run_type, rolename, exact)
        return _names(request, await self._in_time(asked))

    async def _entry(
        self, request: Request, component: str, runtype: str, rolename: str, entry: str
    ) -> bytes:
        path = f"{component}/{_run_type(runtype)}/{rolename}"
        if entry.endswith("/resolve"):
            query = f"{path}/{entry.removesuffix('/resolve')}"
            return _answer(request, await self._in_time(self.service.resolve_component(query)))
        variables = None
        if _argument(request, "process") in _TRUE:
            variables = _arguments(request)
            variables.pop("process")
        query = f"{path}/{entry.removesuffix('/')}"
        asked = self.service.component_payload(query, variables)
        return _answer(request, await self._in_time(asked))

    # --- inventory -----------------------------------------------------------------------------

    async def _hosts(self, request: Request, format: str = "") -> bytes:
        return _hosts(request, format, await self._in_time(self.service.host_inventory("")))

    async def _detectors(self, request: Request, format: str = "") -> bytes:
        inventory = await self._in_time(self.service.detectors_inventory())
        if format == "json":
            return _json(request, {name: list(hosts) for name, hosts in inventory.items()})
        lines = [
            line
            for name, hosts in inventory.items()
            for line in (name, *(f"\t{host}" for host in hosts))
        ]
        return _answer(request, "\n".join(lines))

    async def _hosts_of_detector(self, request: Request, detector: str, format: str = "") -> bytes:
        if detector.upper() not in SYSTEMS:
            known = await self._in_time(self.service.detectors(True))
            if detector not in known:
                raise _Refused(f"there is no detector {detector}")
        return _hosts(request, format, await self._in_time(self.service.host_inventory(detector)))

    # --- what it says of itself ----------------------------------------------------------------

    def _docs(self, request: Request) -> bytes:
        return _redirection(request, "/docs/index.html")

    def _page(self, request: Request) -> bytes:
        request.setHeader(b"Content-Type", HTML.encode())
        return page()

    def _document(self, request: Request) -> bytes:
        request.setHeader(b"Content-Type", JSON.encode())
        return document_json()

    # --- errors --------------------------------------------------------------------------------

    def _refused(self, request: Request, failure: Failure) -> bytes:
        return _answer(request, str(failure.value), 400)

    def _unmatched(self, request: Request, failure: Failure) -> bytes:
        if isinstance(failure.value, MethodNotAllowed) and _is_docs(request):
            return _answer(request, "405 method not allowed", 405)
        return _answer(request, NOT_FOUND, 404)

    def _failed(self, request: Request, failure: Failure) -> bytes:
        error = failure.value
        status = 503 if isinstance(error, Exhausted) else 500
        if isinstance(error, AliecsError):
            text = error.message
        elif isinstance(error, TimeoutError):
            text = f"the configuration did not answer within {self.deadline_s:g} s"
        else:
            self._log.failure("{path} failed", failure, path=_path(request))
            text = "internal error; the log of the server has it"
        if _argument(request, "format") == "json":
            return _json(request, {"error": text}, status)
        return _answer(request, text, status)


class _Door(Resource):
    """Before the routes: paths that are not clean are sent to the clean ones, and only what has a
    body to show is answered."""

    isLeaf = True  # noqa: N815

    def __init__(self, routes: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._routes = routes

    def render(self, request: Request) -> Any:
        """See `IResource.render`."""
        path = _path(request)
        clean = clean_path(path)
        if clean != path:
            return _redirection(request, clean)
        if request.method == b"HEAD":
            _answer(request, "", 405 if _is_docs(request) else 404)
            return b""
        return self._routes.render(request)


def clean_path(path: str) -> str:
    """`path` without empty segments and those that are dots; a slash at the end stays."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    end = "/" if segments and path.endswith("/") else ""
    return f"/{'/'.join(segments)}{end}"


def _path(request: Request) -> str:
    return unquote_to_bytes(bytes(request.path)).decode("utf-8", "replace")


def _is_docs(request: Request) -> bool:
    return _path(request).startswith("/docs/")


def _redirection(request: Request, path: str) -> bytes:
    _, mark, query = bytes(request.uri).partition(b"?")
    request.setHeader(b"Location", quote(path).encode() + mark + query)
    return _answer(request, "moved permanently", 301)


def _run_type(text: str) -> str:
    run_type = text.upper()
    if run_type not in RUN_TYPES:
        raise _Refused("runtype not valid")
    return run_type


def _arguments(request: Request) -> dict[str, str]:
    """The parameters of a request; of one that comes twice the first."""
    arguments = request.args or {}
    return {
        bytes(name).decode("utf-8", "replace"): bytes(values[0]).decode("utf-8", "replace")
        for name, values in arguments.items()
    }


def _argument(request: Request, name: str) -> str:
    return _arguments(request).get(name, "")


def _answer(request: Request, text: str, status: int = 200, kind: str = TEXT) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", kind.encode())
    request.setHeader(b"X-Content-Type-Options", b"nosniff")
    return f"{text}\n".encode("utf-8", "surrogatepass")


def _json(request: Request, value: Any, status: int = 200) -> bytes:
    return _answer(request, indented_json(value), status, JSON)


def _names(request: Request, names: Sequence[str]) -> bytes:
    if _argument(request, "format") == "json":
        return _json(request, list(names))
    return _answer(request, "\n".join(names), kind="text/plain")


def _hosts(request: Request, format: str, hosts: Sequence[str]) -> bytes:
    if format == "json":
        return _json(request, list(hosts))
    body = _answer(request, "\n".join(hosts))
    return body if hosts else b""
