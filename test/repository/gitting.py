"""Makes git repositories for the tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


class WorkingCopy:
    """A git repository with a working folder, driven by the real git."""

    def __init__(self, path: Path, branch: str = "main") -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch", branch)

    def git(self, *arguments: str) -> str:
        """Run one git command; gives what it prints."""
        identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
        done = subprocess.run(
            ["git", "-C", str(self.path), *identity, *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        """Write a file, uncommitted."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, **files: str) -> str:
        """Commit workflow templates by their names; gives the hash."""
        for name, text in files.items():
            self.write(f"workflows/{name}.yaml", text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "test")
        return self.git("rev-parse", "HEAD")
