"""One call of a workflow into an outside service.

The text of the call is an expression over the role's variables, in which the plugins' functions can
be called; a function may take its time, and has the time limit of its role. What it gives goes into
the variable that the role names under `return`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError

from aliecs.environment.history import Cause
from aliecs.errors import AliecsError, InvalidInput
from aliecs.event.record import CallEvent, OpStatus, Traits
from aliecs.interfaces import Call, CallFunction
from aliecs.language.duration import parse_duration
from aliecs.workflow.role import CallRole

if TYPE_CHECKING:
    from aliecs.environment.environment import Environment

DEFAULT_TIMEOUT_S = 30.0


async def perform(environment: Environment, role: CallRole) -> str:
    """Perform a call and tell its beginning and end. Gives why it failed, empty for success."""
    _tell(environment, role, OpStatus.STARTED)
    timeout_s = _timeout_s(role)
    try:
        work = Deferred.fromCoroutine(_evaluate(environment, role, timeout_s))
        output = await work.addTimeout(timeout_s, environment.facilities.clock)
    except TimeoutError:
        error = f"timed out after {role.timeout}"
    except CancelledError:
        _tell(environment, role, OpStatus.DONE_ERROR, error="given up")
        raise
    except AliecsError as problem:
        error = problem.message
    except Exception as problem:
        environment.log.failure("call {call} broke", call=role.func)
        error = f"{type(problem).__name__}: {problem}"
    else:
        if role.return_:
            role.set_runtime_variable(role.return_, output)
        _tell(environment, role, OpStatus.DONE_OK, output=output)
        return ""
    _tell(environment, role, OpStatus.DONE_ERROR, error=error)
    text = f"call {role.func} of role {role.path}: {error}"
    if role.critical and environment.takes_part(role):
        environment.fail_hook(Cause(text, environment.facilities.now_ms(), role=role.path))
    return text


async def _evaluate(environment: Environment, role: CallRole, timeout_s: float) -> str:
    variables = role.call_variables(environment.id)
    call = Call(
        function=role.func,
        environment_id=environment.id,
        role_path=role.path,
        trigger=role.trigger,
        await_=role.await_ or role.trigger,
        timeout_s=timeout_s,
        critical=role.critical,
        variables=variables,
        set_runtime_variable=environment.root.set_runtime_variable,
    )
    return await environment.evaluate_call(role, variables, _functions(environment, call))


def _functions(
    environment: Environment, call: Call
) -> Mapping[str, Mapping[str, Callable[..., Any]]]:
    """What the text of the call may call: each plugin's functions, bound to this call."""
    namespaces: dict[str, Mapping[str, Callable[..., Any]]] = {}
    for name, integration in environment.facilities.integrations.items():
        functions: dict[str, Callable[..., Any]] = dict(integration.load_functions(call.variables))
        for function_name, function in integration.functions().items():
            functions[function_name] = _bind(function, call)
        namespaces[name] = functions
    return namespaces


def _bind(function: CallFunction, call: Call) -> Callable[..., Awaitable[str]]:
    """The function for this call. It begins when its result is awaited, which is on the reactor:
    the text is evaluated in a loader thread, and plugins live on the reactor."""

    async def bound(*arguments: Any) -> str:
        result = function(call, *arguments)
        return result if isinstance(result, str) else await result

    return bound


def _timeout_s(role: CallRole) -> float:
    try:
        return parse_duration(role.timeout)
    except InvalidInput:
        return DEFAULT_TIMEOUT_S


def _tell(
    environment: Environment,
    role: CallRole,
    status: OpStatus,
    output: str = "",
    error: str = "",
) -> None:
    environment.facilities.bus.tell(
        CallEvent(
            func=role.func,
            callStatus=status,
            return_=role.return_,
            traits=Traits(role.trigger, role.await_ or role.trigger, role.timeout, role.critical),
            output=output,
            error=error,
            environmentId=environment.id,
            path=role.path,
        )
    )
