"""The embedded store: the tree of configuration in one SQLite file.

The default of a core on its own. Write-ahead logging lets other programs read and write the file at
the same time; every change is on the disk before it is told, so a run number is never given twice.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aliecs.configuration.tree import (
    folders_above,
    is_a_folder,
    is_a_value,
    is_folder_mark,
    keys_below,
)
from aliecs.errors import Unavailable

_BUSY_TIMEOUT_S = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
"""


class SqliteTree:
    """A tree in the SQLite file at `path`, which is made where it is missing. See `Tree`.

    To be used by one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.uri = f"sqlite://{path}"
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, and make it where it is missing."""
        with self._errors_told():
            self._connection = sqlite3.connect(
                self.path,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(_SCHEMA)
            # Configuration may hold what is not for everyone.
            self.path.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, key: str) -> str | None:
        """See `Tree.get`."""
        with self._errors_told() as connection:
            return _value(connection, key)

    def keys(self, prefix: str) -> list[str]:
        """See `Tree.keys`."""
        return [key for (key,) in self._select("key", prefix)]

    def items(self, prefix: str) -> dict[str, str]:
        """See `Tree.items`."""
        return dict(self._select("key, value", prefix))

    def _select(self, columns: str, prefix: str) -> list[Any]:
        bounds = keys_below(prefix) if prefix else ("", "\U0010ffff")
        with self._errors_told() as connection:
            rows = connection.execute(
                f"SELECT {columns} FROM entry WHERE key >= ? AND key < ? ORDER BY key",  # noqa: S608
                bounds,
            )
            return rows.fetchall()

    def change(self, changes: Mapping[str, str], expected: tuple[str, str | None] | None) -> bool:
        """See `Tree.change`."""
        with self._transaction() as connection:
            if expected is not None and _value(connection, expected[0]) != expected[1]:
                return False
            for key, value in changes.items():
                _set(connection, key, value)
            return True

    def delete(self, key: str, expected: str | None) -> bool:
        """See `Tree.delete`."""
        with self._transaction() as connection:
            if expected is not None and _value(connection, key) != expected:
                return False
            return connection.execute("DELETE FROM entry WHERE key = ?", (key,)).rowcount > 0

    @contextlib.contextmanager
    def _errors_told(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None and not self.path.parent.is_dir():
                raise Unavailable(f"the configuration store: {self.path.parent} is no folder")
            yield self._connection  # type: ignore[misc]
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"the configuration store {self.path}: {error}") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, with the file locked against every other writer from the start."""
        with self._errors_told() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _value(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM entry WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _set(connection: sqlite3.Connection, key: str, value: str) -> None:
    path = key.rstrip("/")
    below = connection.execute(
        "SELECT 1 FROM entry WHERE key >= ? AND key < ? LIMIT 1", keys_below(path)
    ).fetchone()
    if is_folder_mark(key):
        if _value(connection, path) is not None:
            raise is_a_value(path)
        if below is not None:
            return
    elif below is not None:
        raise is_a_folder(path)
    for folder in folders_above(key):
        if _value(connection, folder) is not None:
            raise is_a_value(folder)
        connection.execute("DELETE FROM entry WHERE key = ?", (folder + "/",))
    connection.execute(
        "INSERT INTO entry (key, value) VALUES (?, ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )
