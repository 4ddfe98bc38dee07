"""What people and templates call things in workflow repositories, taken apart.

Repositories (`github.com/AliceO2Group/ControlWorkflows`), workflow expressions
(`<repository>/workflows/<name>@<revision>`) and task classes
(`<repository>/tasks/<name>@<revision>`). The identifiers are upstream's: clients and the
configuration tree hold them.
"""

from __future__ import annotations

import enum
import re
from pathlib import PurePosixPath

from attrs import frozen

from aliecs.errors import InvalidInput

BUILTIN = "builtin"
"""Identifier of the repository that comes with the core."""
LOCAL_REVISION = "local"
"""Revision that stands for the files in a folder as they are now."""

_PREFIX = re.compile(r"(?:https://|(ssh://))?(?:git@)?", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_REVISION = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\@]{1,250}")
_NAME = re.compile(r"[A-Za-z0-9._+-]+(/[A-Za-z0-9._+-]+)*")


class Protocol(enum.Enum):
    """How a repository is reached."""

    HTTPS = "https"
    SSH = "ssh"
    FILE = "file"
    """Cloned from a folder of this machine."""
    LOCAL = "local"
    """Used where it is, and never written."""
    BUILTIN = "builtin"


@frozen
class RepositoryName:
    """A repository as it was named. `host` is as in its identifier (with the colon for ssh),
    `folder` what lies between host and name, `revision` what followed an `@`, or empty."""

    protocol: Protocol
    host: str
    folder: str
    name: str
    revision: str = ""

    @property
    def identifier(self) -> str:
        """What everyone calls it."""
        if self.protocol is Protocol.BUILTIN:
            return BUILTIN
        return str(PurePosixPath(self.host or "/", self.folder.lstrip("/"), self.name))

    @property
    def url(self) -> str:
        """Where it is cloned from; empty for what is not cloned."""
        path = f"{self.folder}/{self.name}"
        if self.protocol is Protocol.HTTPS:
            return f"https://{self.host}/{path}.git"
        if self.protocol is Protocol.SSH:
            # As typed: a path without a slash at its start counts from the user's home.
            return f"git@{self.host}{path}.git"
        if self.protocol is Protocol.FILE:
            return f"file://{path}"
        return ""


def parse_repository(text: str) -> RepositoryName:
    """Take a repository's name apart: `host.tld/path/name`, `host:path/name`, `/path/name`,
    `file:///path/name` (cloned, unlike the one before) or `builtin`, and `@<revision>` after it.

    Slashes and `.git` at the end do not count, nor do `https://`, `ssh://` and `git@` before it.
    Raises `InvalidInput`.
    """
    stripped = text.strip()
    prefix = _PREFIX.match(stripped)
    assert prefix is not None
    stripped = stripped[prefix.end() :]
    if prefix[1] and ":" not in stripped.partition("/")[0]:
        stripped = stripped.replace("/", ":/", 1)
    place, *revisions = stripped.split("@")
    if len(revisions) > 1:
        raise InvalidInput(f"the repository {text!r} has more than one @")
    revision = revisions[0] if revisions else ""
    place = place.rstrip("/").removesuffix(".git").rstrip("/")
    if place == BUILTIN:
        return RepositoryName(Protocol.BUILTIN, "", "", BUILTIN, revision)
    protocol, host, path = _split_place(text, place)
    folder, _, name = path.rpartition("/")
    if not name or not folder or "//" in path or {".", ".."} & set(path.split("/")):
        raise _no_repository(text)
    return RepositoryName(protocol, host, folder, name, revision)


def _split_place(text: str, place: str) -> tuple[Protocol, str, str]:
    """Protocol, host and path of a repository."""
    if place.startswith("/"):
        return Protocol.LOCAL, "", place
    if place.startswith("file:"):
        path = place.removeprefix("file:").removeprefix("//")
        if not path.startswith("/"):
            raise _no_repository(text)
        return Protocol.FILE, "file:", path
    first, slash, path = place.partition("/")
    host, colon, start = first.partition(":")
    if not _HOST.fullmatch(host):
        raise _no_repository(text)
    if colon:
        return Protocol.SSH, f"{host}:", f"{start}{slash}{path}"
    if "." not in host:
        raise _no_repository(text)
    return Protocol.HTTPS, host, path


def _no_repository(text: str) -> InvalidInput:
    return InvalidInput(
        f"{text!r} names no repository: write host.tld/path/name, host:path/name, /path/name, "
        "file:///path/name or builtin"
    )


@frozen
class TemplateName:
    """A file of a repository as it was named: `repository` is an identifier, empty for the default
    one; `path` is inside the repository; `revision` is empty where none was named."""

    repository: str
    path: str
    revision: str


def parse_workflow(expression: str) -> TemplateName:
    """Take a workflow expression apart: `name`, `name@rev` or `<identifier>/workflows/name[@rev]`.

    Raises `InvalidInput`.
    """
    if "://" in expression:
        raise InvalidInput(f"{expression!r}: workflows are loaded from repositories, not addresses")
    place, _, revision = expression.strip().partition("@")
    parts = place.split("/workflows/")
    if len(parts) > 2:
        raise InvalidInput(f"{expression!r} has more than one /workflows/")
    repository = parts[0] if len(parts) == 2 else ""
    name = parts[-1].removesuffix(".yaml")
    return TemplateName(
        repository, f"workflows/{_checked(name, expression)}.yaml", _revision(revision, expression)
    )


def parse_task_class(identifier: str) -> TemplateName:
    """Take the identifier of a task class apart: `<repository>/tasks/<name>@<revision>`.

    Raises `InvalidInput`.
    """
    place, _, revision = identifier.strip().partition("@")
    repository, separator, name = place.rpartition("/tasks/")
    if not separator or not repository:
        raise InvalidInput(
            f"{identifier!r} is no task class: it is <repository>/tasks/<name>@<revision>"
        )
    return TemplateName(
        repository, f"tasks/{_checked(name, identifier)}.yaml", _revision(revision, identifier)
    )


def checked_file_name(name: str, what: str) -> str:
    """`name`, where it stays inside its folder; `what` is told of it otherwise. Raises
    `InvalidInput`."""
    return _checked(name, what)


def checked_revision(revision: str) -> str:
    """`revision`, where it can be one: not empty, and of characters that git allows in names.
    Raises `InvalidInput`."""
    if not _REVISION.fullmatch(revision):
        raise InvalidInput(f"{revision[:100]!r} is not the name of a revision")
    return revision


def _checked(name: str, whole: str) -> str:
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise InvalidInput(f"{whole!r}: {name!r} is not the name of a template")
    return name


def _revision(revision: str, whole: str) -> str:
    if "@" in revision:
        raise InvalidInput(f"{whole!r} has more than one @")
    return revision
