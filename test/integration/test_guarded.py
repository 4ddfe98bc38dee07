"""A plugin that breaks is told of, and reaches nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyObject

from aliecs.integration.guarded import DEADLINE_S, GuardedIntegration
from aliecs.interfaces import CallFunction, IIntegration
from aliecs.protocol.protos import o2control_pb2
from test.end_to_end.core import RunningCore

PLUGIN = '''
"""A plugin in which everything breaks."""
from twisted.plugin import IPlugin
from zope.interface import implementer
from aliecs.interfaces import IIntegration, IIntegrationFactory


@implementer(IIntegration)
class Broken:
    name = "broken"
    pretty_name = "Broken"
    endpoint = "nowhere"

    async def start(self):
        raise ZeroDivisionError("start")

    async def stop(self):
        raise ZeroDivisionError("stop")

    def connection_state(self):
        raise ZeroDivisionError("state")

    def data(self):
        return 5

    def environment_data(self, environment_id, detailed):
        raise ZeroDivisionError("environment")

    def functions(self):
        raise ZeroDivisionError("functions")

    def load_functions(self, variables):
        raise ZeroDivisionError("load functions")


@implementer(IIntegrationFactory, IPlugin)
class Factory:
    name = "broken"
    endpoint_setting = ""

    def make(self, endpoint):
        return Broken()


broken = Factory()
'''


@implementer(IIntegration)
class Moody:
    """Breaks or hangs as it is told."""

    name = "moody"
    pretty_name = "Moody"
    endpoint = ""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.hanging: Deferred[None] = Deferred()

    async def start(self) -> None:
        if self.fault is not None:
            raise self.fault
        await self.hanging

    async def stop(self) -> None:
        await self.start()

    def connection_state(self) -> str:
        return self._answer("READY")

    def data(self) -> str:
        return self._answer("known")

    def environment_data(self, environment_id: str, detailed: bool) -> str:
        return self._answer(environment_id)

    def functions(self) -> Mapping[str, CallFunction]:
        return self._answer({"F": lambda call: ""})

    def load_functions(self, variables: Mapping[str, str]) -> Mapping[str, Callable[..., Any]]:
        return self._answer({"f": lambda: ""})

    def _answer(self, answer: Any) -> Any:
        if self.fault is not None:
            raise self.fault
        return answer


@pytest.fixture
def complaints() -> Any:
    """What the log says of plugins, one text each."""
    seen: list[str] = []

    def observe(event: Mapping[str, Any]) -> None:
        if str(event.get("log_format", "")).startswith("the plugin"):
            seen.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)


def test_what_works_goes_through() -> None:
    wall = GuardedIntegration(Moody(), Clock())
    verifyObject(IIntegration, wall)
    assert wall.connection_state() == "READY"
    assert (wall.data(), wall.environment_data("e", True)) == ("known", "e")
    assert list(wall.functions()) == ["F"]
    assert list(wall.load_functions({})) == ["f"]


def test_what_breaks_is_logged_once_and_answers_nothing(complaints: list[str]) -> None:
    wall = GuardedIntegration(Moody(ZeroDivisionError("oh")), Clock())
    for _ in range(2):
        assert wall.connection_state() == "UNKNOWN"
        assert (wall.data(), wall.environment_data("e", True)) == ("", "")
        assert (wall.functions(), wall.load_functions({})) == ({}, {})
    assert len(complaints) == 5
    assert "the plugin moody broke in data" in complaints


@pytest.mark.parametrize("what", ["start", "stop"])
def test_what_hangs_is_given_up(complaints: list[str], what: str) -> None:
    clock = Clock()
    done = Deferred.fromCoroutine(getattr(GuardedIntegration(Moody(), clock), what)())
    clock.advance(DEADLINE_S - 1)
    assert not done.called
    clock.advance(1)
    assert done.called
    assert complaints == [f"the plugin moody did not {what} within 10 s"]


@pytest.mark.end_to_end
def test_the_core_and_its_environments_do_without_a_broken_plugin(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "twisted" / "plugins"
    folder.mkdir(parents=True)
    (folder / "broken_plugins.py").write_text(PLUGIN)
    with RunningCore(
        tmp_path,
        hosts=["flp001", "flp002", "epn001"],
        settings={"integrationPlugins": ["broken", "testplugin"]},
        variables={"PYTHONPATH": str(tmp_path / "plugins")},
    ) as core:
        # The demonstration calls the other plugin.
        environment_id = core.create("builtin/workflows/demo@main").id
        assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
        assert core.environment(environment_id).state == "RUNNING"
        reply = core.control_stub.GetIntegratedServices(o2control_pb2.Empty(), deadline_s=5)
        assert reply.services["broken"].connectionState == "UNKNOWN"
        assert reply.services["testplugin"].data == "test_data"
        core.destroy(environment_id, allowInRunningState=True)
        assert "the plugin broken did not start" in core.log()
        assert "ZeroDivisionError: start" in core.log()
