"""The gate: who a caller is, and whether that caller may act on detectors.

Roles bind always, locks as `lock_policy` says: the reference's clients know nothing of locks of the
core, so that by default a missing one is a warning, told to the client, in the log and in the
audit.
"""

from __future__ import annotations

from collections.abc import Collection

from attrs import define

from aliecs.access.authorizers import Chain
from aliecs.access.lock import Locks
from aliecs.errors import LockMissing, RoleInsufficient
from aliecs.interfaces import Caller, Credentials, Role

ENFORCE, WARN, OFF = "enforce", "warn", "off"
"""What a missing lock means."""


@define(eq=False)
class Gate:
    """One for a core. `force_role` may take locks away from others."""

    chain: Chain
    locks: Locks
    lock_policy: str = WARN
    force_role: Role = Role.ADMIN

    async def recognise(self, credentials: Credentials) -> Caller:
        """The caller. Raises `Unauthenticated`."""
        return await self.chain.recognise(credentials)

    def check_role(self, caller: Caller, role: Role, what: str) -> None:
        """Raises `RoleInsufficient` for callers of a lesser role."""
        if not caller.unbound and caller.role < role:
            raise RoleInsufficient(
                f"{what} takes the role {role.name}; {caller.name} has {caller.role.name}"
            )

    def check_detectors(self, caller: Caller, detectors: Collection[str], what: str) -> None:
        """The caller's role covers these detectors. Raises `RoleInsufficient`. Without detectors it
        takes the role GLOBAL."""
        if caller.unbound or caller.role >= Role.GLOBAL:
            return
        self.check_role(caller, Role.DETECTOR, what)
        if not detectors:
            raise RoleInsufficient(
                f"{what} without detectors takes the role GLOBAL; {caller.name} has "
                f"{caller.role.name}"
            )
        foreign = sorted(set(detectors) - caller.detectors)
        if foreign:
            raise RoleInsufficient(
                f"{what} takes the role GLOBAL, or that of a detector for each of "
                f"{', '.join(sorted(detectors))}; {caller.name} lacks {', '.join(foreign)}"
            )

    def check_locks(self, caller: Caller, detectors: Collection[str], what: str) -> str:
        """The caller holds the locks of these detectors. Gives a warning, empty where there is
        none to give. Raises `LockMissing` where locks are enforced."""
        if caller.unbound or self.lock_policy == OFF:
            return ""
        missing = self.locks.missing(detectors, caller)
        if not missing:
            return ""
        texts = []
        for name in missing:
            lock = self.locks.of(name)
            texts.append(f"{name} ({f'held by {lock.owner}' if lock is not None else 'free'})")
        text = f"{what} without the lock of {', '.join(texts)}"
        if self.lock_policy == ENFORCE:
            raise LockMissing(f"{text}: take it first, or have it handed over", missing)
        return f"{text}; locks are not enforced here"

    def check_lock_action(self, caller: Caller, detectors: Collection[str], force: bool) -> None:
        """Taking, releasing or handing over these locks. Raises `RoleInsufficient`."""
        what = "a lock"
        if force:
            self.check_role(caller, self.force_role, "taking a lock from its owner")
        self.check_detectors(caller, detectors, what)
