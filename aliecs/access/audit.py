"""The audit: who did what, why, and with which result.

Everything that changes something is written down when it begins and again when it is over, also
what was refused; a line without an end says that the core ended meanwhile. It is kept in the
journal, for as long as the records of environments are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from attrs import define
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from twisted.logger import Logger

from aliecs.errors import AliecsError
from aliecs.journal import AuditQuery, Journal
from aliecs.protocol.identifier import IdentifierGenerator

LONGEST_REQUEST = 2_000
LONGEST_ERROR = 2_000


class AuditEntry(msgspec.Struct):
    """One line. Times are Unix milliseconds. `result` is empty while it goes on, `done`, `refused`,
    `failed`, or `left` where the client went away (what it began goes on); `code` is that of the
    error; `warning` what was let pass although a lock was missing."""

    id: str
    time_ms: int
    user: str
    action: str
    person: str = ""
    role: str = ""
    way: str = ""
    client: str = ""
    environment_id: str = ""
    reason: str = ""
    request: str = ""
    operation_id: str = ""
    result: str = ""
    code: str = ""
    error: str = ""
    warning: str = ""
    ended_ms: int = 0


_decoder = msgspec.json.Decoder(AuditEntry)
_RESULTS = {
    "": "done",
    "left": "left",
    # What a creation takes is known when its workflow is loaded.
    **dict.fromkeys(("forbidden", "role_insufficient", "lock_missing"), "refused"),
}


@define(eq=False)
class Audit:
    """The audit of one core."""

    journal: Journal
    identifiers: IdentifierGenerator
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    _log = Logger()

    def entry(self, request: Message | None = None, **values: Any) -> AuditEntry:
        """A line that is not written yet."""
        text = _text_of(request) if request is not None else ""
        return AuditEntry(id=self.identifiers.new(), time_ms=self.now_ms(), request=text, **values)

    def begun(self, entry: AuditEntry) -> None:
        """Write it: it is being done."""
        self._write(entry)
        self._log.info(
            "{user} ({client}): {action} {environment}{reason}",
            user=entry.user,
            client=entry.client,
            action=entry.action,
            environment=entry.environment_id,
            reason=f": {entry.reason}" if entry.reason else "",
        )

    def ended(
        self, entry: AuditEntry, code: str, error: str, operation_id: str = "", warning: str = ""
    ) -> None:
        """It is over; without a `code` it went well."""
        entry.ended_ms = self.now_ms()
        entry.result = _RESULTS.get(code, "failed")
        entry.code, entry.error = code, error[:LONGEST_ERROR]
        entry.operation_id, entry.warning = operation_id, warning
        if warning:
            self._log.warn("{user}: {warning}", user=entry.user, warning=warning)
        self._write(entry)

    def refused(self, entry: AuditEntry, refusal: AliecsError) -> None:
        """It was not done, because the caller may not."""
        entry.ended_ms = self.now_ms()
        entry.result, entry.code = "refused", refusal.code
        entry.error = refusal.message[:LONGEST_ERROR]
        self._log.warn(
            "{user} ({client}) was refused: {reason}",
            user=entry.user,
            client=entry.client,
            reason=refusal.message,
        )
        self._write(entry)

    async def read(self, query: AuditQuery) -> Sequence[AuditEntry]:
        """What was written down, newest first."""
        return [_decoder.decode(text) for text in await self.journal.audited(query)]

    def _write(self, entry: AuditEntry) -> None:
        self.journal.audit(
            entry.id,
            entry.time_ms,
            entry.user,
            entry.action,
            entry.environment_id,
            msgspec.json.encode(entry).decode(),
        )


def _text_of(request: Message) -> str:
    text = msgspec.json.encode(MessageToDict(request)).decode()
    return text if len(text) <= LONGEST_REQUEST else f"{text[:LONGEST_REQUEST]}..."
