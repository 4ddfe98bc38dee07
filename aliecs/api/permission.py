"""Who may call what: each operation of the control API carries its rule, and this enforces it.

`@permit(rule)` stands at every operation of `control` and `extended`; gRPC and REST call the same
functions, so there is no way around it. A caller is recognised, the request is looked at, the role
and the locks that the rule asks for are checked; then it is done, and written to the audit if it
changes anything. What a client says of itself is replaced by what is known of it, unless it speaks
for others.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, TypeVar

from attrs import evolve, frozen
from google.protobuf.message import Message

from aliecs.access.audit import AuditEntry
from aliecs.access.gate import Gate
from aliecs.api.core import OPERATION_ID, Core
from aliecs.api.request import REASON
from aliecs.api.validation import check_request
from aliecs.environment.environment import Environment
from aliecs.environment.machine import EnvironmentState
from aliecs.errors import AliecsError, Unauthenticated
from aliecs.event.record import User
from aliecs.interfaces import Caller, Credentials, Role
from aliecs.protocol.identifier import is_identifier
from aliecs.protocol.protos import common_pb2, o2control_pb2
from aliecs.txgrpc.route import ServerCall
from aliecs.txgrpc.status import ERROR_CODE

WARNING = "aliecs-warning"
"""Trailing metadata: what was let pass, and would not be where locks are enforced."""
LONGEST_REASON = 1000
MOST_PERSON = 2**31 - 1

_Method = TypeVar("_Method", bound=Callable[..., Any])
Check = Callable[[Gate, Core, Any, ServerCall, str], None]
"""Takes the request and what it is called, for people. Raises `Forbidden`."""


@frozen
class Rule:
    """What an operation takes: a role at least, and for some a look at the request. `environment`
    gives the environment that a request is about; what `changes` nothing is not written down."""

    role: Role = Role.GUEST
    check: Check | None = None
    environment: Callable[[Core, Any], Environment | None] = lambda core, request: None
    changes: bool = True


def known_environment(core: Core, environment_id: str) -> Environment | None:
    """The environment of that id; None where there is none, which the operation itself refuses."""
    if not is_identifier(environment_id):
        return None
    return next((e for e in core.manager.environments() if e.id == environment_id), None)


def _named(core: Core, request: Any) -> Environment | None:
    fields = request.DESCRIPTOR.fields_by_name
    name = next((name for name in ("environment_id", "id") if name in fields), "")
    return known_environment(core, getattr(request, name)) if name else None


def _check_environment(gate: Gate, core: Core, request: Any, call: ServerCall, what: str) -> None:
    environment = _named(core, request)
    if environment is not None:
        check_detectors(gate, call, environment.concerned_detectors(), what)


def _check_destruction(
    gate: Gate,
    core: Core,
    request: o2control_pb2.DestroyEnvironmentRequest,
    call: ServerCall,
    what: str,
) -> None:
    """Killing one that is not in ERROR is for administrators, who may do it without the locks where
    they say why."""
    environment = _named(core, request)
    if environment is None:
        return
    if request.force:
        caller = caller_of(call)
        if environment.state is not EnvironmentState.ERROR:
            killing = f"killing an environment in {environment.state.value}"
            gate.check_role(caller, Role.ADMIN, killing)
        if caller.role is Role.ADMIN and reason_of(request, call):
            return
    check_detectors(gate, call, environment.concerned_detectors(), what)


def _check_operation(gate: Gate, core: Core, request: Any, call: ServerCall, what: str) -> None:
    """An operation may be given up by whoever asked for it, and by whom its environment is."""
    operation = core.manager.facilities.operations.find(request.id)
    if operation is None or operation.user.name == caller_of(call).name:
        return
    environment = known_environment(core, operation.environment_id)
    detectors = environment.concerned_detectors() if environment is not None else ()
    check_detectors(gate, call, detectors, what)


def _check_tasks(gate: Gate, core: Core, request: Any, call: ServerCall, what: str) -> None:
    """Tasks of an environment are its own; idle ones are nobody's."""
    fields = request.DESCRIPTOR.fields_by_name
    ids = request.task_ids if "task_ids" in fields else [request.task_id]
    for task_id in ids:
        task = core.roster.task(task_id)
        if task is None:
            continue
        environment = known_environment(core, task.environment_id)
        if environment is None:
            gate.check_role(caller_of(call), Role.ADMIN, f"{what} of a task without environment")
        else:
            check_detectors(gate, call, environment.concerned_detectors(), what)


def _check_lock(gate: Gate, core: Core, request: Any, call: ServerCall, what: str) -> None:
    caller = caller_of(call)
    if is_all(request.detector):
        gate.check_role(caller, Role.GLOBAL, "the locks of all detectors")
        if request.force:
            gate.check_lock_action(caller, ["*"], True)
        return
    gate.check_lock_action(caller, [request.detector.upper()], request.force)


def is_all(detector: str) -> bool:
    """True for the word that stands for all detectors where a lock is named."""
    return detector.upper() == "ALL"


READ = Rule(changes=False)
LOOK = Rule(Role.DETECTOR, changes=False)
"""Reads that make the core work: they load a workflow."""
CREATION = Rule(Role.DETECTOR)
"""Its detectors are known, and looked at, when the workflow is loaded: see `creation_permit`."""
GLOBAL = Rule(Role.GLOBAL)
ADMIN = Rule(Role.ADMIN)
ADMIN_READ = Rule(Role.ADMIN, changes=False)
ENVIRONMENT = Rule(Role.DETECTOR, _check_environment, _named)
DESTRUCTION = Rule(Role.DETECTOR, _check_destruction, _named)
OPERATION = Rule(Role.DETECTOR, _check_operation)
TASKS = Rule(Role.DETECTOR, _check_tasks)
LOCK = Rule(Role.DETECTOR, _check_lock)


def permit(rule: Rule) -> Callable[[_Method], _Method]:
    """An operation of the control API with its rule."""

    def guarded(method: _Method) -> _Method:
        name = method.__name__

        if inspect.iscoroutinefunction(method):

            @functools.wraps(method)
            async def unary(self: Any, request: Any, call: ServerCall) -> Any:
                core: Core = self.core
                entry = await _let_in(core, rule, name, request, call)
                if entry is None:
                    return await method(self, request, call)
                return await _audited(core, entry, method(self, request, call), call)

            wrapper: Any = unary
        else:

            @functools.wraps(method)
            async def stream(self: Any, request: Any, call: ServerCall) -> AsyncIterator[Any]:
                await _let_in(self.core, rule, name, request, call)
                async for reply in method(self, request, call):
                    if caller_of(call).ends_s <= time.time():
                        raise Unauthenticated(
                            "the credentials have come to their end: log in again"
                        )
                    yield reply

            wrapper = stream
        wrapper.rule = rule
        guarded_method: _Method = wrapper
        return guarded_method

    return guarded


def caller_of(call: ServerCall) -> Caller:
    """Who calls; known to every operation."""
    if call.caller is None:
        raise AssertionError(f"{call.path}: nobody looked who calls")
    return call.caller


def user_of(call: ServerCall) -> User:
    """The caller as events and hooks know people."""
    caller = caller_of(call)
    return User(externalId=number_of_person(caller.person), name=caller.name)


def number_of_person(person: str) -> int | None:
    """What the reference's messages have a field for, where a person is known by a number."""
    if not person.isascii() or not person.isdecimal() or len(person) > len(str(MOST_PERSON)):
        return None
    number = int(person)
    return number if number <= MOST_PERSON else None


def check_detectors(gate: Gate, call: ServerCall, detectors: Collection[str], what: str) -> None:
    """The caller may act on all these detectors. Raises `Forbidden`; a lock that is missing where
    locks are not enforced is told with the answer."""
    caller = caller_of(call)
    gate.check_detectors(caller, detectors, what)
    if warning := gate.check_locks(caller, detectors, what):
        call.trailing[WARNING] = warning


def creation_permit(core: Core, call: ServerCall) -> Callable[[Collection[str]], None]:
    """What a creation asks when it knows its detectors."""
    return lambda detectors: check_detectors(core.gate, call, detectors, "a new environment")


def reason_of(request: Any, call: ServerCall) -> str:
    """Why it is asked for: a field of the request, or metadata."""
    metadata = call.metadata
    given = getattr(request, "reason", "") or metadata.get(REASON) or metadata.get(f"{REASON}-bin")
    text = given or ""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return " ".join(text.split())[:LONGEST_REASON]


def credentials_of(call: ServerCall) -> Credentials:
    """What a gRPC call brings along."""
    text = call.metadata.get("authorization", "")
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    scheme, _, token = text.partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return Credentials(address_of(call.peer), call.certificate, bearer or text)


def address_of(peer: str) -> str:
    """The IP address of a peer as gRPC writes it, `ipv4:127.0.0.1:40000`; empty for others."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    host = rest.rpartition(":")[0]
    return host.replace("%5B", "").replace("%5D", "").strip("[]")


async def _let_in(
    core: Core, rule: Rule, name: str, request: Any, call: ServerCall
) -> AuditEntry | None:
    """Recognise, check, and open the audit of what is to be done; None where it changes nothing."""
    if call.caller is None:
        call.caller = await core.gate.recognise(credentials_of(call))
    check_request(request)
    call.caller = _speak(call.caller, request, call.peer)
    entry = _entry(core, rule, name, request, call) if rule.changes else None
    try:
        what = f"{name}"
        core.gate.check_role(call.caller, rule.role, what)
        if rule.check is not None:
            rule.check(core.gate, core, request, call, what)
    except AliecsError as refusal:
        if entry is not None:
            core.audit.refused(entry, refusal)
        raise
    if entry is not None:
        core.audit.begun(entry)
    return entry


def _speak(caller: Caller, request: Any, peer: str) -> Caller:
    """For whom a call speaks; the request says so afterwards as well."""
    fields = request.DESCRIPTOR.fields_by_name
    if "requestUser" in fields:
        return _speak_for_user(caller, request)
    if "requested_by" in fields:
        if caller.speaks_for_others and request.requested_by:
            return evolve(caller, name=request.requested_by)
        request.requested_by = _told(caller, peer)
    if caller.unbound:
        return evolve(caller, name=peer)
    return caller


def _speak_for_user(caller: Caller, request: Any) -> Caller:
    user: common_pb2.User = request.requestUser
    if caller.speaks_for_others:
        if not user.name:
            return caller
        person = str(user.externalId) if user.HasField("externalId") else ""
        return evolve(caller, name=user.name, person=person)
    request.ClearField("requestUser")
    user = request.requestUser
    user.name = caller.name
    number = number_of_person(caller.person)
    if number is not None:
        user.externalId = number
    return caller


def _told(caller: Caller, peer: str) -> str:
    return peer if caller.unbound else caller.name


def _entry(core: Core, rule: Rule, name: str, request: Message, call: ServerCall) -> AuditEntry:
    caller = caller_of(call)
    environment = rule.environment(core, request)
    return core.audit.entry(
        user=caller.name,
        person=caller.person,
        role=caller.role.name,
        way=caller.way,
        client=call.peer,
        action=name,
        environment_id=environment.id if environment is not None else "",
        reason=reason_of(request, call),
        request=request,
    )


async def _audited(core: Core, entry: AuditEntry, work: Any, call: ServerCall) -> Any:
    """Do it, and write down what became of it."""
    try:
        reply = await work
    except AliecsError as problem:
        _write_end(core, entry, call, problem.code, problem.message)
        raise
    except Exception as problem:
        _write_end(core, entry, call, "internal", type(problem).__name__)
        raise
    except BaseException:
        # A client that went away: what it began goes on.
        _write_end(core, entry, call, "left", "")
        raise
    _write_end(core, entry, call, str(call.trailing.get(ERROR_CODE, "")), "")
    return reply


def _write_end(core: Core, entry: AuditEntry, call: ServerCall, code: str, error: str) -> None:
    """A transition that failed answers without an error: its operation has it."""
    operation = core.manager.facilities.operations.find(_operation(call))
    if operation is not None:
        entry.environment_id = entry.environment_id or operation.environment_id
        error = error or operation.error
    core.audit.ended(entry, code, error, _operation(call), _warning(call))


def _operation(call: ServerCall) -> str:
    return str(call.trailing.get(OPERATION_ID, ""))


def _warning(call: ServerCall) -> str:
    return str(call.trailing.get(WARNING, ""))
