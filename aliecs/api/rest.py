"""REST: the operations of `control` under conventional paths, in JSON.

Reads answer with the message of the control API; long actions answer 202 with their operation and
its address, or wait for it with `?wait=<seconds>`. Errors are `application/problem+json`. The event
stream is at `/api/v1/events`, as WebSocket and as server-sent events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import msgspec
from attrs import define, field
from google.protobuf.message import Message
from klein import Klein
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException

from aliecs.api.control import Control
from aliecs.api.core import OPERATION_ID
from aliecs.api.extended import ExtendedControl
from aliecs.api.mapping import from_value, to_json
from aliecs.api.stream import EventStream
from aliecs.environment.machine import Event, parse_event
from aliecs.errors import AliecsError, InvalidInput
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.route import ServerCall

LONGEST_WAIT_S = 60.0
LONGEST_BODY = 4 * 1024 * 1024

Answer = Coroutine[Any, Any, Any]


@define(eq=False)
class Rest:
    """The routes. `ready` says whether the core can serve."""

    control: Control
    extended: ExtendedControl
    stream: EventStream
    clock: IReactorTime
    ready: Callable[[], bool]
    app: Klein = field(init=False, factory=Klein)
    _log: Logger = field(init=False, factory=Logger)

    def __attrs_post_init__(self) -> None:
        base = "/api/v1"
        for method, path, handler in (
            ("GET", "/healthz", self._healthy),
            ("GET", "/readyz", self._ready),
            ("GET", f"{base}/framework", self._framework),
            ("GET", f"{base}/services", self._services),
            ("GET", f"{base}/detectors", self._detectors),
            ("GET", f"{base}/environments", self._environments),
            ("POST", f"{base}/environments", self._create),
            ("GET", f"{base}/environments/<environment_id>", self._environment),
            ("DELETE", f"{base}/environments/<environment_id>", self._destroy),
            ("POST", f"{base}/environments/<environment_id>/transitions", self._transition),
            ("GET", f"{base}/environments/<environment_id>/transitions", self._history),
            ("GET", f"{base}/environments/<environment_id>/roles", self._roles),
            ("GET", f"{base}/history", self._ended),
            ("GET", f"{base}/tasks", self._tasks),
            ("GET", f"{base}/tasks/<task_id>", self._task),
            ("GET", f"{base}/tasks/<task_id>/logs", self._task_log),
            ("POST", f"{base}/cleanups", self._clean_up),
            ("GET", f"{base}/repositories", self._repositories),
            ("GET", f"{base}/workflow-templates", self._templates),
            ("GET", f"{base}/operations", self._operations),
            ("GET", f"{base}/operations/<operation_id>", self._operation),
            ("GET", f"{base}/events", self._events),
        ):
            self._route(method, path, handler)
        # Klein's types know only of handlers that are methods of the class with the routes.
        errors: Any = self.app.handle_errors
        errors(HTTPException)(self._no_such_path)
        errors(Exception)(self._failed)

    def _route(self, method: str, path: str, handler: Callable[..., Any]) -> None:
        def routed(request: Request, **parts: str) -> Any:
            return handler(request, **parts)

        name = handler.__name__.lstrip("_")
        endpoint = f"{method}_{name}"
        routed.__name__ = endpoint
        self.app.route(path, methods=[method], endpoint=endpoint)(routed)

    # --- reads -----------------------------------------------------------------------------

    async def _healthy(self, request: Request) -> bytes:
        return _json(request, {"status": "ok"})

    async def _ready(self, request: Request) -> bytes:
        ready = self.ready()
        return _json(request, {"ready": ready}, status=200 if ready else 503)

    async def _framework(self, request: Request) -> bytes:
        asked = o2control_pb2.GetFrameworkInfoRequest()
        return await self._answer(request, self.control.GetFrameworkInfo, asked)

    async def _services(self, request: Request) -> bytes:
        asked = o2control_pb2.Empty()
        return await self._answer(request, self.control.GetIntegratedServices, asked)

    async def _detectors(self, request: Request) -> bytes:
        asked = o2control_pb2.Empty()
        return await self._answer(request, self.control.GetAvailableDetectors, asked)

    async def _environments(self, request: Request) -> bytes:
        asked = o2control_pb2.GetEnvironmentsRequest(
            showAll=_flag(request, "all", True), showTaskInfos=_flag(request, "tasks", False)
        )
        return await self._answer(request, self.control.GetEnvironments, asked)

    async def _environment(self, request: Request, environment_id: str) -> bytes:
        asked = o2control_pb2.GetEnvironmentRequest(
            id=environment_id, showWorkflowTree=_flag(request, "workflow", False)
        )
        return await self._answer(request, self.control.GetEnvironment, asked)

    async def _roles(self, request: Request, environment_id: str) -> bytes:
        asked = o2control_pb2.GetRolesRequest(
            envId=environment_id, pathSpec=_text(request, "path", "*")
        )
        return await self._answer(request, self.control.GetRoles, asked)

    async def _history(self, request: Request, environment_id: str) -> bytes:
        asked = aliecs_v1_pb2.GetEnvironmentHistoryRequest(id=environment_id)
        return await self._answer(request, self.extended.GetEnvironmentHistory, asked)

    async def _ended(self, request: Request) -> bytes:
        asked = aliecs_v1_pb2.GetEnvironmentHistoryRequest(limit=_number(request, "limit", 0))
        return await self._answer(request, self.extended.GetEnvironmentHistory, asked)

    async def _tasks(self, request: Request) -> bytes:
        asked = o2control_pb2.GetTasksRequest()
        return await self._answer(request, self.control.GetTasks, asked)

    async def _task(self, request: Request, task_id: str) -> bytes:
        asked = o2control_pb2.GetTaskRequest(taskId=task_id)
        return await self._answer(request, self.control.GetTask, asked)

    async def _task_log(self, request: Request, task_id: str) -> bytes:
        streams = {
            "stdout": aliecs_v1_pb2.TASK_STREAM_STDOUT,
            "stderr": aliecs_v1_pb2.TASK_STREAM_STDERR,
        }
        stream = _text(request, "stream", "stdout")
        if stream not in streams:
            raise InvalidInput(f"stream is {stream!r}; it can be stdout or stderr")
        asked = aliecs_v1_pb2.GetTaskLogRequest(
            task_id=task_id, stream=streams[stream], tail=_number(request, "tail", 200)
        )
        return await self._answer(request, self.extended.GetTaskLog, asked)

    async def _repositories(self, request: Request) -> bytes:
        asked = o2control_pb2.ListReposRequest(
            getRevisions=_text(request, "include", "") == "revisions"
        )
        return await self._answer(request, self.control.ListRepos, asked)

    async def _templates(self, request: Request) -> bytes:
        asked = o2control_pb2.GetWorkflowTemplatesRequest(
            repoPattern=_text(request, "repository", ""),
            revisionPattern=_text(request, "revision", ""),
            allWorkflows=_flag(request, "all", False),
        )
        return await self._answer(request, self.control.GetWorkflowTemplates, asked)

    async def _operations(self, request: Request) -> bytes:
        asked = aliecs_v1_pb2.ListOperationsRequest(
            environment_id=_text(request, "environment_id", ""),
            limit=_number(request, "limit", 100),
        )
        return await self._answer(request, self.extended.ListOperations, asked)

    async def _operation(self, request: Request, operation_id: str) -> bytes:
        asked = aliecs_v1_pb2.GetOperationRequest(id=operation_id)
        return await self._answer(request, self.extended.GetOperation, asked)

    # --- actions ---------------------------------------------------------------------------

    async def _create(self, request: Request) -> bytes:
        body = _body(request)
        asked = from_value(
            {
                "workflowTemplate": _template_expression(body.pop("template", "")),
                "vars": _variables(body.pop("variables", {})),
                "autoTransition": body.pop("auto", False),
                "public": body.pop("public", True),
                "requestUser": {"name": body.pop("user", "")},
            },
            o2control_pb2.NewEnvironmentRequest,
        )
        _nothing_left(body, "reason")
        return await self._act(request, self.control.NewEnvironment, asked)

    async def _transition(self, request: Request, environment_id: str) -> bytes:
        body = _body(request)
        event = parse_event(str(body.pop("type", "")))
        user = str(body.pop("user", ""))
        _nothing_left(body, "reason")
        if event is Event.RECOVER:
            recover = aliecs_v1_pb2.RecoverRequest(environment_id=environment_id, requested_by=user)
            return await self._act(request, self.extended.Recover, recover)
        if event.value not in o2control_pb2.ControlEnvironmentRequest.Optype.keys():  # noqa: SIM118
            raise InvalidInput(f"cannot prepare invalid transition {event.value}")
        asked = o2control_pb2.ControlEnvironmentRequest(
            id=environment_id,
            type=event.value,
        )
        asked.requestUser.name = user
        return await self._act(request, self.control.ControlEnvironment, asked)

    async def _destroy(self, request: Request, environment_id: str) -> bytes:
        asked = o2control_pb2.DestroyEnvironmentRequest(
            id=environment_id,
            keepTasks=_flag(request, "keep_tasks", False),
            allowInRunningState=_flag(request, "allow_in_running_state", False),
            force=_flag(request, "force", False),
        )
        return await self._act(request, self.control.DestroyEnvironment, asked)

    async def _clean_up(self, request: Request) -> bytes:
        body = _body(request)
        ids = body.pop("taskIds", [])
        _nothing_left(body, "reason", "kind")
        asked = from_value({"taskIds": ids}, o2control_pb2.CleanupTasksRequest)
        return await self._answer(request, self.control.CleanupTasks, asked)

    # --- how they answer -------------------------------------------------------------------

    async def _answer(
        self, request: Request, method: Callable[[Any, ServerCall], Awaitable[Message]], asked: Any
    ) -> bytes:
        reply = await method(asked, _call(request))
        request.setHeader(b"Content-Type", b"application/json")
        return to_json(reply)

    async def _act(
        self, request: Request, method: Callable[[Any, ServerCall], Answer], asked: Any
    ) -> bytes:
        """A long action: its operation at once, or what became of it within `?wait=` seconds."""
        call = _call(request)
        wait_s = min(_seconds(request, "wait"), LONGEST_WAIT_S)
        work = Deferred.fromCoroutine(method(asked, call))
        operation_id = call.trailing.get(OPERATION_ID)
        if operation_id is None:
            # Refused before anything was begun.
            await work
            raise AssertionError(f"{method.__name__} began no operation")
        try:
            await work.addTimeout(wait_s, self.clock)
        except TimeoutError:
            status = 202
        except AliecsError as problem:
            _remember_operation(request, str(operation_id))
            raise problem
        else:
            status = 200
        _remember_operation(request, str(operation_id))
        request.setResponseCode(status)
        found = aliecs_v1_pb2.GetOperationRequest(id=str(operation_id))
        operation = await self.extended.GetOperation(found, call)
        if operation.state == aliecs_v1_pb2.OPERATION_STATE_FAILED:
            # A transition that failed answers OK to gRPC clients; here it is a problem.
            _remember_operation(request, operation.id)
            raise self.control.core.manager.facilities.operations.error(operation.id)
        request.setHeader(b"Content-Type", b"application/json")
        return to_json(operation)

    def _events(self, request: Request) -> Any:
        if (request.getHeader(b"upgrade") or b"").lower() == b"websocket":
            return self.stream.web_socket()
        return self.stream.serve_events(request)

    # --- errors ----------------------------------------------------------------------------

    def _no_such_path(self, request: Request, failure: Failure) -> bytes:
        error = failure.value
        assert isinstance(error, HTTPException)
        status = error.code or 500
        return _problem(request, status, error.name, f"{error.name}: {_path(request)}", "path")

    def _failed(self, request: Request, failure: Failure) -> bytes:
        error = failure.value
        if isinstance(error, AliecsError):
            title = error.code.replace("_", " ").capitalize()
            return _problem(request, error.http_status, title, error.message, error.code)
        self._log.failure("{path} failed", failure, path=_path(request))
        return _problem(
            request, 500, "Internal error", "the core has a fault; see its log", "internal"
        )


def _call(request: Request) -> ServerCall:
    client = request.getClientAddress()
    return ServerCall(
        path=_path(request),
        peer=f"{getattr(client, 'host', '')}:{getattr(client, 'port', '')}",
        metadata={},
        remaining_s=None,
    )


def _path(request: Request) -> str:
    return bytes(request.path).decode("utf-8", "replace")


def _json(request: Request, value: Any, status: int = 200) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/json")
    return msgspec.json.encode(value)


def _remember_operation(request: Request, operation_id: str) -> None:
    request.setHeader(b"Location", f"/api/v1/operations/{operation_id}".encode())


def _problem(request: Request, status: int, title: str, detail: str, code: str) -> bytes:
    location = request.responseHeaders.getRawHeaders(b"location", [])
    value = {
        "type": f"urn:aliecs:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "message": detail,
        "code": code,
    }
    if location:
        value["operation_id"] = location[0].decode().rsplit("/", 1)[-1]
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"application/problem+json")
    return msgspec.json.encode(value)


def _body(request: Request) -> dict[str, Any]:
    raw = request.content.read(LONGEST_BODY + 1) if request.content is not None else b""
    if len(raw) > LONGEST_BODY:
        raise InvalidInput(f"the body is longer than {LONGEST_BODY} bytes")
    try:
        value = msgspec.json.decode(raw) if raw.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput("the body is not a JSON object")
    return value


def _nothing_left(body: Mapping[str, Any], *known: str) -> None:
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise InvalidInput(f"the body has unknown fields: {', '.join(unknown)}")


def _template_expression(template: Any) -> str:
    """`"<expression>"`, or `{repository, name, revision}`."""
    if isinstance(template, str) and template:
        return template
    if isinstance(template, dict) and isinstance(template.get("name"), str):
        expression = str(template["name"])
        if template.get("repository"):
            expression = f"{template['repository']}/workflows/{expression}"
        if template.get("revision"):
            expression = f"{expression}@{template['revision']}"
        return expression
    raise InvalidInput("template is missing: a workflow expression, or an object with a name")


def _variables(value: Any) -> dict[str, str]:
    """Variables are texts; other JSON values become their JSON text, as lists and maps do."""
    if not isinstance(value, dict):
        raise InvalidInput("variables is not a JSON object")
    return {
        str(key): item if isinstance(item, str) else msgspec.json.encode(item).decode()
        for key, item in value.items()
    }


def _arguments(request: Request, name: str) -> list[str]:
    found = request.args or {}
    return [bytes(item).decode("utf-8", "replace") for item in found.get(name.encode(), [])]


def _text(request: Request, name: str, default: str) -> str:
    values = _arguments(request, name)
    return values[-1] if values else default


def _flag(request: Request, name: str, default: bool) -> bool:
    text = _text(request, name, str(default)).strip().lower()
    if text in ("true", "1", ""):
        return True
    if text in ("false", "0"):
        return False
    raise InvalidInput(f"{name} is {text!r}; it can be true or false")


def _number(request: Request, name: str, default: int) -> int:
    text = _text(request, name, str(default))
    if not text.isdecimal() or int(text) > 1_000_000:
        raise InvalidInput(f"{name} is {text!r}; it has to be a number from 0 to 1000000")
    return int(text)


def _seconds(request: Request, name: str) -> float:
    text = _text(request, name, "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InvalidInput(f"{name} is {text!r}; it has to be a number of seconds")
    return seconds
