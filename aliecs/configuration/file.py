"""The tree of configuration in one YAML (or JSON) file, which people may edit while we use it.

The file is read again whenever it has changed. A write replaces it as a whole, so a reader never
sees half of it; comments and layout are lost. Writers that come through here exclude one another
by a lock on a file beside it.
"""

from __future__ import annotations

import bisect
import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from aliecs.configuration.tree import changed, flatten, keys_below, nest
from aliecs.errors import Unavailable
from aliecs.language.document import parse_document


class FileTree:
    """A tree in the file at `path`, which must exist and may be empty. See `Tree`.

    To be used by one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.uri = f"file://{path}"
        self._signature: tuple[int, ...] | None = None
        self._values: dict[str, str] = {}
        self._keys: list[str] = []
        """The keys, sorted."""

    def open(self) -> None:
        """Read the file for the first time."""
        self._read()

    def close(self) -> None:
        """Forget what was read."""
        self._signature = None
        self._values, self._keys = {}, []

    def get(self, key: str) -> str | None:
        """See `Tree.get`."""
        return self._read().get(key)

    def keys(self, prefix: str) -> list[str]:
        """See `Tree.keys`."""
        self._read()
        if not prefix:
            return list(self._keys)
        first, behind = keys_below(prefix)
        begin, end = (bisect.bisect_left(self._keys, bound) for bound in (first, behind))
        return self._keys[begin:end]

    def items(self, prefix: str) -> dict[str, str]:
        """See `Tree.items`."""
        keys = self.keys(prefix)
        return {key: self._values[key] for key in keys}

    def change(self, changes: Mapping[str, str], expected: tuple[str, str | None] | None) -> bool:
        """See `Tree.change`."""
        with self._locked():
            values = self._read()
            if expected is not None and values.get(expected[0]) != expected[1]:
                return False
            self._write(changed(values, changes))
            return True

    def delete(self, key: str, expected: str | None) -> bool:
        """See `Tree.delete`."""
        with self._locked():
            values = self._read()
            if key not in values or expected not in (None, values[key]):
                return False
            self._write({name: value for name, value in values.items() if name != key})
            return True

    def _unavailable(self, error: OSError) -> Unavailable:
        hint = "; make it first, it may be empty" if isinstance(error, FileNotFoundError) else ""
        return Unavailable(f"the configuration file {self.path}: {error.strerror}{hint}")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unavailable(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> dict[str, str]:
        try:
            status = self.path.stat()
            signature = (status.st_ino, status.st_mtime_ns, status.st_size)
            if signature != self._signature:
                text = self.path.read_bytes()
                document = text.strip() and parse_document(text, str(self.path))
                self._values = flatten(document) if document else {}
                self._keys = sorted(self._values)
                self._signature = signature
        except OSError as error:
            raise self._unavailable(error) from error
        return self._values

    def _write(self, values: Mapping[str, str]) -> None:
        nested = nest(values)
        if self.path.suffix == ".json":
            text = json.dumps(nested, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        else:
            text = yaml.dump(nested, Dumper=_Dumper, allow_unicode=True, width=1000)
        try:
            mode = self.path.stat().st_mode & 0o777
            with tempfile.NamedTemporaryFile(
                "w",
                encoding="utf-8",
                dir=self.path.parent,
                prefix=f".{self.path.name}.",
                delete=False,
            ) as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            Path(file.name).replace(self.path)
        except OSError as error:
            raise self._unavailable(error) from error


class _Dumper(yaml.SafeDumper):
    """Writes texts so that they read back as the same texts, and long payloads readably."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Dumper.add_representer(str, _represent_text)
