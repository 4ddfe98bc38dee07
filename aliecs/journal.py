"""The write-ahead journal: what was intended, what was seen, and what became of it.

One SQLite file in the working directory, written by one thread of its own, which commits in groups:
whatever arrives within a few milliseconds shares one commit. Intents (an environment is created, a
task placed, a command sent, a run number taken, a transition begun) are committed before they are
acted on; observations are told at once and written with the next group. The journal is not an event
sink: the bus may lose a listener, the journal may not lose an entry.

It also keeps the record of every environment that ended and the audit (who did what), readable for
as long as `retention_days`.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from aliecs.errors import Exhausted, Unavailable

GROUP_INTERVAL_S = 0.003
"""How long the writer waits for company before it commits."""

QUEUE_BOUND = 200_000
"""Entries that may wait for the writer. A disk that falls behind further than this is a fault, and
intents are refused until it has caught up."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    environment_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_by_environment ON entry (environment_id, sequence);
CREATE TABLE IF NOT EXISTS environment (
    id TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS environment_by_end ON environment (ended_ms);
CREATE TABLE IF NOT EXISTS request (
    user TEXT NOT NULL,
    key TEXT NOT NULL,
    method TEXT NOT NULL,
    digest TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    operation_id TEXT NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (user, key)
);
CREATE INDEX IF NOT EXISTS request_by_time ON request (time_ms);
CREATE TABLE IF NOT EXISTS audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    time_ms INTEGER NOT NULL,
    user TEXT NOT NULL,
    action TEXT NOT NULL,
    environment_id TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (time_ms);
"""

_T = TypeVar("_T")


@frozen
class Entry:
    """One line of the journal. `body` is what the writer gave, JSON values."""

    sequence: int
    time_ms: int
    environment_id: str
    kind: str
    body: Mapping[str, Any]


@frozen
class EnvironmentRecord:
    """An environment as the journal remembers it; `ended_ms` is None while it lives."""

    environment_id: str
    created_ms: int
    ended_ms: int | None
    record: Mapping[str, Any]


@frozen
class KeptRequest:
    """A request that came with an idempotency key. `answer` is empty while there is none."""

    user: str
    key: str
    method: str
    digest: str
    time_ms: int
    operation_id: str
    answer: bytes


@frozen
class AuditQuery:
    """Which lines of the audit are wanted; an empty text asks for nothing in particular. `before`
    is the id of a line: only older ones."""

    user: str = ""
    action: str = ""
    environment_id: str = ""
    since_ms: int = 0
    before: str = ""
    limit: int = 100


@frozen
class _Write:
    statements: Sequence[tuple[str, Sequence[Any]]]
    committed: Deferred[None] | None


@frozen
class _Read:
    query: Callable[[sqlite3.Connection], Any]
    answered: Deferred[Any]


_STOP = object()


@define(eq=False)
class Journal:
    """The journal of one core.

    `path` is the SQLite file, made where it is missing. `reactor` is where Deferreds fire.
    """

    path: Path
    reactor: IReactorFromThreads
    retention_days: float = 90.0
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    _queue: queue.Queue[Any] = field(init=False, factory=lambda: queue.Queue(QUEUE_BOUND))
    _thread: threading.Thread | None = field(init=False, default=None)
    _lost: int = field(init=False, default=0)
    _log: Logger = field(init=False, factory=Logger)

    def start(self) -> None:
        """Open the file and start the writer. Raises `Unavailable` where the file cannot be used.

        Opening is a few milliseconds and happens once, before the core serves anyone.
        """
        if self._thread is not None:
            raise AssertionError("the journal runs already")
        connection = self._open()
        self._thread = threading.Thread(
            target=self._write_until_stopped, args=(connection,), name="journal", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, close the file and end the writer."""
        if self._thread is None:
            return
        self._queue.put(_STOP)
        self._thread.join()
        self._thread = None

    @property
    def waiting(self) -> int:
        """Entries that wait for the writer."""
        return self._queue.qsize()

    # --- writing ---------------------------------------------------------------------------

    async def intend(self, kind: str, environment_id: str, body: Mapping[str, Any]) -> None:
        """Write an intent and wait until it is committed: only then may it be acted on.

        Raises `Unavailable` where it cannot be written, and then the act must not happen.
        """
        await self._commit([self._entry_statement(kind, environment_id, body)])

    def observe(self, kind: str, environment_id: str, body: Mapping[str, Any]) -> None:
        """Write an observation with the next group; the caller does not wait."""
        self._write_soon([self._entry_statement(kind, environment_id, body)])

    def request(self, request: KeptRequest) -> None:
        """Write a request that came with a key, or what it was answered. It is written before all
        that is intended after it."""
        statement = (
            "INSERT OR REPLACE INTO request (user, key, method, digest, time_ms, operation_id, "
            "answer) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                request.user,
                request.key,
                request.method,
                request.digest,
                request.time_ms,
                request.operation_id,
                request.answer,
            ),
        )
        self._write_soon([statement])

    def forget_request(self, user: str, key: str) -> None:
        """A request with a key has done nothing, or is too old."""
        self._write_soon([("DELETE FROM request WHERE user = ? AND key = ?", (user, key))])

    def _write_soon(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        try:
            self._queue.put_nowait(_Write(statements, None))
        except queue.Full:
            self._lost += 1
            if self._lost == 1:
                self._log.critical(
                    "the journal is {bound} entries behind its disk: observations are being lost",
                    bound=QUEUE_BOUND,
                )

    async def environment_created(self, environment_id: str, record: Mapping[str, Any]) -> None:
        """Open the record of an environment; committed when this returns."""
        await self._commit(
            [
                (
                    "INSERT OR REPLACE INTO environment (id, created_ms, ended_ms, record) "
                    "VALUES (?, ?, NULL, ?)",
                    (environment_id, self.now_ms(), _text(record)),
                )
            ]
        )

    async def environment_ended(self, environment_id: str, record: Mapping[str, Any]) -> None:
        """Close the record of an environment with what is to be remembered of it."""
        await self._commit(
            [
                (
                    "INSERT INTO environment (id, created_ms, ended_ms, record) "
                    "VALUES (?1, ?2, ?2, ?3) "
                    "ON CONFLICT (id) DO UPDATE SET ended_ms = ?2, record = ?3",
                    (environment_id, self.now_ms(), _text(record)),
                )
            ]
        )

    def audit(
        self, line: str, time_ms: int, user: str, action: str, environment_id: str, body: str
    ) -> None:
        """Write a line of the audit, or write it anew, with the next group. `body` is JSON text."""
        statement = (
            "INSERT INTO audit (id, time_ms, user, action, environment_id, body) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
            "ON CONFLICT (id) DO UPDATE SET environment_id = ?5, body = ?6",
            (line, time_ms, user, action, environment_id, body),
        )
        self._write_soon([statement])

    # --- reading ---------------------------------------------------------------------------

    async def entries(self, environment_id: str) -> Sequence[Entry]:
        """All entries of one environment, oldest first."""

        def query(connection: sqlite3.Connection) -> list[Entry]:
            rows = connection.execute(
                "SELECT sequence, time_ms, environment_id, kind, body FROM entry "
                "WHERE environment_id = ? ORDER BY sequence",
                (environment_id,),
            )
            return [
                Entry(sequence, time_ms, environment, kind, msgspec.json.decode(body))
                for sequence, time_ms, environment, kind, body in rows
            ]

        return await self._read(query)

    async def living(self) -> Sequence[EnvironmentRecord]:
        """Environments whose end was never written: those of a core that was killed."""
        return await self._records("ended_ms IS NULL ORDER BY created_ms", ())

    async def ended(
        self, limit: int = 100, after: EnvironmentRecord | None = None
    ) -> Sequence[EnvironmentRecord]:
        """The environments that ended last, newest first; those that come `after` one of them."""
        if after is None:
            where = "ended_ms IS NOT NULL ORDER BY ended_ms DESC, id DESC LIMIT ?"
            return await self._records(where, (limit,))
        return await self._records(
            "(ended_ms, id) < (?, ?) ORDER BY ended_ms DESC, id DESC LIMIT ?",
            (after.ended_ms, after.environment_id, limit),
        )

    async def environment(self, environment_id: str) -> EnvironmentRecord | None:
        """The record of one environment, None where there is none (any more)."""
        found = await self._records("id = ?", (environment_id,))
        return found[0] if found else None

    async def requests(self, since_ms: int, limit: int) -> Sequence[KeptRequest]:
        """The last requests that came with keys, oldest first."""

        def query(connection: sqlite3.Connection) -> list[KeptRequest]:
            connection.execute("DELETE FROM request WHERE time_ms < ?", (since_ms,))
            rows = connection.execute(
                "SELECT user, key, method, digest, time_ms, operation_id, answer FROM request "
                "ORDER BY time_ms DESC LIMIT ?",
                (limit,),
            )
            return [KeptRequest(*row) for row in reversed(rows.fetchall())]

        return await self._read(query)

    async def audited(self, wanted: AuditQuery) -> Sequence[str]:
        """Lines of the audit as they were written, newest first."""

        def query(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                "SELECT body FROM audit WHERE (?1 = '' OR user = ?1) AND (?2 = '' OR action = ?2) "
                "AND (?3 = '' OR environment_id = ?3) AND time_ms >= ?4 AND (?5 = '' OR sequence < "
                "(SELECT sequence FROM audit WHERE id = ?5)) ORDER BY sequence DESC LIMIT ?6",
                (
                    wanted.user,
                    wanted.action,
                    wanted.environment_id,
                    wanted.since_ms,
                    wanted.before,
                    wanted.limit,
                ),
            )
            return [body for (body,) in rows]

        return await self._read(query)

    async def _records(self, where: str, values: Sequence[Any]) -> Sequence[EnvironmentRecord]:
        def query(connection: sqlite3.Connection) -> list[EnvironmentRecord]:
            # `where` is one of the constant texts above, never input.
            rows = connection.execute(
                f"SELECT id, created_ms, ended_ms, record FROM environment WHERE {where}",  # noqa: S608
                tuple(values),
            )
            return [
                EnvironmentRecord(name, created_ms, ended_ms, msgspec.json.decode(record))
                for name, created_ms, ended_ms, record in rows
            ]

        return await self._read(query)

    # --- the queue -------------------------------------------------------------------------

    def _entry_statement(
        self, kind: str, environment_id: str, body: Mapping[str, Any]
    ) -> tuple[str, Sequence[Any]]:
        return (
            "INSERT INTO entry (time_ms, environment_id, kind, body) VALUES (?, ?, ?, ?)",
            (self.now_ms(), environment_id, kind, _text(body)),
        )

    async def _commit(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> None:
        committed: Deferred[None] = Deferred()
        self._put(_Write(statements, committed))
        await committed

    async def _read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        answered: Deferred[Any] = Deferred()
        self._put(_Read(query, answered))
        result: _T = await answered
        return result

    def _put(self, item: _Write | _Read) -> None:
        if self._thread is None:
            raise Unavailable("the journal is closed: the core is starting or ending")
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            raise Exhausted(
                f"the journal is {QUEUE_BOUND} entries behind its disk ({self.path}): "
                "look at the disk, then try again"
            ) from None

    # --- in the writer's thread ------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self.path, timeout=10.0, check_same_thread=False, isolation_level=None
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(_SCHEMA)
            self._forget_old(connection)
        except sqlite3.Error as error:
            raise Unavailable(f"the journal {self.path} cannot be opened: {error}") from error
        return connection

    def _forget_old(self, connection: sqlite3.Connection) -> None:
        horizon = self.now_ms() - int(self.retention_days * 86_400_000)
        connection.execute(
            "DELETE FROM entry WHERE environment_id IN "
            "(SELECT id FROM environment WHERE ended_ms < ?)",
            (horizon,),
        )
        connection.execute("DELETE FROM environment WHERE ended_ms < ?", (horizon,))
        connection.execute("DELETE FROM audit WHERE time_ms < ?", (horizon,))

    def _write_until_stopped(self, connection: sqlite3.Connection) -> None:
        forget_at = time.monotonic() + 86_400.0
        try:
            while True:
                group, stopping = self._gather()
                if group:
                    self._commit_group(connection, group)
                if stopping:
                    return
                if time.monotonic() > forget_at:
                    forget_at = time.monotonic() + 86_400.0
                    self._forget_old(connection)
        finally:
            connection.close()

    def _gather(self) -> tuple[list[_Write | _Read], bool]:
        """Wait for one item, then take all that come within the group interval."""
        group: list[_Write | _Read] = []
        item = self._queue.get()
        end = time.monotonic() + GROUP_INTERVAL_S
        while item is not _STOP:
            group.append(item)
            try:
                item = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return group, False
        return group, True

    def _commit_group(self, connection: sqlite3.Connection, group: list[_Write | _Read]) -> None:
        writes = [item for item in group if isinstance(item, _Write)]
        failure: Exception | None = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            for write in writes:
                for statement, values in write.statements:
                    connection.execute(statement, values)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            failure = Unavailable(f"the journal {self.path} cannot be written: {error}")
            self._log.critical("{reason}", reason=str(failure))
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        waiting = [write.committed for write in writes if write.committed is not None]
        if waiting:
            self.reactor.callFromThread(_fire, waiting, failure)
        for item in group:
            if isinstance(item, _Read):
                self._answer(connection, item)

    def _answer(self, connection: sqlite3.Connection, read: _Read) -> None:
        try:
            answer = read.query(connection)
        except (sqlite3.Error, msgspec.DecodeError) as error:
            problem = Unavailable(f"the journal {self.path} cannot be read: {error}")
            self.reactor.callFromThread(read.answered.errback, problem)
        else:
            self.reactor.callFromThread(read.answered.callback, answer)


def _fire(waiting: Sequence[Deferred[None]], failure: Exception | None) -> None:
    for committed in waiting:
        if committed.called:
            continue
        if failure is None:
            committed.callback(None)
        else:
            committed.errback(failure)


def _text(body: Mapping[str, Any]) -> str:
    return msgspec.json.encode(body).decode()
