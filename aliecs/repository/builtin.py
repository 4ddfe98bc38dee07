"""The repository that comes with the core, made into a git repository like any other.

Its templates lie in `templates/` and `tasks/` of a source checkout, or in `share/aliecs` of an
installation. The commit depends on their content alone, so every core with the same templates has
the same hash; commits of earlier versions stay readable.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any

import pygit2
from attrs import frozen
from pygit2.enums import FileMode

import aliecs
from aliecs.errors import Unavailable
from aliecs.repository.git import GitFolder
from aliecs.repository.name import BUILTIN

_AUTHOR = ("AliECS", "aliecs@localhost")
_BRANCHES = ("main", "master")


@frozen
class BuiltinSource:
    """Where the files of the repository come from."""

    workflows: Path
    tasks: Path


def find_source() -> BuiltinSource:
    """The files that belong to this installation. Raises `Unavailable` where there are none."""
    checkout = Path(aliecs.__file__).resolve().parent.parent
    share = Path(sysconfig.get_path("data")) / "share" / "aliecs"
    candidates = (
        BuiltinSource(checkout / "templates", checkout / "tasks"),
        BuiltinSource(share / "workflows", share / "tasks"),
    )
    for source in candidates:
        if source.workflows.is_dir() and source.tasks.is_dir():
            return source
    places = " nor ".join(str(source.workflows) for source in candidates)
    raise Unavailable(f"the built-in repository: its templates are neither in {places}")


class BuiltinFolder(GitFolder):
    """The built-in repository at `path`, made from `source`."""

    def __init__(self, path: Path, source: BuiltinSource | None = None) -> None:
        super().__init__(BUILTIN, path)
        self.source = source

    def make(self) -> str:
        """Make the repository, or bring it up to date; gives the hash of its commit. Blocks."""
        source = self.source or find_source()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            repository = pygit2.init_repository(str(self.path), bare=True)
            root = repository.TreeBuilder()
            for name, folder in (("tasks", source.tasks), ("workflows", source.workflows)):
                root.insert(name, _tree(repository, folder), FileMode.TREE)
            author = pygit2.Signature(*_AUTHOR, 0, 0)
            commit = repository.create_commit(
                None, author, author, "Built-in workflows\n", root.write(), []
            )
            for branch in _BRANCHES:
                repository.references.create(f"refs/heads/{branch}", commit, force=True)
            repository.set_head(f"refs/heads/{_BRANCHES[0]}")
            repository.free()
        except (OSError, pygit2.GitError) as error:
            raise Unavailable(f"the built-in repository at {self.path}: {error}") from error
        return str(commit)


def _tree(repository: Any, folder: Path) -> Any:
    builder = repository.TreeBuilder()
    for file in sorted(folder.glob("*.yaml")):
        builder.insert(file.name, repository.create_blob(file.read_bytes()), FileMode.BLOB)
    return builder.write()
