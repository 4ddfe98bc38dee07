"""Workflow repositories, and what loading a workflow may ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

from attrs import frozen
from zope.interface import Attribute, Interface


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
        `Conflict` where it fails, and where this machine cannot."""


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
