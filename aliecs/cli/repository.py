"""`coconut repository` and `coconut template`: where workflows come from, and which there are."""

from __future__ import annotations

import itertools

import click
from rich.text import Text
from rich.tree import Tree

from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.session import session
from aliecs.errors import InvalidInput
from aliecs.protocol.protos import o2control_pb2

repositories = Group("repository", help="Look at workflow repositories.")
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
templates.add(templates.command("list")(list_templates), "ls", "l")
