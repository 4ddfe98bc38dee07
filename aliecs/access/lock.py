"""The locks of detectors: who has the say over a detector just now.

A lock has an owner, a reason, and an end where one was wanted; it can be handed over, and taken
away by those who may. Locks are kept in the core's memory, so that they survive it; nothing has
changed where they could not be written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
from attrs import define, field
from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from aliecs.errors import LockTaken, Unavailable
from aliecs.event.record import LockEvent
from aliecs.interfaces import Caller, Memory

NAME = "detector_locks"
"""The name of the memory's entry."""

_T = TypeVar("_T")


class Lock(msgspec.Struct, frozen=True):
    """A lock that somebody has. Times are Unix milliseconds; `expires_ms` is 0 for never. `person`
    is what the identity provider knows the owner by, empty where nobody knows it."""

    owner: str
    since_ms: int
    person: str = ""
    reason: str = ""
    expires_ms: int = 0

    def is_of(self, caller: Caller) -> bool:
        """True for the owner."""
        return caller.is_same_person(self.owner, self.person)


_decoder = msgspec.json.Decoder(dict[str, Lock])


@define(eq=False)
class Locks:
    """All locks of a core; `tell` hears of every change."""

    memory: Memory
    tell: Callable[[LockEvent], object]
    now_ms: Callable[[], int] = lambda: int(time.time() * 1000)
    _locks: dict[str, Lock] = field(factory=dict, init=False)
    _turn: DeferredLock = field(factory=DeferredLock, init=False)
    _log: Logger = field(factory=Logger, init=False)

    async def load(self) -> None:
        """Take over what an earlier core knew. Raises `AliecsError` where that cannot be read."""
        text = await self.memory.read(NAME)
        try:
            self._locks = _decoder.decode(text) if text else {}
        except msgspec.MsgspecError as error:
            raise Unavailable(
                f"the runtime entry aliecs/{NAME} cannot be understood: {error}; mend or delete it"
            ) from error

    def all(self) -> Mapping[str, Lock]:
        """The locks that are held, by detector."""
        return {name: lock for name, lock in self._locks.items() if not self._is_over(lock)}

    def of(self, detector: str) -> Lock | None:
        """The lock of a detector; None while it is free."""
        lock = self._locks.get(detector)
        return None if lock is None or self._is_over(lock) else lock

    def missing(self, detectors: Iterable[str], caller: Caller) -> Sequence[str]:
        """Those whose lock `caller` does not hold, sorted."""
        return sorted(
            name
            for name in set(detectors)
            if (lock := self.of(name)) is None or not lock.is_of(caller)
        )

    async def take(
        self,
        detectors: Sequence[str],
        caller: Caller,
        reason: str = "",
        lasts_s: float = 0.0,
        force: bool = False,
        skip_taken: bool = False,
    ) -> Sequence[str]:
        """Take the locks of all these detectors, or of none; those that the caller has already get
        the new reason and end where such are given. `skip_taken` leaves what others have. Gives
        the detectors whose lock the caller has now. Raises `LockTaken` that names the owner, and
        `AliecsError` where it could not be written down."""

        def change(locks: dict[str, Lock]) -> Sequence[str]:
            taken = [name for name in detectors if self._others(locks, name, caller) and not force]
            if taken and not skip_taken:
                raise LockTaken(self._who_has(locks, taken))
            mine = [name for name in detectors if name not in taken]
            now_ms = self.now_ms()
            for name in mine:
                before = locks.get(name)
                since_ms = now_ms
                if before is not None and not self._is_over(before) and before.is_of(caller):
                    if not reason and not lasts_s:
                        continue
                    since_ms = before.since_ms
                expires_ms = now_ms + round(lasts_s * 1000) if lasts_s else 0
                locks[name] = Lock(caller.name, since_ms, caller.person, reason, expires_ms)
            return mine

        return await self._change(change)

    async def release(
        self,
        detectors: Sequence[str],
        caller: Caller,
        force: bool = False,
        skip_taken: bool = False,
    ) -> Sequence[str]:
        """Free the locks of all these detectors, or none; free ones stay so. Gives those that were
        held until now. Raises as `take` does."""

        def change(locks: dict[str, Lock]) -> Sequence[str]:
            taken = [name for name in detectors if self._others(locks, name, caller) and not force]
            if taken and not skip_taken:
                raise LockTaken(self._who_has(locks, taken))
            freed = [name for name in detectors if name in locks and name not in taken]
            for name in freed:
                del locks[name]
            return freed

        return await self._change(change)

    async def hand_over(
        self,
        detectors: Sequence[str],
        caller: Caller,
        to: str,
        reason: str = "",
        force: bool = False,
    ) -> Sequence[str]:
        """Give locks to somebody else, who is known by a name only. Raises `LockTaken` where the
        caller does not have them, and as `take` does."""

        def change(locks: dict[str, Lock]) -> Sequence[str]:
            missing = [
                name
                for name in detectors
                if (lock := locks.get(name)) is None or not lock.is_of(caller)
            ]
            if missing and not force:
                raise LockTaken(
                    f"{self._who_has(locks, missing)}: only its owner can hand a lock over"
                )
            for name in detectors:
                locks[name] = Lock(to, self.now_ms(), reason=reason)
            return detectors

        return await self._change(change)

    async def sweep(self) -> None:
        """Forget the locks whose time is over, and tell of it."""
        if any(self._is_over(lock) for lock in self._locks.values()):
            await self._change(lambda locks: None)

    async def _change(self, change: Callable[[dict[str, Lock]], _T]) -> _T:
        """Change the locks, one change after the other: keep them, then tell."""
        await self._turn.acquire()
        try:
            before = self._locks
            locks = {name: lock for name, lock in before.items() if not self._is_over(lock)}
            result = change(locks)
            if locks != before:
                await self.memory.write(NAME, msgspec.json.encode(locks).decode())
                self._locks = locks
                for name in sorted({*before, *locks}):
                    if before.get(name) != locks.get(name):
                        self._tell(name, locks.get(name))
            return result
        finally:
            self._turn.release()

    def _tell(self, detector: str, lock: Lock | None) -> None:
        if lock is None:
            self._log.info("the lock of {detector} is free", detector=detector)
            self.tell(LockEvent(detector))
            return
        self._log.info(
            "{owner} has the lock of {detector}{reason}",
            owner=lock.owner,
            detector=detector,
            reason=f": {lock.reason}" if lock.reason else "",
        )
        self.tell(LockEvent(detector, lock.owner, lock.since_ms, lock.expires_ms, lock.reason))

    def _is_over(self, lock: Lock) -> bool:
        return bool(lock.expires_ms) and lock.expires_ms <= self.now_ms()

    def _others(self, locks: Mapping[str, Lock], detector: str, caller: Caller) -> bool:
        lock = locks.get(detector)
        return lock is not None and not lock.is_of(caller)

    def _who_has(self, locks: Mapping[str, Lock], detectors: Sequence[str]) -> str:
        texts = []
        for name in detectors:
            lock = locks.get(name)
            if lock is None or self._is_over(lock):
                texts.append(f"the lock of {name} is free")
                continue
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(lock.since_ms / 1000))
            why = f" ({lock.reason})" if lock.reason else ""
            texts.append(f"the lock of {name} is held by {lock.owner} since {since}{why}")
        return "; ".join(texts)
