"""The test plugin: a service that is always there, to try workflows and hooks without one.

Functions of calls: `Noop()` does nothing, `Test()` records that it was called,
`TimestampObserver()` records which run times it could see, `CallOrderObserver()` appends to the
history of calls. `Test` fails when the role's variable `testplugin_fail` is `true`, and takes as
many seconds as its variable `testplugin_delay` says. Names and behaviour are those of upstream's
plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define
from twisted.internet import reactor
from twisted.internet.task import deferLater
from zope.interface import implementer

from aliecs.errors import AliecsError
from aliecs.interfaces import Call, CallFunction, IIntegration

TIMES = (
    "run_start_time_ms",
    "run_start_completion_time_ms",
    "run_end_time_ms",
    "run_end_completion_time_ms",
)


class TestPluginFailed(AliecsError):
    """The failure that a workflow asked for."""

    __test__ = False
    code = "testplugin"


@implementer(IIntegration)
@define(eq=False)
class TestPlugin:
    """See the module."""

    __test__ = False

    endpoint: str
    name: str = "testplugin"
    pretty_name: str = "Test plugin"

    async def start(self) -> None:
        """See `IIntegration`."""

    async def stop(self) -> None:
        """See `IIntegration`."""

    def connection_state(self) -> str:
        """See `IIntegration`."""
        return "READY"

    def data(self) -> str:
        """See `IIntegration`."""
        return "test_data"

    def environment_data(self, environment_id: str, detailed: bool) -> str:
        """See `IIntegration`."""
        return f"test_data_{environment_id}" if detailed else f"test_short_data_{environment_id}"

    def functions(self) -> Mapping[str, CallFunction]:
        """See `IIntegration`."""
        return {
            "Noop": lambda call: "",
            "Test": _test,
            "TimestampObserver": _observe_times,
            "CallOrderObserver": _observe_order,
        }

    def load_functions(self, variables: Mapping[str, str]) -> Mapping[str, Callable[..., Any]]:
        """See `IIntegration`."""
        return {"test": lambda *arguments: "test_data"}


async def _test(call: Call) -> str:
    delay = call.variables.get("testplugin_delay", "")
    if delay:
        await deferLater(reactor, float(delay))
    call.set_runtime_variable(f"{call.role_path}_called", "true")
    if call.variables.get("testplugin_fail") == "true":
        raise TestPluginFailed("the workflow asked for this call to fail (testplugin_fail)")
    return ""


def _observe_times(call: Call) -> str:
    for name in TIMES:
        if call.variables.get(name, "") not in ("", "0"):
            call.set_runtime_variable(f"{call.role_path}_saw_{name}", "true")
    return ""


def _observe_order(call: Call) -> str:
    history = call.variables.get("call_history", "")
    entries = [entry for entry in history.split(",") if entry]
    call.set_runtime_variable("call_history", ",".join([*entries, call.role_path]))
    return ""
