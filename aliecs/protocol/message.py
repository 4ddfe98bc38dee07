"""The JSON control messages between core and executor, typed.

A command goes from the core to one task of one executor; what comes back are responses, device
events and announcements. Both travel as the data of Mesos MESSAGE records, which nobody
acknowledges. The payload that says how to start a task travels as the data of its TaskInfo. Keys,
values and which of them may be missing are those of upstream's wire. Reading is tolerant: unknown
keys are ignored, missing ones have their empty value. Names that begin with `Aliecs` are ours; the
reference logs and ignores them.
"""

from __future__ import annotations

import enum
import time
from typing import Any, ClassVar

import msgspec
from msgspec import Struct, field

from aliecs.errors import InvalidInput

NANOSECONDS = 1_000_000_000
LAST_OUTPUT = "; last output: "
"""In the text about the end of a task: what stands before the last line that it wrote."""


class MessageError(InvalidInput):
    """Bytes that should be a control message are none; the text says why."""

    code = "control_message"


# `omit_defaults` leaves out keys that hold their default, but never those whose default comes from
# a factory other than list or dict: a factory marks the keys that the wire always carries.


def _always_text() -> Any:
    return field(default_factory=str)


# --- how to start a task -------------------------------------------------------------------------


class ControlMode(enum.Enum):
    """How a task is driven. Reading ignores case, and an unknown mode is `direct`, as upstream."""

    DIRECT = "direct"
    FAIRMQ = "fairmq"
    BASIC = "basic"
    HOOK = "hook"
    KUBECTL_DIRECT = "kubectl_direct"
    KUBECTL_FAIRMQ = "kubectl_fairmq"
    KUBERNETES_DIRECT = "kubernetes_direct"
    KUBERNETES_FAIRMQ = "kubernetes_fairmq"

    @classmethod
    def _missing_(cls, value: object) -> ControlMode:
        lowered = value.lower() if isinstance(value, str) else ""
        return next((mode for mode in cls if mode.value == lowered), cls.DIRECT)

    @property
    def is_controllable(self) -> bool:
        """True for processes that are driven over OCC from their start to their end."""
        return self in (ControlMode.DIRECT, ControlMode.FAIRMQ)


class CommandPayload(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What to execute: the data of a TaskInfo."""

    environment: tuple[str, ...] = field(default=(), name="env")
    """`NAME=value` each; for a repeated name the last one counts."""
    shell: bool = field(default_factory=bool)
    value: str = _always_text()
    """Executable, or the text for the shell."""
    user: str = _always_text()
    """The account to run as; empty for that of the executor."""
    arguments: tuple[str, ...] = ()
    stdout: str = _always_text()
    """`none`, `stdout` or `all`; so is `stderr`."""
    stderr: str = _always_text()
    control_port: int = field(default_factory=int)
    control_mode: ControlMode = field(default_factory=lambda: ControlMode.DIRECT)
    timeout_ns: int = field(default=0, name="timeout")
    """Time limit of the process of a basic task or hook; 0 for none."""

    @property
    def timeout_s(self) -> float:
        """The time limit in seconds, 0 for none."""
        return self.timeout_ns / NANOSECONDS

    def encode(self) -> bytes:
        """The JSON of the wire."""
        return msgspec.json.encode(self)


# --- commands: core to executor ------------------------------------------------------------------


class _Value(Struct, frozen=True):
    value: str = ""


class Target(Struct, frozen=True, rename="pascal"):
    """Whom a command is for. Make it with `target`."""

    agent_id: _Value = _Value()
    executor_id: _Value = _Value()
    task_id: _Value = _Value()


def target(agent_id: str, executor_id: str, task_id: str) -> Target:
    """The target of a command; an empty `task_id` addresses the executor itself."""
    return Target(_Value(agent_id), _Value(executor_id), _Value(task_id))


class Command(Struct, frozen=True, kw_only=True, rename="camel", tag_field="name"):
    """What every command carries."""

    id: str
    """An xid, the same for all targets of one order."""
    environment_id: str = ""
    timeout_ns: int = field(default=90 * NANOSECONDS, name="timeout")
    """How long the sender waits for the response."""
    arguments: dict[str, str] | None = field(default_factory=dict)
    targets: tuple[Target, ...] | None = field(default=(), name="targetList")
    """Exactly one on the wire."""
    labels: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """The name that selects the command on the wire."""
        return str(self.__struct_config__.tag)

    @property
    def task_id(self) -> str:
        """The task addressed, empty for the executor itself."""
        return self.targets[0].task_id.value if self.targets else ""

    @property
    def timeout_s(self) -> float:
        """How long the sender waits for the response, in seconds."""
        return self.timeout_ns / NANOSECONDS

    def encode(self) -> bytes:
        """The JSON of the wire."""
        return msgspec.json.encode(self)


class TransitionCommand(Command, frozen=True, kw_only=True, tag="MesosCommand_Transition"):
    """Take a task from one state to another. The response tells the state that was reached."""

    source: str = ""
    event: str = ""
    destination: str = ""


class TriggerHookCommand(Command, frozen=True, kw_only=True, tag="MesosCommand_TriggerHook"):
    """Start the process of a hook. The response tells that it started, a device event its end."""


class TaskLogCommand(Command, frozen=True, kw_only=True, tag="AliecsCommand_TaskLog"):
    """Send the last part of what a task wrote, also of one that has ended."""

    stream: str = "stderr"
    """`stdout` or `stderr`."""
    tail_bytes: int = 65536


class CleanSharedMemoryCommand(Command, frozen=True, kw_only=True, tag="AliecsCommand_ShmClean"):
    """Run the shared memory cleaner that the executor was started with. Addresses no task."""


class ReportUsageCommand(Command, frozen=True, kw_only=True, tag="AliecsCommand_ReportUsage"):
    """Tell from now on what tasks use, as `TaskUsageMessage`. Addresses no task."""

    interval_ns: int = field(default=0, name="interval")
    """Time between two messages; 0: no more."""

    @property
    def interval_s(self) -> float:
        """The interval in seconds, 0 for none."""
        return self.interval_ns / NANOSECONDS


class AskAgainCommand(Command, frozen=True, kw_only=True, tag="AliecsCommand_Again"):
    """What became of the command of this id and task, of which no answer has come? The answer is
    sent again, where there is one; otherwise `output` of the response is one of the two below."""

    UNDER_WAY: ClassVar[str] = "under way"
    UNKNOWN: ClassVar[str] = "unknown"
    """The command has not arrived: it may be sent again."""


AnyCommand = (
    TransitionCommand
    | TriggerHookCommand
    | TaskLogCommand
    | CleanSharedMemoryCommand
    | ReportUsageCommand
    | AskAgainCommand
)


class CommandHeader(Struct, frozen=True, kw_only=True, rename="camel"):
    """As much of a command as is needed to answer that it was not understood."""

    name: str = ""
    id: str = ""
    environment_id: str = ""
    targets: tuple[Target, ...] | None = field(default=(), name="targetList")
    source: str = ""
    """Of a transition: where the task is believed to be."""

    @property
    def is_answerable(self) -> bool:
        """False for a command of the reference that we have no name for. A core of the reference
        that is answered under a name that it does not know ends its subscription, and all tasks
        with it."""
        return not self.name.startswith("MesosCommand_") or self.name in _REFERENCE_NAMES

    @property
    def task_id(self) -> str:
        """The task addressed, empty where there is none."""
        return self.targets[0].task_id.value if self.targets else ""


_REFERENCE_NAMES = ("MesosCommand_Transition", "MesosCommand_TriggerHook")
_command_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
_header_decoder = msgspec.json.Decoder(CommandHeader)


def decode_command(data: bytes) -> AnyCommand:
    """Read a command; raises `MessageError` for anything else, an unknown name and more or fewer
    targets than one included."""
    try:
        command = _command_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MessageError(f"not a command: {error}") from error
    if len(command.targets or ()) != 1:
        raise MessageError(f"a command has exactly one target, not {len(command.targets or ())}")
    return command


def decode_command_header(data: bytes) -> CommandHeader | None:
    """What can still be read of bytes that `decode_command` refused; None where there is no id to
    answer to."""
    try:
        header = _header_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return header if header.id else None


# --- messages: executor to core ------------------------------------------------------------------


class ExecutorMessage(
    Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", tag_field="_messageType"
):
    """What an executor sends by itself or as an answer."""

    def encode(self) -> bytes:
        """The JSON of the wire."""
        return msgspec.json.encode(self)


class CommandResponse(ExecutorMessage, frozen=True, kw_only=True, tag="MesosCommandResponse"):
    """The answer to a command."""

    name: str = _always_text()
    id: str = _always_text()
    environment_id: str = _always_text()
    error: str = _always_text()
    """Empty for success."""
    task_id: str = _always_text()
    state: str = ""
    """State reached by a transition; empty where it is not known."""
    exit_code: int = 0
    """Ours: exit code of the shared memory cleaner, negative for a signal."""
    pid: int = 0
    """Ours: the process of the task, since its announcement may have been lost."""
    output: str = ""
    """Ours: what was asked for by `TaskLogCommand`, or what the cleaner wrote."""


def timestamp(now_s: float | None = None) -> str:
    """Unix time in seconds with six decimals, as the events carry it."""
    return f"{time.time() if now_s is None else now_s:.6f}"


class AnnounceTaskPid(ExecutorMessage, frozen=True, kw_only=True, tag="AnnounceTaskPIDEvent"):
    """The process of a task is up."""

    timestamp: str = _always_text()
    labels: dict[str, str] | None = field(default_factory=dict)
    task_id: str = _always_text()
    pid: int = field(default_factory=int)


class DeviceEventType(enum.IntEnum):
    """What a device event is about."""

    NULL_DEVICE_EVENT = 0
    END_OF_STREAM = 1
    BASIC_TASK_TERMINATED = 2
    TASK_INTERNAL_ERROR = 3


class Origin(Struct, frozen=True, rename="camel"):
    """Where an event came from. Make it with `origin`."""

    agent_id: _Value = _Value()
    executor_id: _Value = _Value()
    task_id: _Value = _Value()


def origin(agent_id: str, executor_id: str, task_id: str) -> Origin:
    """The origin of a device event."""
    return Origin(_Value(agent_id), _Value(executor_id), _Value(task_id))


class DeviceEvent(ExecutorMessage, frozen=True, kw_only=True, tag="DeviceEvent"):
    """Something that a task reported about itself, or that was seen of it."""

    timestamp: str = _always_text()
    labels: dict[str, str] | None = field(default_factory=dict)
    type: int = field(default_factory=int)
    """A `DeviceEventType`, or a number that we do not know."""
    origin: Origin = field(default_factory=lambda: Origin())

    @property
    def task_id(self) -> str:
        """The task that the event is about."""
        return self.origin.task_id.value


class BasicTaskTerminated(DeviceEvent, frozen=True, kw_only=True, tag="DeviceEvent"):
    """The process of a basic task or of a hook ended: the device event of type 2."""

    exit_code: int = field(default_factory=int)
    """-1 where a signal ended it."""
    stdout: str = _always_text()
    stderr: str = _always_text()
    voluntary_termination: bool = field(default_factory=bool)
    """False where we ended it."""
    final_mesos_state: str = _always_text()
    """TASK_FINISHED, TASK_FAILED or TASK_KILLED."""


class ExecutorAnnouncement(ExecutorMessage, frozen=True, kw_only=True, tag="AliecsExecutor"):
    """Ours: sent after each subscription, so that the core knows whom it talks to."""

    VERSION: ClassVar[int] = 1

    version: int = field(default_factory=int)
    commands: tuple[str, ...] = ()
    """Names of the commands that this executor understands beyond the reference's."""


class TaskUsage(Struct, frozen=True, kw_only=True, array_like=True):
    """What all processes of a task use together."""

    processor_s: float = 0.0
    """Processor time since they began, with that of children that have ended."""
    memory_bytes: int = 0
    """Resident memory; what several processes share counts for each of them."""
    open_files: int = 0
    processes: int = 0


class TaskUsageMessage(ExecutorMessage, frozen=True, kw_only=True, tag="AliecsTaskUsage"):
    """Ours, for a core that has asked for it: what tasks use, by their ids."""

    time_s: float = 0.0
    """Unix time at which it was looked at."""
    tasks: dict[str, TaskUsage] = field(default_factory=dict)


_ANNOUNCEMENT_BEGINS = b'{"_messageType":"AliecsExecutor"'


def announces(data: bytes) -> bool:
    """True for what looks like an `ExecutorAnnouncement`, without reading it."""
    return data.startswith(_ANNOUNCEMENT_BEGINS)


AnyExecutorMessage = (
    CommandResponse | AnnounceTaskPid | DeviceEvent | ExecutorAnnouncement | TaskUsageMessage
)

_message_decoder: msgspec.json.Decoder[AnyExecutorMessage] = msgspec.json.Decoder(
    AnyExecutorMessage
)
_terminated_decoder = msgspec.json.Decoder(BasicTaskTerminated)


def decode_executor_message(data: bytes) -> AnyExecutorMessage:
    """Read what an executor sent; a device event of type 2 is a `BasicTaskTerminated`.

    Raises `MessageError` for anything else, an unknown type included.
    """
    try:
        message = _message_decoder.decode(data)
        if (
            isinstance(message, DeviceEvent)
            and message.type == DeviceEventType.BASIC_TASK_TERMINATED
        ):
            return _terminated_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MessageError(f"not a message of an executor: {error}") from error
    return message


_payload_decoder = msgspec.json.Decoder(CommandPayload)


def decode_payload(data: bytes) -> CommandPayload:
    """Read the data of a TaskInfo; raises `MessageError` where it is no command payload."""
    if not data:
        raise MessageError("the task has no command payload")
    try:
        payload = _payload_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MessageError(f"not a command payload: {error}") from error
    if not 0 <= payload.control_port <= 65535:
        raise MessageError(f"not a command payload: control port {payload.control_port}")
    return payload
