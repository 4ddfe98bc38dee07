"""A workflow looked at without deploying it: all that is wrong with it, and what it would be.

Loads a template with the variables given, without any effect, as thoroughly as it can; then makes
the command of each task as if its host were known, and connects the channels as if all were
running. What would make a creation or CONFIGURE fail is an error, what people should know besides a
warning.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from attrs import define, field, frozen

from aliecs.environment import run
from aliecs.environment.facilities import Facilities
from aliecs.environment.order import Step, steps_of
from aliecs.errors import (
    AliecsError,
    Conflict,
    InvalidInput,
    Location,
    NotFound,
    TemplateError,
)
from aliecs.event.record import User
from aliecs.interfaces import ILoaderSources
from aliecs.language.calling import functions_called
from aliecs.language.declaration import Channel, Constraint, merge_channels, merge_constraints
from aliecs.language.functions import PTREE_FUNCTIONS, Library, PluginFunctions, Scope, make_library
from aliecs.language.value import ExpressionError, Namespace
from aliecs.task.taskclass import FairmqPlugin, ResolvedCommand, TaskClass, TaskIdentity
from aliecs.workflow.channel import (
    BindMap,
    BoundTask,
    Destination,
    channel_properties,
    make_bind_map,
)
from aliecs.workflow.drawing import Link
from aliecs.workflow.loader import LoadRequest, try_load
from aliecs.workflow.origin import Origins
from aliecs.workflow.problem import Problems
from aliecs.workflow.role import CallRole, TaskRole
from aliecs.workflow.workflow import Workflow

ANY_HOST = "<host>"
"""Stands for the host of a task that no constraint binds to one."""
_TASK_ID = "<task id>"
_HOST_ATTRIBUTE = "machine_id"

T = TypeVar("T")


@frozen
class InspectionRequest:
    """What to look at: a workflow expression, the variables of a request, and who asks."""

    expression: str
    variables: Mapping[str, str]
    user: User


@frozen
class Endpoint:
    """An address that a channel would get."""

    address: str
    transport: str


@define(eq=False)
class InspectedTask:
    """What a task role would become."""

    role: TaskRole
    task_class: TaskClass
    host: str
    constraints: tuple[Constraint, ...]
    inbound: tuple[Channel, ...]
    outbound: tuple[Channel, ...]
    endpoints: Mapping[str, Endpoint]
    command: ResolvedCommand | None = None
    """None where it cannot be made; the error says why."""
    properties: Mapping[str, str] = field(factory=dict)


@frozen
class Inspection:
    """What was found. `errors` and `warnings` are texts with file, line and role."""

    workflow: Workflow | None
    """As much of it as could be made."""
    errors: Sequence[TemplateError]
    warnings: Sequence[TemplateError]
    tasks: Mapping[str, InspectedTask]
    """By role path."""
    steps: Sequence[Step]
    links: Sequence[Link]
    """The channels between tasks."""
    origins: Origins


async def inspect(
    facilities: Facilities, request: InspectionRequest, give: Callable[[Inspection], T]
) -> T:
    """Coroutine. Look at a workflow, and give what `give` makes of it, in the loader thread too: a
    large tree takes its time. Raises `AliecsError` where there is nothing to look at: no such
    template, a source that cannot be reached."""
    defaults = await facilities.configuration.defaults()
    variables = await facilities.configuration.variables()
    knows_hosts = bool(await facilities.configuration.host_inventory(""))
    base_defaults = {**facilities.options.defaults, **defaults}
    plugin_functions = {
        name: integration.load_functions({**base_defaults, **variables})
        for name, integration in facilities.integrations.items()
    }
    load_request = LoadRequest(
        expression=request.expression,
        environment_id=facilities.identifiers.new(),
        user_variables={
            **request.variables,
            "last_request_user": request.user.to_variable(),
            "enter_state_time_ms": str(facilities.now_ms()),
        },
        defaults=base_defaults,
        variables={**variables, run.CLEANUP_COUNT: "0"},
        plugin_functions=plugin_functions,
        effects=False,
        thorough=True,
    )
    origins = Origins(
        facilities.templates.of_file,
        requested=frozenset(request.variables),
        configured=frozenset(defaults) | frozenset(variables),
    )

    def work(sources: ILoaderSources) -> T:
        inspector = _Inspector(facilities, load_request, sources, plugin_functions, knows_hosts)
        return give(inspector.inspection(origins))

    return await facilities.loaders.run(
        work, effects=False, deadline_s=facilities.options.load_timeout_s
    )


@define
class _Inspector:
    """One inspection, in a loader thread."""

    facilities: Facilities
    request: LoadRequest
    sources: ILoaderSources
    plugin_functions: PluginFunctions
    knows_hosts: bool
    """The inventory has hosts, so that those of the workflow have to be in it."""
    problems: Problems = field(init=False, factory=Problems)
    warnings: Problems = field(init=False, factory=lambda: Problems(by_kind=True))
    numbers: itertools.count[int] = field(init=False, factory=lambda: itertools.count(1))

    def inspection(self, origins: Origins) -> Inspection:
        workflow, errors = try_load(self.request, self.sources, self.facilities.templates)
        for error in errors:
            self.problems.add(error)
        tasks: dict[str, InspectedTask] = {}
        steps: Sequence[Step] = ()
        links: Sequence[Link] = ()
        if workflow is not None:
            for warning in workflow.warnings:
                self.warnings.add(TemplateError(warning.text, warning.location, warning.role_path))
            self._find_detectors(workflow)
            tasks = self._tasks(workflow)
            self._commands(workflow, tasks)
            bind_map, owners = self._bind_map(tasks)
            self._properties(workflow, tasks, bind_map)
            self._calls(workflow)
            links = tuple(_links(tasks, owners))
            steps = tuple(steps_of(workflow))
        return Inspection(
            workflow, self.problems.errors(), self.warnings.errors(), tasks, steps, links, origins
        )

    def _find_detectors(self, workflow: Workflow) -> None:
        """The default of `detectors`, as a creation computes it."""
        if not self.knows_hosts:
            return
        try:
            hosts = json.loads(workflow.root.variable("hosts", "[]"))
        except ValueError:
            return
        found = set()
        for host in hosts if isinstance(hosts, list) else ():
            try:
                found.add(self.sources.detector_for_host(str(host)))
            except (NotFound, InvalidInput) as error:
                self.problems.add(TemplateError(f"the variable hosts: {error.message}"))
        workflow.defaults["detectors"] = json.dumps(sorted(found), separators=(",", ":"))

    # --- tasks -----------------------------------------------------------------------------------

    def _tasks(self, workflow: Workflow) -> dict[str, InspectedTask]:
        classes = self._classes(workflow)
        tasks = {}
        for role in workflow.task_roles:
            task_class = classes.get(role.class_identifier)
            if task_class is None:
                continue
            constraints = merge_constraints(task_class.constraints, role.effective_constraints())
            inbound = merge_channels(role.effective_bind(), task_class.bind)
            hosts = [one.value for one in constraints if one.attribute == _HOST_ATTRIBUTE]
            tasks[role.path] = InspectedTask(
                role=role,
                task_class=task_class,
                host=hosts[0] if hosts else ANY_HOST,
                constraints=constraints,
                inbound=inbound,
                outbound=merge_channels(role.effective_connect(), task_class.connect),
                endpoints={channel.name: self._endpoint(channel) for channel in inbound},
            )
        return tasks

    def _classes(self, workflow: Workflow) -> dict[str, TaskClass]:
        classes = {}
        for identifier, text in workflow.class_texts.items():
            try:
                task_class = self.facilities.classes.task_class(text)
            except TemplateError as error:
                self.problems.add(error)
                continue
            classes[identifier] = task_class
            for warning in task_class.warnings:
                self.warnings.add(TemplateError(warning))
        return classes

    def _endpoint(self, channel: Channel) -> Endpoint:
        number = next(self.numbers)
        if channel.addressing == "ipc":
            return Endpoint(f"ipc://@o2ipc-<{number}>", channel.transport)
        return Endpoint(f"tcp://*:<port {number}>", channel.transport)

    def _commands(self, workflow: Workflow, tasks: Mapping[str, InspectedTask]) -> None:
        library = make_library(workflow.compiler, self.plugin_functions)
        options = self.facilities.options
        plugin = FairmqPlugin(options.fmq_plugin, options.fmq_plugin_search_path)
        for task in tasks.values():
            role = task.role
            scope = self._scope(workflow, task, library)
            try:
                task.command = task.task_class.build_command(
                    scope, self._identity(task), role.trigger, role.timeout, plugin
                )
            except InvalidInput as error:
                self._add(task, error)

    def _identity(self, task: InspectedTask) -> TaskIdentity:
        identifier = task.task_class.identifier
        return TaskIdentity(
            task_name=f"{identifier}#{_TASK_ID}",
            task_id=_TASK_ID,
            task_class_name=identifier,
            task_hostname=task.host,
            environment_id=self.request.environment_id,
            task_parent_role=task.role.path,
        )

    def _scope(self, workflow: Workflow, task: InspectedTask, library: Library) -> Scope:
        role = task.role

        def warn(text: str) -> None:
            self.warnings.add(TemplateError(text, role.location, role.path))

        return Scope(
            variables=role.stack(),
            library=library,
            sources=self.sources,
            repository=(workflow.template.repository, workflow.template.revision),
            warn=warn,
        )

    # --- calls -----------------------------------------------------------------------------------

    def _calls(self, workflow: Workflow) -> None:
        """Calls that nobody will answer. A plugin that is not in use is a warning: a workflow may
        be looked at where its outside services are not."""
        library = make_library(workflow.compiler, self.plugin_functions)
        for role in workflow.call_roles:
            try:
                called = list(functions_called(role.func))
            except ExpressionError as error:
                self._add_call(self.problems, role, error.message)
                continue
            for name, function in called:
                members = self._members(library, name)
                if not members:
                    why = f"no plugin {name} is in use (integrationPlugins)"
                    self._add_call(self.warnings, role, why)
                elif function not in members:
                    near = difflib.get_close_matches(function, members, n=1)
                    hint = f"; did you mean {near[0]}?" if near else ""
                    why = f"{name} has no function {function}{hint}"
                    problems = self.problems if role.critical else self.warnings
                    self._add_call(problems, role, why)

    def _members(self, library: Library, name: str) -> frozenset[str]:
        known = library.objects.get(name)
        members = frozenset(known.members) if isinstance(known, Namespace) else frozenset[str]()
        integration = self.facilities.integrations.get(name)
        return members | frozenset(integration.functions()) if integration is not None else members

    def _add_call(self, problems: Problems, role: CallRole, why: str) -> None:
        problems.add(TemplateError(f"call {role.func}: {why}", role.location, role.path))

    # --- channels --------------------------------------------------------------------------------

    def _properties(
        self, workflow: Workflow, tasks: Mapping[str, InspectedTask], bind_map: BindMap
    ) -> None:
        library = make_library(workflow.compiler, self.plugin_functions, PTREE_FUNCTIONS)
        for task in tasks.values():
            if not task.task_class.effective_mode(task.role.trigger).is_controllable:
                continue
            try:
                channels = channel_properties(
                    task.role.path, task.inbound, task.endpoints, task.outbound, bind_map
                )
                scope = self._scope(workflow, task, library)
                task.properties = task.task_class.build_properties(
                    scope, self._identity(task), channels
                )
            except InvalidInput as error:
                self._add(task, error)

    def _bind_map(
        self, tasks: Mapping[str, InspectedTask]
    ) -> tuple[BindMap, Mapping[str, tuple[str, str]]]:
        """All that can be connected to, and by whom it is bound: role path and channel."""
        bind_map: dict[str, Destination] = {}
        owners: dict[str, tuple[str, str]] = {}
        for path, task in tasks.items():
            for channel in task.inbound:
                bound = BoundTask(path, task.host, [channel], task.endpoints)
                for name, destination in make_bind_map([bound]).items():
                    owner = owners.setdefault(name, (path, channel.name))
                    if bind_map.setdefault(name, destination) != destination:
                        self._add(
                            task,
                            Conflict(
                                f"the global channel alias {name} is bound by {owner[0]} too; an "
                                "alias must be unique in an environment"
                            ),
                        )
        return bind_map, owners

    def _add(self, task: InspectedTask, error: AliecsError) -> None:
        """Keep what is wrong with a task; as a warning where the environment can do without it."""
        problems = self.problems if task.role.critical else self.warnings
        if isinstance(error, TemplateError):
            problems.add(error)
            return
        location: Location = task.role.location
        problems.add(TemplateError(error.message, location, task.role.path))


def _links(
    tasks: Mapping[str, InspectedTask], owners: Mapping[str, tuple[str, str]]
) -> Iterator[Link]:
    """Who is connected to whom."""
    for path, task in tasks.items():
        for channel in task.outbound:
            if channel.target in owners:
                binding, name = owners[channel.target]
                (bound,) = (one for one in tasks[binding].inbound if one.name == name)
                yield Link(binding, path, name, bound.transport)
