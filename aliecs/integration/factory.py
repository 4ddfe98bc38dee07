"""How integrations are found: a small factory for each, which imports its module when used.

The factories are the plugins that `twisted.plugin` finds in `twisted.plugins`; a package of
somebody else adds its own by putting a module with such a factory there.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen
from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from aliecs.errors import SettingsError
from aliecs.integration.guarded import GuardedIntegration
from aliecs.interfaces import (
    IIntegration,
    IIntegrationFactory,
    ISettledIntegration,
    Surroundings,
)


@implementer(IIntegrationFactory, IPlugin)
@frozen
class IntegrationFactory:
    """Makes the integration of class `type_name` of `module`, with the endpoint as its argument."""

    name: str
    endpoint_setting: str
    module: str
    type_name: str

    def make(self, endpoint: str) -> IIntegration:
        """See `IIntegrationFactory`."""
        made: IIntegration = getattr(importlib.import_module(self.module), self.type_name)(endpoint)
        return made


def known_factories() -> Mapping[str, IIntegrationFactory]:
    """All factories there are, by name."""
    found: Iterable[IIntegrationFactory] = getPlugins(IIntegrationFactory)
    return {factory.name: factory for factory in found}


def make_integrations(
    names: Sequence[str],
    endpoints: Mapping[str, str],
    clock: Any,
    surroundings: Callable[[str], Surroundings] | None = None,
) -> Mapping[str, IIntegration]:
    """The integrations of the setting `integrationPlugins`, in its order, each behind a wall.

    `endpoints` maps setting names to endpoints; `clock` is the reactor; `surroundings` gives what a
    plugin of that name is lent. Raises `SettingsError` for
    a name nobody provides, and for a plugin that cannot be made.
    """
    factories = known_factories()
    made: dict[str, IIntegration] = {}
    for name in names:
        factory = factories.get(name)
        if factory is None:
            there = ", ".join(sorted(factories)) or "none"
            raise SettingsError(
                f"integrationPlugins: there is no plugin {name!r}; there are {there}"
            )
        try:
            inner = factory.make(endpoints.get(factory.endpoint_setting, ""))
            if surroundings is not None and ISettledIntegration.providedBy(inner):
                inner.settle(surroundings(name))
        except Exception as error:
            raise SettingsError(
                f"integrationPlugins: the plugin {name!r} cannot be made: "
                f"{type(error).__name__}: {error}"
            ) from error
        made[name] = GuardedIntegration(inner, clock)
    return made
