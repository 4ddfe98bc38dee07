"""`coconut repository` and `coconut template`: where workflows come from, and which there are."""

from __future__ import annotations

import itertools

import click
from google.protobuf.message import Message
from rich.text import Text
from rich.tree import Tree

from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.session import Session, session
from aliecs.errors import InvalidInput
from aliecs.protocol.protos import o2control_pb2

repositories = Group(
    "repository", help="Workflow repositories: which there are."
)
templates = Group("template", help="Look at workflow templates.")


def list_repositories() -> None:
    """List workflow repositories."""
    with session() as here:
        reply = here.ask("ListRepos", o2control_pb2.ListReposRequest())
        if not here.output.is_text:
            here.output.value(to_value(reply))
        elif not reply.repos:
            here.output.line("No repositories found.")
        else:
            here.output.line("Git repositories used as configuration sources:")
            here.output.line()
            here.output.table(
                ("id", "repository", "default", "default revision"),
                [
                    (str(index), repo.name, "YES" if repo.default else "", repo.defaultRevision)
                    for index, repo in enumerate(reply.repos)
                ],
            )
            here.output.line()
            here.output.line(f"Global default revision: {reply.globalDefaultRevision}")


@click.argument("repository")
@click.option("-d", "--default-revision", default="", help="its default revision")
def add_repository(repository: str, default_revision: str) -> None:
    """Add a workflow repository: host.tld/path/name, host:path/name, /path/name (used where it
    is) or file:///path/name (cloned)."""
    request = o2control_pb2.AddRepoRequest(name=repository, defaultRevision=default_revision)
    with session() as here:
        reply = here.move("AddRepo", request, "adding the repository")
        if not here.output.is_text:
            here.output.value(to_value(reply))
            return
        here.output.line(f"Repository added: {repository}")
        here.output.line(reply.info)


@click.argument("repository", metavar="ID")
def remove_repository(repository: str) -> None:
    """Remove a workflow repository, by its id or its whole name. A folder of your own stays."""
    with session() as here:
        index = _index(here, repository)
        reply = here.ask("RemoveRepo", o2control_pb2.RemoveRepoRequest(index=index))
        if not here.output.is_text:
            here.output.value(to_value(reply))
            return
        here.output.line(f"Repository removed: {repository}")
        if reply.newDefaultRepo:
            here.output.line(f"The default repository is now {reply.newDefaultRepo}")


@click.argument("repository", metavar="[ID]", default="")
def refresh_repositories(repository: str) -> None:
    """Fetch what is new in a workflow repository, or in all of them."""
    with session() as here:
        index = _index(here, repository) if repository else -1
        request = o2control_pb2.RefreshReposRequest(index=index)
        reply = here.move("RefreshRepos", request, "fetching")
        _done(here, reply, "Repository refreshed." if repository else "Repositories refreshed.")


@click.argument("repository", metavar="ID")
def set_default(repository: str) -> None:
    """Make a workflow repository the default, by its id or its whole name."""
    with session() as here:
        request = o2control_pb2.SetDefaultRepoRequest(index=_index(here, repository))
        _done(here, here.ask("SetDefaultRepo", request), f"Default repository set: {repository}")


@click.argument("arguments", metavar="[ID] REVISION", nargs=-1, required=True)
def set_default_revision(arguments: tuple[str, ...]) -> int:
    """Set the default revision of a workflow repository, or, without an ID, of those that are added
    from now on. Exit code 1 where the repository has no such revision."""
    if len(arguments) > 2:
        raise InvalidInput("give a revision, or a repository and a revision")
    *repository, revision = arguments
    with session() as here:
        if not repository:
            everywhere = o2control_pb2.SetGlobalDefaultRevisionRequest(revision=revision)
            reply = here.ask("SetGlobalDefaultRevision", everywhere)
            _done(here, reply, f"Global default revision set: {revision}")
            return 0
        request = o2control_pb2.SetRepoDefaultRevisionRequest(
            index=_index(here, repository[0]), revision=revision
        )
        reply = here.ask("SetRepoDefaultRevision", request)
        if not here.output.is_text:
            here.output.value(to_value(reply))
        elif not reply.info:
            here.output.line(f"Default revision of {repository[0]} set: {revision}")
        else:
            here.output.note(f"there is no revision {revision}; available revisions:")
            here.output.line(reply.info)
        return 1 if reply.info else 0


def _index(here: Session, repository: str) -> int:
    """The place of a repository, which is its id; a whole name serves as well."""
    if repository.isdecimal() and len(repository) < 9:
        return int(repository)
    known = here.ask("ListRepos", o2control_pb2.ListReposRequest()).repos
    name = repository.rstrip("/").removesuffix(".git")
    for index, repo in enumerate(known):
        if repo.name == name:
            return index
    raise InvalidInput(f"{repository!r} is neither an id nor a name of `coconut repository list`")


def _done(here: Session, reply: Message, text: str) -> None:
    if here.output.is_text:
        here.output.line(text)
    else:
        here.output.value(to_value(reply))


@click.argument("pattern", metavar="[REPOSITORY-PATTERN[@REVISION-PATTERN]]", default="")
@click.option("-r", "--repository", default="", help="glob over repositories, or an id")
@click.option("-i", "--revision", default="", help="glob over branches and tags, or a hash")
@click.option("-b", "--all-branches", is_flag=True, help="of all branches")
@click.option("-t", "--all-tags", is_flag=True, help="of all tags")
@click.option("-a", "--all-workflows", is_flag=True, help="also those that are not public")
@click.option("-d", "--show-description", is_flag=True, help="with their descriptions")
def list_templates(
    pattern: str,
    repository: str,
    revision: str,
    all_branches: bool,
    all_tags: bool,
    all_workflows: bool,
    show_description: bool,
) -> None:
    """List workflow templates, of the default revision of each repository unless told otherwise."""
    with session() as here:
        if pattern:
            if repository or revision:
                raise InvalidInput("name patterns either as argument or with -r and -i, not both")
            repository, _, revision = pattern.partition("@")
        if revision and (all_branches or all_tags):
            here.output.note("a revision is given: ignoring --all-branches and --all-tags")
            all_branches = all_tags = False
        request = o2control_pb2.GetWorkflowTemplatesRequest(
            repoPattern=repository,
            revisionPattern=revision,
            allBranches=all_branches,
            allTags=all_tags,
            allWorkflows=all_workflows,
        )
        reply = here.ask("GetWorkflowTemplates", request)
        if not here.output.is_text:
            here.output.value(to_value(reply))
            return
        found = sorted(
            reply.workflowTemplates, key=lambda info: (info.repo, info.revision, info.template)
        )
        if not found:
            here.output.line("No templates found.")
        for repo, of_repo in itertools.groupby(found, key=lambda info: info.repo):
            tree = Tree(Text(repo, style="blue"))
            for name, of_revision in itertools.groupby(of_repo, key=lambda info: info.revision):
                branch = tree.add(Text(f"[revision] {name}", style="yellow"))
                for info in of_revision:
                    label = Text(info.template)
                    if show_description and info.description:
                        label.append(f"\n{info.description.strip()}", style="dim")
                    branch.add(label)
            here.output.tree(tree)


repositories.add(repositories.command("list")(list_repositories), "l", "ls")
repositories.add(repositories.command("add")(add_repository), "new", "a")
repositories.add(repositories.command("remove")(remove_repository), "r", "delete", "del", "d")
repositories.add(repositories.command("refresh")(refresh_repositories), "update", "u")
repositories.add(repositories.command("default")(set_default))
repositories.add(repositories.command("default-revision")(set_default_revision))
templates.add(templates.command("list")(list_templates), "ls", "l")
