"""The seam between roles and tasks: what a leaf needs of a task, and what a task is told.

Loading, commands and properties are made in loader threads; what they need of tasks and roles is
taken beforehand, on the reactor, so that the threads share nothing that changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from attrs import frozen
from twisted.internet.threads import deferToThread

from aliecs.environment import run
from aliecs.errors import AliecsError, InvalidInput
from aliecs.event.record import Traits
from aliecs.interfaces import ILoaderSources
from aliecs.language.declaration import merge_channels, merge_constraints
from aliecs.language.functions import PTREE_FUNCTIONS, Library, Objects, Scope, make_library
from aliecs.task.deployment import DeploymentRequest
from aliecs.task.task import Task
from aliecs.task.taskclass import (
    FairmqPlugin,
    ResolvedCommand,
    TaskIdentity,
)
from aliecs.workflow.channel import BoundTask, channel_properties, make_bind_map
from aliecs.workflow.loader import LoadRequest, Workflow, load
from aliecs.workflow.role import TaskRole

if TYPE_CHECKING:
    from aliecs.environment.environment import Environment

BATCH = 500
"""Tasks whose commands or properties are made together."""

Made = TypeVar("Made")


def load_request(
    environment: Environment, variables: Mapping[str, str], trial: bool = False
) -> LoadRequest:
    """What loads the tree of an environment with these variables of a user. `trial`: the tree that
    it has is loaded again, from the revision that it has, and without effects."""
    facilities = environment.facilities
    expression = environment.expression
    if trial:
        template = environment.workflow.template
        path = template.path.removesuffix(".yaml")
        expression = f"{template.repository}/{path}@{template.revision}"
    return LoadRequest(
        expression=expression,
        environment_id=environment.id,
        user_variables={
            **variables,
            "last_request_user": environment.user.to_variable(),
            "enter_state_time_ms": str(environment.created_ms),
        },
        defaults=environment.base_defaults,
        variables={**environment.base_vars, run.CLEANUP_COUNT: "0"},
        plugin_functions=_plugin_functions(environment),
        effects=not trial,
        dump=facilities.dumps.write if facilities.dumps is not None else None,
    )


async def load_workflow(environment: Environment, variables: Mapping[str, str]) -> Workflow:
    """Load the tree of an environment. `variables` are the user's. Raises `AliecsError`."""
    facilities = environment.facilities
    request = load_request(environment, variables)

    def work(sources: ILoaderSources) -> tuple[Workflow, bytes]:
        workflow = load(request, sources, facilities.templates)
        for text in workflow.class_texts.values():
            facilities.classes.task_class(text)
        document = workflow.to_document()
        if facilities.dumps is not None:
            try:
                facilities.dumps.write_workflow(workflow, document)
            except AliecsError as problem:
                # It is for curious people; no environment fails for it.
                environment.log.warn("{text}", text=problem.message)
        return workflow, msgspec.json.encode(document)

    workflow, document = await facilities.loaders.run(
        work, deadline_s=facilities.options.load_timeout_s
    )
    # The resolved tree: ids, configuration and generated files would not come out the same again.
    await facilities.journal.intend(
        "workflow_loaded", environment.id, {"workflow": msgspec.Raw(document)}
    )
    return workflow


def _plugin_functions(environment: Environment) -> Mapping[str, Mapping[str, Callable[..., Any]]]:
    return {
        name: integration.load_functions(environment.base_variables)
        for name, integration in environment.facilities.integrations.items()
    }


@frozen
class _Taken:
    """What is taken of a task and its role on the reactor, for a loader thread."""

    task: Task
    stack: Mapping[str, str]
    identity: TaskIdentity
    trigger: str
    timeout: str
    channels: Mapping[str, str]


@frozen
class Assembly:
    """See the module."""

    environment: Environment

    async def requests(self, roles: Sequence[TaskRole]) -> Sequence[DeploymentRequest]:
        """What roles need of tasks."""
        requests = []
        for role in roles:
            requests.append(self._request(role))
            await self.environment.facilities.roster.pace.breathe()
        return requests

    def _request(self, role: TaskRole) -> DeploymentRequest:
        environment = self.environment
        text = environment.workflow.class_texts[role.class_identifier]
        task_class = environment.facilities.classes.task_class(text)
        return DeploymentRequest(
            role=role,
            role_path=role.path,
            task_class=task_class,
            control_mode=task_class.effective_mode(role.trigger),
            constraints=merge_constraints(task_class.constraints, role.effective_constraints()),
            inbound=merge_channels(role.effective_bind(), task_class.bind),
            outbound=merge_channels(role.effective_connect(), task_class.connect),
            traits=Traits(role.trigger, role.await_ or role.trigger, role.timeout, role.critical),
            labels={
                "environmentId": environment.id,
                "detector": role.variable("detector"),
            },
        )

    async def build_commands(
        self, tasks: Sequence[Task]
    ) -> Sequence[ResolvedCommand | AliecsError]:
        """The commands of placed tasks, or what is wrong with them."""
        plugin = self.plugin()

        def work(
            taken: Sequence[_Taken], sources: ILoaderSources
        ) -> Sequence[ResolvedCommand | AliecsError]:
            library = self.library(None)
            commands: list[ResolvedCommand | AliecsError] = []
            for one in taken:
                try:
                    commands.append(
                        one.task.task_class.build_command(
                            self.scope(one.stack, library, sources),
                            one.identity,
                            one.trigger,
                            one.timeout,
                            plugin,
                        )
                    )
                except InvalidInput as problem:
                    commands.append(problem)
            return commands

        return await self._in_batches([(task, {}) for task in tasks], work)

    async def _in_batches(
        self,
        tasks: Sequence[tuple[Task, Mapping[str, str]]],
        work: Callable[[Sequence[_Taken], ILoaderSources], Sequence[Made]],
    ) -> list[Made]:
        """Do something for tasks, given with the properties of their channels, in a loader thread.
        Not for all at once: what is taken of a task is larger than what is made of it."""
        environment = self.environment
        made: list[Made] = []
        for begin in range(0, len(tasks), BATCH):
            taken: list[_Taken] = []
            for task, channels in tasks[begin : begin + BATCH]:
                taken.append(self._take(task, channels))
                await environment.facilities.roster.pace.breathe()
            made += await environment.facilities.loaders.run(partial(work, taken))
        return made

    async def properties(
        self, tasks: Sequence[Task], peers: Sequence[Task]
    ) -> dict[str, Mapping[str, str]]:
        """What tasks are given at CONFIGURE, by task id; `peers` are those that they may connect
        to. Raises `AliecsError` where a critical task cannot be given what it needs; others go
        without, and it is told."""
        bound: list[BoundTask] = []
        for task in peers:
            if task.inbound:
                bound.append(
                    BoundTask(task.role_path, task.address, task.inbound, task.endpoints)
                )
            await self.environment.facilities.roster.pace.breathe()
        bind_map = await deferToThread(make_bind_map, bound)
        controllable: list[tuple[Task, Mapping[str, str]]] = []
        for task in tasks:
            if not task.control_mode.is_controllable:
                continue
            try:
                channels = channel_properties(
                    task.role_path, task.inbound, task.endpoints, task.outbound, bind_map
                )
            except InvalidInput as problem:
                self._refuse(task, problem)
                continue
            controllable.append((task, channels))
            await self.environment.facilities.roster.pace.breathe()
        made = await self._in_batches(controllable, self._build_properties)
        properties: dict[str, Mapping[str, str]] = {}
        for (task, _), result in zip(controllable, made, strict=True):
            if isinstance(result, AliecsError):
                self._refuse(task, result)
            else:
                properties[task.id] = result
        return properties

    def _build_properties(
        self, taken: Sequence[_Taken], sources: ILoaderSources
    ) -> Sequence[Mapping[str, str] | AliecsError]:
        library = self.library(PTREE_FUNCTIONS)
        made: list[Mapping[str, str] | AliecsError] = []
        for one in taken:
            scope = self.scope(one.stack, library, sources)
            try:
                made.append(one.task.task_class.build_properties(scope, one.identity, one.channels))
            except InvalidInput as problem:
                made.append(problem)
        return made

    def _refuse(self, task: Task, problem: AliecsError) -> None:
        if task.critical:
            raise problem
        self.environment.warn(f"{task.describe()}, not critical: {problem.message}")

    def _take(self, task: Task, channels: Mapping[str, str]) -> _Taken:
        role = task.role
        assert isinstance(role, TaskRole)
        identity = self.identity(task, role)
        return _Taken(task, role.stack(), identity, role.trigger, role.timeout, channels)

    # --- what a loader thread works with -----------------------------------------------------

    def plugin(self) -> FairmqPlugin:
        """What controls FairMQ devices."""
        options = self.environment.facilities.options
        return FairmqPlugin(options.fmq_plugin, options.fmq_plugin_search_path)

    def identity(self, task: Task, role: TaskRole) -> TaskIdentity:
        """Who a task is."""
        return TaskIdentity(
            task_name=task.name,
            task_id=task.id,
            task_class_name=task.task_class.identifier,
            task_hostname=task.host,
            environment_id=self.environment.id,
            task_parent_role=role.path,
        )

    def library(self, extra: Objects | None) -> Library:
        """The functions that texts may call."""
        workflow = self.environment.workflow
        return make_library(workflow.compiler, _plugin_functions(self.environment), extra)

    def scope(
        self, stack: Mapping[str, str], library: Library, sources: ILoaderSources
    ) -> Scope:
        """What the texts of a task see."""
        workflow = self.environment.workflow
        return Scope(
            variables=stack,
            library=library,
            sources=sources,
            repository=(workflow.template.repository, workflow.template.revision),
            warn=lambda text: self.environment.log.warn("{text}", text=text),
        )
