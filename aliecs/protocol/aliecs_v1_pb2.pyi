from aliecs.protocol.protos import o2control_pb2 as _o2control_pb2
from aliecs.protocol.protos import events_pb2 as _events_pb2
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

class NodeOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_OUTCOME_UNSPECIFIED: _ClassVar[NodeOutcome]
    NODE_OUTCOME_DONE: _ClassVar[NodeOutcome]
    NODE_OUTCOME_FAILED: _ClassVar[NodeOutcome]
    NODE_OUTCOME_NOT_REACHED: _ClassVar[NodeOutcome]

class TaskStream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_STREAM_UNSPECIFIED: _ClassVar[TaskStream]
    TASK_STREAM_STDOUT: _ClassVar[TaskStream]
    TASK_STREAM_STDERR: _ClassVar[TaskStream]

class TaskUsageOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_USAGE_ORDER_UNSPECIFIED: _ClassVar[TaskUsageOrder]
    TASK_USAGE_ORDER_PROCESSORS: _ClassVar[TaskUsageOrder]
    TASK_USAGE_ORDER_MEMORY: _ClassVar[TaskUsageOrder]
    TASK_USAGE_ORDER_OPEN_FILES: _ClassVar[TaskUsageOrder]

class Drawing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DRAWING_NONE: _ClassVar[Drawing]
    DRAWING_SVG: _ClassVar[Drawing]
    DRAWING_TEXT: _ClassVar[Drawing]

class TaskGrouping(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_GROUPING_NONE: _ClassVar[TaskGrouping]
    TASK_GROUPING_HOST: _ClassVar[TaskGrouping]
    TASK_GROUPING_DETECTOR: _ClassVar[TaskGrouping]

class StatisticsGrouping(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATISTICS_GROUPING_NONE: _ClassVar[StatisticsGrouping]
    STATISTICS_GROUPING_WORKFLOW: _ClassVar[StatisticsGrouping]
    STATISTICS_GROUPING_DAY: _ClassVar[StatisticsGrouping]
    STATISTICS_GROUPING_ENVIRONMENT: _ClassVar[StatisticsGrouping]
OPERATION_STATE_UNSPECIFIED: OperationState
OPERATION_STATE_RUNNING: OperationState
OPERATION_STATE_SUCCEEDED: OperationState
OPERATION_STATE_FAILED: OperationState
OPERATION_STATE_ABORTED: OperationState
NODE_OUTCOME_UNSPECIFIED: NodeOutcome
NODE_OUTCOME_DONE: NodeOutcome
NODE_OUTCOME_FAILED: NodeOutcome
NODE_OUTCOME_NOT_REACHED: NodeOutcome
TASK_STREAM_UNSPECIFIED: TaskStream
TASK_STREAM_STDOUT: TaskStream
TASK_STREAM_STDERR: TaskStream
TASK_USAGE_ORDER_UNSPECIFIED: TaskUsageOrder
TASK_USAGE_ORDER_PROCESSORS: TaskUsageOrder
TASK_USAGE_ORDER_MEMORY: TaskUsageOrder
TASK_USAGE_ORDER_OPEN_FILES: TaskUsageOrder
DRAWING_NONE: Drawing
DRAWING_SVG: Drawing
DRAWING_TEXT: Drawing
TASK_GROUPING_NONE: TaskGrouping
TASK_GROUPING_HOST: TaskGrouping
TASK_GROUPING_DETECTOR: TaskGrouping
STATISTICS_GROUPING_NONE: StatisticsGrouping
STATISTICS_GROUPING_WORKFLOW: StatisticsGrouping
STATISTICS_GROUPING_DAY: StatisticsGrouping
STATISTICS_GROUPING_ENVIRONMENT: StatisticsGrouping

class Operation(_message.Message):
    __slots__ = ("id", "kind", "state", "environment_id", "requested_by", "started_ms", "ended_ms", "error", "current_step", "done", "total", "aborted_by", "abort_reason", "results", "waiting", "waiting_left_out")
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
    ABORTED_BY_FIELD_NUMBER: _ClassVar[int]
    ABORT_REASON_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    WAITING_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
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
    aborted_by: str
    abort_reason: str
    results: _containers.RepeatedCompositeFieldContainer[StepResult]
    waiting: _containers.RepeatedCompositeFieldContainer[WaitedNode]
    waiting_left_out: int
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., state: _Optional[_Union[OperationState, str]] = ..., environment_id: _Optional[str] = ..., requested_by: _Optional[str] = ..., started_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., error: _Optional[str] = ..., current_step: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., aborted_by: _Optional[str] = ..., abort_reason: _Optional[str] = ..., results: _Optional[_Iterable[_Union[StepResult, _Mapping]]] = ..., waiting: _Optional[_Iterable[_Union[WaitedNode, _Mapping]]] = ..., waiting_left_out: _Optional[int] = ...) -> None: ...

class NodeResult(_message.Message):
    __slots__ = ("role", "task_id", "host", "outcome", "reason", "duration_ms")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    role: str
    task_id: str
    host: str
    outcome: NodeOutcome
    reason: str
    duration_ms: int
    def __init__(self, role: _Optional[str] = ..., task_id: _Optional[str] = ..., host: _Optional[str] = ..., outcome: _Optional[_Union[NodeOutcome, str]] = ..., reason: _Optional[str] = ..., duration_ms: _Optional[int] = ...) -> None: ...

class HostResult(_message.Message):
    __slots__ = ("host", "done", "failed", "not_reached")
    HOST_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    NOT_REACHED_FIELD_NUMBER: _ClassVar[int]
    host: str
    done: int
    failed: int
    not_reached: int
    def __init__(self, host: _Optional[str] = ..., done: _Optional[int] = ..., failed: _Optional[int] = ..., not_reached: _Optional[int] = ...) -> None: ...

class StepResult(_message.Message):
    __slots__ = ("step", "started_ms", "ended_ms", "done", "failed", "not_reached", "failures", "failures_left_out", "slowest", "hosts", "hosts_done")
    STEP_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    NOT_REACHED_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    FAILURES_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    SLOWEST_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    HOSTS_DONE_FIELD_NUMBER: _ClassVar[int]
    step: str
    started_ms: int
    ended_ms: int
    done: int
    failed: int
    not_reached: int
    failures: _containers.RepeatedCompositeFieldContainer[NodeResult]
    failures_left_out: int
    slowest: _containers.RepeatedCompositeFieldContainer[NodeResult]
    hosts: _containers.RepeatedCompositeFieldContainer[HostResult]
    hosts_done: int
    def __init__(self, step: _Optional[str] = ..., started_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., done: _Optional[int] = ..., failed: _Optional[int] = ..., not_reached: _Optional[int] = ..., failures: _Optional[_Iterable[_Union[NodeResult, _Mapping]]] = ..., failures_left_out: _Optional[int] = ..., slowest: _Optional[_Iterable[_Union[NodeResult, _Mapping]]] = ..., hosts: _Optional[_Iterable[_Union[HostResult, _Mapping]]] = ..., hosts_done: _Optional[int] = ...) -> None: ...

class WaitedNode(_message.Message):
    __slots__ = ("role", "task_id", "host", "since_ms", "what")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    role: str
    task_id: str
    host: str
    since_ms: int
    what: str
    def __init__(self, role: _Optional[str] = ..., task_id: _Optional[str] = ..., host: _Optional[str] = ..., since_ms: _Optional[int] = ..., what: _Optional[str] = ...) -> None: ...

class GetOperationRequest(_message.Message):
    __slots__ = ("id", "with_results", "waiting_limit")
    ID_FIELD_NUMBER: _ClassVar[int]
    WITH_RESULTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_LIMIT_FIELD_NUMBER: _ClassVar[int]
    id: str
    with_results: bool
    waiting_limit: int
    def __init__(self, id: _Optional[str] = ..., with_results: _Optional[bool] = ..., waiting_limit: _Optional[int] = ...) -> None: ...

class AbortOperationRequest(_message.Message):
    __slots__ = ("id", "reason", "requested_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    requested_by: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("event", "from_state", "to_state", "started_ms", "ended_ms", "requested_by", "run_number", "error", "roles", "steps", "slowest", "variables", "unset_variables")
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EVENT_FIELD_NUMBER: _ClassVar[int]
    FROM_STATE_FIELD_NUMBER: _ClassVar[int]
    TO_STATE_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    RUN_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SLOWEST_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    UNSET_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    event: str
    from_state: str
    to_state: str
    started_ms: int
    ended_ms: int
    requested_by: str
    run_number: int
    error: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    steps: _containers.RepeatedCompositeFieldContainer[StepRecord]
    slowest: _containers.RepeatedCompositeFieldContainer[NodeResult]
    variables: _containers.ScalarMap[str, str]
    unset_variables: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, event: _Optional[str] = ..., from_state: _Optional[str] = ..., to_state: _Optional[str] = ..., started_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., requested_by: _Optional[str] = ..., run_number: _Optional[int] = ..., error: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., steps: _Optional[_Iterable[_Union[StepRecord, _Mapping]]] = ..., slowest: _Optional[_Iterable[_Union[NodeResult, _Mapping]]] = ..., variables: _Optional[_Mapping[str, str]] = ..., unset_variables: _Optional[_Iterable[str]] = ...) -> None: ...

class StepRecord(_message.Message):
    __slots__ = ("name", "started_ms", "ended_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    started_ms: int
    ended_ms: int
    def __init__(self, name: _Optional[str] = ..., started_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ...) -> None: ...

class EnvironmentRecord(_message.Message):
    __slots__ = ("id", "workflow_template", "repository", "revision", "state", "created_by", "created_ms", "ended_ms", "cause", "transitions", "run_numbers", "warnings", "failed_then", "failed_then_left_out")
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
    FAILED_THEN_FIELD_NUMBER: _ClassVar[int]
    FAILED_THEN_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
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
    failed_then: _containers.RepeatedScalarFieldContainer[str]
    failed_then_left_out: int
    def __init__(self, id: _Optional[str] = ..., workflow_template: _Optional[str] = ..., repository: _Optional[str] = ..., revision: _Optional[str] = ..., state: _Optional[str] = ..., created_by: _Optional[str] = ..., created_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., cause: _Optional[_Union[Cause, _Mapping]] = ..., transitions: _Optional[_Iterable[_Union[TransitionRecord, _Mapping]]] = ..., run_numbers: _Optional[_Iterable[int]] = ..., warnings: _Optional[_Iterable[str]] = ..., failed_then: _Optional[_Iterable[str]] = ..., failed_then_left_out: _Optional[int] = ...) -> None: ...

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

class GetTaskUsageRequest(_message.Message):
    __slots__ = ("environment_id", "task_ids", "order", "limit")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    order: TaskUsageOrder
    limit: int
    def __init__(self, environment_id: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ..., order: _Optional[_Union[TaskUsageOrder, str]] = ..., limit: _Optional[int] = ...) -> None: ...

class TaskUsage(_message.Message):
    __slots__ = ("task_id", "role", "environment_id", "host", "time_ms", "processor_s", "processors", "memory_bytes", "open_files", "processes")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    PROCESSOR_S_FIELD_NUMBER: _ClassVar[int]
    PROCESSORS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    OPEN_FILES_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    role: str
    environment_id: str
    host: str
    time_ms: int
    processor_s: float
    processors: float
    memory_bytes: int
    open_files: int
    processes: int
    def __init__(self, task_id: _Optional[str] = ..., role: _Optional[str] = ..., environment_id: _Optional[str] = ..., host: _Optional[str] = ..., time_ms: _Optional[int] = ..., processor_s: _Optional[float] = ..., processors: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., open_files: _Optional[int] = ..., processes: _Optional[int] = ...) -> None: ...

class GetTaskUsageReply(_message.Message):
    __slots__ = ("tasks",)
    TASKS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[TaskUsage]
    def __init__(self, tasks: _Optional[_Iterable[_Union[TaskUsage, _Mapping]]] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("by", "since_ms", "reason")
    BY_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    by: str
    since_ms: int
    reason: str
    def __init__(self, by: _Optional[str] = ..., since_ms: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Host(_message.Message):
    __slots__ = ("name", "address", "agent_id", "executor_id", "attributes", "connected", "cpus", "cpus_used", "memory_mb", "memory_mb_used", "tasks", "last_seen_ms", "drain")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_ID_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    CPUS_USED_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MB_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MB_USED_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    agent_id: str
    executor_id: str
    attributes: _containers.ScalarMap[str, str]
    connected: bool
    cpus: float
    cpus_used: float
    memory_mb: float
    memory_mb_used: float
    tasks: int
    last_seen_ms: int
    drain: Drain
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., agent_id: _Optional[str] = ..., executor_id: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ..., connected: _Optional[bool] = ..., cpus: _Optional[float] = ..., cpus_used: _Optional[float] = ..., memory_mb: _Optional[float] = ..., memory_mb_used: _Optional[float] = ..., tasks: _Optional[int] = ..., last_seen_ms: _Optional[int] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ...) -> None: ...

class ListHostsRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class ListHostsReply(_message.Message):
    __slots__ = ("hosts",)
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    hosts: _containers.RepeatedCompositeFieldContainer[Host]
    def __init__(self, hosts: _Optional[_Iterable[_Union[Host, _Mapping]]] = ...) -> None: ...

class DrainHostRequest(_message.Message):
    __slots__ = ("name", "reason", "requested_by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    requested_by: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class ResumeHostRequest(_message.Message):
    __slots__ = ("name", "requested_by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    requested_by: str
    def __init__(self, name: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class RecoverRequest(_message.Message):
    __slots__ = ("environment_id", "requested_by")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    requested_by: str
    def __init__(self, environment_id: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class ModifyEnvironmentRequest(_message.Message):
    __slots__ = ("environment_id", "exclude_roles", "exclude_detectors", "include_roles", "include_detectors", "reconfigure_all", "reason", "requested_by")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_ROLES_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_DETECTORS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ROLES_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_DETECTORS_FIELD_NUMBER: _ClassVar[int]
    RECONFIGURE_ALL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    exclude_roles: _containers.RepeatedScalarFieldContainer[str]
    exclude_detectors: _containers.RepeatedScalarFieldContainer[str]
    include_roles: _containers.RepeatedScalarFieldContainer[str]
    include_detectors: _containers.RepeatedScalarFieldContainer[str]
    reconfigure_all: bool
    reason: str
    requested_by: str
    def __init__(self, environment_id: _Optional[str] = ..., exclude_roles: _Optional[_Iterable[str]] = ..., exclude_detectors: _Optional[_Iterable[str]] = ..., include_roles: _Optional[_Iterable[str]] = ..., include_detectors: _Optional[_Iterable[str]] = ..., reconfigure_all: _Optional[bool] = ..., reason: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class ReconfigureEnvironmentRequest(_message.Message):
    __slots__ = ("environment_id", "variables", "unset", "reason", "requested_by", "dry_run")
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    UNSET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    variables: _containers.ScalarMap[str, str]
    unset: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    requested_by: str
    dry_run: bool
    def __init__(self, environment_id: _Optional[str] = ..., variables: _Optional[_Mapping[str, str]] = ..., unset: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ..., requested_by: _Optional[str] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class ChangedValue(_message.Message):
    __slots__ = ("name", "before", "after")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: str
    after: str
    def __init__(self, name: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class Replacement(_message.Message):
    __slots__ = ("role", "task_id", "host", "why", "values")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    role: str
    task_id: str
    host: str
    why: str
    values: _containers.RepeatedCompositeFieldContainer[ChangedValue]
    def __init__(self, role: _Optional[str] = ..., task_id: _Optional[str] = ..., host: _Optional[str] = ..., why: _Optional[str] = ..., values: _Optional[_Iterable[_Union[ChangedValue, _Mapping]]] = ...) -> None: ...

class ReconfigureEnvironmentReply(_message.Message):
    __slots__ = ("operation", "replaced", "kept", "changed_variables")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    replaced: _containers.RepeatedCompositeFieldContainer[Replacement]
    kept: _containers.RepeatedScalarFieldContainer[str]
    changed_variables: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ..., replaced: _Optional[_Iterable[_Union[Replacement, _Mapping]]] = ..., kept: _Optional[_Iterable[str]] = ..., changed_variables: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchEnvironmentRequest(_message.Message):
    __slots__ = ("environment_id",)
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    def __init__(self, environment_id: _Optional[str] = ...) -> None: ...

class RoleState(_message.Message):
    __slots__ = ("role", "state", "status", "excluded", "critical", "task_id", "host")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    CRITICAL_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    role: str
    state: str
    status: str
    excluded: bool
    critical: bool
    task_id: str
    host: str
    def __init__(self, role: _Optional[str] = ..., state: _Optional[str] = ..., status: _Optional[str] = ..., excluded: _Optional[bool] = ..., critical: _Optional[bool] = ..., task_id: _Optional[str] = ..., host: _Optional[str] = ...) -> None: ...

class EnvironmentChange(_message.Message):
    __slots__ = ("time_ms", "state", "transition", "step", "run_number", "roles", "cause", "ended")
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TRANSITION_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RUN_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    time_ms: int
    state: str
    transition: str
    step: str
    run_number: int
    roles: _containers.RepeatedCompositeFieldContainer[RoleState]
    cause: str
    ended: bool
    def __init__(self, time_ms: _Optional[int] = ..., state: _Optional[str] = ..., transition: _Optional[str] = ..., step: _Optional[str] = ..., run_number: _Optional[int] = ..., roles: _Optional[_Iterable[_Union[RoleState, _Mapping]]] = ..., cause: _Optional[str] = ..., ended: _Optional[bool] = ...) -> None: ...

class KillTasksRequest(_message.Message):
    __slots__ = ("task_ids", "reason", "force", "requested_by")
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    force: bool
    requested_by: str
    def __init__(self, task_ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ..., force: _Optional[bool] = ..., requested_by: _Optional[str] = ...) -> None: ...

class KilledTask(_message.Message):
    __slots__ = ("task_id", "role", "environment_id", "host", "end")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    role: str
    environment_id: str
    host: str
    end: str
    def __init__(self, task_id: _Optional[str] = ..., role: _Optional[str] = ..., environment_id: _Optional[str] = ..., host: _Optional[str] = ..., end: _Optional[str] = ...) -> None: ...

class KillTasksReply(_message.Message):
    __slots__ = ("killed", "left")
    KILLED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    killed: _containers.RepeatedCompositeFieldContainer[KilledTask]
    left: _containers.RepeatedCompositeFieldContainer[KilledTask]
    def __init__(self, killed: _Optional[_Iterable[_Union[KilledTask, _Mapping]]] = ..., left: _Optional[_Iterable[_Union[KilledTask, _Mapping]]] = ...) -> None: ...

class RestartTaskRequest(_message.Message):
    __slots__ = ("task_id", "reason", "requested_by")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    reason: str
    requested_by: str
    def __init__(self, task_id: _Optional[str] = ..., reason: _Optional[str] = ..., requested_by: _Optional[str] = ...) -> None: ...

class ListExclusionsRequest(_message.Message):
    __slots__ = ("environment_id",)
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    def __init__(self, environment_id: _Optional[str] = ...) -> None: ...

class Exclusion(_message.Message):
    __slots__ = ("environment_id", "role", "requested_by", "since_ms", "reason", "tasks", "dead_tasks")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    DEAD_TASKS_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    role: str
    requested_by: str
    since_ms: int
    reason: str
    tasks: int
    dead_tasks: int
    def __init__(self, environment_id: _Optional[str] = ..., role: _Optional[str] = ..., requested_by: _Optional[str] = ..., since_ms: _Optional[int] = ..., reason: _Optional[str] = ..., tasks: _Optional[int] = ..., dead_tasks: _Optional[int] = ...) -> None: ...

class ListExclusionsReply(_message.Message):
    __slots__ = ("exclusions",)
    EXCLUSIONS_FIELD_NUMBER: _ClassVar[int]
    exclusions: _containers.RepeatedCompositeFieldContainer[Exclusion]
    def __init__(self, exclusions: _Optional[_Iterable[_Union[Exclusion, _Mapping]]] = ...) -> None: ...

class InspectWorkflowRequest(_message.Message):
    __slots__ = ("workflow_template", "variables", "requested_by", "with_tree", "variables_of", "variable_names", "drawing", "draw_all")
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKFLOW_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    WITH_TREE_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_OF_FIELD_NUMBER: _ClassVar[int]
    VARIABLE_NAMES_FIELD_NUMBER: _ClassVar[int]
    DRAWING_FIELD_NUMBER: _ClassVar[int]
    DRAW_ALL_FIELD_NUMBER: _ClassVar[int]
    workflow_template: str
    variables: _containers.ScalarMap[str, str]
    requested_by: str
    with_tree: bool
    variables_of: str
    variable_names: _containers.RepeatedScalarFieldContainer[str]
    drawing: Drawing
    draw_all: bool
    def __init__(self, workflow_template: _Optional[str] = ..., variables: _Optional[_Mapping[str, str]] = ..., requested_by: _Optional[str] = ..., with_tree: _Optional[bool] = ..., variables_of: _Optional[str] = ..., variable_names: _Optional[_Iterable[str]] = ..., drawing: _Optional[_Union[Drawing, str]] = ..., draw_all: _Optional[bool] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("text", "file", "line", "role")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    text: str
    file: str
    line: int
    role: str
    def __init__(self, text: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., role: _Optional[str] = ...) -> None: ...

class InspectWorkflowReply(_message.Message):
    __slots__ = ("valid", "name", "description", "repository", "revision", "errors", "warnings", "role_count", "task_count", "call_count", "host_count", "root", "steps", "explained", "drawing")
    VALID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    ROLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TASK_COUNT_FIELD_NUMBER: _ClassVar[int]
    CALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    HOST_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    EXPLAINED_FIELD_NUMBER: _ClassVar[int]
    DRAWING_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    name: str
    description: str
    repository: str
    revision: str
    errors: _containers.RepeatedCompositeFieldContainer[Problem]
    warnings: _containers.RepeatedCompositeFieldContainer[Problem]
    role_count: int
    task_count: int
    call_count: int
    host_count: int
    root: InspectedRole
    steps: _containers.RepeatedCompositeFieldContainer[HookStep]
    explained: _containers.RepeatedCompositeFieldContainer[ExplainedRole]
    drawing: str
    def __init__(self, valid: _Optional[bool] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., repository: _Optional[str] = ..., revision: _Optional[str] = ..., errors: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., role_count: _Optional[int] = ..., task_count: _Optional[int] = ..., call_count: _Optional[int] = ..., host_count: _Optional[int] = ..., root: _Optional[_Union[InspectedRole, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[HookStep, _Mapping]]] = ..., explained: _Optional[_Iterable[_Union[ExplainedRole, _Mapping]]] = ..., drawing: _Optional[str] = ...) -> None: ...

class InspectedConstraint(_message.Message):
    __slots__ = ("attribute", "value")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    value: str
    def __init__(self, attribute: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class InspectedChannel(_message.Message):
    __slots__ = ("name", "type", "transport", "addressing", "target", "global_alias", "send_buffer_size", "receive_buffer_size", "rate_logging")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    ADDRESSING_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_ALIAS_FIELD_NUMBER: _ClassVar[int]
    SEND_BUFFER_SIZE_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_BUFFER_SIZE_FIELD_NUMBER: _ClassVar[int]
    RATE_LOGGING_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    transport: str
    addressing: str
    target: str
    global_alias: str
    send_buffer_size: int
    receive_buffer_size: int
    rate_logging: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., transport: _Optional[str] = ..., addressing: _Optional[str] = ..., target: _Optional[str] = ..., global_alias: _Optional[str] = ..., send_buffer_size: _Optional[int] = ..., receive_buffer_size: _Optional[int] = ..., rate_logging: _Optional[str] = ...) -> None: ...

class InspectedTask(_message.Message):
    __slots__ = ("class_name", "control_mode", "host", "command", "shell", "arguments", "environment", "user", "stdout", "stderr", "wants_cpus", "wants_memory_mb", "constraints", "bind", "connect", "properties")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    CONTROL_MODE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    SHELL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    WANTS_CPUS_FIELD_NUMBER: _ClassVar[int]
    WANTS_MEMORY_MB_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    BIND_FIELD_NUMBER: _ClassVar[int]
    CONNECT_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    class_name: str
    control_mode: str
    host: str
    command: str
    shell: bool
    arguments: _containers.RepeatedScalarFieldContainer[str]
    environment: _containers.RepeatedScalarFieldContainer[str]
    user: str
    stdout: str
    stderr: str
    wants_cpus: float
    wants_memory_mb: float
    constraints: _containers.RepeatedCompositeFieldContainer[InspectedConstraint]
    bind: _containers.RepeatedCompositeFieldContainer[InspectedChannel]
    connect: _containers.RepeatedCompositeFieldContainer[InspectedChannel]
    properties: _containers.ScalarMap[str, str]
    def __init__(self, class_name: _Optional[str] = ..., control_mode: _Optional[str] = ..., host: _Optional[str] = ..., command: _Optional[str] = ..., shell: _Optional[bool] = ..., arguments: _Optional[_Iterable[str]] = ..., environment: _Optional[_Iterable[str]] = ..., user: _Optional[str] = ..., stdout: _Optional[str] = ..., stderr: _Optional[str] = ..., wants_cpus: _Optional[float] = ..., wants_memory_mb: _Optional[float] = ..., constraints: _Optional[_Iterable[_Union[InspectedConstraint, _Mapping]]] = ..., bind: _Optional[_Iterable[_Union[InspectedChannel, _Mapping]]] = ..., connect: _Optional[_Iterable[_Union[InspectedChannel, _Mapping]]] = ..., properties: _Optional[_Mapping[str, str]] = ...) -> None: ...

class InspectedRole(_message.Message):
    __slots__ = ("name", "path", "kind", "file", "line", "defaults", "variables", "user_variables", "constraints", "critical", "trigger", "timeout", "func", "return_variable", "task", "roles")
    class DefaultsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class VariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class UserVariablesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    USER_VARIABLES_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    CRITICAL_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    AWAIT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    FUNC_FIELD_NUMBER: _ClassVar[int]
    RETURN_VARIABLE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    name: str
    path: str
    kind: str
    file: str
    line: int
    defaults: _containers.ScalarMap[str, str]
    variables: _containers.ScalarMap[str, str]
    user_variables: _containers.ScalarMap[str, str]
    constraints: _containers.RepeatedCompositeFieldContainer[InspectedConstraint]
    critical: bool
    trigger: str
    timeout: str
    func: str
    return_variable: str
    task: InspectedTask
    roles: _containers.RepeatedCompositeFieldContainer[InspectedRole]
    def __init__(self, name: _Optional[str] = ..., path: _Optional[str] = ..., kind: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., defaults: _Optional[_Mapping[str, str]] = ..., variables: _Optional[_Mapping[str, str]] = ..., user_variables: _Optional[_Mapping[str, str]] = ..., constraints: _Optional[_Iterable[_Union[InspectedConstraint, _Mapping]]] = ..., critical: _Optional[bool] = ..., trigger: _Optional[str] = ..., timeout: _Optional[str] = ..., func: _Optional[str] = ..., return_variable: _Optional[str] = ..., task: _Optional[_Union[InspectedTask, _Mapping]] = ..., roles: _Optional[_Iterable[_Union[InspectedRole, _Mapping]]] = ..., **kwargs) -> None: ...

class HookStep(_message.Message):
    __slots__ = ("transition", "moment", "weight", "kind", "role", "what", "timeout", "critical")
    TRANSITION_FIELD_NUMBER: _ClassVar[int]
    MOMENT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CRITICAL_FIELD_NUMBER: _ClassVar[int]
    transition: str
    moment: str
    weight: int
    kind: str
    role: str
    what: str
    timeout: str
    critical: bool
    def __init__(self, transition: _Optional[str] = ..., moment: _Optional[str] = ..., weight: _Optional[int] = ..., kind: _Optional[str] = ..., role: _Optional[str] = ..., what: _Optional[str] = ..., timeout: _Optional[str] = ..., critical: _Optional[bool] = ...) -> None: ...

class VariableOrigin(_message.Message):
    __slots__ = ("layer", "role", "source", "file", "line")
    LAYER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    layer: str
    role: str
    source: str
    file: str
    line: int
    def __init__(self, layer: _Optional[str] = ..., role: _Optional[str] = ..., source: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ...) -> None: ...

class OverriddenValue(_message.Message):
    __slots__ = ("value", "origin")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    value: str
    origin: VariableOrigin
    def __init__(self, value: _Optional[str] = ..., origin: _Optional[_Union[VariableOrigin, _Mapping]] = ...) -> None: ...

class ExplainedVariable(_message.Message):
    __slots__ = ("name", "value", "origin", "overrides")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    origin: VariableOrigin
    overrides: _containers.RepeatedCompositeFieldContainer[OverriddenValue]
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ..., origin: _Optional[_Union[VariableOrigin, _Mapping]] = ..., overrides: _Optional[_Iterable[_Union[OverriddenValue, _Mapping]]] = ...) -> None: ...

class ExplainedRole(_message.Message):
    __slots__ = ("role", "variables")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    VARIABLES_FIELD_NUMBER: _ClassVar[int]
    role: str
    variables: _containers.RepeatedCompositeFieldContainer[ExplainedVariable]
    def __init__(self, role: _Optional[str] = ..., variables: _Optional[_Iterable[_Union[ExplainedVariable, _Mapping]]] = ...) -> None: ...

class ExplainVariablesRequest(_message.Message):
    __slots__ = ("environment_id", "role", "names")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    role: str
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, environment_id: _Optional[str] = ..., role: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainVariablesReply(_message.Message):
    __slots__ = ("roles",)
    ROLES_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedCompositeFieldContainer[ExplainedRole]
    def __init__(self, roles: _Optional[_Iterable[_Union[ExplainedRole, _Mapping]]] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Session(_message.Message):
    __slots__ = ("name", "person", "role", "detectors", "recognised_by", "speaks_for_others", "roles_enforced", "lock_policy")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    DETECTORS_FIELD_NUMBER: _ClassVar[int]
    RECOGNISED_BY_FIELD_NUMBER: _ClassVar[int]
    SPEAKS_FOR_OTHERS_FIELD_NUMBER: _ClassVar[int]
    ROLES_ENFORCED_FIELD_NUMBER: _ClassVar[int]
    LOCK_POLICY_FIELD_NUMBER: _ClassVar[int]
    name: str
    person: str
    role: str
    detectors: _containers.RepeatedScalarFieldContainer[str]
    recognised_by: str
    speaks_for_others: bool
    roles_enforced: bool
    lock_policy: str
    def __init__(self, name: _Optional[str] = ..., person: _Optional[str] = ..., role: _Optional[str] = ..., detectors: _Optional[_Iterable[str]] = ..., recognised_by: _Optional[str] = ..., speaks_for_others: _Optional[bool] = ..., roles_enforced: _Optional[bool] = ..., lock_policy: _Optional[str] = ...) -> None: ...

class ListLocksRequest(_message.Message):
    __slots__ = ("detectors",)
    DETECTORS_FIELD_NUMBER: _ClassVar[int]
    detectors: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, detectors: _Optional[_Iterable[str]] = ...) -> None: ...

class Lock(_message.Message):
    __slots__ = ("detector", "owner", "since_ms", "reason", "expires_ms", "environment_id", "mine")
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    MINE_FIELD_NUMBER: _ClassVar[int]
    detector: str
    owner: str
    since_ms: int
    reason: str
    expires_ms: int
    environment_id: str
    mine: bool
    def __init__(self, detector: _Optional[str] = ..., owner: _Optional[str] = ..., since_ms: _Optional[int] = ..., reason: _Optional[str] = ..., expires_ms: _Optional[int] = ..., environment_id: _Optional[str] = ..., mine: _Optional[bool] = ...) -> None: ...

class ListLocksReply(_message.Message):
    __slots__ = ("locks",)
    LOCKS_FIELD_NUMBER: _ClassVar[int]
    locks: _containers.RepeatedCompositeFieldContainer[Lock]
    def __init__(self, locks: _Optional[_Iterable[_Union[Lock, _Mapping]]] = ...) -> None: ...

class TakeLockRequest(_message.Message):
    __slots__ = ("detector", "reason", "lasts_s", "force", "requested_by")
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LASTS_S_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    detector: str
    reason: str
    lasts_s: int
    force: bool
    requested_by: str
    def __init__(self, detector: _Optional[str] = ..., reason: _Optional[str] = ..., lasts_s: _Optional[int] = ..., force: _Optional[bool] = ..., requested_by: _Optional[str] = ...) -> None: ...

class ReleaseLockRequest(_message.Message):
    __slots__ = ("detector", "reason", "force", "requested_by")
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    detector: str
    reason: str
    force: bool
    requested_by: str
    def __init__(self, detector: _Optional[str] = ..., reason: _Optional[str] = ..., force: _Optional[bool] = ..., requested_by: _Optional[str] = ...) -> None: ...

class HandOverLockRequest(_message.Message):
    __slots__ = ("detector", "to", "reason", "force", "requested_by")
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_FIELD_NUMBER: _ClassVar[int]
    detector: str
    to: str
    reason: str
    force: bool
    requested_by: str
    def __init__(self, detector: _Optional[str] = ..., to: _Optional[str] = ..., reason: _Optional[str] = ..., force: _Optional[bool] = ..., requested_by: _Optional[str] = ...) -> None: ...

class LockReply(_message.Message):
    __slots__ = ("locks", "left_out")
    LOCKS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    locks: _containers.RepeatedCompositeFieldContainer[Lock]
    left_out: _containers.RepeatedCompositeFieldContainer[Lock]
    def __init__(self, locks: _Optional[_Iterable[_Union[Lock, _Mapping]]] = ..., left_out: _Optional[_Iterable[_Union[Lock, _Mapping]]] = ...) -> None: ...

class ListAuditRequest(_message.Message):
    __slots__ = ("user", "action", "environment_id", "since_ms", "before", "limit")
    USER_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    user: str
    action: str
    environment_id: str
    since_ms: int
    before: str
    limit: int
    def __init__(self, user: _Optional[str] = ..., action: _Optional[str] = ..., environment_id: _Optional[str] = ..., since_ms: _Optional[int] = ..., before: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("id", "time_ms", "user", "person", "role", "recognised_by", "client", "action", "environment_id", "reason", "request", "operation_id", "result", "code", "error", "warning", "ended_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    RECOGNISED_BY_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    time_ms: int
    user: str
    person: str
    role: str
    recognised_by: str
    client: str
    action: str
    environment_id: str
    reason: str
    request: str
    operation_id: str
    result: str
    code: str
    error: str
    warning: str
    ended_ms: int
    def __init__(self, id: _Optional[str] = ..., time_ms: _Optional[int] = ..., user: _Optional[str] = ..., person: _Optional[str] = ..., role: _Optional[str] = ..., recognised_by: _Optional[str] = ..., client: _Optional[str] = ..., action: _Optional[str] = ..., environment_id: _Optional[str] = ..., reason: _Optional[str] = ..., request: _Optional[str] = ..., operation_id: _Optional[str] = ..., result: _Optional[str] = ..., code: _Optional[str] = ..., error: _Optional[str] = ..., warning: _Optional[str] = ..., ended_ms: _Optional[int] = ...) -> None: ...

class ListAuditReply(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ...) -> None: ...

class ListEnvironmentsRequest(_message.Message):
    __slots__ = ("states", "detectors", "run_types", "public_only", "with_tasks", "limit", "cursor")
    STATES_FIELD_NUMBER: _ClassVar[int]
    DETECTORS_FIELD_NUMBER: _ClassVar[int]
    RUN_TYPES_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_ONLY_FIELD_NUMBER: _ClassVar[int]
    WITH_TASKS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[str]
    detectors: _containers.RepeatedScalarFieldContainer[str]
    run_types: _containers.RepeatedScalarFieldContainer[str]
    public_only: bool
    with_tasks: bool
    limit: int
    cursor: str
    def __init__(self, states: _Optional[_Iterable[str]] = ..., detectors: _Optional[_Iterable[str]] = ..., run_types: _Optional[_Iterable[str]] = ..., public_only: _Optional[bool] = ..., with_tasks: _Optional[bool] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListEnvironmentsReply(_message.Message):
    __slots__ = ("environments", "next_cursor", "framework_id", "timestamp")
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    environments: _containers.RepeatedCompositeFieldContainer[_o2control_pb2.EnvironmentInfo]
    next_cursor: str
    framework_id: str
    timestamp: int
    def __init__(self, environments: _Optional[_Iterable[_Union[_o2control_pb2.EnvironmentInfo, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., framework_id: _Optional[str] = ..., timestamp: _Optional[int] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("environment_id", "task_ids", "states", "hosts", "names", "detectors", "locked", "group_by", "limit", "cursor")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    DETECTORS_FIELD_NUMBER: _ClassVar[int]
    LOCKED_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    states: _containers.RepeatedScalarFieldContainer[str]
    hosts: _containers.RepeatedScalarFieldContainer[str]
    names: _containers.RepeatedScalarFieldContainer[str]
    detectors: _containers.RepeatedScalarFieldContainer[str]
    locked: bool
    group_by: TaskGrouping
    limit: int
    cursor: str
    def __init__(self, environment_id: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ..., states: _Optional[_Iterable[str]] = ..., hosts: _Optional[_Iterable[str]] = ..., names: _Optional[_Iterable[str]] = ..., detectors: _Optional[_Iterable[str]] = ..., locked: _Optional[bool] = ..., group_by: _Optional[_Union[TaskGrouping, str]] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class TaskGroup(_message.Message):
    __slots__ = ("name", "detector", "task_ids", "states")
    class StatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    name: str
    detector: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    states: _containers.ScalarMap[str, int]
    def __init__(self, name: _Optional[str] = ..., detector: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ..., states: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ListTasksReply(_message.Message):
    __slots__ = ("tasks", "groups", "next_cursor", "timestamp")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[_o2control_pb2.ShortTaskInfo]
    groups: _containers.RepeatedCompositeFieldContainer[TaskGroup]
    next_cursor: str
    timestamp: int
    def __init__(self, tasks: _Optional[_Iterable[_Union[_o2control_pb2.ShortTaskInfo, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[TaskGroup, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., timestamp: _Optional[int] = ...) -> None: ...

class ListRolesRequest(_message.Message):
    __slots__ = ("environment_id", "path", "depth", "limit", "cursor")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    path: str
    depth: int
    limit: int
    cursor: str
    def __init__(self, environment_id: _Optional[str] = ..., path: _Optional[str] = ..., depth: _Optional[int] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListRolesReply(_message.Message):
    __slots__ = ("roles", "next_cursor", "timestamp")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedCompositeFieldContainer[_o2control_pb2.RoleInfo]
    next_cursor: str
    timestamp: int
    def __init__(self, roles: _Optional[_Iterable[_Union[_o2control_pb2.RoleInfo, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., timestamp: _Optional[int] = ...) -> None: ...

class ListDetectorsRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class Detector(_message.Message):
    __slots__ = ("name", "environment_id", "hosts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    environment_id: str
    hosts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., environment_id: _Optional[str] = ..., hosts: _Optional[_Iterable[str]] = ...) -> None: ...

class ListDetectorsReply(_message.Message):
    __slots__ = ("detectors", "timestamp")
    DETECTORS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    detectors: _containers.RepeatedCompositeFieldContainer[Detector]
    timestamp: int
    def __init__(self, detectors: _Optional[_Iterable[_Union[Detector, _Mapping]]] = ..., timestamp: _Optional[int] = ...) -> None: ...

class GetTransitionStatisticsRequest(_message.Message):
    __slots__ = ("from_ms", "to_ms", "group_by")
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    TO_MS_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    from_ms: int
    to_ms: int
    group_by: StatisticsGrouping
    def __init__(self, from_ms: _Optional[int] = ..., to_ms: _Optional[int] = ..., group_by: _Optional[_Union[StatisticsGrouping, str]] = ...) -> None: ...

class TransitionStatistics(_message.Message):
    __slots__ = ("group", "event", "count", "failed", "success_rate", "shortest_ms", "median_ms", "longest_ms", "mean_ms")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_RATE_FIELD_NUMBER: _ClassVar[int]
    SHORTEST_MS_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_MS_FIELD_NUMBER: _ClassVar[int]
    LONGEST_MS_FIELD_NUMBER: _ClassVar[int]
    MEAN_MS_FIELD_NUMBER: _ClassVar[int]
    group: str
    event: str
    count: int
    failed: int
    success_rate: float
    shortest_ms: int
    median_ms: int
    longest_ms: int
    mean_ms: float
    def __init__(self, group: _Optional[str] = ..., event: _Optional[str] = ..., count: _Optional[int] = ..., failed: _Optional[int] = ..., success_rate: _Optional[float] = ..., shortest_ms: _Optional[int] = ..., median_ms: _Optional[int] = ..., longest_ms: _Optional[int] = ..., mean_ms: _Optional[float] = ...) -> None: ...

class GetTransitionStatisticsReply(_message.Message):
    __slots__ = ("statistics", "environments", "timestamp")
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    statistics: _containers.RepeatedCompositeFieldContainer[TransitionStatistics]
    environments: int
    timestamp: int
    def __init__(self, statistics: _Optional[_Iterable[_Union[TransitionStatistics, _Mapping]]] = ..., environments: _Optional[int] = ..., timestamp: _Optional[int] = ...) -> None: ...

class PreviewTransitionRequest(_message.Message):
    __slots__ = ("environment_id", "event", "keep_tasks", "allow_in_running_state", "force")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    KEEP_TASKS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_IN_RUNNING_STATE_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    event: str
    keep_tasks: bool
    allow_in_running_state: bool
    force: bool
    def __init__(self, environment_id: _Optional[str] = ..., event: _Optional[str] = ..., keep_tasks: _Optional[bool] = ..., allow_in_running_state: _Optional[bool] = ..., force: _Optional[bool] = ...) -> None: ...

class PreviewTransitionReply(_message.Message):
    __slots__ = ("transitions", "tasks", "excluded_tasks", "hosts", "steps", "aborts", "ended_tasks")
    TRANSITIONS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_TASKS_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ABORTS_FIELD_NUMBER: _ClassVar[int]
    ENDED_TASKS_FIELD_NUMBER: _ClassVar[int]
    transitions: _containers.RepeatedScalarFieldContainer[str]
    tasks: int
    excluded_tasks: int
    hosts: _containers.RepeatedScalarFieldContainer[str]
    steps: _containers.RepeatedCompositeFieldContainer[HookStep]
    aborts: str
    ended_tasks: int
    def __init__(self, transitions: _Optional[_Iterable[str]] = ..., tasks: _Optional[int] = ..., excluded_tasks: _Optional[int] = ..., hosts: _Optional[_Iterable[str]] = ..., steps: _Optional[_Iterable[_Union[HookStep, _Mapping]]] = ..., aborts: _Optional[str] = ..., ended_tasks: _Optional[int] = ...) -> None: ...
