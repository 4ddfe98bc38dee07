"""One git repository on this machine, read at any revision without a checkout.

Everything here blocks and is called in a thread. A `Repository` object is made for each call,
because one must not be used by two threads. `GitFolder` reads; `Clone` is one that follows a remote
repository: bare, with its branches under `refs/remotes/origin/` and its tags under
`refs/remotes/tags/`, so that a tag that moves there moves here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pygit2
from attrs import frozen
from pygit2.enums import FetchPrune

from aliecs.errors import Conflict, DeadlineExceeded, InvalidInput, NotFound, Unavailable

LARGEST_FILE = 4 * 1024 * 1024
"""Bytes of one template."""

_ORIGIN = "refs/remotes/origin/"
_ORIGIN_TAGS = "refs/remotes/tags/"
_BRANCHES = "refs/heads/"
_TAGS = "refs/tags/"
_HASH = re.compile(r"[0-9a-f]{4,40}")
_FULL_HASH = re.compile(r"[0-9a-f]{40}")
_UNFINISHED = ".clone-"
_SHOWN = 20


def is_hash(revision: str) -> bool:
    """True for a full commit hash."""
    return _FULL_HASH.fullmatch(revision) is not None


class GitFolder:
    """A git repository at `path`, called `identifier` in messages. Never written."""

    # Where names of revisions are looked for, the first hit wins.
    branch_prefixes: Sequence[str] = (_BRANCHES, _ORIGIN)
    tag_prefixes: Sequence[str] = (_TAGS,)

    def __init__(self, identifier: str, path: Path) -> None:
        self.identifier = identifier
        self.path = path

    def branches(self) -> list[str]:
        """Names of all branches, sorted."""
        with self._opened() as repository:
            return _names(repository, self.branch_prefixes)

    def tags(self) -> list[str]:
        """Names of all tags, sorted."""
        with self._opened() as repository:
            return _names(repository, self.tag_prefixes)

    def resolve(self, revision: str) -> str:
        """The full hash of the commit that `revision` stands for: a branch, else a tag, else a full
        or unambiguous hash. Raises `NotFound`, which tells what there is."""
        with self._opened() as repository:
            for prefix in (*self.branch_prefixes, *self.tag_prefixes):
                with contextlib.suppress(KeyError, ValueError, pygit2.GitError):
                    reference = repository.references[prefix + revision]
                    return str(reference.peel(pygit2.Commit).id)
            if _HASH.fullmatch(revision):
                try:
                    return str(repository[revision].peel(pygit2.Commit).id)
                except ValueError:
                    raise Conflict(
                        f"the repository {self.identifier} has several objects {revision}...; "
                        "write more of the hash"
                    ) from None
                except (KeyError, pygit2.GitError):
                    pass
            branches = _names(repository, self.branch_prefixes)
            tags = _names(repository, self.tag_prefixes)
        raise NotFound(
            f"the repository {self.identifier} has no revision {revision!r}; it has the branches "
            f"{_listed(branches)} and the tags {_listed(tags)}"
        )

    def read(self, commit: str, path: str) -> bytes | None:
        """The content of a file, None where there is no such file. Raises `InvalidInput` where it
        is too large."""
        with self._opened() as repository:
            blob = _entry(repository, commit, path)
            if not isinstance(blob, pygit2.Blob):
                return None
            if blob.size > LARGEST_FILE:
                raise InvalidInput(
                    f"{self.identifier}/{path} has {blob.size} bytes; {LARGEST_FILE} are allowed"
                )
            return bytes(blob.data)

    def names(self, commit: str, folder: str) -> list[str]:
        """The names of the files directly in a folder, sorted; none where there is no such
        folder."""
        with self._opened() as repository:
            tree = _entry(repository, commit, folder)
            if not isinstance(tree, pygit2.Tree):
                return []
            return sorted(str(entry.name) for entry in tree if isinstance(entry, pygit2.Blob))

    def has_folder(self, commit: str, folder: str) -> bool:
        """True where there is such a folder."""
        with self._opened() as repository:
            return isinstance(_entry(repository, commit, folder), pygit2.Tree)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            repository = pygit2.Repository(str(self.path))
        except pygit2.GitError as error:
            raise self._problem(error) from None
        try:
            yield repository
        except pygit2.GitError as error:
            raise self._problem(error) from None
        finally:
            repository.free()

    def _problem(self, error: Exception) -> Unavailable:
        text = str(error)
        if "not owned by" in text:
            return Unavailable(
                f"the repository {self.identifier}: {self.path} belongs to another user, and git "
                "does not read it; change its owner, or allow it with: git config --global --add "
                f"safe.directory {self.path}"
            )
        return Unavailable(f"the repository {self.identifier}: {text}")


@frozen
class Reach:
    """How a remote repository is reached: its address, a private key file (empty for none), how
    long one clone or fetch may take, and what is set when all of them are to be given up."""

    url: str
    ssh_key: str
    timeout_s: float
    closing: threading.Event


class Clone(GitFolder):
    """A bare clone at `path` of the repository that `reach` leads to."""

    branch_prefixes = (_ORIGIN,)
    tag_prefixes = (_ORIGIN_TAGS,)

    def __init__(self, identifier: str, path: Path, reach: Reach) -> None:
        super().__init__(identifier, path)
        self.reach = reach

    @property
    def exists(self) -> bool:
        """True where it was cloned before."""
        return self.path.is_dir()

    def update(self) -> None:
        """Clone, or fetch what is new and forget what is gone. Raises `Unavailable` where the
        remote cannot be reached, `DeadlineExceeded` where it takes too long; an existing clone
        stays as it was."""
        if self.exists:
            with self._opened() as repository:
                self._fetch(repository)
            return
        # Made beside its place and moved there when it is complete.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.path.parent))
        try:
            self._make(unfinished)
            unfinished.rename(self.path)
        except (OSError, pygit2.GitError) as error:
            raise Unavailable(f"the repository {self.identifier}: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def remove(self, root: Path) -> None:
        """Remove the clone, and the folders above it up to `root` that are empty then."""
        try:
            if self.exists:
                # Out of its place in one step: whoever reads it finds all of it or nothing.
                gone = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.path.parent))
                self.path.rename(gone / "removed")
                shutil.rmtree(gone)
            for folder in self.path.parents:
                if folder == root or not folder.is_relative_to(root):
                    break
                folder.rmdir()
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise Unavailable(f"the repository {self.identifier}: {error}") from error

    def _make(self, folder: Path) -> None:
        repository = pygit2.init_repository(str(folder), bare=True)
        try:
            repository.remotes.create("origin", self.reach.url, f"+{_BRANCHES}*:{_ORIGIN}*")
            repository.remotes.add_fetch("origin", f"+{_TAGS}*:{_ORIGIN_TAGS}*")
            repository.config["remote.origin.tagOpt"] = "--no-tags"
            self._fetch(repository)
        finally:
            repository.free()

    def _fetch(self, repository: Any) -> None:
        callbacks = _Callbacks(self.reach)
        try:
            repository.remotes["origin"].fetch(callbacks=callbacks, prune=FetchPrune.PRUNE)
        except _TooLong:
            raise DeadlineExceeded(
                f"the repository {self.identifier}: {self.reach.url} was not fetched within "
                f"{self.reach.timeout_s:g} s"
            ) from None
        except (pygit2.GitError, ValueError) as error:
            raise Unavailable(
                f"the repository {self.identifier}: {self.reach.url} cannot be fetched: {error}"
                f"{callbacks.hint}"
            ) from None


def remove_unfinished_clones(root: Path) -> None:
    """Remove what a core that ended in the middle of a clone left below `root`."""
    for folder, names, _ in os.walk(root):
        for name in [name for name in names if name.startswith(_UNFINISHED)]:
            shutil.rmtree(Path(folder, name), ignore_errors=True)
        # Nothing is cloned inside a clone.
        names[:] = [name for name in names if not name.endswith(".git")]


class _TooLong(Exception):
    pass


class _Callbacks(pygit2.RemoteCallbacks):
    """What libgit2 asks while it speaks to a remote."""

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self._ssh_key = reach.ssh_key
        self._closing = reach.closing
        self._end = time.monotonic() + reach.timeout_s
        self._asked = False
        self.hint = ""

    def transfer_progress(self, stats: Any) -> None:
        self._check_time()

    def sideband_progress(self, string: str) -> None:
        self._check_time()

    def _check_time(self) -> None:
        if self._closing.is_set() or time.monotonic() > self._end:
            raise _TooLong

    def credentials(self, url: str, username_from_url: str | None, allowed_types: Any) -> Any:
        if not self._ssh_key or self._asked:
            # A second question means that the first answer was refused.
            self.hint = "; it wants to know who we are (setting reposSshKey)"
            raise ValueError("no other credentials")
        self._asked = True
        return pygit2.Keypair(username_from_url or "git", None, self._ssh_key, "")

    def certificate_check(self, certificate: Any, valid: bool, host: Any) -> bool:
        if not valid:
            name = host.decode() if isinstance(host, bytes) else str(host)
            self.hint = (
                f"; the key of {name} is not known here (for ssh: ssh-keyscan {name} >> "
                "~/.ssh/known_hosts, after making sure that it is the right one)"
            )
        return bool(valid)


def limit_network_waits(timeout_s: float) -> None:
    """Bound every wait for a remote that says nothing, in this process."""
    milliseconds = max(1, round(timeout_s * 1000))
    pygit2.settings.server_connect_timeout = milliseconds
    pygit2.settings.server_timeout = milliseconds


def missing_file(identifier: str, path: str, revision: str, names: Sequence[str]) -> NotFound:
    """The error about a file that is not there; `names` are those that are."""
    folder, _, name = path.rpartition("/")
    what = {"workflows": "workflow template", "tasks": "task template"}.get(folder, "file")
    there = [other.removesuffix(".yaml") for other in names if other.endswith(".yaml")]
    return NotFound(
        f"the repository {identifier} has no {what} {name.removesuffix('.yaml')!r} at revision "
        f"{revision}; it has {_listed(there)}"
    )


def _names(repository: Any, prefixes: Sequence[str]) -> list[str]:
    found = {
        name.removeprefix(prefix)
        for name in repository.references
        for prefix in prefixes
        if name.startswith(prefix)
    }
    return sorted(found - {"HEAD"})


def _entry(repository: Any, commit: str, path: str) -> Any:
    try:
        return repository[commit].peel(pygit2.Tree)[path]
    except KeyError:
        return None


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "(none)"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
