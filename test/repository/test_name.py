"""What things in workflow repositories are called."""

from __future__ import annotations

import pytest

from aliecs.errors import InvalidInput
from aliecs.repository.name import (
    Protocol,
    TemplateName,
    parse_repository,
    parse_task_class,
    parse_workflow,
)

CONTROL = "github.com/AliceO2Group/ControlWorkflows"


@pytest.mark.parametrize(
    ("text", "protocol", "host", "folder", "name", "identifier", "url"),
    [
        (f"{CONTROL}/", "https", "github.com", "AliceO2Group", "ControlWorkflows", CONTROL,
         f"https://{CONTROL}.git"),
        (f"{CONTROL}.git", "https", "github.com", "AliceO2Group", "ControlWorkflows", CONTROL,
         f"https://{CONTROL}.git"),
        (f"https://{CONTROL}.git//", "https", "github.com", "AliceO2Group", "ControlWorkflows",
         CONTROL, f"https://{CONTROL}.git"),
        ("gitlab.cern.ch/a/b/c/d", "https", "gitlab.cern.ch", "a/b/c", "d",
         "gitlab.cern.ch/a/b/c/d", "https://gitlab.cern.ch/a/b/c/d.git"),
        ("github.com/A/tasks-repo", "https", "github.com", "A", "tasks-repo",
         "github.com/A/tasks-repo", "https://github.com/A/tasks-repo.git"),
        ("host.cern.ch:/opt/git/CW", "ssh", "host.cern.ch:", "/opt/git", "CW",
         "host.cern.ch:/opt/git/CW", "git@host.cern.ch:/opt/git/CW.git"),
        ("git-server:/opt/my.dir/CW", "ssh", "git-server:", "/opt/my.dir", "CW",
         "git-server:/opt/my.dir/CW", "git@git-server:/opt/my.dir/CW.git"),
        ("host.cern.ch:org/repo", "ssh", "host.cern.ch:", "org", "repo",
         "host.cern.ch:/org/repo", "git@host.cern.ch:org/repo.git"),
        ("git@host.cern.ch:org/repo", "ssh", "host.cern.ch:", "org", "repo",
         "host.cern.ch:/org/repo", "git@host.cern.ch:org/repo.git"),
        ("ssh://git@host/opt/repo", "ssh", "host:", "/opt", "repo", "host:/opt/repo",
         "git@host:/opt/repo.git"),
        ("/home/user/git/CW", "local", "", "/home/user/git", "CW", "/home/user/git/CW", ""),
        ("/home/user/my.dir/CW/", "local", "", "/home/user/my.dir", "CW",
         "/home/user/my.dir/CW", ""),
        ("file:///home/x/CW", "file", "file:", "/home/x", "CW", "file:/home/x/CW",
         "file:///home/x/CW"),
        ("file:/home/x/CW", "file", "file:", "/home/x", "CW", "file:/home/x/CW",
         "file:///home/x/CW"),
        ("builtin", "builtin", "", "", "builtin", "builtin", ""),
    ],
)  # fmt: skip
def test_repositories(
    text: str, protocol: str, host: str, folder: str, name: str, identifier: str, url: str
) -> None:
    parsed = parse_repository(text)
    assert parsed.protocol is Protocol(protocol)
    assert (parsed.host, parsed.folder, parsed.name) == (host, folder, name)
    assert parsed.identifier == identifier
    assert parsed.url == url
    assert parse_repository(identifier).identifier == identifier


def test_a_repository_with_a_revision() -> None:
    assert parse_repository(f"{CONTROL}@dummy-revision").revision == "dummy-revision"
    assert parse_repository("/home/a/b@main").revision == "main"
    assert parse_repository("git@host:a/b@main").revision == "main"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "/name",
        "./foo/bar",
        "foo/bar/baz",
        "site.com/path",
        "host:name",
        "github.com/A/B@r@r",
        "github.com//B",
        "github.com/../B",
        "/home/../etc",
        "file:relative/x",
        "http://github.com/A/B",
        "-option.x/A/B",
    ],
)
def test_what_names_no_repository(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_repository(text)


@pytest.mark.parametrize(
    ("expression", "repository", "path", "revision"),
    [
        ("demo", "", "workflows/demo.yaml", ""),
        ("demo.yaml", "", "workflows/demo.yaml", ""),
        ("demo@main", "", "workflows/demo.yaml", "main"),
        ("demo@feature/x", "", "workflows/demo.yaml", "feature/x"),
        ("sub/demo", "", "workflows/sub/demo.yaml", ""),
        (f"{CONTROL}/workflows/demo@v1.0", CONTROL, "workflows/demo.yaml", "v1.0"),
        ("/home/a/b/workflows/demo@local", "/home/a/b", "workflows/demo.yaml", "local"),
        ("host:/a/b/workflows/demo", "host:/a/b", "workflows/demo.yaml", ""),
    ],
)
def test_workflows(expression: str, repository: str, path: str, revision: str) -> None:
    assert parse_workflow(expression) == TemplateName(repository, path, revision)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "@main",
        "a@b@c",
        "a/workflows/b/workflows/c",
        "https://x/workflows/a",
        "../a",
        "a/../../b",
        "a b",
        "x/workflows/",
    ],
)
def test_what_is_no_workflow(expression: str) -> None:
    with pytest.raises(InvalidInput):
        parse_workflow(expression)


def test_task_classes() -> None:
    assert parse_task_class(f"{CONTROL}/tasks/readout@abc") == TemplateName(
        CONTROL, "tasks/readout.yaml", "abc"
    )
    assert parse_task_class("github.com/A/tasks/B/tasks/x@abc").repository == "github.com/A/tasks/B"
    for identifier in ("readout@abc", "/tasks/x@abc", f"{CONTROL}/tasks/../x", f"{CONTROL}/tasks/"):
        with pytest.raises(InvalidInput):
            parse_task_class(identifier)
