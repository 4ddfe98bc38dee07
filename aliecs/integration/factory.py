"""How integrations are found: a small factory for each, which imports its module when used.

The factories are the plugins that `twisted.plugin` finds in `twisted.plugins`; a package of
somebody else adds its own by putting a module with such a factory there.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen
from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from aliecs.errors import SettingsError
from aliecs.interfaces import IIntegration, IIntegrationFactory


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
    names: Sequence[str], endpoints: Mapping[str, str]
) -> Mapping[str, IIntegration]:
    """The integrations of the setting `integrationPlugins`, in its order.

    `endpoints` maps setting names to endpoints. Raises `SettingsError` for a name nobody provides.
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
        made[name] = factory.make(endpoints.get(factory.endpoint_setting, ""))
    return made
