"""Integrations are found by name through Twisted's plugins."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from aliecs.errors import SettingsError
from aliecs.integration.factory import known_factories, make_integrations
from aliecs.interfaces import Call, IIntegration, IIntegrationFactory


def test_the_test_plugin_is_found_and_complete() -> None:
    factory = known_factories()["testplugin"]
    verifyObject(IIntegrationFactory, factory)
    made = make_integrations(["testplugin"], {"testPluginEndpoint": "//127.0.0.1:0"}, Clock())
    verifyObject(IIntegration, made["testplugin"])
    assert made["testplugin"].endpoint == "//127.0.0.1:0"


def test_an_unknown_plugin_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="no plugin 'testplug'; there are kafka, testplugin"):
        make_integrations(["testplug"], {}, Clock())


class TestPluginTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.seen: dict[str, str] = {}
        self.functions = make_integrations(["testplugin"], {}, Clock())["testplugin"].functions()

    def call(self, name: str, **variables: str) -> Deferred[str]:
        call = Call(
            function=f"testplugin.{name}()",
            environment_id="env",
            role_path="root.call",
            trigger="before_CONFIGURE",
            await_="before_CONFIGURE",
            timeout_s=5,
            critical=True,
            variables=variables,
            set_runtime_variable=self.seen.__setitem__,
        )
        result = self.functions[name](call)
        if isinstance(result, str):
            done: Deferred[str] = Deferred()
            done.callback(result)
            return done
        return ensureDeferred(result)  # type: ignore[arg-type]

    def test_a_call_is_recorded(self) -> None:
        self.successResultOf(self.call("Test"))
        self.assertEqual(self.seen, {"root.call_called": "true"})

    def test_a_call_fails_when_asked_to(self) -> None:
        failure = self.failureResultOf(self.call("Test", testplugin_fail="true"))
        self.assertIn("asked for this call to fail", failure.getErrorMessage())

    def test_times_that_are_seen(self) -> None:
        self.successResultOf(
            self.call("TimestampObserver", run_start_time_ms="17", run_end_time_ms="")
        )
        self.assertEqual(self.seen, {"root.call_saw_run_start_time_ms": "true"})

    def test_the_order_of_calls(self) -> None:
        self.successResultOf(self.call("CallOrderObserver", call_history="a"))
        self.assertEqual(self.seen, {"call_history": "a,root.call"})
