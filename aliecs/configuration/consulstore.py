"""The tree of configuration in Consul, whose layout and values other programs share.

What Consul alone would not hold to is held to here, in its transactions: that no key has a value
and keys below it. Folders that people made in Consul's own pages are keys with a slash at their
end; they are seen where nothing is in them, and otherwise left out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zope.interface import implementer

from aliecs.configuration.consul import (
    MOST_OPERATIONS,
    Consul,
    Operation,
    Pair,
    Session,
)
from aliecs.configuration.tree import (
    changed,
    checked_value,
    folders_above,
    is_a_folder,
    is_a_value,
    is_folder_mark,
    key_or_mark,
    normal_key,
)
from aliecs.errors import Conflict
from aliecs.interfaces import IIndexedStore

_ATTEMPTS = 20
_LOOKED_AT_ALONE = 16


@implementer(IIndexedStore)
class ConsulStore:
    """The store in the Consul that `session` leads to."""

    def __init__(self, session: Session, reactor: Any) -> None:
        self.uri = f"consul://{session.address}"
        self.consul = Consul(session, reactor)
        self._kv = self.consul.kv

    async def start(self) -> None:
        """See `IConfigurationStore.start`: Consul must answer now, so that a wrong address is told
        at once."""
        await self._kv.get("o2")

    async def stop(self) -> None:
        """See `IConfigurationStore.stop`."""
        await self.consul.close()

    async def get(self, key: str) -> str | None:
        """See `IConfigurationStore.get`."""
        pair = await self._kv.get(normal_key(key))
        return None if pair is None else pair.text

    async def put(self, key: str, value: str) -> None:
        """See `IConfigurationStore.put`. Raises `Conflict` where there are keys below `key`, or a
        folder that it would lie in has a value, and `InvalidInput` for more than 512 KiB."""
        await self.put_all({normal_key(key): value})

    async def put_all(self, values: Mapping[str, str]) -> None:
        """Set many values, all or none up to some fifty; of more than that, those of the first
        transactions stay where a later one is refused."""
        changes = {key_or_mark(key): checked_value(key, value) for key, value in values.items()}
        changed({}, changes)
        wanted = await self._wanted(changes)
        for operations in _transactions(wanted):
            if problem := await self._kv.commit(operations):
                raise is_a_value(operations[problem.OpIndex].key)

    async def _wanted(self, changes: Mapping[str, str]) -> Mapping[str, str]:
        """The changes without folders that have something in them. Raises `Conflict`."""
        if len(changes) <= _LOOKED_AT_ALONE:
            return {key: value for key, value in changes.items() if await self._is_wanted(key)}
        # Of many it is cheaper to see at once what there is.
        common = posixpath.commonpath([key.rstrip("/") for key in changes])
        present = await self._kv.keys(f"{common}/" if common else "")
        result = changed(dict.fromkeys(_without_full_folders(present, ""), ""), changes)
        return {key: value for key, value in changes.items() if key in result}

    async def _is_wanted(self, key: str) -> bool:
        """False for a folder that has something in it already. Raises `Conflict`."""
        path = key.rstrip("/")
        below = await self._kv.keys(f"{path}/", separator="/")
        if not is_folder_mark(key):
            if any(name != f"{path}/" for name in below):
                raise is_a_folder(path)
            return True
        return not below

    async def delete(self, key: str) -> bool:
        """See `IConfigurationStore.delete`."""
        normal = normal_key(key)
        for _ in range(_ATTEMPTS):
            pair = await self._kv.get(normal, consistent=True)
            if pair is None:
                return False
            if await self._kv.delete(normal, pair.ModifyIndex):
                return True
        raise Conflict(f"{key} was changed {_ATTEMPTS} times while it was to be deleted")

    async def compare_and_delete(self, key: str, expected: str) -> bool:
        """See `IConfigurationStore.compare_and_delete`."""
        normal = normal_key(key)
        pair = await self._kv.get(normal, consistent=True)
        if pair is None or pair.text != expected:
            return False
        return await self._kv.delete(normal, pair.ModifyIndex)

    async def get_with_index(self, key: str) -> tuple[str | None, int]:
        """See `IIndexedStore.get_with_index`."""
        pair, index = await self._kv.get_with_index(normal_key(key))
        return (None if pair is None else pair.text), index

    async def list(self, prefix: str) -> Sequence[str]:
        """See `IConfigurationStore.list`. A key that ends in a slash is an empty folder."""
        folder = _folder(prefix)
        return tuple(key for key in _without_full_folders(await self._kv.keys(folder), folder))

    async def items(self, prefix: str) -> Mapping[str, str]:
        """See `IConfigurationStore.items`."""
        folder = _folder(prefix)
        pairs: dict[str, Pair] = {pair.Key: pair for pair in await self._kv.find(folder)}
        return {key: pairs[key].text for key in _without_full_folders(pairs, folder)}

    async def compare_and_set(self, key: str, expected: str | None, value: str) -> bool:
        """See `IConfigurationStore.compare_and_set`."""
        normal = normal_key(key)
        checked_value(key, value)
        pair = await self._kv.get(normal, consistent=True)
        if (None if pair is None else pair.text) != expected:
            return False
        if pair is None:
            await self._is_wanted(normal)
        index = 0 if pair is None else pair.ModifyIndex
        problem = await self._kv.commit(
            [*_no_values_above([normal]), Operation("cas", normal, value, index)]
        )
        if problem is not None and problem.OpIndex < len(folders_above(normal)):
            raise is_a_value(folders_above(normal)[problem.OpIndex])
        return problem is None


def _folder(prefix: str) -> str:
    return f"{normal_key(prefix)}/" if prefix.strip("/") else ""


def _without_full_folders(keys: Iterable[str], folder: str) -> Iterable[str]:
    """Sorted keys without the folder itself and without folders that have something in them."""
    ordered = sorted(key for key in keys if key != folder)
    for key, following in zip(ordered, [*ordered[1:], ""], strict=False):
        if not (is_folder_mark(key) and following.startswith(key)):
            yield key


def _no_values_above(keys: Iterable[str]) -> list[Operation]:
    folders = dict.fromkeys(folder for key in keys for folder in folders_above(key))
    return [Operation("check-not-exists", folder) for folder in folders]


def _transactions(changes: Mapping[str, str]) -> Iterable[Sequence[Operation]]:
    """The changes in as few transactions as Consul allows."""
    keys: list[str] = []
    checks: dict[str, None] = {}
    for key in changes:
        more = dict.fromkeys(folder for folder in folders_above(key) if folder not in checks)
        if keys and len(keys) + 1 + len(checks) + len(more) > MOST_OPERATIONS:
            yield _transaction(keys, changes)
            keys, checks = [], {}
            more = dict.fromkeys(folders_above(key))
        keys.append(key)
        checks.update(more)
    if keys:
        yield _transaction(keys, changes)


def _transaction(keys: Sequence[str], changes: Mapping[str, str]) -> Sequence[Operation]:
    sets = [Operation("set", key, changes[key]) for key in keys]
    return [*_no_values_above(keys), *sets]
