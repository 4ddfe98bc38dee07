"""A master: frameworks subscribe to it and call it, agents register with it."""

from __future__ import annotations

import base64
import ipaddress
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from attrs import define, field

from aliecs.protocol import mesos_pb2
from aliecs.protocol.mesos_pb2 import FrameworkID, FrameworkInfo, MasterInfo
from aliecs.protocol.mesos_scheduler_pb2 import Call, Event
from test.standin.mesos.allocator import Allocator
from test.standin.mesos.calls import Calls
from test.standin.mesos.document import ENCODINGS, BodyError, decode
from test.standin.mesos.fault import Faults
from test.standin.mesos.framework import Framework
from test.standin.mesos.membership import Agents, Registry
from test.standin.mesos.pace import Pace, cancel
from test.standin.mesos.server import (
    Answer,
    EventStream,
    Listener,
    Refusal,
    Request,
    carry_out_faultily,
    stream_encoding,
)
from test.standin.mesos.validation import framework_fault, scheduler_call_fault

VERSION = "1.12.0"
NO_CONTENT_TYPE = "Expecting 'Content-Type' to be present"
WRONG_CONTENT_TYPE = "Expecting 'Content-Type' of application/json or application/x-protobuf"


def require_post(request: Request) -> None:
    """Raises `Refusal` on anything but POST."""
    method = request.method.decode()
    if method != "POST":
        raise Refusal(
            405,
            f"405 Method Not Allowed. Expecting one of {{ 'POST' }}, but received '{method}'.",
            ("Allow", "POST"),
        )


def encoding_of(request: Request) -> str:
    """The encoding of a call. Raises `Refusal`."""
    encoding = request.header("content-type")
    if encoding is None:
        raise Refusal(400, NO_CONTENT_TYPE)
    if encoding not in ENCODINGS:
        raise Refusal(415, WRONG_CONTENT_TYPE)
    return encoding


@define(eq=False)
class Master:
    """One master. Without credentials everybody may call; `leader` tells who leads, if anybody."""

    pace: Pace
    registry: Registry
    host: str = "127.0.0.1"
    port: int = 0
    hostname: str = ""
    """What it calls itself where it sends others to; its address by default."""
    credentials: dict[str, str] = field(factory=dict)
    """Secrets by principal."""
    leader: Callable[[], Master | None] | None = None
    faults: Faults = field(factory=Faults)
    identifier: str = field(default="", init=False)
    frameworks: dict[str, Framework] = field(factory=dict, init=False)
    removed: set[str] = field(factory=set, init=False)
    agents: Agents = field(init=False)
    allocator: Allocator = field(init=False)
    listener: Listener = field(init=False)
    is_running: bool = field(default=False, init=False)
    is_suspended: bool = field(default=False, init=False)
    has_recovered: bool = field(default=False, init=False)
    """False while it answers 503."""
    _recovery: Any = field(default=None, init=False)
    _late: list[Any] = field(factory=list, init=False)
    """Calls that are to be carried out later."""
    _calls: Calls = field(init=False)
    _count: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.listener = Listener(self.pace, self.host, self.port, self)
        self.agents = Agents(self, self.registry)
        self.allocator = Allocator(self)
        self._calls = Calls(self)

    # --- life ------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where frameworks call."""
        return f"http://{self.listener.address}/api/v1/scheduler"

    @property
    def is_leading(self) -> bool:
        """True where frameworks and agents are taken."""
        return self.leader is None or self.leader() is self

    async def start(self) -> None:
        """Start it, as a process that knows only what the registry remembers."""
        self.identifier = str(uuid.uuid4())
        self.frameworks.clear()
        self.removed.clear()
        if not self.registry.is_replicated:
            self.registry.admitted.clear()
            self.registry.unreachable.clear()
            self.registry.gone.clear()
        self._count = 0
        self.agents = Agents(self, self.registry)
        self.allocator = Allocator(self)
        await self.listener.start()
        self.is_running = True
        self.has_recovered = False
        if self.is_leading:
            self.lead()

    def lead(self) -> None:
        """It has been elected: it reads the registry, and then takes calls."""
        self.agents.start()
        self.allocator.start()
        # A registry in memory has nothing to be read.
        if self.registry.is_replicated:
            self._recovery = self.pace.later(self.pace.times.recovery_s, self._recovered)
        else:
            self._recovered()

    def _recovered(self) -> None:
        self.has_recovered = True

    async def kill(self) -> None:
        """End it as SIGKILL does."""
        self.is_running = False
        self.is_suspended = False
        for timer in (self._recovery, *self._late):
            cancel(timer)
        self.allocator.stop()
        self.agents.stop()
        for framework in self.frameworks.values():
            framework.quiet()
            if framework.stream is not None:
                framework.stream.drop()
                framework.stream = None
        await self.listener.stop()

    def suspend(self) -> None:
        """Stop it as SIGSTOP does: connections stay, nothing moves."""
        self.is_suspended = True
        self.silence()
        self.listener.suspend()

    def resume(self) -> None:
        """Go on after `suspend`."""
        self.is_suspended = False
        self.listener.resume()
        self.silence(False)

    def silence(self, is_silent: bool = True) -> None:
        """Send nothing to frameworks any more, as on a connection that is dead without a word."""
        for framework in self.frameworks.values():
            if framework.stream is not None:
                framework.stream.is_silent = is_silent

    def drop_streams(self) -> None:
        """Cut all subscriptions."""
        for framework in list(self.frameworks.values()):
            if framework.stream is not None:
                framework.stream.drop()
                self._disconnected(framework, framework.stream)

    # --- requests --------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer | None:
        """See `server.Handler`."""
        path = request.path.decode()
        path = path.removeprefix("/master") if path.startswith("/master/") else path
        if path == "/redirect":
            return self._redirect("")
        if path == "/health":
            return Answer(200 if self.has_recovered else 503)
        if path == "/api/v1/scheduler":
            return self._take_call(request)
        if path == "/teardown":
            return self._tear_down(request)
        if path == "/api/v1" or path.startswith("/api/v1/"):
            require_post(request)
            encoding_of(request)
            # The operator API; a call of a framework says nothing to it.
            raise Refusal(400, "Failed to validate master::Call: Expecting 'type' to be present")
        raise Refusal(404, "404 Not Found.")

    def _redirect(self, path: str) -> Answer:
        leader = self.leader() if self.leader is not None else self
        if leader is None:
            return Answer(503, "No leader elected")
        where = f"//{leader.hostname or leader.listener.host}:{leader.listener.port}{path}"
        return Answer(307, headers=(("Location", where),))

    def _tear_down(self, request: Request) -> Answer:
        require_post(request)
        values = parse_qs(request.body().decode()).get("frameworkId", [""])
        framework = self.frameworks.get(values[0])
        if framework is None:
            return Answer(400, "No framework found with specified ID")
        self.remove_framework(framework)
        return Answer(200)

    def _principal(self, request: Request) -> str | None:
        """Who calls, None where nobody has to say. Raises `Refusal`."""
        if not self.credentials:
            return None
        scheme, _, encoded = (request.header("authorization") or "").partition(" ")
        try:
            name, _, secret = base64.b64decode(encoded).decode().partition(":")
        except ValueError:
            name, secret = "", ""
        if scheme == "Basic" and name and self.credentials.get(name) == secret:
            return name
        raise Refusal(
            401, "401 Unauthorized.",
            ("WWW-Authenticate", 'Basic realm="mesos-master-scheduler"'),
        )  # fmt: skip

    def _take_call(self, request: Request) -> Answer | None:
        principal = self._principal(request)
        require_post(request)
        if not self.is_leading:
            return self._redirect(request.path.decode())
        if not self.has_recovered:
            raise Refusal(503, "Master has not finished recovery")
        encoding = encoding_of(request)
        try:
            call = decode(Call, encoding, request.body())
        except BodyError as error:
            raise Refusal(400, str(error)) from None
        trouble = scheduler_call_fault(call, principal)
        if trouble:
            raise Refusal(400, f"Failed to validate scheduler::Call: {trouble}")
        fault = self.faults.for_call(Call.Type.Name(call.type))
        if fault is None:
            return self._carry_out(request, call)
        return carry_out_faultily(
            fault, request, lambda: self._carry_out(request, call), self._later
        )

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def while_running() -> None:
            if self.is_running:
                act()

        timer = self.pace.later(seconds, while_running)
        self._late = [*(one for one in self._late if one.active()), timer]

    def _carry_out(self, request: Request, call: Call) -> Answer | None:
        if call.type != Call.SUBSCRIBE:
            return self._checked(request, call)
        encoding = stream_encoding(request.header("accept"))
        if request.header("mesos-stream-id") is not None:
            raise Refusal(400, "Subscribe calls should not include the 'Mesos-Stream-Id' header")
        self._subscribe(request, encoding, call.subscribe)
        return None

    def _checked(self, request: Request, call: Call) -> Answer:
        framework = self.frameworks.get(call.framework_id.value)
        stream_id = request.header("mesos-stream-id")
        if framework is None:
            raise Refusal(400, "Framework cannot be found")
        if framework.stream is None:
            raise Refusal(403, "Framework is not subscribed")
        if stream_id is None:
            raise Refusal(
                400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"
            )
        if stream_id != framework.stream.identifier:
            raise Refusal(
                400,
                f"The stream ID '{stream_id}' included in this request didn't match the stream ID"
                f" currently associated with framework ID {framework.identifier}",
            )
        return self._calls.carry_out(framework, call)

    # --- subscriptions ---------------------------------------------------------------------------

    def _subscribe(self, request: Request, encoding: str, subscribe: Call.Subscribe) -> None:
        info = subscribe.framework_info
        known = self.frameworks.get(info.id.value)

        def closed() -> None:
            if known_or_new:
                self._disconnected(known_or_new[0], stream)

        known_or_new: list[Framework] = []
        stream = EventStream(
            request, encoding, self.faults, self.pace, closed, identifier=str(uuid.uuid4())
        )
        trouble = framework_fault(info)
        if info.id.value in self.removed:
            trouble = "Framework has been removed"
        elif known is not None and known.info.principal != info.principal:
            trouble = "Changing framework's principal is not allowed."
        if trouble:
            stream.send(Event(type=Event.ERROR, error=Event.Error(message=trouble)))
            stream.finish()
            return
        framework = known or self._new_framework(info)
        known_or_new.append(framework)
        self._take_stream(framework, stream, subscribe)

    def _take_stream(
        self, framework: Framework, stream: EventStream, subscribe: Call.Subscribe
    ) -> None:
        previous = framework.stream
        if previous is not None:
            error = Event.Error(message="Framework failed over")
            previous.send(Event(type=Event.ERROR, error=error))
            previous.finish()
        self.allocator.forget(framework.identifier)
        framework.clear_filters()
        framework.suppressed = set(subscribe.suppressed_roles)
        framework.subscribe(stream)
        stream.send(Event(type=Event.SUBSCRIBED, subscribed=Event.Subscribed(
            framework_id=FrameworkID(value=framework.identifier),
            heartbeat_interval_seconds=self.pace.times.heartbeat_s,
            master_info=self.info(),
        )))  # fmt: skip
        framework.beat()
        self.update_framework(framework, subscribe.framework_info)
        if previous is None:
            self.allocator.allocate_soon()

    def _new_framework(self, info: FrameworkInfo) -> Framework:
        identifier = info.id.value or f"{self.identifier}-{self._count:04}"
        if not info.id.value:
            self._count += 1
        own = FrameworkInfo.FromString(info.SerializeToString())
        own.id.value = identifier
        self.frameworks[identifier] = Framework(identifier, own, self.pace)
        return self.frameworks[identifier]

    def recover_framework(self, identifier: str, info: FrameworkInfo) -> None:
        """An agent tells of a framework that has not subscribed yet."""
        framework = self._new_framework(info)
        framework.removal = self.pace.later(info.failover_timeout, self.remove_framework, framework)

    def update_framework(self, framework: Framework, info: FrameworkInfo) -> None:
        """Take over what may change, and tell the agents: those send their updates again."""
        own = FrameworkInfo.FromString(info.SerializeToString())
        own.id.value = framework.identifier
        for name in ("user", "checkpoint"):
            own.ClearField(name)
            if framework.info.HasField(name):
                setattr(own, name, getattr(framework.info, name))
        framework.info = own
        for agent in self.agents.registered.values():
            agent.link.to_agent("update_framework", framework.identifier, own)

    def _disconnected(self, framework: Framework, stream: EventStream) -> None:
        """The framework has gone; it may come back within its failover timeout."""
        if framework.stream is not stream:
            return
        framework.stream = None
        framework.stop_beating()
        self.allocator.forget(framework.identifier)
        seconds = max(0.0, framework.info.failover_timeout)
        framework.removal = self.pace.later(seconds, self.remove_framework, framework)

    def remove_framework(self, framework: Framework) -> None:
        """It has gone for good: its executors are shut down."""
        self.frameworks.pop(framework.identifier, None)
        self.removed.add(framework.identifier)
        framework.quiet()
        self.allocator.forget(framework.identifier)
        stream, framework.stream = framework.stream, None
        if stream is not None:
            stream.finish()
        for agent in self.agents.registered.values():
            for executor in agent.executors_of(framework.identifier):
                del agent.executors[framework.identifier, executor]
            agent.link.to_agent("shutdown_framework", framework.identifier)

    def info(self) -> MasterInfo:
        """As it introduces itself."""
        packed = ipaddress.IPv4Address(self.host).packed
        hostname = self.hostname or self.host
        kind = MasterInfo.Capability
        return MasterInfo(
            id=self.identifier,
            ip=int.from_bytes(packed, "little"),
            port=self.listener.port,
            pid=f"master@{self.listener.address}",
            hostname=hostname,
            version=VERSION,
            address=mesos_pb2.Address(hostname=hostname, ip=self.host, port=self.listener.port),
            capabilities=[
                kind(type=one) for one in (kind.AGENT_UPDATE, kind.AGENT_DRAINING, kind.QUOTA_V2)
            ],
        )
