"""Puts a tree that may wait for a disk behind `IConfigurationStore`: all its work is done by one
thread of its own, in the order in which it was asked for, and never on the reactor's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from aliecs.configuration.tree import Tree, checked_value, key_or_mark, normal_key
from aliecs.interfaces import IConfigurationStore

T = TypeVar("T")


@implementer(IConfigurationStore)
class ThreadedStore:
    """The store over `tree`. `reactor` is where results come back to."""

    def __init__(self, tree: Tree, reactor: Any) -> None:
        self.tree = tree
        self.uri = tree.uri
        self._reactor = reactor
        self._thread = ThreadPool(minthreads=0, maxthreads=1, name="configuration store")

    def _do(self, work: Callable[[], T]) -> Deferred[T]:
        result: Deferred[T] = deferToThreadPool(self._reactor, self._thread, work)
        return result

    async def start(self) -> None:
        """See `IConfigurationStore.start`."""
        self._thread.start()
        try:
            await self._do(self.tree.open)
        except BaseException:
            self._thread.stop()
            raise

    async def stop(self) -> None:
        """See `IConfigurationStore.stop`. Nothing to do where the start failed."""
        if not self._thread.started:
            return
        await self._do(self.tree.close)
        self._thread.stop()

    async def get(self, key: str) -> str | None:
        """See `IConfigurationStore.get`."""
        normal = normal_key(key)
        return await self._do(lambda: self.tree.get(normal))

    async def put(self, key: str, value: str) -> None:
        """See `IConfigurationStore.put`. Raises `Conflict` where there are keys below `key`, or a
        folder that it would lie in has a value."""
        changes = {normal_key(key): checked_value(key, value)}
        await self._do(lambda: self.tree.change(changes, None))

    async def put_all(self, values: Mapping[str, str]) -> None:
        """See `IConfigurationStore.put_all`: all or none."""
        changes = {key_or_mark(key): checked_value(key, value) for key, value in values.items()}
        await self._do(lambda: self.tree.change(changes, None))

    async def delete(self, key: str) -> bool:
        """See `IConfigurationStore.delete`."""
        normal = normal_key(key)
        return await self._do(lambda: self.tree.delete(normal, None))

    async def list(self, prefix: str) -> Sequence[str]:
        """See `IConfigurationStore.list`. A key that ends in a slash is an empty folder."""
        normal = _prefix(prefix)
        return tuple(await self._do(lambda: self.tree.keys(normal)))

    async def items(self, prefix: str) -> Mapping[str, str]:
        """See `IConfigurationStore.items`."""
        normal = _prefix(prefix)
        return await self._do(lambda: self.tree.items(normal))

    async def compare_and_set(self, key: str, expected: str | None, value: str) -> bool:
        """See `IConfigurationStore.compare_and_set`."""
        normal = normal_key(key)
        changes = {normal: checked_value(key, value)}
        return await self._do(lambda: self.tree.change(changes, (normal, expected)))

    async def compare_and_delete(self, key: str, expected: str) -> bool:
        """See `IConfigurationStore.compare_and_delete`."""
        normal = normal_key(key)
        return await self._do(lambda: self.tree.delete(normal, expected))


def _prefix(prefix: str) -> str:
    return normal_key(prefix) if prefix.strip("/") else ""
