"""What can be plugged in: the zope interfaces between the rooms, and the records they exchange.

Whoever stands above an interface cannot tell which implementation stands below. Times are seconds
(`_s`) unless the name says milliseconds (`_ms`), memory is megabytes (`_mb`), processors are cores.
Methods marked "coroutine" return an awaitable that lives on Twisted's reactor.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, field, frozen
from zope.interface import Attribute, Interface

# --- where tasks run ---------------------------------------------------------------------------


class MesosState(enum.Enum):
    """What a backend says of a task's process. Names and numbers are those of Mesos v1."""

    TASK_STAGING = 6
    TASK_STARTING = 0
    TASK_RUNNING = 1
    TASK_KILLING = 8
    TASK_FINISHED = 2
    TASK_FAILED = 3
    TASK_KILLED = 4
    TASK_ERROR = 7
    TASK_LOST = 5
    TASK_DROPPED = 9
    TASK_UNREACHABLE = 10
    TASK_GONE = 11
    TASK_GONE_BY_OPERATOR = 12
    TASK_UNKNOWN = 13

    @property
    def is_terminal(self) -> bool:
        """True when the process has ended and nothing more will come."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        MesosState.TASK_FINISHED,
        MesosState.TASK_FAILED,
        MesosState.TASK_KILLED,
        MesosState.TASK_ERROR,
        MesosState.TASK_LOST,
        MesosState.TASK_DROPPED,
        MesosState.TASK_GONE,
        MesosState.TASK_GONE_BY_OPERATOR,
    }
)

PortRanges = tuple[tuple[int, int], ...]
"""Inclusive ranges of TCP ports, ascending and disjoint: `((9000, 9999), (30000, 30999))`."""


@frozen
class Offer:
    """What one host has to give now. An offer is the caller's until it is accepted or declined."""

    offer_id: str
    agent_id: str
    host: str
    """The name that templates and constraints speak of."""
    address: str
    """What peers are told to connect to."""
    attributes: Mapping[str, str]
    cpus: float
    memory_mb: float
    ports: PortRanges
    executor_id: str


@frozen
class TaskLaunch:
    """One task to start, on the host of one offer."""

    task_id: str
    name: str
    """`<class identifier>#<task id>`"""
    cpus: float
    memory_mb: float
    ports: PortRanges
    command: bytes
    """The JSON command payload of `spec`: see `aliecs.protocol.message.CommandPayload`."""
    labels: Mapping[str, str] = Factory(dict)
    limit_cpus: float | None = None
    limit_memory_mb: float | None = None


@frozen
class TaskUpdate:
    """A status update of one task, as the backend received it. Idempotent by `uuid`."""

    task_id: str
    state: MesosState
    agent_id: str = ""
    executor_id: str = ""
    message: str = ""
    reason: str = ""
    uuid: bytes = b""
    timestamp_s: float = 0.0


@frozen
class HostInfo:
    """A host as people see it."""

    name: str
    address: str
    agent_id: str
    executor_id: str
    attributes: Mapping[str, str]
    connected: bool
    cpus: float
    memory_mb: float
    cpus_used: float
    memory_mb_used: float
    tasks: int
    last_seen_s: float


class ITaskObserver(Interface):
    """Whoever hears what a backend reports: the roster. All calls come on the reactor thread, in
    the order in which things happened on each host."""

    def task_status(update: TaskUpdate) -> None:
        """A task's process changed state."""

    def executor_message(agent_id: str, executor_id: str, data: bytes) -> None:
        """An executor sent a control message (JSON, see `aliecs.protocol.message`)."""

    def executor_lost(agent_id: str, executor_id: str, host: str, reason: str) -> None:
        """An executor ended; its tasks are dead."""

    def agent_unreachable(agent_id: str, host: str, reason: str) -> None:
        """Contact to a host was lost; its tasks may well be running."""

    def agent_returned(agent_id: str, host: str) -> None:
        """Contact to a host is back."""


class ITaskBackend(Interface):
    """Hosts, what they offer, and the processes on them."""

    framework_id: str = Attribute("the id under which this core is known to its hosts")
    state: str = Attribute("INITIAL, CONNECTED, ERROR or FINAL, as the control API reports it")

    def start(observer: ITaskObserver) -> Awaitable[None]:
        """Coroutine. Begin to work; report to `observer` from now on."""

    def stop() -> Awaitable[None]:
        """Coroutine. Hand over: let go of hosts and tasks, which stay as they are."""

    def teardown() -> Awaitable[None]:
        """Coroutine. The explicit order: end all tasks and all executors, and wait for it."""

    def hosts() -> Sequence[HostInfo]:
        """All hosts known, present or not."""

    def gather_offers() -> Awaitable[Sequence[Offer]]:
        """Coroutine. What all hosts can give now. Nothing in it is offered to anyone else until
        the caller accepts or declines each offer, which it does without waiting for anything."""

    def accept(offer: Offer, tasks: Sequence[TaskLaunch]) -> None:
        """Start `tasks` on the host of `offer`, and give the rest of it back."""

    def decline(offers: Sequence[Offer]) -> None:
        """Give offers back."""

    def kill(task_id: str, agent_id: str) -> None:
        """Begin the kill sequence of one task. A terminal update follows."""

    def send(agent_id: str, executor_id: str, message: bytes) -> None:
        """Send a control message to an executor. Raises `Unavailable` where it is known that it
        cannot arrive; otherwise delivery is not guaranteed."""

    def reconcile(tasks: Mapping[str, str]) -> Awaitable[None]:
        """Coroutine. Ask for the present state of tasks (task id to agent id); updates follow."""


# --- configuration -----------------------------------------------------------------------------


class IConfigurationStore(Interface):
    """A tree of text under slash-separated keys. Coroutines; no call blocks the reactor.

    Errors: `Unavailable` where the store cannot be reached, never "no such key" for it.
    """

    uri: str = Attribute("where it is, without secrets")

    def start() -> Awaitable[None]:
        """Coroutine. Open the store."""

    def stop() -> Awaitable[None]:
        """Coroutine. Close it."""

    def get(key: str) -> Awaitable[str | None]:
        """Coroutine. The value, or None where the key does not exist."""

    def put(key: str, value: str) -> Awaitable[None]:
        """Coroutine. Set a value, making the key where it is missing."""

    def put_all(values: Mapping[str, str]) -> Awaitable[None]:
        """Coroutine. Set many values, all or none as far as the store can; a key with a slash at
        its end is an empty folder."""

    def delete(key: str) -> Awaitable[bool]:
        """Coroutine. Remove a key; True where it existed."""

    def list(prefix: str) -> Awaitable[Sequence[str]]:
        """Coroutine. All full keys below `prefix`, sorted."""

    def items(prefix: str) -> Awaitable[Mapping[str, str]]:
        """Coroutine. All full keys below `prefix` with their values."""

    def compare_and_set(key: str, expected: str | None, value: str) -> Awaitable[bool]:
        """Coroutine. Set `value` only if the present value is `expected` (None: no such key);
        True where it was set. Atomic against every other writer of the store."""

    def compare_and_delete(key: str, expected: str) -> Awaitable[bool]:
        """Coroutine. Remove a key only if its present value is `expected`; True where it was
        removed. Atomic against every other writer of the store."""


class IIndexedStore(IConfigurationStore):
    """A store that numbers its changes."""

    def get_with_index(key: str) -> Awaitable[tuple[str | None, int]]:
        """Coroutine. As `get`, with the number of the store's last change to it."""


@frozen
class PayloadImport:
    """A payload to set. `path` is `component/RUNTYPE/role/entry`."""

    path: str
    payload: str
    new_component: bool = False
    """The component is not known yet."""
    dry_run: bool = False
    """Only say what would change."""
    format: str = ""
    """What to check the payload as: json, yaml, ini or toml; empty: it is not checked."""
    user: str = ""
    comment: str = ""


@frozen
class PayloadChange:
    """What an import changed, or would change."""

    component_existed: bool
    entry_existed: bool
    changed: bool
    """False where the payload was already what it should become."""
    difference: str
    """From the former payload to the new one, as a unified diff."""
    notes: Sequence[str] = ()
    """What a person should know."""


@frozen
class HistoricPayload:
    """A payload as it was until it was overwritten or deleted."""

    version: str
    """Its name among all of the same path; later ones sort behind earlier ones."""
    replaced_ms: int
    replaced_by: str
    comment: str
    size_bytes: int


class IConfigurationService(Interface):
    """What everything above sees of configuration. Coroutines.

    A `path` is a component query `component/RUNTYPE/role/entry`. Errors of all: `InvalidInput` for
    names and paths that are none, `NotFound`, `Unavailable` where the tree cannot be reached.
    """

    uri: str = Attribute("where the tree is, without secrets")

    def start() -> Awaitable[None]:
        """Coroutine. Make ready."""

    def stop() -> Awaitable[None]:
        """Coroutine. Let go."""

    def new_run_number() -> Awaitable[int]:
        """Coroutine. The next run number: atomic, never given twice, also across restarts."""

    def defaults() -> Awaitable[Mapping[str, str]]:
        """Coroutine. The defaults layer of every environment (runtime folder `aliecs/defaults`
        and computed constants)."""

    def variables() -> Awaitable[Mapping[str, str]]:
        """Coroutine. The vars layer of every environment (runtime folder `aliecs/vars`)."""

    def runtime_get(component: str, key: str) -> Awaitable[str]:
        """Coroutine. A runtime entry; `NotFound` where there is none."""

    def runtime_set(component: str, key: str, value: str) -> Awaitable[None]:
        """Coroutine. Set a runtime entry."""

    def runtime_list(component: str) -> Awaitable[Sequence[str]]:
        """Coroutine. The keys of a component's runtime entries."""

    def runtime_entries(component: str) -> Awaitable[Mapping[str, str]]:
        """Coroutine. The keys of a component's runtime entries with their values."""

    def components() -> Awaitable[Sequence[str]]:
        """Coroutine. The names of all components, sorted."""

    def component_entries(
        component: str, run_type: str = "", role: str = "", exact: bool = False
    ) -> Awaitable[Sequence[str]]:
        """Coroutine. `RUNTYPE/role/entry` of a component's payloads, sorted: those of a run type
        and role where these are given, and unless `exact` those that stand in for them (`ANY`,
        `any`). `NotFound` for a component without any."""

    def component_payload(path: str, variables: Mapping[str, str] | None) -> Awaitable[str]:
        """Coroutine. The payload of exactly the component query `component/RUNTYPE/role/entry`
        (`resolve_component` finds the one to fall back to); `variables` given: processed as a
        payload template, None: as it is stored."""

    def component_payload_with_index(path: str) -> Awaitable[tuple[str, int]]:
        """Coroutine. A payload as it is stored, with the number of the last change to it;
        `NotImplementedYet` where the store counts none."""

    def resolve_component(path: str) -> Awaitable[str]:
        """Coroutine. The path that a component query falls back to."""

    def import_payload(order: PayloadImport) -> Awaitable[PayloadChange]:
        """Coroutine. Set a payload, or say what that would change. What was there is kept in the
        history. `Conflict` where the component is known and should be new, or the other way round;
        `InvalidInput` where the payload is not of its format."""

    def delete_payload(path: str, user: str, comment: str) -> Awaitable[None]:
        """Coroutine. Remove a payload, which the history keeps."""

    def payload_history(path: str) -> Awaitable[Sequence[HistoricPayload]]:
        """Coroutine. What a payload was before, the newest first."""

    def historic_payload(path: str, version: str) -> Awaitable[tuple[HistoricPayload, str]]:
        """Coroutine. One of the history, with its text."""

    def invalidate_templates() -> Awaitable[None]:
        """Coroutine. Forget payload templates that were made ready before."""

    def raw_recursive(key: str) -> Awaitable[str]:
        """Coroutine. The part of the tree at and below `key` (empty: all of it) as JSON."""

    def detectors(include_trigger: bool) -> Awaitable[Sequence[str]]:
        """Coroutine. Detector names of the inventory."""

    def host_inventory(detector: str) -> Awaitable[Sequence[str]]:
        """Coroutine. Hosts of a detector; all hosts for the empty text."""

    def detector_for_host(host: str) -> Awaitable[str]:
        """Coroutine. The detector of a host; `NotFound` where it has none."""

    def detectors_inventory() -> Awaitable[Mapping[str, Sequence[str]]]:
        """Coroutine. All detectors with their hosts."""

    def detectors_for_hosts(hosts: Sequence[str]) -> Awaitable[Sequence[str]]:
        """Coroutine. The detectors that some hosts belong to, sorted; `NotFound` where one of the
        hosts has none."""

    def cards_for_host(host: str) -> Awaitable[Sequence[str]]:
        """Coroutine. Serial numbers of the readout cards of a host, sorted."""

    def endpoints_for_card(host: str, serial: str) -> Awaitable[Sequence[str]]:
        """Coroutine. Endpoints of one card, sorted."""

    def link_ids(
        host: str, serial: str, endpoint: str, only_enabled: bool
    ) -> Awaitable[Sequence[str]]:
        """Coroutine. The numbers of the links at an endpoint of a CRU card, in their order."""

    def aliased_link_ids(detector: str, only_enabled: bool) -> Awaitable[Sequence[str]]:
        """Coroutine. The names of all links of a detector, sorted as texts."""


# --- workflow repositories ---------------------------------------------------------------------


@frozen
class TemplateText:
    """One file of a workflow repository at one revision."""

    repository: str
    """Repository identifier, such as `github.com/AliceO2Group/ControlWorkflows`."""
    revision: str
    """The commit hash; for a repository read from its working folder, an id of that moment."""
    path: str
    """`workflows/<name>.yaml` or `tasks/<name>.yaml`."""
    text: bytes

    @property
    def file(self) -> str:
        """The name to show to people."""
        return f"{self.repository}/{self.path}@{self.revision[:12]}"


class ILoaderSources(Interface):
    """What loading a workflow may ask for. Blocking calls, made in a loader thread; each raises
    `AliecsError` kinds, and `DeadlineExceeded` when the load has used up its time."""

    def workflow(expression: str) -> TemplateText:
        """The template of a workflow expression (`name`, `name@rev`,
        `<identifier>/workflows/name[@rev]`), the default revision where none is given."""

    def task_class(identifier: str) -> TemplateText:
        """The task template of a class identifier `<repository>/tasks/<name>@<revision>`."""

    def new_id() -> str:
        """A new identifier of the kind that environments and tasks have."""

    def configuration_payload(path: str, variables: Mapping[str, str] | None) -> str:
        """As `IConfigurationService.component_payload`."""

    def resolve_component(path: str) -> str:
        """As `IConfigurationService.resolve_component`."""

    def runtime_get(component: str, key: str) -> str:
        """As `IConfigurationService.runtime_get`."""

    def runtime_set(component: str, key: str, value: str) -> None:
        """As `IConfigurationService.runtime_set`; refused where the load may have no effects."""

    def detector_for_host(host: str) -> str:
        """As `IConfigurationService.detector_for_host`."""

    def cards_for_host(host: str) -> Sequence[str]:
        """As `IConfigurationService.cards_for_host`."""

    def endpoints_for_card(host: str, serial: str) -> Sequence[str]:
        """As `IConfigurationService.endpoints_for_card`."""

    def jit_file(repository: str, revision: str, name: str) -> str | None:
        """The text of `jit/<name>` of a repository, None where there is no such file."""

    def generate_dpl(command: str, environment: str) -> str:
        """Run a DPL command, whose expressions are evaluated, to generate a workflow, unless it was
        generated before; gives its name. `environment` are assignments such as `A=1 B=2`.
        `Conflict` where it fails, `Unavailable` where this machine cannot."""


@frozen
class RepositoryInfo:
    """One workflow repository, as people see it."""

    identifier: str
    is_default: bool
    default_revision: str
    revisions: Sequence[str] = ()


@frozen
class TemplateInfo:
    """One workflow template of a listing, with its raw text to take its public variables from."""

    repository: str
    template: str
    revision: str
    text: TemplateText


class IRepositories(Interface):
    """All workflow repositories of the core. Coroutines."""

    global_default_revision: str = Attribute("the default revision of repositories added later")

    def start() -> Awaitable[None]:
        """Coroutine. Open what is known; unreachable ones are an error about themselves only."""

    def stop() -> Awaitable[None]:
        """Coroutine. Let go."""

    def list(with_revisions: bool) -> Awaitable[Sequence[RepositoryInfo]]:
        """Coroutine. All repositories sorted by identifier; the position is the index clients
        use."""

    def add(text: str, default_revision: str) -> Awaitable[RepositoryInfo]:
        """Coroutine. Add a repository, as people write it, for this core and those after it. Its
        default revision is the one given, or else the first that there is of the global default,
        `master` and `main`. Raises `Conflict` where it is there, `NotFound` without any such
        revision, `InvalidInput` for what is no repository of workflows, and `Unavailable`; then
        nothing is left of it."""

    def remove(identifier: str) -> Awaitable[str]:
        """Coroutine. Forget a repository, and its clone; a folder of the user's own stays as it
        is. Gives the new default repository, empty where the default is as it was."""

    def refresh(identifier: str) -> Awaitable[None]:
        """Coroutine. Fetch what is new in one repository, or for the empty text in all of them at
        once. Raises what was wrong; what was fetched before goes on to serve."""

    def set_default_repository(identifier: str) -> Awaitable[None]:
        """Coroutine. Make a repository the default, for this core and those after it. `Conflict`
        where it is already."""

    def set_global_default_revision(revision: str) -> Awaitable[None]:
        """Coroutine. Set the default revision of repositories that are added from now on."""

    def set_default_revision(identifier: str, revision: str) -> Awaitable[None]:
        """Coroutine. Set the default revision of a repository; `NotFound` where it has none such,
        telling what there is."""

    def revisions(identifier: str) -> Awaitable[Sequence[str]]:
        """Coroutine. The branches of a repository, then its tags."""

    def workflow(expression: str) -> Awaitable[TemplateText]:
        """Coroutine. See `ILoaderSources.workflow`."""

    def task_class(identifier: str) -> Awaitable[TemplateText]:
        """Coroutine. See `ILoaderSources.task_class`."""

    def jit_file(repository: str, revision: str, name: str) -> Awaitable[str | None]:
        """Coroutine. See `ILoaderSources.jit_file`."""

    def generate(name: str, command: str, timeout_s: float) -> Awaitable[None]:
        """Coroutine. Make the workflow template `name`, and the task templates that it needs, by
        running `command`, a text for bash, in an empty folder; nothing where they were made before.
        Every repository has them. `Conflict` where the command fails, `DeadlineExceeded`."""

    def templates(
        repository_pattern: str, revision_pattern: str, all_branches: bool, all_tags: bool
    ) -> Awaitable[Sequence[TemplateInfo]]:
        """Coroutine. Workflow templates by patterns, as `GetWorkflowTemplates` describes them."""


# --- outside services --------------------------------------------------------------------------


@frozen
class Call:
    """One call into an outside service, as a plugin's function sees it.

    `variables` is the role's consolidated stack with the `__call_*` entries. A function that
    fails raises `AliecsError`; its text is the cause.
    """

    function: str
    environment_id: str
    role_path: str
    trigger: str
    await_: str
    timeout_s: float
    critical: bool
    variables: Mapping[str, str]
    set_runtime_variable: Callable[[str, str], None] = field(eq=False)
    """Set a variable on the environment's root role, for all to see."""


CallFunction = Callable[..., "str | Awaitable[str]"]
"""A plugin's function: takes the call and the template's own arguments, gives the output text."""


class IIntegrationFactory(Interface):
    """Makes an integration. Found through `twisted.plugin`, one for each kind of service."""

    name: str = Attribute("the namespace in templates, and the key in the control API")
    endpoint_setting: str = Attribute("the setting that carries the endpoint")

    def make(endpoint: str) -> IIntegration:
        """An integration that talks to `endpoint`."""


class IIntegration(Interface):
    """An outside service that environments work with."""

    name: str = Attribute("the namespace in templates, and the key in the control API")
    pretty_name: str = Attribute("what people see")
    endpoint: str = Attribute("where the service is")

    def start() -> Awaitable[None]:
        """Coroutine. Begin to work; a service that is away is not an error."""

    def stop() -> Awaitable[None]:
        """Coroutine. Let go."""

    def connection_state() -> str:
        """READY, CONNECTING, TRANSIENT_FAILURE, IDLE, SHUTDOWN or UNKNOWN."""

    def data() -> str:
        """What the service knows over all environments: JSON, or empty."""

    def environment_data(environment_id: str, detailed: bool) -> str:
        """What it knows of one environment: JSON, or empty."""

    def functions() -> Mapping[str, CallFunction]:
        """What calls of a workflow may call, by name, inside the namespace `name`."""

    def load_functions(variables: Mapping[str, str]) -> Mapping[str, Callable[..., Any]]:
        """What every template may call, by name, inside the namespace `name`. Pure: no waiting."""


class IEventSink(Interface):
    """Takes events, in order, and never blocks the core."""

    def deliver(event: Any) -> None:
        """Take one `events.Event`; encoding it is the sink's affair."""
