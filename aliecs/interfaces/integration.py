"""Outside services that environments work with, and who takes events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen
from zope.interface import Attribute, Interface


@frozen
class Call:
    """One call into an outside service, as a plugin's function sees it.

    `variables` is the role's consolidated stack with the `__call_*` entries. A function that
    fails raises `AliecsError`; its text is the cause.
    """

    function: str
    environment_id: str
    role_path: str
    trigger: str
    await_: str
    timeout_s: float
    critical: bool
    variables: Mapping[str, str]
    set_runtime_variable: Callable[[str, str], None] = field(eq=False)
    """Set a variable on the environment's root role, for all to see."""


CallFunction = Callable[..., "str | Awaitable[str]"]
"""A plugin's function: takes the call and the template's own arguments, gives the output text."""


class IIntegrationFactory(Interface):
    """Makes an integration. Found through `twisted.plugin`, one for each kind of service."""

    name: str = Attribute("the namespace in templates, and the key in the control API")
    endpoint_setting: str = Attribute("the setting that carries the endpoint")

    def make(endpoint: str) -> IIntegration:
        """An integration that talks to `endpoint`."""


class IIntegration(Interface):
    """An outside service that environments work with."""

    name: str = Attribute("the namespace in templates, and the key in the control API")
    pretty_name: str = Attribute("what people see")
    endpoint: str = Attribute("where the service is")

    def start() -> Awaitable[None]:
        """Coroutine. Begin to work; a service that is away is not an error."""

    def stop() -> Awaitable[None]:
        """Coroutine. Let go."""

    def connection_state() -> str:
        """READY, CONNECTING, TRANSIENT_FAILURE, IDLE, SHUTDOWN or UNKNOWN."""

    def data() -> str:
        """What the service knows over all environments: JSON, or empty."""

    def environment_data(environment_id: str, detailed: bool) -> str:
        """What it knows of one environment: JSON, or empty."""

    def functions() -> Mapping[str, CallFunction]:
        """What calls of a workflow may call, by name, inside the namespace `name`."""

    def load_functions(variables: Mapping[str, str]) -> Mapping[str, Callable[..., Any]]:
        """What every template may call, by name, inside the namespace `name`. Pure: no waiting."""


@frozen
class Surroundings:
    """What the core lends to an integration that asks for it.

    `folder` is there for files of its own, and is made by who uses it. `tell` tells an event of the
    service, an `aliecs.event.record.IntegratedServiceEvent`, to everyone who listens to events.
    `watch` takes an `aliecs.event.kafka.courier.Courier` of the integration's own: what it brings,
    and what waits for it, is then part of the core's metrics.
    """

    folder: Path
    tell: Callable[[Any], object]
    watch: Callable[[Any], object] = lambda courier: None


class ISettledIntegration(IIntegration):
    """An integration that has files of its own, or something to tell."""

    def settle(surroundings: Surroundings) -> None:
        """Take what the core lends. Called once, before `start`."""


class IEventSink(Interface):
    """Takes events, in order, and never blocks the core."""

    def deliver(event: Any) -> None:
        """Take one `events.Event`; encoding it is the sink's affair."""
