"""What payloads were before they were overwritten or deleted.

Kept in the tree itself, so that every store has it: under `o2/history/components/<path>/@<time>`,
the moment of the replacement in UTC, a JSON object with the former payload, who replaced it, when
and why. Each entry keeps its last 20.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from attrs import field, frozen
from twisted.logger import Logger

from aliecs.configuration.query import ComponentQuery
from aliecs.errors import AliecsError, Conflict, InvalidInput, NotFound
from aliecs.interfaces import HistoricPayload, IConfigurationStore

HISTORY = "o2/history/components"
KEPT = 20

_ATTEMPTS = 50
_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"

_log = Logger()


class _Record(msgspec.Struct, omit_defaults=True):
    """The value of one key."""

    payload: str
    user: str = ""
    time_ms: int = 0
    comment: str = ""


@frozen
class History:
    """The history in `store`. `now_s` is the Unix time."""

    store: IConfigurationStore
    now_s: Callable[[], float] = field(default=time.time)

    async def keep(self, query: ComponentQuery, payload: str, user: str, comment: str) -> str:
        """Keep the payload of `query`, which is about to be replaced; gives its version."""
        moment = datetime.fromtimestamp(self.now_s(), UTC)
        record = _Record(payload, user, int(moment.timestamp() * 1000), comment)
        value = msgspec.json.encode(record).decode()
        versions = await self._versions(query)
        if versions:
            # Clocks go back; the order of what happened does not.
            last = datetime.strptime(versions[-1], _FORM).replace(tzinfo=UTC)
            moment = max(moment, last + timedelta(microseconds=1))
        for _ in range(_ATTEMPTS):
            version = moment.strftime(_FORM)
            try:
                kept = await self.store.compare_and_set(_key(query, version), None, value)
            except InvalidInput as error:
                raise InvalidInput(
                    f"{query}: the present payload cannot be kept in the history: {error.message}"
                ) from error
            if kept:
                return version
            moment += timedelta(microseconds=1)
        raise Conflict(f"{query}: too many others change it now")

    async def drop(self, query: ComponentQuery, version: str) -> None:
        """Forget one that was kept for a replacement that did not come about."""
        await self.store.delete(_key(query, version))

    async def trim(self, query: ComponentQuery) -> None:
        """Forget the oldest beyond those that are kept. A failure is logged: what matters is done
        by then."""
        try:
            for version in (await self._versions(query))[:-KEPT]:
                await self.store.delete(_key(query, version))
        except AliecsError as error:
            _log.warn("the history of {query} is too long: {error}", query=query, error=error)

    async def all(self, query: ComponentQuery) -> Sequence[HistoricPayload]:
        """What the payload was before, the newest first."""
        folder = _folder(query)
        found = []
        for key, value in (await self.store.items(folder)).items():
            version = _version(folder, key)
            if version:
                found.append(_about(version, _record(key, value)))
        return sorted(found, key=lambda about: about.version, reverse=True)

    async def get(self, query: ComponentQuery, version: str) -> tuple[HistoricPayload, str]:
        """One of them, with its text. Raises `NotFound`."""
        if "/" in version or not version:
            raise InvalidInput(f"{version!r} is not the version of a payload")
        key = _key(query, version)
        value = await self.store.get(key)
        if value is None:
            raise NotFound(f"{query} had no payload {version}, or it is too old to be kept")
        record = _record(key, value)
        return _about(version, record), record.payload

    async def _versions(self, query: ComponentQuery) -> list[str]:
        folder = _folder(query)
        versions = (_version(folder, key) for key in await self.store.list(folder))
        return sorted(version for version in versions if version)


def _folder(query: ComponentQuery) -> str:
    return f"{HISTORY}/{query}"


def _key(query: ComponentQuery, version: str) -> str:
    return f"{_folder(query)}/@{version}"


def _version(folder: str, key: str) -> str:
    """The version of a key in the folder of an entry; empty for what belongs to entries below."""
    name = key.removeprefix(f"{folder}/")
    if not name.startswith("@") or "/" in name:
        return ""
    try:
        datetime.strptime(name[1:], _FORM)
    except ValueError:
        return ""
    return name[1:]


def _record(key: str, value: str) -> _Record:
    try:
        return msgspec.json.decode(value.encode(), type=_Record)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise Conflict(f"{key} is no record of a payload: {error}") from None


def _about(version: str, record: _Record) -> HistoricPayload:
    return HistoricPayload(
        version=version,
        replaced_ms=record.time_ms,
        replaced_by=record.user,
        comment=record.comment,
        size_bytes=len(record.payload.encode()),
    )
