"""The operations of the control API on workflow repositories and their templates.

A part of `control.Control`, which is what the faces serve.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field
from twisted.logger import Logger

from aliecs.api.core import Core
from aliecs.api.permission import GLOBAL, READ, permit
from aliecs.api.shield import shielded
from aliecs.errors import InvalidInput, NotFound, TemplateError
from aliecs.protocol.protos import o2control_pb2
from aliecs.txgrpc.route import ServerCall
from aliecs.workflow.schema import VariableSpecification, describe_template


@define(eq=False)
class RepositoryControl:
    """See the module."""

    core: Core
    _log: Logger = field(init=False, factory=Logger)

    @permit(READ)
    async def GetWorkflowTemplates(
        self, request: o2control_pb2.GetWorkflowTemplatesRequest, call: ServerCall
    ) -> o2control_pb2.GetWorkflowTemplatesReply:
        """Workflow templates by patterns; those that are not public only with `allWorkflows`."""
        everything = request.allBranches or request.allTags
        if everything and request.revisionPattern:
            raise InvalidInput(
                "cannot query available workflows: a revision pattern and all branches or tags "
                "exclude each other"
            )
        found = await self.core.repositories.templates(
            request.repoPattern, request.revisionPattern, request.allBranches, request.allTags
        )
        overrides = await self.core.configuration.variables()
        reply = o2control_pb2.GetWorkflowTemplatesReply()
        for template in found:
            await self.core.roster.pace.breathe()
            try:
                described = describe_template(template.text)
            except TemplateError as problem:
                self._log.warn("template listing: {reason}", reason=problem.message)
                continue
            if not (described.public or request.allWorkflows):
                continue
            info = reply.workflowTemplates.add(
                repo=template.repository,
                template=template.template,
                revision=template.revision,
                description=described.description,
            )
            for name, specification in described.variables.items():
                info.varSpecMap[name].CopyFrom(
                    _variable_specification(name, specification, overrides)
                )
        reply.timestamp = self.core.now_ms()
        return reply

    @permit(READ)
    async def ListRepos(
        self, request: o2control_pb2.ListReposRequest, call: ServerCall
    ) -> o2control_pb2.ListReposReply:
        """Workflow repositories; their position is the index that other calls take."""
        repositories = await self.core.repositories.list(request.getRevisions)
        return o2control_pb2.ListReposReply(
            repos=[
                o2control_pb2.RepoInfo(
                    name=one.identifier,
                    default=one.is_default,
                    defaultRevision=one.default_revision,
                    revisions=one.revisions,
                )
                for one in repositories
            ],
            globalDefaultRevision=self.core.repositories.global_default_revision,
            timestamp=self.core.now_ms(),
        )

    @permit(GLOBAL)
    async def AddRepo(
        self, request: o2control_pb2.AddRepoRequest, call: ServerCall
    ) -> o2control_pb2.AddRepoReply:
        """Add a workflow repository."""
        if not request.name.strip():
            raise InvalidInput("the name of the repository is empty")
        added = await shielded(self.core.repositories.add(request.name, request.defaultRevision))
        info = f"the default revision is {added.default_revision!r}"
        if added.default_revision != request.defaultRevision:
            is_global = added.default_revision == self.core.repositories.global_default_revision
            info += " (global default value)" if is_global else " (fallback value)"
        return o2control_pb2.AddRepoReply(
            newDefaultRevision=added.default_revision, info=info, timestamp=self.core.now_ms()
        )

    @permit(GLOBAL)
    async def RemoveRepo(
        self, request: o2control_pb2.RemoveRepoRequest, call: ServerCall
    ) -> o2control_pb2.RemoveRepoReply:
        """Forget a workflow repository; a folder of the user's own is not touched."""
        identifier = await self._repository(request.index)
        following = await shielded(self.core.repositories.remove(identifier))
        return o2control_pb2.RemoveRepoReply(newDefaultRepo=following, timestamp=self.core.now_ms())

    @permit(GLOBAL)
    async def RefreshRepos(
        self, request: o2control_pb2.RefreshReposRequest, call: ServerCall
    ) -> o2control_pb2.Empty:
        """Fetch what is new in one repository, or in all for the index -1."""
        identifier = "" if request.index == -1 else await self._repository(request.index)
        await shielded(self.core.repositories.refresh(identifier))
        return o2control_pb2.Empty()

    @permit(GLOBAL)
    async def SetDefaultRepo(
        self, request: o2control_pb2.SetDefaultRepoRequest, call: ServerCall
    ) -> o2control_pb2.Empty:
        """Make a workflow repository the default."""
        identifier = await self._repository(request.index)
        await shielded(self.core.repositories.set_default_repository(identifier))
        return o2control_pb2.Empty()

    @permit(GLOBAL)
    async def SetGlobalDefaultRevision(
        self, request: o2control_pb2.SetGlobalDefaultRevisionRequest, call: ServerCall
    ) -> o2control_pb2.Empty:
        """Set the default revision of repositories that are added from now on."""
        await shielded(self.core.repositories.set_global_default_revision(request.revision))
        return o2control_pb2.Empty()

    @permit(GLOBAL)
    async def SetRepoDefaultRevision(
        self, request: o2control_pb2.SetRepoDefaultRevisionRequest, call: ServerCall
    ) -> o2control_pb2.SetRepoDefaultRevisionReply:
        """Set the default revision of a repository. One that it does not have is not an error for
        clients, but a reply with the revisions that there are, one in a line."""
        repositories = self.core.repositories
        identifier = await self._repository(request.index)
        info = ""
        try:
            await shielded(repositories.set_default_revision(identifier, request.revision))
        except NotFound:
            info = "\n".join(await repositories.revisions(identifier)) or "(no revisions)"
        return o2control_pb2.SetRepoDefaultRevisionReply(info=info, timestamp=self.core.now_ms())

    async def _repository(self, index: int) -> str:
        """The identifier of the repository at a place of the sorted list."""
        known = await self.core.repositories.list(False)
        if index < 0:
            raise InvalidInput(f"{index} is no place in a list: they are counted from 0")
        if index >= len(known):
            raise NotFound(
                f"there is no repository {index}: there are {len(known)}, counted from 0"
            )
        return known[index].identifier


def _variable_specification(
    name: str, specification: VariableSpecification, overrides: Mapping[str, str]
) -> o2control_pb2.VarSpecMessage:
    """A public variable of a template; the configuration's vars override a default's value."""
    default = specification.default_value
    if specification.in_defaults:
        default = overrides.get(name, default)
    return o2control_pb2.VarSpecMessage(
        defaultValue=default,
        type=specification.type,
        label=specification.label,
        description=specification.description,
        widget=specification.widget,
        panel=specification.panel,
        allowedValues=specification.allowed_values,
        index=specification.index,
        visibleIf=specification.visible_if,
        enabledIf=specification.enabled_if,
        rows=specification.rows,
    )
