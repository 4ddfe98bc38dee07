"""REST: the operations of `control` under conventional paths, in JSON.

Reads answer with the message of the control API; long actions answer 202 with their operation and
its address, or wait for it with `?wait=<seconds>`. Errors are `application/problem+json`. The event
stream is at `/api/v1/events`, as WebSocket and as server-sent events; `/metrics` is for Prometheus.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

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
from aliecs.api.mapping import from_value, to_json, to_value
from aliecs.api.metrics import CONTENT_TYPE, Metrics
from aliecs.api.request import (
    arguments,
    body_of,
    call_of,
    flag_of,
    json_answer,
    nothing_left,
    number_of,
    path_of,
    problem_answer,
    remember_operation,
    seconds_of,
    template_expression,
    text_of,
    variables_of,
)
from aliecs.api.stream import EventStream
from aliecs.environment.machine import Event, parse_event
from aliecs.errors import AliecsError, InvalidInput, NotFound
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.route import ServerCall

LONGEST_WAIT_S = 60.0

Answer = Coroutine[Any, Any, Any]


@define(eq=False)
class Rest:
    """The routes. `ready` says whether the core can serve."""

    control: Control
    extended: ExtendedControl
    stream: EventStream
    clock: IReactorTime
    ready: Callable[[], bool]
    metrics: Metrics
    app: Klein = field(init=False, factory=Klein)
    _log: Logger = field(init=False, factory=Logger)

    def __attrs_post_init__(self) -> None:
        base = "/api/v1"
        for method, path, handler in (
            ("GET", "/healthz", self._healthy),
            ("GET", "/readyz", self._ready),
            ("GET", "/metrics", self._metrics),
            ("GET", f"{base}/framework", self._framework),
            ("GET", f"{base}/services", self._services),
            ("GET", f"{base}/detectors", self._detectors),
            ("GET", f"{base}/environments", self._environments),
            ("POST", f"{base}/environments", self._create),
            ("GET", f"{base}/environments/<environment_id>", self._environment),
            ("DELETE", f"{base}/environments/<environment_id>", self._destroy),
            ("POST", f"{base}/environments/<environment_id>/transitions", self._transition),
            ("GET", f"{base}/environments/<environment_id>/transitions", self._history),
            ("POST", f"{base}/environments/<environment_id>/modifications", self._modify),
            ("GET", f"{base}/environments/<environment_id>/exclusions", self._exclusions),
            ("GET", f"{base}/environments/<environment_id>/roles", self._roles),
            ("GET", f"{base}/environments/<environment_id>/variables", self._explain),
            ("GET", f"{base}/history", self._ended),
            ("GET", f"{base}/tasks", self._tasks),
            ("GET", f"{base}/tasks/<task_id>", self._task),
            ("GET", f"{base}/tasks/<task_id>/logs", self._task_log),
            ("GET", f"{base}/task-usage", self._task_usage),
            ("POST", f"{base}/cleanups", self._clean_up),
            ("GET", f"{base}/hosts", self._hosts),
            ("GET", f"{base}/hosts/<name>", self._host),
            ("PATCH", f"{base}/hosts/<name>", self._change_host),
            ("GET", f"{base}/repositories", self._repositories),
            ("POST", f"{base}/repositories", self._add_repository),
            ("PATCH", f"{base}/repositories", self._change_repositories),
            ("POST", f"{base}/repositories/refresh", self._refresh_repositories),
            ("PATCH", f"{base}/repositories/<index>", self._change_repository),
            ("DELETE", f"{base}/repositories/<index>", self._remove_repository),
            ("POST", f"{base}/repositories/<index>/refresh", self._refresh_repository),
            ("GET", f"{base}/workflow-templates", self._templates),
            ("POST", f"{base}/workflow-inspections", self._inspect),
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
        return json_answer(request, {"status": "ok"})

    async def _ready(self, request: Request) -> bytes:
        ready = self.ready()
        return json_answer(request, {"ready": ready}, status=200 if ready else 503)

    async def _metrics(self, request: Request) -> bytes:
        request.setHeader(b"Content-Type", CONTENT_TYPE)
        return self.metrics.text()

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
            showAll=flag_of(request, "all", True), showTaskInfos=flag_of(request, "tasks", False)
        )
        return await self._answer(request, self.control.GetEnvironments, asked)

    async def _environment(self, request: Request, environment_id: str) -> bytes:
        asked = o2control_pb2.GetEnvironmentRequest(
            id=environment_id, showWorkflowTree=flag_of(request, "workflow", False)
        )
        return await self._answer(request, self.control.GetEnvironment, asked)

    async def _roles(self, request: Request, environment_id: str) -> bytes:
        asked = o2control_pb2.GetRolesRequest(
            envId=environment_id, pathSpec=text_of(request, "path", "*")
        )
        return await self._answer(request, self.control.GetRoles, asked)

    async def _exclusions(self, request: Request, environment_id: str) -> bytes:
        asked = aliecs_v1_pb2.ListExclusionsRequest(environment_id=environment_id)
        return await self._answer(request, self.extended.ListExclusions, asked)

    async def _explain(self, request: Request, environment_id: str) -> bytes:
        asked = aliecs_v1_pb2.ExplainVariablesRequest(
            environment_id=environment_id,
            role=text_of(request, "role", ""),
            names=arguments(request, "name"),
        )
        return await self._answer(request, self.extended.ExplainVariables, asked)

    async def _history(self, request: Request, environment_id: str) -> bytes:
        asked = aliecs_v1_pb2.GetEnvironmentHistoryRequest(id=environment_id)
        return await self._answer(request, self.extended.GetEnvironmentHistory, asked)

    async def _ended(self, request: Request) -> bytes:
        asked = aliecs_v1_pb2.GetEnvironmentHistoryRequest(limit=number_of(request, "limit", 0))
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
        stream = text_of(request, "stream", "stdout")
        if stream not in streams:
            raise InvalidInput(f"stream is {stream!r}; it can be stdout or stderr")
        asked = aliecs_v1_pb2.GetTaskLogRequest(
            task_id=task_id, stream=streams[stream], tail=number_of(request, "tail", 200)
        )
        return await self._answer(request, self.extended.GetTaskLog, asked)

    async def _task_usage(self, request: Request) -> bytes:
        orders = {
            "age": aliecs_v1_pb2.TASK_USAGE_ORDER_UNSPECIFIED,
            "processors": aliecs_v1_pb2.TASK_USAGE_ORDER_PROCESSORS,
            "memory": aliecs_v1_pb2.TASK_USAGE_ORDER_MEMORY,
            "open_files": aliecs_v1_pb2.TASK_USAGE_ORDER_OPEN_FILES,
        }
        order = text_of(request, "order", "age")
        if order not in orders:
            raise InvalidInput(f"order is {order!r}; it can be {', '.join(orders)}")
        asked = aliecs_v1_pb2.GetTaskUsageRequest(
            environment_id=text_of(request, "environment", ""),
            task_ids=arguments(request, "task"),
            order=orders[order],
            limit=number_of(request, "limit", 0),
        )
        return await self._answer(request, self.extended.GetTaskUsage, asked)

    async def _hosts(self, request: Request) -> bytes:
        asked = aliecs_v1_pb2.ListHostsRequest(names=arguments(request, "name"))
        return await self._answer(request, self.extended.ListHosts, asked)

    async def _host(self, request: Request, name: str) -> bytes:
        asked = aliecs_v1_pb2.ListHostsRequest(names=[name])
        reply = await self.extended.ListHosts(asked, call_of(request))
        return json_answer(request, to_value(reply.hosts[0]))

    async def _change_host(self, request: Request, name: str) -> bytes:
        """Drain a host, or resume it."""
        body = body_of(request)
        drained = body.pop("drained", None)
        asked = {"name": name, "requestedBy": body.pop("user", "")}
        if drained is True:
            asked["reason"] = body.pop("reason", "")
            nothing_left(body)
            drain = from_value(asked, aliecs_v1_pb2.DrainHostRequest)
            return await self._answer(request, self.extended.DrainHost, drain)
        if drained is not False:
            raise InvalidInput("drained is missing: true or false")
        nothing_left(body, "reason")
        resume = from_value(asked, aliecs_v1_pb2.ResumeHostRequest)
        return await self._answer(request, self.extended.ResumeHost, resume)

    async def _repositories(self, request: Request) -> bytes:
        asked = o2control_pb2.ListReposRequest(
            getRevisions=text_of(request, "include", "") == "revisions"
        )
        return await self._answer(request, self.control.ListRepos, asked)

    async def _templates(self, request: Request) -> bytes:
        asked = o2control_pb2.GetWorkflowTemplatesRequest(
            repoPattern=text_of(request, "repository", ""),
            revisionPattern=text_of(request, "revision", ""),
            allWorkflows=flag_of(request, "all", False),
        )
        return await self._answer(request, self.control.GetWorkflowTemplates, asked)

    async def _operations(self, request: Request) -> bytes:
        asked = aliecs_v1_pb2.ListOperationsRequest(
            environment_id=text_of(request, "environment_id", ""),
            limit=number_of(request, "limit", 100),
        )
        return await self._answer(request, self.extended.ListOperations, asked)

    async def _operation(self, request: Request, operation_id: str) -> bytes:
        asked = aliecs_v1_pb2.GetOperationRequest(id=operation_id)
        return await self._answer(request, self.extended.GetOperation, asked)

    # --- actions ---------------------------------------------------------------------------

    async def _create(self, request: Request) -> bytes:
        if flag_of(request, "dry_run", False):
            return await self._try_creation(request)
        body = body_of(request)
        asked = from_value(
            {
                "workflowTemplate": template_expression(body.pop("template", "")),
                "vars": variables_of(body.pop("variables", {})),
                "autoTransition": body.pop("auto", False),
                "public": body.pop("public", True),
                "requestUser": {"name": body.pop("user", "")},
            },
            o2control_pb2.NewEnvironmentRequest,
        )
        nothing_left(body, "reason")
        return await self._act(request, self.control.NewEnvironment, asked)

    async def _try_creation(self, request: Request) -> bytes:
        """What a creation would come to; 422 where its workflow has errors."""
        body = body_of(request)
        asked = from_value(
            {
                "workflowTemplate": template_expression(body.pop("template", "")),
                "variables": variables_of(body.pop("variables", {})),
                "requestedBy": body.pop("user", ""),
            },
            aliecs_v1_pb2.InspectWorkflowRequest,
        )
        nothing_left(body, "auto", "public", "reason")
        reply = await self.extended.InspectWorkflow(asked, call_of(request))
        return json_answer(request, to_value(reply), 200 if reply.valid else 422)

    async def _transition(self, request: Request, environment_id: str) -> bytes:
        body = body_of(request)
        event = parse_event(str(body.pop("type", "")))
        user = str(body.pop("user", ""))
        nothing_left(body, "reason")
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

    async def _modify(self, request: Request, environment_id: str) -> bytes:
        """Exclude roles and detectors, or include them again."""
        body = body_of(request)
        asked = from_value(
            {
                "environmentId": environment_id,
                "excludeRoles": body.pop("exclude", []),
                "excludeDetectors": body.pop("excludeDetectors", []),
                "includeRoles": body.pop("include", []),
                "includeDetectors": body.pop("includeDetectors", []),
                "reconfigureAll": body.pop("reconfigureAll", False),
                "reason": body.pop("reason", ""),
                "requestedBy": body.pop("user", ""),
            },
            aliecs_v1_pb2.ModifyEnvironmentRequest,
        )
        nothing_left(body)
        return await self._act(request, self.extended.ModifyEnvironment, asked)

    async def _destroy(self, request: Request, environment_id: str) -> bytes:
        asked = o2control_pb2.DestroyEnvironmentRequest(
            id=environment_id,
            keepTasks=flag_of(request, "keep_tasks", False),
            allowInRunningState=flag_of(request, "allow_in_running_state", False),
            force=flag_of(request, "force", False),
        )
        return await self._act(request, self.control.DestroyEnvironment, asked)

    async def _clean_up(self, request: Request) -> bytes:
        body = body_of(request)
        ids = body.pop("taskIds", [])
        nothing_left(body, "reason", "kind")
        asked = from_value({"taskIds": ids}, o2control_pb2.CleanupTasksRequest)
        return await self._answer(request, self.control.CleanupTasks, asked)

    async def _inspect(self, request: Request) -> bytes:
        """A workflow looked at; as a picture for who asks for one."""
        body = body_of(request)
        wants_picture = text_of(request, "format", "json") == "svg"
        asked = from_value(
            {
                "workflowTemplate": template_expression(body.pop("template", "")),
                "variables": variables_of(body.pop("variables", {})),
                "requestedBy": body.pop("user", ""),
                "withTree": body.pop("tree", False),
                "variablesOf": body.pop("variablesOf", ""),
                "variableNames": body.pop("variableNames", []),
                "drawAll": body.pop("drawAll", False),
                "drawing": "DRAWING_SVG" if wants_picture else "DRAWING_NONE",
            },
            aliecs_v1_pb2.InspectWorkflowRequest,
        )
        nothing_left(body)
        if not wants_picture:
            return await self._answer(request, self.extended.InspectWorkflow, asked)
        reply = await self.extended.InspectWorkflow(asked, call_of(request))
        request.setHeader(b"Content-Type", b"image/svg+xml")
        return reply.drawing.encode()

    # --- repositories ----------------------------------------------------------------------

    async def _add_repository(self, request: Request) -> bytes:
        body = body_of(request)
        asked = from_value(
            {"name": body.pop("name", ""), "defaultRevision": body.pop("defaultRevision", "")},
            o2control_pb2.AddRepoRequest,
        )
        nothing_left(body)
        request.setResponseCode(201)
        return await self._answer(request, self.control.AddRepo, asked)

    async def _change_repositories(self, request: Request) -> bytes:
        body = body_of(request)
        asked = from_value(
            {"revision": body.pop("globalDefaultRevision", "")},
            o2control_pb2.SetGlobalDefaultRevisionRequest,
        )
        nothing_left(body)
        return await self._answer(request, self.control.SetGlobalDefaultRevision, asked)

    async def _change_repository(self, request: Request, index: str) -> bytes:
        body = body_of(request)
        revision, is_default = body.pop("defaultRevision", None), body.pop("default", None)
        nothing_left(body)
        if (revision is None) == (is_default is None) or is_default not in (None, True):
            raise InvalidInput("the body has to be {defaultRevision: text} or {default: true}")
        if is_default:
            default = o2control_pb2.SetDefaultRepoRequest(index=_index(index))
            return await self._answer(request, self.control.SetDefaultRepo, default)
        asked = from_value(
            {"index": _index(index), "revision": revision},
            o2control_pb2.SetRepoDefaultRevisionRequest,
        )
        reply = await self.control.SetRepoDefaultRevision(asked, call_of(request))
        if reply.info:
            there = ", ".join(reply.info.splitlines())
            raise NotFound(f"the repository has no revision {revision!r}; it has {there}")
        return json_answer(request, to_value(reply))

    async def _remove_repository(self, request: Request, index: str) -> bytes:
        asked = o2control_pb2.RemoveRepoRequest(index=_index(index))
        await self.control.RemoveRepo(asked, call_of(request))
        request.setResponseCode(204)
        return b""

    async def _refresh_repositories(self, request: Request) -> bytes:
        return await self._refresh_repository(request, "-1")

    async def _refresh_repository(self, request: Request, index: str) -> bytes:
        asked = o2control_pb2.RefreshReposRequest(index=-1 if index == "-1" else _index(index))
        return await self._answer(request, self.control.RefreshRepos, asked)

    # --- how they answer -------------------------------------------------------------------

    async def _answer(
        self, request: Request, method: Callable[[Any, ServerCall], Awaitable[Message]], asked: Any
    ) -> bytes:
        reply = await method(asked, call_of(request))
        request.setHeader(b"Content-Type", b"application/json")
        return to_json(reply)

    async def _act(
        self, request: Request, method: Callable[[Any, ServerCall], Answer], asked: Any
    ) -> bytes:
        """A long action: its operation at once, or what became of it within `?wait=` seconds."""
        call = call_of(request)
        wait_s = min(seconds_of(request, "wait"), LONGEST_WAIT_S)
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
            remember_operation(request, str(operation_id))
            raise problem
        else:
            status = 200
        remember_operation(request, str(operation_id))
        request.setResponseCode(status)
        found = aliecs_v1_pb2.GetOperationRequest(id=str(operation_id))
        operation = await self.extended.GetOperation(found, call)
        if operation.state == aliecs_v1_pb2.OPERATION_STATE_FAILED:
            # A transition that failed answers OK to gRPC clients; here it is a problem.
            remember_operation(request, operation.id)
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
        return problem_answer(
            request, status, error.name, f"{error.name}: {path_of(request)}", "path"
        )

    def _failed(self, request: Request, failure: Failure) -> bytes:
        error = failure.value
        if isinstance(error, AliecsError):
            title = error.code.replace("_", " ").capitalize()
            return problem_answer(request, error.http_status, title, error.message, error.code)
        self._log.failure("{path} failed", failure, path=path_of(request))
        return problem_answer(
            request, 500, "Internal error", "the core has a fault; see its log", "internal"
        )


def _index(text: str) -> int:
    """The place of a repository in the list. Raises `InvalidInput`."""
    if not text.isdecimal() or len(text) > 9:
        raise InvalidInput(f"{text!r} is no place in the list of repositories, counted from 0")
    return int(text)
