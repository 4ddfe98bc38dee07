from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OperationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATION_STATE_UNSPECIFIED: _ClassVar[OperationState]
    OPERATION_STATE_RUNNING: _ClassVar[OperationState]
    OPERATION_STATE_SUCCEEDED: _ClassVar[OperationState]
    OPERATION_STATE_FAILED: _ClassVar[OperationState]
    OPERATION_STATE_ABORTED: _ClassVar[OperationState]

class TaskStream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_STREAM_UNSPECIFIED: _ClassVar[TaskStream]
    TASK_STREAM_STDOUT: _ClassVar[TaskStream]
    TASK_STREAM_STDERR: _ClassVar[TaskStream]
OPERATION_STATE_UNSPECIFIED: OperationState
OPERATION_STATE_RUNNING: OperationState
OPERATION_STATE_SUCCEEDED: OperationState
OPERATION_STATE_FAILED: OperationState
OPERATION_STATE_ABORTED: OperationState
TASK_STREAM_UNSPECIFIED: TaskStream
TASK_STREAM_STDOUT: TaskStream
TASK_STREAM_STDERR: TaskStream

class Operation(_message.Message):
    __slots__ = ("id", "kind", "state", "environment_id", "requested_by", "started_ms", "ended_ms", "error", "current_step", "done", "total")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CURRENT_STEP_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    state: OperationState
    environment_id: str
    requested_by: str
    started_ms: int
    ended_ms: int
    error: str
    current_step: str
    done: int
    total: int
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., state: _Optional[_Union[OperationState, str]] = ..., environment_id: _Optional[str] = ..., requested_by: _Optional[str] = ..., started_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., error: _Optional[str] = ..., current_step: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class GetOperationRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListOperationsRequest(_message.Message):
    __slots__ = ("environment_id", "limit")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    limit: int
    def __init__(self, environment_id: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class ListOperationsReply(_message.Message):
    __slots__ = ("operations",)
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    def __init__(self, operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ...) -> None: ...

class Cause(_message.Message):
    __slots__ = ("line", "time_ms", "role", "task_id", "task_name", "host", "exit", "last_log_lines")
    LINE_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    LAST_LOG_LINES_FIELD_NUMBER: _ClassVar[int]
    line: str
    time_ms: int
    role: str
    task_id: str
    task_name: str
    host: str
    exit: str
    last_log_lines: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, line: _Optional[str] = ..., time_ms: _Optional[int] = ..., role: _Optional[str] = ..., task_id: _Optional[str] = ..., task_name: _Optional[str] = ..., host: _Optional[str] = ..., exit: _Optional[str] = ..., last_log_lines: _Optional[_Iterable[str]] = ...) -> None: ...

class TransitionRecord(_message.Message):
    __slots__ = ("event", "from_state", "to_state", "started_ms", "ended_ms", "requested_by", "run_number", "error")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    FROM_STATE_FIELD_NUMBER: _ClassVar[int]
    TO_STATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    RUN_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    event: str
    from_state: str
    to_state: str
    started_ms: int
    ended_ms: int
    requested_by: str
    run_number: int
    error: str
    def __init__(self, event: _Optional[str] = ..., from_state: _Optional[str] = ..., to_state: _Optional[str] = ..., started_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., requested_by: _Optional[str] = ..., run_number: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class EnvironmentRecord(_message.Message):
    __slots__ = ("id", "workflow_template", "repository", "revision", "state", "created_by", "created_ms", "ended_ms", "cause", "transitions", "run_numbers", "warnings")
    ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    TRANSITIONS_FIELD_NUMBER: _ClassVar[int]
    RUN_NUMBERS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    workflow_template: str
    repository: str
    revision: str
    state: str
    created_by: str
    created_ms: int
    ended_ms: int
    cause: Cause
    transitions: _containers.RepeatedCompositeFieldContainer[TransitionRecord]
    run_numbers: _containers.RepeatedScalarFieldContainer[int]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., workflow_template: _Optional[str] = ..., repository: _Optional[str] = ..., revision: _Optional[str] = ..., state: _Optional[str] = ..., created_by: _Optional[str] = ..., created_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., cause: _Optional[_Union[Cause, _Mapping]] = ..., transitions: _Optional[_Iterable[_Union[TransitionRecord, _Mapping]]] = ..., run_numbers: _Optional[_Iterable[int]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class GetEnvironmentHistoryRequest(_message.Message):
    __slots__ = ("id", "limit")
    ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    id: str
    limit: int
    def __init__(self, id: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class GetEnvironmentHistoryReply(_message.Message):
    __slots__ = ("environments",)
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    environments: _containers.RepeatedCompositeFieldContainer[EnvironmentRecord]
    def __init__(self, environments: _Optional[_Iterable[_Union[EnvironmentRecord, _Mapping]]] = ...) -> None: ...

class GetTaskLogRequest(_message.Message):
    __slots__ = ("task_id", "stream", "tail")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    stream: TaskStream
    tail: int
    def __init__(self, task_id: _Optional[str] = ..., stream: _Optional[_Union[TaskStream, str]] = ..., tail: _Optional[int] = ...) -> None: ...

class GetTaskLogReply(_message.Message):
    __slots__ = ("task_id", "host", "stream", "lines", "path")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    host: str
    stream: TaskStream
    lines: _containers.RepeatedScalarFieldContainer[str]
    path: str
    def __init__(self, task_id: _Optional[str] = ..., host: _Optional[str] = ..., stream: _Optional[_Union[TaskStream, str]] = ..., lines: _Optional[_Iterable[str]] = ..., path: _Optional[str] = ...) -> None: ...

class RecoverRequest(_message.Message):
    __slots__ = ("environment_id", "requested_by")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    requested_by: str
    def __init__(self, environment_id: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...
