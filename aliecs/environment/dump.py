"""Files that loading a workflow leaves behind for people: `util.Dump`, and `dumpWorkflows`.

All of them lie in one folder, and whatever a template calls them, none leads out of it.
"""

from __future__ import annotations

import time
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from attrs import frozen

from aliecs.errors import Exhausted, InvalidInput, Unavailable
from aliecs.workflow.workflow import Workflow

MOST_BYTES = 4 * 1024 * 1024
"""Of one file."""
MOST_FILES = 1000
"""In the folder."""
_MODE = 0o644


@frozen
class Dumps:
    """The files in `folder`. With `workflows` every workflow that is loaded is written, too. Its
    methods block, and are called in loader threads."""

    folder: Path
    workflows: bool = False

    def write(self, name: str, text: str) -> None:
        """Write a file, replacing what it held. `name` is a path below the folder, also when it
        begins with a slash. Raises `InvalidInput`, `Exhausted` for too many files, and
        `Unavailable`."""
        parts = [part for part in PurePosixPath(name).parts if part != "/"]
        if not parts or ".." in parts or "\0" in name:
            raise InvalidInput(f"{name!r} is not the name of a file")
        content = text.encode("utf-8", "replace")
        if len(content) > MOST_BYTES:
            raise InvalidInput(f"{name!r} would have more than {MOST_BYTES} bytes")
        path = self.folder.joinpath(*parts)
        try:
            if not path.exists() and sum(1 for _ in self.folder.rglob("*")) >= MOST_FILES:
                raise Exhausted(f"{self.folder} has {MOST_FILES} files; remove some")
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.parent.resolve().is_relative_to(self.folder.resolve()):
                raise InvalidInput(f"{name!r} leads out of {self.folder}")
            path.write_bytes(content)
            path.chmod(_MODE)
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror}") from error

    def write_workflow(self, workflow: Workflow, document: dict[str, Any]) -> None:
        """Write a workflow as its template says it, and as it was made of it, where that is wanted.
        Raises as `write`."""
        if not self.workflows:
            return
        moment = f"{time.time():.6f}"
        template = workflow.template
        source = {
            "repository": template.repository,
            "revision": template.revision,
            "path": template.path,
            "text": template.text.decode("utf-8", "replace"),
        }
        for kind, value in (("unprocessed", source), ("processed", document)):
            text = msgspec.json.format(msgspec.json.encode(value)).decode()
            self.write(f"wf-{kind}-{moment}.json", text)
