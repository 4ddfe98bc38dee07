"""What can be told: one class for each event message of the `events` protocol package.

Field names are those of the wire (and of its JSON mapping), so that one record serves gRPC, Kafka,
REST and the event stream. A record is encoded at most once per encoding, and only when somebody
listens: see `Event`.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from aliecs.protocol.protos import common_pb2, events_pb2


class OpStatus(enum.Enum):
    """The status of an operation or of a step of it."""

    NULL = "NULL"
    STARTED = "STARTED"
    ONGOING = "ONGOING"
    DONE_OK = "DONE_OK"
    DONE_ERROR = "DONE_ERROR"
    DONE_TIMEOUT = "DONE_TIMEOUT"


class User(msgspec.Struct, frozen=True):
    """Who asked. `externalId` and `id` are absent where None; 0 is a value."""

    externalId: int | None = None  # noqa: N815
    id: int | None = None
    name: str = ""

    def to_message(self) -> common_pb2.User:
        message = common_pb2.User(name=self.name)
        if self.externalId is not None:
            message.externalId = self.externalId
        if self.id is not None:
            message.id = self.id
        return message

    @classmethod
    def from_message(cls, message: common_pb2.User) -> User:
        return cls(
            message.externalId if message.HasField("externalId") else None,
            message.id if message.HasField("id") else None,
            message.name,
        )

    def to_variable(self) -> str:
        """The text of the variable `last_request_user`: absent parts are left out."""
        parts: dict[str, Any] = {}
        if self.externalId is not None:
            parts["externalId"] = self.externalId
        if self.id is not None:
            parts["id"] = self.id
        if self.name:
            parts["name"] = self.name
        return msgspec.json.encode(parts).decode()


LHC = User(externalId=60, name="LHC")
"""The machine that dumps its beam."""
TIMER = User(externalId=65, name="TIMER")
"""The timer that ends a run."""
TASK = User(name="TASK")
"""A task that ended its stream or reported an internal error."""


class Traits(msgspec.Struct, frozen=True):
    """When a hook runs, and how much it matters."""

    trigger: str = ""
    await_: str = msgspec.field(default="", name="await")
    timeout: str = ""
    critical: bool = False

    def to_fields(self) -> dict[str, Any]:
        """The fields of the message `Traits`. Given as they are to the constructor of what it is
        in, they cost a third of a message that is copied there."""
        return {
            "trigger": self.trigger,
            "await": self.await_,
            "timeout": self.timeout,
            "critical": self.critical,
        }


class WorkflowTemplateInfo(msgspec.Struct, frozen=True):
    """What a workflow template says of itself; `path` is the expression that the client gave."""

    name: str = ""
    description: str = ""
    path: str = ""
    public: bool = False

    def to_message(self) -> common_pb2.WorkflowTemplateInfo:
        return common_pb2.WorkflowTemplateInfo(
            name=self.name, description=self.description, path=self.path, public=self.public
        )


class EnvironmentEvent(msgspec.Struct, frozen=True):
    """A step in the life of an environment."""

    environmentId: str  # noqa: N815
    state: str
    runNumber: int = 0  # noqa: N815
    error: str = ""
    message: str = ""
    transition: str = ""
    transitionStep: str = ""  # noqa: N815
    transitionStatus: OpStatus = OpStatus.NULL  # noqa: N815
    vars: dict[str, str] = {}
    lastRequestUser: User | None = None  # noqa: N815
    workflowTemplateInfo: WorkflowTemplateInfo | None = None  # noqa: N815

    topic = "environment"
    field = "environmentEvent"

    def key(self) -> str:
        return self.environmentId

    def to_message(self) -> events_pb2.Event:
        payload = events_pb2.Ev_EnvironmentEvent(
            environmentId=self.environmentId,
            state=self.state,
            runNumber=self.runNumber,
            error=self.error,
            message=self.message,
            transition=self.transition,
            transitionStep=self.transitionStep,
            transitionStatus=self.transitionStatus.value,
            vars=self.vars,
        )
        if self.lastRequestUser is not None:
            payload.lastRequestUser.CopyFrom(self.lastRequestUser.to_message())
        if self.workflowTemplateInfo is not None:
            payload.workflowTemplateInfo.CopyFrom(self.workflowTemplateInfo.to_message())
        return events_pb2.Event(environmentEvent=payload)


class RunEvent(msgspec.Struct, frozen=True):
    """A run began or ended, or a part of it was done."""

    environmentId: str  # noqa: N815
    runNumber: int  # noqa: N815
    state: str
    error: str = ""
    transition: str = ""
    transitionStatus: OpStatus = OpStatus.NULL  # noqa: N815
    lastRequestUser: User | None = None  # noqa: N815

    topic = "run"
    field = "runEvent"

    def key(self) -> str:
        return self.environmentId

    def to_message(self) -> events_pb2.Event:
        payload = events_pb2.Ev_RunEvent(
            environmentId=self.environmentId,
            runNumber=self.runNumber,
            state=self.state,
            error=self.error,
            transition=self.transition,
            transitionStatus=self.transitionStatus.value,
        )
        if self.lastRequestUser is not None:
            payload.lastRequestUser.CopyFrom(self.lastRequestUser.to_message())
        return events_pb2.Event(runEvent=payload)


class TaskEvent(msgspec.Struct, frozen=True):
    """A task was launched, or its state or status changed."""

    name: str
    taskid: str
    state: str
    status: str
    hostname: str = ""
    className: str = ""  # noqa: N815
    traits: Traits = Traits()
    environmentId: str = ""  # noqa: N815
    path: str = ""

    topic = "task"
    field = "taskEvent"

    def key(self) -> str:
        return self.taskid

    def to_message(self) -> events_pb2.Event:
        return events_pb2.Event(
            taskEvent={
                "name": self.name,
                "taskid": self.taskid,
                "state": self.state,
                "status": self.status,
                "hostname": self.hostname,
                "className": self.className,
                "traits": self.traits.to_fields(),
                "environmentId": self.environmentId,
                "path": self.path,
            }
        )


class RoleEvent(msgspec.Struct, frozen=True):
    """The state or the status of a role changed; the other of the two is empty."""

    name: str
    rolePath: str  # noqa: N815
    environmentId: str  # noqa: N815
    status: str = ""
    state: str = ""

    topic = "role"
    field = "roleEvent"

    def key(self) -> str:
        return self.environmentId

    def to_message(self) -> events_pb2.Event:
        return events_pb2.Event(
            roleEvent={
                "name": self.name,
                "status": self.status,
                "state": self.state,
                "rolePath": self.rolePath,
                "environmentId": self.environmentId,
            }
        )


class CallEvent(msgspec.Struct, frozen=True):
    """A call into an outside service began or ended. `return_` is the name of the variable that
    receives the result, not the result."""

    func: str
    callStatus: OpStatus  # noqa: N815
    return_: str = msgspec.field(default="", name="return")
    traits: Traits = Traits()
    output: str = ""
    error: str = ""
    environmentId: str = ""  # noqa: N815
    path: str = ""

    topic = "call"
    field = "callEvent"

    def key(self) -> str:
        return self.environmentId

    def to_message(self) -> events_pb2.Event:
        payload = events_pb2.Ev_CallEvent(
            func=self.func,
            callStatus=self.callStatus.value,
            traits=self.traits.to_fields(),
            output=self.output,
            error=self.error,
            environmentId=self.environmentId,
            path=self.path,
        )
        setattr(payload, "return", self.return_)
        return events_pb2.Event(callEvent=payload)


class CoreStart(msgspec.Struct, frozen=True):
    """The core began to work."""

    frameworkId: str = ""  # noqa: N815

    topic = "core"
    field = "coreStartEvent"

    def key(self) -> str:
        return ""

    def to_message(self) -> events_pb2.Event:
        return events_pb2.Event(
            coreStartEvent=events_pb2.Ev_MetaEvent_CoreStart(frameworkId=self.frameworkId)
        )


class IntegratedServiceEvent(msgspec.Struct, frozen=True):
    """A step of what is done with an outside service, or what that service says by itself.

    `service` is the plugin's name (it is part of the topic, not of the message), `name` the path of
    the call's role or the fixed name of what the service says, `payload` JSON text.
    """

    service: str
    name: str
    error: str = ""
    operationName: str = ""  # noqa: N815
    operationStatus: OpStatus = OpStatus.NULL  # noqa: N815
    operationStep: str = ""  # noqa: N815
    operationStepStatus: OpStatus = OpStatus.NULL  # noqa: N815
    environmentId: str = ""  # noqa: N815
    payload: str = ""

    field = "integratedServiceEvent"

    @property
    def topic(self) -> str:
        return f"integrated_service.{self.service}"

    def key(self) -> str:
        return self.environmentId

    def to_message(self) -> events_pb2.Event:
        return events_pb2.Event(
            integratedServiceEvent=events_pb2.Ev_IntegratedServiceEvent(
                name=self.name,
                error=self.error,
                operationName=self.operationName,
                operationStatus=self.operationStatus.value,
                operationStep=self.operationStep,
                operationStepStatus=self.operationStepStatus.value,
                environmentId=self.environmentId,
                payload=self.payload,
            )
        )


class LockEvent(msgspec.Struct, frozen=True):
    """The lock of a detector was taken, released or handed over; without an owner it is free. Ours:
    the reference's messages know nothing of it, so it goes to our own streams alone."""

    detector: str
    owner: str = ""
    sinceMs: int = 0  # noqa: N815
    expiresMs: int = 0  # noqa: N815
    reason: str = ""

    topic = "lock"
    field = ""

    def key(self) -> str:
        return self.detector

    def to_message(self) -> events_pb2.Event:
        raise TypeError("the reference's messages have no locks")


Payload = (
    EnvironmentEvent
    | RunEvent
    | TaskEvent
    | RoleEvent
    | CallEvent
    | IntegratedServiceEvent
    | CoreStart
    | LockEvent
)


class Event:
    """One event on the bus: a payload, when it happened, and its place in the order.

    `sequence` counts from 1 in the life of one core. `message` and `json` encode at the first
    request and keep the result for all other listeners.
    """

    __slots__ = ("_json", "_message", "payload", "sequence", "time_ns")

    def __init__(self, sequence: int, time_ns: int, payload: Payload) -> None:
        self.sequence = sequence
        self.time_ns = time_ns
        self.payload = payload
        self._message: bytes | None = None
        self._json: bytes | None = None

    @property
    def has_message(self) -> bool:
        """True for what the reference has a message for."""
        return bool(self.payload.field)

    @property
    def time_ms(self) -> int:
        return self.time_ns // 1_000_000

    @property
    def environment_id(self) -> str:
        """The environment concerned, empty where there is none."""
        return getattr(self.payload, "environmentId", "")

    def message(self) -> bytes:
        """The bytes of `events.Event`."""
        if self._message is None:
            message = self.payload.to_message()
            message.timestamp = self.time_ms
            message.timestampNano = self.time_ns
            self._message = message.SerializeToString()
        return self._message

    def json(self) -> bytes:
        """The envelope of the event stream."""
        if self._json is None:
            self._json = msgspec.json.encode(
                {
                    "seq": self.sequence,
                    "time": self.time_ms,
                    "type": f"{self.payload.topic}.event",
                    "id": self.payload.key(),
                    "data": self.payload,
                }
            )
        return self._json
