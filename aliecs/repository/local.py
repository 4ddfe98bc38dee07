"""A repository of the user's own, used where it is.

Its git objects are read as those of any other; besides, the revision `local` stands for the files
in the folder as they are at that moment, committed or not, git repository or not. Nothing is
written.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from aliecs.errors import Conflict, InvalidInput, NotFound, Unavailable
from aliecs.repository.git import LARGEST_FILE, GitFolder
from aliecs.repository.name import LOCAL_REVISION

_ID_PREFIX = f"{LOCAL_REVISION}-"
_FOLDERS = ("workflows", "tasks", "jit")
_MOST_FILES = 5000


class LocalFolder:
    """The repository in the folder `path`. The methods are those of `GitFolder`."""

    def __init__(self, identifier: str, path: Path) -> None:
        self.identifier = identifier
        self.path = path
        self._git = GitFolder(identifier, path)

    @property
    def is_git(self) -> bool:
        """True where there are commits to read besides the files."""
        return (self.path / ".git").exists() or (self.path / "HEAD").is_file()

    def branches(self) -> list[str]:
        """`local`, and the branches where it is a git repository."""
        return [LOCAL_REVISION, *(self._git.branches() if self.is_git else [])]

    def tags(self) -> list[str]:
        """The tags where it is a git repository."""
        return self._git.tags() if self.is_git else []

    def resolve(self, revision: str) -> str:
        """The commit of `revision`; for `local` an identifier of the files' present content, so
        that tasks are taken for the same class exactly as long as nothing was edited."""
        if revision == LOCAL_REVISION:
            return self._content_id()
        if revision.startswith(_ID_PREFIX):
            return revision
        if self.is_git:
            return self._git.resolve(revision)
        raise NotFound(
            f"{self.path} is no git repository: its only revision is {LOCAL_REVISION!r}, not "
            f"{revision!r}"
        )

    def read(self, commit: str, path: str) -> bytes | None:
        """The content of a file, None where there is no such file.

        Raises `Conflict` where the files were edited since `commit` was made from them.
        """
        if not commit.startswith(_ID_PREFIX):
            return self._git.read(commit, path)
        if commit != self._content_id():
            raise Conflict(
                f"files of {self.path} were changed while they were being loaded; try again"
            )
        file = self.path / path
        if not file.resolve().is_relative_to(self.path.resolve()):
            raise InvalidInput(f"{file} leads out of its repository")
        return self._content(file)

    def names(self, commit: str, folder: str) -> list[str]:
        """The names of the files directly in a folder, sorted."""
        if not commit.startswith(_ID_PREFIX):
            return self._git.names(commit, folder)
        return sorted(file.name for file in self._files(folder))

    def has_folder(self, commit: str, folder: str) -> bool:
        """True where there is such a folder."""
        if not commit.startswith(_ID_PREFIX):
            return self._git.has_folder(commit, folder)
        return (self.path / folder).is_dir()

    def _files(self, folder: str) -> list[Path]:
        try:
            files = [file for file in (self.path / folder).iterdir() if file.is_file()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"{self.path}: {error.strerror}") from error
        if len(files) > _MOST_FILES:
            raise InvalidInput(f"{self.path / folder} has more than {_MOST_FILES} files")
        return files

    def _content(self, file: Path) -> bytes | None:
        try:
            with file.open("rb") as opened:
                content = opened.read(LARGEST_FILE + 1)
        except (FileNotFoundError, IsADirectoryError):
            return None
        except OSError as error:
            raise Unavailable(f"{file}: {error.strerror}") from error
        if len(content) > LARGEST_FILE:
            raise InvalidInput(f"{file} has more than {LARGEST_FILE} bytes")
        return content

    def _content_id(self) -> str:
        if not self.path.is_dir():
            raise Unavailable(f"the repository {self.identifier}: there is no such folder")
        digest = hashlib.sha256()
        for folder in _FOLDERS:
            for file in sorted(self._files(folder)):
                if folder == "jit" or file.suffix == ".yaml":
                    content = hashlib.sha256(self._content(file) or b"").hexdigest()
                    digest.update(f"{folder}/{file.name}\0{content}\n".encode())
        return _ID_PREFIX + digest.hexdigest()[:40]
