"""The locks of detectors, the session of a caller and the audit, as `aliecs.v1` has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aliecs.access.audit import AuditEntry
from aliecs.api.core import Core
from aliecs.api.permission import LONGEST_REASON, caller_of, is_all
from aliecs.environment.environment import DETECTORS
from aliecs.errors import AliecsError, InvalidInput, NotFound
from aliecs.interfaces import Caller, Role
from aliecs.journal import AuditQuery
from aliecs.protocol import aliecs_v1_pb2
from aliecs.txgrpc.route import ServerCall

LONGEST_NAME = 100
LONGEST_LOCK_S = 30 * 86_400
LINES = 100
MOST_LINES = 10_000


def session_of(core: Core, call: ServerCall) -> aliecs_v1_pb2.Session:
    """Who calls."""
    caller = caller_of(call)
    return aliecs_v1_pb2.Session(
        name=caller.name,
        person=caller.person,
        role=caller.role.name,
        detectors=sorted(caller.detectors),
        recognised_by=caller.way,
        speaks_for_others=caller.speaks_for_others,
        roles_enforced=not caller.unbound,
        lock_policy=core.gate.lock_policy,
    )


async def list_locks(
    core: Core, request: aliecs_v1_pb2.ListLocksRequest, call: ServerCall
) -> aliecs_v1_pb2.ListLocksReply:
    """The locks of all detectors, or of some."""
    names = await _known(core)
    wanted = [_detector(name, names) for name in request.detectors] or names
    return aliecs_v1_pb2.ListLocksReply(locks=_locks(core, wanted, caller_of(call)))


async def take_lock(
    core: Core, request: aliecs_v1_pb2.TakeLockRequest, call: ServerCall
) -> aliecs_v1_pb2.LockReply:
    """Take one, or all."""
    caller, names = caller_of(call), await _known(core)
    reason = _reason(request.reason)
    if request.lasts_s > LONGEST_LOCK_S:
        raise InvalidInput(f"a lock lasts {LONGEST_LOCK_S} s at most; without a time it stays")
    every = is_all(request.detector)
    wanted = _mine_of_all(caller, names) if every else [_detector(request.detector, names)]
    mine = await core.gate.locks.take(
        wanted, caller, reason, float(request.lasts_s), request.force, skip_taken=every
    )
    return _reply(core, wanted, mine, caller)


async def release_lock(
    core: Core, request: aliecs_v1_pb2.ReleaseLockRequest, call: ServerCall
) -> aliecs_v1_pb2.LockReply:
    """Free one, or all."""
    caller, names = caller_of(call), await _known(core)
    _reason(request.reason)
    every = is_all(request.detector)
    wanted = _mine_of_all(caller, names) if every else [_detector(request.detector, names)]
    await core.gate.locks.release(wanted, caller, request.force, skip_taken=every)
    freed = [name for name in wanted if core.gate.locks.of(name) is None]
    return _reply(core, wanted, freed, caller)


async def hand_over_lock(
    core: Core, request: aliecs_v1_pb2.HandOverLockRequest, call: ServerCall
) -> aliecs_v1_pb2.LockReply:
    """Give one to somebody else; `ALL` are those that the caller has."""
    caller, names = caller_of(call), await _known(core)
    to = request.to.strip()
    if not to or len(to) > LONGEST_NAME:
        raise InvalidInput("to is not a name: the login name of whoever is to have the lock")
    reason = _reason(request.reason)
    wanted = [_detector(request.detector, names)] if not is_all(request.detector) else []
    if is_all(request.detector):
        held = core.gate.locks.all()
        wanted = sorted(name for name, lock in held.items() if lock.is_of(caller) or request.force)
    given = await core.gate.locks.hand_over(wanted, caller, to, reason, request.force)
    return _reply(core, wanted, given, caller)


async def list_audit(
    core: Core, request: aliecs_v1_pb2.ListAuditRequest
) -> aliecs_v1_pb2.ListAuditReply:
    """Lines of the audit."""
    query = AuditQuery(
        user=request.user,
        action=request.action,
        environment_id=request.environment_id,
        since_ms=request.since_ms,
        before=request.before,
        limit=min(request.limit or LINES, MOST_LINES),
    )
    return aliecs_v1_pb2.ListAuditReply(
        entries=[_entry(one) for one in await core.audit.read(query)]
    )


def _entry(entry: AuditEntry) -> aliecs_v1_pb2.AuditEntry:
    return aliecs_v1_pb2.AuditEntry(
        id=entry.id,
        time_ms=entry.time_ms,
        user=entry.user,
        person=entry.person,
        role=entry.role,
        recognised_by=entry.way,
        client=entry.client,
        action=entry.action,
        environment_id=entry.environment_id,
        reason=entry.reason,
        request=entry.request,
        operation_id=entry.operation_id,
        result=entry.result,
        code=entry.code,
        error=entry.error,
        warning=entry.warning,
        ended_ms=entry.ended_ms,
    )


async def _known(core: Core) -> Sequence[str]:
    """The detectors that there are: of the experiment, of the inventory (which may be away), and
    those whose lock somebody has."""
    try:
        inventory: Iterable[str] = await core.configuration.detectors(True)
    except AliecsError:
        inventory = ()
    names = {*DETECTORS, *inventory, *core.gate.locks.all()}
    return sorted({name.upper() for name in names})


def _detector(name: str, known: Sequence[str]) -> str:
    if name.upper() not in known:
        raise NotFound(f"there is no detector {name[:40]!r}; there are {', '.join(known)}")
    return name.upper()


def _mine_of_all(caller: Caller, names: Sequence[str]) -> Sequence[str]:
    if caller.unbound or caller.role >= Role.GLOBAL:
        return names
    return [name for name in names if name in caller.detectors]


def _reason(text: str) -> str:
    if len(text) > LONGEST_REASON:
        raise InvalidInput(f"the reason is longer than {LONGEST_REASON} characters")
    return " ".join(text.split())


def _reply(
    core: Core, wanted: Sequence[str], done: Sequence[str], caller: Caller
) -> aliecs_v1_pb2.LockReply:
    left = [name for name in wanted if name not in done]
    return aliecs_v1_pb2.LockReply(
        locks=_locks(core, done, caller), left_out=_locks(core, left, caller)
    )


def _locks(core: Core, names: Sequence[str], caller: Caller) -> list[aliecs_v1_pb2.Lock]:
    users = {
        detector: environment.id
        for environment in core.manager.environments()
        for detector in environment.concerned_detectors()
    }
    locks = []
    for name in names:
        lock = core.gate.locks.of(name)
        message = aliecs_v1_pb2.Lock(detector=name, environment_id=users.get(name, ""))
        if lock is not None:
            message.owner, message.since_ms = lock.owner, lock.since_ms
            message.reason, message.expires_ms = lock.reason, lock.expires_ms
            message.mine = lock.is_of(caller)
        locks.append(message)
    return locks
